"""Fields that a file does not hold, but implies: from its name, from a count and a rate, by SQL over other fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.expression import compile_sql, evaluated
from hotfire.contract.model import Field, Type
from hotfire.errors import ContractError, SettingsError
from hotfire.rows import Decoded
from hotfire.source.formats.cells import DTYPES

if TYPE_CHECKING:
    from hotfire.protocols import Records
    from hotfire.rows import Place
    from hotfire.source.formats.reading import Counter, Reading

_SECOND_NS = 1_000_000_000
_INT64 = 2**63
_ANY: tuple[Type, ...] = ("string", "integer", "number", "boolean")


def expression(name: str, sql: str) -> pl.Expr:
    """A derived field as an expression. Raises SettingsError where the SQL is none, or looks beyond its row."""
    try:
        return compile_sql(sql)
    except ContractError as error:
        raise SettingsError(f"The derived field {name!r}: {error.what}.", error.do) from error


def inputs(derive: Mapping[str, str], clock: Counter | None) -> set[str]:
    """The fields that derived fields are made of."""
    names = {root for name, sql in derive.items() for root in expression(name, sql).meta.root_names()}
    return names | ({clock.column} if clock else set())


class Derived(Struct, frozen=True):
    """Records with their derived fields. `readings`: how many records each reading has; they differ in constants."""

    inner: Records
    readings: Sequence[tuple[int, Reading]]

    def __len__(self) -> int:
        return len(self.inner)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes."""
        return self.inner.raw(row_no)

    def where(self, row_no: int) -> Place:
        """The record's place."""
        return self.inner.where(row_no)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """The records' own fields read as the contract wants them, then the derived ones from those."""
        reading = self.readings[0][1]
        made = {*reading.constants, *reading.derive, *([reading.clock.field] if reading.clock else [])}
        own = [field for field in fields if field.path not in made]
        extra = inputs(reading.derive, reading.clock) - made - {field.path for field in own}
        asked = [*own, *(Field(path, path, kind, "iso", coerce=False) for path in sorted(extra) for kind in _ANY)]
        decoded = self.inner.decode(asked)
        frame = self._with_derived(_as_text(decoded.frame, extra), reading)
        wanted = [*dict.fromkeys(name for name in decoded.frame.columns if name.partition("#")[0] not in extra)]
        typed = [
            _fitted(frame[field.path], field)
            for field in {field.path: field for field in fields if field.path in made}.values()
        ]
        known = {field.column for field in own}
        faults = [
            one for one in decoded.faults if one.check.startswith("row.") or one.check.removesuffix(".type") in known
        ]
        whole = frame.select(wanted).with_columns(typed)
        return replace(decoded, frame=whole, faults=faults, written=partial(_written, decoded, made))

    def _with_derived(self, frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
        frame = frame.with_columns(self._constants(frame["row_no"]))
        if reading.clock:
            frame = frame.with_columns(instants(frame[reading.clock.column], reading.clock))
        for name, sql in reading.derive.items():
            frame = frame.with_columns(_evaluated(frame, name, sql))
        return frame

    def _constants(self, row_no: pl.Series) -> Iterable[pl.Series]:
        which = np.repeat(np.arange(len(self.readings)), [rows for rows, _ in self.readings])
        for name in self.readings[0][1].constants:
            texts = pl.Series(name, [reading.constants.get(name) for _, reading in self.readings], dtype=pl.String)
            yield texts.gather(which[row_no.to_numpy()])


def _written(decoded: Decoded, made: Collection[str], row_no: int, path: str) -> str | None:
    """What the source wrote: nothing of what is derived."""
    return None if path in made or decoded.written is None else decoded.written(row_no, path)


def instants(counts: pl.Series, clock: Counter) -> pl.Series:
    """Start + count / rate, to the nanosecond, halves to even; null where the count is none or the instant is none."""
    period = Fraction(_SECOND_NS) / Fraction(repr(clock.rate_hz))
    distinct = counts.unique()
    pairs = {value: _instant(value, clock.start_ns, period) for value in distinct.to_list() if value is not None}
    ns = (
        counts.replace_strict(pairs, default=None, return_dtype=pl.Int64)
        if pairs
        else pl.Series([None]).new_from_index(0, len(counts))
    )
    return ns.cast(pl.Int64).cast(pl.Datetime("ns", "UTC")).alias(clock.field)


def _instant(value: str | float, start_ns: int, period: Fraction) -> int | None:
    try:
        count = Fraction(Decimal(str(value).strip()))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    ns = start_ns + round(count * period)
    return ns if -_INT64 < ns < _INT64 else None


def _evaluated(frame: pl.DataFrame, name: str, sql: str) -> pl.Series:
    try:
        return evaluated(frame, expression(name, sql)).alias(name)
    except pl.exceptions.PolarsError as error:
        raise SettingsError(
            f"The derived field {name!r}: `{sql}` cannot be evaluated: {str(error).partition(chr(10))[0]}.",
            "Fields that the contract does not name are texts here: cast(field as double).",
        ) from error


def _as_text(frame: pl.DataFrame, paths: Iterable[str]) -> pl.DataFrame:
    """Fields outside the contract as text, in whatever type the file has them."""
    for path in paths:
        forms = [name for name in frame.columns if name == path or name.startswith(f"{path}#")]
        texts = pl.coalesce(pl.col(name).cast(pl.String) for name in forms)
        frame = frame.with_columns(texts.alias(path))
    return frame


def _fitted(values: pl.Series, field: Field) -> pl.Series:
    """A derived value in the type of its field; instants stay as they are."""
    if field.type in ("timestamp", "date"):
        return values
    return values.cast(DTYPES[field.type], strict=False)
