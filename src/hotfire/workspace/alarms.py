"""The alarms of a workspace as people ask for them: listed, found by what they are called, and one with all its events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct, field

from hotfire.alarm.life import is_over, state_of
from hotfire.alarm.model import Action, Alarm, AlarmState, EventName
from hotfire.alarm.notices import rank
from hotfire.clock import iso
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.workspace.wiring import Workspace

_ID = re.compile(r"[0-9a-f]{1,12}")
_TAKEN_BACK = ("TRIGGERED", "SEVERITY_INCREASED")
_INHIBITIONS = {"shelved": "SHELVED", "suppressed": "SUPPRESSED", "out_of_service": "OUT_OF_SERVICE"}


class Note(Struct, frozen=True):
    """What somebody did to an alarm.

    Attributes:
        at_ns: wall clock.
        comment: the reason, where it made the alarm silent.
    """

    who: str
    at_ns: int
    comment: str


class Listed(Struct, frozen=True):
    """An alarm, and what people did that still holds.

    Attributes:
        acknowledgement: None where it is not acknowledged, or nobody had to.
        inhibition: None where nothing keeps it silent.
    """

    alarm: Alarm
    acknowledgement: Note | None = None
    inhibition: Note | None = None

    @property
    def state(self) -> AlarmState:
        """The name of its state."""
        return state_of(self.alarm)

    @property
    def is_open(self) -> bool:
        """Whether it asks for attention: it is active or not acknowledged, and nothing keeps it silent."""
        one = self.alarm
        return not one.inhibited_by and (one.active or not one.acknowledged)


class Happening(Struct, frozen=True):
    """One event of an alarm.

    Attributes:
        at_ns: event time; None where a person or the wall clock brought it about.
        recorded_at_ns: wall clock.
    """

    number: int
    what: EventName
    at_ns: int | None
    recorded_at_ns: int
    who: str
    comment: str
    severity: str
    state: AlarmState


class Shown(Struct, frozen=True):
    """Everything about one alarm.

    Attributes:
        asked: actions that nobody has taken yet, in the order of asking.
    """

    listed: Listed
    happenings: Sequence[Happening]
    asked: Sequence[Action] = field(default=())


def listed(workspace: Workspace, streams: Iterable[str], *, over: bool = False) -> list[Listed]:
    """The alarms of some streams, the worst first, equally bad ones in order of time.

    Args:
        over: those that are over, too.
    """
    found: list[Listed] = []
    for stream in streams:
        texts = workspace.store.query("alarms" if over else "alarms_open", stream=stream)
        notes = _notes(workspace, stream, over=over) if texts.height else {}
        found += [_listed(_alarm(text), notes) for text in texts.to_series()] if texts.height else []
    return sorted(found, key=lambda one: _place(one.alarm))


def shown(workspace: Workspace, alarm: Alarm) -> Shown:
    """Everything about one alarm."""
    rows = workspace.store.query("alarm_events", alarm_id=alarm.alarm_id).rows(named=True)
    happenings = [Happening(**row) for row in rows]
    notes = _folded((alarm.alarm_id, one.what, one.recorded_at_ns, one.who, one.comment) for one in happenings)
    return Shown(_listed(alarm, notes), happenings, list(_asked(workspace, alarm)))


def by_id(workspace: Workspace, text: str) -> Alarm:
    """The one alarm whose id begins so. UserError where there is none, or several."""
    if not _ID.fullmatch(text):
        raise UserError(
            f"{text} names no alarm.", "Name it by the beginning of its id, as `hotfire alarm list` shows it."
        )
    found = [_alarm(one) for one in _texts(workspace, "alarms_named", first_id=text, end_id=f"{text}g")]
    if not found:
        raise UserError(f"There is no alarm {text}.", "Those that are over are in `hotfire alarm list --all`.")
    if len(found) > 1:
        ids = ", ".join(one.alarm_id for one in found)
        raise UserError(f"Several alarms begin with {text}: {ids}.", "Write some more of its id.")
    return found[0]


def open_alarms(workspace: Workspace, stream: str) -> list[Alarm]:
    """The alarms of a stream that are not over, in no order."""
    return [_alarm(text) for text in _texts(workspace, "alarms_open", stream=stream)]


def newest(workspace: Workspace, stream: str, point: tuple[str, str, str]) -> Alarm | None:
    """The newest alarm of a rule, asset and channel, one that is not over before all others; None where there is none."""
    names = dict(zip(("rule", "asset", "channel"), point, strict=True))
    found = [_alarm(text) for text in _texts(workspace, "alarms_of_point", stream=stream, **names)]
    return max(found, key=lambda one: (not is_over(one), one.raised_at_ns or one.opened_at_ns), default=None)


def document(one: Listed) -> dict[str, Any]:
    """An alarm as JSON has it everywhere."""
    alarm = one.alarm
    return {
        "alarm_id": alarm.alarm_id,
        "rule": alarm.rule,
        "asset": alarm.asset,
        "channel": alarm.channel or None,
        "state": one.state,
        "severity": alarm.severity,
        "raised_at": _iso(alarm.raised_at_ns),
        "returned_at": _iso(alarm.returned_at_ns),
        "value": alarm.value,
        "message": alarm.message,
        "stream": alarm.stream,
        "limit": alarm.limit,
        "active": alarm.active,
        "acknowledged": alarm.acknowledged,
        "latched": alarm.latched,
        "count": alarm.count,
        "cause": alarm.cause or None,
        "runbook": alarm.about.runbook or None,
        "owner": alarm.about.owner or None,
        "acknowledgement": _note(one.acknowledgement),
        "inhibition": _inhibition(one),
    }


def whole_document(one: Shown) -> dict[str, Any]:
    """Everything about an alarm as JSON has it."""
    events = [
        {
            "number": each.number,
            "what": each.what,
            "at": _iso(each.at_ns),
            "recorded_at": iso(each.recorded_at_ns),
            **{name: getattr(each, name) for name in ("who", "comment", "severity", "state")},
        }
        for each in one.happenings
    ]
    asked = [
        {"action": each.what, "who": each.who, "comment": each.comment, "asked_at": iso(each.asked_at_ns)}
        for each in one.asked
    ]
    return {**document(one.listed), "events": events, "asked": asked}


def _alarm(text: str) -> Alarm:
    return msgspec.json.decode(text, type=Alarm)


def _texts(workspace: Workspace, query: str, **parameters: Any) -> list[str]:
    return cast("list[str]", workspace.store.query(query, **parameters).to_series().to_list())


def _place(alarm: Alarm) -> tuple[int, bool, int, str]:
    raised_at_ns = alarm.raised_at_ns
    return -rank(alarm.severity), raised_at_ns is None, raised_at_ns or alarm.opened_at_ns, alarm.alarm_id


def _listed(alarm: Alarm, notes: Mapping[str, Mapping[str, Note]]) -> Listed:
    own = notes.get(alarm.alarm_id, {})
    inhibition = own.get(_INHIBITIONS[alarm.inhibited_by]) if alarm.inhibited_by else None
    return Listed(alarm, own.get("ACKNOWLEDGED") if alarm.acknowledged else None, inhibition)


def _notes(workspace: Workspace, stream: str, *, over: bool) -> Mapping[str, Mapping[str, Note]]:
    return _folded(workspace.store.query("alarm_notes" if over else "alarm_notes_open", stream=stream).iter_rows())


def _folded(events: Iterable[tuple[str, str, int, str, str]]) -> Mapping[str, Mapping[str, Note]]:
    """By alarm and event, the last one that still holds: an alarm that came again, or became worse, has lost its acknowledgement."""
    notes: dict[str, dict[str, Note]] = {}
    for alarm_id, what, at_ns, who, comment in events:
        own = notes.setdefault(alarm_id, {})
        if what in _TAKEN_BACK:
            own.pop("ACKNOWLEDGED", None)
        else:
            own[what] = Note(who, at_ns, comment)
    return notes


def _asked(workspace: Workspace, alarm: Alarm) -> Iterator[Action]:
    point = [alarm.rule, alarm.asset, alarm.channel]
    for text, named in workspace.store.query("alarm_actions_pending", stream=alarm.stream).iter_rows():
        action = msgspec.json.decode(text, type=Action)
        if action.alarm_id == alarm.alarm_id or (not action.alarm_id and msgspec.json.decode(named) == point):
            yield action


def _inhibition(one: Listed) -> dict[str, Any] | None:
    alarm = one.alarm
    if not alarm.inhibited_by:
        return None
    who = _note(one.inhibition) or {"who": None, "at": None, "comment": None}
    return {"by": alarm.inhibited_by, "until": _iso(alarm.inhibited_until_ns), **who}


def _note(one: Note | None) -> dict[str, Any] | None:
    return None if one is None else {"who": one.who, "at": iso(one.at_ns), "comment": one.comment}


def _iso(at_ns: int | None) -> str | None:
    return None if at_ns is None else iso(at_ns)
