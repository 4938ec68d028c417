"""Durations as people write them."""

from __future__ import annotations

import pytest

from hotfire.contract.duration import duration_ns
from hotfire.errors import ContractError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 min", 300_000_000_000),
        ("500 ms", 500_000_000),
        ("0 s", 0),
        ("1.5 s", 1_500_000_000),
        ("2h", 7_200_000_000_000),
        ("7 ns", 7),
    ],
)
def test_durations(text: str, expected: int) -> None:
    """A number and a unit give nanoseconds."""
    assert duration_ns(text) == expected


@pytest.mark.parametrize("text", ["5", "5 minutes", "-1 s", "1e3 s", "s", "", 5, None, "0.5 ns", "99999999 d"])
def test_what_is_no_duration(text: object) -> None:
    """Anything else is refused, with what to write."""
    with pytest.raises(ContractError) as caught:
        duration_ns(text)
    assert caught.value.do
