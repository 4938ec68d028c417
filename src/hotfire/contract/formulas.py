"""What a contract's expressions and patterns need to be true: known columns, fitting types, no failure on any row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from hotfire.contract.document import Document, Path
from hotfire.contract.expression import columns_of, judge_sql
from hotfire.contract.lens import FRAME_TYPES
from hotfire.contract.model import Column, Contract, wire
from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError

_BARE = re.compile(r'\s*"?([a-z][a-z0-9_]*)"?\s*')


def judge_formulas(doc: Document, contract: Contract, older: Contract | None) -> None:
    """Note in the document which checks, lenses and patterns of a version cannot be used."""
    schema = column_types(contract)
    for index, item in enumerate(doc.data["schema"][0].get("quality") or ()):
        if item.get("engine") == "hotfire":
            place: Path = ("schema", 0, "quality", index, "implementation")
            judge_boolean(doc, place, f"quality.{item['name']}", item["implementation"], schema)
    for column in contract.columns:
        _judge_pattern(doc, column)
    if older is not None and contract.lens is not None:
        _judge_lens(doc, contract, older)


def column_types(contract: Contract) -> dict[str, pl.DataType]:
    """The types of a contract's columns, as expressions see them."""
    return {column.name: FRAME_TYPES[column.type] for column in contract.columns}


def judge_boolean(doc: Document, place: Path, name: str, sql: str, schema: Mapping[str, pl.DataType]) -> None:
    """Note what is wrong with a condition: it must be true, false or null for every row, and read some column."""
    try:
        dtype = judge_sql(sql, schema)
        if dtype != pl.Boolean:
            doc.error(place, name, f"`{sql}` is a {_called(dtype)}, not true or false", "compare it with something")
        elif not columns_of(sql):
            doc.error(place, name, f"`{sql}` reads no column", "name one")
    except ContractError as error:
        doc.error(place, name, error.what, error.do)


def _judge_pattern(doc: Document, column: Column) -> None:
    if column.pattern is None:
        return
    try:
        pl.Series([""]).str.contains(f"^(?:{column.pattern})$")
    except pl.exceptions.PolarsError as error:
        message = f"is not a regular expression: {' '.join(str(error).split())[:200]}"
        place = (*_property_place(doc, column.name), "logicalTypeOptions", "pattern")
        doc.error(place, f"{column.name}.pattern", message, "look-around and back-references do not exist here")


def _judge_lens(doc: Document, contract: Contract, older: Contract) -> None:
    assert contract.lens is not None
    place = (*setting_place(doc, "hotfire.lens"), "value")
    types = {"timestamp": pl.String(), "date": pl.String()}
    fields = wire(Contract("", contract.version, contract.kind, contract.columns, older=(older,)))
    paths = {field.path: types.get(field.type, FRAME_TYPES[field.type]) for field in reversed(fields)}
    judge_boolean(doc, (*place, "when"), "hotfire.lens.when", contract.lens.when, paths)
    columns = {column.name: column for column in contract.columns}
    for name in contract.lens.set.keys() - columns.keys():
        hint = did_you_mean(name, columns)
        doc.error((*place, "set", name), f"hotfire.lens.set.{name}", f"there is no column `{name}`", hint)
    for column in contract.columns:
        _judge_step(doc, place, contract, older, column)


def _judge_step(doc: Document, place: Path, contract: Contract, older: Contract, column: Column) -> None:
    """How one column of the newer version comes out of the older version's columns."""
    assert contract.lens is not None
    name, sql, before = f"hotfire.lens.set.{column.name}", contract.lens.set.get(column.name), column_types(older)
    where = (*place, "set", column.name)
    if sql is None:
        if column.name not in before:
            if column.required:
                hint = f"add `{column.name}: SQL` to `set`, or make the column optional"
                doc.error(
                    where, name, f"`{column.name}` is required, but version {older.major} has no such column", hint
                )
            return
        sql = f'"{column.name}"'
    try:
        dtype = judge_sql(sql, before)
    except ContractError as error:
        doc.error(where, name, error.what, error.do)
        return
    if column.name in (contract.asset, contract.time, *contract.key) and not _BARE.fullmatch(sql):
        doc.error(where, name, "asset, time and key can be renamed, never computed", "name one older column, bare")
    elif not _fits(column, dtype):
        hint = (
            f"write `{column.name}: cast({sql} as {_SQL[column.type]})`"
            if column.type in _SQL
            else "set it in the lens"
        )
        doc.error(where, name, f"`{sql}` is a {_called(dtype)}, the column a {column.type}", hint)


_SQL = {"number": "double", "integer": "bigint", "string": "varchar"}


def _fits(column: Column, dtype: pl.DataType) -> bool:
    if dtype == pl.Null or dtype.base_type() == FRAME_TYPES[column.type].base_type():
        return True
    return (column.type == "number" and dtype.is_numeric()) or (column.type == "integer" and dtype.is_integer())


def _called(dtype: pl.DataType) -> str:
    known = {"String": "text", "Boolean": "boolean", "Date": "date", "Datetime": "timestamp"}
    return "number" if dtype.is_numeric() else known.get(str(dtype.base_type()), str(dtype).lower())


def setting_place(doc: Document, name: str) -> Path:
    """Where a setting of the schema object stands."""
    for index, item in enumerate(doc.data["schema"][0].get("customProperties") or ()):
        if item.get("property") == name:
            return ("schema", 0, "customProperties", index)
    return ("schema", 0)


def _property_place(doc: Document, name: str) -> Path:
    return property_places(doc.data["schema"][0], ("schema", 0)).get(name, ("schema", 0))


def property_places(owner: Mapping[str, Any], path: Path, prefix: str = "") -> dict[str, Path]:
    """Where each column stands in a document, by its name."""
    places: dict[str, Path] = {}
    for index, item in enumerate(owner.get("properties") or ()):
        name, where = f"{prefix}{item.get('name')}", (*path, "properties", index)
        places[name] = where
        places |= property_places(item, where, f"{name}_")
    return places
