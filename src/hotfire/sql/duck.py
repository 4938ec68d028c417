"""One read-only statement over what the workspace has, in an in-memory DuckDB that can reach nothing else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import duckdb
import polars as pl
from msgspec import Struct, field

from hotfire.contract.words import SQL_WORDS
from hotfire.errors import ContractError, LakeUnusable, Refused, UserError
from hotfire.sql.parse import Named, bare_words, names, one_reading_statement
from hotfire.sql.units import converted, labels
from hotfire.sql.views import Capsule, Tables, contract_of, make_views, quoted, texts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from hotfire.contract.model import Contract

SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
"""DuckDB must neither fetch extensions nor find Python's variables."""

SHOW_TABLES = re.compile(r"\s*show\s+(all\s+)?tables[\s;]*", re.IGNORECASE)

FOREIGN = ("INTERVAL", "BIT", "TIME WITH TIME ZONE", "UNION", "UHUGEINT", "VARIANT", "BIGNUM")
"""Types that Polars does not have, or reads wrongly: shown as text."""


class Result(Struct, frozen=True):
    """What a statement found.

    Attributes:
        frame: the rows. Instants are UTC.
        units: of the columns that have one.
    """

    frame: pl.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)


def query(text: str, tables: Tables, units: Mapping[str, str] | None = None) -> Result:
    """Run one reading statement.

    Tables stand in the schemas `ops` (which need not be named), `lake` and `marts`. An instant `x` is a TIMESTAMP WITH
    TIME ZONE in microseconds, beside the authoritative `x_ns`.

    Args:
        text: the statement.
        tables: where rows come from; the bare name of one of its queries is that query.
        units: into which unit to convert which result columns.

    Raises:
        UserError: the statement writes, names something unknown, or is wrong; a unit does not fit.
        Refused: the lake or the marts cannot be read.
    """
    try:
        _, text = tables.queries.get(text.strip(), ("", text))
        statement = one_reading_statement(text)
    except duckdb.ParserException as error:
        raise UserError(str(error), _quoting(text, tables)) from error
    if SHOW_TABLES.fullmatch(statement):
        lakes = [f"lake.{name}" for name in tables.names if tables.lake(name) is not None]
        found = dict.fromkeys([*tables.names, *lakes, *tables.queries])
        return Result(pl.DataFrame({"name": [*found]}, schema={"name": pl.String}))
    with closing(duckdb.connect(config=SETTINGS)) as connection:
        named = names(connection, statement)
    try:
        frame = _run(statement, tables, named)
    except duckdb.BinderException:
        # The message suggests columns: it must know all of them.
        frame = _run_or_explain(statement, tables, Named(named.tables, None, None))
    except duckdb.Error as error:
        raise _explained(error, tables, named) from error
    known = labels(frame.columns, named.made, _contracts(named, tables))
    return Result(*converted(frame, known, units or {}))


def _run_or_explain(statement: str, tables: Tables, named: Named) -> pl.DataFrame:
    try:
        return _run(statement, tables, named)
    except duckdb.Error as error:
        raise _explained(error, tables, named) from error


def _run(statement: str, tables: Tables, named: Named) -> pl.DataFrame:
    with closing(duckdb.connect(config=SETTINGS)) as connection:
        files = make_views(connection, tables, named)
        connection.execute(f"SET allowed_paths = {texts(files)}")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        return _fetch(connection, statement)


def _fetch(connection: DuckDBPyConnection, statement: str) -> pl.DataFrame:
    """The rows, with column names made unique and types that Polars does not have as text."""
    relation = connection.sql(statement)
    columns = _unique(relation.columns)
    kinds = [str(kind) for kind in relation.types]
    foreign = [any(one in kind for one in FOREIGN) for kind in kinds]
    if any(foreign) or columns != relation.columns:
        parts = (
            f"CAST(#{at} AS VARCHAR) AS {quoted(name)}" if odd else f"#{at} AS {quoted(name)}"
            for at, (name, odd) in enumerate(zip(columns, foreign, strict=True), 1)
        )
        relation = relation.project(", ".join(parts))
    return pl.DataFrame(Capsule(relation))


def _unique(columns: Sequence[str]) -> list[str]:
    """Column names as they are, numbered where one comes again: `n`, `n_1`."""
    seen: list[str] = []
    for name in columns:
        other, at = name, 0
        while other in seen:
            at += 1
            other = f"{name}_{at}"
        seen.append(other)
    return seen


def _explained(error: duckdb.Error, tables: Tables, named: Named) -> UserError | Refused:
    """DuckDB's message, with suggestions from what the workspace has."""
    text = str(error)
    damaged = isinstance(error, duckdb.InvalidInputException) and re.search(r"file ['\"].*\.parquet['\"]", text)
    if isinstance(error, duckdb.IOException) or damaged:
        return LakeUnusable(f"The lake cannot be read: {text}", "Run `hotfire doctor`.")
    if isinstance(error, duckdb.PermissionException):
        return UserError(
            "hotfire sql reads only the workspace's tables, no files or addresses.", text.partition("\n")[0]
        )
    missing = text.partition("Table with name ")[2].partition(" does not exist")[0]
    if isinstance(error, duckdb.CatalogException) and missing:
        schema = "lake." if ("lake", missing.lower()) in named.tables else ""
        near = difflib.get_close_matches(f"{schema}{missing.lower()}", [*tables.names, *tables.queries], n=1)
        own = [name for name in tables.names if not name.startswith("hf_")]
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(own)}; SHOW TABLES tells all."
        return UserError(f"There is no table {schema}{missing}.", hint)
    return UserError(text)


def _quoting(text: str, tables: Tables) -> str:
    """What helps where a statement is not SQL: most often a column is called like one of SQL's words."""
    columns: set[str] = set()
    for name in tables.names:
        with suppress(ContractError):
            contract = tables.contract(name)
            columns |= {column.name for column in contract.columns} if contract else set()
    meant = sorted(columns & SQL_WORDS & bare_words(text))
    if not meant:
        return "Texts stand in single quotes; columns bare, or in double quotes."
    named = ", ".join(f'"{name}"' for name in meant)
    return f"SQL keeps {', '.join(meant)} for itself: if you mean the column, write {named}, in double quotes."


def _contracts(named: Named, tables: Tables) -> list[Contract]:
    """The contracts of all streams that are read; none where marts or queries are, whose columns nobody vouches for."""
    if any(schema == "marts" or name in tables.queries for schema, name in named.tables):
        return []
    found = (contract_of(tables, name) for _, name in sorted(named.tables))
    return [contract for contract in found if contract is not None]
