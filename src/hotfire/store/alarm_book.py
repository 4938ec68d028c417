"""What is asked of alarms: the store's side of people, and of the wall clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from hotfire.alarm.model import Alarm
from hotfire.alarm.notices import Routing
from hotfire.store.alarms import act, due

if TYPE_CHECKING:
    from hotfire.alarm.model import Action
    from hotfire.clock import Clock
    from hotfire.findings import Change
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions

_TEXT = pl.String()
_ACTION = {**dict.fromkeys(("action_id", "stream", "point", "action"), _TEXT), "asked_at_ns": pl.Int64()}


class AlarmBook:
    """Actions on the alarms of a store.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions, clock: Clock) -> None:
        self._connection, self._run, self._clock = connection, run, clock
        self.routing = Routing("", ())

    def ask(self, stream: str, asked: Sequence[tuple[Action, Sequence[str]]]) -> None:
        """Write down what somebody wants done, in one transaction; the same action counts once.

        Args:
            asked: each with its rule, asset and channel, where no alarm need be open; else with nothing.
        """
        rows = [(one.action_id, stream, _text(tuple(point)), _text(one), one.asked_at_ns) for one, point in asked]
        made = pl.DataFrame(rows, schema=_ACTION, orient="row")

        def written() -> None:
            source, parameters = self._connection.given(made)
            self._connection.query(
                f"INSERT INTO hf_alarm_action ({', '.join(_ACTION)}) SELECT * FROM {source} AS a WHERE TRUE "
                "ON CONFLICT DO NOTHING",
                parameters,
            )

        self._run.writing(written)

    def answers(self, action_ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """What became of actions, by name: `pending`, `done` or `refused`, and why it was refused."""
        found = self._named("action_id, state, refusal", "hf_alarm_action", "action_id", action_ids)
        return {action_id: (state, refusal) for action_id, state, refusal in found.iter_rows()}

    def known(self, alarm_ids: Collection[str]) -> dict[str, Alarm]:
        """Alarms as they are now, by id."""
        found = self._named("alarm_id, alarm", "hf_alarm", "alarm_id", alarm_ids)
        return {alarm_id: msgspec.json.decode(text, type=Alarm) for alarm_id, text in found.iter_rows()}

    def observe(self, stream: str, action_id: str, change: Change) -> None:
        """Write down what the wall clock shows of a condition, without a row; the same observation counts once."""
        row = [action_id, stream, _text(change), self._clock.now_ns()]
        sql = (
            "INSERT INTO hf_alarm_action (action_id, stream, point, change, asked_at_ns) VALUES (?, ?, '[]', ?, ?) "
            "ON CONFLICT DO NOTHING"
        )
        self._run.writing(lambda: self._connection.query(sql, row))

    def act(self, stream: str) -> int:
        """Take what people have asked for, and end shelves whose time is over; how much there was. For the owner only."""
        now_ns = self._clock.now_ns()
        if not self._run.reading(lambda: due(self._connection, stream, now_ns)):
            return 0
        return int(self._run.writing(lambda: act(self._connection, stream, self.routing, now_ns)))

    def _named(self, columns: str, table: str, key: str, names: Collection[str]) -> pl.DataFrame:
        """Rows of a table by their key."""

        def found() -> pl.DataFrame:
            named, parameters = self._connection.given(pl.DataFrame({key: list(names)}, schema={key: _TEXT}))
            sql = f"SELECT {columns} FROM {table} WHERE {key} IN (SELECT {key} FROM {named} AS k)"
            return self._connection.query(sql, parameters)

        rows: pl.DataFrame = self._run.reading(found)
        return rows


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
