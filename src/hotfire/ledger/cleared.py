"""What retention has left only to the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotfire.protocols import Store


def rows_cleared(store: Store, stream: str) -> int:
    """How many rows of a stream have left the store."""
    return sum(store.query("cleared", stream=stream)["cleared"].to_list())


def cleared_before(store: Store, stream: str) -> int | None:
    """The event time before which rows have left the store, in nanoseconds; None where it has every row."""
    return max(store.query("cleared", stream=stream)["before_ns"].to_list(), default=None)
