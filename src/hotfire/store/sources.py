"""What is kept of sources that are asked, without a batch: where they stand, and when they were last looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.store.commit import text
from hotfire.store.dialect import quoted

if TYPE_CHECKING:
    import polars as pl

    from hotfire.contract.model import Contract
    from hotfire.rows import Place
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions

_KEEP = (
    "INSERT INTO hf_source VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, shard, place) DO UPDATE "
    "SET label = excluded.label, facts = excluded.facts WHERE hf_source.at_offset = excluded.at_offset"
)


class Sources:
    """The places of a store's sources.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions) -> None:
        self._connection, self._run = connection, run

    def keep(self, stream: str, shard: str, place: Place) -> None:
        """Write down what is known of a place, in its one row; nothing happens where a batch has moved it meanwhile."""
        row = [stream, shard, place.key, place.label, place.offset, place.line, text(place.facts)]
        self._run.writing(lambda: self._connection.query(_KEEP, row))

    def identities(self, contract: Contract) -> pl.DataFrame:
        """The identity columns of every current record of an entity."""
        names = ", ".join(quoted(name) for name in contract.identity)
        sql = f"SELECT {names} FROM {quoted(contract.stream)}"
        found: pl.DataFrame = self._run.reading(lambda: self._connection.query(sql))
        return found
