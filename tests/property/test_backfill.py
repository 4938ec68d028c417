"""What is brought in later, apart from live: nothing twice, nothing lost, and live is as if it had not happened."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Column, Contract
from hotfire.rows import BACKFILL
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("device", "string", required=True),
        Column("at", "timestamp", required=True, format="epoch_s"),
        Column("count", "integer"),
        Column("level", "number", maximum=90),
    ),
    asset="device",
    time="at",
    counter="count",
    hash="readings",
)
MINUTE_S = 60
SECOND_NS = 10**9
Record = dict[str, Any] | bytes


class Ticking(ManualClock):
    """Time goes on whenever it is asked for: commits have an order."""

    def now_ns(self) -> int:
        self.sleep(1e-6)
        return super().now_ns()


def record(number: int, **changed: Any) -> dict[str, Any]:
    """One of three devices, each of which sends every four minutes."""
    return {
        "device": f"d{number % 3}",
        "at": number // 3 * 4 * MINUTE_S,
        "count": number // 3,
        "level": number,
        **changed,
    }


def stand_in(folder: Path, **more: Any) -> Stand:
    return Stand(folder, CONTRACT, clock=Ticking(), **more)


def some(seed: int, rows: Sequence[int]) -> list[Record]:
    """Records of these numbers, a little out of order, with copies."""
    chance = random.Random(seed)
    sent = [number for number in rows for _ in range(chance.choice([1, 1, 1, 2]))]
    return [record(number) for number in sorted(sent, key=lambda number: number + chance.choice([0, 0, 0, 9]))]


def source(items: Sequence[Record], batch: int = 7) -> Callable[[], ListSource]:
    return lambda: ListSource(items, batch)


def held(stand: Stand) -> list[tuple[Any, ...]]:
    """Every stored row, sorted, with its shard."""
    with closing(stand.store()) as store:
        shards = store.query("shards", stream="readings")["shard"].to_list()
        frames = [rows for shard in shards for _, rows in store.batches(CONTRACT, shard, 0)]
        return sorted(
            row for frame in frames for row in frame.select("device", "at_ns", "level", "shard", "late").rows()
        )


def live_only(stand: Stand) -> list[Any]:
    """What live knows: its rows with their marks, and the state of its assets."""
    rows = [row for row in held(stand) if row[3] != BACKFILL]
    with closing(stand.store()) as store:
        return [*rows, *sorted(store.assets(CONTRACT).rows())]


NUMBERS = st.lists(st.integers(0, 89), max_size=60)


@given(NUMBERS, NUMBERS, st.integers(0, 2**32), st.sampled_from([1, 7, 1000]), st.sampled_from(["store", "lake"]))
@example([*range(60, 90)], [*range(90)], 1, 7, "store")
@example([], [*range(40)], 1, 7, "lake")
@settings(max_examples=40)
def test_backfill_and_live_in_any_order_are_one(
    first: list[int],
    second: list[int],
    seed: int,
    batch: int,
    where: str,
) -> None:
    """Live, then a backfill, then all of it live: the digest is that of everything at once, and no row is there twice."""
    with scratch() as folder:
        whole = stand_in(folder / "whole", lake_only=where == "lake")
        everything = [*some(seed, first), *some(seed + 1, second)]
        whole.run(ListSource(everything, batch))
        stand = stand_in(folder / "parts", lake_only=where == "lake")
        live = some(seed, first)
        stand.run(ListSource(live, batch))
        stand.backfill(source(some(seed + 1, second), batch))
        assert stand.balance().differences == []
        stand.run(ListSource([*live, *some(seed + 2, [*first, *second])], batch))
        assert stand.digest() == whole.digest()
        assert stand.balance().differences == []
        again = stand.replay()
        assert (again.difference, again.digest) == (None, stand.digest())


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2**32))
@example([30, 31, 32, 33], [*range(20)], [34, 21, 39], 1)
@settings(max_examples=30)
def test_live_goes_on_as_if_nothing_had_been_brought_in(
    first: list[int], missed: list[int], then: list[int], seed: int
) -> None:
    """Rows of live, their late marks, clocks, counters and gaps are the same with a backfill in between and without.

    But for what the backfill had brought in already, and for assets that live had never seen.
    """
    with scratch() as folder:
        calm, stand = stand_in(folder / "calm"), stand_in(folder / "stand")
        seen = {number % 3 for number in first}
        then = [number for number in then if number % 3 in seen and number not in missed]
        missed = [number for number in missed if number % 3 in seen]
        for one in (calm, stand):
            one.run(ListSource(some(seed, first), 7))
        stand.backfill(source(some(seed, missed)))
        for one in (calm, stand):
            one.run(ListSource([*some(seed, first), *some(seed, then)], 7))
        assert live_only(stand) == live_only(calm)


@given(NUMBERS, NUMBERS, st.integers(0, 2**32))
@example([*range(60, 90)], [*range(90)], 1)
@settings(max_examples=30)
def test_what_is_taken_is_what_is_missing_and_old_enough(first: list[int], second: list[int], seed: int) -> None:
    """Exactly the rows that are not stored and more than 15 minutes behind their device in live; none where it is new."""
    with scratch() as folder:
        stand = stand_in(folder)
        stand.run(ListSource(some(seed, first), 7))
        before = {row[:2] for row in held(stand)}
        clocks = {
            f"d{one}": max(n // 3 * 4 * MINUTE_S for n in first if n % 3 == one) for one in {n % 3 for n in first}
        }
        rows = [record(number) for number in set(second)]
        lacking = {(row["device"], row["at"] * SECOND_NS) for row in rows} - before
        old = {row for row in lacking if row[1] < (clocks.get(row[0], 10**6) - 15 * MINUTE_S) * SECOND_NS}
        found = stand.backfill(source(some(seed, second)))
        assert found
        assert {row[:2] for row in held(stand)} - before == old
        assert len(held(stand)) == len(before | old)
        assert bool(found.intervals) == bool(old)
        assert (found.left > 0) == bool(lacking - old)
        covered = [(one.since_ns, one.until_ns) for one in found.intervals]
        assert all(any(since <= at < until for since, until in covered) for _, at in old)
