"""What the engine remembers of rows already stored: each asset's own clock, and hashes of recent identities.

The memory only saves look-ups. It is complete for every row whose event time is at or above its asset's floor: what is
not in it was never stored. Below the floor, and wherever two rows share an identity but not their content, the store is
asked. So deduplication is exact over all history while the memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.engine.watch import Watch
from hotfire.rows import BACKFILL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract

WINDOW_NS = 900_000_000_000
"""How far behind its asset's clock a row is remembered: 15 minutes."""
CAPACITY = 4_000_000
"""At most this many identities are held; past it the memory starts anew and the store is asked instead."""
RUNS = 8
"""So many batches are held one by one before they are merged into one run."""
_MUCH = 4
"""The greatest run is merged with the others once they come to a part of it like this: small batches cost little."""
_NEVER = -(2**63)

ASSETS = {
    "asset": pl.String,
    "clock_ns": pl.Int64,
    "floor_ns": pl.Int64,
    "counter": pl.Int64,
    "gaps": pl.Int64,
    "stored": pl.Int64,
    "shard": pl.String,
}


class Run(Struct, frozen=True):
    """Identities sorted by hash: `ids` and `contents` are 64-bit hashes, `codes` rows of the asset table.

    `codes` and `times` are empty where nothing is forgotten by age.
    """

    ids: NDArray[np.uint64]
    contents: NDArray[np.uint64]
    codes: NDArray[np.uint32]
    times: NDArray[np.int64]


_NONE = Run(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint32), np.empty(0, np.int64))


class Memory(Struct, frozen=True):
    """Frozen: a batch makes a new one, which counts only once the batch is committed.

    Attributes:
        assets: one row an asset, only ever appended to; a row's index is the asset's code.
        forgets: False where nothing is forgotten by age (streams whose rows are only in the lake).
        alone: False where another shard of the stream may be written meanwhile, as far back as `window_ns` behind the
            assets' clocks: there it is complete no longer.
        window_ns, capacity, most_runs: its bounds.
        watch: what detectors remember. Not frozen: after a failed commit all of the memory is made anew.
    """

    assets: pl.DataFrame
    runs: tuple[Run, ...] = ()
    forgets: bool = True
    alone: bool = True
    window_ns: int = WINDOW_NS
    capacity: int = CAPACITY
    most_runs: int = RUNS
    watch: Watch = field(default_factory=Watch)

    def find(self, ids: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Which hashes are remembered, and the hash of the content each was remembered with."""
        known = np.zeros(len(ids), dtype=bool)
        contents = np.zeros(len(ids), dtype=np.uint64)
        for run in self.runs:
            at = np.minimum(np.searchsorted(run.ids, ids), max(len(run.ids) - 1, 0))
            hit = run.ids[at] == ids if len(run.ids) else np.zeros(len(ids), dtype=bool)
            contents[hit] = run.contents[at[hit]]
            known |= hit
        return known, contents

    def met(self, assets: pl.DataFrame) -> Memory:
        """The memory, with these assets as `Store.assets` gives them now.

        Of those that it had not seen, or that only a backfill had seen, it holds no identities.
        """
        held = self.assets.select("asset", known="shard")
        now = assets.join(held, on="asset", how="left")
        now = now.filter(pl.col("known").is_null() | (pl.col("known") == BACKFILL))
        now = now.with_columns(floor_ns=pl.col("clock_ns") + 1).select(list(ASSETS))
        both = self.assets.join(now, on="asset", how="left", suffix="__now", maintain_order="left")
        fresh = pl.col("shard__now").is_not_null()
        known = both.select(
            "asset",
            *(pl.when(fresh).then(f"{name}__now").otherwise(name).alias(name) for name in ASSETS if name != "asset"),
        )
        return replace(self, assets=pl.concat([known, now.join(known, on="asset", how="anti")]))

    def advance(self, assets: pl.DataFrame, run: Run) -> Memory:
        """The memory after a batch: the new asset table and the batch's identities."""
        if not self.forgets:
            run = Run(run.ids, run.contents, run.codes[:0], run.times[:0])
        runs = (*self.runs, run)
        if len(runs) <= self.most_runs:
            return replace(self, assets=assets, runs=runs)
        great, *others = runs
        small = _merge(others)
        if others and len(small.ids) * _MUCH < len(great.ids):
            return replace(self, assets=assets, runs=(great, small))
        kept: NDArray[np.bool_] | slice = slice(None)
        if self.forgets:
            window = pl.col("clock_ns").clip(_NEVER + self.window_ns) - self.window_ns
            assets = assets.with_columns(floor_ns=pl.max_horizontal("floor_ns", window))
            since = assets.select(window.fill_null(_NEVER)).to_series().to_numpy()
            small = _select(small, small.times >= since[small.codes])
            kept = great.times >= since[great.codes]
        if len(great.ids[kept]) + len(small.ids) > self.capacity:
            return replace(self, assets=assets.with_columns(floor_ns=pl.col("clock_ns") + 1), runs=())
        return replace(self, assets=assets, runs=(_inserted(small, great, kept),))


def identities(contract: Contract, rows: pl.DataFrame) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's identity, stable within one process."""
    return pl.DataFrame([rows[name] for name in contract.identity]).hash_rows().to_numpy()


def contents(contract: Contract, rows: pl.DataFrame) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's contract columns, independent of the identity's hash."""
    return pl.DataFrame([rows[column.storage] for column in contract.columns]).hash_rows(seed=7).to_numpy()


def sorted_run(ids: NDArray[np.uint64], held: NDArray[np.uint64], codes: pl.Series, times: pl.Series) -> Run:
    """A run of one batch's identities."""
    order = np.argsort(ids)
    return Run(ids[order], held[order], codes.to_numpy()[order].astype(np.uint32), times.to_numpy()[order])


def remember(
    contract: Contract, assets: pl.DataFrame, recent: pl.DataFrame | None, window_ns: int = WINDOW_NS
) -> Memory:
    """The memory at the start of a process.

    Args:
        assets: as `Store.assets` gives them.
        recent: whole rows of each asset's last `window_ns`; None: nothing, every older row is looked up.
    """
    floor = pl.col("clock_ns") - window_ns if recent is not None else pl.col("clock_ns") + 1
    table = assets.with_columns(floor_ns=floor).select(list(ASSETS))
    memory = Memory(table, forgets=recent is not None, window_ns=window_ns)
    if recent is None or recent.is_empty():
        return memory
    asset, time = contract.identity[:2]
    codes = recent.select(asset).join(
        table.select("asset").with_row_index("code"), left_on=asset, right_on="asset", how="left", maintain_order="left"
    )["code"]
    run = sorted_run(identities(contract, recent), contents(contract, recent), codes, recent[time])
    return replace(memory, runs=(run,))


def empty_assets() -> pl.DataFrame:
    """No asset was ever seen."""
    return pl.DataFrame(schema=ASSETS)


def _merge(runs: Sequence[Run]) -> Run:
    if not runs:
        return _NONE
    order = np.argsort(np.concatenate([run.ids for run in runs]), kind="stable")
    whole = (np.concatenate([getattr(run, name) for run in runs]) for name in Run.__struct_fields__)
    return Run(*(part[order] if len(part) else part for part in whole))


def _select(run: Run, mask: NDArray[np.bool_]) -> Run:
    return Run(run.ids[mask], run.contents[mask], run.codes[mask], run.times[mask])


def _inserted(small: Run, great: Run, kept: NDArray[np.bool_] | slice) -> Run:
    """What is kept of a great run, with a small one: column by column, for the great one is as large as the window."""
    at = np.searchsorted(great.ids[kept], small.ids, side="right")
    columns = ((getattr(great, name)[kept], getattr(small, name)) for name in Run.__struct_fields__)
    return Run(*(np.insert(old, at[: len(new)], new) for old, new in columns))
