"""One ADBC connection to one SQLite file, and what its failures mean. The only SQLite library in the process.

Python's own `sqlite3` must never open the same file in this process: closing it would drop the POSIX locks of the
driver's copy of SQLite, and rows committed afterwards would be lost.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as sqlite
import polars as pl

from hotfire.errors import OwnedElsewhere, StoreUnusable

_PAGE_BYTES = 16_384
_BUSY_MS = 10_000
_ROWS_A_BATCH = {"adbc.sqlite.query.batch_rows": str(1 << 22)}
"""Types are inferred from a result's first batch: the batch must hold the whole result."""

_CAUSES = {
    "database is locked": ("is locked by another process", "Wait for it to end, or stop it, and try again."),
    "file is not a database": ("is not a SQLite database", "Restore it from a backup, or move it away to start anew."),
    "malformed": ("is damaged", "Restore it from a backup; the lake still holds the rows up to its marker."),
    "database or disk is full": ("cannot grow: the disk is full", "Free some space and run the command again."),
    "disk I/O error": ("cannot be written: the disk reports an error", "Look at the disk and its free space."),
    "readonly database": ("is read-only", "Make the folder and the file writable for this user."),
    "failed to open": ("cannot be opened", "Look at the folder: does it exist, and may this user write to it?"),
    "unable to open database file": ("cannot be opened", "Look at the folder: may this user write to it?"),
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the driver's errors into StoreUnusable, with the cause and what to do."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        message = str(error)
        for sign, (trouble, do) in _CAUSES.items():
            if sign in message:
                raise StoreUnusable(f"The store {path} {trouble}.", do) from error
        raise StoreUnusable(f"The store {path} refused a statement: {message}", "Run `hotfire doctor`.") from error


class Connection:
    """A connection with explicit transactions. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path), ExitStack() as unless_open:
            with closing(sqlite.connect(str(path), autocommit=True)) as setup, setup.cursor() as cursor:
                for pragma in (f"busy_timeout = {_BUSY_MS}", f"page_size = {_PAGE_BYTES}", "journal_mode = wal"):
                    cursor.execute(f"pragma {pragma}")
            self._connection = unless_open.enter_context(closing(sqlite.connect(str(path))))
            for pragma in (f"busy_timeout = {_BUSY_MS}", "temp_store = memory", "cache_size = -65536"):
                self.query(f"pragma {pragma}")
            self.commit()
            unless_open.pop_all()

    def query(self, sql: str, parameters: Sequence[Any] | pl.DataFrame = ()) -> pl.DataFrame:
        """Run one statement; parameters by position. An empty result's columns have no meaningful types."""
        with explained(self.path), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**_ROWS_A_BATCH)
            cursor.execute(sql, _bindable(parameters))
            return pl.DataFrame(cursor.fetch_arrow())

    def execute_many(self, sql: str, rows: pl.DataFrame) -> None:
        """Run one statement for each row; columns bind by position."""
        if rows.height:
            with explained(self.path), self._connection.cursor() as cursor:
                cursor.executemany(sql, rows)

    def ingest(self, table: str, rows: pl.DataFrame, *, temporary: bool = False) -> None:
        """Append rows by column name; a temporary table is made anew."""
        with explained(self.path), self._connection.cursor() as cursor:
            if temporary:
                cursor.execute(f'drop table if exists temp."{table}"')
                cursor.adbc_ingest(table, rows, mode="create", temporary=True)
            elif rows.height:
                cursor.adbc_ingest(table, rows, mode="append")

    def commit(self) -> None:
        """End the transaction: what it wrote is durable."""
        with explained(self.path):
            self._connection.commit()

    def rollback(self) -> None:
        """End the transaction: it never was. A full or failing disk makes SQLite do so by itself."""
        with explained(self.path):
            try:
                self._connection.rollback()
            except adbc_driver_manager.Error as error:
                if "no transaction is active" not in str(error):
                    raise
                self.query("BEGIN")

    def close(self) -> None:
        """Give up what was not committed, and close."""
        self._connection.close()


def _bindable(parameters: Sequence[Any] | pl.DataFrame) -> pl.DataFrame | None:
    if isinstance(parameters, pl.DataFrame):
        return parameters
    columns = {}
    for number, value in enumerate(parameters):
        dtype = pl.Int64 if isinstance(value, int) else pl.Binary if isinstance(value, bytes) else pl.String
        columns[str(number)] = pl.Series([value], dtype=dtype)
    return pl.DataFrame(columns) if columns else None


class OwnerLock:
    """The file lock that says which process may commit. Held until closed, or until the process ends, however."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] | None = None
        try:
            file = path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreUnusable(f"The lock file {path} cannot be written: {error.strerror}.", "") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise OwnedElsewhere(
                f"Another hotfire process (pid {owner}) is writing to this workspace.",
                f"Wait for it to end, or stop it: kill {owner}",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def close(self) -> None:
        """Let another process own the store."""
        if self._file:
            self._file.close()
            self._file = None


def named(parameters: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """The values of the named parameters, by position."""
    return [parameters[name] for name in names]
