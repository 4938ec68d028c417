"""A clock that stands still until it is told to move."""

from __future__ import annotations


class ManualClock:
    """Implements `clock.Clock` without a real clock: sleeping moves it.

    Args:
        now_ns: where it starts; the default is 2026-06-01T00:00:00Z.
    """

    def __init__(self, now_ns: int = 1_780_272_000_000_000_000) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Where it stands."""
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._now_ns += int(seconds * 1e9)
