"""Stream `engine_telemetry`: what the loggers of a row of engine test stands write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from hotfire.errors import UserError
from hotfire.simulate.burns import CHANNELS, KINDS, PHASES, Readings, readings
from hotfire.simulate.dirt import Columns, Lines
from hotfire.simulate.fault_file import plan
from hotfire.simulate.faults import DEFAULT_SHARES, Catalogue, Plan
from hotfire.simulate.model import Blocks, Request
from hotfire.simulate.order import Chunk, assemble
from hotfire.simulate.writing import as_lines, decimals, written

COLUMNS = Columns(
    names=("engine_id", "event_time", "seq", "phase", *CHANNELS),
    time="event_time",
    channels=("chamber_pressure", "temperature", "fuel_flow", "performance_score"),
)
"""The fields of a line."""

LINES = (*DEFAULT_SHARES, "malformed", "out_of_order", "late", "outage")
_MOST = 999


def generate(request: Request) -> Blocks:
    """Burns of engines TRE-001, TRE-002 ..., in order of time, each instant with one line an engine.

    Every engine has `request.steps` readings; a dropout takes lines away, a repetition adds one. The first block of
    a CSV begins with the header. Raises UserError for faults that cannot be, and more than 999 engines.

    Example:
        >>> request = Request(start_ns=0, hours=0.01, assets=2, faults="none")
        >>> next(generate(request)).lines.splitlines()[1]
        b'TRE-001,1970-01-01T00:00:00.000Z,1,standby,1.02,0.01,25.04,89.1'
    """
    if request.assets > _MOST:
        raise UserError(f"{request.assets} engines are too many.", f"There are numbers for {_MOST}.")
    names = [f"TRE-{number:03d}" for number in range(1, request.assets + 1)]
    wanted = plan(request.faults, Catalogue(KINDS, LINES, names, DEFAULT_SHARES))
    return assemble(_chunks(request, wanted, names), wanted, COLUMNS, request)


def _chunks(request: Request, wanted: Plan, names: Sequence[str]) -> Iterator[Chunk]:
    steps = request.steps_a_block
    engines = [readings(index, name, request, wanted, steps) for index, name in enumerate(names)]
    for low in range(0, request.steps, steps):
        parts = [next(engine) for engine in engines]
        labels = [
            one.label(name, request, KINDS) for name, part in zip(names, parts, strict=True) for one in part.faults
        ]
        yield Chunk(_lines(parts, low, request, names), request.instant_ns(low + steps), labels)


def _lines(parts: Sequence[Readings], low: int, request: Request, names: Sequence[str]) -> Lines:
    """The readings of all engines as lines, by instant and engine, without those that are lost."""
    steps, width = len(parts[0].phase), len(parts)
    instants = request.instants(low, steps)
    present = np.stack([part.present for part in parts], axis=1).ravel()
    phase = np.stack([part.phase for part in parts], axis=1).ravel()
    values = np.stack([part.values for part in parts], axis=1).reshape(-1, len(CHANNELS))
    columns = {
        "engine_id": pl.Series(list(names) * steps, dtype=pl.String),
        "event_time": written(instants, decimals(request)).gather(np.repeat(np.arange(steps), width)),
        "seq": pl.Series(np.repeat(np.arange(low + 1, low + steps + 1), width)),
        "phase": pl.Series(PHASES).gather(phase),
        **{channel: pl.Series(values[:, place]) for place, channel in enumerate(CHANNELS)},
    }
    frame = pl.DataFrame(columns).filter(pl.Series(present))
    text = frame.select(line=as_lines(request.form)).to_series()
    return Lines(text, frame["engine_id"], np.repeat(instants, width)[present])
