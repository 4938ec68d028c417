"""Stored rows for notebooks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hotfire.errors import UserError
from hotfire.ledger.cleared import cleared_before
from hotfire.store import ddl
from hotfire.workspace.settings import current
from hotfire.workspace.values import instant_ns
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.contract.model import Contract

Instant = str | datetime | None
_ARRIVAL = ["shard", "batch_seq", "row_no"]


def read(
    folder: str | PathLike[str], stream: str, since: Instant, until: Instant, columns: Sequence[str] | None
) -> pl.DataFrame:
    """As `hotfire.read`."""
    with Workspace(current(start=Path(folder))) as workspace:
        contract = workspace.contract_in_use(stream)
        chosen = _chosen(contract, columns)
        rows = _rows(workspace, contract, since, until)
    shown = [
        pl.col(column.storage).cast(pl.Datetime("ns", "UTC")).alias(column.name)
        for column in contract.columns
        if column.type == "timestamp"
    ]
    frame = rows.sort("shard", "batch_seq", "row_no").with_columns(shown)
    return frame.select(chosen)


def _rows(workspace: Workspace, contract: Contract, since: Instant, until: Instant) -> pl.DataFrame:
    """Every stored row within the event times; entities have none, and are not bounded."""
    since_ns, until_ns = _ns("since", since), _ns("until", until)
    rows = pl.DataFrame(schema=ddl.schema(contract))
    if workspace.settings.stream(contract.stream).lake_only:
        rows = pl.concat([rows, *workspace.lake.rows(contract)], how="diagonal")
    else:
        found = workspace.store.table(contract.stream, None, contract)
        rows = rows if found is None else found
        before_ns = cleared_before(workspace.store, contract.stream)
        if before_ns is not None:
            upto_ns = before_ns if until_ns is None else min(until_ns, before_ns)
            older = workspace.lake.rows(contract, since_ns=since_ns, until_ns=upto_ns)
            own = rows.select(_ARRIVAL)
            rows = pl.concat([rows, *(frame.join(own, on=_ARRIVAL, how="anti") for frame in older)], how="diagonal")
    if contract.time is None:
        return rows
    time = pl.col(contract.column(contract.time).storage)
    if since_ns is not None:
        rows = rows.filter(time >= since_ns)
    if until_ns is not None:
        rows = rows.filter(time < until_ns)
    return rows


def _chosen(contract: Contract, columns: Sequence[str] | None) -> list[str]:
    """Names of the frame's columns: each instant under its own name, before its nanoseconds."""
    known: list[str] = []
    for column in contract.columns:
        known += [column.name, column.storage] if column.type == "timestamp" else [column.name]
    known += [name for name in ddl.schema(contract) if name not in known]
    for name in columns or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
            raise UserError(f"{contract.stream} has no column {name!r}.", hint)
    return known if columns is None else list(columns)


def _ns(name: str, instant: Instant) -> int | None:
    if instant is None:
        return None
    try:
        return instant_ns(instant if isinstance(instant, str) else instant.isoformat())
    except ValueError:
        raise UserError(f"{name}={instant!s} is no instant with a zone.", "Write it as 2026-01-01T00:00:00Z.") from None
