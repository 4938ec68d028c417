"""The lake follows in appends that are large enough, on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from hotfire.contract.model import Contract
from hotfire.engine.flow import Flow
from hotfire.engine.follower import ROWS, Follower
from hotfire.lake.delta import MAINTAIN_EVERY, DeltaLake
from hotfire.rows import LIVE, Checkpoint
from hotfire.testing.crashes import Fuse
from hotfire.testing.lake_suite import READINGS, rows_of
from hotfire.testing.outcomes import reading
from hotfire.testing.sources import Crash, ListSource
from hotfire.testing.stand import Stand, scratch


@pytest.fixture
def flow() -> Iterator[Flow]:
    with scratch() as folder, closing(Stand(folder, READINGS).store()) as store:
        stand = Stand(folder, READINGS)
        source, lake = ListSource([]), stand.lake(store)
        yield Flow(READINGS, source, store, lake, stand.clock, "j", lambda plan: source.reread(plan.span), _of)


def _of(_: str) -> Contract:
    return READINGS


def many(batch_seq: int, rows: int) -> pl.DataFrame:
    one = rows_of(READINGS, batch_seq, [reading("a")])
    return one.select(pl.all().repeat_by(rows).explode()).with_columns(row_no=pl.int_range(rows, dtype=pl.Int64))


def start(flow: Flow, fuse: Fuse | None = None) -> Follower:
    lake = fuse.wrap("lake", flow.lake) if fuse else flow.lake
    follows = Flow(READINGS, flow.source, flow.store, lake, flow.clock, "j", flow.reread, flow.contract_of)
    return Follower(follows, Checkpoint("readings", LIVE, 1, 9, {}, None))


def test_small_batches_wait_for_the_end(flow: Flow) -> None:
    """One append for many batches, with the marker at the last one, also where it was empty."""
    fuse = Fuse()
    with closing(start(flow, fuse)) as follower:
        for batch_seq, rows in ((1, 5), (2, 7), (3, 0)):
            follower.follow(batch_seq, many(batch_seq, rows))
        follower.flush()
    assert [step for step in fuse.trace if step[0] == "lake.append"] == [("lake.append", 1)]
    assert isinstance(flow.lake, DeltaLake)
    assert flow.lake.marker("readings", LIVE) == 3
    assert flow.lake.counts("readings").rows() == [(LIVE, 1, 5), (LIVE, 2, 7)]


def test_large_batches_are_appended_on_the_way(flow: Flow) -> None:
    """As soon as enough rows have come together."""
    fuse = Fuse()
    with closing(start(flow, fuse)) as follower:
        for batch_seq in (1, 2, 3):
            follower.follow(batch_seq, many(batch_seq, ROWS // 2))
        appended = [step for step in fuse.trace if step[0] == "lake.append"]
        follower.flush()
    assert appended == [("lake.append", 1)]
    assert isinstance(flow.lake, DeltaLake)
    assert flow.lake.marker("readings", LIVE) == 3
    assert flow.lake.counts("readings")["rows"].sum() == ROWS // 2 * 3


def test_nothing_is_appended_of_nothing(flow: Flow) -> None:
    """A run without a batch leaves the lake alone."""
    fuse = Fuse()
    with closing(start(flow, fuse)) as follower:
        follower.flush()
    assert [step for step in fuse.trace if step[0] == "lake.append"] == []


def test_what_goes_wrong_in_the_background_is_told(flow: Flow) -> None:
    """At the next append or at the end, never swallowed."""

    def work(follower: Follower) -> None:
        follower.follow(1, many(1, ROWS))
        follower.flush()

    with closing(start(flow, Fuse("lake.append"))) as follower, pytest.raises(Crash):
        work(follower)


def test_closing_leaves_the_rest_to_the_next_start(flow: Flow, tmp_path: Path) -> None:
    """What waits is not appended: the store has it."""
    with closing(start(flow)) as follower:
        follower.follow(1, many(1, 5))
    assert flow.lake
    assert flow.lake.marker("readings", LIVE) == 0


def test_small_files_become_few_on_the_way(flow: Flow) -> None:
    """The follower sees to it by itself, beside its appends: the number of files is bounded, and no row is lost."""
    assert isinstance(flow.lake, DeltaLake)
    batches = MAINTAIN_EVERY + 10
    with closing(start(flow)) as follower:
        for batch_seq in range(1, batches + 1):
            follower.follow(batch_seq, many(batch_seq, 1))
            flow.clock.sleep(10)
            follower.tend()
        follower.flush()
    assert len(flow.lake.files("readings")) <= 15
    assert flow.lake.counts("readings")["rows"].to_list() == [1] * batches
