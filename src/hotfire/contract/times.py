"""Instants as int64 nanoseconds of UTC, exactly, from what sources write. Every value is judged by itself alone."""

from __future__ import annotations

import polars as pl

from hotfire.contract.model import TimeFormat

NOT_A_TIME = "not a time"
NOT_A_DATE = "not a date"
NO_ZONE = "no zone"
OUT_OF_RANGE = "out of range"
TOO_FINE = "finer than a nanosecond"

_DECIMALS: dict[TimeFormat, int] = {"epoch_s": 9, "epoch_ms": 6, "epoch_us": 3, "epoch_ns": 0}
_UNITS: dict[TimeFormat, int] = {name: 10**decimals for name, decimals in _DECIMALS.items()}
_NS_OF = {"ms": 1_000_000, "us": 1_000, "ns": 1}
_GREATEST = 2**63 - 1

# The one form that is read without looking at its parts: its years are far inside int64, and nothing in it can roll over.
_UTC = r"^(?:1[7-9]|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z$"
_ISO = (
    r"^(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?<hour>[01][0-9]|2[0-3]):(?<minute>[0-5][0-9])"
    r"(?::(?<second>[0-5][0-9])(?:[.,](?<fraction>[0-9]+))?)?"
    r"(?<zone>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?$"
)
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_WHOLE = r"^-?[0-9]+$"
NUMBER = r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
"""What is an epoch where it stands as text."""
_SHORTEST = r"^(?<sign>-?)(?<whole>[0-9]+)(?:\.(?<fraction>[0-9]+))?(?:e\+?(?<power>-?[0-9]+))?$"
_LONGEST = 40
"""More digits than any instant has nanoseconds."""

Judged = tuple[pl.Series, pl.Series]
"""Values and faults: where a value is null, the fault says why; both are null where the source had none."""


def to_ns(values: pl.Series, form: TimeFormat, zone: str | None = None) -> Judged:
    """Instants as Int64 nanoseconds since 1970 in UTC, and beside each that is none, a few words why.

    Args:
        values: String (ISO 8601, or an epoch as it is written), integers or floats (an epoch), or Datetime.
            A whole number is exact. Any other is the float64 nearest to it, read through that float's shortest
            decimal, however it was written: 1594598726.5393324 s is exact to the digit.
        form: how the source writes instants; a Datetime needs none.
        zone: the IANA zone of times that come without one; None makes them a fault.
    """
    if isinstance(values.dtype, pl.Datetime):
        return _from_datetime(values, values.dtype, zone)
    if values.dtype == pl.String:
        return _from_iso(values, zone) if form == "iso" else _from_text(values, form)
    if form != "iso" and values.dtype.is_float():
        return _from_float(values, form)
    if form != "iso" and values.dtype.is_integer():
        return _from_whole(values, _UNITS[form])
    return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), _everywhere(values, NOT_A_TIME)


def to_date(values: pl.Series) -> Judged:
    """ISO 8601 dates (`2026-01-31`) as Date, and beside each that is none, a few words why."""
    if values.dtype == pl.Date:
        return values, pl.Series("fault", [None] * len(values), dtype=pl.String)
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), dtype=pl.Date), _everywhere(values, NOT_A_DATE)
    dates = _only(values, values.str.contains(_DATE)).str.to_date("%Y-%m-%d", strict=False)
    return dates, _only(_everywhere(values, NOT_A_DATE), dates.is_null())


def _everywhere(values: pl.Series, fault: str) -> pl.Series:
    return pl.select(pl.when(values.is_not_null()).then(pl.lit(fault)).alias("fault")).to_series()


def _only(values: pl.Series, where: pl.Series) -> pl.Series:
    return pl.select(pl.when(where).then(values).alias(values.name)).to_series()


def _from_iso(values: pl.Series, zone: str | None) -> Judged:
    usual = pl.when(pl.col("").str.contains(_UTC)).then(pl.col(""))
    ns = values.alias("").to_frame().select(usual).select(_usual_ns(pl.col(""))).to_series().alias(values.name)
    faults = pl.Series("fault", [None], dtype=pl.String).new_from_index(0, len(values))
    if ns.null_count() > values.null_count():
        rest = (ns.is_null() & values.is_not_null()).arg_true()
        rest_ns, rest_faults = _from_any_iso(values.gather(rest), zone)
        ns, faults = ns.scatter(rest, rest_ns), faults.scatter(rest, rest_faults)
    return ns, faults


def _usual_ns(text: pl.Expr) -> pl.Expr:
    """The usual form, cut at fixed places: minutes repeat and are parsed once each, the rest are whole numbers."""
    minute = text.str.slice(0, 16).str.to_datetime("%Y-%m-%dT%H:%M", time_unit="ns", strict=False, cache=True)
    second = text.str.slice(17, 2).cast(pl.Int64) * 1_000_000_000
    fraction = text.str.slice(20).str.strip_suffix("Z").str.pad_end(9, "0").cast(pl.Int64)
    return minute.to_physical() + second + fraction


def _from_any_iso(values: pl.Series, zone: str | None) -> Judged:
    """Every accepted form of ISO 8601, part by part."""
    number = {name: pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hour", "minute", "second")}
    offset = pl.col("zone").str.replace(":", "").str.pad_end(5, "0")
    ahead = (
        offset.str.slice(1, 2).cast(pl.Int64, strict=False) * 3600
        + offset.str.slice(3, 2).cast(pl.Int64, strict=False) * 60
    )
    parts = (
        values.str.extract_groups(_ISO)
        .struct.unnest()
        .select(
            pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64).alias("day"),
            (number["hour"] * 3600 + number["minute"] * 60 + number["second"]).alias("second"),
            pl.col("zone").is_not_null().alias("zoned"),
            (pl.when(pl.col("zone").str.starts_with("-")).then(-ahead).otherwise(ahead)).fill_null(0).alias("offset"),
            (pl.col("fraction").str.len_bytes() > 9).fill_null(value=False).alias("too_fine"),
            pl.col("fraction").str.slice(0, 9).str.pad_end(9, "0").cast(pl.Int64).fill_null(0).alias("fraction"),
        )
    )
    parts = parts.with_columns((pl.col("day") * 86_400 + pl.col("second") - pl.col("offset")).alias("local"))
    parts = parts.with_columns(pl.lit(None, pl.String).alias("unplaced"))
    if zone is not None:
        parts = _place(parts, zone)
    fault = (
        pl.when(pl.col("day").is_null())
        .then(pl.lit(NOT_A_TIME))
        .when(pl.col("too_fine"))
        .then(pl.lit(TOO_FINE))
        .when(~pl.col("zoned") & pl.lit(zone is None))
        .then(pl.lit(NO_ZONE))
        .when(pl.col("unplaced").is_not_null())
        .then(pl.col("unplaced"))
        .when(~_fits(pl.col("local"), pl.col("fraction")))
        .then(pl.lit(OUT_OF_RANGE))
    )
    judged = parts.select(fault.alias("fault"), (pl.col("local") * 1_000_000_000 + pl.col("fraction")).alias("ns"))
    ns = _only(judged["ns"], judged["fault"].is_null()).alias(values.name)
    return _only(ns, values.is_not_null()), _only(judged["fault"], values.is_not_null())


def _place(parts: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Move the times that came without a zone from `zone` to UTC; say so where the clocks there were changed."""
    wall = (pl.col("local") * 1_000_000).cast(pl.Datetime("us"))
    sure = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    first = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    naive = ~pl.col("zoned")
    trouble = (
        pl.when(first.is_null())
        .then(pl.lit(f"does not exist in {zone}"))
        .when(sure.is_null())
        .then(pl.lit(f"ambiguous in {zone}"))
    )
    return parts.with_columns(
        pl.when(naive & pl.col("local").is_not_null()).then(trouble).alias("unplaced"),
        pl.when(naive).then(sure.to_physical() // 1_000_000).otherwise(pl.col("local")).alias("local"),
    )


def _fits(seconds: pl.Expr, fraction: pl.Expr) -> pl.Expr:
    low, low_rest = divmod(-(2**63), 1_000_000_000)
    high, high_rest = divmod(_GREATEST, 1_000_000_000)
    above = (seconds > low) | ((seconds == low) & (fraction >= low_rest))
    return above & ((seconds < high) | ((seconds == high) & (fraction <= high_rest)))


def _from_whole(values: pl.Series, unit_ns: int) -> Judged:
    whole = values.cast(pl.Int64, strict=False)
    fits = whole.is_between(-(2**63) // unit_ns + (unit_ns > 1), _GREATEST // unit_ns)
    return _only(whole, fits) * unit_ns, _only(_everywhere(values, OUT_OF_RANGE), ~fits.fill_null(value=False))


def _from_text(values: pl.Series, form: TimeFormat) -> Judged:
    """Epochs as text: whole numbers exactly, all others as JSON and Parquet have them, through a float64."""
    whole = values.str.contains(_WHOLE).fill_null(value=False)
    ns, faults = _from_whole(_only(values, whole), _UNITS[form])
    rest = (values.is_not_null() & ~whole).arg_true()
    if len(rest):
        texts = values.gather(rest)
        floats = _only(texts, texts.str.contains(NUMBER)).cast(pl.Float64, strict=False)
        rest_ns, rest_faults = _from_float(floats, form)
        none = _only(_everywhere(texts, NOT_A_TIME), floats.is_null())
        ns, faults = ns.scatter(rest, rest_ns), faults.scatter(rest, rest_faults.zip_with(none.is_null(), none))
    return ns.alias(values.name), faults


def _from_float(values: pl.Series, form: TimeFormat) -> Judged:
    """The digits of each float64's shortest decimal with the point moved, never a product of floats."""
    shortest = values.cast(pl.Float64).cast(pl.String).str.extract_groups(_SHORTEST).struct.unnest()
    power = pl.col("power").cast(pl.Int64).fill_null(0) + _DECIMALS[form]
    parts = shortest.select(
        "sign",
        (pl.col("whole") + pl.col("fraction").fill_null("")).alias("digits"),
        (pl.col("whole").str.len_bytes().cast(pl.Int64) + power).clip(0, _LONGEST).alias("point"),
    )
    head = pl.col("digits").str.slice(0, pl.col("point")).str.pad_end(pl.col("point"), "0")
    number = pl.col("sign") + pl.when(pl.col("point") > 0).then(head).otherwise(pl.lit("0"))
    exact = parts.select(
        number.cast(pl.Int64, strict=False).alias("ns"),
        pl.col("digits").str.slice(pl.col("point")).str.contains("[1-9]").alias("too_fine"),
    )
    fault = (
        pl.when(values.is_nan())
        .then(pl.lit(NOT_A_TIME))
        .when(exact["too_fine"])
        .then(pl.lit(TOO_FINE))
        .when(exact["ns"].is_null() & values.is_not_null())
        .then(pl.lit(OUT_OF_RANGE))
    )
    faults = pl.select(fault.alias("fault")).to_series()
    return _only(exact["ns"], faults.is_null()).alias(values.name), faults


def _from_datetime(values: pl.Series, kind: pl.Datetime, zone: str | None) -> Judged:
    if kind.time_zone is not None:
        return _from_whole(values.to_physical(), _NS_OF[kind.time_unit])
    if zone is None:
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), _everywhere(values, NO_ZONE)
    text = values.dt.strftime("%Y-%m-%dT%H:%M:%S%.9f")
    return _from_iso(text, zone)
