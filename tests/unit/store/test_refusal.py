"""Finding the rows that a database refuses, by asking it about ranges of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.store.refusal import culprits


class Table:
    """Takes ranges of rows, all or none, but never a bad one; counts how often it was asked."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.kept: list[int] = []
        self.asked = 0

    def take(self, start: int, end: int) -> str | None:
        assert start < end
        self.asked += 1
        refused = sorted(self.bad.intersection(range(start, end)))
        if refused:
            return f"row {refused[0]}"
        self.kept += range(start, end)
        return None


@given(data=st.data(), rows=st.integers(1, 300))
def test_exactly_the_bad_rows_are_found(data: st.DataObject, rows: int) -> None:
    """Each with its own reason; every other row is taken once, in order."""
    bad = data.draw(st.sets(st.integers(0, rows - 1), min_size=1))
    table = Table(bad)
    assert culprits(rows, f"row {min(bad)}", table.take) == {row: f"row {row}" for row in bad}
    assert table.kept == [row for row in range(rows) if row not in bad]


@given(bad=st.integers(0, 9_999))
@settings(max_examples=200)
def test_one_bad_row_in_ten_thousand_takes_fifteen_questions(bad: int) -> None:
    """Fourteen halvings and a look at what follows."""
    table = Table({bad})
    assert culprits(10_000, f"row {bad}", table.take) == {bad: f"row {bad}"}
    assert table.asked <= 15


@pytest.mark.parametrize("step", [1, 2, 10, 1000])
def test_many_bad_rows_take_few_questions_each(step: int) -> None:
    """However dense they are: a batch of nothing else takes as many questions as a few for each row."""
    bad = set(range(0, 10_000, step))
    table = Table(bad)
    assert set(culprits(10_000, "row 0", table.take)) == bad
    assert table.asked <= len(bad) * (4 + 1.5 * step.bit_length()) + 15
