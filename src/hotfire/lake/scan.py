"""Reading data files by the list in the log: which of them, and in which columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from hotfire.lake import layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NO_FILES = pl.DataFrame(schema={"path": pl.String, "size_bytes": pl.Int64, f"partition.{layout.PARTITION}": pl.Date})
"""The file list of a table that is not there."""


def scan(paths: Sequence[str], schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The files' rows, null in columns that a file does not have yet."""
    if not paths:
        return pl.LazyFrame(schema=dict(schema))
    return pl.scan_parquet(
        list(paths),
        schema=dict(schema),
        glob=False,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
    )


def overlapping(files: pl.DataFrame, column: str, least: Any, greatest: Any) -> pl.DataFrame:
    """The files that may hold a value of `column` in [least, greatest]; None is open."""
    low, high = f"min.{column}", f"max.{column}"
    if low not in files.columns or high not in files.columns:
        return files
    if least is not None:
        files = files.filter(pl.col(high).is_null() | (pl.col(high) >= least))
    if greatest is not None:
        files = files.filter(pl.col(low).is_null() | (pl.col(low) <= greatest))
    return files


def around(files: pl.DataFrame, time: str, instants: pl.Series) -> pl.DataFrame:
    """The files that may hold one of these instants (int64 nanoseconds) in their column `time`."""
    dates = instants.cast(pl.Datetime("ns", "UTC")).dt.date().unique()
    near = overlapping(files, time, instants.min(), instants.max())
    return near.filter(pl.col(f"partition.{layout.PARTITION}").is_in(dates.implode()))


def damage(path: Path, size: int) -> str:
    """What is wrong with a data file of which the log knows the size; empty where nothing is."""
    if not path.exists():
        return f"{path} is missing."
    actual = path.stat().st_size
    return "" if actual == size else f"{path} has {actual:,} bytes; the log says {size:,}."
