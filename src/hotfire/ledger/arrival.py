"""A stream in the order in which it arrived: stored rows from the store, or from the lake where the store let go of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct, field

from hotfire.rows import BACKFILL, Span

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.protocols import Lake, Store

ROWS = 100_000
"""Batches are read together up to about so many rows."""
_PAGE = 512


class Arrived(Struct, frozen=True):
    """Consecutive batches of one shard under the same contract and rules, between which nothing else arrived.

    Attributes:
        repair: the rows came out of quarantine.
        remembered_as: the shard, of a backfill with its number.
        ledger: their ledger rows, in order.
        rows: their stored rows (of entities, of the history), in the order of arrival, bookkeeping included.
    """

    shard: str
    repair: bool
    remembered_as: str
    ledger: Sequence[dict[str, Any]]
    rows: pl.DataFrame

    @property
    def first(self) -> int:
        """The number of the first batch."""
        return int(self.ledger[0]["batch_seq"])

    @property
    def last(self) -> int:
        """The number of the last batch."""
        return int(self.ledger[-1]["batch_seq"])


class Wanted(Struct, frozen=True):
    """What of stored rows is wanted.

    Attributes:
        columns: only these, `batch_seq` and `row_no` among them; all if None.
        in_lake: by shard, the batch up to which rows are rather taken from the lake.
    """

    columns: Sequence[str] | None = None
    in_lake: Mapping[str, int] = field(default_factory=dict)


def arrived(
    contract: Contract,
    store: Store,
    lake: Lake | None,
    *,
    lake_only: bool = False,
    together: int = ROWS,
    wanted: Wanted | None = None,
) -> Iterator[Arrived]:
    """Every committed batch of a stream. Batches of several shards come in the order of their commits.

    Args:
        lake_only: the stream's rows are kept in the lake and not in the store.
        together: batches are read together up to about so many rows; 0: one by one.
        wanted: what of the rows; everything if None.
    """
    read = _Reading(contract, store, lake, lake_only, wanted or Wanted())
    shards = store.query("shards", stream=contract.stream)["shard"].to_list()
    pages = [ledger(store, contract.stream, shard) for shard in shards]
    in_order = merge(*pages, key=lambda row: int(row["arrival"]))
    for (shard, repair, remembered, _, _), batches in groupby(in_order, key=_alike):
        for some in _together(batches, together):
            yield Arrived(shard, repair, remembered, some, read.rows(shard, some))


def committed(rows: pl.DataFrame, store: Store, stream: str) -> pl.DataFrame:
    """Those rows of the lake whose batches are committed: rows that are kept only there come before their commit.

    Args:
        rows: with `shard` and `batch_seq`.
    """
    upto = store.query("shards", stream=stream).select(
        pl.col("shard").cast(pl.String), pl.col("committed_seq").cast(pl.Int64)
    )
    known = rows.join(upto, on="shard", how="left", maintain_order="left")
    return known.filter(pl.col("batch_seq") <= pl.col("committed_seq")).drop("committed_seq")


def remembered_as(shard: str, span: Span) -> str:
    """Under which name detectors remember the assets of a batch: its shard; each backfill remembers for itself."""
    if shard != BACKFILL or not span.parts:
        return shard
    return f"{BACKFILL}/{span.parts[0].place.key.partition('/')[0]}"


def _alike(row: dict[str, Any]) -> tuple[str, bool, str, str, str]:
    """Equal for batches that may be taken together."""
    shard = row["shard"]
    remembered = remembered_as(shard, msgspec.json.decode(row["span"], type=Span)) if shard == BACKFILL else shard
    return shard, bool(row["repair"]), remembered, row["contract"], row["rules"]


def ledger(store: Store, stream: str, shard: str) -> Iterator[dict[str, Any]]:
    """Every row of a shard's ledger, in order."""
    after = 0
    while True:
        page = store.query("ledger", stream=stream, shard=shard, after=after, page=_PAGE)
        yield from page.iter_rows(named=True)
        if page.height < _PAGE:
            return
        after = page["batch_seq"][-1]


def _together(batches: Iterator[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    rows = 0
    for batch in batches:
        some.append(batch)
        rows += batch["stored"] + batch["superseded"] + batch["quarantined"]
        if rows >= most:
            yield some
            some, rows = [], 0
    if some:
        yield some


class _Reading(Struct, frozen=True):
    """Where rows are read from, as `arrived` says."""

    contract: Contract
    store: Store
    lake: Lake | None
    lake_only: bool
    wanted: Wanted

    def rows(self, shard: str, batches: Sequence[dict[str, Any]]) -> pl.DataFrame:
        """The batches' rows. A batch of which retention has left rows only to the lake is taken from there, whole."""
        columns = self.wanted.columns
        there = [batch["batch_seq"] for batch in batches if self._in_lake(shard, batch)]
        if self.lake is None or not there:
            return self.store.rows(self.contract, shard, pl.DataFrame(batches), columns)
        of_them = pl.col("batch_seq").is_in(there)
        found = self.lake.batches(self.contract, shard, there[0], there[-1]).filter(of_them)
        if len(there) == len(batches) and columns is not None:
            return found.select(columns)
        rows = self.store.rows(self.contract, shard, pl.DataFrame(batches), columns)
        return pl.concat([rows.filter(~of_them), found.select(rows.columns)]).sort("batch_seq", "row_no")

    def _in_lake(self, shard: str, batch: dict[str, Any]) -> bool:
        return self.lake_only or batch["cleared"] > 0 or batch["batch_seq"] <= self.wanted.in_lake.get(shard, 0)
