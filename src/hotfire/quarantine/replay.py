"""Quarantined rows as a source: they go through the same engine again, judged by today's contract.

A replay is idempotent: a repaired row leaves quarantine in the commit that stores it, and deduplication sees whatever
arrived meanwhile. The loop guard leaves rows alone that were tried `tries` times in vain.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from hotfire.errors import SourceChanged
from hotfire.protocols import Records
from hotfire.rows import Part, Place, Position, Span
from hotfire.source.formats.join import records_from_raw

if TYPE_CHECKING:
    import polars as pl

    from hotfire.protocols import Store

_PLACE = "quarantine"


class QuarantineRead(Struct, frozen=True):
    """Quarantined rows on their way through the engine."""

    span: Span
    sha256: str
    records: Records
    received_at_ns: int | None = None


class QuarantineSource:
    """Implements `protocols.Source` on a stream's open quarantine rows, oldest first.

    Args:
        store: a connection of its own, for it is read while the engine writes.
        tries: rows tried this often are left alone.
        check: only rows that broke this check; empty: all.
    """

    def __init__(self, store: Store, stream: str, tries: int, check: str = "", batch: int = 10_000) -> None:
        self._store = store
        self._stream = stream
        self._tries = tries
        self._check = check
        self._batch = batch

    def poll(self, after: Position) -> QuarantineRead | None:
        """The next open rows by id; a row is polled once a run, whatever becomes of it."""
        first = after[_PLACE].offset if _PLACE in after else 0
        while True:
            page = self._store.query(
                "quarantine_raw", stream=self._stream, tries=self._tries, after=first - 1, page=self._batch
            )
            if page.is_empty():
                return None
            chosen = [row for row in page.rows(named=True) if not self._check or self._check in _checks(row)]
            end = page["id"][-1] + 1
            if chosen:
                return _read(chosen, first, end)
            first = end

    def reread(self, span: Span) -> QuarantineRead:
        """The rows of a planned repair again."""
        (part,) = span.parts
        ids = set(part.place.facts["ids"])
        rows = self._store.query("quarantine_between", stream=self._stream, first=min(ids), end=max(ids) + 1)
        chosen = [row for row in rows.rows(named=True) if row["id"] in ids and row["state"] == "open"]
        if len(chosen) != len(ids):
            raise SourceChanged(
                f"{len(ids) - len(chosen)} of the rows planned for repair have left quarantine meanwhile.",
                "Run `hotfire doctor --repair` to drop the plan, which had no effects, and replay again.",
            )
        return _read(chosen, part.place.offset, part.end)

    def acknowledge(self, position: Position) -> None:
        """The commit itself takes rows out of quarantine."""

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


def _read(rows: list[dict[str, Any]], first: int, end: int) -> QuarantineRead:
    arrived = [(row["batch_seq"], row["row_no"]) for row in rows]
    place = Place(_PLACE, _PLACE, first, 1, {"ids": [row["id"] for row in rows], "arrived": arrived})
    digest = hashlib.sha256()
    raws = []
    for row in rows:
        digest.update(len(row["raw"]).to_bytes(8, "big") + row["raw"])
        facts = msgspec.json.decode(row["facts"])
        raws.append((row["raw"], facts, Place(_PLACE, row["place"], row["at_offset"], row["line"], facts)))
    span = Span((Part(place, end, 1, len(rows)),))
    return QuarantineRead(span, digest.hexdigest(), records_from_raw(raws))


def _checks(row: dict[str, Any]) -> set[str]:
    return {fault["check"] for fault in msgspec.json.decode(row["faults"])}


def histogram(pages: pl.DataFrame) -> dict[str, int]:
    """How many rows broke each check, from a frame with `faults`; a row counts once a check."""
    counted: dict[str, int] = {}
    for faults in pages["faults"]:
        for check in {fault["check"] for fault in msgspec.json.decode(faults)}:
            counted[check] = counted.get(check, 0) + 1
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
