"""Is the clock of an asset wrong? Judged from when its newest rows say they happened, and when they came.

Only rows that come as they happen can tell: their lag (receipt minus event time) stays nearly the same while time passes.
Rows of a file that is read in one go do not. The least lags of an asset show its clock, the others how rows were held up.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Literal

import polars as pl
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["never_set", "hours", "leap_seconds", "drift"]

LONG_AGO_NS = 946_684_800_000_000_000
"""2000-01-01: a clock that was never set says 1970, and counts from there."""
LEAST_ROWS, LEAST_RECEIPTS, LEAST_SPAN_S = 20, 5, 30.0
"""Fewer rows, in fewer batches, or in a shorter time, say nothing."""
STEADY, STEADY_S = 0.2, 60.0
"""Lags may vary by this part of the time that the rows took to come, and by so many seconds."""
ZONES_H = (*range(1, 15), 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75)
"""How far time zones are from UTC, in hours, either way."""
HELD_UP_S = 120.0
"""Rows of a clock that is off by a zone may be held up by so many seconds."""
LEAPS_S = {18: "GPS", 37: "TAI"}
"""How many seconds other scales are ahead of UTC (since 2017), and what they are called."""
EARLY_S = 1.0
"""A row that comes so long before it happened has a wrong time, whatever held it up."""
BINS, LEAST_BINS, LEAST_DRIFT_S = 12, 6, 0.25
SLOWEST, FASTEST = 1e-5, 5e-3
"""Seconds a second: less cannot be told, more is no clock but a backlog that grows or shrinks."""


class Trouble(Struct, frozen=True):
    """One asset whose clock is wrong: what is seen, in a few words after its name."""

    kind: Kind
    asset: str
    seen: str


def judged(rows: pl.DataFrame) -> tuple[int, list[Trouble]]:
    """How many assets could be judged, and what is wrong with the clocks of all.

    Args:
        rows: the newest ones, also those that were rejected as ahead of their receipt: `asset`, `event_ns`,
            `received_at_ns`.
    """
    live, found = 0, list[Trouble]()
    for (name,), own in rows.sort("received_at_ns").group_by("asset", maintain_order=True):
        asset, unset = str(name), own.filter(pl.col("event_ns") < LONG_AGO_NS).height
        if unset:
            found.append(Trouble("never_set", asset, f"sent {unset:,} row{'s' * (unset > 1)} from before 2000"))
        lags = _lags(own.filter(pl.col("event_ns") >= LONG_AGO_NS))
        if _come_as_they_happen(lags):
            live += 1
            found += _of_asset(asset, lags)
    return live, found


def _lags(rows: pl.DataFrame) -> pl.DataFrame:
    """When each row came, from the first one on, and how long after its event: `at_s`, `lag_s`."""
    return rows.select(
        at_s=(pl.col("received_at_ns") - pl.col("received_at_ns").min()) / 1e9,
        lag_s=(pl.col("received_at_ns").cast(pl.Int128) - pl.col("event_ns")).cast(pl.Float64) / 1e9,
    )


def _of_asset(asset: str, lags: pl.DataFrame) -> Iterator[Trouble]:
    """What is wrong with one clock: one thing at most."""
    least_s = _quantile(lags, 0.05)
    off = _off(asset, least_s, _quantile(lags, 0.95))
    off = off or _drift(asset, lags)
    if off:
        yield off
    elif least_s < -EARLY_S:
        yield Trouble("drift", asset, f"is {-least_s:,.1f} s ahead of receipt")


def _come_as_they_happen(lags: pl.DataFrame) -> bool:
    if lags.height < LEAST_ROWS or lags["at_s"].n_unique() < LEAST_RECEIPTS:
        return False
    span_s = float(lags["at_s"].max()) - float(lags["at_s"].min())  # type: ignore[arg-type]
    spread_s = _quantile(lags, 0.9) - _quantile(lags, 0.1)
    return span_s >= LEAST_SPAN_S and spread_s <= min(STEADY * span_s, STEADY_S)


def _off(asset: str, least_s: float, most_s: float) -> Trouble | None:
    """A clock that is off by a time zone or by the leap seconds, ahead or behind."""
    for leap_s, scale in LEAPS_S.items():
        if -0.1 <= least_s + leap_s <= 3.0 and most_s < 0:
            return Trouble("leap_seconds", asset, f"is {leap_s} s ahead, as {scale} time is of UTC")
        if leap_s == 18 and -0.1 <= least_s - leap_s <= 1.0 and most_s - least_s <= 1.0:
            return Trouble("leap_seconds", asset, f"is {leap_s} s behind, as UTC is of GPS time")
    for hours in ZONES_H:
        for sign, way in ((1, "behind"), (-1, "ahead")):
            if -5.0 <= least_s - sign * hours * 3600 <= HELD_UP_S:
                return Trouble("hours", asset, f"is {hours:g} h {way}")
    return None


def _drift(asset: str, lags: pl.DataFrame) -> Trouble | None:
    """A line through the least lags of equal parts of the time (Theil and Sen: the median of all slopes)."""
    floors = _floors(lags)
    if len(floors) < LEAST_BINS:
        return None
    slope = median((b - a) / (later - at) for (at, a), (later, b) in combinations(floors, 2))
    base = median(lag - slope * at for at, lag in floors)
    rest_s = max(abs(lag - base - slope * at) for at, lag in floors)
    moved_s = abs(slope) * (floors[-1][0] - floors[0][0])
    if SLOWEST <= abs(slope) <= FASTEST and moved_s >= LEAST_DRIFT_S and moved_s >= 4 * rest_s:
        way = "loses" if slope > 0 else "gains"
        return Trouble("drift", asset, f"{way} {abs(slope) * 86_400:,.1f} s a day")
    return None


def _floors(lags: pl.DataFrame) -> Sequence[tuple[float, float]]:
    """(time, least lag) of each part of the time that has a few rows."""
    width_s = float(lags["at_s"].max()) / BINS + 1e-9  # type: ignore[arg-type]
    parts = lags.with_columns(part=(pl.col("at_s") / width_s).floor()).sort("lag_s").group_by("part")
    found = parts.agg(pl.col("at_s").first(), pl.col("lag_s").first(), pl.len()).filter(pl.col("len") >= 3)
    return found.sort("at_s").select("at_s", "lag_s").rows()


def _quantile(lags: pl.DataFrame, part: float) -> float:
    return float(lags["lag_s"].quantile(part))  # type: ignore[arg-type]
