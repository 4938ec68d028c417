"""One stream of dirty telemetry as files of every format, and what makes it dirty."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from hotfire.contract.model import Check, Column, Contract
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.stand import scratch

START_NS = 1_700_000_000_000_000_000
LIMITS = {"warning": {"high": 230}, "critical": {"low": 205, "high": 300}, "deadband": 2, "min_violations": 2}
BURNS = Contract(
    stream="burns",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("engine", "string", required=True, pattern="TRE-[0-9]{3}"),
        Column("at", "timestamp", required=True, format="epoch_ns"),
        Column("seq", "integer"),
        Column("pressure", "number", minimum=0, maximum=350, out_of_range="null", limits=LIMITS),
        Column("flow", "number", minimum=0, maximum=100),
        Column("phase", "string", values=("standby", "steady")),
    ),
    asset="engine",
    time="at",
    counter="seq",
    checks=(Check("flow_needs_burn", "phase <> 'standby' or flow < 1"),),
    hash="burns 1",
)


def record(number: int, **changed: Any) -> dict[str, Any]:
    """A sound record; every engine sends one a second."""
    return {
        "engine": f"TRE-{number % 3 + 1:03}",
        "at": START_NS + number // 3 * 1_000_000_000,
        "seq": number // 3,
        "pressure": 200 + number / 7,
        "flow": 90.5,
        "phase": "steady",
        **changed,
    }


def records(rows: int, seed: int = 1) -> list[dict[str, Any]]:
    """Sound records among duplicates near and far, conflicts, late rows, gaps, corrections and rejected rows."""
    chance = random.Random(seed)
    sent: list[dict[str, Any]] = []
    for number in range(rows):
        old = chance.choice(sent) if sent else record(number)
        late = {"at": record(number)["at"] - chance.randrange(1, 4) * 10**9 - 1}
        sent.append(
            chance.choice(
                [
                    *[record(number)] * 8,
                    record(number, **late),
                    record(number, pressure=999.0),
                    record(number, flow=-3.5),
                    record(number, phase="standby"),
                    record(number, engine="bad"),
                    record(number, at=4_000_000_000_000_000_000),
                    old,
                    {**old, "pressure": 1.25},
                ]
            )
        )
    return sent


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The records as a file of the format that its name says, last changed long ago."""
    frame = pl.DataFrame(rows, schema_overrides={"pressure": pl.Float64, "flow": pl.Float64})
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=16)
    else:
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    os.utime(path, ns=(10**18, 10**18))
    return path


@pytest.fixture
def bench() -> Iterator[Path]:
    """A folder in memory: a process dies the same there."""
    with scratch() as folder:
        yield folder


@pytest.fixture
def open_files() -> Iterator[Callable[..., FileSource]]:
    """Opens files as a source, as each new process would."""
    with ExitStack() as opened:

        def open_(*paths: Path, batch_rows: int = 14) -> FileSource:
            settings = FileSettings(batch_rows=batch_rows)
            return opened.enter_context(closing(FileSource([str(path) for path in paths], settings, ManualClock())))

        yield open_


@pytest.fixture
def burns() -> Contract:
    """What the stream promises."""
    return BURNS


@pytest.fixture
def make() -> Callable[..., Path]:
    """Writes dirty records to a path."""
    return lambda path, rows=40, seed=1: write(path, records(rows, seed))
