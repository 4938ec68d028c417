"""What of an alarm is news to people: what they are told at all, and of how many alarms with one cause."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from hotfire.alarm.model import Alarm, AlarmEvent
from hotfire.findings import SEVERITIES

ONE_CAUSE_NS = 60 * 10**9
"""Alarms of one asset that are raised within so much event time have one cause."""

_SILENT = ("SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE")
_HEARD_AGAIN = ("UNSHELVED", "UNSUPPRESSED", "RETURNED_TO_SERVICE")


def tells(event: AlarmEvent, before: Alarm | None) -> bool:
    """Whether people are told of an event at all: whether something is asked of them, or nothing any more.

    An alarm that comes and goes is told of when it is raised, when it first returns, and when it is raised again. After
    that it waits for somebody to take note, in silence, unless it becomes worse: what was told last stays true.

    Args:
        before: the alarm before the event; None where it begins with it.
    """
    if event.state in _SILENT:
        return False
    if event.what == "SEVERITY_INCREASED" or before is None:
        return event.what in ("SEVERITY_INCREASED", "TRIGGERED")
    if event.what == "TRIGGERED":
        return before.acknowledged or before.told != "raised" or is_worse(event.severity, before.severity)
    if event.what == "RTN":
        return event.state != "NORMAL" and (before.acknowledged or (before.told == "raised" and before.count == 1))
    if event.what == "CLEARED":
        return before.told != ""
    return event.what in _HEARD_AGAIN and event.state in ("UNACK_ALARM", "LATCH_UNACK")


def cause_of(event: AlarmEvent, alarm: Alarm, others: Iterable[Alarm], window_ns: int = ONE_CAUSE_NS) -> Alarm | None:
    """The alarm that people know of already as the cause of one that is raised; None: they have to be told of this one.

    A silent channel has its silent asset as cause, for as long as that is so. Everything else has the first alarm of the
    same asset that people were told of within the window before, if it is at least as severe. That a whole asset is silent
    is always told.

    Args:
        event: `TRIGGERED`; of everything else people are told.
        alarm: after the event.
        others: open alarms, of any assets.
    """
    if event.what != "TRIGGERED" or is_silence(alarm):
        return None
    around = [
        one
        for one in others
        if (one.stream, one.asset) == (alarm.stream, alarm.asset) and one.alarm_id != alarm.alarm_id
    ]
    if alarm.about.detector == "no_data":
        for one in around:
            if one.active and is_silence(one):
                return one
    known = [
        one
        for one in around
        if _told_within(one, event.at_ns, window_ns) and not is_worse(alarm.severity, one.severity)
    ]
    return min(known, key=lambda one: (one.told_at_ns, one.alarm_id), default=None)


def untold(alarm: Alarm, before: Alarm | None, cause: Alarm | None = None) -> Alarm:
    """The alarm after an event of which people are not told after all: what they know of it stays as it was.

    Args:
        before: the alarm before the event; None where it begins with it.
        cause: the alarm that they know of instead.
    """
    told, told_at_ns = ("", None) if before is None else (before.told, before.told_at_ns)
    return replace(alarm, told=told, told_at_ns=told_at_ns, cause=cause.alarm_id if cause else "")


def is_silence(alarm: Alarm) -> bool:
    """Whether it says of a whole asset that no rows come."""
    return alarm.about.detector == "no_data" and not alarm.channel


def is_worse(severity: str, than: str) -> bool:
    """Whether one severity is worse than another."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def _told_within(alarm: Alarm, at_ns: int | None, window_ns: int) -> bool:
    return at_ns is not None and alarm.told_at_ns is not None and 0 <= at_ns - alarm.told_at_ns <= window_ns
