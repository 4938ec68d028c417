"""The hygiene report: exact numbers for floods, chatter, fleeting and long-standing alarms, rates and shares."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.alarm.report import (
    CHATTER_NS,
    FLEETING_NS,
    FLOOD_MOST,
    FLOOD_NS,
    LONG_NS,
    PRIORITIES,
    Activation,
    Flood,
    Hygiene,
    Point,
    Turn,
    activations,
    hygiene,
)
from hotfire.findings import SEVERITIES

S, HOUR = 10**9, 3600
A: Point = ("engines", "pressure.limit", "TRE-001", "pressure")
B: Point = ("engines", "pressure.limit", "TRE-002", "pressure")
C: Point = ("engines", "starved", "TRE-002", "")


def active(at_s: float, for_s: float | None = 60, point: Point = A, severity: str = "warning") -> Activation:
    """An alarm that was active from one second on, for so many; None: it still is."""
    at_ns = int(at_s * S)
    return Activation(point, severity, at_ns, None if for_s is None else at_ns + int(for_s * S))


def at(*seconds: float, point: Point = A) -> list[Activation]:
    return [active(one, point=point) for one in seconds]


def judged(some: Sequence[Activation], hours: float = 1, operators: int = 1) -> Hygiene:
    return hygiene(some, 0, int(hours * HOUR * S), operators)


def test_eleven_in_ten_minutes_are_a_flood_and_ten_are_none() -> None:
    """More than 10: the flood lasts from its first to its last alarm, and counts them all."""
    assert not judged(at(*range(0, 300, 30))).floods
    assert judged(at(*range(0, 330, 30))).floods == [Flood(0, 300 * S, 11, 11)]


def test_the_ten_minutes_of_a_flood_may_begin_at_any_alarm() -> None:
    """They slide; the eleventh exactly 10 minutes after the first is too late."""
    assert not judged(at(*range(0, 601, 60))).floods
    assert judged(at(*range(0, 600, 60), 599.9)).floods == [Flood(0, int(599.9 * S), 11, 11)]
    assert judged(at(0, *range(500, 1050, 50))).floods == [Flood(500 * S, 1000 * S, 11, 11)]


def test_one_flood_goes_on_and_two_are_two() -> None:
    """40 alarms at one a 30 s are one flood with 20 in any 10 minutes; an hour later there is another one."""
    first, second = at(*range(0, 1200, 30)), at(*range(5000, 5330, 30))
    assert judged([*second, *first], hours=2).floods == [
        Flood(0, 1170 * S, 40, 20),
        Flood(5000 * S, 5300 * S, 11, 11),
    ]


def test_two_operators_take_twice_as_much() -> None:
    """20 alarms in 10 minutes are no flood for two; 21 are, and each of them has 10.5."""
    twenty = at(*range(0, 500, 25))
    assert judged(twenty).floods
    assert not judged(twenty, operators=2).floods
    found = judged([*twenty, *at(510)], hours=1 / 6, operators=2)
    assert (found.floods[0].alarms, found.per_10_min) == (21, 10.5)


def test_rates_are_by_the_length_of_the_time() -> None:
    """24 alarms in 2 hours are 12 an hour and 2 in 10 minutes, and the busiest 10 minutes had 4."""
    found = judged(at(*range(0, 2 * HOUR - 1, 300), point=A)[:20] + at(10, 20, 7000, 7100, point=B), hours=2)
    assert (found.alarms, found.hours, found.per_hour, found.per_10_min, found.peak_10_min) == (24, 2, 12, 2, 4)


def test_no_time_has_no_rate() -> None:
    """One alarm, and nothing known before or after it."""
    found = hygiene(at(5), 5 * S, 5 * S)
    assert (found.alarms, found.hours, found.per_hour, found.per_10_min) == (1, 0, None, None)


def test_three_in_a_minute_chatter() -> None:
    """The same alarm, the third less than a minute after the first; others beside it are others."""
    assert not judged(at(0, 20, 60)).chattering
    assert not judged([*at(0, 30), *at(10, 40, point=B)]).chattering
    found = judged([*at(0, 20, 59, 500), *at(100, point=B)]).chattering
    assert [(one.point, one.since_ns, one.until_ns, one.alarms, one.peak) for one in found] == [(A, 0, 59 * S, 3, 3)]


def test_chatter_is_counted_over_all_its_minutes() -> None:
    """10 Hz for a minute, and again later: all of it, and the most in one minute."""
    fast = [number / 10 for number in range(600)]
    found = judged(at(*fast, *(1000 + one for one in fast), 3000)).chattering
    assert [(one.alarms, one.peak, one.until_ns) for one in found] == [(1200, 600, int(1059.9 * S))]


def test_fleeting_is_short_and_does_not_chatter() -> None:
    """Active for less than 10 s; one that chatters is told of there, one that still is active is not over."""
    found = judged([active(0, 9.9), active(100, 10), active(200, None), active(300, 1, B), active(500, 2, B)])
    assert found.fleeting == [(B, 2), (A, 1)]
    assert not judged([active(0, 1), active(10, 1), active(20, 1)]).fleeting


def test_long_standing_is_longer_than_a_day() -> None:
    """Those still active count up to the end; one that was raised before the time, too; the longest comes first."""
    day = 24 * HOUR
    still, ended, exactly, before = (
        active(0, None),
        active(10, day + 1, B),
        active(0, day, C),
        active(-9 * day, 10 * day),
    )
    found = hygiene([exactly, ended, still, before], 0, 2 * day * S)
    assert found.long_standing == [before, still, ended]
    assert found.alarms == 3
    assert not hygiene([still], 0, day * S).long_standing
    assert not hygiene([before], 2 * day * S, 3 * day * S).long_standing


def test_severities_become_priorities() -> None:
    """Watch and warning are low, distress is medium, critical and severe are high."""
    names = ["watch"] * 5 + ["warning"] * 3 + ["distress"] * 4 + ["critical"] * 2 + ["severe"]
    found = judged([active(100 * number, severity=name) for number, name in enumerate(names)])
    assert found.severities == {"watch": 5, "warning": 3, "distress": 4, "critical": 2, "severe": 1}
    assert found.priorities == {"low": 8, "medium": 4, "high": 3}
    assert [name for some, _ in PRIORITIES.values() for name in some] == [*SEVERITIES]
    assert sum(share for _, share in PRIORITIES.values()) == pytest.approx(1)


def test_the_top_ten_are_the_most_frequent() -> None:
    """By rule and by asset, each over all of the other; equal numbers in order of their names."""
    some = [*at(0, 100, point=A), *at(50, point=B), *at(60, 70, 80, point=C)]
    found = judged(some)
    assert found.rules == [(("engines", "pressure.limit"), 3), (("engines", "starved"), 3)]
    assert found.assets == [(("engines", "TRE-002"), 4), (("engines", "TRE-001"), 2)]
    many = [active(number, point=("s", f"rule{number:02}", "a", "")) for number in range(12)]
    assert [name for (_, name), _ in judged(many).rules] == [f"rule{number:02}" for number in range(10)]


def test_only_what_was_raised_in_the_time_counts() -> None:
    """Its first and its last instant are part of it."""
    found = hygiene(at(9.9, 10, 15, 20, 20.1), 10 * S, 20 * S)
    assert found.alarms == 3


def turn(what: str, at_s: int, severity: str = "warning", state: str = "UNACK_ALARM", alarm_id: str = "a") -> Turn:
    return Turn(alarm_id, A, what, at_s * S, severity, state)


def test_turns_become_activations() -> None:
    """Each from being raised to having returned, as severe as it became; a new one for each time."""
    found = activations(
        [
            turn("TRIGGERED", 0),
            turn("SEVERITY_INCREASED", 3, "critical"),
            turn("RTN", 5, "critical", "RTN_UNACK"),
            turn("TRIGGERED", 9, "critical"),
            turn("TRIGGERED", 20, alarm_id="b"),
            turn("RTN", 21, alarm_id="b"),
        ]
    )
    assert found == [active(0, 5, severity="critical"), active(9, None, severity="critical"), active(20, 1)]


@pytest.mark.parametrize("state", ["SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"])
def test_what_is_raised_in_silence_is_counted_apart(state: str) -> None:
    """Nobody hears it; what comes after it is heard again."""
    turns = [turn("TRIGGERED", 0, state=state), turn("RTN", 5, state=state), turn("TRIGGERED", 9), turn("RTN", 10)]
    found = judged(activations(turns))
    assert (found.alarms, found.silent, found.fleeting) == (1, 1, [(A, 1)])


@given(st.lists(st.integers(0, 4000), max_size=60))
def test_floods_hold_exactly_the_windows_with_too_many(times: list[int]) -> None:
    """An alarm is in a flood where, and only where, some 10 minutes with more than 10 alarms hold it."""
    found = judged(at(*times), hours=2)
    inside = [one * S for one in times if any(flood.since_ns <= one * S <= flood.until_ns for flood in found.floods)]
    windows = [[other * S for other in times if one - FLOOD_NS // S < other <= one] for one in times]
    full = {at_ns for window in windows if len(window) > FLOOD_MOST for at_ns in window}
    assert set(inside) == full
    assert sum(flood.alarms for flood in found.floods) == len(inside)
    assert found.peak_10_min == max(map(len, windows), default=0)


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 100_000), st.sampled_from([A, B, C])), max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_order_of_alarms_means_nothing(some: list[tuple[int, int, Point]], random: object) -> None:
    """The report is the same however they come, and its parts add up."""
    alarms = [active(at_s, for_s, point) for at_s, for_s, point in some]
    shuffled = [*alarms]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = judged(alarms)
    assert judged(shuffled) == found
    assert sum(found.severities.values()) == sum(found.priorities.values()) == found.alarms == len(alarms)
    assert sum(number for _, number in found.rules) == len(alarms)
    short = sum((one.returned_at_ns or 0) - one.raised_at_ns < FLEETING_NS for one in alarms)
    assert sum(number for _, number in found.fleeting) <= short
    assert all((one.until_ns - one.since_ns) >= 0 and one.alarms >= one.peak >= 3 for one in found.chattering)
    assert (CHATTER_NS, LONG_NS) == (60 * S, 86_400 * S)
