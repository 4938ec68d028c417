"""Which records a backfill takes, what it leaves, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract, Lens
from hotfire.engine.backfill import BackfillSource
from hotfire.engine.loop import run
from hotfire.engine.missing import HOUR_NS
from hotfire.engine.upgrade import Nothing, take_up
from hotfire.errors import SourceChanged
from hotfire.rows import BACKFILL, LIVE, Backfill, Position, Span
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash, ListSource
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
HOUR_S = 3600
BAD = [b"{", {"a": "A", "t": 0, "x": 900}]


def row(t: int, a: str = "A", x: float = 1) -> dict[str, Any]:
    return {"a": a, "t": t, "x": x}


def source(*items: Any, batch: int = 2) -> Callable[[], ListSource]:
    return lambda: ListSource(items, batch)


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture
def stand(bench: Path) -> Stand:
    """Live is at 10 hours for A, and has never seen B."""
    stand = Stand(bench, CONTRACT)
    stand.run(ListSource([row(10 * HOUR_S)], 5))
    return stand


def ledger(stand: Stand, shard: str = BACKFILL) -> list[dict[str, Any]]:
    with closing(stand.store()) as store:
        return list(store.query("ledger", stream="s", shard=shard, after=0, page=100).rows(named=True))


def taken(stand: Stand) -> list[tuple[str, int]]:
    """Asset and hour of the rows that backfills have stored."""
    with closing(stand.store()) as store:
        frames = [rows for _, rows in store.batches(stand.contract, BACKFILL, 0)]
        return [(a, t // HOUR_NS) for frame in frames for a, t in frame.select("a", "t_ns").rows()]


def clocks(stand: Stand) -> dict[str, tuple[int, str]]:
    with closing(stand.store()) as store:
        found = store.assets(stand.contract).select("asset", "clock_ns", "shard").rows()
        return {asset: (clock // HOUR_NS, shard) for asset, clock, shard in found}


def test_rows_of_missing_hours_are_taken_and_others_are_not_received(stand: Stand) -> None:
    """Hours of which every row is stored are left out, whatever else the source has."""
    stand.run(ListSource([row(10 * HOUR_S), row(2 * HOUR_S)], 5))
    found = stand.backfill(source(*(row(hour * HOUR_S) for hour in (1, 2, 3, 4, 6))))
    assert found
    hours = [(one.since_ns // HOUR_NS, one.until_ns // HOUR_NS, one.rows, one.missing) for one in found.intervals]
    assert hours == [(1, 2, 1, 1), (3, 5, 2, 2), (6, 7, 1, 1)]
    assert taken(stand) == [("A", 1), ("A", 3), ("A", 4), ("A", 6)]
    assert sum(one["received"] for one in ledger(stand)) == 4
    assert stand.balance(source(*(row(hour * HOUR_S) for hour in (1, 2, 3, 4, 6)))()).differences == []


def test_new_rows_are_left_to_live(stand: Stand) -> None:
    """From 15 minutes behind the asset's clock on; the clock is where it was."""
    edge = 10 * HOUR_S - 15 * 60
    found = stand.backfill(source(row(edge - 1), row(edge), row(11 * HOUR_S)))
    assert found
    assert (found.missing, found.left, found.rows) == (1, 2, 3)
    assert taken(stand) == [("A", 9)]
    assert clocks(stand) == {"A": (10, LIVE)}


def test_an_asset_that_live_does_not_know_has_the_clock_of_the_backfill_until_live_comes(stand: Stand) -> None:
    """Until then all of its rows are taken; from then on those alone that live leaves."""
    assert stand.backfill(source(row(20 * HOUR_S, "B"), row(19 * HOUR_S, "B")))
    assert clocks(stand)["B"] == (20, BACKFILL)
    assert stand.backfill(source(row(30 * HOUR_S, "B")))
    stand.run(ListSource([row(10 * HOUR_S), row(30 * HOUR_S, "B"), row(40 * HOUR_S, "B")], 5))
    assert (clocks(stand)["B"], ledger(stand, LIVE)[-1]["duplicate"]) == ((40, LIVE), 1)
    found = stand.backfill(source(row(50 * HOUR_S, "B"), row(39 * HOUR_S, "B")))
    assert found
    assert (found.missing, found.left) == (1, 1)
    assert clocks(stand)["B"] == (40, LIVE)
    assert taken(stand) == [("B", 20), ("B", 19), ("B", 30), ("B", 39)]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_a_rejected_record_goes_with_the_one_before_it(stand: Stand, batch: int) -> None:
    """Two backfills of two parts of a source receive each of its records once, bad ones included, however it is cut."""
    items = [row(HOUR_S), *BAD, row(2 * HOUR_S), BAD[0], row(3 * HOUR_S), BAD[1], row(HOUR_S + 1), BAD[0]]
    received = []
    for hour in (1, 2, 3):
        assert stand.backfill(source(*items, batch=batch), None, hour * HOUR_NS, (hour + 1) * HOUR_NS)
        received.append(sum(one["received"] for one in ledger(stand)) - sum(received))
    assert received == [5, 2, 2]
    assert sum(one["quarantined"] for one in ledger(stand)) == 5
    assert stand.balance(source(*items)()).differences == []


def test_what_comes_first_and_is_rejected_is_always_taken(stand: Stand) -> None:
    """A record that nothing datable comes before belongs to no hour: better twice in quarantine than never."""
    for hour in (1, 2):
        assert stand.backfill(source(BAD[0], row(HOUR_S), row(2 * HOUR_S)), None, hour * HOUR_NS, (hour + 1) * HOUR_NS)
    assert [one["quarantined"] for one in ledger(stand) if one["quarantined"]] == [1, 1]


def test_another_content_is_a_conflict(stand: Stand) -> None:
    """What is stored is never overwritten; nothing is missing where only the content differs."""
    stand.run(ListSource([row(10 * HOUR_S), row(HOUR_S)], 5))
    found = stand.backfill(source(row(HOUR_S, x=7)))
    assert found
    assert found.intervals == ()
    assert stand.backfill(source(row(HOUR_S, x=7), row(HOUR_S + 1)))
    assert [(one["stored"], one["quarantined"]) for one in ledger(stand)] == [(1, 1)]


def test_a_backfill_does_not_touch_live(stand: Stand) -> None:
    """Neither its position, nor its batches; rows that live reads as well are duplicates there."""
    before = ledger(stand, LIVE)
    items = [row(10 * HOUR_S), row(HOUR_S), row(2 * HOUR_S)]
    assert stand.backfill(source(*items))
    assert ledger(stand, LIVE) == before
    stand.run(ListSource(items, 5))
    assert (ledger(stand, LIVE)[-1]["received"], ledger(stand, LIVE)[-1]["duplicate"]) == (2, 2)


def test_an_interrupted_backfill_goes_on(stand: Stand) -> None:
    """The same request finds the one that did not end, and reads on; one that has ended begins anew."""
    items = [row(hour * HOUR_S) for hour in range(1, 7)]
    with pytest.raises(Crash):
        stand.backfill(source(*items), Fuse("store.commit", 2, after=True))
    assert stand.backfill(source(*items)) is None
    assert [one["received"] for one in ledger(stand)] == [2, 2, 2]
    again = stand.backfill(source(*items))
    assert again
    assert (again.intervals, again.rows) == ((), 6)


def test_another_request_first_finishes_the_batch_that_was_planned(stand: Stand) -> None:
    """Whatever is asked for next, the planned batch takes the records that it was planned with."""
    items = [row(hour * HOUR_S) for hour in range(1, 7)]
    with pytest.raises(Crash):
        stand.backfill(source(*items, batch=100), Fuse("store.commit", 1), HOUR_NS, 3 * HOUR_NS)
    assert stand.backfill(source(*items, batch=100), None, 4 * HOUR_NS)
    assert taken(stand) == [("A", 1), ("A", 2), ("A", 4), ("A", 5), ("A", 6)]


def test_a_planned_batch_takes_the_same_records_wherever_live_has_gone(stand: Stand) -> None:
    """Live's clock moves between the plan and its commit: what was left then is left."""
    items = [row(HOUR_S), row(9 * HOUR_S + 2700), row(11 * HOUR_S)]
    with pytest.raises(Crash):
        stand.backfill(source(*items, batch=100), Fuse("store.commit", 1))
    stand.run(ListSource([row(10 * HOUR_S), row(20 * HOUR_S)], 5))
    assert stand.backfill(source(*items, batch=100)) is None
    assert taken(stand) == [("A", 1)]
    assert stand.balance(source(*items)()).differences == []


def test_a_source_that_changed_under_a_plan_is_refused(stand: Stand) -> None:
    """As everywhere: the bytes that were planned, or nothing."""
    with pytest.raises(Crash):
        stand.backfill(source(row(HOUR_S)), Fuse("store.commit", 1))
    with pytest.raises(SourceChanged):
        stand.backfill(source(row(HOUR_S + 1)))


def test_the_span_says_what_was_read_and_what_was_left(stand: Stand) -> None:
    """Records are numbered as they were read, so that one can be found again."""
    assert stand.backfill(source(row(9 * HOUR_S + 3000), row(9 * HOUR_S), batch=100))
    (one,) = ledger(stand)
    span = msgspec.json.decode(one["span"], type=Span)
    assert (span.rows, span.whole().rows, span.parts[0].facts["left"]) == (1, 2, 1)
    with closing(stand.store()) as store:
        assert store.batch(CONTRACT, BACKFILL, 1)["row_no"].to_list() == [1]


def test_a_new_version_of_the_contract_finishes_a_backfill_first(stand: Stand) -> None:
    """Its planned batch is committed under the version it was planned with, and then converted with all others."""
    items = [row(hour * HOUR_S) for hour in range(1, 4)]
    with pytest.raises(Crash):
        stand.backfill(source(*items, batch=100), Fuse("store.commit", 1))
    columns = (*CONTRACT.columns[:2], Column("y", "number"))
    second = replace(
        CONTRACT,
        version="2.0.0",
        columns=columns,
        lens=Lens(1, "y is null", {"y": "x * 2"}),
        older=(CONTRACT,),
        hash="2",
    )
    with closing(stand.store()) as store:
        flow = stand.flow(Nothing(), store, reread=source(*items)())
        take_up(replace(flow, contract=second), stand.texts)
    stand.contract = second
    assert taken(stand) == [("A", 1), ("A", 2), ("A", 3)]
    assert stand.balance().differences == []


def test_a_stream_kept_only_in_the_lake_is_brought_up_there(bench: Path) -> None:
    """What is stored is looked for in the lake; a second time nothing is missing."""
    stand = Stand(bench, CONTRACT, clock=ManualClock(), lake_only=True)
    stand.run(ListSource([row(10 * HOUR_S), row(2 * HOUR_S)], 5))
    items = [row(hour * HOUR_S) for hour in (1, 2, 3)]
    found = stand.backfill(source(*items))
    assert found
    assert found.missing == 2
    again = stand.backfill(source(*items))
    assert again
    assert again.intervals == ()
    assert len(stand.came().lake) == 4


class Meanwhile(ListSource):
    """A list of which the last record comes only after something else has happened."""

    def __init__(self, items: list[Any], deed: Callable[[], None]) -> None:
        super().__init__(items, 1)
        self._last, self._deed = len(items) - 1, deed

    def poll(self, after: Position) -> Any:
        place = after.get("list")
        if place and place.offset == self._last:
            self._deed()
        return super().poll(after)


@pytest.mark.parametrize("lake_only", [False, True], ids=["store", "lake_only"])
@pytest.mark.parametrize(("device", "hour"), [("A", 5), ("B", 5), ("B", 30)])
def test_live_knows_what_came_apart_from_it_while_it_ran(
    bench: Path,
    device: str,
    hour: int,
    lake_only: bool,  # noqa: FBT001
) -> None:
    """A row that a backfill has stored meanwhile is a duplicate for live, which remembers only its own."""
    stand, lock = Stand(bench, CONTRACT, lake_only=lake_only), Lock()
    brought = row(hour * HOUR_S, device)
    with closing(stand.store()) as own, closing(stand.store()) as other:
        own.own()
        other.borrow()

        def apart() -> None:
            wanted = Backfill(other.begin_backfill("s", '{"intervals": []}'), ((0, 40 * HOUR_NS),))
            flow = stand.flow(BackfillSource(ListSource([brought]), wanted.number), other)
            run(replace(flow, shard=BACKFILL, backfill=wanted, lock=lock))

        live = Meanwhile([*(row(at * HOUR_S) for at in (0, 2, 4, 6, 8, 10)), brought], apart)
        counts = run(replace(stand.flow(live, own), lock=lock))
    assert (counts.received, counts.stored, counts.duplicate) == (7, 6, 1)
    assert stand.balance().differences == []
    assert stand.replay().equal
