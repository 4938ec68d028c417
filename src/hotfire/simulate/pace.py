"""When lines leave: each at its time by the clock, many together where they come fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from msgspec import Struct

from hotfire.clock import Clock
from hotfire.simulate.model import Block, Blocks

_TICK_NS = 20_000_000
_NAP_NS = 100_000_000


class Piece(Struct, frozen=True):
    """Lines that leave together.

    Attributes:
        behind_ns: how long after its time the first of them leaves.
    """

    lines: bytes
    rows: int
    behind_ns: int = 0


def whole(block: Block) -> Iterator[Piece]:
    """All lines of a block at once."""
    yield Piece(block.lines, block.rows)


def paced(block: Block, clock: Clock, shift_ns: int, stopped: Callable[[], bool]) -> Iterator[Piece]:
    """The lines of a block, each when the clock shows its instant and `shift_ns`, or up to 20 ms later.

    Ends early when told to stop; that is asked every 0.1 s at least.
    """
    ends = np.flatnonzero(np.frombuffer(block.lines, np.uint8) == ord("\n")) + 1
    ends, due_ns = ends[len(ends) - block.rows :], block.due_ns + shift_ns
    at, cut, earliest_ns = 0, 0, 0
    while at < block.rows and not stopped():
        now_ns = clock.now_ns()
        wait_ns = max(int(due_ns[at]), earliest_ns) - now_ns
        if wait_ns > 0:
            clock.sleep(min(wait_ns, _NAP_NS) / 1e9)
            continue
        to = int(np.searchsorted(due_ns, now_ns, side="right"))
        end = int(ends[to - 1])
        yield Piece(block.lines[cut:end], to - at, now_ns - int(due_ns[at]))
        at, cut, earliest_ns = to, end, now_ns + _TICK_NS


def ahead(blocks: Blocks) -> Blocks:
    """The same blocks, the next one made while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="hotfire-simulate") as maker:
        coming = maker.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = maker.submit(next, blocks, None)
            yield block
