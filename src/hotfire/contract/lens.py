"""From wire fields to the contract's columns: instants parsed, older versions' rows converted, row by row.

A row's version is found from the newest lens downwards: where `when` holds, the row is of the older version. Every
step is elementwise, so a mixed stream gives the rows that each version alone would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from hotfire.contract.expression import compile_sql, evaluated
from hotfire.contract.model import wire
from hotfire.contract.nested import elements
from hotfire.contract.times import to_date, to_ns
from hotfire.rows import Fault

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Contract, Lens, Type

FRAME_TYPES: Mapping[Type, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp": pl.Datetime("ns", "UTC"),
    "date": pl.Date(),
    "array": pl.String(),
}
"""What a column is while it is judged; instants become int64 nanoseconds only when they are stored."""

_Names: TypeAlias = dict[tuple[str, str, str], str]
_Read: TypeAlias = tuple[pl.Series, dict[str, pl.Series]]


def to_current(contract: Contract, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Fault]]:
    """Convert wire fields (by path) to the contract's columns (by name), `row_no` and `unknown_fields` kept.

    Returns:
        The frame, and the faults found on the way: instants and dates that cannot be read, and values in a form
        that only another version of the contract allows.
    """
    faults: list[Fault] = []
    is_of = version_masks(contract, frame)
    read: dict[tuple[object, ...], _Read] = {}
    names = _frame_names(contract)
    current: dict[str, pl.Series] = {}
    some = [bool(mask.any()) for mask in is_of]
    some[-1] = some[-1] or not any(some)
    for number, version in enumerate(contract.versions):
        own: dict[str, pl.Series] = {}
        if some[number]:
            own, found = _typed(version, frame, is_of[number] if contract.older else None, names, read)
            faults.extend(found)
        current = _through(version, current, own, _older(is_of, number)) if any(some[:number]) else own
    kept = [frame[name] for name in ("row_no", "unknown_fields") if name in frame.columns]
    return pl.DataFrame([*kept, *current.values()]), faults


def upgrade(contract: Contract, from_major: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Stored rows of an older major version as rows of this one: storage columns in, storage columns out."""
    older = {version.major: version for version in contract.older}[from_major]
    current = {one.name: rows[one.storage].cast(FRAME_TYPES[one.type]).alias(one.name) for one in older.columns}
    always = _same(pl.Series([True]), rows.height)
    for version in contract.versions:
        if version.major > from_major:
            current = _through(version, current, {}, always)
    return storage(contract, pl.DataFrame(list(current.values())))


def carried(contract: Contract, judged_by: Contract) -> frozenset[str]:
    """Storage names of the columns that a row judged by another version of the contract has a value of its own in.

    Where it has none (the column came later, or its lens sets a constant), a copy of the row that comes now may well
    have one: the two are the same row all the same.
    """
    names = {column.name for column in judged_by.columns}
    for version in contract.versions:
        if version.lens is not None and version.major > judged_by.major:
            names = {column.name for column in version.columns if _comes_from(names, version.lens, column.name)}
    return frozenset(column.storage for column in contract.columns if column.name in names)


def _comes_from(names: set[str], lens: Lens, column: str) -> bool:
    sql = lens.set.get(column)
    return column in names if sql is None else bool(names.intersection(compile_sql(sql).meta.root_names()))


def storage(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    """The contract's columns as they are stored."""
    return frame.select(as_stored(contract))


def as_stored(contract: Contract) -> list[pl.Expr]:
    """The contract's columns as they are stored: instants as int64 nanoseconds under `<name>_ns`."""
    return [
        pl.col(column.name).to_physical().alias(column.storage) if column.type == "timestamp" else pl.col(column.name)
        for column in contract.columns
    ]


def version_masks(contract: Contract, frame: pl.DataFrame) -> list[pl.Series]:
    """For each version, oldest first, which rows are of it. Exactly one mask is true for a row."""
    rest = _same(pl.Series([True]), frame.height)
    masks = []
    for version in reversed(contract.versions):
        if version.lens is None:
            masks.append(rest)
            continue
        older = evaluated(frame, compile_sql(version.lens.when).cast(pl.Boolean).fill_null(value=False))
        masks.append(rest & ~older)
        rest = rest & older
    return masks[::-1]


def _older(masks: list[pl.Series], number: int) -> pl.Series:
    """Which rows are of a version before the one of that number."""
    older = masks[0]
    for mask in masks[1:number]:
        older = older | mask
    return older


def _through(
    version: Contract, previous: Mapping[str, pl.Series], own: Mapping[str, pl.Series], older: pl.Series
) -> dict[str, pl.Series]:
    """The version's columns: from the previous version's by its lens where `older`, else its own.

    Args:
        own: empty where every row is older.
    """
    assert version.lens is not None
    before = pl.DataFrame(list(previous.values()))
    columns = {}
    for column in version.columns:
        name, dtype = column.name, FRAME_TYPES[column.type]
        if name in version.lens.set:
            carried = evaluated(before, compile_sql(version.lens.set[name]).cast(dtype, strict=False))
        else:
            carried = previous[name].cast(dtype, strict=False) if name in previous else _nulls(column, before.height)
        same = not own or (previous.get(name) is own[name] and name not in version.lens.set)
        columns[name] = carried.alias(name) if same else own[name].zip_with(~older, carried.alias(name))
    return columns


def _nulls(column: Column, height: int) -> pl.Series:
    return _same(pl.Series(column.name, [None], dtype=FRAME_TYPES[column.type]), height)


def _same(one: pl.Series, height: int) -> pl.Series:
    return one.new_from_index(0, height)


def _typed(
    version: Contract,
    frame: pl.DataFrame,
    mask: pl.Series | None,
    names: _Names,
    read: dict[tuple[object, ...], _Read],
) -> tuple[dict[str, pl.Series], list[Fault]]:
    """One version's columns from its wire fields; faults only for the rows in `mask` (None: all).

    Args:
        read: what another version has read already in the same way; added to.
    """
    columns: dict[str, pl.Series] = {}
    faults: list[Fault] = []
    for column in version.columns:
        raw = frame[names[_form(column)]]
        way = (raw.name, column.name, column.type, column.format, column.zone, column.element)
        values, broken = read.get(way) or read.setdefault(way, _read(column, raw))
        for check, why in broken.items():
            where = why.is_not_null() if mask is None else why.is_not_null() & mask
            rows = zip(frame["row_no"].filter(where), raw.filter(where), why.filter(where), strict=True)
            faults.extend(Fault(no, check, str(value)[:200], said) for no, value, said in rows)
        columns[column.name] = values
        if mask is not None:
            faults.extend(_other_forms(column, frame, mask, names))
    return columns, faults


def _read(column: Column, raw: pl.Series) -> _Read:
    """A column's values, and by check what is wrong with each; checks that nothing breaks are not there."""
    broken: dict[str, pl.Series] = {}
    if column.element:
        raw, broken[f"{column.name}.type"] = elements(raw, column)
    values = raw
    if column.type == "timestamp":
        values, broken[f"{column.name}.time"] = to_ns(raw, column.format, column.zone)
    elif column.type == "date":
        values, broken[f"{column.name}.time"] = to_date(raw)
    found = {check: why for check, why in broken.items() if why.null_count() < why.len()}
    return values.cast(FRAME_TYPES[column.type]).alias(column.name), found


def _frame_names(contract: Contract) -> dict[tuple[str, str, str], str]:
    """Under what name each form of a field stands in a decoded frame."""
    names: dict[tuple[str, str, str], str] = {}
    for field in wire(contract):
        same = sum(path == field.path for path, _, _ in names)
        names[field.form] = f"{field.path}#{same + 1}" if same else field.path
    return names


def _other_forms(column: Column, frame: pl.DataFrame, mask: pl.Series, names: _Names) -> list[Fault]:
    """Values of the column's field that only fit another version's form of it."""
    faults: list[Fault] = []
    form = _form(column)
    others = [name for other, name in names.items() if other[0] == form[0] and other != form]
    missing = mask & frame[names[form]].is_null() if others else mask
    for name in others:
        where = missing & frame[name].is_not_null()
        missing = missing & ~where
        rows = zip(frame["row_no"].filter(where), frame[name].filter(where), strict=True)
        faults.extend(Fault(no, f"{column.name}.type", str(value)[:200], "") for no, value in rows)
    return faults


def _form(column: Column) -> tuple[str, str, str]:
    return column.field.form
