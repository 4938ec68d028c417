"""Channels that stand still: the example of the docstring, and every row judged once more, plainly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from hotfire.detect.model import AT_ONCE
from hotfire.testing.detector_suite import Row, detector_of, readings, seen, streams
from hotfire.testing.plainly import Told, by_asset, gates, told, turns

S = 10**9


def row(at: float, temperature: float | None, pressure: float | None = None, phase: str | None = "steady") -> Row:
    return ("TRE-001", round(at * S), 0, phase, pressure, None, temperature, None)


def found_by(keys: str, rows: list[Row]) -> list[tuple[float, str | None]]:
    """Seconds and severities of the findings."""
    found = detector_of("stuck", f"channel: temperature, {keys}").step({}, readings(rows))
    return [(one.at_ns / S, one.severity) for one in found]


def test_the_example() -> None:
    """Found after 30 s; with a sibling that stands still, too, only 30 s after that has moved again."""
    rows = [row(at, 500.0, 80.0 + at if at < 5 or at >= 60 else 85.0) for at in range(100)]
    (found,) = detector_of("stuck", "channel: temperature, for: 30 s").step({}, readings(rows))
    assert (found.at_ns, found.severity, found.value, found.limit) == (30 * S, "warning", 500.0, None)
    assert found.message == "TRE-001: temperature stands still at 500 degC (warning)"
    assert found_by("for: 30 s, siblings: [pressure]", rows) == [(89, "warning")]
    assert found_by("for: 30 s, siblings: [pressure]", rows[:60]) == []


def test_it_takes_rows_and_time() -> None:
    """A value that was repeated once is not stuck, however long ago it was; nor are many rows in no time."""
    assert found_by("for: 10 s", [row(0, 5), row(100, 5)]) == []
    assert found_by("for: 10 s, min_rows: 2", [row(0, 5), row(100, 5)]) == [(100, "warning")]
    assert found_by("for: 10 s, min_rows: 2", [row(n / 10, 5) for n in range(100)]) == []
    assert found_by("for: 9 s", [row(n, 5) for n in range(10)]) == [(9, "warning")]


def test_the_first_other_value_ends_it() -> None:
    """A null is no other value; a sibling that stops changes nothing of what was found."""
    rows = (
        [row(n, 5, n) for n in range(12)] + [row(n, None, 12) for n in range(12, 20)] + [row(20, 5, 12), row(21, 6, 12)]
    )
    assert found_by("for: 9 s, siblings: [pressure]", rows) == [(9, "warning"), (21, None)]


def test_a_slow_drift_is_no_stillness() -> None:
    """Steps within the tolerance add up: the first value of a run is what counts."""
    rows = [row(n, 5 + n / 10) for n in range(100)]
    assert found_by("for: 9 s, min_rows: 2, tolerance: 0.85", rows) == []
    assert found_by("for: 8 s, min_rows: 2, tolerance: 0.85", rows)[:3] == [(8, "warning"), (9, None), (17, "warning")]


def test_a_start_up_is_no_stillness() -> None:
    """After an hour of standby, in which all stand still, a channel that follows the others two rows later is well."""
    rows = [row(n, 20, 1) for n in range(3600)] + [row(3600 + n, 20 + max(0, n - 2), 1 + n) for n in range(1, 60)]
    assert found_by("for: 30 s, siblings: [pressure]", rows) == []
    assert found_by("for: 30 s", rows) == [(30, "warning"), (3603, None)]


def test_a_silent_sibling_vouches_for_nothing() -> None:
    """Where no sibling has values, a channel is judged alone."""
    assert found_by("for: 30 s, siblings: [pressure]", [row(n, 5) for n in range(40)]) == [(30, "warning")]


def test_several_vouch_for_each_other() -> None:
    """A channel in its own list of siblings does not vouch for itself."""
    rows: list[Row] = [("a", n * S, 0, None, 5.0, float(n), 7.0 + n, None) for n in range(40)]
    names = "[pressure, inlet_pressure]"
    found = detector_of("stuck", f"channels: {names}, siblings: {names}, for: 30 s").step({}, readings(rows))
    assert [(one.channel, one.at_ns // S) for one in found] == [("pressure", 30)]


def test_a_closed_gate_forgets() -> None:
    """Standing still counts from where the rule begins to hold; where it does not, all is well."""
    rows = [row(n, 5) for n in range(20)] + [row(20, 5, phase="standby")] + [row(n, 5) for n in range(21, 50)]
    assert found_by("for: 10 s, while: phase = 'steady'", rows) == [(10, "warning"), (20, None), (31, "warning")]


@pytest.mark.parametrize(
    ("keys", "tolerance", "siblings"),
    [
        ("min_rows: 3", 0.0, []),
        ("min_rows: 3, tolerance: 0.6", 0.6, []),
        ("min_rows: 3, siblings: [inlet_pressure, valve]", 0.0, ["inlet_pressure", "valve"]),
        ("min_rows: 3, siblings: [inlet_pressure], tolerance: 50, unit: kPa", 0.5, ["inlet_pressure"]),
    ],
)
@settings(max_examples=80)
@given(rows=streams(120))
def test_every_row_judged_plainly(keys: str, tolerance: float, siblings: list[str], rows: list[Row]) -> None:
    """Runs are told apart by looking at one value after another."""
    detector = detector_of("stuck", f"channel: pressure, for: 1 s, while: phase <> 'standby', {keys}")
    found = seen(detector, rows, [])[0]
    assert {asset: told(own) for asset, own in found.items()} == plainly(rows, tolerance, siblings)


class Run:
    """Values near the first of them."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance, self.first = tolerance, None
        self.since_ns = self.until_ns = self.count = 0

    def take(self, at_ns: int, value: float) -> bool:
        """Whether the value begins another run."""
        differs = self.first is None or abs(value - self.first) > self.tolerance
        if differs:
            self.first, self.since_ns, self.count = value, at_ns, 0
        self.until_ns, self.count = at_ns, self.count + 1
        return differs


def plainly(rows: list[Row], tolerance: float, siblings: list[str]) -> dict[str, list[Told]]:
    found = {}
    for asset, own in by_asset(rows).items():
        said = []
        runs = {name: Run(tolerance) for name in ("pressure", *siblings)}
        for one, holds in zip(own, gates(own, no_standby), strict=True):
            for name in siblings:
                if one[name] is not None:
                    runs[name].take(one["at"], one[name])
            stand = [runs[name].count and runs[name].until_ns - runs[name].since_ns >= S // 2 for name in siblings]
            run = runs["pressure"]
            if holds is False:
                runs["pressure"] = Run(tolerance)
                said.append((one["at"], [-1]))
            elif holds and one["pressure"] is not None:
                differs = run.take(one["at"], one["pressure"])
                if stand and all(stand):
                    run.since_ns, run.count = one["at"], 1
                is_long = one["at"] - run.since_ns >= S and run.count >= 3
                said.append((one["at"], [1 if is_long else -1 if differs else 0]))
        found[asset] = list(turns((asset, "pressure"), ("warning",), AT_ONCE, said))
    return found


def no_standby(one: dict[str, Any]) -> bool | None:
    return None if one["phase"] is None else one["phase"] != "standby"
