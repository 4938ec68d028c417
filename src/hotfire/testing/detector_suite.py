"""What every detector must do, whatever it looks for. Inherited by the tests of each, in hotfire and outside of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random
from typing import Any, TypeAlias

import msgspec
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Column, Contract
from hotfire.detect import DETECTORS
from hotfire.detect.model import Readings, State
from hotfire.detect.rules import compiled
from hotfire.findings import SEVERITIES, Finding
from hotfire.protocols import Detector

BURNS = Contract(
    "burns",
    "1.0.0",
    "telemetry",
    (
        Column("engine", "string", required=True),
        Column("at", "timestamp", required=True),
        Column("channel_set", "integer", required=True),
        Column("phase", "string"),
        Column("pressure", "number", unit="bar"),
        Column("inlet_pressure", "number", unit="bar"),
        Column("temperature", "number", unit="degC"),
        Column("valve", "integer"),
    ),
    asset="engine",
    time="at",
    key=("channel_set",),
)
"""The contract of the readings that detectors are tried with. Their times begin at 0; most are 0.25 s apart."""

QUARTER_NS = 250_000_000
HARD = (0.0, -0.0, 1.0, 5e-324, -2.2e-308, 1e300, -1e300, 1.7976931348623157e308)
"""Numbers that arithmetic stumbles over."""

Row: TypeAlias = tuple[str, int, int, str | None, float | None, float | None, float | None, int | None]
Seen: TypeAlias = tuple[dict[str, list[Finding]], dict[str, State]]
"""Findings and states, by asset."""

_LEVELS = (None, 0.0, 0.5, 1.0, 1.0, 1.1, 1.5, 2.0, 3.0, 4.0, 6.0)
_ASSETS = ("TRE-001", "TRE-002", "TRE-010", "ä", "")
_GAPS = (0, 1, QUARTER_NS, QUARTER_NS, QUARTER_NS, QUARTER_NS, 4 * QUARTER_NS, 240 * QUARTER_NS, 10**16, 10**17)
_ONCE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]


@st.composite
def streams(draw: st.DrawFn, most: int = 60) -> list[Row]:
    """Rows of `BURNS` in the order in which they come: assets interleaved, nulls, gaps, plateaus, huge values."""
    chance = Random(draw(st.integers(0, 2**32)))  # noqa: S311 - chance with a seed is chance that can be repeated
    calm, assets, size = draw(st.booleans()), draw(st.integers(1, len(_ASSETS))), draw(st.integers(0, most))
    clocks = dict.fromkeys(_ASSETS, draw(st.sampled_from([0, -(10**18), 1_772_359_200 * 10**9])))
    kept: dict[str, list[Any]] = {asset: ["steady", 1.0, 1.0, 1.0, 1] for asset in _ASSETS}
    rows = []
    for number in range(size):
        asset = _ASSETS[chance.randrange(assets)]
        clocks[asset] += chance.choice(_GAPS[:7] if calm else _GAPS)
        values = kept[asset]
        for index in range(1, 4):
            if chance.random() < (0.25 if calm else 0.5):
                values[index] = chance.choice(_LEVELS if chance.random() < 0.9 else HARD)
        values[0] = chance.choice([values[0]] * 6 + ["steady", "standby", None])
        values[4] = chance.choice([values[4]] * 4 + [None, 1, 2, -(2**62)])
        rows.append((asset, clocks[asset], number, *values))
    return rows


class DetectorSuite:
    """Needs the fixture `detector`: one detector, compiled for `BURNS`."""

    @settings(max_examples=40, suppress_health_check=_ONCE)
    @given(rows=streams(), data=st.data())
    def test_where_batches_are_cut_means_nothing(
        self, detector: Detector, rows: list[Row], data: st.DataObject
    ) -> None:
        """Findings and final states are the same to the bit, row by row, by the seven, cut anywhere, and in one piece."""
        whole = seen(detector, rows, [])
        anywhere = data.draw(st.lists(st.integers(0, len(rows)), max_size=9))
        for cuts in (range(1, len(rows)), range(7, len(rows), 7), range(997, len(rows), 997), anywhere):
            assert bits(seen(detector, rows, cuts)) == bits(whole)

    @settings(max_examples=20, suppress_health_check=_ONCE)
    @given(rows=streams())
    def test_the_same_rows_give_the_same(self, detector: Detector, rows: list[Row]) -> None:
        """What it finds depends on nothing but the rows, also where other assets are between them."""
        whole = seen(detector, rows, [])
        assert bits(seen(detector, rows, [])) == bits(whole)
        for asset in {row[0] for row in rows}:
            alone = seen(detector, [row for row in rows if row[0] == asset], [])
            assert bits(alone) == bits(({asset: whole[0][asset]}, {asset: whole[1][asset]}))

    @settings(max_examples=30, suppress_health_check=_ONCE)
    @given(rows=streams())
    def test_findings_are_in_order(self, detector: Detector, rows: list[Row]) -> None:
        """Of one asset and channel they never go back in time, and each says something else than the one before."""
        for asset, findings in seen(detector, rows, [])[0].items():
            levels: dict[str, Finding] = {}
            for one in findings:
                before = levels.get(one.channel)
                assert one.rule == detector.rule.name
                assert one.asset == asset
                assert one.channel in (*detector.rule.channels, "")
                assert one.severity is None or one.severity in SEVERITIES
                assert (one.severity is None) == (one.message == "")
                assert one.severity != (before.severity if before else None)
                assert before is None or before.at_ns <= one.at_ns
                levels[one.channel] = one

    @settings(max_examples=30, suppress_health_check=_ONCE)
    @given(rows=streams())
    def test_late_rows_leave_nothing_behind(self, detector: Detector, rows: list[Row]) -> None:
        """`bare` judges each row by itself: the same alone as among others."""
        together = readings(rows)
        found = detector.bare(together)
        assert detector.bare(together) == found
        alone = [one for row in rows for one in detector.bare(readings([row]))]
        assert sorted(found, key=_bits) == sorted(alone, key=_bits)
        assert all(one.severity for one in found)

    @settings(max_examples=30, suppress_health_check=_ONCE)
    @given(rows=streams())
    def test_what_is_remembered_is_replaced_not_changed(self, detector: Detector, rows: list[Row]) -> None:
        """States that were handed over stay as they were: somebody compares them afterwards."""
        half = len(rows) // 2
        states: dict[str, State] = {}
        detector.step(states, readings(rows[:half]))
        before = dict(states)
        text = msgspec.json.encode(before)
        second = readings(rows[half:])
        given_over = {asset: state for asset, state in before.items() if asset in second.assets}
        detector.step(given_over, second)
        assert msgspec.json.encode(before) == text

    def test_memory_is_bounded(self, detector: Detector) -> None:
        """However many rows there were, what is remembered of an asset is a few kilobytes."""
        rows: list[Row] = [
            ("a", index * 1_000_000, index, "steady", *(float(index % 7 + index / 1000),) * 3, index)
            for index in range(3000)
        ]
        _, states = seen(detector, rows, range(500, 3000, 500))
        assert len(msgspec.json.encode(states)) < 4_000 * max(1, len(detector.rule.channels))

    def test_nothing_is_no_trouble(self, detector: Detector) -> None:
        """No rows find nothing."""
        assert detector.step({}, readings([])) == []
        assert detector.bare(readings([])) == []


def detector_of(name: str, keys: str) -> Detector:
    """A detector for `BURNS`, from the keys of its rule as they stand in one line of YAML."""
    text = f"stream: burns\nversion: 1\nrules:\n  - {{name: tried, detector: {name}, {keys}}}\n"
    return DETECTORS[name](compiled("rules/burns.yaml", text, BURNS).rules[0])


def readings(rows: Sequence[Row]) -> Readings:
    """Rows as detectors take them."""
    types: dict[str, Any] = {"string": pl.String, "timestamp": pl.Int64, "integer": pl.Int64, "number": pl.Float64}
    schema = {column.storage: types[column.type] for column in BURNS.columns}
    return Readings.of(BURNS, pl.DataFrame(rows, schema=schema, orient="row"))


def seen(detector: Detector, rows: Sequence[Row], cuts: Sequence[int]) -> Seen:
    """What a detector makes of rows that come in batches, by asset; states go through their text between them."""
    found: dict[str, list[Finding]] = {row[0]: [] for row in rows}
    texts: dict[str, bytes] = {}
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(rows)), len(rows)]
    for begin, end in itertools.pairwise(edges):
        batch = readings(rows[begin:end])
        states = {asset: msgspec.json.decode(texts[asset]) for asset in batch.assets if asset in texts}
        for one in detector.step(states, batch):
            found[one.asset].append(one)
        assert {*states} <= {*batch.assets}
        texts |= {asset: msgspec.json.encode(state) for asset, state in states.items()}
        texts = {asset: text for asset, text in texts.items() if text != b"{}"}
    return found, {asset: msgspec.json.decode(texts.get(asset, b"{}")) for asset in found}


def bits(what: Seen) -> tuple[Any, Any]:
    """Findings and states as texts that are equal only where every bit is."""
    found, states = what
    ordered = msgspec.json.encode(states, order="deterministic")
    return {asset: [_bits(one) for one in findings] for asset, findings in found.items()}, ordered


def _bits(one: Finding) -> str:
    return repr(one)
