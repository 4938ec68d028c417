"""Revisions of a stream's ledger of conditions: what later rules say of the past, beside what the engine said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from hotfire.store.signals import CONDITION

if TYPE_CHECKING:
    from hotfire.alarm.splice import Entry
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions

_TEXT, _NUMBER = pl.String(), pl.Int64()
_REVISION = {
    "stream": _TEXT,
    "revision": _NUMBER,
    "contract": _TEXT,
    "rules": _TEXT,
    "since_ns": _NUMBER,
    "until_ns": _NUMBER,
    "conditions": _NUMBER,
    "reach": _TEXT,
    "job_id": _TEXT,
    "judged_at_ns": _NUMBER,
}


class Revision(Struct, frozen=True):
    """One revision, from the second on.

    Attributes:
        contract, rules: the hashes of what was judged by.
        since_ns, until_ns: the event times that were judged anew; None is open.
        reach: by shard and asset, the event time of the last row that was judged, as JSON.
    """

    stream: str
    revision: int
    contract: str
    rules: str
    since_ns: int | None
    until_ns: int | None
    reach: str
    job_id: str
    judged_at_ns: int


class Revisions:
    """The revisions in a store.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions) -> None:
        self._connection, self._run = connection, run

    def add(self, one: Revision, entries: Sequence[Entry]) -> bool:
        """Write a revision whole, in one transaction; the same one counts once. False where its number is another job's."""
        row = (one.stream, one.revision, one.contract, one.rules, one.since_ns, one.until_ns, len(entries))
        made = pl.DataFrame([(*row, one.reach, one.job_id, one.judged_at_ns)], schema=_REVISION, orient="row")
        conditions = [_row(one, entry) for entry in entries]

        def added() -> bool:
            source, parameters = self._connection.given(made)
            fresh = self._connection.query(
                f"INSERT INTO hf_revision SELECT * FROM {source} AS r WHERE TRUE "
                "ON CONFLICT DO NOTHING RETURNING revision",
                parameters,
            )
            if fresh.height and conditions:
                self._connection.ingest("hf_condition", pl.DataFrame(conditions, schema=CONDITION, orient="row"))
            stands = "SELECT job_id FROM hf_revision WHERE stream = ? AND revision = ?"
            return self._connection.query(stands, [one.stream, one.revision])["job_id"].to_list() == [one.job_id]

        return bool(self._run.writing(added))


def _row(one: Revision, entry: Entry) -> tuple[Any, ...]:
    held = entry.condition
    return (
        *(one.stream, one.revision, entry.shard, held.rule, held.asset, held.channel, held.number),
        *(held.level, held.severity, held.raised_at_ns, held.returned_at_ns, held.value, held.limit, held.message),
        entry.batch_seq,
    )
