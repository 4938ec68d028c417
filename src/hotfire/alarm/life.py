"""Alarms as a fold of changes of conditions and of actions: what the store does inside its transactions. Pure."""

from __future__ import annotations

import hashlib
import json

from msgspec import Struct
from msgspec.structs import replace

from hotfire.alarm.machine import Signal, Status, act, follow, state_name
from hotfire.alarm.model import HOTFIRE, Action, Alarm, AlarmEvent, AlarmState, EventName, Refusal
from hotfire.alarm.news import is_worse, tells
from hotfire.findings import SEVERITIES, Change, Condition

ONE_LIFE_NS = 10 * 60 * 10**9
"""A condition that is raised again so much event time after it returned, and nobody took note, is another alarm."""


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _Origin(Struct, frozen=True):
    """When and by whom something came about."""

    at_ns: int | None
    now_ns: int
    who: str = HOTFIRE
    comment: str = ""


def alarm_id(stream: str, rule: str, asset: str, channel: str, at_ns: int) -> str:
    """The name of the alarm of a rule, asset and channel that begins at an instant: 12 hexadecimal digits."""
    return _digest(stream, rule, asset, channel, at_ns)


def state_of(alarm: Alarm) -> AlarmState:
    """The name of the state that people see."""
    return state_name(_status(alarm))


def is_over(alarm: Alarm) -> bool:
    """Whether its life is over: the next condition of its rule, asset and channel is a new alarm."""
    return alarm.acknowledged and not (alarm.active or alarm.latched or alarm.inhibited_by)


def after_change(
    alarm: Alarm | None, stream: str, change: Change, now_ns: int
) -> tuple[Alarm | None, tuple[AlarmEvent, ...]]:
    """The alarm after its condition has changed, and what is recorded of it.

    A condition that is raised begins an alarm where none is open, or where that has returned long ago. One that is open follows its condition, whatever people
    have done to it. Only what is worse than ever before in its life takes an acknowledgement back.

    Args:
        alarm: the open alarm of the condition's rule, asset and channel; None where there is none.
        change: in the order in which they came about.
        now_ns: wall clock.
    """
    before = None if alarm is None or is_over(alarm) or _is_another(alarm, change) else alarm
    signal = _signal(before, change)
    if signal is None:
        return alarm, ()
    one = change.condition
    held = before or _blank(stream, (one.rule, one.asset, one.channel), one.raised_at_ns, now_ns)
    status, events = follow(_status(held), signal)
    if signal == "returned":
        after = replace(held, returned_at_ns=change.at_ns)
    else:
        after = replace(_seen(held, one), about=change.about, count=held.count + (signal == "raised"))
        if change.about.latch:
            status, _ = follow(status, "latches")
    return _recorded(before, _with(after, status), events, _Origin(change.at_ns, now_ns))


def after_action(alarm: Alarm, action: Action, now_ns: int) -> tuple[Alarm, tuple[AlarmEvent, ...]] | Refusal:
    """The alarm after an action, and what is recorded of it; or why the action is not taken.

    Args:
        now_ns: wall clock.
    """
    if is_over(alarm):
        return Refusal("It is over: its condition returned, and nobody is waited for.")
    if action.what == "unshelve" and action.until_ns not in (None, alarm.inhibited_until_ns):
        return Refusal("It was shelved anew meanwhile, until another instant.")
    return _acted(alarm, alarm, action, now_ns)


def inhibited(
    stream: str, rule: str, asset: str, channel: str, action: Action, now_ns: int
) -> tuple[Alarm, tuple[AlarmEvent, ...]] | Refusal:
    """An alarm that is there to be silent: a rule, asset and channel without an open one is shelved, suppressed or so.

    Its life ends with the inhibition, unless its condition was raised meanwhile. It is named by `action.asked_at_ns`.
    """
    blank = _blank(stream, (rule, asset, channel), action.asked_at_ns, now_ns)
    return _acted(None, replace(blank, raised_at_ns=None), action, now_ns)


def expired(alarm: Alarm, now_ns: int) -> Action | None:
    """What the wall clock does to an alarm whose shelve has ended: always the same action; None before its end."""
    until_ns = alarm.inhibited_until_ns
    if alarm.inhibited_by != "shelved" or until_ns is None or now_ns < until_ns:
        return None
    name = _digest("unshelve", alarm.alarm_id, until_ns)
    return Action(name, alarm.alarm_id, "unshelve", HOTFIRE, "The shelve has ended.", until_ns, until_ns)


def _is_another(alarm: Alarm, change: Change) -> bool:
    """Whether a condition is raised so long after an alarm has returned that it is another one (a branch of OPC UA part 9).

    The one before waits on for somebody to take note, or to reset it.
    """
    returned_at_ns = alarm.returned_at_ns
    quiet = not (alarm.active or alarm.inhibited_by) and returned_at_ns is not None
    return quiet and change.what == "raised" and change.at_ns - (returned_at_ns or 0) > ONE_LIFE_NS


def _signal(before: Alarm | None, change: Change) -> Signal | None:
    """What a change says to an alarm: any but a return says that the condition holds."""
    is_active = before is not None and before.active
    if change.what == "returned":
        return "returned" if is_active else None
    if before is None or not is_active:
        return "raised"
    return "worse" if is_worse(change.condition.severity, before.severity) else None


def _blank(stream: str, point: tuple[str, str, str], at_ns: int, now_ns: int) -> Alarm:
    """An alarm before anything has happened to it: as one that is over."""
    name = alarm_id(stream, *point, at_ns)
    status = Status()
    return Alarm(
        name, stream, *point, SEVERITIES[0], at_ns, now_ns, active=False, acknowledged=status.acknowledged, count=0
    )


def _seen(held: Alarm, one: Condition) -> Alarm:
    """The alarm with what its condition shows, where that is the worst so far."""
    if held.count == 0:
        held = replace(held, raised_at_ns=one.raised_at_ns)
    elif not is_worse(one.severity, held.severity):
        return held
    return replace(held, severity=one.severity, value=one.value, limit=one.limit, message=one.message)


def _acted(
    before: Alarm | None, alarm: Alarm, action: Action, now_ns: int
) -> tuple[Alarm, tuple[AlarmEvent, ...]] | Refusal:
    acted = act(_status(alarm), action.what)
    if isinstance(acted, Refusal):
        return acted
    if action.what in ("shelve", "suppress", "out_of_service") and not action.comment.strip():
        return Refusal("Silence needs a reason: others will ask for it.")
    if action.what == "shelve" and (action.until_ns is None or action.until_ns <= now_ns):
        return Refusal("A shelve needs an end that is still to come.")
    status, events = acted
    until_ns = action.until_ns if action.what == "shelve" else alarm.inhibited_until_ns
    after = replace(_with(alarm, status), inhibited_until_ns=until_ns if status.inhibited_by == "shelved" else None)
    return _recorded(before, after, events, _Origin(None, now_ns, action.who, action.comment))


def _recorded(
    before: Alarm | None, after: Alarm, events: tuple[EventName, ...], origin: _Origin
) -> tuple[Alarm, tuple[AlarmEvent, ...]]:
    """The events, and the alarm with what people are told of them."""
    state = state_of(after)
    when = (origin.at_ns, origin.now_ns, origin.who, origin.comment)
    recorded = tuple(AlarmEvent(after.alarm_id, what, *when, after.severity, state) for what in events)
    if any(tells(one, before) for one in recorded):
        told_at_ns = origin.at_ns if after.active and origin.at_ns is not None else after.told_at_ns
        after = replace(after, told="raised" if after.active else "returned", told_at_ns=told_at_ns, cause="")
    return after, recorded


def _status(alarm: Alarm) -> Status:
    return Status(alarm.active, alarm.acknowledged, alarm.latched, alarm.inhibited_by)


def _with(alarm: Alarm, status: Status) -> Alarm:
    return replace(
        alarm,
        active=status.active,
        acknowledged=status.acknowledged,
        latched=status.latched,
        inhibited_by=status.inhibited_by,
    )


def _digest(*parts: str | int) -> str:
    return hashlib.sha256(_JSON(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
