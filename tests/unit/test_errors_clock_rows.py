"""The lowest layer: the error tree, instants as text, and the arithmetic of spans and counts."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire import errors
from hotfire.clock import SystemClock, iso
from hotfire.errors import HotfireError, Refused, UserError
from hotfire.rows import Counts, Part, Place, Span

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
COUNTS = st.builds(Counts, **{name: st.integers(0, 10**9) for name in Counts.__struct_fields__})


def tree(error: type[Exception], depth: int = 0) -> list[str]:
    """The class and all below it in its module, each with its depth, in the order of definition."""
    children = [child for child in error.__subclasses__() if child.__module__ == error.__module__]
    below = [line for child in children for line in tree(child, depth + 1)]
    return [f"{depth} {error.__name__}", *below]


def drawn(text: str) -> list[str]:
    """The same, read off a drawing with four characters a level."""
    marks = [match for match in (re.match(r"([ |`-]*)([A-Z]\w+)(  |$)", line) for line in text.splitlines()) if match]
    return [f"{(len(mark[1]) - len(marks[0][1])) // 4} {mark[2]}" for mark in marks]


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """The drawing in the module's docstring shows exactly the classes that exist, where they stand."""
    assert drawn(inspect.cleandoc(errors.__doc__)) == tree(HotfireError)


def test_an_error_says_what_and_what_to_do() -> None:
    """The text of an error is what happened; what to do stands beside it."""
    error = UserError("no contract for `events`", "run `hotfire contract infer`")
    assert (str(error), error.do) == ("no contract for `events`", "run `hotfire contract infer`")


@pytest.mark.parametrize(("error", "code"), [(HotfireError, 1), (UserError, 2), (Refused, 3)])
def test_exit_codes_are_inherited(error: type[HotfireError], code: int) -> None:
    """Every error below a branch leaves the process with the code of that branch."""
    assert error.exit_code == code
    if error is not HotfireError:
        assert {below.exit_code for below in error.__subclasses__()} == {code}


@given(INT64)
def test_an_instant_survives_its_text(instant_ns: int) -> None:
    """ISO 8601 text keeps every nanosecond of any int64 instant."""
    seconds, _, fraction = iso(instant_ns).removesuffix("Z").partition(".")
    since = datetime.fromisoformat(seconds).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert since // timedelta(seconds=1) * 10**9 + int(fraction.ljust(9, "0")) == instant_ns


@pytest.mark.parametrize(
    ("instant_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_767_225_600_500_000_000, "2026-01-01T00:00:00.5Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (10, "1970-01-01T00:00:00.00000001Z"),
    ],
)
def test_an_instant_has_only_the_decimals_it_needs(instant_ns: int, text: str) -> None:
    """Whole seconds have no point, and no text ends in a needless zero."""
    assert iso(instant_ns) == text


def test_sleeping_takes_time() -> None:
    """The machine's clock has moved on by at least what was slept, less its resolution."""
    clock = SystemClock()
    before_ns = clock.now_ns()
    clock.sleep(0.02)
    assert clock.now_ns() - before_ns >= 19_000_000


def test_the_place_after_a_part_is_the_next_read() -> None:
    """A part ends where reading goes on; what is known of the place stays."""
    place = Place(key="4f2a", label="burn.csv", offset=100, line=7, facts={"inode": 12})
    assert Part(place, end=250, end_line=10, rows=3).after() == Place("4f2a", "burn.csv", 250, 10, {"inode": 12})


@given(st.lists(st.integers(0, 10**6)))
def test_a_span_has_the_rows_of_its_parts(rows: list[int]) -> None:
    """The rows of a span are those of all its parts."""
    place = Place(key="4f2a", label="burn.csv")
    assert Span(tuple(Part(place, 0, 1, number) for number in rows)).rows == sum(rows)


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.integers(-5, 5))
def test_counts_balance_when_every_record_has_one_fate(fates: list[int], off: int) -> None:
    """Counts balance exactly when the fates add up to what was received."""
    stored, duplicate, superseded, quarantined = fates
    counts = Counts(sum(fates) + off, stored, duplicate, superseded, quarantined)
    assert counts.balanced() == (off == 0)


@given(COUNTS, COUNTS)
def test_counts_add_field_by_field(one: Counts, other: Counts) -> None:
    """The sum of two counts has the sum of each count, whichever comes first."""
    total = one + other
    assert total == other + one
    for name in Counts.__struct_fields__:
        assert getattr(total, name) == getattr(one, name) + getattr(other, name)


def test_values_are_frozen() -> None:
    """A value that flows through hotfire cannot be changed on its way."""
    with pytest.raises(AttributeError):
        Counts().stored = 1  # type: ignore[misc]
