"""What a statement names: tables, columns, and which of its results are columns as they are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
from msgspec import Struct

from hotfire.errors import UserError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
"""Kinds of statement that are let through. MULTI is what PIVOT becomes."""

READING_WORDS = re.compile(
    r"(?:--[^\n]*\n|/\*.*?\*/|[\s(])*(from|pivot|select|unpivot|with)\b", re.IGNORECASE | re.DOTALL
)

_IDENTIFIER = re.compile(r'"((?:[^"]|"")+)"|([A-Za-z_]\w*)')
_OPAQUE = {"SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "SHOW_REF", "TABLE_FUNCTION", "PIVOT"}


class Named(Struct, frozen=True):
    """What a statement names. Identifiers are in lower case: DuckDB does not tell cases apart.

    Attributes:
        tables: (schema, table); the schema is empty where the statement names none. With CTEs, and more than needed
            where the statement could not be taken apart.
        columns: every column that the statement may need; None is all of them.
        made: names that the statement gives to something that is not simply the column of that name; None is any.
    """

    tables: frozenset[tuple[str, str]]
    columns: frozenset[str] | None
    made: frozenset[str] | None


def one_reading_statement(text: str) -> str:
    """The statement, if it is one and only reads.

    Raises:
        UserError: it is none, more than one, or one that writes.
        duckdb.ParserException: it is not SQL.
    """
    statements = duckdb.extract_statements(text)
    if not statements:
        raise UserError("There is no statement.", "Ask something: select count(*) from STREAM.")
    if len(statements) != 1:
        raise UserError(f"hotfire sql takes one statement, not {len(statements)}.", "Run them one after another.")
    statement = statements[0]
    reads = statement.type in READING and (
        statement.type != duckdb.StatementType.MULTI or READING_WORDS.match(statement.query)
    )
    if not reads:
        raise UserError(
            f"hotfire sql only reads; {statement.type.name} is refused.",
            "Use SELECT, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE, PIVOT or EXPLAIN.",
        )
    return str(statement.query)


def names(connection: DuckDBPyConnection, statement: str) -> Named:
    """Take a statement apart, without looking anything up."""
    found = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    tree = msgspec.json.decode(found[0]) if found else {"error": True}
    if tree["error"]:
        return _guessed(statement)
    nodes = list(_nodes(tree))
    kinds = {node.get("type") for node in nodes}
    tables = {_table(node) for node in nodes if node.get("type") == "BASE_TABLE"}
    everything = bool(kinds & {"STAR", "SHOW_REF", "PIVOT"}) or _by_place(nodes) or _whole_rows(nodes)
    spread = any(node.get("type") == "STAR" and node.get("columns") for node in nodes)
    opaque = spread or bool(kinds & _OPAQUE)
    return Named(
        frozenset(tables),
        None if everything else frozenset(_columns(nodes)),
        None if opaque else frozenset(_made(nodes)),
    )


def with_queries(
    connection: DuckDBPyConnection, queries: Mapping[str, tuple[str, str]], named: Named
) -> tuple[Named, list[str]]:
    """What a statement names, and what the queries name that it selects from; these queries, each after its own.

    Raises:
        UserError: a query is not one reading statement, or selects from itself.
    """
    order: list[str] = []

    def add(name: str, above: tuple[str, ...], named: Named) -> Named:
        file, sql = queries[name]
        if name in above:
            raise UserError(f"{file} selects from itself.", "Break the circle.")
        if name in order:
            return named
        try:
            inner = names(connection, one_reading_statement(sql))
        except (UserError, duckdb.Error) as error:
            raise UserError(f"{file}: {error}", "It has to be one SELECT.") from error
        for _, one in _queried(inner, queries):
            inner = add(one, (*above, name), inner)
        order.append(name)
        columns = None if named.columns is None or inner.columns is None else named.columns | inner.columns
        return Named(named.tables | inner.tables, columns, named.made)

    for _, name in _queried(named, queries):
        named = add(name, (), named)
    return named, order


def _queried(named: Named, queries: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(one for one in named.tables if one[0] == "" and one[1] in queries)


def bare_words(text: str) -> set[str]:
    """Every word of a text, SQL or not, in lower case; without those that stand in quotes of either kind."""
    return {word.lower() for word in re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'|\"[^\"]*\"", " ", text))}


def _guessed(statement: str) -> Named:
    """For what DuckDB does not take apart (PIVOT, EXPLAIN): every word may be a table."""
    words = [(quoted or plain).replace('""', '"').lower() for quoted, plain in _IDENTIFIER.findall(statement)]
    schemas = {"", *words} & {"", "ops", "lake", "marts"}
    return Named(frozenset((schema, word) for schema in schemas for word in words), None, None)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)


def _table(node: dict[str, Any]) -> tuple[str, str]:
    """A schema and a table; `marts` is a database, and whatever schema stands in it counts as it."""
    schema = "marts" if "marts" in (node["catalog_name"].lower(), node["schema_name"].lower()) else node["schema_name"]
    return schema.lower(), node["table_name"].lower()


def _by_place(nodes: list[dict[str, Any]]) -> bool:
    """Whether it matters which columns a table has: `NATURAL JOIN`, `FROM t AS t(first, second)`."""
    return any(node.get("ref_type") == "NATURAL" or node.get("column_name_alias") for node in nodes)


def _whole_rows(nodes: list[dict[str, Any]]) -> bool:
    """Whether a table is used as a value: `SELECT t FROM t`, `to_json(t)`."""
    tables = {
        str(node.get(name) or "").lower() for node in nodes if "sample" in node for name in ("alias", "table_name")
    }
    return any(
        len(node["column_names"]) == 1 and node["column_names"][0].lower() in tables
        for node in nodes
        if node.get("type") == "COLUMN_REF"
    )


def _columns(nodes: list[dict[str, Any]]) -> Iterator[str]:
    """Every part of every name: `s` in `s.x` may be a table or a struct."""
    for node in nodes:
        yield from (name.lower() for name in node.get("column_names") or [])
        yield from (name.lower() for name in node.get("using_columns") or [])


def _made(nodes: list[dict[str, Any]]) -> Iterator[str]:
    for node in nodes:
        alias = str(node.get("alias") or "").lower()
        same = node.get("type") == "COLUMN_REF" and alias == node["column_names"][-1].lower()
        if alias and "class" in node and not same:
            yield alias
        yield from (name.lower() for name in [*(node.get("column_name_alias") or []), *(node.get("aliases") or [])])
        for renamed in [*(node.get("replace_list") or []), *(node.get("rename_list") or [])]:
            yield from (part.lower() for part in (renamed["key"], renamed["value"]) if isinstance(part, str))
        if node.get("name") and "expression" in node:
            yield node["name"].lower()
