"""Which columns of a sample say what is observed, when, and which row it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from hotfire.contract.guess import dirt, quietly
from hotfire.contract.names import is_unit
from hotfire.contract.ranges import counts_up, is_coded, rises
from hotfire.contract.times import to_ns

if TYPE_CHECKING:
    from hotfire.contract.guess import Guess
    from hotfire.contract.ranges import Kind

_OBSERVED = (
    "asset|device|engine|machine|vehicle|unit|robot|sensor|node|serial|tag|station|rig|pump|motor|turbine|drone|box|vin"
)
_ASSET_NAME = re.compile(rf"(^|_)({_OBSERVED})(_(id|uid|uuid|no|nr|num|number|name|code|serial|tag|key))?$")
_KEY_NAME = re.compile(r"^(id|uuid|guid|key)$|(^|_)(event|message|record|reading|row|measurement)_?(id|uuid)$")
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|zeit|datum)($|_)|time$")
_ELAPSED_NAME = re.compile(r"^(t|time|elapsed|seconds|sec|s)($|_)|(^|_)(time|elapsed)(_|$)")
_TIMES = ("event_time", "timestamp", "time", "ts", "datetime", "created_at")
_REPEATS = 0.5
_MOST_COMBINED = 12


class Roles(Struct, frozen=True):
    """What columns are there for.

    Attributes:
        asset, time: None for records, which have a key alone.
        key: what tells rows apart, beside asset and time.
        notes: what the reader of the draft has to know or to decide, in lines.
    """

    asset: Guess | None
    time: Guess | None
    key: Sequence[Guess]
    counter: Guess | None
    notes: Sequence[str]

    @property
    def identity(self) -> list[Guess]:
        """The columns of the primary key, in order."""
        return [one for one in (self.asset, self.time, *self.key) if one is not None]

    @property
    def kind(self) -> Kind:
        """What the rows are."""
        if self.asset is not None:
            return "telemetry"
        return "readings" if any(_is_when(one) for one in self.identity) else "records"


def find_roles(stream: str, guesses: Sequence[Guess]) -> Roles:
    """The roles of a sample's columns: telemetry where something is observed at some time, else records with a key."""
    time = _time(guesses)
    rows = pl.DataFrame([one.values.alias(str(at)) for at, one in enumerate(guesses)])
    apart = _Apart(rows, {one: str(at) for at, one in enumerate(guesses)})
    key = _records(guesses, apart)
    asset = _asset(guesses, coded=time is not None and any(_is_when(one) for one in key))
    if asset is None or time is None:
        notes = _how_to_observe(stream, guesses, asset) if any(_is_when(one) for one in key) or time is None else []
        return Roles(None, None, key, None, [*notes, *_repeated(apart, key, "newer versions of one record")])
    asset.type, asset.why = "string", asset.why or "its name"
    key = _key(guesses, asset, time, apart)
    counter = next((one for one in guesses if one not in (asset, time, *key) and _is_counter(one, asset)), None)
    return Roles(asset, time, key, counter, _repeated(apart, [asset, time, *key], "conflicts, and quarantined"))


class _Apart(Struct, frozen=True):
    """Tells whether columns tell the sample's rows apart. Rows that are equal in everything count once."""

    rows: pl.DataFrame
    names: Mapping[Guess, str]

    def repeated(self, columns: Sequence[Guess]) -> int:
        """How many rows have these values in common with an earlier row."""
        return self.rows.n_unique() - self.rows.n_unique([self.names[one] for one in columns])

    def are_told(self, columns: Sequence[Guess]) -> bool:
        """Whether hardly any do."""
        return self.repeated(columns) <= dirt(self.rows.height) // 2


def _asset(guesses: Sequence[Guess], *, coded: bool) -> Guess | None:
    """The column that names what is observed: text, or numbers written as text, that repeats.

    Args:
        coded: where no name tells, any code that repeats will do.
    """
    possible = [one for one in guesses if one.complete and one.values.dtype == pl.String and not one.coerce]
    possible = [one for one in possible if one.type in ("string", "integer") and not _KEY_NAME.search(one.name)]
    possible = [one for one in possible if len(one.values) < 20 or one.distinct <= _REPEATS]
    named = [one for one in possible if _ASSET_NAME.search(one.name) and not _are_units(one)]
    named = sorted(named, key=lambda one: not one.name.endswith(("_id", "_no", "_number", "serial")))
    other = [one for one in possible if one.name.endswith("_id") and not one.unique]
    codes = [one for one in possible if coded and one.type == "string" and is_coded(one.values)]
    for found, why in ((named, "its name"), (other, "an id that repeats"), (codes, "a code that repeats")):
        if found:
            found[0].why = why
            return found[0]
    return None


def _are_units(guess: Guess) -> bool:
    """Whether a unit is one of measurement, as in rows of channel, value, unit."""
    return guess.name.endswith("unit") and all(is_unit(text) for text in guess.values.drop_nulls().unique()[:50])


def _time(guesses: Sequence[Guess]) -> Guess | None:
    """The column that says when: a complete timestamp, by the best name."""
    possible = [one for one in guesses if one.type == "timestamp" and _readable(one)]
    return min(possible, key=lambda one: _TIMES.index(one.name) if one.name in _TIMES else len(_TIMES), default=None)


def _readable(guess: Guess) -> bool:
    """Whether nearly every row has an instant: the time of a row is required."""
    ns, _ = to_ns(guess.values, guess.format, guess.zone)
    return ns.null_count() <= dirt(len(ns)) // 2


def _key(guesses: Sequence[Guess], asset: Guess, time: Guess, apart: _Apart) -> list[Guess]:
    """What tells an asset's rows of one instant apart: a row's own id, or the channel in rows of one reading each."""
    possible = [one for one in _keyable(guesses) if one is not asset and one is not time]
    named = [one for one in possible if _KEY_NAME.search(one.name) and one.distinct > 0.95]
    if named or apart.are_told([asset, time]):
        return named[:1]
    texts = sorted(possible, key=lambda one: one.type != "string")
    return next((list(some) for some in _some(texts, 2) if apart.are_told([asset, time, *some])), [])


def _records(guesses: Sequence[Guess], apart: _Apart) -> list[Guess]:
    """The key of records: one column that has a value of its own in each row, or a few together."""
    possible = [*_keyable(guesses), *(one for one in guesses if one.complete and one.type == "timestamp")]
    possible = sorted(possible, key=guesses.index)
    named = [one for one in possible if _KEY_NAME.search(one.name) and one.distinct > 0.95]
    alone = [one for one in possible if apart.are_told([one])]
    alone = sorted(alone, key=lambda one: not one.name.endswith("_id"))
    elapsed = [one for one in guesses if one.complete and _is_elapsed(one) and apart.are_told([one])]
    few = next((list(some) for some in _some(possible, 3) if len(some) > 1 and apart.are_told(some)), [])
    return (named or alone or elapsed)[:1] or few or possible or list(guesses)[:1]


def _keyable(guesses: Sequence[Guess]) -> list[Guess]:
    return [one for one in guesses if one.complete and not one.coerce and one.type in ("string", "integer", "date")]


def _some(guesses: Sequence[Guess], most: int) -> Iterator[Sequence[Guess]]:
    for size in range(1, most + 1):
        yield from combinations(guesses[:_MOST_COMBINED], size)


def _is_counter(guess: Guess, asset: Guess) -> bool:
    return guess.type == "integer" and not guess.coerce and counts_up(_as_numbers(guess), asset.values)


def _is_elapsed(guess: Guess) -> bool:
    """Whether a number is a time since the start of a recording."""
    named = guess.type in ("number", "integer") and _ELAPSED_NAME.search(guess.name)
    return bool(named) and rises(_as_numbers(guess), None)


def _is_when(guess: Guess) -> bool:
    return guess.type == "timestamp" or _is_elapsed(guess)


def _as_numbers(guess: Guess) -> pl.Series:
    return guess.values.cast(pl.Float64, strict=False)


def _how_to_observe(stream: str, guesses: Sequence[Guess], asset: Guess | None) -> list[str]:
    """How records that are readings in time become telemetry."""
    elapsed = next((one for one in guesses if _is_elapsed(one)), None)
    odd = next((one for one in guesses if one.type == "string" and _TIME_NAME.search(one.name)), None)
    if _time(guesses) is None and elapsed is None:
        if odd is None or odd.values.null_count() == len(odd.values):
            return []
        written = quietly(odd.values.drop_nulls()[0][:40])
        return [
            f"`{odd.path}` may be a time, but `{written}` is none that can be read: write 2026-01-31T08:00:00Z, or make",
            f"such a field by SQL, in hotfire.toml under [streams.{stream}.source.derive].",
        ]
    numbered = next((one for one in guesses if one.type == "integer" and _ASSET_NAME.search(one.name)), None)
    named = f'"cast({numbered.path} as varchar)"' if numbered else "\"'pump-1'\"  # what is observed"
    lines = [
        "If these are readings of something, make them telemetry: put into hotfire.toml what the file does not say,"
    ]
    lines += ["and infer the contract again."]
    if asset is None:
        lines += [f"    [streams.{stream}.source.derive]", f"    asset = {named}"]
    if _time(guesses) is None and elapsed is not None:
        lines += [f"    [streams.{stream}.source.clock]", f'    column = "{elapsed.path}"']
        lines += ["    start = 2026-01-01T00:00:00Z  # the instant of 0", "    rate_hz = 1  # counts a second"]
    return lines


def _repeated(apart: _Apart, identity: Sequence[Guess], called: str) -> list[str]:
    """A warning where rows get lost in one another."""
    height = apart.rows.height
    equal, same = height - apart.rows.n_unique(), apart.repeated(identity)
    measured = any(one.type == "number" and not _is_elapsed(one) for one in identity)
    if apart.are_told(identity) and equal <= max(dirt(height), height // 10) and not measured:
        return []
    names = ", ".join(one.name for one in identity)
    lines = [f"WARNING: {equal + same:,} of {height:,} rows have the same {names} as an earlier row."]
    lines += [f"{equal:,} of them are equal in everything: taken for duplicates, they are not stored."] if equal else []
    lines += [f"{same:,} of them differ in something else: taken for {called}."] if same else []
    lines = lines if equal + same else [f"WARNING: no column tells rows apart; {names} is a reading."]
    return [*lines, "If they are rows of their own, let the source write what tells them apart: a time, or a number."]
