"""An outbox in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from hotfire.alarm.flood import Pending, Sent
from hotfire.alarm.notices import Notice


class Row(Struct):
    """One notice, and what became of it: `at_ns` with `sent_as` once it was sent, with `error` once it was given up."""

    notice: Notice
    tries: int = 0
    next_ns: int = 0
    sent_as: str = ""
    at_ns: int | None = None
    error: str = ""


class ListOutbox:
    """Implements `protocols.Outbox`; rows by key, in the order in which they were put in."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def put(self, notices: Iterable[Notice]) -> None:
        """As a commit does."""
        for notice in notices:
            self.rows.setdefault(notice.key, Row(notice))

    def pending(self, target: str, now_ns: int, limit: int) -> Sequence[Pending]:
        """See `protocols.Outbox`."""
        due = [row for row in self._of(target) if row.at_ns is None and row.next_ns <= now_ns]
        due.sort(key=lambda row: row.notice.created_at_ns)
        return [Pending(row.notice, row.tries) for row in due[:limit]]

    def sent(self, target: str, since_ns: int) -> Sequence[Sent]:
        """See `protocols.Outbox`."""
        found = {
            Sent(row.sent_as, row.at_ns, row.notice.severity, row.sent_as != row.notice.key)
            for row in self._of(target)
            if row.sent_as and row.at_ns is not None and row.at_ns >= since_ns
        }
        return sorted(found, key=lambda one: (one.at_ns, one.key, one.severity))

    def done(self, keys: Sequence[str], sent_as: str, at_ns: int) -> None:
        """See `protocols.Outbox`."""
        for row in (self.rows[key] for key in keys):
            row.sent_as, row.at_ns = sent_as, at_ns

    def failed(self, keys: Sequence[str], next_ns: int, error: str) -> None:
        """See `protocols.Outbox`."""
        for row in (self.rows[key] for key in keys):
            row.tries, row.next_ns, row.error = row.tries + 1, next_ns, error

    def given_up(self, keys: Sequence[str], at_ns: int, error: str) -> None:
        """See `protocols.Outbox`."""
        for row in (self.rows[key] for key in keys):
            row.at_ns, row.error = at_ns, error

    def _of(self, target: str) -> list[Row]:
        return [row for row in self.rows.values() if row.notice.target == target]
