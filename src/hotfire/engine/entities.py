"""Sort accepted entity rows into new versions, duplicates, superseded and conflicting ones. Entities have no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from hotfire.rows import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotfire.contract.model import Contract


_LAST = (2**63,)
"""After every batch."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The fates of accepted entity rows.

    Attributes:
        kept: rows for the history, with `superseded`: True where a newer version is stored already.
        duplicates: record numbers of versions that are stored already.
        conflicts: a fault for each row with the revision of a stored version but other content.
    """

    kept: pl.DataFrame
    duplicates: list[int]
    conflicts: list[Fault]


def sort_versions(
    contract: Contract,
    rows: pl.DataFrame,
    lookup: Callable[[pl.DataFrame], pl.DataFrame],
    arrived: Sequence[Sequence[int]] = (),
) -> Versions:
    """Decide what becomes of each accepted entity row, in arrival order.

    Args:
        rows: canonical rows in arrival order.
        lookup: from keys to every stored version that has them, in order of arrival, with `superseded`.
        arrived: in a repair, by record number: batch and record number that each row came with. Without a revision
            they tell that a newer version has come meanwhile.
    """
    columns = [column.storage for column in contract.columns]
    revision = columns.index(contract.column(contract.revision).storage) if contract.revision else None
    key_at = [columns.index(name) for name in contract.identity]
    current: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    came: dict[tuple[Any, ...], tuple[int, ...]] = {}
    seen: dict[tuple[Any, ...], dict[Any, tuple[Any, ...]]] = {}
    known = lookup(rows.select(contract.identity).unique()) if rows.height else rows
    history = known.sort("batch_seq", "row_no") if "superseded" in known.columns else known.clear()
    marks = history.select("superseded", "batch_seq", "row_no").rows() if history.height else []
    for content, (superseded, *arrival) in zip(history.select(columns).rows(), marks, strict=True):
        key = tuple(content[at] for at in key_at)
        seen.setdefault(key, {})[content[revision] if revision is not None else None] = content
        if not superseded:
            current[key], came[key] = content, tuple(arrival)
    fates: list[bool | None] = []
    conflicts: list[Fault] = []
    duplicates: list[int] = []
    for row_no, content in zip(rows["row_no"], rows.select(columns).rows(), strict=True):
        key = tuple(content[at] for at in key_at)
        now, of = current.get(key), content[revision] if revision is not None else None
        before = now if revision is None else seen.get(key, {}).get(of)
        fate: bool | None = None
        if before == content:
            duplicates.append(row_no)
        elif revision is not None and before is not None:
            why = ", ".join(n for n, old, new in zip(columns, before, content, strict=True) if old != new)
            conflicts.append(
                Fault(row_no, "key.conflict", str(key)[:200], f"revision {of} is stored with another {why}")
            )
        else:
            own = tuple(arrived[row_no]) if arrived else _LAST
            newer = now is None or (_newer(of, now[revision]) if revision is not None else own >= came[key])
            fate = not newer
            seen.setdefault(key, {})[of] = content
            if newer:
                current[key], came[key] = content, own
        fates.append(fate)
    marked = rows.with_columns(superseded=pl.Series(fates, dtype=pl.Boolean), late=pl.lit(value=False))
    return Versions(marked.filter(pl.col("superseded").is_not_null()), duplicates, conflicts)


def _newer(revision: Any, other: Any) -> bool:
    return other is None or (revision is not None and revision > other)
