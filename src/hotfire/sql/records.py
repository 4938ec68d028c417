"""Query results as values that JSON has."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from hotfire.clock import iso


def records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries: instants ISO 8601 with all their decimals, bytes base64, NaN and infinities null."""
    columns = [_column(frame[name]) for name in frame.columns]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def csv(frame: pl.DataFrame) -> str:
    """The rows as comma-separated values under a header, each value as in `records`; lists and structs as JSON."""
    plain = [_written(values) for values in frame.iter_columns()]
    return pl.DataFrame(plain).write_csv()


def _written(values: pl.Series) -> pl.Series:
    if values.dtype.is_integer() or values.dtype in (pl.String, pl.Boolean, pl.Null):
        return values
    if values.dtype.is_float():
        return values.to_frame().select(pl.when(pl.first().is_finite()).then(pl.first())).to_series()
    texts = [one if one is None or isinstance(one, str) else json.dumps(one) for one in _column(values)]
    return pl.Series(values.name, texts, dtype=pl.String)


def _column(values: pl.Series) -> list[Any]:
    if isinstance(values.dtype, pl.Datetime):
        zone = "Z" if values.dtype.time_zone else ""
        instants = values.cast(pl.Datetime(values.dtype.time_unit)).to_physical().to_list()
        scale = {"ms": 1_000_000, "us": 1_000, "ns": 1}[values.dtype.time_unit]
        return [None if one is None else iso(one * scale).removesuffix("Z") + zone for one in instants]
    if values.dtype.is_float() and not values.is_finite().all():
        return [one if one is not None and math.isfinite(one) else None for one in values.to_list()]
    if values.dtype.is_integer() or values.dtype.is_float() or values.dtype in (pl.String, pl.Boolean):
        return values.to_list()
    return [_plain(one) for one in values.to_list()]


def _plain(value: Any) -> Any:
    return _PLAIN.get(type(value), lambda same: same)(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _instant(value: datetime) -> str:
    return value.isoformat() if value.tzinfo is None else f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


_PLAIN: dict[type, Callable[[Any], Any]] = {
    float: _finite,
    Decimal: _number,
    datetime: _instant,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    bytes: lambda value: base64.b64encode(value).decode(),
    dict: lambda value: {str(key): _plain(one) for key, one in value.items()},
    list: lambda value: [_plain(one) for one in value],
}
