"""What cells of text say under a field: strict, and the same for a cell alone as among a million."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from hotfire.contract.nested import written_array

if TYPE_CHECKING:
    from hotfire.contract.model import Field, Type

DTYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "timestamp": pl.String(),
    "date": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "array": pl.String(),
}

WANTED: Mapping[str, str] = {
    "string": "text with U+0000",
    "timestamp": "text with U+0000",
    "date": "text with U+0000",
    "integer": "not a whole number of 64 bits",
    "number": "not a number",
    "boolean": "neither true nor false",
    "array": "not a JSON array",
}

_YES_NO = {"true": True, "false": False}
COERCED: Mapping[str, bool] = {**_YES_NO, "1": True, "0": False, "yes": True, "no": False}
"""What spells a truth value where the contract lets it be coerced, in lower case."""


class Form(Struct, frozen=True):
    """One field under a path, and its column in the frame."""

    field: Field
    name: str

    @property
    def dtype(self) -> pl.DataType:
        """What the column holds."""
        return DTYPES[self.field.type]


class Cells(Struct, frozen=True):
    """The judged cells of one source column.

    Attributes:
        values: a series a form; every value stands under each form that it fits.
        broken: (index, text) of cells that are not empty and fit no form.
        coerced: (index, form, text) of cells that fit only because the field may be coerced.
    """

    values: list[pl.Series]
    broken: list[tuple[int, str]]
    coerced: list[tuple[int, Form, str]]


def forms_of(fields: Sequence[Field]) -> dict[str, tuple[Form, ...]]:
    """The forms of every path, in the order of the fields."""
    found: dict[str, tuple[Form, ...]] = {}
    for field in fields:
        before = found.get(field.path, ())
        name = f"{field.path}#{len(before) + 1}" if before else field.path
        found[field.path] = (*before, Form(field, name))
    return found


def judge(texts: pl.Series, forms: Sequence[Form], decimal: str = ".") -> Cells:
    """Cells (String) under the forms of their path. An empty cell is null; spaces around it count only in strings."""
    undecided = texts.is_not_null()
    values, coerced = [], []
    for form in forms:
        strict = _strict(texts, form.field, decimal)
        read = _lenient(texts, strict, decimal, form.field) if form.field.coerce else strict
        values.append(read.zip_with(undecided | strict.is_not_null(), _nothing(read)).alias(form.name))
        won = undecided & read.is_not_null()
        coerced += [(at, form, text) for at, text in _where(won & strict.is_null(), texts)]
        undecided = undecided & ~won
    empty = texts == "" if any(form.field.type == "string" for form in forms) else texts.str.strip_chars() == ""
    return Cells(values, list(_where(undecided & ~empty.fill_null(value=True), texts)), coerced)


def _where(mask: pl.Series, texts: pl.Series) -> Iterator[tuple[int, str]]:
    at = mask.arg_true()
    return zip(at.to_list(), texts.gather(at).to_list(), strict=True)


def _nothing(like: pl.Series) -> pl.Series:
    return pl.Series(like.name, [None], dtype=like.dtype).new_from_index(0, len(like))


def _text(texts: pl.Series) -> pl.Series:
    return texts.zip_with((texts != "") & ~texts.str.contains("\0", literal=True), _nothing(texts))


def _arrays(texts: pl.Series) -> pl.Series:
    found = [None if text is None else written_array(text) for text in texts]
    return pl.Series(texts.name, found, dtype=pl.String)


_TEXTS: Mapping[Type, Callable[[pl.Series], pl.Series]] = {"string": _text, "array": _arrays}


def _strict(texts: pl.Series, field: Field, decimal: str) -> pl.Series:
    """Cells under one field; null where the cell is empty or does not fit."""
    if field.type in _TEXTS:
        return _TEXTS[field.type](texts)
    bare = texts.str.strip_chars()
    match field.type:
        case "timestamp" if field.format != "iso":
            return _text(_pointed(bare, decimal))
        case "timestamp" | "date":
            return _text(bare)
        case "boolean":
            return bare.str.to_lowercase().replace_strict(_YES_NO, default=None, return_dtype=pl.Boolean)
        case "number":
            return _number(bare, decimal)
        case _:
            return bare.cast(pl.Int64, strict=False)


def _lenient(texts: pl.Series, strict: pl.Series, decimal: str, field: Field) -> pl.Series:
    """The same, where the contract lets numbers and booleans be written otherwise: `1.0` for 1, `yes` for true."""
    bare = texts.str.strip_chars()
    if field.type == "boolean":
        return bare.str.to_lowercase().replace_strict(COERCED, default=None, return_dtype=pl.Boolean)
    if field.type == "integer":
        return strict.zip_with(strict.is_not_null(), _whole(_number(bare, decimal)))
    return strict


def _number(bare: pl.Series, decimal: str) -> pl.Series:
    return _pointed(bare, decimal).cast(pl.Float64, strict=False)


def _pointed(bare: pl.Series, decimal: str) -> pl.Series:
    """Numbers with a decimal point, whatever mark they are written with; null where both marks are in one."""
    if decimal == ".":
        return bare
    return bare.zip_with(~bare.str.contains(".", literal=True), _nothing(bare)).str.replace(",", ".", literal=True)


def _whole(numbers: pl.Series) -> pl.Series:
    """Numbers without a fraction as integers. Beyond 2**53 a float64 does not tell which integer was meant."""
    exact = numbers.is_finite() & (numbers.abs() <= 2.0**53) & (numbers == numbers.floor())
    return numbers.zip_with(exact.fill_null(value=False), _nothing(numbers)).cast(pl.Int64)
