"""Does every received record have exactly one fate? Counted again in the tables, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from hotfire.errors import SourceChanged, UserError
from hotfire.ledger.arrival import ledger
from hotfire.ledger.cleared import rows_cleared
from hotfire.rows import Plan, Span

if TYPE_CHECKING:
    import polars as pl

    from hotfire.contract.model import Contract
    from hotfire.protocols import Lake, Source, Store


class Balance(Struct, frozen=True):
    """One stream's equation, and every place where a recount differs from the ledger.

    Attributes:
        totals: received, stored, duplicate, superseded, quarantined, corrected, late, batches.
        pending: records that are planned and have no commit yet.
        differences: one sentence each; empty where everything holds.
        unread: which batches can no longer be read again and why, a sentence each, where that was asked for. What is
            not there to be counted differs from nothing.
        unread_batches: how many those are.
        cleared: stored rows that retention has left only to the lake.
    """

    stream: str
    totals: Mapping[str, int]
    pending: int
    differences: list[str]
    unread: list[str] = field(default_factory=list)
    unread_batches: int = 0
    cleared: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every recount gives what the ledger says."""
        return not self.differences


def markers(stream: str, store: Store, lake: Lake) -> dict[str, int]:
    """By shard, the last batch that the lake holds now."""
    return {shard: lake.marker(stream, shard) for shard in store.query("shards", stream=stream)["shard"]}


def balance(
    contract: Contract,
    store: Store,
    lake: Lake | None,
    *,
    lake_only: bool = False,
    source: Source | None = None,
    upto: Mapping[str, int] | None = None,
) -> Balance:
    """Recount one stream.

    Args:
        lake_only: the stream's rows are kept in the lake and not in the store.
        source: reads every span again, where it still can, and compares bytes and number of records.
        upto: the `markers` as they were before the moment of which the store is read, where an engine goes on
            meanwhile: what came to the lake since is not compared.
    """
    stream = contract.stream
    totals = store.query("ledger_totals", stream=stream).row(0, named=True)
    differences: list[str] = []
    if totals["received"] != sum(totals[fate] for fate in ("stored", "duplicate", "superseded", "quarantined")):
        differences.append(f"{stream}: the totals do not add up: {totals}")
    unread: dict[str, list[int]] = {}
    for shard, committed in store.query("shards", stream=stream).select("shard", "committed_seq").rows():
        marker = (upto if upto is not None else markers(stream, store, lake) if lake else {}).get(shard, 0)
        recount = _Recount(contract, store, lake, (shard, marker), lake_only=lake_only)
        if upto is not None:
            recount.overlook(max(marker, committed))
        for row in ledger(store, stream, shard):
            differences.extend(recount.batch(row))
            if source is not None and not row["repair"]:
                differences.extend(_reread(source, row, unread))
        differences.extend(recount.end(committed, store.query("places", stream=stream, shard=shard)))
    plans = store.query("unfinished_plans", stream=stream)["plan"]
    pending = sum(_planned(text) for text in plans)
    sentences = [f"{why}: {_called(batches)} cannot be counted again" for why, batches in sorted(unread.items())]
    cleared = rows_cleared(store, stream)
    return Balance(stream, totals, pending, differences, sentences, sum(map(len, unread.values())), cleared)


class _Recount:
    """Counts one shard's batches in the tables, and follows its spans."""

    def __init__(
        self, contract: Contract, store: Store, lake: Lake | None, upto: tuple[str, int], *, lake_only: bool
    ) -> None:
        shard, self._marker = upto
        self._name = f"{contract.stream}/{shard}"
        self._lake_only = lake_only
        self._next_seq = 1
        self._ends: dict[str, int] = {}
        self._store_rows = _by_batch(store.counts(contract, shard))
        self._quarantined = _by_batch(store.query("quarantined_by_batch", stream=contract.stream, shard=shard))
        moved = store.query("moved_by_batch", stream=contract.stream, shard=shard)
        self._moved = {(seq, fate): rows for seq, fate, rows in moved.rows()}
        self._has_lake = lake is not None
        self._lake_rows = _by_batch(lake.counts(contract.stream).filter(shard=shard)) if lake else {}
        cleared = store.query("cleared", stream=contract.stream).rows(named=True)
        self._cleared = sum(row["cleared"] for row in cleared if row["shard"] == shard)
        self._seen: set[int] = set()

    def overlook(self, after: int) -> None:
        """Do not mind what the lake holds of later batches than this."""
        self._lake_rows = {seq: rows for seq, rows in self._lake_rows.items() if seq <= after}

    def batch(self, row: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with one batch."""
        seq = row["batch_seq"]
        at = f"{self._name} batch {seq}"
        if seq != self._next_seq:
            yield f"{at}: batch {self._next_seq} is missing from the ledger"
        self._next_seq = seq + 1
        self._seen.add(seq)
        kept, cleared = row["stored"] + row["superseded"], row["cleared"]
        self._cleared -= cleared
        if not self._lake_only:
            yield from _differs(f"{at}: rows in the store", kept - cleared, self._store_rows.get(seq, 0))
        if seq <= self._marker or self._lake_only or (cleared and self._has_lake):
            yield from _differs(f"{at}: rows in the lake", kept, self._lake_rows.get(seq, 0))
        if row["repair"]:
            for fate in ("stored", "duplicate", "superseded"):
                moved = self._moved.get((seq, fate), 0)
                yield from _differs(f"{at}: rows moved out of quarantine as {fate}", row[fate], moved)
        else:
            yield from _differs(f"{at}: rows in quarantine", row["quarantined"], self._quarantined.get(seq, 0))
            yield from self._spans(at, row)

    def end(self, committed: int, places: pl.DataFrame) -> Iterator[str]:
        """What is in the tables and in no batch of the ledger; whether the ledger ends where the checkpoint stands."""
        yield from _differs(f"{self._name}: last batch of the checkpoint", self._next_seq - 1, committed)
        if self._cleared:
            yield f"{self._name}: rows that retention took out of the store: {self._cleared:+,} beside the ledger"
        if self._marker > committed:
            yield f"{self._name}: the lake holds batch {self._marker}, the store only {committed}"
        for key, label, offset in places.select("place", "label", "at_offset").rows():
            if offset != self._ends.get(key, offset):
                yield f"{self._name}: {label} will go on at {offset}, the last batch ended at {self._ends[key]}"
        for place, counts in (("store", self._store_rows), ("lake", self._lake_rows)):
            for seq in sorted(set(counts) - self._seen):
                if counts[seq]:
                    yield f"{self._name}: {counts[seq]} rows of batch {seq} in the {place}, and no such batch"
        for seq in sorted(set(self._quarantined) - self._seen):
            yield f"{self._name}: {self._quarantined[seq]} rows of batch {seq} in quarantine, and no such batch"

    def _spans(self, at: str, row: Mapping[str, Any]) -> Iterator[str]:
        span = msgspec.json.decode(row["span"], type=Span)
        yield from _differs(f"{at}: records in its span", row["received"], span.rows)
        for part in span.parts:
            key = part.place.key
            expected = self._ends.get(key, part.place.offset)
            if part.place.offset != expected:
                yield f"{at}: {part.place.label} goes on at {part.place.offset}, the last batch ended at {expected}"
            self._ends[key] = part.end


def _reread(source: Source, row: Mapping[str, Any], unread: dict[str, list[int]]) -> Iterator[str]:
    """Whether a batch's span still has its records. What cannot be read as it was is noted: why, and which batches."""
    seq, span = row["batch_seq"], msgspec.json.decode(row["span"], type=Span)
    try:
        read = source.reread(span.whole())
    except (SourceChanged, UserError) as error:
        unread.setdefault(error.what.rstrip("."), []).append(seq)
        return
    if read.sha256 == row["sha256"]:
        yield from _differs(f"batch {seq}: records read again", span.whole().rows, len(read.records))
        return
    labels = list(dict.fromkeys(part.place.label for part in span.parts))
    more = f" or one of {len(labels) - 1:,} others" if len(labels) > 1 else ""
    unread.setdefault(f"{labels[0]}{more} has other content now", []).append(seq)


def _called(batches: Sequence[int]) -> str:
    """`batch 3`, `batches 3 and 4`, `12 batches from 3 to 20`."""
    if len(batches) <= 2:
        return f"batch{'es' * (len(batches) > 1)} {' and '.join(map(str, batches))}"
    return f"{len(batches):,} batches from {min(batches)} to {max(batches)}"


def _by_batch(counts: pl.DataFrame) -> dict[int, int]:
    return dict(counts.select("batch_seq", "rows").rows())


def _differs(what: str, ledger: int, counted: int) -> Iterator[str]:
    if ledger != counted:
        yield f"{what}: {counted:,}, the ledger says {ledger:,}"


def _planned(text: str) -> int:
    plan = msgspec.json.decode(text, type=Plan)
    return 0 if plan.repair else plan.span.rows
