"""Rows that only the database can tell are bad: found by bisection with savepoints, all rolled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hotfire.errors import RowsRefused
from hotfire.store.connection import RefusedAsData

if TYPE_CHECKING:
    import polars as pl

    from hotfire.contract.model import Contract
    from hotfire.store.connection import Connection

Writer = Callable[["Connection", "pl.DataFrame", "Contract"], None]
Probe = Callable[[int, int], str | None]
"""Write rows [start, end): None where they are taken and kept, the reason where one of them is refused and none kept."""

_WIDER = 4
"""How many times the gap between two culprits the next probe takes at once."""


def taken(connection: Connection, rows: pl.DataFrame, contract: Contract, write: Writer) -> None:
    """Write the rows; where the database refuses values, find out which.

    Raises:
        RowsRefused: names every culprit. The transaction is to be rolled back.
    """
    connection.savepoint("hf_rows")
    try:
        write(connection, rows, contract)
    except RefusedAsData as error:
        connection.undo("hf_rows")
        raise _refused(connection, rows.sort("row_no"), contract, write, error.what) from error
    connection.release("hf_rows")


def culprits(rows: int, reason: str, probe: Probe) -> dict[int, str]:
    """Which of so many rows are refused, and why; all others are written in the end.

    One of 10,000 takes at most 15 probes: 14 halvings to reach it, and one for all that follow it.

    Args:
        reason: why all of them together were refused.
    """
    found: dict[int, str] = {}
    start, end, gap = 0, rows, rows
    while start < rows:
        while end - start > 1:
            half = (start + end) // 2
            why = probe(start, half)
            if why is None:
                start = half
            else:
                end, reason = half, why
        gap = start - max(found) if found else rows
        found[start] = reason
        start, end, why = start + 1, start + 1, None
        while start < rows and why is None:
            start, gap = end, _WIDER * gap
            end = min(rows, start + gap)
            why = probe(start, end) if start < rows else None
        reason = why or ""
    return found


def _refused(connection: Connection, rows: pl.DataFrame, contract: Contract, write: Writer, reason: str) -> RowsRefused:
    def probe(start: int, end: int) -> str | None:
        connection.savepoint("hf_probe")
        try:
            write(connection, rows[start:end], contract)
        except RefusedAsData as error:
            connection.undo("hf_probe")
            return error.what
        connection.release("hf_probe")
        return None

    found = culprits(rows.height, reason, probe)
    reasons = {int(rows["row_no"][at]): why for at, why in found.items()}
    first = next(iter(reasons.values()))
    return RowsRefused(
        f"The table {contract.stream} refuses {len(reasons):,} of {rows.height:,} rows: {first}", reasons
    )
