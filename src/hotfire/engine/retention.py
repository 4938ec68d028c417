"""Old rows leave the operational store once the lake holds them: a few at a time, between two commits.

What is old is told by event time and the wall clock. Each asset keeps the last `WINDOW_NS` behind its own clock, where the
engine looks for duplicates in memory. Older rows that come again are looked for in the lake (`flow.py`). A crash at any
moment loses nothing: each step is one transaction, and what it deletes the lake has had on disk before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.engine.memory import WINDOW_NS
from hotfire.rows import Clearing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotfire.engine.flow import Flow

STEP = 2_000
"""Rows of one transaction, while there is nothing else to do; more where batches are larger."""
ALONE = 50_000
"""Rows of one transaction where nobody waits."""
EVERY_NS = 60_000_000_000
"""A minute from the end of one look for old rows to the next."""


class Retention:
    """Takes old rows of a stream out of the store, in the name of the shard that this process owns.

    Args:
        flow: says how long rows stay; where it does not, or has rows in one place only, nothing happens.
        epoch: of the flow's shard; a process that has lost it changes nothing.
    """

    def __init__(self, flow: Flow, epoch: int) -> None:
        self._flow, self._epoch = flow, epoch
        self._age_ns = flow.retention_ns if applies(flow) else None
        self._due_ns = 0
        self._steps: Iterator[int] | None = None
        self._most = STEP

    def tend(self, gained: int = 0) -> int:
        """One transaction, if it is time; how many rows have left the store.

        Args:
            gained: so many rows were just committed: at least twice as many may leave, so that it never falls behind.
        """
        now_ns = self._flow.clock.now_ns()
        if self._age_ns is None or (self._steps is None and now_ns < self._due_ns):
            return 0
        self._most = max(STEP, 2 * gained)
        self._steps = self._steps or self._pass(now_ns)
        gone = next(self._steps, None)
        if gone is None:
            self._steps, self._due_ns = None, now_ns + EVERY_NS
        return gone or 0

    def finish(self) -> int:
        """Everything that may leave, now; how many rows have left the store."""
        if self._age_ns is None:
            return 0
        self._most = ALONE
        return sum(self._pass(self._flow.clock.now_ns()))

    def _pass(self, now_ns: int) -> Iterator[int]:
        """Every shard of the stream, asset by asset; the rows of each transaction."""
        flow, contract = self._flow, self._flow.contract
        assert flow.lake is not None
        assert self._age_ns is not None
        for shard in flow.store.query("shards", stream=contract.stream)["shard"]:
            upto = flow.lake.marker(contract.stream, shard)
            asset: str | None = "" if upto else None
            while asset is not None:
                wanted = Clearing(shard, upto, now_ns - self._age_ns, WINDOW_NS, self._most, asset)
                cleared = flow.store.clear(contract, wanted, flow.shard, self._epoch)
                asset = cleared.asset
                if cleared.rows:
                    yield cleared.rows


def applies(flow: Flow) -> bool:
    """Whether rows of the stream leave the store by age. Entities are kept whole: their versions are compared there."""
    two_places = flow.lake is not None and not (flow.lake_only or flow.dry_run)
    return two_places and flow.retention_ns is not None and flow.contract.kind == "telemetry"


def retain(flow: Flow) -> int:
    """Take everything that may leave out of the store, as the owner of the flow's shard; how many rows have left.

    Raises:
        OwnedElsewhere: another process owns the store.
    """
    if not applies(flow):
        return 0
    return Retention(flow, flow.store.open(flow.contract.stream, flow.shard).epoch).finish()
