"""How long rows take is told from the newest ones that came live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.ledger.latency import LIVE_NS, NEWEST, Spread, latency, newest
from hotfire.rows import LIVE, Outcome
from hotfire.store.sqlite import SqliteStore
from hotfire.testing.clocks import ManualClock
from hotfire.testing.lake_suite import READINGS
from hotfire.testing.outcomes import START_NS, outcome_of, reading

MS = 1_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "a.db", clock)) as store:
        store.ensure(READINGS, [])
        yield store


def received(outcome: Outcome, at_ns: int) -> Outcome:
    return replace(outcome, plan=replace(outcome.plan, received_at_ns=at_ns))


def test_each_part_of_the_way_has_its_own_spread(store: SqliteStore, clock: ManualClock) -> None:
    """From the event to the commit, from receipt to the commit, from the commit to the lake; the newest rows, live ones."""
    epoch = store.open("readings", LIVE).epoch
    for seq in range(1, 101):
        came_ns = clock.now_ns()
        old = reading("old", came_ns - LIVE_NS - 1 - seq)
        rows = [reading("a", came_ns - seq * MS), old] if seq % 2 else [reading("a", came_ns - seq * MS)]
        clock.sleep(0.005)
        store.commit(received(outcome_of(READINGS, seq, rows), came_ns), READINGS, epoch)
        clock.sleep(1)
    rows = newest(READINGS, store, None)
    assert rows.height == 150
    steps = pl.DataFrame({"upto": [10, 50, 90], "at_ns": [START_NS, START_NS + 51_000 * MS, START_NS + 91_000 * MS]})
    found = latency(rows, {LIVE: steps})
    assert found.rows == 100
    assert found.committed == Spread(56.0, 101.0, 105.0)
    assert found.processed == Spread(5.0, 5.0, 5.0)
    assert found.followed.p50_ms == pytest.approx(20_000, abs=2_000)


def test_only_the_newest_rows_count(store: SqliteStore, clock: ManualClock) -> None:
    """What was slow long ago is over: as many batches are read as have enough rows."""
    epoch = store.open("readings", LIVE).epoch
    now_ns = clock.now_ns()
    for seq, rows in ((1, 2), (2, NEWEST - 1), (3, 5)):
        outcome = received(outcome_of(READINGS, seq, [reading("a", now_ns - 7 * MS)]), now_ns)
        many = outcome.rows.select(pl.all().repeat_by(rows).explode()).with_columns(row_no=pl.int_range(rows))
        counts = replace(outcome.counts, received=rows, stored=rows)
        store.commit(replace(outcome, rows=many, counts=counts), READINGS, epoch)
    found = newest(READINGS, store, None)
    assert found.height == NEWEST
    assert found["batch_seq"].unique().to_list() == [2, 3]
    assert latency(found, {}).committed == Spread(7.0, 7.0, 7.0)


def test_without_live_rows_nothing_is_told(store: SqliteStore) -> None:
    """No row, or none that came live: every spread is unknown."""
    assert latency(newest(READINGS, store, None), {}).committed == Spread()
    epoch = store.open("readings", LIVE).epoch
    store.commit(received(outcome_of(READINGS, 1, [reading("a", 5)]), START_NS), READINGS, epoch)
    found = latency(newest(READINGS, store, None), {})
    assert (found.rows, found.committed, found.followed) == (0, Spread(), Spread())
