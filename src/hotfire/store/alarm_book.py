"""What is asked of alarms: the store's side of people, and of the wall clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hotfire.alarm.notices import Routing
from hotfire.store.alarms import act, due

if TYPE_CHECKING:
    from hotfire.alarm.model import Action
    from hotfire.clock import Clock
    from hotfire.findings import Change
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions


class AlarmBook:
    """Actions on the alarms of a store.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions, clock: Clock) -> None:
        self._connection, self._run, self._clock = connection, run, clock
        self.routing = Routing("", ())

    def ask(self, stream: str, action: Action, point: Sequence[str] = ()) -> None:
        """Write down what somebody wants done; the same action counts once.

        Args:
            point: rule, asset and channel, where no alarm need be open.
        """
        row = [action.action_id, stream, _text(tuple(point)), _text(action), action.asked_at_ns]
        self._write(
            "INSERT INTO hf_alarm_action (action_id, stream, point, action, asked_at_ns) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            row,
        )

    def observe(self, stream: str, action_id: str, change: Change) -> None:
        """Write down what the wall clock shows of a condition, without a row; the same observation counts once."""
        row = [action_id, stream, _text(change), self._clock.now_ns()]
        self._write(
            "INSERT INTO hf_alarm_action (action_id, stream, point, change, asked_at_ns) VALUES (?, ?, '[]', ?, ?) "
            "ON CONFLICT DO NOTHING",
            row,
        )

    def act(self, stream: str) -> int:
        """Take what people have asked for, and end shelves whose time is over; how much there was. For the owner only."""
        now_ns = self._clock.now_ns()
        if not self._run.reading(lambda: due(self._connection, stream, now_ns)):
            return 0
        return int(self._run.writing(lambda: act(self._connection, stream, self.routing, now_ns)))

    def _write(self, sql: str, parameters: Sequence[Any]) -> None:
        self._run.writing(lambda: self._connection.query(sql, parameters))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
