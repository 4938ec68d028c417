"""The engine's loop. What it may rely on is in `protocols.py`; what a batch changes is worked out in `flow.py`.

    1 poll -> 2 judge -> 3 sort out -> 4 plan -> 5 commit -> 6 the lake follows -> 7 acknowledge

Three batches are on their way at a time: one is read and judged, one sorted out, one committed. Only planning has an
effect on what comes next, and it comes after the last batch's commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from hotfire.engine.backfill import Taking, taken_anew
from hotfire.engine.flow import Flow, Judged, outcome_of, plan_of
from hotfire.engine.follower import Follower
from hotfire.engine.memory import WINDOW_NS, Memory, remember
from hotfire.engine.watch import Watch
from hotfire.errors import Refused, RowsRefused, SourceChanged
from hotfire.rows import BACKFILL, Counts, Outcome, Place, Plan, Position

if TYPE_CHECKING:
    from hotfire.contract.model import Contract

Watcher = Callable[[Outcome], None]
"""Told of every batch, after its commit, on the thread that commits."""
Pace = Callable[[bool], bool]
"""Whether to go on. Told whether everything there is at present is committed; may wait for more then."""


MANY = 2_000
"""Rows from which on batches are worked on side by side. Smaller ones are all interpreter, which would only take turns:
one after the other each of them is committed sooner."""


ATTEND_NS = 250_000_000
"""How long people wait for what they ask of alarms, rows or not."""


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
        position, batch_seq, total = checkpoint.position, checkpoint.committed_seq, Counts()
        if checkpoint.unfinished:
            outcome, memory = _finish(flow, checkpoint.unfinished, checkpoint.epoch, memory)
            follower.catch_up(outcome.plan.batch_seq - 1)
            if again or not outcome.plan.repair:
                position = _past(position, outcome.plan)
            batch_seq = outcome.plan.batch_seq
            total += outcome.counts
            watch(outcome)
        flow.source.acknowledge(position)
        with (
            closing(_Reader(flow, position)) as reader,
            closing(_Writer(flow, checkpoint.epoch, follower, watch)) as writer,
        ):
            taking = Taking(flow.contract, flow.backfill) if flow.backfill else None
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
        flow.store.refresh()
        if plan.shard == BACKFILL:
            memory = _memory(flow, memory.watch)
            plan, batch = taken_anew(flow, contract, plan, batch, memory.assets)
            flow.store.plan(plan, epoch)
        outcome, memory = outcome_of(flow, contract, plan, batch, memory)
        _commit(flow, outcome, contract, epoch)
    return outcome, memory


def _commit(flow: Flow, outcome: Outcome, contract: Contract, epoch: int) -> None:
    """The commit point. Rows that are kept only in the lake are there before it, fenced by the batch number.

    Raises:
        RowsRefused: the store alone could tell that rows are bad. They are written into the plan: the next run commits
            the batch without them.
    """
    try:
        _committed(flow, outcome, contract, epoch)
    except RowsRefused as refused:
        plan = outcome.plan
        if not refused.reasons.keys() - plan.refused.keys():
            raise Refused(refused.what, refused.do) from refused
        flow.store.plan(replace(plan, refused={**plan.refused, **refused.reasons}), epoch)
        raise


def _committed(flow: Flow, outcome: Outcome, contract: Contract, epoch: int) -> None:
    if flow.lake_only and flow.lake and not flow.dry_run:
        flow.lake.append(contract, flow.shard, outcome.plan.batch_seq, outcome.rows)
        flow.store.commit(replace(outcome, rows=outcome.rows.clear()), contract, epoch)
    else:
        flow.store.commit(outcome, contract, epoch)


class _Reader:
    """Reads and judges the next batch on a thread of its own, while the engine sorts out the last one."""

    def __init__(self, flow: Flow, position: Position) -> None:
        self._flow = flow
        self._position = position
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._upcoming = self._thread.submit(self._next)

    def take(self) -> Judged | None:
        """The next batch; None where nothing is there at present."""
        return self._upcoming.result()

    def go_on(self) -> None:
        """Begin with the batch after the one that was taken."""
        self._upcoming = self._thread.submit(self._next)

    def close(self) -> None:
        """Wait for the batch in hand, and forget it."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _next(self) -> Judged | None:
        read = self._flow.source.poll(self._position)
        if read is None:
            return None
        self._position = {**self._position, **{part.place.key: part.after() for part in read.span.parts}}
        return self._flow.judge(self._flow.contract, read, read.received_at_ns or self._flow.clock.now_ns())


class _Writer:
    """Plans and commits one batch on a thread of its own, while the engine sorts out the next one."""

    def __init__(self, flow: Flow, epoch: int, follower: Follower, watch: Watcher) -> None:
        self._flow = flow
        self._epoch = epoch
        self._follower = follower
        self._watch = watch
        self._attended_ns = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._pending: Future[None] | None = None
        self._locked = False

    def begin(self, outcome: Outcome) -> None:
        """Commit a batch, once the last one is committed."""
        self.settle()
        self._pending = self._thread.submit(self._write, outcome)

    def alone(self) -> None:
        """Return once everything is committed, and no other shard of the stream is written until the next commit."""
        self.settle()
        if self._flow.lock and not self._locked:
            self._flow.lock.acquire()
            self._locked = True
            self._flow.store.refresh()

    def settle(self) -> None:
        """Return once everything is committed."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def attend(self) -> None:
        """Take what people have asked for of alarms, now and then. Call it while nothing is committed."""
        flow = self._flow
        now_ns = flow.clock.now_ns()
        if flow.shard != BACKFILL and abs(now_ns - self._attended_ns) >= ATTEND_NS:
            self._attended_ns = now_ns
            flow.store.act(flow.contract.stream)

    def close(self) -> None:
        """Wait for the batch in hand."""
        self._thread.shutdown(wait=True)
        self._let_go()

    def _let_go(self) -> None:
        if self._flow.lock and self._locked:
            self._locked = False
            self._flow.lock.release()

    def _write(self, outcome: Outcome) -> None:
        flow, plan = self._flow, outcome.plan
        try:
            flow.store.plan(plan, self._epoch)
            _commit(flow, outcome, flow.contract, self._epoch)
        finally:
            self._let_go()
        if flow.lake_only:
            self._follower.tend()
        else:
            self._follower.follow(plan.batch_seq, outcome.rows)
        flow.source.acknowledge(_past({}, plan))
        self._watch(outcome)
        self.attend()


def _past(position: Position, plan: Plan) -> Mapping[str, Place]:
    return {**position, **{part.place.key: part.after() for part in plan.span.parts}}


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
