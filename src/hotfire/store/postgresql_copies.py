"""The tables of one schema as Parquet files, and back: no program but hotfire is needed, whatever the server's version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hotfire.store.dialect import quoted

if TYPE_CHECKING:
    from hotfire.store.postgresql_connection import PostgresConnection

SCHEMA = "hf_schema"
"""The table of migrations: the schema that is loaded into has its own."""
_ROWS = 100_000
"""Rows in one file."""
_NUMBERED = {"hf_quarantine": "id"}
"""Columns that the database numbers by itself: it goes on after the greatest."""


def save_tables(connection: PostgresConnection, tables: Iterable[str], folder: Path) -> None:
    """Write each table to `folder/<table>/<n>.parquet`; a table without rows is an empty folder."""
    for table in tables:
        (folder / table).mkdir()
        names = ", ".join(quoted(name) for name in connection.columns(table))
        for number, rows in enumerate(connection.fetched(f"SELECT {names} FROM {quoted(table)}", _ROWS)):
            rows.write_parquet(folder / table / f"{number}.parquet", compression="zstd", compression_level=1)


def load_tables(connection: PostgresConnection, folder: Path) -> None:
    """Replace what the tables hold by what was saved; they are there already. Part of one transaction."""
    saved = saved_tables(folder)
    for table in reversed(saved):
        connection.query(f"DELETE FROM {quoted(table)}")
    for table in saved:
        for rows in saved_rows(folder, table):
            connection.ingest(table, rows)
        if table in _NUMBERED:
            column = _NUMBERED[table]
            connection.query(
                f"SELECT setval(pg_get_serial_sequence(?, ?), coalesce(max({quoted(column)}), 0) + 1, false) "
                f"FROM {quoted(table)}",
                [table, column],
            )


def saved_tables(folder: Path) -> list[str]:
    """The tables that were saved; what others refer to comes first."""
    return sorted((path.name for path in folder.iterdir()), key=lambda name: (name != "hf_version", name))


def saved_rows(folder: Path, table: str) -> Iterator[pl.DataFrame]:
    """A saved table's rows, file by file."""
    for path in sorted((folder / table).glob("*.parquet"), key=lambda one: int(one.stem)):
        yield pl.read_parquet(path)
