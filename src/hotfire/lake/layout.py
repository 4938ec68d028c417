"""How a contract's rows look in the lake: columns, types, partition and file statistics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
from deltalake import Field
from deltalake.schema import PrimitiveType

from hotfire.errors import ContractError
from hotfire.rows import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotfire.contract.model import Contract, Type

PARTITION = "event_date"
"""The stored column that tables are partitioned by: the UTC date of event time, for entities of `received_at`."""

INSTANT = pl.Datetime("us", "UTC")

DTYPES: dict[Type, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp": INSTANT,
    "date": pl.Date(),
    "array": pl.String(),
}

BOOKKEEPING_DTYPES: dict[str, pl.DataType] = {
    "shard": pl.String(),
    "batch_seq": pl.Int64(),
    "row_no": pl.Int64(),
    "late": pl.Boolean(),
    "corrected": pl.Boolean(),
    "unknown_fields": pl.String(),
}

DELTA_TYPES: dict[pl.DataType, str] = {
    pl.String(): "string",
    pl.Int64(): "long",
    pl.Float64(): "double",
    pl.Boolean(): "boolean",
    INSTANT: "timestamp",
    pl.Date(): "date",
}
"""Numbers are long or double from the first day: Delta cannot widen, and a float32 turns 1e300 into infinity."""


def partition_time(contract: Contract) -> str:
    """The storage column whose UTC date a row is filed under."""
    if contract.kind == "entity" or contract.time is None:
        return "received_at_ns"
    return contract.column(contract.time).storage


def columns(contract: Contract) -> dict[str, pl.DataType]:
    """The lake's columns in order with their types, the partition column last.

    An instant `x` has two: `x` in microseconds for people and tools, and the authoritative int64 `x_ns`.
    """
    named: dict[str, pl.DataType] = {}
    for column in contract.columns:
        named[column.name] = DTYPES[column.type]
        if column.type == "timestamp":
            named[column.storage] = pl.Int64()
    named |= {name: BOOKKEEPING_DTYPES[name] for name in BOOKKEEPING}
    if contract.kind == "entity":
        named |= {
            "superseded": pl.Boolean(),
            "deleted": pl.Boolean(),
            "received_at": INSTANT,
            "received_at_ns": pl.Int64(),
        }
    return named | {PARTITION: pl.Date()}


def storage(contract: Contract) -> list[str]:
    """The columns that go in and come back: the contract's storage columns and the bookkeeping."""
    return [*(column.storage for column in contract.columns), *marks(contract)]


def marks(contract: Contract) -> list[str]:
    """The bookkeeping columns: of entities also whether a version was superseded, or is a deletion, and when it came."""
    return [*BOOKKEEPING, *(("superseded", "deleted", "received_at_ns") if contract.kind == "entity" else ())]


def to_lake(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """Storage rows as lake rows: instants shown in microseconds beside the nanoseconds, every type exact."""
    time = partition_time(contract)
    return rows.select(
        pl.col(time).cast(pl.Datetime("ns", "UTC")).dt.date().alias(name)
        if name == PARTITION
        else pl.col(f"{name}_ns").cast(pl.Datetime("ns", "UTC")).cast(INSTANT).alias(name)
        if dtype == INSTANT
        else pl.col(name).cast(dtype)
        for name, dtype in columns(contract).items()
    )


def file_columns(contract: Contract) -> dict[str, pl.DataType]:
    """The columns of a data file: all but the one that its folder's name holds."""
    return {name: dtype for name, dtype in columns(contract).items() if name != PARTITION}


def fields(contract: Contract) -> list[Field]:
    """The columns as Delta knows them. All may be null: what is required, the contract has judged."""
    return [Field(name, PrimitiveType(DELTA_TYPES[dtype])) for name, dtype in columns(contract).items()]


def gained(contract: Contract, present: Sequence[Field]) -> list[Field]:
    """The contract's columns that a table with the columns `present` has not.

    Raises:
        ContractError: a column has another type in the table: Delta cannot change it.
    """
    types = {field.name: field.type for field in present}
    for field in fields(contract):
        if field.name in types and types[field.name] != field.type:
            raise ContractError(
                f"{contract.stream}.{field.name} is {DELTA_TYPES[columns(contract)[field.name]]} by contract version "
                f"{contract.version}, but the lake has it as {PrimitiveType.from_json(types[field.name].to_json()).type}.",
                "Give the column a new name: the type of stored rows cannot change.",
            )
    return [field for field in fields(contract) if field.name not in types]


def dtype_of(field: Field) -> pl.DataType:
    """A table's column as readers see it."""
    return next(dtype for dtype, delta in DELTA_TYPES.items() if PrimitiveType(delta) == field.type)


def statistics_columns(contract: Contract) -> list[str]:
    """The columns whose least and greatest value the log keeps for each file, so that readers can skip files."""
    return [partition_time(contract), "batch_seq"]


def statistics(contract: Contract, rows: pl.DataFrame) -> str:
    """A file's statistics in the form of the Delta log."""
    names = statistics_columns(contract)
    least, greatest, nulls = (rows.select(names), rows.select(names), rows.select(names).null_count())
    return json.dumps(
        {
            "numRecords": len(rows),
            "minValues": least.min().row(0, named=True),
            "maxValues": greatest.max().row(0, named=True),
            "nullCount": nulls.row(0, named=True),
        }
    )
