"""Who is told of what happens to an alarm, and in which words. Pure: what is told is sent from the outbox, later."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from hotfire.alarm.model import Alarm, AlarmEvent, EventName
from hotfire.findings import SEVERITIES

PAGE_HORIZON_NS = 15 * 60 * 1_000_000_000
"""What is further back pages no one (G9)."""

_BEGINNINGS = frozenset({"TRIGGERED", "SEVERITY_INCREASED"})
_RESUMPTIONS = frozenset({"UNSHELVED", "UNSUPPRESSED", "RETURNED_TO_SERVICE"})
_INHIBITIONS = frozenset({"SHELVED", "SUPPRESSED", "OUT_OF_SERVICE"})
_SILENT = frozenset({"SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"})

TOLD: tuple[EventName, ...] = (
    *("TRIGGERED", "SEVERITY_INCREASED", "CLEARED"),
    *("UNSHELVED", "UNSUPPRESSED", "RETURNED_TO_SERVICE"),
)
"""The events that a target is told of where nothing else is set. The last three only of alarms that are still active."""


class Notice(Struct, frozen=True):
    """What one target is told.

    Attributes:
        key: the same whenever the notice is sent, another for every event and target.
        target: the name of its route.
        alarm_id: empty in a summary of several.
        what: the event; `SUMMARY` of several.
        severity: of the alarm; the worst of several.
        body: a CloudEvents 1.0 event as JSON; its id is the key.
        created_at_ns: wall clock.
    """

    key: str
    target: str
    alarm_id: str
    what: str
    severity: str
    body: str
    created_at_ns: int


class Route(Struct, frozen=True):
    """What one target is told of.

    Attributes:
        name: of the target.
        streams, assets, rules: patterns as of file names, of which one must match each.
        what: events.
    """

    name: str
    min_severity: str = "watch"
    streams: tuple[str, ...] = ("*",)
    assets: tuple[str, ...] = ("*",)
    rules: tuple[str, ...] = ("*",)
    what: tuple[EventName, ...] = TOLD


class Maintenance(Struct, frozen=True):
    """A window in which nobody is told: of what happens from `since_ns` to before `until_ns`.

    Attributes:
        streams, assets: patterns as of file names, of which one must match each.
    """

    since_ns: int
    until_ns: int
    streams: tuple[str, ...] = ("*",)
    assets: tuple[str, ...] = ("*",)
    reason: str = ""


class Routing(Struct, frozen=True):
    """What decides who is told.

    Attributes:
        page_horizon_ns: what happened longer ago than this, when it was received, is told to nobody.
    """

    workspace: str
    routes: tuple[Route, ...]
    maintenance: tuple[Maintenance, ...] = ()
    page_horizon_ns: int = PAGE_HORIZON_NS


class Happened(Struct, frozen=True):
    """One event of an alarm, with what else decides who is told of it.

    Attributes:
        alarm: as the event left it.
        number: counts the events of the alarm.
        received_at_ns: wall clock: when the rows that brought it about were received, or a person asked for it.
        told: targets that have a notice of this alarm already.
    """

    event: AlarmEvent
    alarm: Alarm
    number: int
    received_at_ns: int
    told: Collection[str] = ()


def notices(happened: Happened, routing: Routing) -> list[Notice]:
    """What is told of an event, to whom: at most one notice a route.

    A route that matches is told of the beginning of an alarm, of its growing worse, and of its being heard again where it
    is still active and nobody has acknowledged it. Of everything else only who was told of the alarm before.
    """
    if _is_silent(happened) or _is_past(happened, routing) or _is_maintained(happened, routing):
        return []
    return [_notice(happened, route.name, routing.workspace) for route in routing.routes if _concerns(happened, route)]


def instant(at_ns: int) -> str:
    """An instant as ISO 8601 in UTC, with as many of nine decimals as it needs."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}{decimals}Z"


def envelope(key: str, source: str, what: str, time: str, data: dict[str, Any], subject: str = "") -> str:
    """A CloudEvents 1.0 event in the JSON format (https://github.com/cloudevents/spec, version 1.0.2)."""
    event = {
        "specversion": "1.0",
        "id": key,
        "source": source,
        "type": f"hotfire.alarm.{what.lower()}",
        "time": time,
        **({"subject": subject} if subject else {}),
        "datacontenttype": "application/json",
        "data": data,
    }
    return msgspec.json.encode(event).decode()


def key_of(*parts: object) -> str:
    """32 hexadecimal digits that stand for the parts, and for no others."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def rank(severity: str) -> int:
    """How bad a severity is, from 0."""
    return SEVERITIES.index(severity)


def _is_silent(happened: Happened) -> bool:
    """Whether the alarm is inhibited, or was heard of again without need."""
    event, alarm = happened.event, happened.alarm
    if event.what in _RESUMPTIONS and (alarm.acknowledged or not alarm.active):
        return True
    return event.state in _SILENT and event.what not in _INHIBITIONS


def _is_past(happened: Happened, routing: Routing) -> bool:
    """Whether it happened too long before it was received (G9).

    What a person or the wall clock does happens now; but an alarm that was past when it was raised stays so.
    """
    event, alarm = happened.event, happened.alarm
    if event.at_ns is not None:
        return happened.received_at_ns - event.at_ns > routing.page_horizon_ns
    raised_at_ns = alarm.opened_at_ns if alarm.raised_at_ns is None else alarm.raised_at_ns
    return event.what != "TRIGGERED" and alarm.opened_at_ns - raised_at_ns > routing.page_horizon_ns


def _is_maintained(happened: Happened, routing: Routing) -> bool:
    event, alarm = happened.event, happened.alarm
    at_ns = event.recorded_at_ns if event.at_ns is None else event.at_ns
    return any(
        one.since_ns <= at_ns < one.until_ns
        and _matches(alarm.stream, one.streams)
        and _matches(alarm.asset, one.assets)
        for one in routing.maintenance
    )


def _concerns(happened: Happened, route: Route) -> bool:
    event, alarm = happened.event, happened.alarm
    if event.what not in route.what:
        return False
    if event.what not in _BEGINNINGS | _RESUMPTIONS:
        return route.name in happened.told
    return (
        rank(alarm.severity) >= rank(route.min_severity)
        and _matches(alarm.stream, route.streams)
        and _matches(alarm.asset, route.assets)
        and _matches(alarm.rule, route.rules)
    )


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _notice(happened: Happened, target: str, workspace: str) -> Notice:
    event, alarm = happened.event, happened.alarm
    key = key_of(alarm.alarm_id, happened.number, event.what, target)
    at_ns = event.recorded_at_ns if event.at_ns is None else event.at_ns
    source = f"/hotfire/{quote(workspace, safe='')}/{quote(alarm.stream, safe='')}"
    body = envelope(key, source, event.what, instant(at_ns), _data(event, alarm), alarm.asset)
    return Notice(key, target, alarm.alarm_id, event.what, alarm.severity, body, event.recorded_at_ns)


def _data(event: AlarmEvent, alarm: Alarm) -> dict[str, Any]:
    """What is told of an alarm, under the names that `hotfire alarm list --json` has for it."""
    return {
        "alarm_id": alarm.alarm_id,
        "stream": alarm.stream,
        "rule": alarm.rule,
        "asset": alarm.asset,
        "channel": alarm.channel,
        "state": event.state,
        "severity": alarm.severity,
        "raised_at": None if alarm.raised_at_ns is None else instant(alarm.raised_at_ns),
        "returned_at": None if alarm.returned_at_ns is None else instant(alarm.returned_at_ns),
        "value": alarm.value,
        "limit": alarm.limit,
        "message": alarm.message,
        "runbook": alarm.about.runbook,
        "owner": alarm.about.owner,
        "who": event.who,
        "comment": event.comment,
    }
