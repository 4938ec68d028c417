"""Rates of change: the example of the docstring, and every row judged once more, plainly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from hotfire.detect.model import Delays
from hotfire.testing.detector_suite import Row, detector_of, readings, seen, streams
from hotfire.testing.plainly import Told, by_asset, gates, says_of, told, turns

S = 10**9


def rows_of(values: dict[float, float | None], phase: str = "steady") -> list[Row]:
    """Temperatures of one engine by second."""
    return [("TRE-001", round(at * S), 0, phase, None, None, value, None) for at, value in values.items()]


def found_by(keys: str, rows: list[Row]) -> list[tuple[float, str | None, float | None]]:
    """Seconds, severities and rates of the findings."""
    found = detector_of("rate_of_change", f"channel: temperature, {keys}").step({}, readings(rows))
    return [(one.at_ns / S, one.severity, one.value) for one in found]


def test_the_example() -> None:
    """The rate is taken over two seconds: 1, 5.5, 10 and 5.5 degC/s."""
    rows = rows_of(dict(enumerate([500, 501, 502, 512, 522, 523])))
    detector = detector_of("rate_of_change", "channel: temperature, warning: {high: 3}, over: 2 s")
    (found,) = detector.step({}, readings(rows))
    assert (found.at_ns, found.severity, found.value, found.limit) == (3 * S, "warning", 5.5, 3.0)
    assert found.message == "TRE-001: temperature changes by 5.5 degC/s, limit 3 (warning)"
    assert found_by("warning: {high: 5.5}, over: 2 s", rows) == [(4, "warning", 10.0), (5, None, 5.5)]
    assert found_by("warning: {high: 9.9}, over: 2 s", rows)[0] == (4, "warning", 10.0)


def test_neighbours() -> None:
    """Without `over` each value is compared with the one before it, nulls between them or not."""
    rows = rows_of({0: 1, 1: 2, 2: None, 3: 8, 4: 4, 5: 4})
    limits = "warning: {high: 2}, critical: {low: -3}"
    assert found_by(limits, rows) == [(3, "warning", 3.0), (4, "critical", -4.0), (5, None, 0.0)]


def test_at_one_instant_nothing_changes() -> None:
    """Rows of the same instant (other keys) have no rate among them; the last of them counts for what follows."""
    rows = rows_of({0: 1}) + rows_of({0: 100}) + rows_of({1: 101})
    assert found_by("warning: {high: 2}", rows) == []


@pytest.mark.parametrize(
    ("unit", "high", "raised"), [("degC/min", 179, True), ("K/min", 181, False), ("degF/s", 5.3, True)]
)
def test_the_unit_of_the_rate(unit: str, high: float, *, raised: bool) -> None:
    """A limit in another unit is converted to the channel's unit a second: 3 degC/s is 180 degC/min and 5.4 degF/s."""
    found = found_by(f"warning: {{high: {high}}}, unit: {unit}", rows_of({0: 0, 1: 3}))
    assert found == ([(1, "warning", 3.0)] if raised else [])


def test_a_gap_gives_no_rate() -> None:
    """A value more than twice `over` ago is no anchor; a condition waits until there are rates again."""
    rows = rows_of({0: 0, 1: 0, 2: 10, 9: 90, 10: 90, 11: 90})
    assert found_by("warning: {high: 3}, over: 1 s", rows) == [(2, "warning", 10.0), (10, None, 0.0)]
    assert found_by("warning: {high: 3}, over: 3500 ms", rows) == [(9, "warning", 80 / 7)]


def test_a_closed_gate_forgets() -> None:
    """What was seen before the rule held is no anchor."""
    rows = rows_of({0: 0, 1: 0}) + rows_of({2: 50}, "standby") + rows_of({3: 100, 4: 101})
    keys = "warning: {high: 3}, while: phase = 'steady'"
    assert found_by(keys, rows) == []
    assert found_by("warning: {high: 3}", rows) == [(2, "warning", 50.0), (4, None, 1.0)]


def test_memory_does_not_grow_with_the_rate() -> None:
    """Of 20,000 rows in ten seconds 64 values are kept, and one for each end."""
    rows: list[Row] = [("a", n * 500_000, 0, None, None, None, float(n), None) for n in range(20_000)]
    detector = detector_of("rate_of_change", "channel: temperature, warning: {high: 1.9e+300}, over: 10 s")
    states: dict[str, Any] = {}
    detector.step(states, readings(rows))
    times, values = states["a"]["_seen"]["temperature"]
    assert 64 <= len(times) == len(values) <= 66
    assert len(msgspec.json.encode(states)) < 3_000


def test_centuries_apart() -> None:
    """An instant of 1678 and one of 2200 are so far apart that their difference has no int64."""
    rows: list[Row] = [("a", at, 0, None, None, None, value, None) for at, value in [(-(2**63), 1.0), (2**62, 3.0)]]
    detector = detector_of("rate_of_change", "channel: temperature, warning: {high: 0.01}")
    assert [one.value for one in detector.step({}, readings(rows))] == []
    rows[1] = ("a", 2**62, 0, None, None, None, 1e300, None)
    assert [one.value for one in detector.step({}, readings(rows))] == [1e300 / ((2**63 + 2**62) / 1e9)]


@pytest.mark.parametrize("assets", [3, 60])
def test_many_long_windows(assets: int) -> None:
    """Where the windows of all assets together are longer than an int64 of nanoseconds, each is judged by itself."""
    year = 365 * 86_400 * S
    rows: list[Row] = [
        (f"a{asset:02}", n * year, 0, None, None, None, float(n * n), None)
        for asset in range(assets)
        for n in range(40)
    ]
    detector = detector_of("rate_of_change", "channel: temperature, unit: degC/d, warning: {high: 0.1}, over: 1000 d")
    found = detector.step({}, readings(rows))
    assert {one.asset for one in found} == {row[0] for row in rows}
    assert {(one.at_ns, one.value) for one in found} == {(20 * year, (20**2 - 17**2) / (3 * year / 1e9))}


@pytest.mark.parametrize("over_ns", [0, 1, 640, 300_000_000, 1_000_000_000])
@settings(max_examples=60)
@given(rows=streams())
def test_every_row_judged_plainly(over_ns: int, rows: list[Row]) -> None:
    """The anchor is found among all earlier values, bin by bin."""
    over = f"over: {over_ns} ns, " if over_ns else ""
    keys = f"channel: temperature, {over}watch: {{low: -1}}, warning: {{high: 0.4}}, deadband: 0.2, min_violations: 2"
    detector = detector_of("rate_of_change", f"{keys}, while: phase = 'steady'")
    found = seen(detector, rows, [])[0]
    assert {asset: told(own) for asset, own in found.items()} == plainly(rows, over_ns)


def plainly(rows: list[Row], over_ns: int) -> dict[str, list[Told]]:
    found = {}
    for asset, own in by_asset(rows).items():
        said, values = [], list[tuple[int, float]]()
        for row, holds in zip(own, gates(own, is_steady), strict=True):
            if holds is False:
                values.clear()
                said.append((row["at"], [-1, -1]))
            elif holds and row["temperature"] is not None:
                values.append((row["at"], row["temperature"]))
                rate = rate_of(values, over_ns)
                if rate is not None:
                    said.append((row["at"], [says_of(rate, (-1, None), 0.2), says_of(rate, (None, 0.4), 0.2)]))
        found[asset] = list(turns((asset, "temperature"), ("watch", "warning"), Delays(2), said))
    return found


def is_steady(row: dict[str, Any]) -> bool | None:
    return None if row["phase"] is None else row["phase"] == "steady"


def rate_of(values: list[tuple[int, float]], over_ns: int) -> float | None:
    now, value = values[-1]
    width = max(1, over_ns // 64)
    kept = [one for one, after in pairwise(values) if one[0] // width != after[0] // width]
    old = [one for one in kept if now - one[0] >= (over_ns or 1)]
    if not old or (over_ns and now - old[-1][0] > 2 * over_ns):
        return None
    return max(-1.8e308, min(1.8e308, (value - old[-1][1]) / ((now - old[-1][0]) / 1e9)))
