"""What a source wrote is what store and lake give back: every float64 by its bits, every int64, every text."""

from __future__ import annotations

import csv
import io
import struct
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Column, Contract
from hotfire.rows import LIVE
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_ns"),
        Column("i", "integer"),
        Column("x", "number"),
        Column("s", "string"),
        Column("b", "boolean"),
        Column("d", "date"),
    ),
    asset="a",
    time="t",
    hash="1",
)
NAMES = [column.name for column in CONTRACT.columns]
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
EDGES = [
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1e300,
    -1.7976931348623157e308,
    0.1,
    1 / 3,
    -0.0,
    2.0**53 + 2,
    1e22,
    1e23,
]
ROWS = st.lists(
    st.tuples(
        TEXT,
        st.integers(-(2**63), 1_700_000_000_000_000_000),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES),
        st.none() | TEXT,
        st.none() | st.booleans(),
        st.none() | st.dates(date(1, 1, 1)),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda row: row[:2],
)


def as_jsonl(path: Path, rows: list[tuple[Any, ...]]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(dict(zip(NAMES, row, strict=True))) + b"\n" for row in rows))


def as_csv(path: Path, rows: list[tuple[Any, ...]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # so that a lone CR is quoted too
    writer.writerow(NAMES)
    writer.writerows([str(cell).lower() if isinstance(cell, bool) else cell for cell in row] for row in rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def as_parquet(path: Path, rows: list[tuple[Any, ...]]) -> None:
    types = [pl.String, pl.Int64, pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date]
    pl.DataFrame(rows, schema=dict(zip(NAMES, types, strict=True)), orient="row").write_parquet(path)


def bits(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with its floats as their eight bytes; -0.0 is 0.0, as everywhere in hotfire."""
    return tuple(struct.pack("<d", cell + 0.0) if isinstance(cell, float) else cell for cell in row)


@pytest.mark.parametrize("write", [as_jsonl, as_csv, as_parquet])
@given(rows=ROWS)
@settings(max_examples=12)
def test_values_reach_store_and_lake_bit_by_bit(write: Any, rows: list[tuple[Any, ...]]) -> None:
    """From a file through the engine, in two batches, into both."""
    with scratch() as folder:
        path = folder / f"rows.{write.__name__.removeprefix('as_')}"
        write(path, rows)
        stand = Stand(folder, CONTRACT)
        with closing(FileSource([str(path)], FileSettings(batch_rows=max(1, len(rows) // 2)), ManualClock())) as source:
            assert stand.run(source).stored == len(rows)
        with closing(stand.store()) as store:
            columns = [column.storage for column in CONTRACT.columns]
            stored = pl.concat(frame for _, frame in store.batches(CONTRACT, LIVE, 0)).select(columns).rows()
            lake = pl.concat(stand.lake(store).rows(CONTRACT)).sort("batch_seq", "row_no").select(columns).rows()
        expected = [bits(row) for row in rows]
        assert [bits(row) for row in stored] == expected
        assert [bits(row) for row in lake] == expected
