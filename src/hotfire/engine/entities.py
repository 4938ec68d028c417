"""Sort accepted entity rows into new versions, duplicates, superseded and conflicting ones. Entities have no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from hotfire.rows import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotfire.contract.model import Contract


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


def sort_versions(contract: Contract, rows: pl.DataFrame, lookup: Callable[[pl.DataFrame], pl.DataFrame]) -> Versions:
    """Decide what becomes of each accepted entity row, in arrival order.

    Args:
        rows: canonical rows in arrival order.
        lookup: from keys to every stored version that has them, in order of arrival, with `superseded`.
    """
    columns = [column.storage for column in contract.columns]
    revision = columns.index(contract.column(contract.revision).storage) if contract.revision else None
    key_at = [columns.index(name) for name in contract.identity]
    current: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    seen: dict[tuple[Any, ...], dict[Any, tuple[Any, ...]]] = {}
    known = lookup(rows.select(contract.identity).unique()) if rows.height else rows
    history = known.sort("batch_seq", "row_no") if "superseded" in known.columns else known.clear()
    for content, superseded in zip(
        history.select(columns).rows(), history["superseded"] if history.height else [], strict=True
    ):
        key = tuple(content[at] for at in key_at)
        seen.setdefault(key, {})[content[revision] if revision is not None else None] = content
        if not superseded:
            current[key] = content
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
            fate = revision is not None and now is not None and not _newer(of, now[revision])
            seen.setdefault(key, {})[of] = content
            if not fate:
                current[key] = content
        fates.append(fate)
    marked = rows.with_columns(superseded=pl.Series(fates, dtype=pl.Boolean), late=pl.lit(value=False))
    return Versions(marked.filter(pl.col("superseded").is_not_null()), duplicates, conflicts)


def _newer(revision: Any, other: Any) -> bool:
    return other is None or (revision is not None and revision > other)
