"""The limit detector: the example of its docstring, and every row judged once more, plainly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from hotfire.detect.model import Delays
from hotfire.testing.detector_suite import Row, detector_of, readings, seen, streams
from hotfire.testing.plainly import Told, by_asset, gates, says_of, told, turns

S = 10**9


def rows_of(pressures: list[float | None], phase: str | None = "steady", begin: int = 0) -> list[Row]:
    """Readings of one engine, a second apart."""
    return [("TRE-001", (begin + n) * S, 0, phase, value, None, None, None) for n, value in enumerate(pressures)]


def found_by(keys: str, rows: list[Row]) -> list[tuple[int, str | None]]:
    """Seconds and severities of the findings."""
    found = detector_of("limit", keys).step({}, readings(rows))
    return [(one.at_ns // S, one.severity) for one in found]


def test_the_example() -> None:
    """Warning, critical, still critical within the deadband, warning again, normal; with values, limits and messages."""
    rows = rows_of([284, 286, 301, 299, 297, 282])
    keys = "channel: pressure, warning: {high: 285}, critical: {high: 300}, deadband: 2"
    found = detector_of("limit", keys).step({}, readings(rows))
    assert [(one.at_ns // S, one.severity, one.value, one.limit, one.message) for one in found] == [
        (1, "warning", 286.0, 285.0, "TRE-001: pressure is 286 bar, limit 285 (warning)"),
        (2, "critical", 301.0, 300.0, "TRE-001: pressure is 301 bar, limit 300 (critical)"),
        (4, "warning", 297.0, 285.0, "TRE-001: pressure is 297 bar, limit 285 (warning)"),
        (5, None, 282.0, None, ""),
    ]


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        ("warning: {low: 40}", [41, 40, 39.9, 40], [(2, "warning"), (3, None)]),
        ("warning: {high: 2}, critical: {low: -5}", [3, -6, 3], [(0, "warning"), (1, "critical"), (2, "warning")]),
        ("warning: {high: 2}, min_violations: 3", [3, 3, None, 1, 3, None, 3, 3, 0], [(7, "warning"), (8, None)]),
        ("warning: {high: 2}, on_delay: 2 s", [3, 3, 1, 3, 3, 3, 1], [(5, "warning"), (6, None)]),
        ("warning: {high: 2}, off_delay: 2 s", [3, 1, 1, 3, 1, 1, 1], [(0, "warning"), (6, None)]),
        ("warning: {high: 2}, deadband: 1, off_delay: 1 s", [3, 1, 1.5, 1, 1], [(0, "warning"), (4, None)]),
        ("warning: {high: 2}, for: 1 s, min_violations: 3", [3, 3, 3, 3], [(2, "warning")]),
    ],
)
def test_deadbands_and_delays(keys: str, values: list[float | None], expected: list[tuple[int, str | None]]) -> None:
    """A null neither breaks nor keeps a limit; a row within the deadband neither confirms it nor lets it go."""
    assert found_by(f"channel: pressure, {keys}", rows_of(values)) == expected


def test_a_limit_itself_is_kept() -> None:
    """A reading of exactly the limit does not break it, the next one beyond does."""
    assert found_by("channel: pressure, warning: {low: 1, high: 2}", rows_of([1, 2])) == []
    assert found_by("channel: pressure, warning: {low: 1, high: 2}", rows_of([2.0000000000000004])) == [(0, "warning")]


def test_the_first_context_replaces_the_limits() -> None:
    """In standby the limit of steady burns does not hold; an unknown phase has the rule's own limits."""
    keys = """channel: pressure, warning: {high: 2},
        context: [{when: phase = 'standby', critical: {high: 9}}, {when: phase <> 'steady', warning: {high: 1}}]"""
    rows = [*rows_of([5, 10], "standby"), *rows_of([1.5], "startup", 2), *rows_of([1.5, 3], None, 3)]
    assert found_by(keys, rows) == [(1, "critical"), (2, "warning"), (3, None), (4, "warning")]


def test_where_a_rule_does_not_hold_it_is_over() -> None:
    """A closed gate ends a condition, even where the channel has no value; an unknown one says nothing."""
    keys = "channel: pressure, warning: {high: 2}, while: phase = 'steady', settle: 2 s"
    rows = [
        *rows_of([3, 3, 3], "steady"),
        *rows_of([1], None, 3),
        *rows_of([None], "standby", 4),
        *rows_of([3, 3], "steady", 5),
        *rows_of([3], None, 7),
        *rows_of([3], "steady", 8),
    ]
    assert found_by(keys, rows) == [(2, "warning"), (4, None), (8, "warning")]


def test_several_channels_are_told_in_the_order_of_rows() -> None:
    """Each channel has conditions of its own, and findings come by row, then by channel."""
    rows: list[Row] = [("a", n * S, 0, None, *values, None, None) for n, values in enumerate([(1, 3), (3, 3), (3, 1)])]
    found = detector_of("limit", "channels: [pressure, inlet_pressure], warning: {high: 2}").step({}, readings(rows))
    assert [(one.at_ns // S, one.channel, one.severity) for one in found] == [
        (0, "inlet_pressure", "warning"),
        (1, "pressure", "warning"),
        (2, "inlet_pressure", None),
    ]


def test_late_rows_meet_bare_limits() -> None:
    """Every late row beyond the limit of its context is told, without delays; where the rule does not hold, none."""
    keys = """channel: pressure, warning: {high: 2}, critical: {high: 4}, min_violations: 9, deadband: 1,
        while: phase <> 'standby', settle: 1 h, context: [{when: phase = 'startup', critical: {high: 6}}]"""
    rows = [*rows_of([3, 5, None, 1], "steady"), *rows_of([5, 7], "startup", 4), *rows_of([9], "standby", 6)]
    found = detector_of("limit", keys).bare(readings([*rows, *rows_of([9], None, 7)]))
    assert [(one.at_ns // S, one.severity, one.limit) for one in found] == [
        (0, "warning", 2.0),
        (1, "critical", 4.0),
        (5, "critical", 6.0),
    ]


def test_what_is_quiet_is_not_remembered() -> None:
    """States are empty while nothing is wrong, whatever passed before."""
    states: dict[str, Any] = {}
    detector = detector_of("limit", "channel: pressure, warning: {high: 2}, min_violations: 3")
    detector.step(states, readings(rows_of([3, 3])))
    assert states == {"TRE-001": {"pressure": [[0, 0, 2]]}}
    detector.step(states, readings(rows_of([3, 1], begin=2)))
    assert states == {"TRE-001": {}}
    assert detector.step(states, readings(rows_of([1, 1], begin=4))) == []


TABLES: list[dict[str, tuple[float | None, float | None]]] = [
    {"watch": (0.6, None), "critical": (0.2, 3.0)},
    {"warning": (None, 1.2)},
]
KEYS = """channel: pressure, watch: {low: 0.6}, critical: {low: 0.2, high: 3}, deadband: 0.3, min_violations: 2,
    on_delay: 400 ms, off_delay: 600 ms, while: inlet_pressure < 3, settle: 300 ms,
    context: [{when: phase = 'standby', warning: {high: 1.2}}]"""


@settings(max_examples=150)
@given(rows=streams())
def test_every_row_judged_plainly(rows: list[Row]) -> None:
    """The detector finds what a comparator for each severity finds that looks at one row after another."""
    found = seen(detector_of("limit", KEYS), rows, [])[0]
    assert {asset: told(own) for asset, own in found.items()} == plainly(rows)


def below_3(row: dict[str, Any]) -> bool | None:
    return None if row["inlet_pressure"] is None else row["inlet_pressure"] < 3


def plainly(rows: list[Row]) -> dict[str, list[Told]]:
    found = {}
    delays = Delays(2, 400_000_000, 600_000_000)
    for asset, own in by_asset(rows).items():
        is_open = gates(own, below_3, 300_000_000)
        said = []
        for row, holds in zip(own, is_open, strict=True):
            table = TABLES[row["phase"] == "standby"]
            if holds is False:
                said.append((row["at"], [-1, -1, -1]))
            elif holds and row["pressure"] is not None:
                bounds = [table.get(one, (None, None)) for one in ("watch", "warning", "critical")]
                said.append((row["at"], [says_of(row["pressure"], one, 0.3) for one in bounds]))
        found[asset] = list(turns((asset, "pressure"), ("watch", "warning", "critical"), delays, said))
    return found
