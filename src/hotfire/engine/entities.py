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
_Values = tuple[Any, ...]
_GONE: _Values = ()
"""The content of a record that was deleted."""


class Versions(Struct, frozen=True):
    """The fates of accepted entity rows.

    Attributes:
        kept: rows for the history, with `superseded`: True where a newer version is stored already.
        inserted: so many of them are the first version of their record, or the first after its deletion.
        duplicates: record numbers of versions that are stored already.
        conflicts: a fault for each row with the revision of a stored version but other content.
    """

    kept: pl.DataFrame
    duplicates: list[int]
    conflicts: list[Fault]
    inserted: int = 0


def sort_versions(
    contract: Contract,
    rows: pl.DataFrame,
    before: Stored,
    arrived: Sequence[Sequence[int]] = (),
) -> Versions:
    """Decide what becomes of each accepted entity row, in arrival order.

    A deletion is newer than every version before it; none of those is compared with what comes after it.

    Args:
        rows: canonical rows in arrival order, with `deleted` where some may be deletions.
        before: finds every stored version of a key, in order of arrival, with `superseded` and `deleted`. Without a
            revision a column that came later makes a new version.
        arrived: in a repair, by record number: batch and record number that each row came with. Without a revision
            they tell that a newer version has come meanwhile.
    """
    past = _Past(contract, before)
    if rows.height:
        past.load(before.find(rows.select(contract.identity).unique()))
    fates: list[bool | None] = []
    conflicts: list[Fault] = []
    duplicates: list[int] = []
    inserted = 0
    arriving = rows.select("row_no", _gone(rows)).rows()
    for (row_no, is_gone), content in zip(arriving, rows.select(past.columns).rows(), strict=True):
        own = tuple(arrived[row_no]) if arrived else _LAST
        is_first = past.current.get(past.key(content), _GONE) is _GONE
        why = None if is_gone else past.conflict(content)
        newer: bool | None = None
        if why:
            conflicts.append(Fault(row_no, "key.conflict", shown(contract, contract.identity, past.key(content)), why))
        elif (is_gone and is_first) or why == "":
            duplicates.append(row_no)
        else:
            newer = past.delete(content, own) if is_gone else past.add(content, own)
            inserted += newer and is_first and not is_gone
        fates.append(None if newer is None else not newer)
    marked = rows.with_columns(superseded=pl.Series(fates, dtype=pl.Boolean), late=pl.lit(value=False))
    return Versions(marked.filter(pl.col("superseded").is_not_null()), duplicates, conflicts, inserted)


class _Past:
    """What is known of each key: its versions, which of them is current, and what that one arrived as."""

    def __init__(self, contract: Contract, before: Stored) -> None:
        self.columns = [column.storage for column in contract.columns]
        self._contract, self._before = contract, before
        self._revision = self.columns.index(contract.column(contract.revision).storage) if contract.revision else None
        self._key_at = [self.columns.index(name) for name in contract.identity]
        self.current: dict[_Values, _Values] = {}
        self._came: dict[_Values, tuple[int, ...]] = {}
        self._seen: dict[_Values, dict[Any, _Values]] = {}
        self._batches: dict[tuple[_Values, Any], tuple[str, int]] = {}

    def key(self, content: _Values) -> _Values:
        """The identity of a row."""
        return tuple(content[at] for at in self._key_at)

    def load(self, known: pl.DataFrame) -> None:
        """Take the stored versions."""
        if "superseded" not in known.columns or known.is_empty():
            return
        history = known.sort("batch_seq", "row_no")
        marks = history.select("superseded", _gone(history), "shard", "batch_seq", "row_no").rows()
        for content, (superseded, is_gone, shard, *arrival) in zip(
            history.select(self.columns).rows(), marks, strict=True
        ):
            key, of = self.key(content), self._of(content)
            if is_gone:
                self.delete(content, tuple(arrival))
                continue
            self._seen.setdefault(key, {})[of], self._batches[key, of] = content, (shard, arrival[0])
            if not superseded:
                self.current[key], self._came[key] = content, tuple(arrival)

    def conflict(self, content: _Values) -> str | None:
        """Why a version cannot be: its revision is stored with other content. Empty: it is stored; None: it is not."""
        key, of = self.key(content), self._of(content)
        same = self.current.get(key) if self._revision is None else self._seen.get(key, {}).get(of)
        if same == content:
            return ""
        if self._revision is None or same is None:
            return None
        compared = self._before.carried(*self._batches[key, of]) if (key, of) in self._batches else self.columns
        values = zip(self.columns, same, content, strict=True)
        others = ", ".join(name for name, old, new in values if old != new and name in compared)
        named = shown(self._contract, [self.columns[self._revision]], [of])
        return f"revision {named} is stored with another {others}" if others else ""

    def add(self, content: _Values, came: tuple[int, ...]) -> bool:
        """Take a version; whether it is the newest."""
        key, of = self.key(content), self._of(content)
        now = self.current.get(key)
        if now is None:
            newer = True
        elif now is _GONE or self._revision is None:
            newer = came >= self._came[key]
        else:
            newer = _newer(of, now[self._revision])
        self._seen.setdefault(key, {})[of] = content
        self._batches.pop((key, of), None)
        if newer:
            self.current[key], self._came[key] = content, came
        return newer

    def delete(self, content: _Values, came: tuple[int, ...]) -> bool:
        """Take a deletion, which is the newest."""
        key = self.key(content)
        self._seen[key], self.current[key], self._came[key] = {}, _GONE, came
        return True

    def _of(self, content: _Values) -> Any:
        return content[self._revision] if self._revision is not None else None


def _gone(rows: pl.DataFrame) -> pl.Expr:
    """Which rows say that their record is gone."""
    is_gone = pl.col("deleted") if "deleted" in rows.columns else pl.lit(value=False)
    return is_gone.fill_null(value=False).alias("deleted")


def _newer(revision: Any, other: Any) -> bool:
    return other is None or (revision is not None and revision > other)
