"""What a sample says about possible values: readings that cannot be, counters without an end, the only texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Literal

import polars as pl

from hotfire.contract.guess import dirt
from hotfire.contract.names import lowest, natural_range

if TYPE_CHECKING:
    from hotfire.contract.guess import Guess

Range = tuple[float | None, float | None, str]
"""Least and greatest possible reading (None: open), and why."""

Kind = Literal["telemetry", "readings", "records"]
"""What the rows of a sample are: readings of assets in time, readings in time without an asset, or neither."""

_ENOUGH = 100
"""So many readings say something about those to come."""
_TAIL = 0.005
_GAP = 3
_MARKS = 2
_RISES = 20
_FALLS = 0.02


def possible(guess: Guess, numbers: pl.Series, *, rising: bool, kind: Kind) -> Range | None:
    """The possible readings of a channel, as far as name and sample tell: wide, since it is the impossible that it is for.

    Args:
        numbers: the sample's readings, finite.
        rising: it counts or accumulates, so that tomorrow's readings are greater than all of these.
        kind: of the sample's rows. What records hold says nothing about other records; a reading that is out of range
            loses its value in telemetry, but quarantines its row elsewhere.
    """
    if not len(numbers):
        return None
    unit = guess.unit[0] if guess.unit else None
    natural = natural_range(guess.name, unit)
    if natural is not None and (~numbers.is_between(*natural)).sum() <= (
        dirt(len(numbers)) if kind == "telemetry" else 0
    ):
        return (*natural, "what the name allows")
    if kind == "records" or len(numbers) < _ENOUGH or numbers.n_unique() == 1:
        return None
    if rising:
        return (0.0, None, "it only rises") if float(numbers.min()) >= 0 else None  # type: ignore[arg-type]
    if numbers.is_in([0.0, 1.0]).all():
        return 0.0, 1.0, "only 0 and 1 in the sample"
    ordered = numbers.sort()
    low, high = _core(ordered) if kind == "telemetry" else (float(ordered[0]), float(ordered[-1]))
    least, greatest = _wide(low, high, whole=guess.type == "integer")
    bottom = lowest(unit)
    least = max(least, bottom) if low >= bottom else least
    far = int((~numbers.is_between(low, high)).sum())
    why = f"the sample's range and as much again{f', without {far} far out' if far else ''}"
    return (least if math.isfinite(least) else None, greatest if math.isfinite(greatest) else None, why)


def rises(numbers: pl.Series, assets: pl.Series | None) -> bool:
    """Whether each asset's readings only rise, but for a rare reset or a row sent again."""
    ups, downs, _ = _steps(numbers, assets)
    return ups >= _RISES and downs <= _FALLS * (ups + downs) and numbers.n_unique() > 10


def counts_up(numbers: pl.Series, assets: pl.Series | None) -> bool:
    """Whether each asset's readings go up by one, but for a gap now and then."""
    ups, downs, ones = _steps(numbers, assets)
    return ups >= _RISES and ones >= 0.9 * (ups + downs)


def allowed_texts(guess: Guess) -> tuple[list[str], str] | None:
    """The only texts, where there are few and each is a word that comes again and again: names and codes do not end."""
    values = guess.values.drop_nulls()
    distinct = values.unique().sort().to_list()
    enough = len(values) >= max(_ENOUGH, 20 * len(distinct))
    if not enough or not 1 < len(distinct) <= 12 or max(map(len, distinct)) > 40 or is_coded(values):
        return None
    return distinct, f"{len(distinct)} texts in {len(values):,} rows"


def is_coded(texts: pl.Series) -> bool:
    """Whether texts are names with numbers in them, of which there may be more tomorrow."""
    return bool(texts.str.contains(r"[0-9]").any())


def _steps(numbers: pl.Series, assets: pl.Series | None) -> tuple[int, int, int]:
    """How often an asset's reading rose, fell, and rose by one."""
    frame = pl.DataFrame({"reading": numbers, "asset": assets if assets is not None else 0}).drop_nulls("reading")
    steps = frame.select(pl.col("reading").diff().over("asset"))["reading"]
    return int((steps > 0).sum()), int((steps < 0).sum()), int((steps == 1).sum())


def _core(ordered: pl.Series) -> tuple[float, float]:
    """The range of the sample without its far out marks of a missing reading, such as 9999."""
    tail = int(len(ordered) * _TAIL)
    low, high = float(ordered[tail]), float(ordered[-1 - tail])
    reach = high - low or abs(high) or 1.0
    low = -_reached(-low, [-value for value in reversed(ordered[:tail].to_list())], reach)
    high = _reached(high, ordered[len(ordered) - tail :].to_list(), high - low or reach)
    return low, high


def _reached(edge: float, values: Sequence[float], reach: float) -> float:
    """How far values that lie further and further out go on: spikes are data, a value or two behind a wide gap is none."""
    for at, value in enumerate(values):
        if value - edge > _GAP * reach and len({*values[at:]}) <= _MARKS:
            break
        reach += value - edge
        edge = value
    return edge


def _wide(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """As much again on both sides as there is between, at least half of the greatest, rounded outwards."""
    margin = max(Decimal(high) - Decimal(low), max(abs(Decimal(low)), abs(Decimal(high))) / 2)
    step = Decimal(1).scaleb(max(margin.adjusted(), 0 if whole else -300))
    return _outwards(Decimal(low) - margin, step, ROUND_FLOOR), _outwards(Decimal(high) + margin, step, ROUND_CEILING)


def _outwards(value: Decimal, step: Decimal, rounding: str) -> float:
    return float((value / step).to_integral_value(rounding) * step)
