"""Units of result columns: known where a column comes unchanged from a stream, converted on request."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from hotfire.errors import UserError
from hotfire.units import conversion

if TYPE_CHECKING:
    from hotfire.contract.model import Contract


def labels(columns: Iterable[str], made: frozenset[str] | None, contracts: Iterable[Contract]) -> dict[str, str]:
    """The units of those result columns that are columns of the contracts, as they are stored.

    Args:
        columns: of the result.
        made: names that the statement gave to something else; None where it could be any.
        contracts: of all streams the statement reads. Where two disagree about a column, it has no unit.
    """
    if made is None:
        return {}
    units: dict[str, set[str | None]] = {}
    for contract in contracts:
        for column in contract.columns:
            units.setdefault(column.name, set()).add(column.unit)
    known = {name: unit for name, (unit, *more) in units.items() if unit and not more}
    return {column: known[column] for column in columns if column in known and column not in made}


def header(column: str, units: Mapping[str, str]) -> str:
    """The column's name for people: `chamber_pressure [bar]`."""
    return f"{column} [{units[column]}]" if column in units else column


def converted(
    frame: pl.DataFrame, units: Mapping[str, str], wanted: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame with columns in the `wanted` units, and the units of all its columns then.

    Raises:
        UserError: a column is not in the result or has no known unit, or the units do not fit.
    """
    for column, unit in wanted.items():
        if column not in frame.columns:
            near = difflib.get_close_matches(column, frame.columns, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"The result has {', '.join(frame.columns)}."
            raise UserError(f"--unit {column}={unit}: the result has no column {column}.", hint)
        if column not in units:
            raise UserError(
                f"--unit {column}={unit}: the unit of {column} is not known.",
                "Only columns that come unchanged and by their own name from a stream have the contract's unit.",
            )
        into = conversion(units[column], unit)
        values = frame[column].cast(pl.Float64)
        frame = frame.with_columns(values.map_elements(into, return_dtype=pl.Float64).alias(column))
    return frame, {**units, **wanted}
