"""A flood of notices to one target: a few of them, and one summary of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from hotfire.alarm.notices import Notice, envelope, instant, key_of, rank

WINDOW_NS = 10 * 60 * 1_000_000_000
AT_MOST = 10
"""So many notices a window are sent to a target one by one."""

GATHER_NS = 10 * 1_000_000_000
"""So long the first of the rest waits for others, so that a summary tells how large the flood is, where it may go on."""

SUMMARY = "SUMMARY"
_SHOWN = 100
_LISTED = 8

_Event: TypeAlias = dict[str, Any]


class Pending(Struct, frozen=True):
    """A notice that is to be sent.

    Attributes:
        tries: attempts that have failed.
    """

    notice: Notice
    tries: int = 0


class Sent(Struct, frozen=True):
    """One thing that a target was sent, at one severity.

    Attributes:
        key: of what was sent: of a notice, or of a summary.
        at_ns: wall clock.
        severity: of a notice that it covered.
        summary: whether it was one.
    """

    key: str
    at_ns: int
    severity: str
    summary: bool


class Sending(Struct, frozen=True):
    """One thing to send.

    Attributes:
        covers: the pending notices that it tells of, by key; of a notice it is its own.
        tries: attempts at any of them that have failed.
    """

    notice: Notice
    covers: tuple[str, ...]
    tries: int = 0


def digested(
    pending: Sequence[Pending], sent_recently: Iterable[Sent], now_ns: int, gather_ns: int = GATHER_NS
) -> list[Sending]:
    """What one target is sent now: each pending notice in one thing at most, what is in none stays pending.

    Up to 10 notices in 10 minutes go one by one, of more than can go the worst ones; the rest goes together, in one summary in
    10 minutes. A notice worse than everything that the target was told in these 10 minutes never waits.

    Args:
        gather_ns: so long the first of the rest waits for others; nothing where there will be no others.
    """
    recent = [one for one in sent_recently if 0 <= now_ns - one.at_ns < WINDOW_NS]
    room = max(0, AT_MOST - len({one.key for one in recent if not one.summary}))
    worst_first = sorted(pending, key=lambda one: (-rank(one.notice.severity), *_age(one)))
    alone, rest = worst_first[:room], worst_first[room:]
    loudest = max((rank(severity) for severity in _severities(recent, alone)), default=-1)
    if rest and rank(rest[0].notice.severity) > loudest:
        alone.append(rest.pop(0))
    sendings = [Sending(one.notice, (one.notice.key,), one.tries) for one in sorted(alone, key=_age)]
    return sendings + ([_summary(rest)] if _summary_is_due(rest, recent, now_ns, gather_ns) else [])


def _age(one: Pending) -> tuple[int, str]:
    return one.notice.created_at_ns, one.notice.key


def _severities(recent: Iterable[Sent], alone: Iterable[Pending]) -> Iterable[str]:
    return {one.severity for one in recent} | {one.notice.severity for one in alone}


def _summary_is_due(rest: Sequence[Pending], recent: Iterable[Sent], now_ns: int, gather_ns: int) -> bool:
    if not rest or any(one.summary for one in recent):
        return False
    return not 0 <= now_ns - min(one.notice.created_at_ns for one in rest) < gather_ns


def _summary(rest: Sequence[Pending]) -> Sending:
    """One notice that stands for many, the worst of them first."""
    worst = rest[0].notice
    covers = tuple(sorted(one.notice.key for one in rest))
    key = key_of(SUMMARY, worst.target, *covers)
    events: list[_Event] = [msgspec.json.decode(one.notice.body) for one in rest]
    sources = sorted({event["source"] for event in events})
    source = sources[0] if len(sources) == 1 else sources[0].rpartition("/")[0]
    created = [one.notice.created_at_ns for one in rest]
    data = _told(events, [one.notice.what for one in rest], worst.severity, min(created))
    body = envelope(key, source, SUMMARY, instant(max(created)), data)
    return Sending(Notice(key, worst.target, "", SUMMARY, worst.severity, body, max(created)), covers, _tries(rest))


def _tries(rest: Iterable[Pending]) -> int:
    return max(one.tries for one in rest)


def _told(events: Sequence[_Event], what: Iterable[str], severity: str, since_ns: int) -> dict[str, Any]:
    alarms = {event["data"]["alarm_id"]: event["data"] for event in events}
    rules = Counter(data["rule"] for data in alarms.values())
    since = instant(since_ns)
    plural = "s" if len(alarms) > 1 else ""
    counted = ", ".join(f"{count} x {rule}" for rule, count in rules.most_common(_LISTED))
    others = f" and {len(rules) - _LISTED} more rules" if len(rules) > _LISTED else ""
    return {
        "message": f"{len(alarms)} more alarm{plural} since {since[:10]} {since[11:16]} UTC: {counted}{others}",
        "severity": severity,
        "since": since,
        "notices": len(events),
        "alarms": len(alarms),
        "events": dict(Counter(what)),
        "rules": dict(rules.most_common(_SHOWN)),
        "assets": dict(Counter(data["asset"] for data in alarms.values()).most_common(_SHOWN)),
        "alarm_ids": list(alarms)[:_SHOWN],
    }
