"""What a store needs of a connection to its database, whichever kind it is. One SQL serves both; see `dialect.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hotfire.errors import StoreUnusable

if TYPE_CHECKING:
    import polars as pl

    from hotfire.store.dialect import Dialect


class RefusedAsData(StoreUnusable):
    """The database refuses values, not the statement: another row might be taken."""


class Connection(Protocol):
    """One connection with explicit transactions, used by one thread at a time.

    The first statement begins a transaction; what it reads does not change until it ends. Every method raises
    StoreUnusable, RefusedAsData among them, or StoreOutage.
    """

    @property
    def name(self) -> str:
        """What people call the database; without passwords."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Run one statement with `?` for its parameters; a `pl.Series` is an array (see `given`)."""
        ...

    def given(self, rows: pl.DataFrame) -> tuple[str, list[Any]]:
        """The rows as a table to select from, and its parameters; good for the next statement."""
        ...

    def ingest(self, table: str, rows: pl.DataFrame) -> None:
        """Append rows by column name."""
        ...

    def savepoint(self, name: str) -> None:
        """A moment of the transaction to which `undo` goes back, also after a refused statement."""
        ...

    def release(self, name: str) -> None:
        """Keep what came after the savepoint; forget it."""
        ...

    def undo(self, name: str) -> None:
        """Give up what came after the savepoint, and the savepoint."""
        ...

    def commit(self) -> None:
        """End the transaction: what it wrote is durable."""
        ...

    def rollback(self) -> None:
        """End the transaction: it never was. Does not fail where there is none."""
        ...

    def alone(self) -> None:
        """Begin a transaction of which there is only one at a time; it sees all that earlier ones have done."""
        ...

    def close(self) -> None:
        """Give up what was not committed, and close."""
        ...

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table or view that rows are written to, with their types; empty where there is none."""
        ...

    def tables(self) -> list[str]:
        """The names of all tables and views, sorted."""
        ...

    def schema_number(self) -> int:
        """The last migration that was applied; 0 where there was none."""
        ...

    def set_schema_number(self, number: int) -> None:
        """Write down that a migration was applied, in the transaction."""
        ...

    def last_rowid(self, table: str) -> int | None:
        """The greatest number of a row, where the database numbers rows."""
        ...

    def pages(self, table: str, rows: int) -> Iterator[pl.DataFrame]:
        """Every row of a table in the order of arrival, so many at a time; the table may not change meanwhile."""
        ...

    def problems(self) -> list[str]:
        """What the database finds wrong with itself, a line each."""
        ...
