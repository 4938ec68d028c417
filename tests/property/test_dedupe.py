"""Deduplication and clocks against a model of twenty lines, with a memory so small that everything in it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.dedupe import Stored, sort_out
from hotfire.engine.memory import Memory, empty_assets, remember

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("asset", "string", required=True),
        Column("at", "timestamp", required=True),
        Column("key", "integer"),
        Column("n", "integer"),
        Column("x", "number"),
    ),
    asset="asset",
    time="at",
    key=("key",),
    counter="n",
)
SCHEMA = {"asset": pl.String, "at_ns": pl.Int64, "key": pl.Int64, "n": pl.Int64, "x": pl.Float64}
MOST = 2**63 - 1
Row = tuple[str, int, int | None, int | None, float | None]


@dataclass
class Model:
    """What should come of rows, one by one."""

    content: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    clocks: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def take(self, row: Row, *, repair: bool) -> str:
        asset, at, key, n, _ = row
        if (asset, at, key) in self.content:
            return "duplicate" if self.content[asset, at, key] == row else "conflict"
        self.content[asset, at, key] = row
        late = repair or at < self.clocks.get(asset, at)
        self.clocks[asset] = max(at, self.clocks.get(asset, at))
        self.rows[asset] = self.rows.get(asset, 0) + 1
        if n is not None and not late:
            skipped = max(0, n - self.counters.get(asset, n - 1) - 1)
            self.gaps[asset] = min(MOST, self.gaps.get(asset, 0) + skipped)
            self.counters[asset] = n
        return "late" if late else "stored"


@dataclass
class Engine:
    """The real thing over a table in memory."""

    memory: Memory
    stored: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, batch: Sequence[Row], *, repair: bool) -> list[str]:
        frame = pl.DataFrame(batch, schema=SCHEMA, orient="row").with_row_index("row_no")
        frame = frame.with_columns(corrected=pl.lit(value=False), unknown_fields=pl.lit(None, dtype=pl.String))
        found = sort_out(CONTRACT, frame, self.memory, Stored(self.look_up, lambda *_: SCHEMA), repair=repair)
        self.memory = found.memory
        self.stored = pl.concat([self.stored, found.stored.select(*SCHEMA)])
        self.assets |= {row["asset"]: row for row in found.assets.rows(named=True)}
        late = dict(found.stored.select("row_no", "late").rows())
        fates = {no: "late" if is_late else "stored" for no, is_late in late.items()}
        fates |= dict.fromkeys(found.duplicates, "duplicate")
        fates |= {fault.row_no: "conflict" for fault in found.conflicts}
        return [fates[no] for no in range(len(batch))]

    def look_up(self, identities: pl.DataFrame) -> pl.DataFrame:
        found = self.stored.join(identities, on=list(CONTRACT.identity), how="semi", nulls_equal=True)
        return found.with_columns(shard=pl.lit("live"), batch_seq=pl.lit(1))

    def restart(self, *, lake_only: bool) -> None:
        """A new process: nothing is remembered but what the store gives."""
        rows = [(*row.values(), "live") for row in self.assets.values()]
        schema = {
            **{name: dtype for name, dtype in empty_assets().schema.items() if name != "floor_ns"},
            "shard": pl.String,
        }
        assets = pl.DataFrame(rows, schema=schema, orient="row")
        clocks = self.stored.join(assets.select("asset", "clock_ns"), on="asset", maintain_order="left")
        recent = clocks.filter(pl.col("at_ns") >= pl.col("clock_ns") - self.memory.window_ns).drop("clock_ns")
        fresh = remember(CONTRACT, assets, None if lake_only else recent, self.memory.window_ns)
        self.memory = replace(fresh, capacity=self.memory.capacity, most_runs=self.memory.most_runs)


ROWS = st.tuples(
    st.sampled_from(["a", "b", ""]),
    st.integers(-3, 12) | st.sampled_from([-(2**63), -(2**63) + 1]),
    st.none() | st.integers(0, 1),
    st.none() | st.integers(0, 6) | st.sampled_from([2**63 - 1, -(2**63)]),
    st.none() | st.sampled_from([0.0, 1.5]),
)
STEPS = st.lists(
    st.tuples(st.lists(ROWS, min_size=1, max_size=9), st.sampled_from(["", "", "restart", "lake", "repair"]))
)
MEMORIES = st.builds(
    Memory,
    st.just(empty_assets()),
    window_ns=st.sampled_from([0, 2, 5, 900]),
    capacity=st.sampled_from([0, 3, 1000]),
    most_runs=st.integers(0, 3),
)


@given(STEPS, MEMORIES)
@example([([("a", at, None, MOST * (at % 2), None) for at in range(6)], "")], Memory(empty_assets()))
@settings(max_examples=200)
def test_every_row_gets_the_fate_of_the_model(steps: list[tuple[list[Row], str]], memory: Memory) -> None:
    """Fates, late marks, clocks, counters and gaps, whatever is forgotten, merged, restored or repaired on the way."""
    model, engine = Model(), Engine(memory)
    for batch, event in steps:
        expected = [model.take(row, repair=event == "repair") for row in batch]
        assert engine.take(batch, repair=event == "repair") == expected
        if event in {"restart", "lake"}:
            engine.restart(lake_only=event == "lake")
    seen = {name: tuple(row.values())[1:] for name, row in engine.assets.items()}
    assert seen == {
        asset: (clock, model.counters.get(asset), model.gaps.get(asset, 0), model.rows[asset])
        for asset, clock in model.clocks.items()
    }


@given(st.lists(ROWS, min_size=1, max_size=40), st.lists(st.integers(1, 40), max_size=5))
def test_batches_may_be_cut_anywhere(rows: list[Row], cuts: list[int]) -> None:
    """The same rows in batches of any sizes have the same fates."""
    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    whole, parted = Engine(Memory(empty_assets())), Engine(Memory(empty_assets(), window_ns=2, most_runs=1))
    fates = [fate for low, high in pairwise(bounds) for fate in parted.take(rows[low:high], repair=False)]
    assert whole.take(rows, repair=False) == fates
    assert whole.assets == parted.assets


@given(st.lists(ROWS, min_size=1, max_size=30))
def test_rows_ahead_of_their_clock_are_never_looked_up(rows: list[Row]) -> None:
    """Data in order costs no look-up: what is ahead of its asset's clock cannot have been stored before."""
    engine, asked = Engine(Memory(empty_assets())), []
    for number, (asset, _, *rest) in enumerate(rows):
        row = (asset, number, *rest)
        frame = pl.DataFrame([row], schema=SCHEMA, orient="row").with_row_index("row_no")
        found = sort_out(
            CONTRACT, frame, engine.memory, Stored(lambda ids: asked.append(ids) or ids, lambda *_: SCHEMA)
        )
        engine.memory = found.memory
    assert asked == []
