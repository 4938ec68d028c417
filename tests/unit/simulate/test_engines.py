"""Simulated engines: nominal where nothing is wrong, wrong where a label says so."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from hotfire.errors import UserError
from hotfire.simulate.burns import BY_CHANCE, CHANNELS, KINDS, NOISE, STANDBY, STEADY
from hotfire.simulate.engines import generate
from hotfire.simulate.model import FaultFile, Label, Request

START_NS = 1_772_323_200_000_000_000  # 2026-03-01


def made(request: Request) -> tuple[pl.DataFrame, list[Label]]:
    blocks = list(generate(request))
    table = pl.read_csv(io.BytesIO(b"".join(block.lines for block in blocks)), try_parse_dates=True)
    return table, [label for block in blocks for label in block.labels]


def one_fault(kind: str, **more: Any) -> FaultFile:
    fault = {"kind": kind, "asset": "TRE-001", "at": "150 s", "for": "30 s", **more}
    return FaultFile("faults.yaml", json.dumps({"faults": [fault]}))


def during(table: pl.DataFrame, label: Label) -> pl.DataFrame:
    instant = table["event_time"].dt.epoch("ns")
    return table.filter((table["engine_id"] == label.asset) & (instant >= label.since_ns) & (instant <= label.until_ns))


def test_a_burn_has_four_phases_of_the_right_length() -> None:
    """Startup takes 8 s and shutdown 6 s, and the phases follow each other in order, burn after burn."""
    table, _ = made(Request(START_NS, hours=1, rate_hz=10, assets=1, faults="none"))
    runs = table.select(pl.col("phase").rle()).unnest("phase")
    order = runs["value"].to_list()
    assert order == [("standby", "startup", "steady", "shutdown")[place % 4] for place in range(len(order))]
    lengths = dict(runs.slice(1, 20).group_by("value").agg(pl.col("len").unique().sort()).rows())
    assert lengths["startup"] == [80]
    assert set(lengths["shutdown"]) <= {59, 60, 61}


def test_steady_readings_are_nominal() -> None:
    """Mean and spread of a settled steady burn are the stated ones, engine by engine within its small offset."""
    table, _ = made(Request(START_NS, hours=3, assets=4, faults="none"))
    since = pl.int_range(pl.len()).over("engine_id", pl.col("phase").rle_id().over("engine_id"))
    settled = table.with_columns(since=since).filter(pl.col("phase") == "steady", pl.col("since") > 15)
    for channel, nominal, noise in zip(CHANNELS, STEADY, NOISE, strict=True):
        each = settled.group_by("engine_id").agg(mean=pl.col(channel).mean(), sd=pl.col(channel).std())
        assert ((each["mean"] - nominal).abs() < 3 * noise).all()
        assert np.allclose(each["sd"], noise, rtol=0.06)


def test_an_engine_at_rest_is_cold_and_without_flow() -> None:
    """Standby is 1 bar, no flow, and the wall cools towards 25 degC; flow never reaches the 1 kg/s of a burn."""
    table, _ = made(Request(START_NS, hours=3, assets=4, faults="none"))
    rest = table.filter(phase="standby")
    assert rest["chamber_pressure"].is_between(0.5, 1.5).all()
    assert rest["fuel_flow"].max() < 0.5
    assert abs(rest["temperature"].quantile(0.1) - STANDBY[2]) < 5


def test_the_wall_follows_the_flame_with_a_lag() -> None:
    """Where startup ends the pressure is there, but the temperature is not yet; it never jumps."""
    table, _ = made(Request(START_NS, hours=0.5, rate_hz=10, assets=1, faults="none"))
    first = table.filter(phase="steady").head(10)
    assert first["chamber_pressure"].mean() > 205
    assert 500 < first["temperature"].mean() < 560
    assert table["temperature"].diff().abs().max() < 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_shows_where_its_label_says(kind: str) -> None:
    """Outside of the label the data are those of a healthy run, bit for bit; inside they are not."""
    healthy, nothing = made(Request(START_NS, hours=0.1, assets=2, faults="none"))
    broken, (label,) = made(Request(START_NS, hours=0.1, assets=2, faults=one_fault(kind)))
    assert (nothing, label.fault, label.asset, label.rows) == ([], kind, "TRE-001", 30)
    assert (label.since_ns - START_NS, label.until_ns - START_NS) == (150_000_000_000, 179_000_000_000)
    assert healthy.join(during(healthy, label), on=healthy.columns, how="anti").equals(
        broken.join(during(broken, label), on=broken.columns, how="anti")
    )
    assert not during(healthy, label).equals(during(broken, label))


def test_faults_look_like_what_they_are() -> None:
    """Pressure peaks past its critical limit, flow starves, the wall runs hot, a sensor stands still, rows are gone."""
    _, (label,) = made(Request(START_NS, hours=0.1, assets=1, faults=one_fault("dropout")))
    healthy = during(made(Request(START_NS, hours=0.1, assets=1, faults="none"))[0], label)
    seen = {}
    for kind in KINDS:
        table, _ = made(Request(START_NS, hours=0.1, assets=1, faults=one_fault(kind)))
        seen[kind] = during(table, label)
    assert 300 < seen["pressure_spike"]["chamber_pressure"].max() <= 350
    assert 30 < seen["fuel_system_failure"]["fuel_flow"].min() < 70
    assert seen["temperature_runaway"]["temperature"].max() > 780
    assert seen["stuck_sensor"]["temperature"].n_unique() == 1
    assert seen["dropout"].height == 0
    away = seen["drift"]["temperature"] - healthy["temperature"]
    assert away[:10].mean() < 20
    assert away[-3:].mean() > 70
    for kind in ("pressure_spike", "fuel_system_failure", "temperature_runaway"):
        assert seen[kind]["performance_score"].min() < 75


def test_every_kind_of_fault_comes_by_default() -> None:
    """Two hours of five engines hold each physical fault and each way to spoil a line, faults only in steady burns."""
    request = Request(START_NS, hours=2)
    blocks = list(generate(request))
    labels = [label for block in blocks for label in block.labels]
    assert {label.fault for label in labels} == {
        *BY_CHANCE, "not_a_number", "missing_zone", "out_of_range", "truncated", "wrong_fields", "duplicate"
    }  # fmt: skip
    healthy, _ = made(Request(START_NS, hours=2, faults="none"))
    for label in labels:
        if label.fault in KINDS:
            assert during(healthy, label)["phase"].unique().to_list() == ["steady"]


def test_readings_count_up_and_a_dropout_leaves_a_gap() -> None:
    """`seq` counts every reading of an engine, also those that are lost."""
    table, _ = made(Request(START_NS, hours=0.1, assets=1, faults=one_fault("dropout")))
    assert table["seq"].to_list() == [*range(1, 151), *range(181, 361)]


@pytest.mark.parametrize(
    ("rate_hz", "second"), [(1, "00:00:01.000Z"), (20, "00:00:00.050Z"), (3, "00:00:00.333333333Z")]
)
def test_instants_are_exact(rate_hz: float, second: str) -> None:
    """Instants carry the decimals that they need, and do not drift."""
    (block,) = generate(Request(START_NS, hours=0.01, rate_hz=rate_hz, assets=1, faults="none"))
    instants = [line.split(b",")[1].decode() for line in block.lines.splitlines()[1:]]
    assert instants[1] == f"2026-03-01T{second}"
    assert instants[int(rate_hz) * 30].startswith("2026-03-01T00:00:30.000")


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"hours": 0}, "hold no reading"),
        ({"hours": -1}, "hours is -1"),
        ({"rate_hz": 0}, "rate_hz is 0"),
        ({"assets": 10_000}, "assets is 10000"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_request_that_cannot_be_is_refused(wrong: Mapping[str, Any], what: str) -> None:
    """The message names the option and its value."""
    with pytest.raises(UserError, match=what):
        Request(START_NS, **wrong)


def test_there_are_numbers_for_999_engines() -> None:
    """More cannot be named as the contract wants it, and are refused."""
    with pytest.raises(UserError, match="1000 engines are too many"):
        generate(Request(START_NS, assets=1000))
