"""Stream `engine_telemetry`: what the loggers of a row of engine test stands write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hotfire.simulate.burns import CHANNELS, KINDS, PHASES, Fault, Readings, readings
from hotfire.simulate.dirt import Columns, Lines, Repeat, insert, soil
from hotfire.simulate.faults import Plan, plan
from hotfire.simulate.model import Block, Label, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = Columns(
    names=("engine_id", "event_time", "seq", "phase", *CHANNELS),
    time="event_time",
    channels=("chamber_pressure", "temperature", "fuel_flow", "performance_score"),
)
"""The fields of a line."""


def generate(request: Request) -> Iterator[Block]:
    """Burns of engines TRE-001, TRE-002 ..., in order of time, each instant with one line an engine.

    Every engine has `request.steps` readings; a dropout takes lines away, a repetition adds one. The first block of
    a CSV begins with the header. Raises UserError for faults that cannot be.

    Example:
        >>> request = Request(start_ns=0, hours=0.01, assets=2, faults="none")
        >>> next(generate(request)).lines.splitlines()[1]
        b'TRE-001,1970-01-01T00:00:00.000Z,1,standby,1.02,0.01,25.04,89.1'
    """
    names = [f"TRE-{number:03d}" for number in range(1, request.assets + 1)]
    return _blocks(request, plan(request.faults, KINDS, names), names)


def _blocks(request: Request, wanted: Plan, names: Sequence[str]) -> Iterator[Block]:
    steps = max(1, request.block_rows // len(names))
    engines = [readings(index, name, request, wanted, steps) for index, name in enumerate(names)]
    rng = np.random.default_rng([request.seed, 1_000_000])
    header = ",".join(COLUMNS.names) + "\n" if request.form == "csv" else ""
    before, written = 0, len(header.splitlines())
    due: list[Repeat] = []
    for low in range(0, request.steps, steps):
        parts = [next(engine) for engine in engines]
        lines = _lines(parts, low, request, names)
        size, last = len(lines.text), low + steps >= request.steps
        text, spoilt, repeats = soil(lines, rng.random((size, 2)), wanted.dirty, COLUMNS, before)
        due += repeats
        now = [one for one in due if last or one.after < before + size]
        due = [one for one in due if not last and one.after >= before + size]
        text, places = insert(text, now, before)
        dirty = {**spoilt, **{size + number: one.label for number, one in enumerate(now)}}
        labels = [_label(one, request, name) for name, part in zip(names, parts, strict=True) for one in part.faults]
        labels += [replace(label, line=written + int(places[at]) + 1) for at, label in dirty.items()]
        body = text.str.join("\n").item() + "\n" if len(text) else ""
        yield Block((header + body).encode(), len(text), tuple(labels))
        header, before, written = "", before + size, written + len(text)


def _lines(parts: Sequence[Readings], low: int, request: Request, names: Sequence[str]) -> Lines:
    """The readings of all engines as lines, by instant and engine, without those that are lost."""
    steps, width = len(parts[0].phase), len(parts)
    instants = _instants(low, steps, request)
    present = np.stack([part.present for part in parts], axis=1).ravel()
    phase = np.stack([part.phase for part in parts], axis=1).ravel()
    values = np.stack([part.values for part in parts], axis=1).reshape(-1, len(CHANNELS))
    columns = {
        "engine_id": pl.Series(list(names) * steps, dtype=pl.String),
        "event_time": _written(instants, request).gather(np.repeat(np.arange(steps), width)),
        "seq": pl.Series(np.repeat(np.arange(low + 1, low + steps + 1), width)),
        "phase": pl.Series(PHASES).gather(phase),
        **{channel: pl.Series(values[:, place]) for place, channel in enumerate(CHANNELS)},
    }
    frame = pl.DataFrame(columns).filter(pl.Series(present))
    csv, json = pl.concat_str(pl.all(), separator=","), pl.struct(pl.all()).struct.json_encode()
    text = frame.select(line=csv if request.form == "csv" else json).to_series()
    return Lines(text, frame["engine_id"], np.repeat(instants, width)[present])


def _instants(low: int, steps: int, request: Request) -> NDArray[np.int64]:
    """When the readings from step `low` on are taken, exactly, in nanoseconds of UTC."""
    rate = request.rate
    seconds, rest = np.divmod(np.arange(low, low + steps) * rate.denominator, rate.numerator)
    instants: NDArray[np.int64] = request.start_ns + seconds * 1_000_000_000 + rest * 1_000_000_000 // rate.numerator
    return instants


def _written(instants: NDArray[np.int64], request: Request) -> pl.Series:
    """Instants as ISO 8601: with milliseconds where they are exact, else with nanoseconds."""
    exact = (1000 / request.rate).denominator == 1 and request.start_ns % 1_000_000 == 0
    return pl.Series(instants).cast(pl.Datetime("ns")).dt.to_string(f"%Y-%m-%dT%H:%M:%S%.{3 if exact else 9}fZ")


def _label(fault: Fault, request: Request, name: str) -> Label:
    return Label(
        asset=name,
        fault=fault.kind,
        start_ns=request.instant_ns(fault.first),
        end_ns=request.instant_ns(fault.last - 1),
        channel=fault.channel,
        severity=KINDS[fault.kind].severity,
        rows=fault.last - fault.first,
    )
