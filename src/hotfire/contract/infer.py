"""Drafts of contracts from samples. Everything that is not plain from the data is marked `# guess: why`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from hotfire.contract.columns import is_free_name, is_free_path
from hotfire.contract.draft import write_draft
from hotfire.contract.guess import Guess, dirt
from hotfire.contract.model import TimeFormat
from hotfire.contract.names import spelled_unit, unit_of
from hotfire.contract.ranges import allowed_texts, possible, rises
from hotfire.contract.roles import Roles, find_roles
from hotfire.contract.times import to_date, to_ns
from hotfire.contract.words import SQL_WORDS
from hotfire.errors import UserError

_EPOCHS: tuple[TimeFormat, ...] = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_PLAUSIBLE_NS = (946_684_800_000_000_000, 4_102_444_800_000_000_000)  # 2000 to 2100
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|epoch|at|utc)($|_)|time$")
_CODE_NAME = re.compile(r"(^|_)(id|code|serial|part|version|zip|tag|name|number|no|nr|model|type)($|_)")
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_NO_NUMBER = r"(?i)^[+-]?(?:nan|inf|infinity)$"
_WHOLE = r"^-?(?:0|[1-9][0-9]*)$"
_LONGEST_NAME = 56


def infer(
    frame: pl.DataFrame, stream: str, *, textual: bool | None = None, odd: Mapping[str, str] | None = None
) -> str:
    """A contract's first version, as YAML, under which nearly all of the sample is stored.

    Up to 1 % of a sample may be dirt that no column is made to fit: of a small sample up to three values a column, one
    of every ten at most.

    Args:
        frame: a sample; one column a field, named by its path in the source, with values as they were read: String,
            integers, floats, Boolean, Date or Datetime.
        stream: its name, snake_case.
        textual: numbers are read from text in this source (CSV); otherwise text that looks like a number is declared
            with `hotfire.coerce`. None: where every column is text.
        odd: what was left out of columns because it does not fit the rest, in words, by path.

    Raises:
        UserError: there is nothing to guess from.
    """
    fields = [series for series in frame.iter_columns() if series.name and is_free_path(series.name)]
    if not fields or not frame.height:
        do = "Give a file of records with named values; lists inside of records are not looked at."
        raise UserError("The sample has no rows, or no fields with values.", do)
    if textual is None:
        textual = all(series.dtype == pl.String for series in fields)
    spare = dirt(frame.height, len(fields))
    names = _names([series.name for series in fields])
    guesses = [_column(name, series, spare, textual) for name, series in zip(names, fields, strict=True)]
    for guess in guesses:
        guess.odd = guess.odd or (odd or {}).get(guess.path, "")
    roles = find_roles(stream, guesses)
    for guess in guesses:
        if guess not in roles.identity:
            _describe(guess, roles)
    return write_draft(stream, guesses, roles)


def _names(paths: Sequence[str]) -> list[str]:
    """A snake_case column name for every path, none twice, none that SQL keeps for itself."""
    taken: set[str] = set()
    names = []
    for path in paths:
        bare = spelled_unit(re.sub(r"[\[(].*?[\])]", "", path) or path)
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()
        name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")[:_LONGEST_NAME].rstrip("_") or "field"
        name = name if name[0].isalpha() else f"c_{name}"
        name = name if is_free_name(name) and name not in SQL_WORDS else f"source_{name}"[:_LONGEST_NAME]
        stem, number = name, 2
        while {name, f"{name}_ns", name.removesuffix("_ns")} & taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _column(name: str, values: pl.Series, spare: int, textual: bool) -> Guess:  # noqa: FBT001 - private
    guess = Guess(name, values.name, values)
    if values.null_count() == len(values):
        guess.why = "no values in the sample"
        guess.values = values.cast(pl.String)
    elif values.dtype == pl.Boolean:
        guess.type = "boolean"
    elif isinstance(values.dtype, pl.Datetime):
        guess.type = "timestamp"
        guess.zone = "UTC" if values.dtype.time_zone is None else None
    elif values.dtype == pl.Date:
        guess.type = "date"
    elif values.dtype.is_numeric():
        guess.type = "integer" if values.dtype.is_integer() else "number"
        _epoch(guess, spare)
    else:
        texts = values.cast(pl.String)
        guess.values = texts.str.strip_chars() if textual else texts
        _text(guess, spare, textual)
    return guess


def _text(guess: Guess, spare: int, textual: bool) -> None:  # noqa: FBT001 - private
    """The type behind a text: an instant, a date, a truth, a number, or only text."""
    values = guess.values.drop_nulls()

    def mostly(good: pl.Series) -> bool:
        bad = values.filter(~good.fill_null(value=False))
        if len(bad) > (0 if _CODE_NAME.search(guess.name) else spare) or len(bad) * 2 > len(values):
            return False
        guess.odd = f'but for {len(bad):,} of {len(values):,}, such as "{bad[0][:30]}"' if len(bad) else ""
        return True

    if mostly(to_ns(values, "iso", None)[0].is_not_null()):
        guess.type, guess.why = "timestamp", "ISO 8601 with zone"
    elif mostly(to_ns(values, "iso", "UTC")[0].is_not_null()):
        guess.type, guess.why, guess.zone = "timestamp", "ISO 8601 without zone", "UTC"
    elif mostly(to_date(values)[0].is_not_null()):
        guess.type, guess.why = "date", "ISO 8601"
    elif mostly(values.str.to_lowercase().is_in(["true", "false"]) if textual else values.is_in(["true", "false"])):
        guess.type, guess.why, guess.coerce = "boolean", "true and false", not textual
    elif _numbers(values).is_finite().any() and mostly(_reads_as_number(values, textual)):
        read = values.filter(_reads_as_number(values, textual))
        whole = read.str.contains(_WHOLE).all() and not read.cast(pl.Int64, strict=False).has_nulls()
        guess.type, guess.why = ("integer" if whole else "number"), "text that reads as numbers"
        guess.coerce = not textual
        if textual:
            _epoch(guess, spare)
    else:
        _say_what_is_no_number(guess, values.filter(~_reads_as_number(values, textual)))


def _reads_as_number(values: pl.Series, textual: bool) -> pl.Series:  # noqa: FBT001 - private
    """Which texts are numbers as people write them: `007` is a code. Readers of text take NaN for a missing reading."""
    numbers = values.str.contains(_NUMBER)
    return numbers | values.str.contains(_NO_NUMBER) if textual else numbers


def _say_what_is_no_number(guess: Guess, others: pl.Series) -> None:
    """Why a column in which most values are numbers is one of text all the same."""
    count = len(guess.values) - guess.values.null_count()
    if 0 < len(others) * 2 < count and not _CODE_NAME.search(guess.name):
        guess.why = f'{len(others):,} of {count:,} are no numbers, such as "{others[0][:20]}"'


def _numbers(values: pl.Series) -> pl.Series:
    return values.cast(pl.Float64, strict=False)


def _epoch(guess: Guess, spare: int) -> None:
    """Numbers that a name calls a time, and that fall into this century in one unit."""
    if not _TIME_NAME.search(guess.name) or guess.coerce:
        return
    values = guess.values.drop_nulls()
    for form in _EPOCHS:
        ns, _ = to_ns(values, form, None)
        good = ns.is_between(*_PLAUSIBLE_NS).fill_null(value=False).sum()
        if good and len(values) - good <= spare:
            guess.type, guess.format, guess.why = "timestamp", form, "the name, and instants of this century"
            return


def _describe(guess: Guess, roles: Roles) -> None:
    """Unit, range or enumeration of a column that is not part of the identity."""
    if guess.type in ("number", "integer"):
        numbers = _numbers(guess.values)
        finite = numbers.filter(numbers.is_finite())
        guess.unit = unit_of(guess.path, guess.name, finite)
        if guess is not roles.counter and not _CODE_NAME.search(guess.name):
            rising = rises(numbers, roles.asset.values if roles.asset else None)
            guess.limits = possible(guess, finite, rising=rising, kind=roles.kind)
    elif guess.type == "string":
        guess.allowed = allowed_texts(guess)
