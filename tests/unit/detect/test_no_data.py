"""Silence: the example of the docstring, and every row judged once more, plainly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from hotfire.detect.model import AT_ONCE
from hotfire.testing.detector_suite import Row, detector_of, readings, seen, streams
from hotfire.testing.plainly import Told, by_asset, gates, told, turns

S = 10**9


def row(at: float, pressure: float | None = 5.0, phase: str | None = "steady") -> Row:
    return ("TRE-001", round(at * S), 0, phase, pressure, None, None, None)


def found_by(keys: str, rows: list[Row]) -> list[tuple[float, str | None]]:
    """Seconds and severities of the findings."""
    found = detector_of("no_data", keys).step({}, readings(rows))
    return [(one.at_ns / S, one.severity) for one in found]


def test_the_example() -> None:
    """A gap is told by the row that ends it, from the timeout on; a channel's silence by the first row past it."""
    raised, returned = detector_of("no_data", "timeout: 30 s").step({}, readings([row(0), row(1), row(45)]))
    assert (raised.at_ns, raised.severity, raised.value, raised.limit) == (31 * S, "warning", 44.0, 30.0)
    assert raised.message == "TRE-001: no data for 44 s, at most 30 (warning)"
    assert (returned.at_ns, returned.severity, returned.value) == (45 * S, None, None)
    rows = [row(0), row(20, None), row(31, None), row(40, 6)]
    raised, returned = detector_of("no_data", "channel: pressure, timeout: 30 s").step({}, readings(rows))
    assert (raised.at_ns, raised.channel, raised.value, raised.limit) == (31 * S, "pressure", 31.0, 30.0)
    assert raised.message == "TRE-001: no pressure for 31 s, at most 30 (warning)"
    assert (returned.at_ns, returned.severity) == (40 * S, None)


def test_the_timeout_itself_is_kept() -> None:
    """A row exactly at the timeout is in time."""
    assert found_by("timeout: 30 s", [row(0), row(30), row(60.000000001)]) == [(60, "warning"), (60.000000001, None)]


def test_whether_a_gap_counts_is_known_before_it() -> None:
    """An asset that was shut down may be silent; one that was running may not, whatever it does afterwards."""
    keys = "timeout: 30 s, while: phase = 'steady'"
    assert found_by(keys, [row(0, phase="standby"), row(100)]) == []
    assert found_by(keys, [row(0), row(1, phase=None), row(100, phase="standby")]) == [(31, "warning"), (100, None)]


def test_a_channel_that_never_had_a_value() -> None:
    """Its silence counts from the asset's first row, or from where the rule begins to hold."""
    rows = [row(n, None) for n in range(40)]
    assert found_by("channel: pressure, timeout: 30 s", rows) == [(31, "warning")]
    rows = [row(n, None, "standby") for n in range(40)] + [row(n, None) for n in range(40, 80)]
    assert found_by("channel: pressure, timeout: 30 s, while: phase = 'steady'", rows) == [(71, "warning")]


def test_a_value_is_a_value_whatever_the_phase() -> None:
    """Where it is unknown whether the rule holds, a value still ends a silence."""
    rows = [row(0), row(40, None), row(50, 5, None), row(60, None)]
    assert found_by("channel: pressure, timeout: 30 s, while: phase = 'steady'", rows) == [(40, "warning"), (50, None)]


def test_only_what_is_needed_is_remembered() -> None:
    """One instant an asset and channel; nothing where silence would not count."""
    states: dict[str, Any] = {}
    detector = detector_of("no_data", "timeout: 30 s, while: phase = 'steady'")
    detector.step(states, readings([row(0), row(1)]))
    assert states == {"TRE-001": {"_last": {"": S}}}
    detector.step(states, readings([row(2, phase="standby")]))
    assert states == {"TRE-001": {}}


@pytest.mark.parametrize("timeout_ns", [1, 400_000_000, 60_000_000_000])
@settings(max_examples=60)
@given(rows=streams())
def test_gaps_judged_plainly(timeout_ns: int, rows: list[Row]) -> None:
    """Every two rows of an asset that follow each other are compared."""
    keys = f"timeout: {timeout_ns} ns, while: phase = 'steady', settle: 200 ms"
    found = seen(detector_of("no_data", keys), rows, [])[0]
    expected: dict[str, list[Told]] = {}
    for asset, own in by_asset(rows).items():
        expected[asset], holds, before = [], False, 0
        for one, answer in zip(own, gates(own, is_steady, 200_000_000), strict=True):
            if holds and one["at"] - before > timeout_ns:
                expected[asset] += [(asset, "", before + timeout_ns, "warning"), (asset, "", one["at"], None)]
            holds, before = holds if answer is None else answer, one["at"]
    assert {asset: told(own) for asset, own in found.items()} == expected


@settings(max_examples=100)
@given(rows=streams())
def test_channels_judged_plainly(rows: list[Row]) -> None:
    """A channel's last value is looked up for every row."""
    keys = "channel: temperature, timeout: 500 ms, while: phase = 'steady'"
    found = seen(detector_of("no_data", keys), rows, [])[0]
    expected: dict[str, list[Told]] = {}
    for asset, own in by_asset(rows).items():
        said: list[tuple[int, list[int]]] = []
        since: int | None = None
        for one, holds in zip(own, gates(own, is_steady), strict=True):
            if holds is False:
                since = None
                said.append((one["at"], [-1]))
            elif one["temperature"] is not None:
                since = one["at"]
                said.append((one["at"], [-1]))
            elif holds:
                since = one["at"] if since is None else since
                said.append((one["at"], [1 if one["at"] - since > 500_000_000 else 0]))
        expected[asset] = list(turns((asset, "temperature"), ("warning",), AT_ONCE, said))
    assert {asset: told(own) for asset, own in found.items()} == expected


def is_steady(one: dict[str, Any]) -> bool | None:
    return None if one["phase"] is None else one["phase"] == "steady"
