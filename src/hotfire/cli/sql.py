"""`hotfire sql`: one read-only statement over store, lake and marts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, table
from hotfire.cli.workspace import settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 1000


@click.command(cls=Command)
@click.argument("statement", metavar="SQL")
@click.option("--unit", "units", multiple=True, metavar="COLUMN=UNIT", help="Convert a column: chamber_pressure=psi.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values.")
def sql(statement: str, units: Sequence[str], *, as_csv: bool) -> Answer:
    """Ask the tables: `select ... from STREAM`, `lake.STREAM` for the whole history; or the name of one of queries/*.sql."""
    from hotfire.sql.duck import query
    from hotfire.sql.records import csv, records
    from hotfire.sql.units import header
    from hotfire.workspace.tables import tables
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings_of()) as workspace:
        result = query(statement, tables(workspace), dict(_unit(one) for one in units))
    if as_csv:
        return Answer(records(result.frame), [csv(result.frame).rstrip("\n")], verbatim=True)
    names = [header(name, result.units) for name in result.frame.columns]
    return Answer(records(result.frame), _table(names, result.frame))


def _unit(text: str) -> tuple[str, str]:
    column, found, unit = text.partition("=")
    if not found or not column or not unit:
        raise UserError(f"--unit {text} names no column and unit.", "Write --unit COLUMN=UNIT.")
    return column, unit


def _table(names: Sequence[str], frame: pl.DataFrame) -> Iterator[str]:
    from hotfire.sql.records import records

    yield from table(names, [list(row.values()) for row in records(frame.head(_SHOWN))])
    if frame.height > _SHOWN:
        yield f"... {frame.height:,} rows, of which {_SHOWN:,} are shown: add `limit`, or use --csv or --json"
