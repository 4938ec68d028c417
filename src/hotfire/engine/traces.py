"""The readings around the moment at which a condition was raised, kept while rows go by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct, field

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.feed import Fed
    from hotfire.engine.watch import Ruleset
    from hotfire.findings import Change, Condition

BEFORE, AFTER = 27, 12
"""So many readings are kept before the one that raised a condition, and after it."""
MOST = 1_000
"""Of so many conditions."""
_WORD = re.compile(r"[a-z0-9_]+")
Key = tuple[str, str, str, int]


class Trace(Struct):
    """A channel around one moment.

    Attributes:
        values: in order of event time; None where a row has none.
        trip: the index of the reading that raised the condition.
    """

    channel: str
    unit: str | None
    values: list[float | None]
    trip: int
    shard: str = ""
    asset: str = ""
    upto_ns: int = 0


class Traces(Struct):
    """Keeps what is around the conditions of several rulesets, which are given the same rows.

    Attributes:
        shown: by ruleset, the channel that people are shown of a rule that has none of its own.
    """

    contract: Contract
    shown: Sequence[Mapping[str, str]]
    _kept: dict[Key, Trace] = field(default_factory=dict)
    _open: list[Trace] = field(default_factory=list)
    _tails: dict[str, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract, rulesets: Sequence[Ruleset]) -> Traces:
        """Nothing so far."""
        return cls(contract, [_shown(contract, one) for one in rulesets])

    def around(self, one: Condition) -> Trace | None:
        """The readings around a condition; None where they were not kept, or are no numbers."""
        return self._kept.get((one.rule, one.asset, one.channel, one.raised_at_ns))

    def take(self, fed: Fed, changes: Sequence[Sequence[Change]]) -> None:
        """Rows, and the changes of conditions that came of them, by ruleset."""
        asset, time = self.contract.identity[:2]
        rows = fed.rows.filter(~pl.col("late")).drop("row_no", "late", "batch_seq", strict=False)
        self._go_on(fed.shard, rows)
        tail = self._tails.get(fed.shard)
        window = rows if tail is None else pl.concat([tail, rows])
        for shown, own in zip(self.shown, changes, strict=True):
            for change in own:
                one = change.condition
                channel = one.channel or shown.get(one.rule, "")
                if change.what == "raised" and channel and len(self._kept) < MOST:
                    near = window.filter(pl.col(asset) == one.asset).sort(time, maintain_order=True)
                    self._begin(fed.shard, one, near.select(time, pl.col(channel).cast(pl.Float64)))
        self._tails[fed.shard] = window.group_by(asset, maintain_order=True).tail(BEFORE)

    def _begin(self, shard: str, one: Condition, near: pl.DataFrame) -> None:
        """A condition was raised: `near` are the times and values of its asset."""
        key = (one.rule, one.asset, one.channel, one.raised_at_ns)
        at = int(near.to_series(0).search_sorted(one.raised_at_ns, side="right")) - 1
        if at < 0 or key in self._kept:
            return
        first = max(0, at - BEFORE)
        some = near.slice(first, at - first + 1 + AFTER)
        channel = some.columns[1]
        upto_ns, unit = some.to_series(0)[-1], self.contract.column(channel).unit
        trace = Trace(channel, unit, some[channel].to_list(), at - first, shard, one.asset, upto_ns)
        self._kept[key] = trace
        if _lacking(trace):
            self._open.append(trace)

    def _go_on(self, shard: str, rows: pl.DataFrame) -> None:
        """Readings that come after a moment in the last rows."""
        asset, time = self.contract.identity[:2]
        for trace in [one for one in self._open if one.shard == shard]:
            near = rows.filter((pl.col(asset) == trace.asset) & (pl.col(time) > trace.upto_ns)).sort(time)
            some = near.head(_lacking(trace))
            if some.height:
                trace.values += some[trace.channel].cast(pl.Float64).to_list()
                trace.upto_ns = some[time][-1]
        self._open = [one for one in self._open if _lacking(one)]


def _lacking(trace: Trace) -> int:
    return trace.trip + 1 + AFTER - len(trace.values)


def _shown(contract: Contract, ruleset: Ruleset) -> Mapping[str, str]:
    """Of each rule, the first number that it names."""
    numbers = {one.name for one in contract.columns if one.type in ("number", "integer")}
    found = {}
    for edition in ruleset.editions:
        for rule in (detector.rule for detector in edition.detectors):
            words = [*rule.channels, *_WORD.findall(str(dict(rule.parameters)).lower())]
            found[rule.name] = next((word for word in words if word in numbers), "")
    return found
