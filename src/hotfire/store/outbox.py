"""The outbox of a store: what was committed to be told, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from hotfire.alarm.flood import Pending, Sent
from hotfire.alarm.notices import Notice

if TYPE_CHECKING:
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions

_NOTICE = ("key", "target", "alarm_id", "what", "severity", "body", "created_at_ns")
_TEXT, _NUMBER = pl.String(), pl.Int64()
_OUTBOX = {**dict.fromkeys(_NOTICE, _TEXT), "created_at_ns": _NUMBER}


def write_notices(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write notices down, in the transaction of what they tell of."""
    if notices:
        rows = [tuple(getattr(one, name) for name in _NOTICE) for one in notices]
        connection.ingest("hf_outbox", pl.DataFrame(rows, schema=_OUTBOX, orient="row"))


class StoreOutbox:
    """Implements `protocols.Outbox`.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions) -> None:
        self._connection, self._run = connection, run

    def put(self, notices: Sequence[Notice]) -> None:
        """Write notices down, by themselves."""
        self._run.writing(lambda: write_notices(self._connection, notices))

    def pending(self, target: str, now_ns: int, limit: int) -> Sequence[Pending]:
        """See `protocols.Outbox`."""
        rows = self._query(
            f"SELECT {', '.join(_NOTICE)}, tries FROM hf_outbox WHERE target = ? AND state = 'pending' "
            "AND next_at_ns <= ? ORDER BY created_at_ns, key LIMIT ?",
            [target, now_ns, limit],
        )
        return [Pending(Notice(*row[:-1]), row[-1]) for row in rows.iter_rows()]

    def sent(self, target: str, since_ns: int) -> Sequence[Sent]:
        """See `protocols.Outbox`."""
        rows = self._query(
            "SELECT sent_as, ended_at_ns, severity, max(CASE WHEN sent_as = key THEN 0 ELSE 1 END) AS is_summary "
            "FROM hf_outbox WHERE target = ? AND state = 'sent' AND ended_at_ns >= ? "
            "GROUP BY sent_as, ended_at_ns, severity ORDER BY ended_at_ns, sent_as, severity",
            [target, since_ns],
        )
        return [Sent(key, at_ns, severity, bool(summary)) for key, at_ns, severity, summary in rows.iter_rows()]

    def done(self, keys: Sequence[str], sent_as: str, at_ns: int) -> None:
        """See `protocols.Outbox`."""
        self._update("state = 'sent', sent_as = ?, ended_at_ns = ?, error = ''", [sent_as, at_ns], keys)

    def failed(self, keys: Sequence[str], next_ns: int, error: str) -> None:
        """See `protocols.Outbox`."""
        self._update("tries = tries + 1, next_at_ns = ?, error = ?", [next_ns, error], keys)

    def given_up(self, keys: Sequence[str], at_ns: int, error: str) -> None:
        """See `protocols.Outbox`."""
        self._update("state = 'given_up', ended_at_ns = ?, error = ?", [at_ns, error], keys)

    def _update(self, changes: str, parameters: Sequence[Any], keys: Sequence[str]) -> None:
        def updated() -> None:
            named, more = self._connection.given(pl.DataFrame({"key": list(keys)}, schema={"key": pl.String}))
            self._connection.query(
                f"UPDATE hf_outbox SET {changes} WHERE state = 'pending' AND key IN (SELECT key FROM {named} AS k)",
                [*parameters, *more],
            )

        if keys:
            self._run.writing(updated)

    def _query(self, sql: str, parameters: Sequence[Any]) -> pl.DataFrame:
        found: pl.DataFrame = self._run.reading(lambda: self._connection.query(sql, parameters))
        return found
