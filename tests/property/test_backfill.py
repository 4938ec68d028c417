"""What is brought in later, apart from live: nothing twice, nothing lost, and live is as if it had not happened."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier, Condition, Lock
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.backfill import BackfillSource
from hotfire.engine.flow import Flow
from hotfire.engine.loop import Pace, run
from hotfire.engine.missing import survey
from hotfire.rows import BACKFILL
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash, ListSource
from hotfire.testing.stand import Stand, scratch
from hotfire.workspace.backfills import Asked, begin

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
@settings(max_examples=12)
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
@settings(max_examples=10)
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
@settings(max_examples=10)
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


class Turns:
    """Two runs take a batch each in an order that is written down: nothing else is left to chance.

    Both have opened the stream before either takes its first.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order, self._lock, self._begun = list(order), Condition(), Barrier(2, timeout=60)
        self._holder: int | None = None
        self._ended = set[int]()

    def take(self, who: int, flow: Flow) -> None:
        """Run a flow to its end, in its turns."""
        try:
            run(flow, go_on=self._pace(who))
        finally:
            with self._lock:
                self._ended.add(who)
                self._let_go(who)

    def _pace(self, who: int) -> Pace:
        began = False

        def go_on(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
            nonlocal began
            if not began:
                began = True
                self._begun.wait()
            with self._lock:
                self._let_go(who)
                self._lock.wait_for(lambda: self._holder is None and (self._next() == who or 1 - who in self._ended))
                self._holder = who
                self._order = self._order[1:]
            return not idle

        return go_on

    def _next(self) -> int:
        return self._order[0] if self._order else 0

    def _let_go(self, who: int) -> None:
        if self._holder == who:
            self._holder = None
        self._lock.notify_all()


def beside(stand: Stand, live: Sequence[Record], old: Sequence[Record], batch: int, order: Sequence[int]) -> None:
    """Live (0) takes its records, and a backfill (1) what was missing before either began, in one process."""
    lock, turns = Lock(), Turns(order)
    with closing(stand.store()) as owner, closing(stand.store()) as one, closing(stand.store()) as other:
        owner.own()
        for store in (one, other):
            store.borrow()
        found = survey(stand.flow(ListSource(old, batch), one))
        own = begin(one, "readings", Asked(["bench"]), found)
        apart = replace(stand.flow(BackfillSource(ListSource(old, batch), own.number), other), shard=BACKFILL)
        flows = (stand.flow(ListSource(live, batch), one), replace(apart, backfill=own))
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(turns.take, who, replace(flow, lock=lock)) for who, flow in enumerate(flows)]
        for end in both:
            end.result()
        other.end_backfill("readings", own.number)


@given(
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.integers(0, 2**32),
    st.sampled_from([1, 7, 20]),
    st.lists(st.integers(0, 1), max_size=40),
    st.sampled_from(["store", "lake"]),
)
@example(([], [], [*range(30)], [], [*range(30)]), 1, 7, [1, 1, 0], "store")
@example(([0, 3], [], [1, 2, 4, 5, 31, 32, 28, 29], [], [*range(1, 40)]), 1, 7, [1, 0, 1, 0], "store")
@example(([60], [], [*range(61, 89, 3)], [], [*range(1, 89, 3)]), 1, 1, [0, 1] * 20, "store")
@example(([], [*range(10)], [*range(12, 40)], [], [*range(60)]), 1, 7, [1] * 20, "store")
@example(([], [], [*range(70, 85)], [*range(30)], [*range(60)]), 1, 20, [0, 1, 1, 1, 1], "store")
@example(([], [*range(10)], [*range(30)], [], [*range(30)]), 1, 7, [1, 1, 0], "lake")
@settings(max_examples=6)
def test_in_one_process_no_row_is_stored_twice_whoever_comes_first(
    numbers: tuple[list[int], ...],
    seed: int,
    batch: int,
    order: list[int],
    where: str,
) -> None:
    """Live and a backfill, batch between batch, of assets that one of them knows, both or neither: each row is there once.

    Before they began live had brought rows, and another backfill; then live brings some in order and some late.
    """
    with scratch() as folder:
        whole = stand_in(folder / "whole", lake_only=where == "lake")
        whole.run(ListSource([record(number) for number in {number for part in numbers for number in part}], 50))
        stand = stand_in(folder / "parts", lake_only=where == "lake")
        live, earlier, then, late, old = (some(seed + at, part) for at, part in enumerate(numbers))
        stand.run(ListSource(live, batch))
        stand.backfill(source(earlier, 50))
        live += [*then, *late]
        beside(stand, live, old, batch, order)
        assert stand.balance().differences == []
        stand.run(ListSource([*live, *earlier, *old], 50))
        assert stand.digest() == whole.digest()
        assert stand.balance().differences == []
        assert stand.replay().difference is None


@pytest.mark.parametrize("point", ["store.plan", "store.commit"])
@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2**32), st.integers(1, 4))
@example([], [*range(0, 30, 2)], [*range(60)], 1, 1)
@settings(max_examples=5)
def test_a_backfill_goes_on_after_live_has_met_its_assets(
    point: str, first: list[int], second: list[int], then: list[int], seed: int, call: int
) -> None:
    """Killed with a batch planned, while live goes on: what is too new by now is left to live, and no row doubled."""
    with scratch() as folder:
        stand, whole = stand_in(folder / "parts"), stand_in(folder / "whole")
        whole.run(ListSource([record(number) for number in {*first, *second, *then}], 50))
        stand.run(ListSource(some(seed, first), 7))
        try:
            stand.backfill(source(some(seed + 1, second)), Fuse(point, call, after=point == "store.plan"))
        except Crash:
            stand.run(ListSource([*some(seed, first), *some(seed + 2, then)], 7))
            stand.backfill(source(some(seed + 1, second)))
        stand.run(ListSource([*some(seed, first), *some(seed + 2, then), *some(seed + 3, [*then, *second])], 7))
        assert stand.digest() == whole.digest()
        assert stand.balance().differences == []
        assert stand.replay().difference is None
