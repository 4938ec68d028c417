"""The lake follows the store: committed rows, in arrival order, in appends large enough for a columnar table.

What else has to be done now and then goes along: old rows leave the store (`retention.py`), small files of the lake become
few large ones, on a thread of their own beside the appends.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import polars as pl

from hotfire.engine.retention import Retention
from hotfire.errors import LakeUnusable

if TYPE_CHECKING:
    from hotfire.engine.flow import Flow
    from hotfire.protocols import Lake, Store
    from hotfire.rows import Checkpoint

ROWS = 100_000
"""Committed rows are appended once there are this many, or when they have waited for `WAIT_NS`, or at the end."""
WAIT_NS = 10_000_000_000
"""10 seconds."""

FOREIGN = "Was the store lost? Restore it from a backup, or move the lake's table away to begin anew."
"""What to do about rows of a store that is not this one: following on would put every row there twice."""
FORGOTTEN = "Restore the lake from a backup that is as old as the store or newer: those rows are nowhere else."
"""What to do about a lake that has lost rows which retention took out of the store: following on would hide it."""


def is_foreign(lake: Lake, stream: str, shard: str) -> bool:
    """Whether a shard that this store has never brought to the lake has rows there. Counts them."""
    return not lake.counts(stream).filter(shard=shard).is_empty()


def forgotten(store: Store, stream: str, shard: str, marker: int) -> str:
    """What the lake should hold and does not, because retention took it out of the store; empty where nothing is.

    Args:
        marker: the last batch that the lake holds of the shard.
    """
    for row in store.query("cleared", stream=stream).rows(named=True):
        if row["shard"] == shard and marker < row["last_seq"]:
            return (
                f"The lake of {stream} holds batch {marker}, but retention has taken rows of batches up to "
                f"{row['last_seq']} out of the store."
            )
    return ""


class Follower:
    """Takes committed batches and appends them to the lake, on a thread of its own, one append at a time.

    Raises LakeUnusable at the start where the lake is ahead of the store, which was then restored from an older backup,
    and where the lake follows another store, which was then lost.
    """

    def __init__(self, flow: Flow, checkpoint: Checkpoint) -> None:
        self._flow = flow
        self._waiting: list[pl.DataFrame] = []
        self._upto = 0
        self._since_ns = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lake")
        self._appending: Future[None] | None = None
        self._other_thread = ThreadPoolExecutor(1, thread_name_prefix="care")
        self._caring: Future[object] | None = None
        self._retention = Retention(flow, checkpoint.epoch)
        self._lake = None if flow.dry_run else flow.lake
        if self._lake is not None:
            marker = self._lake.marker(flow.contract.stream, flow.shard)
            self._check(self._lake, marker, checkpoint)
            if marker < checkpoint.committed_seq:
                self.catch_up(marker)
            if flow.lake_only:
                self.flush()

    def follow(self, batch_seq: int, rows: pl.DataFrame) -> None:
        """A batch was committed. May wait for the append before the last one."""
        if self._lake is None:
            return
        if not self._waiting:
            self._since_ns = self._flow.clock.now_ns()
        self._waiting.append(rows)
        self._upto = batch_seq
        if sum(frame.height for frame in self._waiting) >= ROWS:
            self._append()
        else:
            self._append_in_time()
        self._see_to_the_rest(rows.height)

    def tend(self) -> None:
        """Append what has waited long enough, and see to old rows and small files. Only while nobody uses the store.

        Raises what went wrong with the append or the care before.
        """
        self._append_in_time()
        self._see_to_the_rest()

    def flush(self) -> None:
        """Return once the lake holds everything that was committed, and is tidy."""
        if self._waiting:
            self._append()
        self._wait()
        self._care()
        self._cared()

    def close(self) -> None:
        """Stop without appending what waits; the next start catches up."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._other_thread.shutdown(wait=True, cancel_futures=True)

    def catch_up(self, after: int) -> None:
        """Take committed batches after a batch as the store has them, in the columns of today's contract."""
        if self._lake is not None:
            for batch_seq, rows in self._flow.store.batches(self._flow.contract, self._flow.shard, after):
                self.follow(batch_seq, rows)

    def _check(self, lake: Lake, marker: int, checkpoint: Checkpoint) -> None:
        contract, committed = self._flow.contract, checkpoint.committed_seq
        planned = committed + 1 if self._flow.lake_only and checkpoint.unfinished else committed
        if marker > planned:
            raise LakeUnusable(
                f"The lake of {contract.stream} holds batch {marker}, the store only {committed}: "
                "the store is older than the lake.",
                "Was the store restored from a backup? `hotfire doctor --repair` takes the lake back to the store.",
            )
        if marker == 0 and is_foreign(lake, contract.stream, self._flow.shard):
            raise LakeUnusable(f"The lake of {contract.stream} holds rows of another store.", FOREIGN)
        lost = forgotten(self._flow.store, contract.stream, self._flow.shard, marker)
        if lost:
            raise LakeUnusable(lost, FORGOTTEN)

    def _append_in_time(self) -> None:
        if self._appending is not None and self._appending.done():
            self._wait()
        if self._waiting and self._flow.clock.now_ns() - self._since_ns >= WAIT_NS:
            self._append()

    def _see_to_the_rest(self, gained: int = 0) -> None:
        self._care()
        self._retention.tend(gained)

    def _care(self) -> None:
        """Begin to make few files of many, if there are many and it is not under way."""
        if self._caring is not None and self._caring.done():
            self._cared()
        lake, stream = self._lake, self._flow.contract.stream
        if lake is not None and self._caring is None and lake.worn(stream):
            self._caring = self._other_thread.submit(lake.maintain, stream)

    def _cared(self) -> None:
        if self._caring is not None:
            caring, self._caring = self._caring, None
            caring.result()

    def _append(self) -> None:
        self._wait()
        rows, self._waiting = pl.concat(self._waiting), []
        assert self._lake is not None
        append, contract = self._lake.append, self._flow.contract
        self._appending = self._thread.submit(append, contract, self._flow.shard, self._upto, rows)

    def _wait(self) -> None:
        if self._appending is not None:
            self._appending.result()
            self._appending = None
