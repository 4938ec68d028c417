"""The stages of the loop that run beside it: reading and judging the next batch, committing the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hotfire.errors import Refused, RowsRefused
from hotfire.rows import BACKFILL, Outcome, Place, Plan, Position

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.flow import Flow, Judged
    from hotfire.engine.follower import Follower

Watcher = Callable[[Outcome], None]
"""Told of every batch, after its commit, on the thread that commits."""

ATTEND_NS = 250_000_000
"""How long people wait for what they ask of alarms, rows or not."""


def commit(flow: Flow, outcome: Outcome, contract: Contract, epoch: int) -> None:
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


def take_back(flow: Flow, plan: Plan) -> None:
    """Take what a crash left in the lake out of it: rows of a batch without a commit, which nobody has looked at.

    The batch is made anew, and may come out otherwise: another shard may have gone on in between.
    """
    if (
        flow.lake_only
        and flow.lake
        and not flow.dry_run
        and flow.lake.marker(plan.stream, plan.shard) >= plan.batch_seq
    ):
        flow.lake.retreat(plan.stream, plan.shard, plan.batch_seq - 1)


class Reader:
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


class Writer:
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
            commit(flow, outcome, flow.contract, self._epoch)
        finally:
            self._let_go()
        if flow.lake_only:
            self._follower.tend()
        else:
            self._follower.follow(plan.batch_seq, outcome.rows)
        flow.source.acknowledge(past({}, plan))
        self._watch(outcome)
        self.attend()


def past(position: Position, plan: Plan) -> Mapping[str, Place]:
    """Where reading goes on after a batch."""
    return {**position, **{part.place.key: part.after() for part in plan.span.parts}}
