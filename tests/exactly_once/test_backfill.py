"""A backfill that dies at any step, and goes on: what was missing is brought in once, and live has never noticed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Contract
from hotfire.engine.backfill import BackfillSource
from hotfire.engine.flow import Flow
from hotfire.engine.loop import run
from hotfire.engine.missing import survey
from hotfire.rows import BACKFILL, LIVE
from hotfire.source.files import FileSource
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Stand
from hotfire.workspace.backfills import Asked, begin

DAY_NS = 86_400_000_000_000
EFFECTS = {"store.open", "store.plan", "store.commit", "lake.append", "source.acknowledge"}
REPEATED = {"records.where", "records.raw"}


@pytest.fixture
def on_bench(bench: Path, burns: Contract, open_files: Callable[..., FileSource]) -> Callable[..., Stand]:
    """Makes streams in which live is a day ahead of the files, for two of three engines."""
    rows = [{"engine": f"TRE-{one:03}", "at": 1_700_000_000_000_000_000 + DAY_NS, "flow": 1.0} for one in (1, 2)]
    path = bench / "ahead.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    os.utime(path, ns=(10**18, 10**18))

    def made(name: str, **more: Any) -> Stand:
        stand = Stand(bench / name, burns, **more)
        stand.run(open_files(path))
        return stand

    return made


@pytest.mark.parametrize(
    ("name", "lake_only"), [("burns.csv", False), ("burns.jsonl", True)], ids=["csv-store", "jsonl-lake_only"]
)
def test_a_backfill_may_die_at_any_step(
    bench: Path,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    on_bench: Callable[..., Stand],
    name: str,
    lake_only: bool,  # noqa: FBT001
) -> None:
    """Asked for again, it goes on: digest, clocks, lake and the order of arrival are those of an undisturbed one."""
    path, chance, fuse = make(bench / name), random.Random(name), Fuse()
    calm = on_bench("calm", lake_only=lake_only)
    assert calm.backfill(lambda: open_files(path), fuse)
    came, arrival = calm.came(), calm.arrival()
    assert {shard for shard, _, _ in arrival} == {LIVE, BACKFILL}
    assert came.totals["quarantined"] > 3
    assert came.totals["duplicate"] > 0
    before = [(point, call, False) for point, call in fuse.trace if call == 1 or point not in REPEATED]
    steps = sorted({*before, *((point, call, True) for point, call in fuse.trace if point in EFFECTS)})
    for number, (point, call, after) in enumerate(steps):
        stand = on_bench(f"{number}", lake_only=lake_only)
        again, times, later = chance.choice(steps)
        for one in (Fuse(point, call, after), Fuse(again, times, later), Fuse()):
            try:
                stand.backfill(lambda: open_files(path), one)
            except Crash:
                continue
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        last = stand.backfill(lambda: open_files(path))
        assert last
        assert last.missing == 0


def test_live_goes_on_before_a_backfill_that_died_on_its_way_from_the_lake_to_its_commit(
    bench: Path, make: Callable[..., Path], open_files: Callable[..., FileSource], on_bench: Callable[..., Stand]
) -> None:
    """Live meets the same rows of an engine that is new to it: in the end each is there once, and all balances."""
    path = make(bench / "burns.jsonl")
    alone = on_bench("alone", lake_only=True)
    alone.run(open_files(path))
    for call in (1, 2, 3):
        stand = on_bench(f"{call}", lake_only=True)
        with pytest.raises(Crash):
            stand.backfill(lambda: open_files(path), Fuse("lake.append", call, after=True))
        stand.run(open_files(path))
        stand.backfill(lambda: open_files(path))
        assert (call, in_lake(stand)) == (call, in_lake(alone))
        assert stand.balance(open_files(path)).differences == []
        assert stand.replay().difference is None


def in_lake(stand: Stand) -> list[tuple[Any, ...]]:
    """Identities of all rows, sorted: what is there twice is seen twice."""
    with closing(stand.store()) as store:
        frames = stand.lake(store).rows(stand.contract)
        return sorted(row for frame in frames for row in frame.select("engine", "at_ns").rows())


@pytest.mark.parametrize("kept_in", ["sqlite", "postgresql"])
def test_live_and_a_backfill_of_the_same_file_at_the_same_time(
    bench: Path,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    on_bench: Callable[..., Stand],
    request: pytest.FixtureRequest,
    kept_in: str,
) -> None:
    """Both in one process, batch between batch: every row is stored once, whoever comes first; a replay is equal."""
    old, more = make(bench / "old.jsonl", 900, seed=3), make(bench / "more.jsonl", 300, seed=4)
    alone = on_bench("alone")
    alone.run(open_files(old, more))
    for number in (0, 2):
        url = request.getfixturevalue("new_store_url")() if kept_in == "postgresql" else ""
        stand = on_bench(f"{number}", url=url)
        side_by_side(stand, open_files(old, more), [open_files(old), open_files(old, batch_rows=5 + number)])
        assert stored_once(stand) == stored_once(alone)
        assert stand.balance().differences == []
        assert stand.replay().difference is None


def side_by_side(stand: Stand, live: FileSource, apart: list[FileSource]) -> None:
    """Live reads its files while a backfill brings in what was missing before either began."""
    lock, failed = Lock(), list[BaseException]()
    with closing(stand.store()) as owner, closing(stand.store()) as one, closing(stand.store()) as other:
        owner.own()
        for store in (one, other):
            store.borrow()
        found = survey(stand.flow(apart[0], one))
        own = begin(one, "burns", Asked(["old"]), found)
        flows = (
            replace(stand.flow(live, one), lock=lock),
            replace(stand.flow(BackfillSource(apart[1], own.number), other), shard=BACKFILL, backfill=own, lock=lock),
        )
        threads = [Thread(target=going, args=(flow, failed)) for flow in flows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def going(flow: Flow, failed: list[BaseException]) -> None:
    try:
        run(flow)
    except BaseException as error:  # noqa: BLE001 - told to the test's own thread
        failed.append(error)


def stored_once(stand: Stand) -> list[tuple[Any, ...]]:
    """Identities of all rows, sorted: what is there twice is seen twice."""
    with closing(stand.store()) as store:
        frames = [rows for shard in (LIVE, BACKFILL) for _, rows in store.batches(stand.contract, shard, 0)]
        return sorted(row for frame in frames for row in frame.select("engine", "at_ns").rows())
