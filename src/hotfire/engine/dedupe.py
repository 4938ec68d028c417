"""Sort accepted telemetry rows into new, duplicate and conflicting, and move the assets' clocks.

Order is arrival order against the asset's own clock: the maximum event time of its earlier rows. A row ahead of that
clock cannot have been stored before, so only rows at or behind it are looked for; in-order data needs no look-up.

A backfill is no part of that order. It moves the clocks of those assets alone that no other shard has seen, and every one
of its rows is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec import Struct

from hotfire.clock import iso
from hotfire.engine.memory import Memory, contents, identities, sorted_run
from hotfire.rows import BACKFILL, LIVE, Fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract

_NEVER, _MOST = -(2**63), 2**63 - 1
_ADDED = ("code", "clock_ns", "floor_ns", "moves", "behind")


class Stored(Struct, frozen=True):
    """What the engine asks of rows that are stored already.

    Attributes:
        find: from identities to the stored rows that have them, with `shard` and `batch_seq`.
        carried: from shard and batch_seq to the contract columns that the rows of that batch have values of their own
            in: content is compared on these only.
        assets: every asset as it stands now, where another shard may have brought some meanwhile; None: none can have.
    """

    find: Callable[[pl.DataFrame], pl.DataFrame]
    carried: Callable[[str, int], Collection[str]]
    assets: Callable[[], pl.DataFrame] | None = None


class Sorted(Struct, frozen=True):
    """The fates of accepted rows.

    Attributes:
        stored: rows to store, with `late`.
        duplicates: record numbers of rows that are stored already, content and all.
        conflicts: a fault for each row whose identity is stored with other content.
        assets: the assets of the stored rows as they stand after the batch.
        memory: the memory after the batch.
    """

    stored: pl.DataFrame
    duplicates: list[int]
    conflicts: list[Fault]
    assets: pl.DataFrame
    memory: Memory


def sort_out(
    contract: Contract,
    rows: pl.DataFrame,
    memory: Memory,
    before: Stored,
    *,
    repair: bool = False,
    shard: str = LIVE,
) -> Sorted:
    """Decide what becomes of each accepted row, in arrival order.

    Args:
        rows: canonical rows in arrival order (`Verdict.rows`).
        repair: the rows come out of quarantine: all of them are marked late.
        shard: that the rows come by.
    """
    came = rows
    rows, known = _with_clocks(contract, came, memory, shard)
    if before.assets and (known.height > memory.assets.height or _apart(known, rows)):
        memory = memory.met(before.assets().join(came, left_on="asset", right_on=contract.identity[0], how="semi"))
        rows, known = _with_clocks(contract, came, memory, shard)
    ids, held = identities(contract, rows), contents(contract, rows)
    apart = shard == BACKFILL
    behind = np.ones(rows.height, dtype=bool) if apart else rows["behind"].to_numpy()
    duplicate = np.zeros(rows.height, dtype=bool)
    conflict: dict[int, str] = {}
    if behind.any():
        remembered, duplicate = (behind, duplicate) if apart else _remembered(memory, ids, held, behind)
        time = rows[contract.identity[1]]
        deep = behind & (time < _floor(memory, rows)).fill_null(value=False).to_numpy()
        again = behind & pl.Series(ids).is_duplicated().to_numpy()
        ask = (deep | remembered) & ~duplicate
        if (ask | again).any():
            found, conflict = _compare(contract, rows, ids, ask, again & ~duplicate, before)
            duplicate |= found
    conflicting = np.zeros(rows.height, dtype=bool)
    conflicting[list(conflict)] = True
    keep = ~(duplicate | conflicting)
    if repair:
        rows = rows.with_columns(late=True)
    stored = rows if keep.all() else rows.filter(keep)
    numbers = rows["row_no"]
    moving = stored if stored["moves"].all() else stored.filter("moves")
    assets = _advance(contract, moving, known, shard)
    run = sorted_run(ids[keep], held[keep], stored["code"], stored[contract.identity[1]])
    touched = assets[moving["code"].unique()] if moving.height else assets.clear()
    return Sorted(
        stored.drop(_ADDED),
        numbers.filter(duplicate).to_list(),
        [_conflict(contract, rows, at, why) for at, why in conflict.items()],
        touched.drop("floor_ns", "shard"),
        memory.advance(assets, run),
    )


def _conflict(contract: Contract, rows: pl.DataFrame, at: int, why: str) -> Fault:
    identity = rows.select(contract.identity).row(at)
    return Fault(rows["row_no"][at], "key.conflict", shown(contract, contract.identity, identity), why)


def _with_clocks(
    contract: Contract, rows: pl.DataFrame, memory: Memory, shard: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add `code`, `clock_ns` (of the asset just before each row), `floor_ns`, and whether the row `moves` the clock.

    Beside them whether it is `late` (behind that clock), or `behind`: late or at the clock. New assets join the table.
    """
    asset, time = contract.identity[:2]
    known = memory.assets
    found = _joined(asset, rows, known, shard)
    if found["code"].null_count():
        fresh = found.filter(pl.col("code").is_null()).select(pl.col(asset).alias("asset")).unique(maintain_order=True)
        fresh = fresh.with_columns(clock_ns=None, floor_ns=_NEVER, counter=None, gaps=0, stored=0, shard=pl.lit(shard))
        known = pl.concat([known, fresh.cast(known.schema)])
        found = _joined(asset, rows, known, shard)
    before = pl.when("moves").then(pl.col(time).cum_max().shift(1).over("code"))
    found = found.with_columns(clock_ns=pl.max_horizontal("clock_ns", before))
    late, behind = (pl.col(time) < pl.col("clock_ns")), (pl.col(time) <= pl.col("clock_ns"))
    return found.with_columns(late=late.fill_null(value=False), behind=behind.fill_null(value=False)), known


def _joined(asset: str, rows: pl.DataFrame, known: pl.DataFrame, shard: str) -> pl.DataFrame:
    moves = pl.col("shard") == BACKFILL if shard == BACKFILL else pl.lit(value=True)
    table = known.select("asset", "clock_ns", "floor_ns", moves=moves).with_row_index("code")
    return rows.join(table, left_on=asset, right_on="asset", how="left", maintain_order="left")


def _apart(known: pl.DataFrame, rows: pl.DataFrame) -> bool:
    """Whether only backfills have seen any of the rows' assets."""
    return bool((known["shard"][rows["code"].unique()] == BACKFILL).any())


def _floor(memory: Memory, rows: pl.DataFrame) -> pl.Series:
    """The event time from which on the memory is complete, for each row."""
    if memory.alone:
        return rows["floor_ns"]
    window = pl.col("clock_ns").clip(_NEVER + memory.window_ns) - memory.window_ns
    return rows.select(pl.max_horizontal("floor_ns", window)).to_series()


def _remembered(
    memory: Memory, ids: NDArray[np.uint64], held: NDArray[np.uint64], behind: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows behind their clock have a remembered identity, and which of them the remembered content too."""
    known, content = memory.find(ids[behind])
    remembered, same = np.zeros(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
    remembered[behind] = known
    same[behind] = known & (content == held[behind])
    return remembered, same


def _compare(
    contract: Contract,
    rows: pl.DataFrame,
    ids: NDArray[np.uint64],
    ask: NDArray[np.bool_],
    again: NDArray[np.bool_],
    before: Stored,
) -> tuple[NDArray[np.bool_], dict[int, str]]:
    """Compare rows that may share an identity with stored rows (`ask`) or with earlier ones here (`again`), exactly.

    Returns:
        Which rows are duplicates, and for conflicting rows (by index) which columns differ.
    """
    names = list(contract.identity)
    columns = [column.storage for column in contract.columns]
    group = np.isin(ids, ids[ask | again])
    none = pl.lit(None, dtype=pl.UInt32)
    here = rows.with_row_index("at").filter(group).select("at", *columns)
    here = here.with_columns(shard=pl.lit(None, dtype=pl.String), batch_seq=pl.lit(None, dtype=pl.Int64))
    stored = before.find(rows.filter(ask).select(names).unique()).with_columns(at=none) if ask.any() else here.clear()
    known = stored.select(here.columns).cast(here.schema)
    reference = pl.concat([known, here]).unique(names, keep="first", maintain_order=True)
    pairs = here.join(reference, on=names, how="left", nulls_equal=True, suffix="__first", maintain_order="left")
    others = [name for name in columns if name not in names]
    differing = [pl.when(~pl.col(name).eq_missing(pl.col(f"{name}__first"))).then(pl.lit(name)) for name in others]
    verdicts = pairs.filter((pl.col("at") == pl.col("at__first")).fill_null(value=False).not_()).select(
        "at",
        "shard__first",
        "batch_seq__first",
        pl.concat_list(differing).list.drop_nulls().alias("differing") if differing else pl.lit([]).alias("differing"),
    )
    found, conflicts = _weighed(verdicts, cache(before.carried))
    duplicate = np.zeros(rows.height, dtype=bool)
    duplicate[found] = True
    return duplicate, conflicts


def _weighed(
    verdicts: pl.DataFrame, carried: Callable[[str, int], Collection[str]]
) -> tuple[list[int], dict[int, str]]:
    """Which rows are the same as the one before them in every column that this one has a value of its own in."""
    same = pl.col("differing").list.len() == 0
    duplicates, conflicts = verdicts.filter(same)["at"].to_list(), {}
    for at, shard, batch_seq, differing in verdicts.filter(~same).rows():
        why = differing if shard is None else [name for name in differing if name in carried(shard, batch_seq)]
        if why:
            conflicts[at] = f"stored before with another {', '.join(why)}"
        else:
            duplicates.append(at)
    return duplicates, conflicts


def _advance(contract: Contract, stored: pl.DataFrame, known: pl.DataFrame, shard: str) -> pl.DataFrame:
    """The asset table after the batch: clocks, counters with their gaps, numbers of rows.

    What only a backfill has seen so far is from now on the shard's.
    """
    if stored.is_empty():
        return known
    time = contract.identity[1]
    gained = stored.group_by("code").agg(top=pl.col(time).max(), rows=pl.len())
    counts = [pl.col("counter"), pl.col("gaps")]
    if contract.counter is not None:
        gained = gained.join(_gaps(contract.counter, stored, known), on="code", how="left")
        missed = pl.col("gaps").cast(pl.Int128) + pl.col("missed").fill_null(0)
        counts = [pl.coalesce("last", "counter").alias("counter"), missed.clip(0, _MOST).cast(pl.Int64)]
    joined = known.with_row_index("code").join(gained, on="code", how="left", maintain_order="left")
    return joined.select(
        "asset",
        pl.max_horizontal("clock_ns", "top").alias("clock_ns"),
        "floor_ns",
        *counts,
        pl.col("stored") + pl.col("rows").fill_null(0).cast(pl.Int64),
        pl.when((pl.col("shard") == BACKFILL) & pl.col("top").is_not_null())
        .then(pl.lit(shard))
        .otherwise("shard")
        .alias("shard"),
    )


def _gaps(counter: str, stored: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """By asset: the last count, and how many counts were skipped. Late rows and restarts of a counter skip none.

    128 bits hold what counters of 64 bits can skip in one batch; the sum over all batches stops at the greatest int64.
    """
    before = known.select(pl.col("counter").alias("seen")).with_row_index("code")
    counted = stored.filter(~pl.col("late") & pl.col(counter).is_not_null()).select("code", pl.col(counter).alias("n"))
    counted = counted.join(before, on="code", how="left", maintain_order="left")
    previous = pl.coalesce(pl.col("n").shift(1).over("code"), "seen")
    step = (pl.col("n").cast(pl.Int128) - previous - 1).clip(0)
    return (
        counted.with_columns(step=step.fill_null(0))
        .group_by("code")
        .agg(last=pl.col("n").last(), missed=pl.col("step").sum())
    )


def shown(contract: Contract, names: Sequence[str], values: Sequence[Any]) -> str:
    """The values of some columns in words: instants as ISO 8601, at most 200 characters.

    Args:
        names: storage names of the columns.
    """
    instants = {column.storage for column in contract.columns if column.type == "timestamp"}
    named = zip(names, values, strict=True)
    return ", ".join(iso(value) if name in instants and value is not None else str(value) for name, value in named)[
        :200
    ]
