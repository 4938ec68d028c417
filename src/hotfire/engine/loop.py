"""The engine's loop. What it may rely on is in `protocols.py`; what a batch changes is worked out in `flow.py`.

    1 poll -> 2 judge -> 3 sort out -> 4 plan -> 5 commit -> 6 the lake follows -> 7 acknowledge

Three batches are on their way at a time: one is read and judged, one sorted out, one committed. Only planning has an
effect on what comes next, and it comes after the last batch's commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from hotfire.engine.backfill import Taking, taken_anew
from hotfire.engine.flow import Flow, Judged, outcome_of, plan_of
from hotfire.engine.follower import Follower
from hotfire.engine.memory import WINDOW_NS, Memory, remember
from hotfire.engine.stages import Reader, Watcher, Writer, commit, past, take_back
from hotfire.engine.watch import Watch
from hotfire.errors import Refused, RowsRefused, SourceChanged
from hotfire.rows import BACKFILL, Counts, Outcome, Plan

if TYPE_CHECKING:
    from hotfire.contract.model import Contract

Pace = Callable[[bool], bool]
"""Whether to go on. Told whether everything there is at present is committed; may wait for more then."""


MANY = 2_000
"""Rows from which on batches are worked on side by side. Smaller ones are all interpreter, which would only take turns:
one after the other each of them is committed sooner."""


def once(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
    """Go on until everything there is at present is committed."""
    return not idle


def run(
    flow: Flow, watch: Watcher = lambda _: None, *, repair: bool = False, again: bool = False, go_on: Pace = once
) -> Counts:
    """Take what the source has through the engine, finishing first what a crash left.

    Args:
        watch: told of every batch.
        repair: the source reads quarantined rows: they move and are not received anew.
        again: go on with a repair from the batch that the store refused rows of, instead of from the first row.
        go_on: asked before every batch, and whenever there is none. A batch that is not begun with is not lost: the
            source gives it again.

    Raises:
        RowsRefused: run again, with a source opened anew.
        Refused: another owner, an unusable store or lake, a source that changed under its plan. What was committed
            before stays; running again goes on from there.
    """
    checkpoint = flow.store.open(flow.contract.stream, flow.shard)
    with closing(Follower(flow, checkpoint)) as follower:
        memory = _memory(flow, Watch(flow.store.watched(flow.contract.stream)))
        taking = Taking(flow.contract, flow.backfill) if flow.backfill else None
        position, batch_seq, total = checkpoint.position, checkpoint.committed_seq, Counts()
        if checkpoint.unfinished:
            outcome, memory = _finish(flow, checkpoint.unfinished, checkpoint.epoch, memory)
            follower.catch_up(outcome.plan.batch_seq - 1)
            if again or not outcome.plan.repair:
                position = past(position, outcome.plan)
            batch_seq = outcome.plan.batch_seq
            total += outcome.counts
            watch(outcome)
        flow.source.acknowledge(position)
        writing = Writer(flow, checkpoint.epoch, follower, watch)
        with closing(Reader(flow, position)) as reader, closing(writing) as writer:
            while True:
                batch = reader.take()
                if batch is None:
                    writer.settle()
                    follower.tend()
                    writer.attend()
                if not go_on(batch is None):
                    break
                side_by_side = batch is None or batch.read.span.rows >= MANY
                if side_by_side:
                    reader.go_on()
                if batch is None:
                    continue
                if taking:
                    batch, memory = _apart(flow, taking, batch, memory, writer.alone)
                batch_seq += 1
                plan = plan_of(flow, batch, batch_seq, repair=repair)
                outcome, memory = outcome_of(flow, flow.contract, plan, batch, memory, writer.alone)
                writer.begin(outcome)
                if not side_by_side:
                    writer.settle()
                    reader.go_on()
                total += outcome.counts
            writer.settle()
        follower.flush()
    return total


def run_opened(
    opened: Callable[[], Flow], watch: Watcher = lambda _: None, *, repair: bool = False, go_on: Pace = once
) -> None:
    """As `run`, with a flow opened anew wherever the store alone can tell that rows are bad."""
    again = False
    while True:
        flow = opened()
        try:
            run(flow, watch, repair=repair, again=again, go_on=go_on)
        except RowsRefused:
            again = True
            flow.source.close()
        else:
            return


def _apart(
    flow: Flow, taking: Taking, batch: Judged, memory: Memory, alone: Callable[[], None]
) -> tuple[Judged, Memory]:
    """The part of a batch that a backfill takes, and the assets as live has left them."""
    alone()
    memory = _memory(flow, memory.watch)
    return taking.part_of(batch, memory.assets), memory


def _finish(flow: Flow, plan: Plan, epoch: int, memory: Memory) -> tuple[Outcome, Memory]:
    """Commit a batch that was planned and not committed: the same rows, judged by the same contract."""
    do = "Bring it back as it was, or run `hotfire doctor --repair` to drop the plan, which had no effects."
    try:
        read = flow.reread(plan)
    except SourceChanged as error:
        raise SourceChanged(f"{error.what} Batch {plan.batch_seq} was planned with it.", do) from error
    if read.sha256 != plan.sha256:
        labels = ", ".join(part.place.label for part in plan.span.parts)
        raise SourceChanged(f"{labels} no longer holds the bytes that batch {plan.batch_seq} was planned with.", do)
    contract = flow.contract_of(plan.contract)
    batch = flow.judge(contract, read, plan.received_at_ns)
    with flow.lock or nullcontext():
        take_back(flow, plan)
        if plan.shard == BACKFILL:
            memory = _memory(flow, memory.watch)
            plan, batch = taken_anew(flow, contract, plan, batch, memory.assets)
            flow.store.plan(plan, epoch)
        outcome, memory = outcome_of(flow, contract, plan, batch, memory)
        commit(flow, outcome, contract, epoch)
    return outcome, memory


def _memory(flow: Flow, watch: Watch) -> Memory:
    if flow.contract.kind == "entity":
        return remember(flow.contract, flow.store.assets(flow.contract), None)
    assets = flow.store.assets(flow.contract)
    recent = None
    if not (flow.lake_only or flow.shard == BACKFILL):
        recent = flow.store.recent(flow.contract, WINDOW_NS)
        _hold_every_asset(flow.contract, assets, recent)
    return replace(remember(flow.contract, assets, recent), alone=flow.lock is None, watch=watch)


def _hold_every_asset(contract: Contract, assets: pl.DataFrame, recent: pl.DataFrame) -> None:
    """The store keeps each asset's newest rows, or duplicates of them would not be found."""
    asset = contract.identity[0]
    gone = assets.filter(pl.col("stored") > 0).join(recent, left_on="asset", right_on=asset, how="anti")
    if gone.height:
        raise Refused(
            f"The store holds no rows of {gone['asset'][0]} of {contract.stream}, which has {gone['stored'][0]:,}: "
            "the stream was kept only in the lake.",
            f"Set lake_only = true in [streams.{contract.stream}] again.",
        )
