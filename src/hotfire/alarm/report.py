"""Whether alarms are such that people can live with them: rates, floods, chatter, bad actors. Pure; times are event times.

Example (tests/unit/alarm/test_report.py): 11 alarms, one every 30 s, are one flood of 11; 10 are none. An alarm raised at
0, 20 and 59 s chatters, one raised at 0, 20 and 60 s does not.

Reference: the measures, and the figures they are held against, are those of EEMUA 191 and ANSI/ISA-18.2 (IEC 62682), taken
from secondary sources: about 1 alarm in 10 minutes and operator, a flood above 10 in 10 minutes, priorities of about 80,
15 and 5 %. What the standards leave open is said beside each constant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from hotfire.findings import SEVERITIES

MINUTE_NS = 60 * 10**9
FLOOD_NS, FLOOD_MOST = 10 * MINUTE_NS, 10
"""More alarms than this in so much time, for each operator, are a flood."""
CHATTER_NS, CHATTER_LEAST = MINUTE_NS, 3
"""The same alarm, raised so often in so much time, chatters."""
FLEETING_NS = 10 * 10**9
"""An alarm that is active for less than this, and does not chatter, is fleeting: it is over before anybody can look. The
length is our choice."""
LONG_NS = 24 * 60 * MINUTE_NS
"""An alarm that is active for more than this is long-standing."""
SILENT = ("SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE")
"""In these states an alarm is not heard: being raised in them does not count."""
TOP = 10
PRIORITIES: Mapping[str, tuple[Sequence[str], float]] = {
    "low": (SEVERITIES[:2], 0.80),
    "medium": (SEVERITIES[2:3], 0.15),
    "high": (SEVERITIES[3:], 0.05),
}
"""The severities that count as each priority, and the recommended share of it. Which severities those are is our choice."""

_T = TypeVar("_T", bound=tuple[str, ...])
Point = tuple[str, str, str, str]
"""Stream, rule, asset and channel."""


class Activation(Struct, frozen=True):
    """One time that an alarm was active.

    Attributes:
        severity: the worst in that time.
        returned_at_ns: None: it still is.
        is_heard: nothing kept it silent when it was raised.
    """

    point: Point
    severity: str
    raised_at_ns: int
    returned_at_ns: int | None = None
    is_heard: bool = True


class Turn(Struct, frozen=True):
    """An event of an alarm that rows brought about: it became active, or worse, or returned.

    Attributes:
        severity, state: of the alarm after it.
    """

    alarm_id: str
    point: Point
    what: str
    at_ns: int
    severity: str
    state: str


class Flood(Struct, frozen=True):
    """More alarms than somebody can look at.

    Attributes:
        since_ns, until_ns: of its first and its last alarm.
        alarms: how many there were in it.
        peak: the most in 10 minutes.
    """

    since_ns: int
    until_ns: int
    alarms: int
    peak: int


class Chatter(Struct, frozen=True):
    """One alarm that came and went.

    Attributes:
        alarms: how often it was raised in minutes in which it chattered.
        peak: the most in one minute.
    """

    point: Point
    since_ns: int
    until_ns: int
    alarms: int
    peak: int


class Hygiene(Struct, frozen=True):
    """What there is to say of the alarms of some time.

    Attributes:
        silent: how often others were raised while something kept them silent; nothing else counts those.
        hours: how long that was.
        per_hour, per_10_min: the latter for each operator; None where it was no time at all.
        peak_10_min: the most in any 10 minutes.
        fleeting: the most frequent first.
        long_standing: the longest first.
        priorities: by name, how many.
        rules, assets: the most frequent ones, by stream and name.
    """

    alarms: int
    silent: int
    hours: float
    per_hour: float | None
    per_10_min: float | None
    peak_10_min: int
    floods: Sequence[Flood]
    chattering: Sequence[Chatter]
    fleeting: Sequence[tuple[Point, int]]
    long_standing: Sequence[Activation]
    severities: Mapping[str, int]
    priorities: Mapping[str, int]
    rules: Sequence[tuple[tuple[str, str], int]]
    assets: Sequence[tuple[tuple[str, str], int]]


def activations(turns: Iterable[Turn]) -> list[Activation]:
    """Each time that alarms were active.

    Args:
        turns: of one alarm after the other, each one's in order.
    """
    found: list[Activation] = []
    alarm_id = ""
    for one in turns:
        if one.what == "TRIGGERED":
            alarm_id = one.alarm_id
            found.append(Activation(one.point, one.severity, one.at_ns, is_heard=one.state not in SILENT))
        elif found and one.alarm_id == alarm_id:
            returned_at_ns = one.at_ns if one.what == "RTN" else None
            found[-1] = replace(found[-1], severity=one.severity, returned_at_ns=returned_at_ns)
    return found


def hygiene(active: Iterable[Activation], since_ns: int, until_ns: int, operators: int = 1) -> Hygiene:
    """Judge the alarms that were raised from `since_ns` up to and with `until_ns`.

    Args:
        active: in any order; of those that were raised before, only the long-standing ones count.
        operators: who share them.
    """
    raised = sorted(active, key=lambda one: (one.raised_at_ns, one.point))
    everything, unheard = [one for one in raised if one.is_heard], [one for one in raised if not one.is_heard]
    own = [one for one in everything if since_ns <= one.raised_at_ns <= until_ns]
    times, minutes = [one.raised_at_ns for one in own], (until_ns - since_ns) / MINUTE_NS
    by_point: dict[Point, list[Activation]] = {}
    for one in own:
        by_point.setdefault(one.point, []).append(one)
    chatter = [found for point, some in by_point.items() if (found := _chatter(point, some)) is not None]
    severities = Counter(one.severity for one in own)
    return Hygiene(
        alarms=len(own),
        silent=sum(since_ns <= one.raised_at_ns <= until_ns for one in unheard),
        hours=minutes / 60,
        per_hour=len(own) / (minutes / 60) if minutes else None,
        per_10_min=len(own) / (minutes / 10) / operators if minutes else None,
        peak_10_min=max((len(window) for window in _windows(times, FLOOD_NS)), default=0),
        floods=list(_floods(times, FLOOD_MOST * operators)),
        chattering=sorted(chatter, key=lambda one: (-one.alarms, one.point)),
        fleeting=_most(Counter({point: _fleeting(some) for point, some in by_point.items()})),
        long_standing=_long(everything, since_ns, until_ns),
        severities={name: severities[name] for name in SEVERITIES},
        priorities={name: sum(severities[one] for one in some) for name, (some, _) in PRIORITIES.items()},
        rules=_most(Counter((one.point[0], one.point[1]) for one in own))[:TOP],
        assets=_most(Counter((one.point[0], one.point[2]) for one in own))[:TOP],
    )


def _windows(times: Sequence[int], length_ns: int) -> Iterator[range]:
    """For each instant, the numbers of those that lie less than a length before it, and its own."""
    first = 0
    for last, at_ns in enumerate(times):
        while times[first] <= at_ns - length_ns:
            first += 1
        yield range(first, last + 1)


def _runs(times: Sequence[int], length_ns: int, least: int) -> Iterator[tuple[range, int]]:
    """Instants of which there are at least so many in a length of time: each run of them, and the most in one length."""
    run, peak = range(0), 0
    for window in _windows(times, length_ns):
        if len(window) < least:
            continue
        if run and window.start >= run.stop:
            yield run, peak
            run, peak = range(0), 0
        run = range(run.start if run else window.start, window.stop)
        peak = max(peak, len(window))
    if run:
        yield run, peak


def _floods(times: Sequence[int], most: int) -> Iterator[Flood]:
    for run, peak in _runs(times, FLOOD_NS, most + 1):
        yield Flood(times[run.start], times[run.stop - 1], len(run), peak)


def _chatter(point: Point, some: Sequence[Activation]) -> Chatter | None:
    """How one alarm chatters; None where it does not."""
    times = [one.raised_at_ns for one in some]
    runs = list(_runs(times, CHATTER_NS, CHATTER_LEAST))
    if not runs:
        return None
    first, last = times[runs[0][0].start], times[runs[-1][0].stop - 1]
    return Chatter(point, first, last, sum(len(run) for run, _ in runs), max(peak for _, peak in runs))


def _fleeting(some: Sequence[Activation]) -> int:
    """How often one alarm was active for a moment only, chatter apart."""
    runs = _runs([one.raised_at_ns for one in some], CHATTER_NS, CHATTER_LEAST)
    chattering = {number for run, _ in runs for number in run}
    return sum(
        one.returned_at_ns is not None and one.returned_at_ns - one.raised_at_ns < FLEETING_NS
        for number, one in enumerate(some)
        if number not in chattering
    )


def _long(everything: Iterable[Activation], since_ns: int, until_ns: int) -> list[Activation]:
    """Those that were active for long, at some time from one instant to the other; the longest first."""
    found = []
    for one in everything:
        end_ns = until_ns if one.returned_at_ns is None else min(one.returned_at_ns, until_ns)
        if end_ns >= since_ns and end_ns - one.raised_at_ns > LONG_NS:
            found.append((one.raised_at_ns - end_ns, one.point, one))
    return [one for _, _, one in sorted(found, key=lambda item: item[:2])]


def _most(counts: Counter[_T]) -> list[tuple[_T, int]]:
    return sorted(((one, number) for one, number in counts.items() if number), key=lambda item: (-item[1], item[0]))
