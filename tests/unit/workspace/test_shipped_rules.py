"""The rules that ship with the engines, on faults that another generator than hotfire's own has made."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from hotfire.engine.backtest import Backtest
from hotfire.testing import backtest
from hotfire.workspace.templates import create

if TYPE_CHECKING:
    from numpy.typing import NDArray

START = datetime(2026, 5, 1, tzinfo=UTC)
REST, BURN = (1.0, 0.0, 25.0, 92.0), (210.0, 95.0, 640.0, 92.0)
CHANNELS = ("chamber_pressure", "fuel_flow", "temperature", "performance_score")
ENGINES = ("TRE-001", "TRE-002", "TRE-003", "TRE-004", "TRE-005")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engines' workspace, as `init` makes it."""
    folder = tmp_path_factory.mktemp("shipped") / "ws"
    create("engines", folder)
    return folder


def course(rows: int, rate: int, chance: np.random.Generator) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Phases and readings of an hour: rest, linear ramps, burns, with noise of twice the usual strength in one channel."""
    phase, level = np.full(rows, "standby", dtype="<U8"), np.zeros(rows)
    at = int(chance.integers(20, 60)) * rate
    while at + 260 * rate < rows:
        up, burn, down = (int(chance.integers(*span)) * rate for span in ((5, 12), (150, 240), (4, 10)))
        for name, length, values in (
            ("startup", up, np.linspace(0, 1, up)),
            ("steady", burn, np.ones(burn)),
            ("shutdown", down, np.linspace(1, 0, down)),
        ):
            part = slice(at, min(at + length, rows))
            phase[part], level[part] = name, values[: part.stop - part.start]
            at = min(at + length, rows)
        at += int(chance.integers(60, 200)) * rate
    values = np.array(REST) + level[:, None] * (np.array(BURN) - np.array(REST))
    lag = np.exp(-1 / (3.0 * rate))
    for row in range(1, rows):
        values[row, 2] = lag * values[row - 1, 2] + (1 - lag) * values[row, 2]
    noise = np.array((2.5, 0.9, 5.0, 1.5)) * (0.05 + 0.95 * level[:, None])
    values += chance.standard_normal(values.shape) * noise
    return phase, np.round(np.clip(values, 0, None), 3)


def faulted(kind: str, values: NDArray[np.float64], first: int, rate: int) -> tuple[int, NDArray[np.bool_]]:
    """Put a fault in: how many rows it lasts, and which rows are lost."""
    lost = np.zeros(len(values), dtype=bool)
    length = {"pressure_spike": 3, "fuel_system_failure": 20, "temperature_runaway": 50}.get(kind, 30) * rate
    part = slice(first, first + length)
    if kind == "pressure_spike":
        values[part, 0] = BURN[0] * 1.25
    elif kind == "fuel_system_failure":
        values[part, 1] *= 0.7
    elif kind == "temperature_runaway":
        values[part, 2] += 3.0 * np.arange(length) / rate
    elif kind == "stuck_sensor":
        values[part, 2] = values[first - 1, 2]
    else:
        lost[part] = True
    return length, lost


def made(seed: int, rate: int) -> tuple[pl.DataFrame, str]:
    """An hour of five engines, with one fault of a kind in every steady burn; and the labels."""
    chance = np.random.default_rng(seed)
    kinds = ("pressure_spike", "fuel_system_failure", "temperature_runaway", "stuck_sensor", "dropout")
    frames, labels = [], list[dict[str, Any]]()
    for number, engine in enumerate(ENGINES):
        rows = 3600 * rate
        phase, values = course(rows, rate, chance)
        steady = phase == "steady"
        begins = np.flatnonzero(np.diff(steady.astype(int), prepend=0) == 1)
        lost = np.zeros(rows, dtype=bool)
        for burn, begin in enumerate(begins):
            kind = kinds[(number + burn) % len(kinds)]
            first = int(begin) + int(chance.integers(25, 60)) * rate
            if first + 60 * rate >= rows or not steady[first : first + 60 * rate].all():
                continue
            length, gone = faulted(kind, values, first, rate)
            lost |= gone
            shown = {"pressure_spike": 0, "fuel_system_failure": 1, "temperature_runaway": 2, "stuck_sensor": 2}
            since, until = (START + timedelta(seconds=one / rate) for one in (first, first + length - 1))
            channel = CHANNELS[shown[kind]] if kind in shown else None
            times = {"since": since.isoformat(), "until": until.isoformat()}
            labels.append({"asset": engine, "channel": channel, "fault": kind, **times, "severity": "critical"})
        at = [(START + timedelta(seconds=row / rate)).isoformat() for row in range(rows)]
        frame = pl.DataFrame({"engine_id": engine, "event_time": at, "phase": phase.tolist()})
        frame = frame.with_columns(pl.Series(name, values[:, index]) for index, name in enumerate(CHANNELS))
        frames.append(frame.with_columns(step=pl.int_range(rows)).filter(pl.Series(~lost)))
    return pl.concat(frames).sort("step", maintain_order=True).drop("step"), json.dumps(labels) + "\n"


def tried(workspace: Path, seed: int, rate: int) -> Backtest:
    """The shipped rules on such an hour."""
    rows, labels = made(seed, rate)
    contract = workspace / "contracts" / "engine_telemetry"
    return backtest(workspace / "rules" / "engines.yaml", rows, contract, labels=labels)


@pytest.mark.parametrize(("seed", "rate"), [(1, 1), (2, 1), (3, 2), (4, 5)])
def test_every_fault_is_found_in_time_and_little_else(workspace: Path, seed: int, rate: int) -> None:
    """Spikes and fuel failures within 15 s, runaways and still channels within a minute, dropouts by the next row."""
    score = tried(workspace, seed, rate).score
    assert score is not None
    assert {one.kind for one in score.by_kind} == {
        *("pressure_spike", "fuel_system_failure", "temperature_runaway", "stuck_sensor", "dropout")
    }
    for one in score.by_kind:
        assert (one.kind, one.recall) == (one.kind, 1.0)
    slowest = {one.kind: max(one.delays_s) for one in score.by_kind}
    assert slowest["pressure_spike"] <= 3
    assert slowest["fuel_system_failure"] <= 3
    assert slowest["temperature_runaway"] <= 30
    assert slowest["stuck_sensor"] <= 15
    assert score.false_per_asset_hour is not None
    assert score.false_per_asset_hour <= 1
