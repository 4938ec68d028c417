"""Every stored row of a stream, converted to another major version of its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from hotfire.store import ddl
from hotfire.store.dialect import quoted

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.store.connection import Connection

_CONVERTED = 50_000
"""Rows at once."""


def convert_tables(
    connection: Connection, older: Contract, contract: Contract, convert: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Make the stream's tables anew for another version, with every row; part of one transaction.

    Args:
        convert: from the older version's storage columns to the other's, row by row.
    """
    for statement in (*ddl.set_aside(older, connection.dialect), *ddl.create(contract, connection.dialect)):
        connection.query(statement)
    for table in ddl.tables(contract):
        _convert(connection, ddl.aside(table, contract), table, older, convert)
        connection.query(f"DROP TABLE {quoted(ddl.aside(table, contract))}")


def _convert(
    connection: Connection,
    source: str,
    target: str,
    older: Contract,
    convert: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    for page in connection.pages(source, _CONVERTED):
        rows = ddl.typed(page, older)
        marks = rows.select(pl.exclude([column.storage for column in older.columns]))
        own = page.select(pl.col("hf_rowid").alias("rowid")) if "hf_rowid" in page.columns else page.select()
        connection.ingest(target, pl.concat([convert(rows), marks, own], how="horizontal"))
