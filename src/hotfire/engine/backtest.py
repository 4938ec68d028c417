"""Backtest: which conditions rules would have found in history, exactly as the engine finds them live.

Rows go through the `Watch` that the engine itself uses; where they come from is in `feed.py`. Nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.alarm.compare import Difference, difference
from hotfire.engine.labels import Fault, Score, score
from hotfire.engine.watch import Ruleset, Watch
from hotfire.rows import BACKFILL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract
    from hotfire.engine.feed import Fed
    from hotfire.engine.traces import Traces
    from hotfire.findings import Change, Condition

PAUSE_NS = 3_600_000_000_000
"""An hour without any row is not counted as covered."""
_HOUR_NS = 3_600_000_000_000
Key = tuple[str, str, str, str, int]


class Backtest(Struct, frozen=True):
    """What rules find in history.

    Attributes:
        rules: the names of all rules, those that found nothing, too.
        conditions: by when they were raised; one that has not returned still held at the end.
        rows: that were accepted, late ones included.
        late: rows behind their asset's clock: they are part of no condition.
        left_out: records that the contract rejects, or takes for a row that is there already; of history none.
        hours: of event time in which rows came, from any asset; pauses longer than an hour are not counted.
        asset_hours: the same of each asset, summed.
        score: against labelled faults; None where there were none to hold it against.
    """

    stream: str
    rules: tuple[str, ...]
    conditions: tuple[Condition, ...]
    rows: int
    late: int
    left_out: int
    hours: float
    asset_hours: float
    score: Score | None = None

    @property
    def per_hour(self) -> float | None:
        """Conditions in an hour; None where no time is covered."""
        return self.rate(len(self.conditions))

    @property
    def by_rule(self) -> Mapping[str, int]:
        """How many conditions each rule has found."""
        found = Counter(one.rule for one in self.conditions)
        return {name: found[name] for name in (*self.rules, *sorted(found.keys() - {*self.rules}))}

    def of(self, rule: str) -> tuple[Condition, ...]:
        """The conditions of one rule."""
        return tuple(one for one in self.conditions if one.rule == rule)

    def against(self, old: Backtest) -> Difference:
        """What other rules found in the same rows, and what of it is new or gone."""
        return difference(old.conditions, self.conditions)

    def scored(self, faults: Sequence[Fault]) -> Backtest:
        """The same, held against labelled faults."""
        return replace(self, score=score(self.conditions, self.asset_hours, faults))

    def rate(self, number: int) -> float | None:
        """So many, in an hour."""
        return number / self.hours if self.hours else None


class Evaluation(Struct):
    """Rules at work on history: what they remember, and the conditions so far.

    Attributes:
        contract: may be narrowed to what the rules read.
        found: every condition as it stands, by shard, rule, asset, channel and number.
    """

    contract: Contract
    ruleset: Ruleset
    watch: Watch = field(default_factory=Watch)
    found: dict[Key, Condition] = field(default_factory=dict)

    def take(self, fed: Fed) -> Sequence[Change]:
        """Give rows to the rules; the changes of conditions that come of them."""
        watched = self.watch.step(self.contract, self.ruleset, fed.rows, (), shard=fed.shard, repair=fed.repair)
        for change in watched.changes:
            one = change.condition
            self.found[fed.shard, one.rule, one.asset, one.channel, one.number] = one
        return watched.changes

    def rules(self) -> tuple[str, ...]:
        """The names of the rules."""
        every = (detector.rule.name for edition in self.ruleset.editions for detector in edition.detectors)
        return tuple(dict.fromkeys(every))


class Coverage(Struct):
    """How many rows there were, and how much event time they cover."""

    contract: Contract
    rows: int = 0
    late: int = 0
    left_out: int = 0
    _spans: list[tuple[int, int]] = field(default_factory=list)
    _last: dict[tuple[str, str], int] = field(default_factory=dict)
    _asset_ns: int = 0

    def take(self, fed: Fed) -> None:
        """Count rows."""
        asset, time = self.contract.identity[:2]
        in_turn = fed.rows if fed.shard.startswith(BACKFILL) else fed.rows.filter(~pl.col("late"))
        self.rows += fed.rows.height
        self.left_out += fed.left_out
        self.late += fed.rows.height - in_turn.height
        if in_turn.is_empty():
            return
        self._spans = _joined([*self._spans, *_spans(np.unique(in_turn[time].to_numpy()))])
        gap = pl.col(time).diff()
        own = in_turn.group_by(asset).agg(
            first=pl.col(time).first(), last=pl.col(time).last(), covered=gap.filter(gap.is_between(0, PAUSE_NS)).sum()
        )
        for name, first, last, covered in own.rows():
            since = self._last.get((fed.shard, name), first)
            self._asset_ns += covered + (first - since if 0 <= first - since <= PAUSE_NS else 0)
            self._last[fed.shard, name] = last

    @property
    def hours(self) -> float:
        """Hours in which rows came from any asset."""
        return sum(until - since for since, until in self._spans) / _HOUR_NS

    @property
    def asset_hours(self) -> float:
        """Hours in which rows came from each asset, summed."""
        return self._asset_ns / _HOUR_NS

    @property
    def reach(self) -> Mapping[tuple[str, str], int]:
        """By shard and asset, the event time of the last row that was not late."""
        return self._last


def backtest(
    contract: Contract, rulesets: Sequence[Ruleset], fed: Iterable[Fed], traces: Traces | None = None
) -> list[Backtest]:
    """What each of several rulesets finds in the same rows, which are read once.

    Args:
        contract: may be narrowed to what the rules read.
        traces: of the conditions that are found; None: nobody asks.
    """
    evaluations, coverage = [Evaluation(contract, ruleset) for ruleset in rulesets], Coverage(contract)
    for some in fed:
        coverage.take(some)
        changes = [one.take(some) for one in evaluations]
        if traces is not None:
            traces.take(some, changes)
    return [_told(one, coverage) for one in evaluations]


def in_order(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Conditions by when they were raised."""
    return tuple(sorted(conditions, key=lambda one: (one.raised_at_ns, one.asset, one.rule, one.channel, one.number)))


def _told(one: Evaluation, coverage: Coverage) -> Backtest:
    counted = (coverage.rows, coverage.late, coverage.left_out, coverage.hours, coverage.asset_hours)
    return Backtest(one.contract.stream, one.rules(), in_order(one.found.values()), *counted)


def _spans(times: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The stretches of ascending instants between which there is no pause."""
    with np.errstate(over="ignore"):
        gaps = np.diff(times)
    ends = np.flatnonzero((gaps > PAUSE_NS) | (gaps < 0))
    starts = np.concatenate([[0], ends + 1])
    ends = np.concatenate([ends, [len(times) - 1]])
    return list(zip(times[starts].tolist(), times[ends].tolist(), strict=True))


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches between which there is no pause, as one."""
    joined: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        if joined and since - joined[-1][1] <= PAUSE_NS:
            joined[-1] = (joined[-1][0], max(until, joined[-1][1]))
        else:
            joined.append((since, until))
    return joined
