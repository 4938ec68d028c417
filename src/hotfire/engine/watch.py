"""Detection in the engine: which rows reach which rules, what they remember, which conditions come of it.

Rows reach detectors in arrival order against their asset's own clock: a late row meets bare limits only. With
`hotfire.reorder` rows wait until their asset's clock is so far past them, and are given in order of event time then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.alarm.conditions import after, ended
from hotfire.detect.model import Readings
from hotfire.engine.watched import BEGINNING_NS, Remembered, put_off, read, waiting, written
from hotfire.findings import Change, Finding, Watched
from hotfire.rows import BACKFILL

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.detect.model import State
    from hotfire.protocols import Detector
    from hotfire.rows import Correction


class Edition(Struct, frozen=True):
    """The detectors that hold from one event time on.

    Attributes:
        major: the contract's major version: with another one everything begins anew.
        rules: equal where the same rules hold.
    """

    valid_from_ns: int
    detectors: tuple[Detector, ...]
    major: int
    rules: str

    @property
    def key(self) -> str:
        """Equal where nothing changes for a detector."""
        return f"{self.major}:{self.rules}"


class Ruleset(Struct, frozen=True):
    """The rules that a batch is watched by.

    Attributes:
        hash: names the texts they were compiled from; empty: there are no rules but the contract's limits.
        editions: in order of `valid_from_ns`; the first is valid from the beginning.
    """

    hash: str = ""
    editions: tuple[Edition, ...] = ()


UNWATCHED = Ruleset("-")
"""Of a flow by which nothing new comes. What is planned already was watched by rules of another name."""


class _Findings(Struct):
    """What comes of one batch."""

    findings: list[Finding]
    changes: list[Change]
    touched: set[str]


class Watch:
    """What the detectors of a stream remember, by shard and asset. Belongs to one run of the engine, which begins anew where a commit fails.

    Args:
        states: of assets: shard, asset, text.
    """

    def __init__(self, states: Iterable[tuple[str, str, str]] = ()) -> None:
        self._assets: dict[tuple[str, str], Remembered] = {}
        self._texts = {(shard, asset): text for shard, asset, text in states}

    def _of(self, shard: str, asset: str) -> Remembered:
        found = self._assets.get((shard, asset))
        if found is None:
            text = self._texts.pop((shard, asset), "")
            found = self._assets[shard, asset] = read(text) if text else Remembered()
        return found

    def step(
        self,
        contract: Contract,
        ruleset: Ruleset,
        rows: pl.DataFrame,
        corrections: Sequence[Correction],
        *,
        shard: str,
        repair: bool = False,
    ) -> Watched:
        """What rules make of the rows that a batch stores.

        Args:
            rows: with `late`, `row_no` and the contract's storage columns, sorted by asset and event time, and equal
                ones in the order of their arrival.
            corrections: of these rows.
            shard: the name under which the rows' assets are remembered: `remembered_as`.
            repair: the rows come out of quarantine: they are late, whatever their time.
        """
        if contract.kind != "telemetry" or rows.is_empty():
            return Watched()
        came = _Findings(_impossible(contract, rows, corrections), [], set())
        if any(one.detectors for one in ruleset.editions):
            fed, late = self._turns(contract, rows, shard, came.touched, repair=repair)
            for edition, part in _parts(contract, ruleset, late):
                came.findings += _late(edition, Readings.of(contract, part))
            for edition, part in _parts(contract, ruleset, fed):
                self._judge(edition, Readings.of(contract, part), shard, came)
        states = {asset: written(self._assets[shard, asset]) for asset in sorted(came.touched)}
        return Watched(tuple(came.findings), tuple(sorted(came.changes, key=_when)), states, shard)

    def recall(self, watched: Watched) -> None:
        """Take over what is known to have come of rows, instead of judging them again."""
        for change in watched.changes:
            one = change.condition
            self._of(watched.shard, one.asset).conditions[one.rule, one.asset, one.channel] = one

    def _turns(
        self, contract: Contract, rows: pl.DataFrame, shard: str, touched: set[str], *, repair: bool
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows whose turn it is, each asset's in order of event time, and those that are too late for one."""
        if repair:
            return rows.clear(), rows
        if not contract.reorder_ns and not shard.startswith(BACKFILL):
            late = rows["late"]
            return (rows.filter(~late), rows.filter(late)) if late.any() else (rows, rows.clear())
        asset, time = contract.identity[:2]
        names = [column.storage for column in contract.columns]
        met = rows[asset].unique(maintain_order=True)
        kept = [self._of(shard, one) for one in met]
        rows = rows.sort("row_no")
        clocks = pl.DataFrame(
            {asset: met, "before": [one.clock_ns for one in kept]}, schema_overrides={"before": pl.Int64}
        )
        rows = rows.join(clocks, on=asset, how="left", maintain_order="left")
        earlier = pl.col(time).cum_max().shift(1).over(asset)
        clock = pl.max_horizontal("before", earlier)
        is_late = (pl.col(time) < clock - contract.reorder_ns) & (clock > BEGINNING_NS + contract.reorder_ns)
        rows = rows.with_columns(too_late=is_late)
        tops = rows.group_by(asset).agg(pl.max_horizontal(pl.col(time).max(), pl.col("before").first()).alias("top"))
        came = rows.filter(~pl.col("too_late")).select(names)
        both = pl.concat([waiting(contract, kept, came.schema), came]).sort(asset, time, maintain_order=True)
        both = both.join(tops, on=asset, how="left", maintain_order="left")
        turn = both[time] <= both["top"] - contract.reorder_ns
        left = both.filter(~turn).select(names).partition_by(asset, as_dict=True)
        top = dict(tops.rows())
        for name, one in zip(met, kept, strict=True):
            held = left.get((name,))
            one.waiting, one.clock_ns = put_off(held) if held is not None else (), top[name]
        touched.update(met)
        return both.filter(turn).select(names), rows.filter("too_late").select(names)

    def _judge(self, edition: Edition, readings: Readings, shard: str, came: _Findings) -> None:
        """Give readings to the detectors of one edition."""
        kept = [self._of(shard, asset) for asset in readings.assets]
        for asset, one, first in zip(readings.assets, kept, readings.edges, strict=False):
            if one.edition != edition.key:
                came.changes += _replaced(one, edition, int(readings.times[first]))
                came.touched.add(asset)
        for detector in edition.detectors:
            key = detector.rule.key
            before = {
                asset: one.rules[key] for asset, one in zip(readings.assets, kept, strict=True) if key in one.rules
            }
            states = dict(before)
            found = detector.step(states, readings)
            for asset in states.keys() if states else ():
                if states[asset] != before.get(asset, {}):
                    came.touched.add(asset)
                    _keep(self._assets[shard, asset], key, states[asset])
            came.findings += found
            for finding in found:
                came.touched.add(finding.asset)
                held = self._assets[shard, finding.asset].conditions
                came.changes += after(held, [finding], detector.rule.about)


def _keep(one: Remembered, key: str, state: State) -> None:
    if state:
        one.rules[key] = state
    else:
        one.rules.pop(key, None)


def _parts(contract: Contract, ruleset: Ruleset, rows: pl.DataFrame) -> Iterator[tuple[Edition, pl.DataFrame]]:
    """The rows by the edition that is valid for them."""
    if rows.is_empty():
        return
    if len(ruleset.editions) == 1:
        yield ruleset.editions[0], rows
        return
    starts = np.array([one.valid_from_ns for one in ruleset.editions])
    which = np.searchsorted(starts, rows[contract.identity[1]].to_numpy(), side="right") - 1
    for at in np.unique(which):
        yield ruleset.editions[at], rows.filter(pl.Series(which == at))


def _replaced(one: Remembered, edition: Edition, at_ns: int) -> list[Change]:
    """Go over to other rules: what has another rule by now, or none, is forgotten, and its conditions end."""
    same = one.edition.partition(":")[0] == str(edition.major)
    keys = {detector.rule.key for detector in edition.detectors if same}
    names = {detector.rule.name for detector in edition.detectors if same}
    one.edition = edition.key
    gone = {key.rpartition("@")[0] for key in one.rules.keys() - keys} | {point[0] for point in one.conditions} - names
    one.rules = {key: state for key, state in one.rules.items() if key in keys}
    changes = []
    for point, condition in one.conditions.items():
        if point[0] in gone and condition.level is not None:
            change = ended(condition, at_ns)
            one.conditions[point] = change.condition
            changes.append(change)
    return changes


def _late(edition: Edition, readings: Readings) -> Iterator[Finding]:
    for detector in edition.detectors:
        for one in detector.bare(readings):
            yield replace(one, kind="late")


def _impossible(contract: Contract, rows: pl.DataFrame, corrections: Sequence[Correction]) -> list[Finding]:
    """A finding for every impossible reading, which was corrected."""
    own = [one for one in corrections if one.check.endswith(".range")]
    if not own:
        return []
    asset, time = contract.identity[:2]
    numbers = pl.Series(sorted({one.row_no for one in own}), dtype=rows.schema["row_no"])
    came = rows.filter(pl.col("row_no").is_in(numbers.implode())).select("row_no", asset, time)
    at = {row_no: (who, when) for row_no, who, when in came.rows()}
    found = []
    for one in own:
        if one.row_no in at:
            who, when = at[one.row_no]
            message = f"{who}: {one.column} of {one.raw} is not possible"
            found.append(Finding(one.check, who, one.column, when, None, kind="range", message=message))
    return found


def _when(change: Change) -> tuple[int, str, str, str]:
    one = change.condition
    return change.at_ns, one.asset, one.rule, one.channel
