"""Findings for people: from the rows where a level turns to values, limits and a sentence about each."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from hotfire.detect.model import Readings, Rule
from hotfire.findings import Finding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OWN = ("asset", "channel", "rule", "severity", "value", "unit", "limit")
"""What a message may have filled in beside the row's columns. `unit` begins with a space, or is empty."""

Placed: TypeAlias = list[tuple[int, Finding]]
"""Findings with the number of the row that brought each about."""


class Told(Struct, frozen=True):
    """What is to be told of some rows.

    Attributes:
        rows: their numbers.
        severities: None: all is well again.
        values, limits: NaN where there is none; None where there is none of any, shape (rows,).
        unit: of values and limits.
        times: what the findings hold from, shape (rows,); None: the rows' own event times.
    """

    rows: NDArray[np.int64]
    severities: Sequence[str | None]
    values: NDArray[np.float64] | None = None
    limits: NDArray[np.float64] | None = None
    unit: str | None = None
    times: NDArray[np.int64] | None = None


def fields_of(message: str) -> list[str]:
    """The names that a message wants filled in. Raises ValueError where it is not a message."""
    parts = [part for part in string.Formatter().parse(message) if part[1] is not None]
    if any(form or bang for _, _, form, bang in parts):
        raise ValueError("a name in braces stands alone")
    return [str(name) for _, name, _, _ in parts]


def findings(rule: Rule, channel: str, readings: Readings, told: Told) -> Placed:
    """The findings, in the order of the rows given."""
    count = len(told.rows)
    if not count:
        return []
    assets = [readings.assets[number] for number in readings.owners[told.rows]]
    times = (readings.times[told.rows] if told.times is None else told.times).tolist()
    values, limits = (_numbers(one, count) for one in (told.values, told.limits))
    columns = set(fields_of(rule.message)) - {*OWN}
    rows: Sequence[dict[str, Any]] = [{}] * count
    if columns:
        rows = readings.columns(columns, told.rows).to_dicts()
    unit = f" {told.unit}" if told.unit else ""
    placed = []
    for index, row in enumerate(told.rows.tolist()):
        asset, severity, value, limit = assets[index], told.severities[index], values[index], limits[index]
        message = ""
        if severity is None:
            limit = None
        else:
            own = (asset, channel, rule.name, severity, shown(value), unit, shown(limit))
            filled = {name: shown(one) for name, one in rows[index].items()} | dict(zip(OWN, own, strict=True))
            message = rule.message.format_map(filled)
        found = Finding(rule.name, asset, channel, times[index], severity, value, limit, "level", message)
        placed.append((row, found))
    return placed


def in_order(placed: Placed) -> list[Finding]:
    """Findings in the order of the rows that brought them about."""
    return [found for _, found in sorted(placed, key=lambda one: one[0])]


def shown(value: object) -> str:
    """A value as people read it: six digits, no power of ten below 1e15, instants in UTC."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:g}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _numbers(values: NDArray[np.float64] | None, count: int) -> list[float | None]:
    if values is None:
        return [None] * count
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - only NaN differs from itself
