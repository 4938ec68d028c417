"""From a contract to tables: one wide table a stream, its indexes, and its instants in a form for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from hotfire.errors import ContractError
from hotfire.store.dialect import Dialect, quoted

if TYPE_CHECKING:
    from hotfire.contract.model import Contract, Type

OLD = "hf_old"
"""What a stream's tables are called while their rows are converted to another major version."""

FRAME_TYPES: dict[Type, type[pl.DataType]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "timestamp": pl.Int64,
    "date": pl.Date,
    "array": pl.String,
}
_BOOKKEEPING: dict[str, tuple[Type, bool]] = {
    "shard": ("string", True),
    "batch_seq": ("integer", True),
    "row_no": ("integer", True),
    "late": ("boolean", True),
    "corrected": ("boolean", True),
    "unknown_fields": ("string", False),
}
_OF_ENTITIES: dict[str, tuple[Type, bool]] = {
    "superseded": ("boolean", True),
    "deleted": ("boolean", True),
    "received_at_ns": ("integer", True),
}


def history(contract: Contract) -> str:
    """The table that holds every stored row of a stream."""
    return contract.stream if contract.kind == "telemetry" else f"{contract.stream}_history"


def tables(contract: Contract) -> list[str]:
    """All tables of a stream, as `create` makes them."""
    return list(dict.fromkeys([contract.stream, history(contract)]))


def schema(contract: Contract) -> dict[str, type[pl.DataType]]:
    """The columns of the stream's rows as polars types: the contract's by storage name, then the bookkeeping."""
    own = {column.storage: FRAME_TYPES[column.type] for column in contract.columns}
    return {**own, **{name: FRAME_TYPES[kind] for name, (kind, _) in _bookkeeping(contract).items()}}


def typed(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Rows as the store gave them, with the contract's types: what went in comes out, bit by bit."""
    casts = []
    for name, dtype in schema(contract).items():
        if name in rows.columns:
            text = dtype == pl.Date and rows.schema[name] == pl.String
            casts.append(pl.col(name).str.to_date("%Y-%m-%d") if text else pl.col(name).cast(dtype))
    return rows.select(casts)


def create(contract: Contract, dialect: Dialect) -> Iterator[str]:
    """The statements that make the stream's tables. Raises ContractError where the database cannot have them."""
    _check(contract, dialect)
    defined = [f"{quoted(name)} {kind}" for name, kind in _columns(contract, dialect).items()]
    for table in tables(contract):
        key = ", ".join(quoted(name) for name in contract.identity)
        unique = [] if table == history(contract) else [f"PRIMARY KEY ({key})"]
        body = ", ".join([*defined, *beside(contract, dialect).values(), *unique])
        yield f"CREATE TABLE {quoted(table)} ({body}){dialect.ending}"
    for name, on in _indexes(contract, dialect).items():
        yield f"CREATE INDEX {quoted(name)} ON {quoted(history(contract))} {on}"
    yield from view(contract, dialect)


def set_aside(contract: Contract, dialect: Dialect) -> Iterator[str]:
    """The statements that make room for another major version's tables: the present ones get names of `aside`."""
    if not dialect.beside:
        yield f"DROP VIEW IF EXISTS {quoted(contract.stream + '_readable')}"
    for name in _indexes(contract, dialect):
        yield f"DROP INDEX {quoted(name)}"
    for table in tables(contract):
        yield f"ALTER TABLE {quoted(table)} RENAME TO {quoted(aside(table, contract))}"


def aside(table: str, contract: Contract) -> str:
    """What a table of the stream is called while it is set aside."""
    return f"{OLD}_{tables(contract).index(table)}"


def beside(contract: Contract, dialect: Dialect) -> dict[str, str]:
    """The definitions of columns that show instants to people, by the name of the column they show."""
    instants = [column for column in contract.columns if column.type == "timestamp" and dialect.beside]
    return {one.storage: dialect.beside.format(name=quoted(one.name), stored=quoted(one.storage)) for one in instants}


def view(contract: Contract, dialect: Dialect) -> Iterator[str]:
    """The statements that make `<stream>_readable`: instants as ISO 8601 text in UTC, to the nanosecond."""
    if dialect.beside:
        return
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


def alter(contract: Contract, dialect: Dialect, present: dict[str, str], table: str) -> Iterator[str]:
    """The statements that add what the contract has gained; ContractError where the change is not an addition.

    Args:
        present: the table's columns with their SQL types.
        table: the stream's table, or its history.
    """
    _check(contract, dialect)
    readable = beside(contract, dialect)
    for column in contract.columns:
        declared = dialect.types[column.type]
        if column.storage not in present:
            collation = dialect.collation if column.type == "string" else ""
            yield f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.storage)} {declared}{collation}"
            if column.storage in readable:
                yield f"ALTER TABLE {quoted(table)} ADD COLUMN {readable[column.storage]}"
        elif present[column.storage] != declared:
            raise ContractError(
                f"{contract.stream}.{column.name} is stored as {present[column.storage]}, the contract now says "
                f"{column.type}.",
                "A changed type needs a new major version with a lens, or a column under a new name.",
            )


def alter_marks(contract: Contract, dialect: Dialect, present: dict[str, str]) -> Iterator[str]:
    """The statements that give the tables of an entity of an older store the mark of deletions."""
    if contract.kind == "entity" and "deleted" not in present:
        yield from (_marked(contract, dialect, table) for table in tables(contract))


def _marked(contract: Contract, dialect: Dialect, table: str) -> str:
    return f"ALTER TABLE {quoted(table)} ADD COLUMN deleted {_columns(contract, dialect)['deleted']}"


def _check(contract: Contract, dialect: Dialect) -> None:
    """Whether the database can have tables of these names."""
    if contract.kind == "entity" and len(contract.stream) > dialect.longest:
        raise ContractError(
            f"The stream {contract.stream} has a name of {len(contract.stream)} characters: its history's is too long.",
            f"In this store an entity's name has at most {dialect.longest} characters.",
        )
    if contract.stream.startswith("pg_") and dialect.reserved:
        raise ContractError(f"PostgreSQL keeps names like {contract.stream} for itself.", "Name the stream otherwise.")
    for column in contract.columns:
        if {column.name, column.storage} & dialect.reserved:
            do = f"Give the column another name, and `hotfire.path: {column.path or column.name}`."
            raise ContractError(f"PostgreSQL keeps the name {column.name} for a column of its own.", do)


def _columns(contract: Contract, dialect: Dialect) -> dict[str, str]:
    needed = set(contract.identity)
    own = {one.storage: (one.type, one.storage in needed and one.required) for one in contract.columns}
    kinds = {name: _kind(dialect, *one) for name, one in {**own, **_bookkeeping(contract)}.items()}
    return {name: f"{kind} DEFAULT FALSE" if name == "deleted" else kind for name, kind in kinds.items()}


def _kind(dialect: Dialect, kind: Type, always: bool) -> str:  # noqa: FBT001 - a pair of the tables above
    return dialect.types[kind] + (dialect.collation if kind == "string" else "") + (" NOT NULL" if always else "")


def _indexes(contract: Contract, dialect: Dialect) -> dict[str, str]:
    """The indexes of the table with every stored row, by name."""
    table = history(contract)
    if contract.kind == "telemetry":
        asset, time = contract.identity[:2]
        found = {f"{table}_asset_time": f"({quoted(asset)}, {quoted(time)} DESC)"}
    else:
        found = {f"{table}_key": f"({', '.join(quoted(name) for name in contract.identity)})"}
    return {**found, f"{table}_batch": dialect.by_batch} if dialect.by_batch else found


def _bookkeeping(contract: Contract) -> dict[str, tuple[Type, bool]]:
    return _BOOKKEEPING if contract.kind == "telemetry" else {**_BOOKKEEPING, **_OF_ENTITIES}
