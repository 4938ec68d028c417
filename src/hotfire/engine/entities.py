"""Sort accepted entity rows into new versions, duplicates, superseded and conflicting ones. Entities have no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from hotfire.engine.dedupe import Stored, shown
from hotfire.rows import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotfire.contract.model import Contract


_LAST = (2**63,)
"""After every batch."""


class Versions(Struct, frozen=True):
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
    before: Stored,
    arrived: Sequence[Sequence[int]] = (),
) -> Versions:
    """Decide what becomes of each accepted entity row, in arrival order.

    Args:
        rows: canonical rows in arrival order.
        before: finds every stored version of a key, in order of arrival, with `superseded`. Without a revision a column
            that came later makes a new version.
        arrived: in a repair, by record number: batch and record number that each row came with. Without a revision
            they tell that a newer version has come meanwhile.
    """
    columns = [column.storage for column in contract.columns]
    revision = columns.index(contract.column(contract.revision).storage) if contract.revision else None
    key_at = [columns.index(name) for name in contract.identity]
    current: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    came: dict[tuple[Any, ...], tuple[int, ...]] = {}
    seen: dict[tuple[Any, ...], dict[Any, tuple[Any, ...]]] = {}
    known = before.find(rows.select(contract.identity).unique()) if rows.height else rows
    history = known.sort("batch_seq", "row_no") if "superseded" in known.columns else known.clear()
    marks = history.select("superseded", "shard", "batch_seq", "row_no").rows() if history.height else []
    batches: dict[tuple[Any, ...], tuple[str, int]] = {}
    for content, (superseded, shard, *arrival) in zip(history.select(columns).rows(), marks, strict=True):
        key, of = tuple(content[at] for at in key_at), content[revision] if revision is not None else None
        seen.setdefault(key, {})[of], batches[key, of] = content, (shard, arrival[0])
        if not superseded:
            current[key], came[key] = content, tuple(arrival)
    fates: list[bool | None] = []
    conflicts: list[Fault] = []
    duplicates: list[int] = []
    for row_no, content in zip(rows["row_no"], rows.select(columns).rows(), strict=True):
        key = tuple(content[at] for at in key_at)
        now, of = current.get(key), content[revision] if revision is not None else None
        same = now if revision is None else seen.get(key, {}).get(of)
        fate: bool | None = None
        if same == content:
            duplicates.append(row_no)
        elif revision is not None and same is not None:
            compared = before.carried(*batches[key, of]) if (key, of) in batches else columns
            values = zip(columns, same, content, strict=True)
            why = ", ".join(name for name, old, new in values if old != new and name in compared)
            if why:
                detail = f"revision {shown(contract, [columns[revision]], [of])} is stored with another {why}"
                conflicts.append(Fault(row_no, "key.conflict", shown(contract, contract.identity, key), detail))
            else:
                duplicates.append(row_no)
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
