"""From a contract to tables: one wide table a stream, its compound index, and a view with readable instants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from hotfire.errors import ContractError

if TYPE_CHECKING:
    from hotfire.contract.model import Contract, Type

SQL_TYPES: dict[Type, str] = {
    "string": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "INTEGER",
    "timestamp": "INTEGER",
    "date": "TEXT",
}
FRAME_TYPES: dict[Type, type[pl.DataType]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "timestamp": pl.Int64,
    "date": pl.Date,
}
_BOOKKEEPING = {
    "shard": ("TEXT NOT NULL", pl.String),
    "batch_seq": ("INTEGER NOT NULL", pl.Int64),
    "row_no": ("INTEGER NOT NULL", pl.Int64),
    "late": ("INTEGER NOT NULL", pl.Boolean),
    "corrected": ("INTEGER NOT NULL", pl.Boolean),
    "unknown_fields": ("TEXT", pl.String),
}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def schema(contract: Contract) -> dict[str, type[pl.DataType]]:
    """The columns of the stream's rows as polars types: the contract's by storage name, then the bookkeeping."""
    own = {column.storage: FRAME_TYPES[column.type] for column in contract.columns}
    marks = {name: dtype for name, (_, dtype) in _bookkeeping(contract).items()}
    return {**own, **marks}


def typed(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Rows as the store gave them, with the contract's types: what went in comes out, bit by bit."""
    casts = []
    for name, dtype in schema(contract).items():
        if name in rows.columns:
            text = dtype == pl.Date and rows.schema[name] == pl.String
            casts.append(pl.col(name).str.to_date("%Y-%m-%d") if text else pl.col(name).cast(dtype))
    return rows.select(casts)


def bindable(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as SQLite takes them: dates as ISO text, booleans as 0 and 1."""
    dates = [pl.col(name).dt.strftime("%Y-%m-%d") for name, dtype in rows.schema.items() if dtype == pl.Date]
    flags = [pl.col(name).cast(pl.Int64) for name, dtype in rows.schema.items() if dtype == pl.Boolean]
    return rows.with_columns(*dates, *flags) if dates or flags else rows


def create(contract: Contract) -> Iterator[str]:
    """The statements that make the stream's tables."""
    table = contract.stream
    body = ", ".join(f"{quoted(name)} {kind}" for name, kind in _columns(contract).items())
    if contract.kind == "telemetry":
        asset, time = contract.identity[:2]
        yield f"CREATE TABLE {quoted(table)} ({body}) STRICT"
        yield f"CREATE INDEX {quoted(table + '_asset_time')} ON {quoted(table)} ({quoted(asset)}, {quoted(time)} DESC)"
    else:
        key = ", ".join(quoted(name) for name in contract.identity)
        yield f"CREATE TABLE {quoted(table)} ({body}, PRIMARY KEY ({key})) STRICT"
        yield f"CREATE TABLE {quoted(table + '_history')} ({body}) STRICT"
        yield f"CREATE INDEX {quoted(table + '_history_key')} ON {quoted(table + '_history')} ({key})"
    yield from view(contract)


def set_aside(contract: Contract) -> Iterator[str]:
    """The statements that make room for another major version's tables: the present ones are named `__old`."""
    table = contract.stream
    yield f"DROP VIEW IF EXISTS {quoted(table + '_readable')}"
    if contract.kind == "telemetry":
        yield f"DROP INDEX {quoted(table + '_asset_time')}"
    else:
        yield f"DROP INDEX {quoted(table + '_history_key')}"
        yield f"ALTER TABLE {quoted(table + '_history')} RENAME TO {quoted(table + '_history__old')}"
    yield f"ALTER TABLE {quoted(table)} RENAME TO {quoted(table + '__old')}"


def view(contract: Contract) -> Iterator[str]:
    """The statements that make `<stream>_readable`: instants as ISO 8601 text in UTC, to the nanosecond."""
    name = quoted(f"{contract.stream}_readable")
    shown = []
    for column in contract.columns:
        stored = quoted(column.storage)
        if column.type == "timestamp":
            seconds = f"({stored} - (({stored} % 1000000000) + 1000000000) % 1000000000) / 1000000000"
            fraction = f"printf('.%09dZ', (({stored} % 1000000000) + 1000000000) % 1000000000)"
            day = f"strftime('%Y-%m-%dT%H:%M:%S', {seconds}, 'unixepoch')"
            shown.append(f"{day} || {fraction} AS {quoted(column.name)}")
        else:
            shown.append(stored)
    marks = ", ".join(_bookkeeping(contract))
    yield f"DROP VIEW IF EXISTS {name}"
    yield f"CREATE VIEW {name} AS SELECT {', '.join(shown)}, {marks} FROM {quoted(contract.stream)}"


def alter(contract: Contract, present: dict[str, str], table: str) -> Iterator[str]:
    """The statements that add what the contract has gained; ContractError where the change is not an addition.

    Args:
        present: the table's columns with their SQL types.
        table: the stream's table, or its history.
    """
    for column in contract.columns:
        declared = SQL_TYPES[column.type]
        if column.storage not in present:
            yield f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.storage)} {declared}"
        elif present[column.storage] != declared:
            raise ContractError(
                f"{contract.stream}.{column.name} is stored as {present[column.storage]}, the contract now says "
                f"{column.type}.",
                "A changed type needs a new major version with a lens, or a column under a new name.",
            )


def _columns(contract: Contract) -> dict[str, str]:
    identity = set(contract.identity)
    kinds = {}
    for column in contract.columns:
        always = column.storage in identity and column.required
        kinds[column.storage] = SQL_TYPES[column.type] + (" NOT NULL" if always else "")
    return {**kinds, **{name: kind for name, (kind, _) in _bookkeeping(contract).items()}}


def _bookkeeping(contract: Contract) -> dict[str, tuple[str, type[pl.DataType]]]:
    if contract.kind == "telemetry":
        return _BOOKKEEPING
    versions = {"superseded": ("INTEGER NOT NULL", pl.Boolean), "received_at_ns": ("INTEGER NOT NULL", pl.Int64)}
    return {**_BOOKKEEPING, **versions}
