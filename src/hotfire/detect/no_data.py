"""Silence: an asset without rows, or a channel without values while rows come.

Example (tests/unit/detect/test_no_data.py): rows of an asset at 10:00:00, 10:00:01 and 10:00:45 under `{timeout: 30 s}`
give one condition, raised at 10:00:31 and returned at 10:00:45, both told by the last row. A channel whose values are 5,
null, null and 6 at 10:00:00, 10:00:20, 10:00:31 and 10:00:40 has had none for 31 s at the third row: raised there, and
returned at the fourth.

A channel's silence is counted from its last value, or, where it has had none, from the first row of the asset. Whether
an asset's silence counts is decided by `while` at the row before it.

Reference: PX4 calls it TIMEOUT and NO_DATA. Silence as it happens is judged by the wall clock, elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hotfire.detect.gate import gated
from hotfire.detect.hold import held
from hotfire.detect.memory import recalled, remember
from hotfire.detect.messages import Placed, Told, findings, in_order
from hotfire.detect.model import AT_ONCE, Readings, Rule, State, elapsed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

    from hotfire.findings import Finding

_LAST = "_last"  # no column is called so


class NoData:
    """Implements `protocols.Detector`.

    `rule.parameters`: `timeout_ns`. Without channels the rule is about the asset's rows. Values and limits of findings
    are seconds.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._timeout_ns: int = rule.parameters["timeout_ns"]

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        gate = gated(self.rule, states, readings)
        if not len(readings):
            return []
        if not self.rule.channels:
            return in_order(self._rows(states, readings, gate))
        found: Placed = []
        for channel in self.rule.channels:
            found += self._channel(channel, states, readings, gate)
        return in_order(found)

    def bare(self, readings: Readings) -> list[Finding]:  # noqa: ARG002 - a late row ends no silence
        """As `protocols.Detector`."""
        return []

    def _rows(self, states: dict[str, State], readings: Readings, gate: NDArray[np.int8] | None) -> Placed:
        """Silences of assets, each told by the row that ends it."""
        last = np.zeros(len(readings.assets), np.int64)
        known = np.zeros(len(readings.assets), dtype=bool)
        for number, asset in enumerate(readings.assets if states else ()):
            at = recalled(states, asset, _LAST, "")
            known[number], last[number] = at is not None, at or 0
        starts = readings.edges[:-1]
        holds = _filled(readings, np.ones(len(readings), np.int8) if gate is None else gate, known)
        before, held_before = np.roll(readings.times, 1), np.roll(holds, 1)
        before[starts], held_before[starts] = last, known
        ends = readings.edges[1:] - 1
        for asset, at, keeps in zip(readings.assets, readings.times[ends].tolist(), holds[ends].tolist(), strict=True):
            remember(states, asset, _LAST, "", at if keeps else None)
        silence = elapsed(before, readings.times)
        rows = np.flatnonzero(held_before & (silence > self._timeout_ns))
        return self._silences(readings, rows, before[rows], silence[rows])

    def _silences(self, readings: Readings, rows: Whole, since: Whole, silence: NDArray[np.uint64]) -> Placed:
        raised = [self.rule.levels[0].severity] * len(rows)
        seconds, limits = silence / 1e9, np.full(len(rows), self._timeout_ns / 1e9)
        found = Placed()
        told = Told(rows, raised, seconds, limits, "s", since + self._timeout_ns)
        returned = Told(rows, [None] * len(rows))
        for pair in zip(*(findings(self.rule, "", readings, one) for one in (told, returned)), strict=True):
            found += pair
        return found

    def _channel(
        self, channel: str, states: dict[str, State], readings: Readings, gate: NDArray[np.int8] | None
    ) -> Placed:
        """Silences of one channel, each raised by the first row past the timeout."""
        has_value = ~np.isnan(readings.numbers(channel))
        rows = np.flatnonzero(np.ones(len(readings), dtype=bool) if gate is None else has_value | (gate >= 0))
        if not len(rows):
            return []
        closed = np.zeros(len(rows), dtype=bool) if gate is None else gate[rows] == 0
        since = _since(channel, states, readings, (rows, has_value[rows], closed))
        silence = elapsed(since, readings.times[rows])
        says = np.where(has_value[rows] | closed, -1, silence > self._timeout_ns).astype(np.int8)
        at, levels = held(AT_ONCE, channel, says[None], rows, readings, states)
        raised = levels >= 0
        severities = [self.rule.levels[0].severity if one else None for one in raised.tolist()]
        seconds, limits = np.where(raised, silence[at] / 1e9, np.nan), np.full(len(at), self._timeout_ns / 1e9)
        return findings(self.rule, channel, readings, Told(rows[at], severities, seconds, limits, "s"))


def _filled(readings: Readings, gate: NDArray[np.int8], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the gate is open at each row, as it was last known; `before`: of each asset before these rows."""
    latest = np.maximum.accumulate(np.where(gate >= 0, readings.all_rows, -1))
    return np.where(latest >= readings.edges[readings.owners], gate[latest] == 1, before[readings.owners])


def _since(
    channel: str,
    states: dict[str, State],
    readings: Readings,
    looked_at: tuple[Whole, NDArray[np.bool_], NDArray[np.bool_]],
) -> Whole:
    """When each row's channel last had a value, or began to be looked at. Brings what is remembered up to date."""
    rows, has_value, closed = looked_at
    owners, times = readings.owners[rows], readings.times[rows]
    first = np.diff(owners, prepend=-1) != 0
    begins = np.flatnonzero(first | has_value | closed | np.concatenate([[False], closed[:-1]]))
    since = times[begins]
    for index in np.flatnonzero(first[begins] & ~(has_value | closed)[begins]).tolist():
        before = recalled(states, readings.assets[owners[begins[index]]], _LAST, channel)
        since[index] = since[index] if before is None else before
    since = np.repeat(since, np.diff(begins, append=len(rows)))
    ends = lasts(np.flatnonzero(first), len(rows))
    for owner, at, shut in zip(*(one[ends].tolist() for one in (owners, since, closed)), strict=True):
        remember(states, readings.assets[owner], _LAST, channel, None if shut else at)
    return since
