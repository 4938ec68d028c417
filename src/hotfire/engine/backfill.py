"""Backfill: what is missing is brought in by a shard of its own, apart from live, whose state it does not touch.

A backfill does not receive every record that it reads. It takes those with an event time in one of its intervals that are
more than `WINDOW_NS` behind their asset's clock in live: what is newer is left to live, which remembers only its own rows
there. Where live has never seen an asset, all is taken. A record that is rejected has no event time to rely on: it goes
with the record before it in its file.

Which records were taken depends on live's clocks, so the span says so (`Part.facts`). A batch that was planned before a crash
is planned anew after it: live may have gone on in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.engine.flow import Judged
from hotfire.engine.memory import WINDOW_NS
from hotfire.protocols import Records
from hotfire.rows import BACKFILL, Backfill, Part, Place, Position, Span, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract
    from hotfire.engine.flow import Flow
    from hotfire.protocols import Read, Source, Store
    from hotfire.rows import Plan

_MOST = 2**63 - 1


class Taking:
    """Takes its part of one batch after another."""

    def __init__(self, contract: Contract, backfill: Backfill) -> None:
        self._contract, self._backfill = contract, backfill
        self._took: dict[str, bool] = {}

    def part_of(self, batch: Judged, assets: pl.DataFrame) -> Judged:
        """The batch, with the records that are taken and a span that says which.

        Args:
            assets: as they stand now: `asset`, `clock_ns`, `shard`.
        """
        parts = batch.read.span.parts
        before = [self._took.get(part.place.key, part.place.facts.get("took", True)) for part in parts]
        limits = limits_of(assets)
        taken, left = _taken(
            self._contract, self._backfill.intervals, batch, list(zip(parts, before, strict=True)), limits
        )
        told: Mapping[str, Any] = {"limits": dict(limits.join(left, on="asset", how="semi").rows())}
        noted = []
        for part, was, (start, end) in zip(parts, before, _bounds(parts), strict=True):
            took = bool(taken[end - 1]) if end > start else was
            lefts = int(left["row_no"].is_between(start, end - 1).sum())
            facts = {**part.facts, "read": part.rows, "took": took, "left": lefts, **told}
            known = {name: fact for name, fact in part.place.facts.items() if name not in {"limits", "left", "read"}}
            place = replace(part.place, facts={**known, "took": was})
            noted.append(Part(place, part.end, part.end_line, int(taken[start:end].sum()), facts))
            self._took[part.place.key], told = took, {}
        return _only(replace(batch, read=_Noted(batch.read, Span(tuple(noted)))), taken)


def taken_anew(flow: Flow, contract: Contract, plan: Plan, batch: Judged, assets: pl.DataFrame) -> tuple[Plan, Judged]:
    """A planned batch that was read again, with what is taken of it as live stands now, and the plan that says so.

    Live may have met an asset since, of which the plan takes rows that live would not look for.

    Args:
        assets: as they stand now.
    """
    own = _planned_by(flow.store, plan.stream, plan.span)
    taken = Taking(contract, own).part_of(replace(batch, read=_Noted(batch.read, plan.span.whole())), assets)
    return replace(plan, span=taken.read.span), taken


def left_out(store: Store, contract: Contract, span: Span, rows: pl.DataFrame) -> bool:
    """Whether a committed batch did not take an accepted record of its span; one that is rejected alone counts as left.

    Args:
        rows: the record, judged: `Verdict.rows`.
    """
    if rows.is_empty():
        return True
    asset, time = rows.select(contract.identity[:2]).row(0)
    intervals = _planned_by(store, contract.stream, span).intervals
    limit = span.parts[0].facts["limits"].get(asset, _MOST)
    return not (within(pl.Series([time]), intervals)[0] and time < limit)


def _planned_by(store: Store, stream: str, span: Span) -> Backfill:
    return backfill_of(store, stream, int(span.parts[0].place.key.partition("/")[0]))


def backfill_of(store: Store, stream: str, number: int) -> Backfill:
    """What was written down of a backfill when it began."""
    spec = msgspec.json.decode(store.query("backfill", stream=stream, number=number)["spec"].item())
    return Backfill(number, tuple((since, until) for since, until in spec["intervals"]))


def limits_of(assets: pl.DataFrame) -> pl.DataFrame:
    """From `limit` on, in nanoseconds of UTC, rows of an `asset` are left to live. Assets that live knows."""
    held = assets.filter(pl.col("shard") != BACKFILL)
    return held.select("asset", limit=pl.col("clock_ns").clip(-_MOST + WINDOW_NS) - WINDOW_NS)


class BackfillSource:
    """Implements `protocols.Source`: another source's places under names of the backfill, read from their beginning.

    Args:
        number: of the backfill.
    """

    def __init__(self, source: Source, number: int) -> None:
        self._source, self._prefix = source, f"{number}/"

    def poll(self, after: Position) -> Read | None:
        """The next records; all of them, for only who has judged them can tell which are taken."""
        read = self._source.poll(self._own(after))
        if read is None:
            return None
        parts = [replace(part, place=self._named(part.place)) for part in read.span.parts]
        return _Noted(read, Span(tuple(parts)))

    def reread(self, span: Span) -> Read:
        """All records of a span. Raises SourceChanged where that is impossible."""
        own = [replace(part, place=replace(part.place, key=_bare(part.place.key))) for part in span.whole().parts]
        return _Noted(self._source.reread(Span(tuple(own))), span)

    def acknowledge(self, position: Position) -> None:
        """The source may let go of it."""
        self._source.acknowledge(self._own(position))

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _own(self, position: Position) -> Position:
        own = [place for key, place in position.items() if key.startswith(self._prefix)]
        return {_bare(place.key): replace(place, key=_bare(place.key)) for place in own}

    def _named(self, place: Place) -> Place:
        return replace(place, key=self._prefix + place.key)


class _Noted(Struct, frozen=True):
    """What another source read, under another span."""

    source: Read
    span: Span

    @property
    def sha256(self) -> str:
        """Of all bytes that were read."""
        return self.source.sha256

    @property
    def records(self) -> Records:
        """All of them."""
        return self.source.records

    @property
    def received_at_ns(self) -> int | None:
        """When they reached hotfire."""
        return self.source.received_at_ns


def _bare(key: str) -> str:
    return key.partition("/")[2]


def _bounds(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """The numbers of each part's first record, and of the one after its last."""
    return list(pairwise([0, *np.cumsum([part.rows for part in parts]).tolist()]))


def _taken(
    contract: Contract,
    intervals: Sequence[tuple[int, int]],
    batch: Judged,
    parts: Sequence[tuple[Part, bool]],
    limits: pl.DataFrame,
) -> tuple[NDArray[np.bool_], pl.DataFrame]:
    """Which records are taken, by number, and which (`row_no`, `asset`) are left to live.

    Args:
        parts: with the number of records read, and whether the last accepted record before the part was taken.
        limits: by asset, the event time from which on rows are left to live.
    """
    asset, time = contract.identity[:2]
    rows = batch.verdict.rows.select("row_no", pl.col(asset).alias("asset"), pl.col(time).alias("time"))
    rows = rows.join(limits, on="asset", how="left", maintain_order="left")
    wanted = within(rows["time"], intervals)
    recent = (rows["time"] >= rows["limit"]).fill_null(value=False).to_numpy()
    numbers = rows["row_no"].to_numpy()
    fate = np.full(sum(part.rows for part, _ in parts), -1, dtype=np.int8)
    fate[numbers] = wanted & ~recent
    for (_, before), (start, end) in zip(parts, _bounds([part for part, _ in parts]), strict=True):
        own = fate[start:end]
        last = np.maximum.accumulate(np.where(own >= 0, np.arange(end - start), -1))
        fate[start:end] = np.where(last >= 0, own[last], before)
    return fate.astype(bool), rows.filter(pl.Series(wanted & recent)).select("row_no", "asset")


def within(times: pl.Series, intervals: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which instants lie in one of the intervals."""
    if not intervals:
        return np.zeros(len(times), dtype=bool)
    starts, ends = (np.array(side, dtype=np.int64) for side in zip(*intervals, strict=True))
    instants = times.to_numpy()
    at = np.searchsorted(starts, instants, side="right") - 1
    found: NDArray[np.bool_] = (at >= 0) & (instants < ends[at])
    return found


def _only(batch: Judged, taken: NDArray[np.bool_]) -> Judged:
    verdict = batch.verdict
    return replace(
        batch,
        verdict=Verdict(
            verdict.rows.filter(pl.Series(taken[verdict.rows["row_no"].to_numpy()])),
            {row_no: faults for row_no, faults in verdict.rejected.items() if taken[row_no]},
            [one for one in verdict.corrections if taken[one.row_no]],
        ),
    )
