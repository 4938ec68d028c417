"""Drafts of contracts from samples. Everything that is not plain from the data is marked `# guess: why`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import polars as pl

from hotfire.contract.columns import is_free_name, is_free_path
from hotfire.contract.draft import Guess, write_draft
from hotfire.contract.model import TimeFormat
from hotfire.contract.names import natural_range, unit_of
from hotfire.contract.times import to_date, to_ns
from hotfire.errors import UserError

_EPOCHS: tuple[TimeFormat, ...] = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_PLAUSIBLE_NS = (946_684_800_000_000_000, 4_102_444_800_000_000_000)  # 2000 to 2100
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|epoch|at|utc)($|_)|time$")
_ASSET_NAME = re.compile(
    r"(^|_)(asset|device|engine|machine|vehicle|unit|robot|sensor|node|serial|tag|station|rig)(_|$)"
)
_KEY_NAME = re.compile(r"^(id|uuid|guid|key)$|(^|_)(event|message|record|reading|row|measurement)_?(id|uuid)$")
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
_ACCEPTED = 0.01


def infer(frame: pl.DataFrame, stream: str) -> str:
    """A contract's first version, as YAML, that accepts at least 99 % of the sample.

    Args:
        frame: a sample; one column a field, named by its path in the source, with values as they were read: String,
            integers, floats, Boolean, Date or Datetime. Where every column is String, numbers are expected as text
            (CSV); otherwise text that looks like a number is declared with `hotfire.coerce`.
        stream: its name, snake_case.

    Raises:
        UserError: there is nothing to guess from.
    """
    fields = [series for series in frame.iter_columns() if series.name and is_free_path(series.name)]
    if not fields or not frame.height:
        raise UserError("the sample has no rows, or no columns", "take more of it")
    textual = all(series.dtype == pl.String for series in fields)
    spare = _ACCEPTED / len(fields)
    names = _names([series.name for series in fields])
    guesses = [_column(name, series, spare, textual) for name, series in zip(names, fields, strict=True)]
    asset, time = _asset(guesses), _time(guesses)
    if asset is None or time is None:
        asset = time = None
    key = _key(guesses, asset, time)
    for guess in guesses:
        if guess not in (asset, time, *key):
            _describe(guess, entity=asset is None)
    return write_draft(stream, guesses, asset, time, key)


def _names(paths: Sequence[str]) -> list[str]:
    """A snake_case column name for every path, none twice."""
    taken: set[str] = set()
    names = []
    for path in paths:
        bare = re.sub(r"[\[(].*?[\])]", "", path) or path
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()
        name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")[:50] or "field"
        name = name if name[0].isalpha() else f"c_{name}"
        name = name if is_free_name(name) else f"source_{name}"
        stem, number = name, 2
        while {name, f"{name}_ns", name.removesuffix("_ns")} & taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _column(name: str, values: pl.Series, spare: float, textual: bool) -> Guess:  # noqa: FBT001 - private
    guess = Guess(name, values.name, values)
    if values.null_count() == len(values):
        guess.why = "no values in the sample"
        guess.values = values.cast(pl.String)
    elif values.dtype == pl.Boolean:
        guess.type = "boolean"
    elif isinstance(values.dtype, pl.Datetime):
        guess.type = "timestamp"
        _zone(guess)
    elif values.dtype == pl.Date:
        guess.type = "date"
    elif values.dtype.is_numeric():
        guess.type = "integer" if values.dtype.is_integer() else "number"
        _epoch(guess, spare)
    else:
        guess.values = values.cast(pl.String)
        _text(guess, spare, textual)
    return guess


def _zone(guess: Guess) -> None:
    if isinstance(guess.values.dtype, pl.Datetime) and guess.values.dtype.time_zone is None:
        guess.zone = "UTC"


def _text(guess: Guess, spare: float, textual: bool) -> None:  # noqa: FBT001 - private
    """The type behind a text: an instant, a date, a truth, a number, or only text."""
    values = guess.values.drop_nulls()

    def mostly(good: pl.Series) -> bool:
        return (~good.fill_null(value=False)).sum() <= spare * len(guess.values)

    if mostly(to_ns(values, "iso", None)[0].is_not_null()):
        guess.type, guess.why = "timestamp", "ISO 8601 with zone"
    elif mostly(to_ns(values, "iso", "UTC")[0].is_not_null()):
        guess.type, guess.why, guess.zone = "timestamp", "ISO 8601 without zone", "UTC"
    elif mostly(to_date(values)[0].is_not_null()):
        guess.type, guess.why = "date", "ISO 8601"
    elif mostly(values.is_in(["true", "false"])):
        guess.type, guess.why, guess.coerce = "boolean", "true and false", not textual
    elif mostly(values.str.contains(_NUMBER)) and values.cast(pl.Float64, strict=False).is_finite().any():
        whole = mostly(values.str.contains(_WHOLE))
        guess.type, guess.why, guess.coerce = (
            ("integer" if whole else "number"),
            "text that reads as numbers",
            not textual,
        )
        if textual:
            _epoch(guess, spare)


def _epoch(guess: Guess, spare: float) -> None:
    """Numbers that a name calls a time, and that fall into this century in one unit."""
    if not _TIME_NAME.search(guess.name) or guess.coerce:
        return
    values = guess.values.drop_nulls()
    for form in _EPOCHS:
        ns, _ = to_ns(values, form, None)
        good = ns.is_between(*_PLAUSIBLE_NS).fill_null(value=False).sum()
        if len(values) - good <= spare * len(guess.values):
            guess.type, guess.format, guess.why = "timestamp", form, "the name, and instants of this century"
            return


def _asset(guesses: Sequence[Guess]) -> Guess | None:
    """The column that names what is observed: text, or numbers written as text, that repeats."""
    possible = [one for one in guesses if one.complete and one.values.dtype == pl.String and not one.coerce]
    possible = [one for one in possible if one.type in ("string", "integer") and not _KEY_NAME.search(one.name)]
    named = [one for one in possible if _ASSET_NAME.search(one.name)]
    named = sorted(named, key=lambda one: not one.name.endswith(("_id", "_no", "_number", "serial")))
    other = [one for one in possible if one.name.endswith("_id") and not one.unique]
    for found, why in ((named, "its name"), (other, "an id that repeats")):
        if found:
            found[0].type, found[0].why = "string", why
            return found[0]
    return None


def _time(guesses: Sequence[Guess]) -> Guess | None:
    """The column that says when: a complete timestamp, by the best name."""
    best = ("event_time", "timestamp", "time", "ts", "datetime", "created_at")
    possible = [one for one in guesses if one.type == "timestamp" and _readable(one)]
    return min(possible, key=lambda one: best.index(one.name) if one.name in best else len(best), default=None)


def _readable(guess: Guess) -> bool:
    """Whether nearly every row has an instant: the time of a row is required."""
    ns, _ = to_ns(guess.values, guess.format, guess.zone)
    return ns.null_count() <= _ACCEPTED / 2 * len(ns)


def _key(guesses: Sequence[Guess], asset: Guess | None, time: Guess | None) -> list[Guess]:
    """The columns that tell rows apart, beside asset and time."""
    possible = [one for one in guesses if one is not asset and one is not time and one.complete and not one.coerce]
    possible = [one for one in possible if one.type in ("string", "integer", "date")]
    named = [one for one in possible if _KEY_NAME.search(one.name) and one.distinct > 0.95]
    if asset is not None and time is not None:
        return named[:1]
    unique = [one for one in possible if one.unique and one.name.endswith("_id")]
    unique += [one for one in possible if one.unique]
    return (named or unique)[:1] or possible or list(guesses)[:1]


def _describe(guess: Guess, *, entity: bool) -> None:
    """Unit, range or enumeration of a column that is not part of the identity."""
    if guess.type in ("number", "integer"):
        numbers = guess.values.cast(pl.Float64, strict=False)
        numbers = numbers.filter(numbers.is_finite())
        guess.unit = unit_of(guess.path, guess.name, numbers)
        counts = guess.type == "integer" and numbers.is_sorted() and numbers.n_unique() > 2
        if not counts and not guess.name.endswith(("_id", "version")) and len(numbers):
            guess.limits = _range(guess, numbers, keep_all=entity)
    elif guess.type == "string":
        values = guess.values.drop_nulls()
        distinct = values.unique().sort().to_list()
        if len(distinct) <= 12 and len(values) >= 20 * len(distinct) > 0 and max(map(len, distinct)) <= 40:
            guess.allowed = (distinct, f"{len(distinct)} texts in {len(values):,} rows")


def _range(guess: Guess, numbers: pl.Series, *, keep_all: bool) -> tuple[float | None, float | None, str]:
    natural = natural_range(guess.name, guess.unit[0] if guess.unit else None)
    if natural is not None and numbers.is_between(*natural).mean() >= (1 if keep_all else 0.99):  # type: ignore[operator]
        return (*natural, "what the name allows")
    quarter, rest = float(numbers.quantile(0.25) or 0), float(numbers.quantile(0.75) or 0)
    reach = 10 * (rest - quarter)
    near = numbers.filter(numbers.is_between(quarter - reach, rest + reach)) if math.isfinite(reach) else numbers
    if keep_all or len(near) < 0.995 * len(numbers):
        near = numbers
    low, high = float(near.min() or 0), float(near.max() or 0)  # type: ignore[arg-type] # floats by construction
    margin = Decimal(high) - Decimal(low)
    margin = margin / 4 if margin else max(abs(Decimal(high)) / 4, Decimal(1))
    step = Decimal(1).scaleb(max(margin.adjusted(), 0 if guess.type == "integer" else -300))
    wide = _outwards(Decimal(low) - margin, step, ROUND_FLOOR), _outwards(Decimal(high) + margin, step, ROUND_CEILING)
    wide = (max(wide[0], 0.0), wide[1]) if low >= 0 else wide
    left_out = len(numbers) - len(near)
    why = f"the sample's range and a quarter more{f', without {left_out} far out' if left_out else ''}"
    return (wide[0] if math.isfinite(wide[0]) else None, wide[1] if math.isfinite(wide[1]) else None, why)


def _outwards(value: Decimal, step: Decimal, rounding: str) -> float:
    return float((value / step).to_integral_value(rounding) * step)
