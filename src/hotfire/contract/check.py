"""A contract's verdict on a batch: every check that every record broke, and the canonical rows of the rest.

All checks are elementwise: a record is judged the same alone and among a million. Order: form and type (found by the
decoder), instants and lens, required, range with its policy, pattern, values, length, cross-field, ahead of its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from hotfire.contract.expression import columns_of, compile_sql, evaluated
from hotfire.contract.lens import FRAME_TYPES, as_stored, to_current
from hotfire.contract.written import MOST, Written, shown
from hotfire.rows import Correction, Decoded, Fault, Verdict

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Contract


class _Check(Struct, frozen=True):
    """A check of one column: which rows break it, and the words for them."""

    breaks: pl.Expr
    column: str
    name: str
    detail: str


def judge(contract: Contract, decoded: Decoded, received_at_ns: int) -> Verdict:
    """Check decoded records against their contract. Pure: the same records give the same verdict.

    Args:
        received_at_ns: when the batch reached hotfire, from the plan; bounds how far ahead an event time may be.
    """
    written = Written(contract, decoded)
    frame, found = to_current(contract, decoded.frame)
    faults = [*decoded.faults, *written.faults(found)]
    excused = _excused(contract, faults)
    faults.extend(_required(contract, frame, excused))
    coerced = _coerced(frame, decoded.coerced)
    frame, range_faults, corrections = _ranges(contract, frame)
    faults.extend(written.faults(range_faults))
    texts, ahead, unknown = _found(
        frame, [*_texts(contract)], [*_ahead(contract, received_at_ns)], [*_unknown(contract, frame)]
    )
    faults.extend(written.faults(texts))
    faults.extend(_cross(contract, frame, written))
    faults.extend(written.faults(ahead))
    faults.extend(unknown)
    rejected: dict[int, list[Fault]] = {}
    for fault in faults:
        rejected.setdefault(fault.row_no, []).append(fault)
    corrections = written.corrections([one for one in corrections if one.row_no not in rejected])
    corrections = [*(one for one in coerced if one.row_no not in rejected), *corrections]
    rows = _canonical(contract, frame, list(rejected), {correction.row_no for correction in corrections})
    return Verdict(
        rows if decoded.deleted is None else _with_deleted(rows, decoded.deleted),
        {row_no: tuple(broken) for row_no, broken in sorted(rejected.items())},
        sorted(corrections, key=lambda correction: correction.row_no),
    )


def _excused(contract: Contract, faults: list[Fault]) -> dict[str, set[int]]:
    """Rows whose column is empty because its value was broken: that is not a missing value as well."""
    computed = set(contract.lens.set) if contract.lens else set()
    excused: dict[str, set[int]] = {}
    for fault in faults:
        column = fault.check.rpartition(".")[0]
        for name in {column, *computed}:
            excused.setdefault(name, set()).add(fault.row_no)
    return excused


def _required(contract: Contract, frame: pl.DataFrame, excused: dict[str, set[int]]) -> Iterator[Fault]:
    always = {contract.asset, contract.time} if contract.kind == "telemetry" else set(contract.key)
    for column in contract.columns:
        needed = column.required or column.name in always
        if needed and frame[column.name].null_count():
            missing = frame["row_no"].filter(frame[column.name].is_null())
            free = excused.get(column.name, set())
            yield from (Fault(no, f"{column.name}.required") for no in missing if no not in free)


def _coerced(frame: pl.DataFrame, coerced: Sequence[tuple[int, str, str]]) -> list[Correction]:
    """Numbers and booleans that were written as text, and what they were read as."""
    read: dict[str, dict[int, object]] = {}
    for name in {name for _, name, _ in coerced} & set(frame.columns):
        rows = pl.Series([no for no, column, _ in coerced if column == name], dtype=frame.schema["row_no"])
        read[name] = dict(frame.filter(pl.col("row_no").is_in(rows.implode())).select("row_no", name).rows())
    return [
        Correction(no, name, f"{name}.type", raw, shown(read.get(name, {}).get(no, raw))) for no, name, raw in coerced
    ]


def _ranges(contract: Contract, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Fault], list[Correction]]:
    """Impossible readings: rejected, or corrected by the column's policy. NaN and infinities are impossible."""
    masks = [(column, mask) for column in contract.columns if (mask := _outside(column)) is not None]
    hits = frame.select(mask.any().alias(column.name) for column, mask in masks)
    faults: list[Fault] = []
    corrections: list[Correction] = []
    changed = []
    for column, mask in masks:
        replacement = pl.col(column.name)
        if hits[column.name].item():
            broken = frame.select("row_no", column.name, _clamped(column).alias("clamped")).filter(mask)
            if column.out_of_range == "reject":
                faults.extend(_range_faults(column, broken))
            else:
                keeps = column.out_of_range == "clamp"
                replacement = pl.when(mask).then(_clamped(column) if keeps else None).otherwise(replacement)
                corrections.extend(
                    Correction(no, column.name, f"{column.name}.range", shown(raw) or "", shown(new if keeps else None))
                    for no, raw, new in broken.rows()
                )
        if column.type == "number":
            replacement = _without_minus_zero(replacement)
        if column.type == "number" or hits[column.name].item():
            changed.append(replacement.alias(column.name))
    return frame.with_columns(changed), faults, corrections


def _without_minus_zero(value: pl.Expr) -> pl.Expr:
    """-0.0 as 0.0. Adding zero does not do: polars leaves it out, but for columns of one row."""
    return pl.when(value == 0).then(0.0).otherwise(value)


def _outside(column: Column) -> pl.Expr | None:
    if column.type not in ("number", "integer"):
        return None
    value = pl.col(column.name)
    parts = [~value.is_finite()] if column.type == "number" else []
    if column.minimum is not None:
        parts.append(value <= column.minimum if column.exclusive_minimum else value < column.minimum)
    if column.maximum is not None:
        parts.append(value >= column.maximum if column.exclusive_maximum else value > column.maximum)
    return pl.any_horizontal(parts) if parts else None


def _clamped(column: Column) -> pl.Expr:
    """The nearest possible reading; NaN and infinities have none."""
    value = pl.col(column.name)
    if column.out_of_range != "clamp":
        return pl.lit(None)
    near = value.clip(column.minimum, column.maximum).cast(pl.Int64 if column.type == "integer" else pl.Float64)
    return pl.when(value.is_finite()).then(near) if column.type == "number" else near


def _range_faults(column: Column, broken: pl.DataFrame) -> Iterator[Fault]:
    unit = f" {column.unit}" if column.unit else ""
    for row_no, value, _ in broken.rows():
        above = column.maximum is not None and value > column.maximum
        bound = column.maximum if above or column.minimum is None else column.minimum
        side = "above" if above else "below"
        detail = f"{side} {bound:g}{unit}" if bound is not None and not math.isnan(value) else "not a finite number"
        yield Fault(row_no, f"{column.name}.range", shown(value), detail)


def _texts(contract: Contract) -> Iterator[_Check]:
    for column in contract.columns:
        value = pl.col(column.name)
        if column.pattern is not None:
            matches = value.str.contains(rf"\A(?:{column.pattern})\z")
            yield _Check(~matches, column.name, f"{column.name}.pattern", column.pattern)
        if column.values:
            allowed = ", ".join(str(one) for one in column.values)
            mask = ~value.is_in(pl.Series(column.values, dtype=FRAME_TYPES[column.type], strict=False).implode())
            yield _Check(mask, column.name, f"{column.name}.values", f"not one of {allowed}")
        if column.min_length is not None or column.max_length is not None:
            length = value.str.len_chars()
            mask = (length < (column.min_length or 0)) | (length > (column.max_length or 2**31))
            yield _Check(mask, column.name, f"{column.name}.length", "")


def _cross(contract: Contract, frame: pl.DataFrame, written: Written) -> Iterator[Fault]:
    for check in contract.checks:
        holds = evaluated(frame, compile_sql(check.sql).cast(pl.Boolean))
        named = sorted(columns_of(check.sql) & set(frame.columns))
        for values in frame.filter(~holds).select("row_no", *named).rows(named=True):
            row_no = values.pop("row_no")
            texts = {name: written.text(row_no, name) or shown(value) or "null" for name, value in values.items()}
            yield Fault(
                row_no, check.name, ", ".join(f"{name}={text}" for name, text in texts.items())[:MOST], check.sql
            )


def _ahead(contract: Contract, received_at_ns: int) -> Iterator[_Check]:
    if contract.time is not None:
        mask = pl.col(contract.time).to_physical() > received_at_ns + contract.max_ahead_ns
        detail = f"more than {contract.max_ahead_ns / 1e9:g} s ahead of its receipt"
        yield _Check(mask, contract.time, f"{contract.time}.ahead", detail)


def _unknown(contract: Contract, frame: pl.DataFrame) -> Iterator[_Check]:
    if contract.unknown_fields == "reject" and "unknown_fields" in frame.columns:
        yield _Check(pl.col("unknown_fields").is_not_null(), "unknown_fields", "row.unknown", "")


def _found(frame: pl.DataFrame, *groups: Sequence[_Check]) -> Iterator[list[Fault]]:
    """The rows that break checks, by group. Whether any does is asked first, of all at once: seldom one does."""
    any_breaks = (check.breaks.any().alias(str(n)) for n, check in enumerate(chain(*groups)))
    hits = chain.from_iterable(frame.select(any_breaks).rows())
    for group in groups:
        faults: list[Fault] = []
        for check in (one for one in group if next(hits)):
            broken = frame.filter(check.breaks).select("row_no", check.column).rows()
            faults.extend(Fault(row_no, check.name, shown(value), check.detail) for row_no, value in broken)
        yield faults


def _canonical(contract: Contract, frame: pl.DataFrame, rejected: list[int], corrected: set[int]) -> pl.DataFrame:
    """The accepted rows as they are stored."""
    if rejected:
        frame = frame.filter(~pl.col("row_no").is_in(pl.Series(rejected, dtype=frame.schema["row_no"]).implode()))
    marks = pl.col("row_no").is_in(pl.Series(sorted(corrected), dtype=frame.schema["row_no"]).implode())
    has_unknown = "unknown_fields" in frame.columns
    unknown = pl.col("unknown_fields") if has_unknown else pl.lit(None, dtype=pl.String).alias("unknown_fields")
    return frame.select("row_no", *as_stored(contract), marks.alias("corrected"), unknown)


def _with_deleted(rows: pl.DataFrame, deleted: pl.DataFrame) -> pl.DataFrame:
    """Rows, and behind them what is known of records that are gone: their key."""
    gone = deleted.with_columns(corrected=pl.lit(value=False), deleted=pl.lit(value=True))
    return pl.concat([rows.with_columns(deleted=pl.lit(value=False)), gone], how="diagonal").sort("row_no")
