"""What a stream lacks: the intervals of event time in which a source has rows that are not stored.

Counted by the hour, exactly: each accepted row of the source is looked for by its identity. Hours that touch are one
interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from hotfire.engine.backfill import limits_of, within
from hotfire.engine.flow import judged, stored_now
from hotfire.rows import Position

if TYPE_CHECKING:
    from hotfire.engine.flow import Flow

HOUR_NS = 3_600_000_000_000
"""The resolution."""
_MOST = 2**63 - 1
_COUNTED = ("rows", "missing", "left")


class Missing(Struct, frozen=True):
    """One interval, [since, until) in nanoseconds of UTC.

    Attributes:
        rows: accepted rows that the source has there, but for those that are left to live; a copy counts, too.
        missing: how many of them are not stored.
    """

    since_ns: int
    until_ns: int
    rows: int
    missing: int

    @property
    def stored(self) -> int:
        """How many of them are stored."""
        return self.rows - self.missing


class Survey(Struct, frozen=True):
    """What a source has, and what of it is missing.

    Attributes:
        intervals: those in which anything is missing, ascending.
        rows: accepted rows of the source within the bounds.
        left: of those, how many are not stored and too new for a backfill.
    """

    intervals: tuple[Missing, ...]
    rows: int
    left: int

    @property
    def missing(self) -> int:
        """How many rows a backfill would look for a place for."""
        return sum(one.missing for one in self.intervals)


def survey(flow: Flow, since_ns: int | None = None, until_ns: int | None = None) -> Survey:
    """Read a source from its beginning to its end, and look for each of its rows. Changes nothing.

    Args:
        since_ns, until_ns: only rows with an event time in [since, until); None is open.
    """
    bounds = (-_MOST if since_ns is None else since_ns, _MOST if until_ns is None else until_ns)
    limits = limits_of(flow.store.assets(flow.contract))
    hours = pl.DataFrame(schema=dict.fromkeys(("hour", *_COUNTED), pl.Int64))
    for rows in _accepted(flow):
        inside = rows.filter(pl.Series(within(rows["time"], [bounds])))
        if inside.height:
            hours = pl.concat([hours, _counted(flow, inside, limits)])
            hours = hours.group_by("hour").agg(pl.col(*_COUNTED).sum())
    lacking = hours.filter(pl.col("missing") > 0).sort("hour")
    total, left = hours.select(pl.col("rows", "left").sum()).row(0)
    return Survey(tuple(_joined(lacking, *bounds)), total + left, left)


def _accepted(flow: Flow) -> Iterator[pl.DataFrame]:
    """The accepted rows of the whole source: identity columns, `asset` and `time`."""
    position: Position = {}
    contract = flow.contract
    asset, time = contract.identity[:2]
    while (read := flow.source.poll(position)) is not None:
        position = {**position, **{part.place.key: part.after() for part in read.span.parts}}
        rows = judged(contract, read, read.received_at_ns or flow.clock.now_ns()).verdict.rows
        yield rows.select(*contract.identity, pl.col(asset).alias("asset_"), pl.col(time).alias("time"))


def _counted(flow: Flow, rows: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """By the hour: rows that a backfill may take, how many of them are missing, and how many are left to live."""
    identity = list(flow.contract.identity)
    known = stored_now(flow, flow.contract, rows.select(identity).unique()).select(identity).with_columns(known=True)
    found = rows.join(known, on=identity, how="left", nulls_equal=True).join(
        limits, left_on="asset_", right_on="asset", how="left"
    )
    lacks, recent = pl.col("known").is_null(), (pl.col("time") >= pl.col("limit")).fill_null(value=False)
    return (
        found.group_by(hour=pl.col("time") // HOUR_NS)
        .agg(rows=(~(lacks & recent)).sum(), missing=(lacks & ~recent).sum(), left=(lacks & recent).sum())
        .cast(pl.Int64)
    )


def _joined(hours: pl.DataFrame, since_ns: int, until_ns: int) -> Iterator[Missing]:
    """Hours that touch, as one interval within the bounds."""
    run = (pl.col("hour").diff() != 1).fill_null(value=False).cum_sum()
    runs = hours.group_by(run.alias("run"), maintain_order=True).agg(
        first=pl.col("hour").min(),
        last=pl.col("hour").max(),
        rows=pl.col("rows").sum(),
        missing=pl.col("missing").sum(),
    )
    for first, last, rows, missing in runs.select("first", "last", "rows", "missing").rows():
        yield Missing(max(since_ns, first * HOUR_NS), min(until_ns, (last + 1) * HOUR_NS), rows, missing)
