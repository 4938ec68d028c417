"""The loop's promises: what happens in which order, what a crash leaves to the next run, and who may write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.flow import Flow
from hotfire.engine.loop import run
from hotfire.errors import LakeUnusable, OwnedElsewhere, Refused, RowsRefused, SourceChanged
from hotfire.rows import LIVE, Outcome, Position
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import CRASH, END, Crash, ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("x", "number", maximum=100),
    ),
    asset="a",
    time="t",
    hash="1",
)
WIDER = replace(CONTRACT, hash="2", columns=(*CONTRACT.columns, Column("y", "number")))
NOON_S = 1_780_272_000
"""Where a ManualClock stands, in seconds."""


def items(count: int, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [{"a": "A", "t": t, "x": 1.0, **more} for t in range(start, start + count)]


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture
def stand(bench: Path) -> Stand:
    return Stand(bench, CONTRACT)


def test_a_batch_is_planned_committed_followed_and_acknowledged(stand: Stand) -> None:
    """In this order, batch by batch; the lake is caught up when the run ends."""
    fuse = Fuse()
    stand.run(ListSource(items(6), 2), fuse)
    steps = ["store.plan", "store.commit", "source.acknowledge"]
    seen = [step for step in fuse.trace if step[0] in steps]
    assert seen == [
        ("source.acknowledge", 1),
        *((step, seq + (step == "source.acknowledge")) for seq in (1, 2, 3) for step in steps),
    ]
    assert [step for step in fuse.trace if step[0] != "lake.worn"][-1] == ("lake.append", 1)
    assert len(stand.came().lake) == 6


def test_a_second_run_finds_nothing_new(stand: Stand) -> None:
    """The position is past everything; no batch is made of nothing."""
    source = ListSource(items(5), 2)
    assert stand.run(source).received == 5
    assert stand.run(source).received == 0
    assert stand.balance(source).totals["batches"] == 3


def test_what_comes_later_is_taken_by_the_next_run(stand: Stand) -> None:
    """Where a source has nothing at present, the run ends; the next one goes on."""
    source = ListSource([*items(3), END, *items(2, 3)], 2)
    assert [stand.run(source).received for _ in range(3)] == [3, 2, 0]


def test_the_watcher_is_told_of_committed_batches(bench: Path) -> None:
    """Each batch after its commit, those that a crash left included."""
    stand, told = Stand(bench, CONTRACT), list[int]()
    with pytest.raises(Crash):
        stand.run(ListSource(items(4), 2), Fuse("store.commit", 2))
    with closing(stand.store()) as store:

        def watch(outcome: Outcome) -> None:
            assert store.query("shards", stream="s")["committed_seq"].item() == outcome.plan.batch_seq
            told.append(outcome.plan.batch_seq)

        source = ListSource(items(6), 2)
        run(flow_of(stand, store, source), watch)
    assert told == [2, 3]


def flow_of(stand: Stand, store: Any, source: ListSource, **more: Any) -> Flow:
    parts = {"lake": stand.lake(store), "clock": stand.clock, "job_id": "j", **more}
    return Flow(
        stand.contract,
        source,
        store,
        reread=lambda plan: source.reread(plan.span),
        contract_of={CONTRACT.hash: CONTRACT, WIDER.hash: WIDER}.__getitem__,
        **parts,
    )


class Remembering(ListSource):
    """Keeps every acknowledged position."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.acknowledgements: list[Position] = []

    def acknowledge(self, position: Position) -> None:
        self.acknowledgements.append(position)


def test_what_is_durable_is_acknowledged_after_a_crash(stand: Stand) -> None:
    """A crash between commit and acknowledgement: the next run acknowledges first, also where nothing more comes."""
    source = Remembering(items(4), 4)
    with pytest.raises(Crash):
        stand.run(source, Fuse("source.acknowledge", 2))
    assert [dict(one) for one in source.acknowledgements] == [{}]
    stand.run(source)
    assert [place.offset for one in source.acknowledgements for place in one.values()] == [4]


def test_nothing_is_acknowledged_before_its_commit(stand: Stand) -> None:
    """A batch whose commit did not happen may be needed again."""
    source = Remembering(items(4), 2)
    with pytest.raises(Crash):
        stand.run(source, Fuse("store.commit", 2))
    assert [place.offset for one in source.acknowledgements for place in one.values()] == [2]


def test_a_crash_inside_the_data_is_survived(stand: Stand) -> None:
    """The source itself may die in the middle, again and again."""
    source = ListSource([*items(3), CRASH, *items(3, 3), CRASH, CRASH, *items(1, 6)], 2)
    for _ in range(3):
        with pytest.raises(Crash):
            stand.run(source)
    stand.run(source)
    assert stand.came().totals["stored"] == 7
    assert stand.balance(source).differences == []


def test_a_plan_is_finished_by_its_own_contract(bench: Path) -> None:
    """What was planned under the old text is judged by it, whatever the text says by now; the rest by the new one."""
    source = ListSource([*items(2, x=50.0), *items(2, 2, x=50.0)], 2)
    old = Stand(bench, CONTRACT)
    with pytest.raises(Crash):
        old.run(source, Fuse("store.commit"))
    stricter = replace(CONTRACT, hash="3", columns=(*CONTRACT.columns[:2], Column("x", "number", maximum=10)))
    new = Stand(bench, stricter, known=old.known)
    counts = new.run(source)
    assert (counts.stored, counts.quarantined) == (2, 2)
    assert [fate[0] for fate in new.came().fates.values()] == ["stored", "stored", "open", "open"]


@pytest.mark.parametrize("more", [0, 2])
def test_a_contract_may_gain_a_column_between_crash_and_restart(bench: Path, more: int) -> None:
    """The finished batch is null in the new column, in store and lake; those after it, if any, hold it."""
    source = ListSource([*items(2), *items(more, 2, y=5.0)], 2)
    old = Stand(bench, CONTRACT)
    with pytest.raises(Crash):
        old.run(source, Fuse("store.plan", after=True))
    new = Stand(bench, WIDER, known=old.known)
    new.run(source)
    assert [row[3] for row in new.came().lake] == [None, None, *[5.0] * more]
    assert new.balance(source).differences == []


def test_a_plan_is_finished_with_its_own_instant(bench: Path) -> None:
    """A row that was ahead of its receipt stays so, however late the batch is finished."""
    source = ListSource([{"a": "A", "t": NOON_S + 301, "x": 1.0}, {"a": "A", "t": NOON_S + 300, "x": 1.0}])
    stand = Stand(bench, CONTRACT)
    with pytest.raises(Crash):
        stand.run(source, Fuse("store.commit"))
    later = Stand(bench, CONTRACT, clock=ManualClock(2 * NOON_S * 10**9))
    later.run(source)
    assert list(later.came().fates.values()) == [("open", "t.ahead"), ("stored",)]


def test_a_span_with_other_bytes_is_refused(stand: Stand) -> None:
    """Nothing is done; with the old bytes back the run goes on."""
    source = ListSource(items(4), 2)
    with pytest.raises(Crash):
        stand.run(source, Fuse("store.commit", 2))
    before = stand.came()
    with pytest.raises(SourceChanged, match="list no longer holds the bytes that batch 2 was planned with"):
        stand.run(ListSource(items(4, x=2.0), 2))
    assert stand.came() == before
    assert stand.run(source).received == 2


def test_who_loses_the_shard_stops(stand: Stand) -> None:
    """Another process opened the shard while this one was reading: what this one commits is refused."""
    with closing(stand.store()) as store:
        taken = ListSource(items(6), 2)

        def watch(outcome: Outcome) -> None:
            if outcome.plan.batch_seq == 2:
                store.open("s", LIVE)

        with pytest.raises(OwnedElsewhere):
            run(flow_of(stand, store, taken), watch)
    assert stand.came().totals["stored"] == 4
    assert stand.run(taken).stored == 2


def test_without_a_lake_nothing_follows(stand: Stand) -> None:
    """A dry run has none; a later run with one catches it up."""
    source = ListSource(items(5), 2)
    with closing(stand.store()) as store:
        assert run(flow_of(stand, store, source, lake=None)).stored == 5
    assert stand.came().lake == []
    stand.run(source)
    assert len(stand.came().lake) == 5


def test_a_lake_that_is_behind_is_caught_up(stand: Stand) -> None:
    """Batches that were committed and not appended follow at the next start, in their order."""
    source = ListSource([*items(5), END, *items(3, 5)], 2)
    with pytest.raises(Crash):
        stand.run(source, Fuse("lake.append"))
    assert stand.arrival() == []
    stand.run(source)
    assert stand.arrival() == [
        ("live", seq, row) for seq, rows in ((1, 2), (2, 2), (3, 1), (4, 2), (5, 1)) for row in range(rows)
    ]


def test_a_lake_that_is_ahead_is_refused(stand: Stand) -> None:
    """Its batches would be given out a second time with other rows."""
    source = ListSource(items(4), 2)
    stand.run(source)
    with closing(stand.store()) as store:
        rows = next(rows for _, rows in store.batches(CONTRACT, LIVE, 0))
        stand.lake(store).append(CONTRACT, LIVE, 9, rows.clear())
    with pytest.raises(LakeUnusable, match="holds batch 9, the store only 2"):
        stand.run(source)


def test_trouble_with_the_lake_is_told_and_loses_nothing(stand: Stand) -> None:
    """What was committed stays; when the lake can be written again, it catches up."""
    source = ListSource(items(4), 2)
    (stand.folder / "lake").write_bytes(b"in the way")
    with pytest.raises(LakeUnusable):
        stand.run(source)
    (stand.folder / "lake").unlink()
    stand.run(source)
    assert len(stand.came().lake) == 4
    assert stand.balance(source).differences == []


def test_duplicates_of_the_far_past_are_found_after_a_restart(bench: Path) -> None:
    """Older than the memory reaches: looked up in the table, or in the lake where the rows are only there."""
    hour = 3600
    first = [*items(3), *items(3, 5 * hour)]
    again = [*items(3), {"a": "A", "t": 1, "x": 9.0}, *items(1, 5 * hour), {"a": "A", "t": 30, "x": 2.0}]
    for lake_only in (False, True):
        stand = Stand(bench / f"{lake_only}", CONTRACT, lake_only=lake_only)
        stand.run(ListSource(first, 2))
        stand.run(ListSource([*first, *again], 2))
        fates = list(stand.came().fates.values())[6:]
        assert fates == [*[("duplicate",)] * 3, ("open", "key.conflict"), ("duplicate",), ("stored", "late")]


def test_a_copy_is_compared_in_the_columns_that_its_first_version_had(stand: Stand) -> None:
    """A column that joined the contract later makes no conflict of a copy; any other difference does."""
    rows = [{"a": "A", "t": t, "x": 1.0, "y": 2.0} for t in range(3)]
    stand.run(ListSource(rows, 2))
    later = Stand(stand.folder, WIDER, known=stand.known)
    again = {"a": "A", "t": 9, "x": 1.0, "y": 4.0}
    later.run(ListSource([*rows, *rows, {"a": "A", "t": 0, "x": 9.0, "y": 2.0}, {**again, "y": 3.0}, again], 2))
    fates = list(later.came().fates.values())[3:]
    assert fates == [*[("duplicate",)] * 3, ("open", "key.conflict"), ("stored",), ("open", "key.conflict")]


def test_rows_kept_only_in_the_lake_keep_a_stream_there(bench: Path) -> None:
    """The store alone would take every one of them for new: refused, and nothing is done."""
    Stand(bench, CONTRACT, lake_only=True).run(ListSource(items(4), 2))
    with pytest.raises(Refused, match="kept only in the lake"):
        Stand(bench, CONTRACT).run(ListSource(items(6), 2))
    stand = Stand(bench, CONTRACT, lake_only=True)
    stand.run(ListSource(items(6), 2))
    assert stand.came().totals["stored"] == 6
    assert stand.balance().differences == []


def test_rows_of_the_store_are_known_where_the_lake_alone_goes_on(bench: Path) -> None:
    """The lake catches up with the store before it takes over: a copy is a duplicate, also where the lake was behind."""
    stand, fuse = Stand(bench, CONTRACT), Fuse("lake.append")
    with pytest.raises(Crash):
        stand.run(ListSource(items(4), 2), fuse)
    only = Stand(bench, CONTRACT, lake_only=True)
    only.run(ListSource([*items(4), *items(4), *items(1, 9)], 2))
    came = only.came()
    assert (came.totals["stored"], came.totals["duplicate"], len(came.lake)) == (5, 4, 5)


def test_rows_that_only_the_store_refuses_are_quarantined_and_nothing_else(stand: Stand) -> None:
    """A trigger of the database's own: the batch is planned anew without them, and committed once."""
    with closing(stand.store()) as store, closing(SqliteConnection(store.path)) as connection:
        connection.query(
            "CREATE TRIGGER sevens BEFORE INSERT ON s WHEN NEW.x = 7.0 BEGIN SELECT RAISE(ABORT, 'no sevens'); END"
        )
        connection.commit()
    rows = [{"a": "A", "t": t, "x": 7.0 if t in (3, 4, 11) else 1.0} for t in range(14)]
    for _ in range(4):
        try:
            stand.run(ListSource(rows, 5))
            break
        except RowsRefused:
            continue
    came = stand.came()
    assert [no for no, fate in came.fates.items() if fate == ("open", "row.store")] == [3, 4, 11]
    assert (came.totals["stored"], came.totals["quarantined"], len(came.lake)) == (11, 3, 11)
    assert stand.balance().differences == []
