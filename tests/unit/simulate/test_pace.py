"""Lines leave at their time, and many at once where there are many."""

from __future__ import annotations

import numpy as np

from hotfire.simulate.model import Block
from hotfire.simulate.pace import ahead, paced
from hotfire.testing.clocks import ManualClock

MS_NS = 1_000_000


def block(due_ms: list[int]) -> Block:
    """A header, and a line for each instant."""
    lines = "".join(f"line {number}\n" for number in range(len(due_ms)))
    return Block(b"header\n" + lines.encode(), len(due_ms), np.array(due_ms, dtype=np.int64) * MS_NS)


def test_lines_leave_when_they_are_due() -> None:
    """Never before, and at most 20 ms after; those of 20 ms leave together; nothing changes in them."""
    clock, due_ms = ManualClock(0), [0, 0, 5, 300, 301, 330, 5000]
    one, left = block(due_ms), []
    for piece in paced(one, clock, 0, lambda: False):
        left += [(clock.now_ns() // MS_NS, piece)]
    assert b"".join(piece.lines for _, piece in left) == one.lines
    assert [(at, piece.rows) for at, piece in left] == [(0, 2), (20, 1), (300, 1), (320, 1), (340, 1), (5000, 1)]
    assert max(piece.behind_ns for _, piece in left) <= 20 * MS_NS


def test_instants_may_be_shifted() -> None:
    """Old readings are played as if they were taken now."""
    clock = ManualClock(1_000_000 * MS_NS)
    began_ns = clock.now_ns()
    assert [piece.rows for piece in paced(block([0, 1000]), clock, began_ns, lambda: False)] == [1, 1]
    assert clock.now_ns() - began_ns == 1000 * MS_NS


def test_what_is_overdue_leaves_at_once() -> None:
    """After a pause of the target everything that is due leaves together, and says how late it is."""
    clock = ManualClock(60_000 * MS_NS)
    (piece,) = paced(block([0, 1000, 59_000]), clock, 0, lambda: False)
    assert (piece.rows, piece.behind_ns) == (3, 60_000 * MS_NS)


def test_told_to_stop_it_does_not_wait_for_what_is_due() -> None:
    """However far away the next line is, it is asked at least every 0.1 s."""
    clock, asked = ManualClock(0), []

    def stopped() -> bool:
        asked.append(clock.now_ns())
        return len(asked) > 5

    assert [piece.rows for piece in paced(block([0, 3_600_000]), clock, 0, stopped)] == [1]
    assert clock.now_ns() <= 500 * MS_NS


def test_the_next_block_is_made_ahead() -> None:
    """One block, no more; all come, in order, and an error comes where its block would have come."""
    made: list[int] = []

    def blocks() -> object:
        for number in range(3):
            made.append(number)
            yield block([number])
        raise ValueError("broken")

    found = []
    try:
        for one in ahead(blocks()):  # type: ignore[arg-type]
            found.append(int(one.due_ns[0] // MS_NS))
            assert len(made) <= len(found) + 1
    except ValueError:
        found.append(-1)
    assert found == [0, 1, 2, -1]
