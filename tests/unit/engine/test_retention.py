"""Old rows leave a few at a time, now and then, between two commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.engine.flow import Flow
from hotfire.engine.loop import run
from hotfire.engine.retention import EVERY_NS, STEP, Retention, retain
from hotfire.errors import OwnedElsewhere
from hotfire.rows import LIVE, Outcome
from hotfire.testing.lake_suite import READINGS, ROCKETS
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

HOUR_NS = 3_600_000_000_000
CONTRACT = replace(READINGS, columns=tuple(replace(one, format="epoch_ns") for one in READINGS.columns))


def items(count: int, now_ns: int) -> list[dict[str, Any]]:
    """Readings of the last day, the newest last."""
    step = 24 * HOUR_NS // count
    return [{"device": "a", "taken": now_ns - (count - number) * step, "part": 1} for number in range(count)]


@pytest.fixture
def flow() -> Iterator[Flow]:
    with scratch() as folder, closing(Stand(folder, CONTRACT).store()) as store:
        stand = Stand(folder, CONTRACT)
        source, contracts = ListSource(items(6_000, stand.clock.now_ns()), 1_500), {CONTRACT.hash: CONTRACT}
        parts = (CONTRACT, source, store, stand.lake(store), stand.clock, "j")
        yield Flow(*parts, lambda plan: source.reread(plan.span), contracts.__getitem__, retention_ns=HOUR_NS)


def held(flow: Flow) -> int:
    return sum(rows.height for _, rows in flow.store.batches(flow.contract, LIVE, 0))


def test_a_step_is_small_unless_batches_are_large(flow: Flow) -> None:
    """At most so many rows a transaction, or twice what was just committed; then a minute's rest."""
    run(flow)
    assert held(flow) == 6_000
    retention = Retention(flow, flow.store.open("readings", LIVE).epoch)
    assert [retention.tend(), retention.tend(gained=1_800)] == [STEP, 3_600]
    assert [retention.tend() for _ in range(3)] == [6_000 - 250 - STEP - 3_600, 0, 0]
    flow.clock.sleep(HOUR_NS / 2e9)
    assert [retention.tend() for _ in range(3)] == [125, 0, 0]
    assert held(flow) == 125


def test_rows_leave_while_a_run_goes_on(flow: Flow) -> None:
    """Between its commits and while nothing comes, once a minute; nobody has to call anything."""
    left = list[int]()

    def watch(_: Outcome) -> None:
        flow.clock.sleep(EVERY_NS / 1e9)

    def go_on(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
        if idle:
            left.append(held(flow))
            flow.clock.sleep(EVERY_NS / 1e9)
        return len(left) < 8

    run(flow, watch, go_on=go_on)
    assert left == sorted(left, reverse=True)
    assert left[-1] < 300


def test_a_process_that_lost_the_shard_clears_nothing(flow: Flow) -> None:
    """Another has opened it since: what is kept is for that one to say."""
    run(flow)
    retention = Retention(flow, flow.store.open("readings", LIVE).epoch)
    flow.store.open("readings", LIVE)
    with pytest.raises(OwnedElsewhere):
        retention.finish()
    assert held(flow) == 6_000


@pytest.mark.parametrize(
    "kept",
    [{"retention_ns": None}, {"lake": None}, {"lake_only": True}, {"dry_run": True}, {"contract": ROCKETS}],
    ids=lambda kept: next(iter(kept)),
)
def test_rows_that_are_in_one_place_stay(flow: Flow, kept: dict[str, Any]) -> None:
    """Without a retention, a lake, or a second copy; while nothing may change; and versions of records."""
    run(flow)
    assert retain(replace(flow, **kept)) == 0
    assert held(flow) == 6_000


def test_every_shard_of_the_stream_is_cleared(flow: Flow) -> None:
    """As far as the lake has come with each."""
    run(replace(flow, source=ListSource([])))
    run(replace(flow, shard="other"))
    assert held(flow) == 0
    assert retain(flow) == 5_750
