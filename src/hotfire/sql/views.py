"""Where a statement's tables come from: the store as Arrow, the lake as a list of files, the marts as a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
from msgspec import Struct, field

from hotfire.errors import Refused, UserError
from hotfire.sql.parse import Named, with_queries

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from hotfire.contract.model import Contract

_ARRIVAL = ("shard", "batch_seq", "row_no")


class Tables(Struct, frozen=True):
    """Where the rows of named tables come from.

    Attributes:
        names: the operational store's tables, for suggestions and `SHOW TABLES`; may name `lake.<stream>` too.
        table: an operational table by name, with these columns at least (None: all; names it does not have are to be
            ignored) and every row; None where there is no such table.
        contract: a stream's contract; None where there is no such stream.
        lake: a stream's data files and an empty frame with the columns of its table; None where it has none.
        warehouse: the marts' DuckDB file, where there is one.
        queries: named queries of the workspace, which statements may select from: (file, SQL) by name.
        cleared: of a stream, the time before which retention has left rows only to the lake; None: there are none.
    """

    names: Sequence[str]
    table: Callable[[str, frozenset[str] | None], pl.DataFrame | None]
    contract: Callable[[str], Contract | None]
    lake: Callable[[str], tuple[Sequence[str], pl.DataFrame] | None]
    warehouse: Path | None = None
    cleared: Callable[[str], int | None] = lambda _: None
    queries: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class Capsule:
    """Rows as bare Arrow, without anything else that a library might recognise.

    DuckDB asks for pyarrow when it sees a Polars frame; Polars looks so closely at a DuckDB relation that its type
    outlives the interpreter, which DuckDB complains about on stderr.
    """

    def __init__(self, rows: pl.DataFrame | DuckDBPyRelation) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)


def make_views(connection: DuckDBPyConnection, tables: Tables, named: Named) -> list[str]:
    """Make a view of each table that a statement names; returns the files that they read.

    In the schema `ops` a stream is what the operational store holds of it. Its bare name stands for all of its stored
    rows: where retention has left some only to the lake, they are read there.
    """
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA ops; CREATE SCHEMA lake; CREATE SCHEMA whole")
    named, queries = with_queries(connection, tables.queries, named)
    bare = {name for schema, name in named.tables if schema == ""}
    cleared = {name: before_ns for name in sorted(bare) if (before_ns := tables.cleared(name)) is not None}
    files = _lake(connection, tables, {name for schema, name in named.tables if schema == "lake"} | cleared.keys())
    _marts(connection, tables, named)
    connection.execute("SET search_path = 'whole,ops'")
    for name in sorted({name for schema, name in named.tables if schema in ("", "ops")}):
        _operational(connection, tables, name, _stored(tables, name, named.columns))
        if name in cleared:
            _whole(connection, contract_of(tables, name), name, cleared[name])
    for name in queries:
        file, sql = tables.queries[name]
        try:
            connection.execute(f"CREATE VIEW whole.{quoted(name)} AS {sql.strip().removesuffix(';')}")
        except duckdb.Error as error:
            raise UserError(f"{file}: {error}", "Mend it, or select from something else.") from error
    return files


def _operational(connection: DuckDBPyConnection, tables: Tables, name: str, columns: frozenset[str] | None) -> None:
    """Make an operational table. A registered frame is a view outside of all schemas, so it gets one inside."""
    frame = tables.table(name, columns)
    if frame is not None:
        connection.register(f"__{name}", Capsule(_shown(frame, name, contract_of(tables, name))))
        connection.execute(f"CREATE VIEW ops.{quoted(name)} AS FROM {quoted(f'__{name}')}")


def _whole(connection: DuckDBPyConnection, contract: Contract | None, name: str, before_ns: int) -> None:
    """Make a stream's table of the store's rows and of those that only the lake still holds."""
    assert contract is not None
    time, own = quoted(contract.identity[1]), quoted(name)
    shown = ", ".join(quoted(column) for column in connection.sql(f"FROM ops.{own}").columns)
    same = " AND ".join(f"o.{one} = l.{one}" for one in _ARRIVAL)
    connection.execute(
        f"CREATE VIEW whole.{own} AS SELECT {shown} FROM ops.{own} UNION ALL SELECT {shown} FROM lake.{own} l "
        f"WHERE {time} < {before_ns} AND NOT EXISTS (FROM ops.{own} o WHERE o.{time} < {before_ns} AND {same})"
    )


def _lake(connection: DuckDBPyConnection, tables: Tables, names: set[str]) -> list[str]:
    """Make views of streams' tables in the lake; returns the files they read."""
    read: list[str] = []
    for name in sorted(names):
        found = tables.lake(name)
        if found is None:
            continue
        files, empty = found
        connection.register(f"__lake_{name}", Capsule(empty))
        rows = f"FROM {quoted(f'__lake_{name}')}"
        if files:
            rows += (
                f" UNION ALL BY NAME FROM read_parquet({texts(files)}, union_by_name = true, hive_partitioning = true, "
                "hive_types = {'event_date': DATE})"
            )
        connection.execute(f"CREATE VIEW lake.{quoted(name)} AS {rows}")
        read += files
    return read


def _marts(connection: DuckDBPyConnection, tables: Tables, named: Named) -> None:
    wanted = any(schema == "marts" for schema, _ in named.tables)
    if wanted and tables.warehouse is not None and tables.warehouse.exists():
        try:
            connection.execute(f"ATTACH {_text(str(tables.warehouse))} AS marts (READ_ONLY)")
        except duckdb.IOException as error:
            raise Refused(
                f"The marts in {tables.warehouse} cannot be opened: {error}", "Is a build running?"
            ) from error


def _stored(tables: Tables, name: str, columns: frozenset[str] | None) -> frozenset[str] | None:
    """Column names as they stand in statements, with the stored names of instants beside them, and what `_whole` needs."""
    if columns is None:
        return None
    wanted = columns | {f"{one}_ns" for one in columns}
    contract = tables.contract(name)
    return wanted if contract is None or tables.cleared(name) is None else wanted | {*_ARRIVAL, contract.identity[1]}


def contract_of(tables: Tables, name: str) -> Contract | None:
    """The contract of the stream that a table, or its history, belongs to."""
    return tables.contract(name) or tables.contract(name.removesuffix("_history"))


def _shown(frame: pl.DataFrame, table: str, contract: Contract | None) -> pl.DataFrame:
    """A stream's table, or a snapshot's, with every instant in microseconds beside its nanoseconds."""
    if table.startswith("hf_"):
        return frame
    if contract is None:
        kinds = frame.schema.items()
        instants = {name: name.removesuffix("_ns") for name, kind in kinds if name.endswith("_ns") and kind == pl.Int64}
        instants = {name: shown for name, shown in instants.items() if shown not in frame.columns}
    else:
        instants = {column.storage: column.name for column in contract.columns if column.type == "timestamp"}
        instants |= {"received_at_ns": "received_at"}
    shown: list[Any] = []
    for name in frame.columns:
        if name in instants:
            instant = pl.col(name).cast(pl.Datetime("ns", "UTC")).cast(pl.Datetime("us", "UTC"))
            shown.append(instant.alias(instants[name]))
        shown.append(pl.col(name))
    return frame.select(shown)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def texts(values: Sequence[str]) -> str:
    """A list of texts as SQL."""
    return f"[{', '.join(_text(value) for value in values)}]"
