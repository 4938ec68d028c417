"""What the memory says when hashes meet, and what it may forget."""

from __future__ import annotations

import tracemalloc

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.dedupe import Stored, sort_out
from hotfire.engine.memory import Memory, Run, contents, empty_assets, identities, remember, sorted_run

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True),
        Column("k", "integer"),
        Column("x", "number"),
        Column("y", "number"),
    ),
    asset="a",
    time="t",
    key=("k",),
)
SCHEMA = {"a": pl.String, "t_ns": pl.Int64, "k": pl.Int64, "x": pl.Float64, "y": pl.Float64}
NUMBERS = st.none() | st.sampled_from([0.0, 1.0, 5e-324])


def rows(*values: tuple[object, ...]) -> pl.DataFrame:
    frame = pl.DataFrame(values, schema=SCHEMA, orient="row").with_row_index("row_no")
    return frame.with_columns(corrected=pl.lit(value=False), unknown_fields=pl.lit(None, dtype=pl.String))


def run_of(ids: list[int]) -> Run:
    count = len(ids)
    numbers = np.array(ids, dtype=np.uint64)
    return sorted_run(numbers, numbers + np.uint64(1), pl.Series([0] * count), pl.Series(range(count)))


@given(st.lists(st.lists(st.integers(0, 2**64 - 2), unique=True), max_size=5), st.lists(st.integers(0, 2**64 - 2)))
def test_the_memory_finds_what_is_in_it(runs: list[list[int]], asked: list[int]) -> None:
    """In whichever run it is, with the content it came with; nothing else."""
    memory = Memory(empty_assets(), tuple(run_of(ids) for ids in runs))
    known, content = memory.find(np.array(asked, dtype=np.uint64))
    there = {one for ids in runs for one in ids}
    assert known.tolist() == [one in there for one in asked]
    assert [int(found) for found, hit in zip(content, known, strict=True) if hit] == [
        one + 1 for one in asked if one in there
    ]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1), NUMBERS, NUMBERS), min_size=2, max_size=2))
def test_hashes_tell_rows_apart(pair: list[tuple[object, ...]]) -> None:
    """Null is no zero, and two values exchanged are another content; equal rows have equal hashes alone and together."""
    frame = rows(*((a, 1, k, x, y) for a, k, x, y in pair))
    ids, held = identities(CONTRACT, frame), contents(CONTRACT, frame)
    assert (ids[0] == ids[1]) == (pair[0][:2] == pair[1][:2])
    assert (held[0] == held[1]) == (pair[0] == pair[1])
    assert identities(CONTRACT, frame.tail(1))[0] == ids[1]
    assert contents(CONTRACT, frame.tail(1))[0] == held[1]


def test_a_shared_hash_is_no_duplicate() -> None:
    """Another identity under the same hash: the table is asked, and the row is new."""
    assets = pl.DataFrame(
        {"asset": ["A"], "clock_ns": [9], "counter": [None], "gaps": [0], "stored": [1], "shard": ["live"]}
    )
    memory = remember(CONTRACT, assets.cast({"counter": pl.Int64}), rows(("A", 9, 0, 1.0, 1.0)).clear())
    row = rows(("A", 8, 0, 1.0, 1.0))
    other = sorted_run(
        identities(CONTRACT, row), contents(CONTRACT, row) + np.uint64(1), pl.Series([0]), pl.Series([8])
    )
    asked: list[pl.DataFrame] = []

    def look_up(ids: pl.DataFrame) -> pl.DataFrame:
        asked.append(ids)
        return row.clear().with_columns(shard=pl.lit("live"), batch_seq=pl.lit(1))

    found = sort_out(CONTRACT, row, replace(memory, runs=(other,)), Stored(look_up, lambda *_: SCHEMA))
    assert (found.stored.height, found.duplicates, found.conflicts) == (1, [], [])
    assert [ids.rows() for ids in asked] == [[("A", 8, 0)]]


def test_the_memory_stays_within_its_capacity() -> None:
    """Past it everything is forgotten, and every row behind its clock is looked up from then on."""
    memory = Memory(empty_assets(), capacity=50, most_runs=2)
    for start in range(0, 3000, 10):
        batch = rows(*(("A", start + at, None, 1.0, 1.0) for at in range(10)))
        memory = sort_out(CONTRACT, batch, memory, Stored(lambda ids: ids, lambda *_: SCHEMA)).memory
        assert sum(len(run.ids) for run in memory.runs) <= 50 + 2 * 10


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """The memory of a long stream is as large as its window."""
    memory = Memory(empty_assets(), window_ns=100, most_runs=2)
    for start in range(0, 3000, 10):
        batch = rows(*(("A", start + at, None, 1.0, 1.0) for at in range(10)))
        memory = sort_out(CONTRACT, batch, memory, Stored(lambda ids: ids, lambda *_: SCHEMA)).memory
        assert sum(len(run.ids) for run in memory.runs) <= 101 + 2 * 10


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 8), st.integers(0, 2)), max_size=9), max_size=30),
    st.booleans(),
    st.sampled_from([1, 3]),
)
def test_merging_keeps_what_the_window_keeps(
    batches: list[list[tuple[int, int, int]]],
    forgets: bool,  # noqa: FBT001
    most_runs: int,
) -> None:
    """At or above its asset's floor every identity is found with the content it first came with; nothing else is."""
    memory = Memory(empty_assets(), forgets=forgets, window_ns=4, most_runs=most_runs)
    clocks, given_contents = [0, 0, 0], dict[int, tuple[int, int, int]]()
    for number, batch in enumerate(batches):
        new = {one: (at, code, number) for one, at, code in batch if one not in given_contents}
        given_contents |= new
        for at, code, _ in new.values():
            clocks[code] = max(clocks[code], at)
        ids = np.array([*new], dtype=np.uint64)
        times, codes = (
            pl.Series([at for at, _, _ in new.values()], dtype=pl.Int64),
            [code for _, code, _ in new.values()],
        )
        table = (
            memory.assets if memory.assets.height else pl.DataFrame({"asset": ["a", "b", "c"], "floor_ns": [-9] * 3})
        )
        held = np.full(len(ids), number, dtype=np.uint64)
        run = sorted_run(ids, held, pl.Series(codes, dtype=pl.UInt32), times)
        memory = memory.advance(table.with_columns(clock_ns=pl.Series(clocks, dtype=pl.Int64)), run)
        known, content = memory.find(np.arange(30, dtype=np.uint64))
        floors = memory.assets["floor_ns"].to_list()
        for one, (at, code, came) in given_contents.items():
            assert known[one] or at < floors[code]
            assert not known[one] or content[one] == came
        assert not [one for one in range(30) if known[one] and one not in given_contents]
        assert not forgets or all(floor <= max(-9, clock - 4) for floor, clock in zip(floors, clocks, strict=True))


def test_merging_takes_little_more_than_what_it_makes() -> None:
    """The great run is as large as the window: it is copied once, column by column."""
    assets = pl.DataFrame({"asset": ["a"], "clock_ns": [0], "floor_ns": [-9]})
    great, *others = (
        run_of([*range(first, 800_000, step)]) for first, step in ((0, 2), *((at, 64) for at in range(1, 17, 2)))
    )
    memory = Memory(assets, (great, *others[:-1]), window_ns=10)
    tracemalloc.start()
    after = memory.advance(assets, others[-1])
    made, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [len(run.ids) for run in after.runs] == [500_000]
    assert made >= 500_000 * 28
    assert peak < 1.85 * made
