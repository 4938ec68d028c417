"""What stands in JSON arrays: an array as one text, and elements of it as values of a column. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Type

ELEMENT = re.compile(r"(\*|0|[1-9][0-9]{0,3})(\.[^.]+)*")
"""A place in an array: the number of an element, or every one; then keys of objects, by dots."""

_ARRAY = msgspec.json.Decoder(list)
_LARGEST = 2**63
_FITS: Mapping[Type, Callable[[Any], bool]] = {
    "string": lambda value: type(value) is str and "\0" not in value,
    "integer": lambda value: type(value) is int and -_LARGEST <= value < _LARGEST,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
    "timestamp": lambda value: type(value) is str and "\0" not in value,
    "date": lambda value: type(value) is str and "\0" not in value,
    "array": lambda value: type(value) is list,
}
_DTYPES: Mapping[Type, type[pl.DataType]] = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}


def array(text: str | bytes) -> list[Any] | None:
    """The array that a JSON text is; None where it is none, or holds what JSON cannot: infinite numbers, half characters."""
    try:
        return _ARRAY.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def array_text(value: list[Any]) -> str:
    """An array as JSON text without white space, keys sorted, numbers as float64 and integers are written."""
    return msgspec.json.encode(value, order="sorted").decode()


def written_array(text: str | bytes) -> str | None:
    """The same of an array in whatever way it is written; None where it is none."""
    found = array(text)
    return None if found is None else array_text(found)


def elements(texts: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    """A column's values out of the arrays that they stand in.

    Args:
        texts: JSON arrays (String). Where there is none, or no such element, the value is null.

    Returns:
        The values as a decoder would give them, and what is wrong with each (String); null where nothing is.
    """
    first, *keys = column.element.split(".")
    values, broken = list[Any](), list[str | None]()
    for text in texts:
        found = None if text is None else array(text)
        if found is not None and first == "*":
            value: Any = [_below(one, keys) for one in found]
        elif found is not None and int(first) < len(found):
            value = _below(found[int(first)], keys)
        else:
            value = None
        fits = value is None or _FITS[column.type](value)
        broken.append(None if fits else f"{_named(value)}, not {_WANTED.get(column.type, 'text')}")
        values.append((array_text(value) if type(value) is list else value) if fits else None)
    dtype = _DTYPES.get(column.type, pl.String)
    return pl.Series(texts.name, values, dtype=dtype), pl.Series(texts.name, broken, dtype=pl.String)


def _below(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


_WANTED: Mapping[Type, str] = {
    "integer": "an integer of 64 bits",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
}


def _named(value: Any) -> str:
    if isinstance(value, str):
        return "text with U+0000" if "\0" in value else "text"
    known: dict[type, str] = {bool: "true or false", list: "an array", dict: "an object"}
    return known.get(type(value), "a number")
