"""The only place that reads a clock or sleeps. Instants are int64 nanoseconds of UTC since 1970."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the outside world's time comes from. The engine itself never asks: instants reach it in the plan."""

    def now_ns(self) -> int:
        """The wall clock, in nanoseconds of UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """The wall clock, in nanoseconds of UTC."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def iso(instant_ns: int) -> str:
    """An instant as ISO 8601 in UTC, with as many of nine decimals as it needs: `2026-01-01T00:00:00.5Z`."""
    seconds, fraction = divmod(instant_ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z" if fraction else f"{text}Z"
