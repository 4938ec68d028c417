"""What a replay moves, what it leaves, and what it never does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.errors import SourceChanged
from hotfire.quarantine.replay import QuarantineSource, histogram
from hotfire.rows import LIVE
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash, ListSource
from hotfire.testing.stand import Stand, scratch

READINGS = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("n", "integer"),
        Column("x", "number", maximum=10),
    ),
    asset="a",
    time="t",
    counter="n",
    hash="narrow",
)
WIDER = replace(READINGS, hash="wide", columns=(*READINGS.columns[:3], Column("x", "number", maximum=100)))
ROCKETS = Contract(
    stream="rockets",
    version="1.0.0",
    kind="entity",
    columns=(Column("id", "string", required=True), Column("x", "number", maximum=10), Column("rev", "integer")),
    key=("id",),
    revision="rev",
    hash="narrow",
)
TALLER = replace(ROCKETS, hash="tall", columns=(ROCKETS.columns[0], Column("x", "number"), ROCKETS.columns[2]))


def reading(t: int, x: float, a: str = "A", **more: Any) -> dict[str, Any]:
    return {"a": a, "t": t, "x": x, **more}


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


def rows(stand: Stand, state: str = "open") -> list[dict[str, Any]]:
    with closing(stand.store()) as store:
        page = store.query("quarantine_list", stream=stand.contract.stream, state=state, after=0, page=100)
        return page.to_dicts()


def current(stand: Stand) -> list[tuple[Any, ...]]:
    """The current versions of an entity."""
    with closing(stand.store()) as store:
        table = store.table(stand.contract.stream)
        assert table is not None
        return sorted(table.select("id", "x").rows())


MIX = [reading(1, 1), reading(2, 20), reading(3, 3), reading(4, 400), reading(2, 20), b"{", reading(5, 50, a="B")]


def test_a_wider_contract_takes_rows_out_of_quarantine(bench: Path) -> None:
    """They are stored or duplicates, marked late, in store and lake; the rest shows its faults; everything balances."""
    Stand(bench, READINGS).run(ListSource(MIX))
    wide = Stand(bench, WIDER)
    counts = wide.repair()
    assert (counts.moved, counts.stored, counts.duplicate, counts.late, counts.received) == (3, 2, 1, 2, 0)
    came = wide.came()
    assert came.totals == {
        "received": 7, "stored": 4, "duplicate": 1, "superseded": 0, "quarantined": 2, "corrected": 0, "late": 2
    }  # fmt: skip
    assert [fate[0] for fate in came.fates.values()] == [
        "stored", "repaired", "stored", "open", "repaired", "open", "repaired"
    ]  # fmt: skip
    assert len(came.lake) == 4
    assert wide.balance().differences == []


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_three_replays_are_as_good_as_one(bench: Path, batch: int) -> None:
    """A replay is idempotent: digest, totals and clocks stay as the first one left them."""
    Stand(bench, READINGS).run(ListSource(MIX, 3))
    wide = Stand(bench, WIDER)
    wide.repair()
    once = wide.came()
    for _ in range(2):
        assert wide.repair(batch=batch).moved == 0
    assert wide.came() == once


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_replay_in_any_batches_gives_the_same(bench: Path, batch: int) -> None:
    """Where a repair batch ends means nothing."""
    came = []
    for size in (batch, 100):
        Stand(bench / f"{size}", READINGS).run(ListSource(MIX))
        wide = Stand(bench / f"{size}", WIDER)
        wide.repair(batch=size)
        came.append(wide.came())
    assert came[0] == came[1]


def test_a_replay_ends_where_it_would_have_been_stored_at_once(bench: Path) -> None:
    """Quarantined and replayed, or accepted in the first place: the same rows, and the same digest."""
    items = [reading(t, x) for t, x in ((1, 1), (2, 20), (3, 3), (4, 40))]
    Stand(bench / "late", READINGS).run(ListSource(items))
    late = Stand(bench / "late", WIDER)
    late.repair()
    at_once = Stand(bench / "at once", WIDER)
    at_once.run(ListSource(items))
    assert late.digest() == at_once.digest()


def test_a_row_that_came_again_meanwhile_is_a_duplicate(bench: Path) -> None:
    """Deduplication sees what arrived while the row was in quarantine."""
    Stand(bench, READINGS).run(ListSource([reading(2, 20)]))
    wide = Stand(bench, WIDER)
    wide.run(ListSource([reading(2, 20)] * 2, 1))
    counts = wide.repair()
    assert (counts.moved, counts.stored, counts.duplicate) == (1, 0, 1)


def test_a_row_that_was_corrected_meanwhile_stays_in_quarantine(bench: Path) -> None:
    """A stored row is never overwritten: the replayed one is a conflict now."""
    items = [reading(2, 20)]
    Stand(bench, READINGS).run(ListSource(items))
    wide = Stand(bench, WIDER)
    wide.run(ListSource([*items, reading(1, 0), reading(2, 5)]))
    assert wide.repair().moved == 0
    (row,) = rows(wide)
    assert (row["tries"], "key.conflict" in row["faults"]) == (1, True)
    assert [lake[3] for lake in wide.came().lake] == [0.0, 5.0]


def test_the_loop_guard_leaves_rows_alone(bench: Path) -> None:
    """After so many tries in vain a row is no longer tried, however often a replay is asked for."""
    stand = Stand(bench, READINGS)
    stand.run(ListSource([reading(1, 20), b"{"]))
    for tries in (1, 2, 2, 2):
        assert stand.repair(tries=2).moved == 0
        assert [row["tries"] for row in rows(stand)] == [tries, tries]
    with closing(stand.store()) as store:
        assert store.query("quarantine_given_up", stream="readings", tries=2).item() == 2
    assert Stand(bench, WIDER).repair(tries=2).moved == 0
    assert Stand(bench, WIDER).repair(tries=3).moved == 1


def test_a_replay_may_be_of_one_check(bench: Path) -> None:
    """Other rows are neither moved nor tried."""
    items = [reading(1, 20), b"{", reading(2, 20), {"a": "A", "t": 3, "x": "n/a"}]
    Stand(bench, READINGS).run(ListSource(items))
    wide = Stand(bench, WIDER)
    assert wide.repair(check="x.range", batch=1).moved == 2
    assert [row["tries"] for row in rows(wide)] == [0, 0]
    assert wide.repair(check="no.such").moved == 0


def test_a_discarded_row_is_not_replayed(bench: Path) -> None:
    """A tombstone stays where it is, with its reason, and still counts."""
    stand = Stand(bench, READINGS)
    stand.run(ListSource([reading(1, 20), reading(2, 20)]))
    before = stand.digest()
    first = rows(stand)[0]["id"]
    with closing(stand.store()) as store:
        assert store.discard([first, *range(90, 190)], "a test") == {first}
        assert store.discard([first], "another") == set()
        assert store.discard([], "nothing") == set()
    assert stand.digest() == before
    assert Stand(bench, WIDER).repair().moved == 1
    (gone,) = rows(stand, "discarded")
    assert (gone["reason"], stand.balance().differences) == ("a test", [])


def test_a_row_discarded_between_plan_and_commit_gets_no_second_fate(bench: Path) -> None:
    """The planned repair is refused, and nothing of it was done; dropped and replayed, the other rows move."""
    Stand(bench, READINGS).run(ListSource([reading(1, 20), reading(2, 20)]))
    wide = Stand(bench, WIDER)
    with pytest.raises(Crash):
        wide.repair(Fuse("store.plan", after=True))
    with closing(wide.store()) as store:
        store.discard([rows(wide)[0]["id"]], "a test")
    before = wide.came()
    with pytest.raises(SourceChanged, match="left quarantine"):
        wide.repair()
    assert wide.came() == before
    with closing(wide.store()) as store:
        store.drop_plan("readings", LIVE)
    assert wide.repair().moved == 1
    assert wide.balance().differences == []


def test_an_ingest_finishes_a_repair_that_a_crash_left(bench: Path) -> None:
    """Whatever runs next finishes the planned batch first, by the plan's own contract."""
    Stand(bench, READINGS).run(ListSource(MIX))
    wide = Stand(bench, WIDER)
    with pytest.raises(Crash):
        wide.repair(Fuse("store.commit"))
    source = ListSource([*MIX, reading(9, 9)])
    counts = wide.run(source)
    assert (counts.moved, counts.received, counts.stored) == (3, 1, 3)
    assert wide.balance(source).differences == []


@pytest.mark.parametrize("point", ["store.plan", "store.commit", "lake.append", "source.poll", "records.decode"])
@pytest.mark.parametrize("after", [False, True])
def test_a_replay_that_died_is_gone_on_with(bench: Path, point: str, after: bool) -> None:  # noqa: FBT001
    """At any step: the same rows move, once, and the same stay."""
    came = []
    for name in ("calm", "crash"):
        Stand(bench / name, READINGS).run(ListSource(MIX))
        wide = Stand(bench / name, WIDER)
        if name == "crash":
            with pytest.raises(Crash):
                wide.repair(Fuse(point, after=after), batch=2)
        wide.repair(batch=2)
        assert wide.balance().differences == []
        came.append(wide.came())
    assert came[0] == came[1]


@pytest.mark.parametrize("revision", ["rev", None])
def test_a_replay_never_overwrites_a_newer_version(bench: Path, revision: str | None) -> None:
    """By revision, or without one by arrival: what came later stays current, the replayed one joins the history."""
    narrow, tall = (replace(one, revision=revision) for one in (ROCKETS, TALLER))
    stand = Stand(bench, narrow)
    items = [{"id": "a", "x": 1, "rev": 1}, {"id": "a", "x": 20, "rev": 2}]
    stand.run(ListSource(items, 1))
    stand.run(ListSource([*items, {"id": "b", "x": 0, "rev": 0}, {"id": "a", "x": 3, "rev": 3}]))
    counts = Stand(bench, tall).repair()
    assert (counts.moved, counts.stored, counts.superseded) == (1, 0, 1)
    assert current(Stand(bench, tall)) == [("a", 3.0), ("b", 0.0)]
    assert Stand(bench, tall).balance().differences == []


@pytest.mark.parametrize("revision", ["rev", None])
def test_a_replay_brings_versions_that_nothing_has_overtaken(bench: Path, revision: str | None) -> None:
    """Where no newer version came meanwhile, the last of the replayed ones is current."""
    narrow, tall = (replace(one, revision=revision) for one in (ROCKETS, TALLER))
    items = [{"id": "a", "x": 1, "rev": 1}, {"id": "a", "x": 20, "rev": 2}, {"id": "a", "x": 30, "rev": 3}]
    Stand(bench, narrow).run(ListSource([*items, {"id": "b", "x": 99, "rev": 1}]))
    assert Stand(bench, tall).repair().stored == 3
    assert current(Stand(bench, tall)) == [("a", 30.0), ("b", 99.0)]


def test_the_source_reads_a_row_once_a_run(bench: Path) -> None:
    """A poll goes on after the last id, whatever became of the rows before; reread gives the same."""
    stand = Stand(bench, READINGS)
    stand.run(ListSource([reading(t, 20) for t in range(5)]))
    with closing(QuarantineSource(stand.store(), "readings", 5, batch=2)) as source:
        position: dict[str, Any] = {}
        lines = []
        while (read := source.poll(position)) is not None:
            lines.append([read.records.where(at).line for at in range(len(read.records))])
            (part,) = read.span.parts
            position = {part.place.key: part.after()}
            again = source.reread(read.span)
            assert (again.sha256, len(again.records)) == (read.sha256, len(read.records))
        assert lines == [[1, 2], [3, 4], [5]]


def test_the_histogram_counts_a_row_once_a_check(bench: Path) -> None:
    """Most frequent first, then by name."""
    stand = Stand(bench, READINGS)
    stand.run(ListSource([b"{", reading(1, 20), {"a": "A", "t": 2, "x": "n/a", "n": "n/a"}, b"["]))
    with closing(stand.store()) as store:
        pages = store.query("quarantine_list", stream="readings", state="open", after=0, page=9)
    assert list(histogram(pages).items()) == [("row.parse", 2), ("n.type", 1), ("x.range", 1), ("x.type", 1)]
