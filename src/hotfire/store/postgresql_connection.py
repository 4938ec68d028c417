"""One ADBC connection to one schema of a PostgreSQL database, and what its failures mean.

The driver is left in autocommit, and BEGIN, COMMIT and savepoints are said by ourselves: it would refuse to go back to a
savepoint after an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as postgresql  # type: ignore[import-untyped]
import polars as pl

from hotfire.errors import StoreUnusable
from hotfire.store.dialect import POSTGRESQL, Dialect, quoted
from hotfire.store.postgresql_address import Address, program
from hotfire.store.postgresql_trouble import ConnectionLost, ReplyLost, connecting, meaning

OLDEST = 14
"""The oldest version of PostgreSQL that is spoken to."""

_TYPES: dict[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Int64: "bigint",
    pl.Float64: "double precision",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Binary: "bytea",
}
_CHANGES = re.compile(r"(--.*\n)*(CREATE|ALTER|DROP)")
_SETTINGS = {
    "default_transaction_isolation": "repeatable read",  # what a transaction reads does not change, as with SQLite
    "timezone": "UTC",
    "client_min_messages": "error",  # the driver writes notices on stderr
    "lock_timeout": "10s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    # The server notices within a minute that this process's machine is gone, and lets another own the store.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


class PostgresConnection:
    """Implements `store.connection.Connection`.

    Args:
        address: where the database is.

    Attributes:
        lost: True once the server no longer answers; `reopen` helps.
    """

    dialect: Dialect = POSTGRESQL

    def __init__(self, address: Address) -> None:
        self.address = address
        self.lost = True
        self._backend: tuple[int, int] | None = None
        self._ghost: tuple[int, int] | None = None
        self._kinds: dict[str, dict[str, str]] = {}
        self._begun = self._failed = self._changed = False
        self._open()

    @property
    def name(self) -> str:
        """The database's URL without its password."""
        return self.address.shown

    def reopen(self) -> None:
        """Connect again. What the lost connection may still be doing on the server is ended first."""
        self._ghost = self._backend or self._ghost
        self.close()
        self._open()
        if self._ghost:
            self.query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE pid = ? AND (extract(epoch FROM backend_start) * 1000000)::bigint = ?",
                self._ghost,
            )
            self.rollback()
            self._ghost = None

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Run one statement."""
        self._begin()
        if _CHANGES.match(sql):
            self._kinds.clear()
            self._changed = True
        with self._explained(), self._connection.cursor() as cursor:
            cursor.execute(_numbered(sql), _bound(parameters))
            return pl.DataFrame(cursor.fetch_arrow())

    def given(self, rows: pl.DataFrame) -> tuple[str, list[Any]]:
        """The rows as arrays, unnested: no temporary table, whose making the catalogue would remember."""
        arrays = ", ".join(f"?::{_type(dtype)}[]" for dtype in rows.dtypes)
        names = ", ".join(map(quoted, rows.columns))
        return f"(SELECT * FROM unnest({arrays}) AS given({names}))", rows.get_columns()

    def ingest(self, table: str, rows: pl.DataFrame) -> None:
        """Append rows by column name, by binary COPY. The driver takes the bytes of any type for those of the column."""
        if rows.is_empty():
            return
        self._begin()
        brought = {name: _type(dtype) for name, dtype in rows.schema.items()}
        if not brought.items() <= self._kinds.get(table, {}).items():
            present = self._kinds[table] = self.columns(table)
            for name, kind in brought.items():
                if present.get(name) != kind:
                    there = present.get(name, "no column")
                    what = f"{table}.{name} in {self.name} is {there}; the rows bring {kind}."
                    raise StoreUnusable(what, "Run `hotfire doctor`.")
        with self._explained(), self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", db_schema_name=self.address.schema)

    def savepoint(self, name: str) -> None:
        """A moment of the transaction to which `undo` goes back."""
        self._begin()
        self._run(f"SAVEPOINT {name}")

    def release(self, name: str) -> None:
        """Keep what came after the savepoint."""
        self._run(f"RELEASE SAVEPOINT {name}")

    def undo(self, name: str) -> None:
        """Give up what came after the savepoint. Nothing is left to give up where the connection is lost."""
        if not self.lost:
            self._run(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            self._failed = False

    def commit(self) -> None:
        """End the transaction: what it wrote is durable. ReplyLost where it cannot be told."""
        if self._failed:
            raise StoreUnusable(f"A statement in {self.name} had failed; the transaction was not committed.")
        if self._begun:
            try:
                self._run("COMMIT")
            except ConnectionLost as error:
                raise ReplyLost(error.what, error.do) from error
            self._begun = self._changed = False

    def rollback(self) -> None:
        """End the transaction: it never was. The server has ended it where the connection is lost."""
        if self._begun and not self.lost:
            with suppress(ConnectionLost):
                self._run("ROLLBACK")
        self._begun = self._failed = False
        if self._changed:
            self._kinds.clear()
            self._changed = False

    def alone(self) -> None:
        """Begin a transaction that waits for any other of this kind, and then sees what that one did."""
        self.rollback()
        self._run("BEGIN ISOLATION LEVEL READ COMMITTED")
        self._begun = True
        self.query("SELECT pg_advisory_xact_lock(hashtext(?), 1)::text AS alone", [self.address.schema])
        if self.query("SELECT to_regnamespace(?) AS found", [quoted(self.address.schema)])["found"].item() is None:
            self.query(f"CREATE SCHEMA {quoted(self.address.schema)}")

    def close(self) -> None:
        """Give up what was not committed, and close."""
        if self._backend:
            self._backend = None
            self.lost = True
            with suppress(adbc_driver_manager.Error):
                self._connection.close()

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table or view that rows are written to, with their types."""
        rows = self.query(
            "SELECT attname::text AS name, format_type(atttypid, NULL) AS kind FROM pg_attribute "
            "WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [f"{quoted(self.address.schema)}.{quoted(table)}"],
        )
        return dict(rows.rows())

    def tables(self) -> list[str]:
        """The names of all tables and views."""
        rows = self.query(
            "SELECT relname::text AS name FROM pg_class "
            "WHERE relnamespace = to_regnamespace(?) AND relkind IN ('r', 'p', 'v', 'm')",
            [quoted(self.address.schema)],
        )
        return sorted(rows["name"].to_list())

    def schema_number(self) -> int:
        """The last migration that was applied."""
        if not self.columns("hf_schema"):
            return 0
        return int(self.query("SELECT coalesce(max(number), 0) AS number FROM hf_schema").item())

    def set_schema_number(self, number: int) -> None:
        """Write down that a migration was applied."""
        self.query("CREATE TABLE IF NOT EXISTS hf_schema (number bigint NOT NULL PRIMARY KEY)")
        self.query("INSERT INTO hf_schema VALUES (?)", [number])

    def last_rowid(self, table: str) -> int | None:  # noqa: ARG002 - the protocol's
        """Rows are found by their batch number."""
        return None

    def pages(self, table: str, rows: int) -> Iterator[pl.DataFrame]:
        """Every row by arrival, through a cursor."""
        yield from self.fetched(f"SELECT * FROM {quoted(table)} ORDER BY batch_seq, shard, row_no", rows)

    def fetched(self, select: str, rows: int) -> Iterator[pl.DataFrame]:
        """What a statement selects, so many rows at a time."""
        self.query(f"DECLARE hf_pages NO SCROLL CURSOR FOR {select}")
        while True:
            with self._explained(), self._connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
                cursor.execute(f"FETCH {rows} FROM hf_pages")
                page = pl.DataFrame(cursor.fetch_arrow())
            if page.is_empty():
                self.query("CLOSE hf_pages")
                return
            yield page

    def problems(self) -> list[str]:
        """Damage that the server has come upon, and indexes that it does not use."""
        found = self.query(
            "SELECT 'the server found ' || checksum_failures || ' damaged pages in the database' AS line "
            "FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0 UNION ALL "
            "SELECT 'the index ' || relname || ' is invalid' FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE NOT indisvalid AND relnamespace = to_regnamespace(?)",
            [quoted(self.address.schema)],
        )
        return [str(line) for line in found["line"]]

    def _open(self) -> None:
        with ExitStack() as unless_open:
            with connecting(self.address):
                self._connection = unless_open.enter_context(
                    closing(postgresql.connect(self.address.url, autocommit=True))
                )
            self._begun = self._failed = self._changed = self.lost = False
            self._kinds.clear()
            settings = {**_SETTINGS, "application_name": program(), "search_path": self.address.schema}
            self._run("; ".join(f"SET {name} = {_text(value)}" for name, value in settings.items()))
            self._run(_DURABLE)
            backend = self._greet()
            unless_open.pop_all()
        self._backend = backend

    def _greet(self) -> tuple[int, int]:
        """Who serves this connection. Raises StoreUnusable where it is too old, or keeps another encoding."""
        found = self.query(
            "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint AS since, "
            "current_setting('server_version_num')::bigint AS version, current_setting('server_encoding') AS encoding "
            "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).row(0, named=True)
        self.rollback()
        if found["version"] < OLDEST * 10_000:
            do = "Move the database to a newer one."
            raise StoreUnusable(f"{self.name} is PostgreSQL {found['version'] // 10_000}; {OLDEST} is needed.", do)
        if found["encoding"] != "UTF8":
            do = "Make a database with: createdb --encoding UTF8 --template template0 NAME"
            raise StoreUnusable(f"The database {self.name} keeps text as {found['encoding']}, not UTF8.", do)
        return found["pid"], found["since"]

    def _begin(self) -> None:
        if not self._begun:
            self._run("BEGIN")
            self._begun = True

    def _run(self, statements: str) -> None:
        """Statements without parameters or results, in one round trip."""
        with self._explained(), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_sql_query(statements)
            cursor.adbc_statement.execute_update()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the driver's errors into ours, with the cause and what to do."""
        if self.lost:
            raise ConnectionLost(f"The connection to {self.name} is lost.", "Is the server running?")
        try:
            yield
        except (adbc_driver_manager.Error, pl.exceptions.ComputeError) as error:
            self._failed = True
            trouble = meaning(self.address, error, answers=self._answers)
            self.lost = isinstance(trouble, ConnectionLost)
            raise trouble from error

    def _answers(self) -> bool:
        """Whether the server still answers at all, were it with an error."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.adbc_statement.set_sql_query("SELECT 1")
                cursor.adbc_statement.execute_update()
        except adbc_driver_manager.Error as error:
            return error.sqlstate is not None
        return True


def _type(dtype: pl.DataType) -> str:
    return _TYPES.get(dtype.base_type(), f"{dtype}, of no column")


@cache
def _numbered(sql: str) -> str:
    """The statement with $1, $2 ... for every `?`."""
    parts = re.split(r"\?", sql)
    return parts[0] + "".join(f"${number}{part}" for number, part in enumerate(parts[1:], 1))


def _bound(parameters: Sequence[Any]) -> pl.DataFrame | None:
    columns = {}
    for number, value in enumerate(parameters):
        if isinstance(value, pl.Series):
            columns[str(number)] = value.implode()
        else:
            dtype = pl.Int64 if isinstance(value, int) else pl.Binary if isinstance(value, bytes) else pl.String
            columns[str(number)] = pl.Series([value], dtype=dtype)
    return pl.DataFrame(columns) if columns else None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
