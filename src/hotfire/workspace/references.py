"""What records refer to: whether it is stored. Looked at only, never refused: what is missing may come tomorrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from hotfire.contract.nested import array

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Contract
    from hotfire.workspace.wiring import Workspace

_SHOWN = 3


def references_seen(workspace: Workspace, contract: Contract) -> Iterator[tuple[str, bool, str, str]]:
    """A finding for every column that refers to another stream: name, whether it is well, detail, and what to do."""
    for column in contract.columns:
        if column.refers_to:
            yield f"references/{contract.stream}.{column.name}", *_seen(workspace, contract, column)


def _seen(workspace: Workspace, contract: Contract, column: Column) -> tuple[bool, str, str]:
    stream, name = column.refers_to.split(".")
    if stream not in workspace.settings.streams:
        return False, f"refers to {column.refers_to}; there is no such stream", "Mend `relationships` in the contract."
    other = workspace.contract(stream)
    if name not in {one.name for one in other.columns}:
        return False, f"refers to {column.refers_to}; there is no such column", "Mend `relationships` in the contract."
    own = workspace.store.table(contract.stream, [column.storage], contract)
    there = workspace.store.table(stream, [other.column(name).storage], other)
    values = _values(own, column)
    if values.is_empty() or there is None or there.is_empty():
        why = (
            f"{stream} holds nothing yet: hotfire ingest {stream}" if values.len() else "nothing refers to anything yet"
        )
        return True, why, ""
    missing = values.filter(~values.is_in(there[other.column(name).storage].cast(pl.String).implode())).unique().sort()
    if missing.is_empty():
        return True, f"all {values.len():,} are in {stream}", ""
    some = ", ".join(missing.head(_SHOWN)) + (", ..." if missing.len() > _SHOWN else "")
    return True, f"{missing.len():,} of {values.n_unique():,} are not in {stream}: {some}", ""


def _values(rows: pl.DataFrame | None, column: Column) -> pl.Series:
    """Every value that is referred to, as text; of arrays, each element."""
    found = pl.Series(dtype=pl.String) if rows is None else rows[column.storage].drop_nulls()
    if column.type != "array":
        return found.cast(pl.String)
    return pl.Series([str(one) for text in found for one in array(text) or ()], dtype=pl.String)
