"""One ADBC connection to one SQLite file, and what its failures mean. The only SQLite library in the process.

Python's own `sqlite3` must never open the same file in this process: closing it would drop the POSIX locks of the
driver's copy of SQLite, and rows committed afterwards would be lost.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as sqlite
import polars as pl

from hotfire.errors import OwnedElsewhere, StoreOutage, StoreUnusable
from hotfire.store.connection import RefusedAsData
from hotfire.store.dialect import SQLITE, Dialect, quoted

_PAGE_BYTES = 16_384
_BUSY_MS = 10_000
_FEW = 16
"""At most so many rows go into a statement as values."""
_ROWS_A_BATCH = {"adbc.sqlite.query.batch_rows": str(1 << 22)}
"""Types are inferred from a result's first batch: the batch must hold the whole result."""

_OUTAGES = {
    "database is locked": ("is locked by another process", "Wait for it to end, or stop it, and try again."),
    "database or disk is full": ("cannot grow: the disk is full", "Free some space and run the command again."),
    "disk I/O error": ("cannot be written: the disk reports an error", "Look at the disk and its free space."),
}
_UNWRITABLE = ("readonly database", "unable to open database file")
_CAUSES = {
    "file is not a database": ("is not a SQLite database", "Restore it from a backup, or move it away to start anew."),
    "malformed": ("is damaged", "Restore it from a backup; the lake still holds the rows up to its marker."),
    "readonly database": ("is read-only", "Make the folder and the file writable for this user."),
    "failed to open": ("cannot be opened", "Look at the folder: does it exist, and may this user write to it?"),
    "unable to open database file": ("cannot be opened", "Look at the folder: may this user write to it?"),
}


def _meaning(path: Path, message: str) -> StoreUnusable:
    """What the driver's message means, and what to do."""
    for causes, kind in ((_OUTAGES, StoreOutage), (_CAUSES, StoreUnusable)):
        for sign, (trouble, do) in causes.items():
            if sign in message:
                return kind(f"The store {path} {trouble}.", do)
    reason = message.partition("failed to execute: ")[2].partition("\n")[0]
    if reason:
        return RefusedAsData(reason, "Run `hotfire doctor`.")
    return StoreUnusable(f"The store {path} refused a statement: {message}", "Run `hotfire doctor`.")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the driver's errors into StoreUnusable, with the cause and what to do."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise _meaning(path, str(error)) from error


def _opened(path: Path) -> sqlite.Connection:
    """A connection in WAL mode; where the folder cannot be written, one that only looks, at a file that stays as it is.

    While somebody else writes, the WAL is there, and SQLite reads beside it; a WAL that nobody holds has to be written
    back first.
    """
    try:
        with closing(sqlite.connect(str(path), autocommit=True)) as setup, setup.cursor() as cursor:
            for pragma in (f"busy_timeout = {_BUSY_MS}", f"page_size = {_PAGE_BYTES}", "journal_mode = wal"):
                cursor.execute(f"pragma {pragma}")
        return sqlite.connect(str(path))
    except adbc_driver_manager.Error as error:
        if not path.is_file() or not any(sign in str(error) for sign in _UNWRITABLE):
            raise
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise StoreUnusable(
                f"The store {path} is read-only, and a run that was killed has left {wal.name} beside it.",
                "Run any command once as a user who may write there.",
            ) from error
        return sqlite.connect(f"file:{quote(str(path.absolute()))}?immutable=1")


class SqliteConnection:
    """Implements `store.connection.Connection`."""

    dialect: Dialect = SQLITE

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path), ExitStack() as unless_open:
            self._connection = unless_open.enter_context(closing(_opened(path)))
            for pragma in (f"busy_timeout = {_BUSY_MS}", "temp_store = memory", "cache_size = -65536"):
                self.query(f"pragma {pragma}")
            self.commit()
            unless_open.pop_all()

    @property
    def name(self) -> str:
        """The database file."""
        return str(self.path)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Run one statement. An empty result's columns have no meaningful types."""
        with explained(self.path), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**_ROWS_A_BATCH)
            cursor.execute(sql, _bindable(parameters))
            return pl.DataFrame(cursor.fetch_arrow())

    def given(self, rows: pl.DataFrame) -> tuple[str, list[Any]]:
        """A few rows as values, many as a temporary table, made anew each time."""
        stored = _stored(rows)
        if 0 < rows.height <= _FEW:
            names = ", ".join(f"column{number} AS {quoted(name)}" for number, name in enumerate(rows.columns, 1))
            one = f"({', '.join('?' * rows.width)})"
            values = [value for row in stored.rows() for value in row]
            return f"(SELECT {names} FROM (VALUES {', '.join([one] * rows.height)}))", values
        with explained(self.path), self._connection.cursor() as cursor:
            cursor.execute("drop table if exists temp.hf_given")
            cursor.adbc_ingest("hf_given", stored, mode="create", temporary=True)
        return "temp.hf_given", []

    def ingest(self, table: str, rows: pl.DataFrame) -> None:
        """Append rows by column name: dates as ISO text, booleans as 0 and 1."""
        if rows.height:
            with explained(self.path), self._connection.cursor() as cursor:
                cursor.adbc_ingest(table, _stored(rows), mode="append")

    def savepoint(self, name: str) -> None:
        """A moment of the transaction to which `undo` goes back."""
        self.query(f"SAVEPOINT {name}")

    def release(self, name: str) -> None:
        """Keep what came after the savepoint."""
        self.query(f"RELEASE SAVEPOINT {name}")

    def undo(self, name: str) -> None:
        """Give up what came after the savepoint. A full disk has made SQLite give up everything by itself."""
        try:
            self.query(f"ROLLBACK TO SAVEPOINT {name}")
        except StoreUnusable as error:
            if "no such savepoint" not in error.what:
                raise
        else:
            self.release(name)

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

    def alone(self) -> None:
        """Begin a transaction that writes before it reads, and so waits for any other that writes."""
        self.rollback()
        self.query("CREATE TABLE hf_alone (number INTEGER)")
        self.query("DROP TABLE hf_alone")

    def close(self) -> None:
        """Give up what was not committed, and close."""
        self._connection.close()

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table or view, with their types."""
        return dict(self.query("SELECT name, type FROM pragma_table_info(?)", [table]).rows())

    def tables(self) -> list[str]:
        """The names of all tables and views."""
        rows = self.query(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
        return [str(name) for name in rows["name"]]

    def schema_number(self) -> int:
        """The last migration that was applied."""
        return int(self.query("pragma user_version").item())

    def set_schema_number(self, number: int) -> None:
        """Write down that a migration was applied."""
        self.query(f"pragma user_version = {number}")

    def last_rowid(self, table: str) -> int | None:
        """The greatest rowid: the next row gets the one after it."""
        return int(self.query(f"SELECT coalesce(max(rowid), 0) FROM {quoted(table)}").item())

    def pages(self, table: str, rows: int) -> Iterator[pl.DataFrame]:
        """Every row by rowid, with it as `hf_rowid`: converted rows keep it, so that the ledger's ranges stay true."""
        after = 0
        while True:
            page = self.query(
                f"SELECT rowid AS hf_rowid, * FROM {quoted(table)} WHERE rowid > ? ORDER BY rowid LIMIT ?",
                [after, rows],
            )
            if page.is_empty():
                return
            yield page
            after = page["hf_rowid"][-1]

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        return [str(line) for line in self.query("PRAGMA quick_check")["quick_check"] if line != "ok"]


def copy_database(path: Path, target: Path) -> None:
    """Write what is committed to a new file, as of one moment, while others go on writing. Rows keep their rowids."""
    with explained(path), closing(sqlite.connect(str(path), autocommit=True)) as alone, alone.cursor() as cursor:
        cursor.execute(f"pragma busy_timeout = {_BUSY_MS}")
        cursor.execute("VACUUM INTO ?", _bindable([str(target)]))


def _stored(rows: pl.DataFrame) -> pl.DataFrame:
    dates = [pl.col(name).dt.strftime("%Y-%m-%d") for name, dtype in rows.schema.items() if dtype == pl.Date]
    flags = [pl.col(name).cast(pl.Int64) for name, dtype in rows.schema.items() if dtype == pl.Boolean]
    return rows.with_columns(*dates, *flags) if dates or flags else rows


def _bindable(parameters: Sequence[Any]) -> pl.DataFrame | None:
    kinds = {int: pl.Int64, float: pl.Float64, bytes: pl.Binary, str: pl.String, type(None): pl.String}
    columns = {str(at): pl.Series([value], dtype=kinds[type(value)]) for at, value in enumerate(parameters)}
    return pl.DataFrame(columns) if columns else None


class OwnerLock:
    """The file lock that says which process may commit. Held until closed, or until the process ends, however."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] | None = None
        try:
            file = path.open("a+", encoding="ascii")
        except OSError as error:
            do = "Make the folder writable for this user; looking at it works as it is."
            raise StoreUnusable(f"The lock file {path} cannot be written: {error.strerror}.", do) from error
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
