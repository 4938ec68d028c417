"""The alarms that follow from conditions and from what people do, written inside the store's transactions."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct, field

from hotfire.alarm.life import after_action, after_change, expired, inhibited, is_over, state_of
from hotfire.alarm.model import Action, Alarm, AlarmEvent, Refusal
from hotfire.alarm.news import ONE_CAUSE_NS, cause_of, is_silence, tells, untold
from hotfire.alarm.notices import Happened, Notice, Routing, notices
from hotfire.findings import Change
from hotfire.store.outbox import write_notices

if TYPE_CHECKING:
    from hotfire.store.connection import Connection

_TEXT, _NUMBER = pl.String(), pl.Int64()
_ALARM = {
    "alarm_id": _TEXT,
    "stream": _TEXT,
    "rule": _TEXT,
    "asset": _TEXT,
    "channel": _TEXT,
    "state": _TEXT,
    "is_over": _NUMBER,
    "severity": _TEXT,
    "raised_at_ns": _NUMBER,
    "returned_at_ns": _NUMBER,
    "opened_at_ns": _NUMBER,
    "events": _NUMBER,
    "alarm": _TEXT,
}
_CHANGING = ("state", "is_over", "severity", "raised_at_ns", "returned_at_ns", "events", "alarm")
_EVENT = {
    "alarm_id": _TEXT,
    "number": _NUMBER,
    "what": _TEXT,
    "at_ns": _NUMBER,
    "recorded_at_ns": _NUMBER,
    "who": _TEXT,
    "comment": _TEXT,
    "severity": _TEXT,
    "state": _TEXT,
}
_OPEN = "SELECT alarm, events FROM hf_alarm WHERE stream = ? AND is_over = 0"
_PENDING = (
    "SELECT action_id, action, point, change FROM hf_alarm_action WHERE stream = ? AND state = 'pending' "
    "ORDER BY asked_at_ns, action_id"
)
_BEGUN = "UPDATE hf_alarm_action SET refusal = '' WHERE stream = ? AND state = 'pending'"
"""Changes nothing: SQLite gives up a transaction that reads first and writes after somebody else did."""
_TAKEN = (
    "UPDATE hf_alarm_action SET state = CASE WHEN t.refusal = '' THEN 'done' ELSE 'refused' END, refusal = t.refusal "
    "FROM {given} AS t WHERE hf_alarm_action.action_id = t.action_id"
)


class _Alarms(Struct):
    """Alarms in hand: read in this transaction, and what has happened to them since.

    Attributes:
        assets: the open ones of each.
        newest: the newest open one of a rule, asset and channel, where it was looked for; None: there is none.
        tellings: of each asset, when people were told of which alarm; in order, and never taken out.
        silences: of each asset, the alarms that say that it is silent.
    """

    connection: Connection
    stream: str
    routing: Routing
    received_at_ns: int
    now_ns: int
    known: dict[str, Alarm] = field(default_factory=dict)
    assets: dict[str, dict[str, Alarm]] = field(default_factory=dict)
    newest: dict[tuple[str, str, str], Alarm | None] = field(default_factory=dict)
    tellings: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    silences: dict[str, set[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    events: list[tuple[AlarmEvent, int]] = field(default_factory=list)
    outbox: list[Notice] = field(default_factory=list)
    told: dict[str, set[str]] = field(default_factory=dict)

    def load(self, assets: Collection[str] | None) -> None:
        """The open alarms of some assets, of all if None; with them, which targets were told of each."""
        sql, parameters = _OPEN, [self.stream]
        if assets is not None:
            named, more = self.connection.given(pl.DataFrame({"asset": list(assets)}))
            sql, parameters = f"{_OPEN} AND asset IN (SELECT asset FROM {named} AS n)", [*parameters, *more]
        for text, number in self.connection.query(sql, parameters).iter_rows():
            self._hold(msgspec.json.decode(text, type=Alarm), number)
        if self.known and self.routing.routes:
            named, parameters = self.connection.given(pl.DataFrame({"alarm_id": list(self.known)}))
            sql = f"SELECT DISTINCT o.alarm_id, o.target FROM hf_outbox o JOIN {named} n ON o.alarm_id = n.alarm_id"
            for alarm_id, target in self.connection.query(sql, parameters).iter_rows():
                self.told.setdefault(alarm_id, set()).add(target)

    def of(self, rule: str, asset: str, channel: str) -> Alarm | None:
        """The newest open alarm of a rule, asset and channel."""
        point = (rule, asset, channel)
        if point not in self.newest:
            own = [one for one in self.assets.get(asset, {}).values() if _point(one) == point]
            self.newest[point] = max(own, key=_age, default=None)
        return self.newest[point]

    def take(self, before: Alarm | None, after: Alarm, events: Iterable[AlarmEvent]) -> None:
        """An alarm after something happened to it; people are told, unless they know already."""
        number = self.numbers.get(after.alarm_id, 0)
        for event in events:
            number += 1
            is_told = tells(event, before)
            if is_told and (cause := cause_of(event, after, self._around(event, after.asset))) is not None:
                is_told, after = False, untold(after, before, cause)
            if is_told and self.routing.routes:
                told = self.told.setdefault(after.alarm_id, set())
                sent = notices(Happened(event, after, number, self.received_at_ns, told), self.routing)
                told.update(one.target for one in sent)
                self.outbox += sent
            self.events.append((event, number))
        self._hold(after, number)
        self.changed[after.alarm_id] = None

    def _hold(self, one: Alarm, number: int) -> None:
        before = self.known.get(one.alarm_id)
        self.known[one.alarm_id], self.numbers[one.alarm_id] = one, number
        around, point = self.assets.setdefault(one.asset, {}), _point(one)
        if is_over(one) or (before is not None and _age(before) != _age(one)):
            self.newest.pop(point, None)
        if is_over(one):
            around.pop(one.alarm_id, None)
            return
        around[one.alarm_id] = one
        newest = self.newest.get(point)
        if point in self.newest and (newest is None or _age(one) >= _age(newest)):
            self.newest[point] = one
        if one.told_at_ns is not None and (before is None or before.told_at_ns != one.told_at_ns):
            insort(self.tellings.setdefault(one.asset, []), (one.told_at_ns, one.alarm_id))
        if is_silence(one):
            self.silences.setdefault(one.asset, set()).add(one.alarm_id)

    def _around(self, event: AlarmEvent, asset: str) -> Iterator[Alarm]:
        """The open alarms of an asset of which people may know as the cause of an event."""
        ids, at_ns = set(self.silences.get(asset, ())), event.at_ns
        if at_ns is not None:
            tellings = self.tellings.get(asset, [])
            first = bisect_left(tellings, (at_ns - ONE_CAUSE_NS, ""))
            ids.update(alarm_id for _, alarm_id in tellings[first : bisect_left(tellings, (at_ns + 1, ""))])
        around = self.assets.get(asset, {})
        return (around[alarm_id] for alarm_id in sorted(ids & around.keys()))

    def write(self) -> None:
        """Everything that has happened."""
        if self.changed:
            rows = [self._row(self.known[alarm_id]) for alarm_id in self.changed]
            source, parameters = self.connection.given(pl.DataFrame(rows, schema=_ALARM, orient="row"))
            changes = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
            self.connection.query(
                f"INSERT INTO hf_alarm ({', '.join(_ALARM)}) SELECT * FROM {source} AS a WHERE TRUE "
                f"ON CONFLICT (alarm_id) DO UPDATE SET {changes}",
                parameters,
            )
        self._ingest("hf_alarm_event", _EVENT, [_event(event, number) for event, number in self.events])
        write_notices(self.connection, self.outbox)

    def _ingest(self, table: str, schema: dict[str, pl.DataType], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self.connection.ingest(table, pl.DataFrame(rows, schema=schema, orient="row"))

    def _row(self, one: Alarm) -> tuple[Any, ...]:
        return (
            *(one.alarm_id, one.stream, one.rule, one.asset, one.channel, state_of(one), int(is_over(one))),
            *(one.severity, one.raised_at_ns, one.returned_at_ns, one.opened_at_ns, self.numbers[one.alarm_id]),
            msgspec.json.encode(one).decode(),
        )


def follow(
    connection: Connection, stream: str, changes: Sequence[Change], routing: Routing, instants: tuple[int, int]
) -> None:
    """What becomes of alarms because conditions have changed.

    Args:
        instants: when the rows were received, and now.
    """
    if not changes:
        return
    alarms = _Alarms(connection, stream, routing, *instants)
    alarms.load({change.condition.asset for change in changes})
    for change in changes:
        _changed(alarms, stream, change)
    alarms.write()


def act(connection: Connection, stream: str, routing: Routing, now_ns: int) -> int:
    """Take what people have asked for and has not been done yet, in the order of asking; how many actions there were."""
    connection.query(_BEGUN, [stream])
    alarms = _Alarms(connection, stream, routing, now_ns, now_ns)
    alarms.load(None)
    over = [action for one in alarms.known.values() if (action := expired(one, now_ns)) is not None]
    for action in over:
        _taken(alarms, stream, action, ())
    asked = connection.query(_PENDING, [stream])
    taken = []
    for action_id, action, point, change in asked.iter_rows():
        refusal = ""
        if change is not None:
            _changed(alarms, stream, msgspec.json.decode(change, type=Change))
        else:
            named = msgspec.json.decode(point, type=tuple[str, ...])
            refusal = _taken(alarms, stream, msgspec.json.decode(action, type=Action), named)
        taken.append((action_id, refusal))
    if taken:
        schema = {"action_id": _TEXT, "refusal": _TEXT}
        given, parameters = connection.given(pl.DataFrame(taken, schema=schema, orient="row"))
        connection.query(_TAKEN.format(given=given), parameters)
    alarms.write()
    return len(over) + asked.height


def due(connection: Connection, stream: str, now_ns: int) -> bool:
    """Whether there is anything to `act` on."""
    if connection.query(_PENDING, [stream]).height:
        return True
    shelved = connection.query(f"{_OPEN} AND state = 'SHELVED'", [stream])
    return any(expired(msgspec.json.decode(text, type=Alarm), now_ns) for text, _ in shelved.iter_rows())


def _changed(alarms: _Alarms, stream: str, change: Change) -> None:
    one = change.condition
    before = alarms.of(one.rule, one.asset, one.channel)
    after, events = after_change(before, stream, change, alarms.now_ns)
    if after is not None and (events or after is not before):
        known = before if before is not None and before.alarm_id == after.alarm_id else None
        alarms.take(known, after, events)


def _taken(alarms: _Alarms, stream: str, action: Action, point: tuple[str, ...]) -> str:
    """Take one action; why it is refused, empty where it is not."""
    before = alarms.known.get(action.alarm_id) or (alarms.of(*point) if point else None)
    if before is not None:
        came = after_action(before, action, alarms.now_ns)
    elif len(point) == 3:
        came = inhibited(stream, point[0], point[1], point[2], action, alarms.now_ns)
    else:
        came = Refusal("It is over: its condition has returned, and nobody is waited for.")
    if isinstance(came, Refusal):
        return came.why
    alarms.take(before, *came)
    return ""


def _point(one: Alarm) -> tuple[str, str, str]:
    return one.rule, one.asset, one.channel


def _age(one: Alarm) -> tuple[int, str]:
    return one.raised_at_ns or one.opened_at_ns, one.alarm_id


def _event(event: AlarmEvent, number: int) -> tuple[Any, ...]:
    return (
        *(event.alarm_id, number, event.what, event.at_ns, event.recorded_at_ns),
        *(event.who, event.comment, event.severity, event.state),
    )
