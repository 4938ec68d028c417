"""How long rows take: from their event to the commit, from receipt to the commit, and on to the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.protocols import Lake, Store

NEWEST = 100_000
"""Rows that are looked at, of each stream."""
LIVE_NS = 900_000_000_000
"""Only rows at most so old when they came say anything of how long rows take: 15 minutes."""
_PAGE = 2_000
_LEDGER = pl.Schema(
    {
        "batch_seq": pl.Int64,
        "stored": pl.Int64,
        "received_at_ns": pl.Int64,
        "committed_at_ns": pl.Int64,
        "first_rowid": pl.Int64,
        "last_rowid": pl.Int64,
    }
)
ROWS = pl.Schema(
    {
        "asset": pl.String,
        "event_ns": pl.Int64,
        "shard": pl.String,
        "batch_seq": pl.Int64,
        "received_at_ns": pl.Int64,
        "committed_at_ns": pl.Int64,
    }
)
"""What `newest` tells of a row."""


class Spread(Struct, frozen=True):
    """Half, 95 and 99 of a hundred rows took at most so many milliseconds; None where no row could tell."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class Latency(Struct, frozen=True):
    """Where the time of a stream's newest live rows went.

    Attributes:
        rows: how many rows could tell.
        committed: from the event to the commit.
        processed: from receipt to the commit.
        followed: from the commit to the lake.
    """

    rows: int
    committed: Spread
    processed: Spread
    followed: Spread


def newest(contract: Contract, store: Store, lake: Lake | None, *, lake_only: bool = False) -> pl.DataFrame:
    """The newest stored rows of a stream with telemetry, as far as they are still in the store: see `ROWS`.

    Args:
        lake_only: the stream's rows are kept in the lake and not in the store.
    """
    asset, time = contract.identity[:2]
    found = [pl.DataFrame(schema=ROWS)]
    for shard in store.query("shards", stream=contract.stream)["shard"]:
        ledger = _batches(store, contract.stream, shard)
        if ledger.is_empty():
            continue
        columns = [asset, time, "batch_seq"]
        if lake_only and lake is not None:
            after = int(ledger["batch_seq"][0]) - 1
            rows = pl.concat(
                [frame.select(columns) for frame in lake.rows(contract, shard=shard, after=after)] or [found[0]]
            )
        else:
            rows = store.rows(contract, shard, ledger, columns)
        joined = rows.join(ledger, on="batch_seq").with_columns(pl.lit(shard).alias("shard"))
        found.append(joined.rename({asset: "asset", time: "event_ns"}).select(list(ROWS)).cast(ROWS))
    return pl.concat(found).sort("received_at_ns", "batch_seq").tail(NEWEST)


def latency(rows: pl.DataFrame, appended: Mapping[str, pl.DataFrame]) -> Latency:
    """Where the time of live rows went.

    Args:
        rows: as `newest` gives them.
        appended: by shard, when the lake got which batches: `upto`, `at_ns`, oldest first.
    """
    age = pl.col("received_at_ns") - pl.col("event_ns")
    live = rows.filter(age.is_between(-LIVE_NS, LIVE_NS))
    followed = [_followed(live.filter(shard=shard), steps) for shard, steps in appended.items()]
    return Latency(
        live.height,
        _spread(live["committed_at_ns"] - live["event_ns"]),
        _spread(live["committed_at_ns"] - live["received_at_ns"]),
        _spread(pl.concat([pl.Series(dtype=pl.Int64), *followed])),
    )


def _followed(rows: pl.DataFrame, appended: pl.DataFrame) -> pl.Series:
    """How long the rows of a shard took from their commit to the lake, where the lake's log still knows."""
    steps = appended.unique("upto", keep="first").sort("upto")
    known = rows.filter(pl.col("batch_seq") >= (steps["upto"].min() if steps.height else 2**62))
    found = known.sort("batch_seq").join_asof(steps, left_on="batch_seq", right_on="upto", strategy="forward")
    return (found["at_ns"] - found["committed_at_ns"]).drop_nulls()


def _batches(store: Store, stream: str, shard: str) -> pl.DataFrame:
    """The last batches of a shard's ledger that together have enough rows, oldest first."""
    pages, rows, before = [pl.DataFrame(schema=_LEDGER)], 0, 2**63 - 1
    while rows < NEWEST:
        page = store.query("ledger_newest", stream=stream, shard=shard, before=before, page=_PAGE).cast(_LEDGER)
        full = page.filter(pl.col("stored").cum_sum() - pl.col("stored") < NEWEST - rows)
        pages.append(full)
        rows += int(full["stored"].sum())
        if page.height < _PAGE:
            break
        before = int(page["batch_seq"][-1])
    return pl.concat(pages).filter(pl.col("stored") > 0).sort("batch_seq")


def _spread(nanoseconds: pl.Series) -> Spread:
    found: Sequence[Any] = [nanoseconds.quantile(part, "higher") for part in (0.5, 0.95, 0.99)]
    return Spread(*(None if one is None else round(one / 1e6, 3) for one in found))
