"""Limits of five severities around a channel's values, which a context may replace.

Example (tests/unit/detect/test_limit.py): readings of 284, 286, 301, 299, 297 and 282 bar under
`{warning: {high: 285}, critical: {high: 300}, deadband: 2}` give warning at 286, critical at 301, still critical at 299
(within the deadband), warning at 297, and normal at 282.

Reference: limit checks of XTCE and Yamcs (severities, context, minViolations), deadband of ISA-18.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.bounds import Bounds
from hotfire.detect.gate import gated, telling
from hotfire.detect.hold import held, recalls
from hotfire.detect.messages import Placed, Told, findings, in_order
from hotfire.detect.model import Level, Readings, Rule, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.findings import Finding


class Limit:
    """Implements `protocols.Detector`.

    `rule.parameters`: `deadband`, and `contexts`: pairs of SQL and the levels that hold where it is true; the first that
    holds replaces the rule's own levels whole.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        contexts: Sequence[tuple[str, tuple[Level, ...]]] = rule.parameters["contexts"]
        self._whens = tuple(when for when, _ in contexts)
        self._bounds = Bounds([rule.levels, *(levels for _, levels in contexts)], rule.parameters["deadband"])

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        gate, found = gated(self.rule, states, readings), Placed()
        for channel in self.rule.channels:
            low, high = readings.extent(channel)
            quiet = low >= self._bounds.inner[0] and high <= self._bounds.inner[1]
            if not quiet or recalls(states, channel):
                found += self._channel(channel, states, readings, gate)
        return in_order(found)

    def bare(self, readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        gate, found = gated(self.rule, None, readings), Placed()
        for channel in self.rule.channels:
            values = readings.numbers(channel)
            rows = np.flatnonzero(self._beyond(values) if gate is None else self._beyond(values) & (gate == 1))
            values, table = values[rows], self._table(readings, rows)
            levels = np.full(len(rows), -1)
            for index, says in enumerate(self._bounds.says(values, table)):
                levels[says > 0] = index
            found += self._told(channel, readings, rows[levels >= 0], levels[levels >= 0])
        return in_order(found)

    def _channel(
        self, channel: str, states: dict[str, State], readings: Readings, gate: NDArray[np.int8] | None
    ) -> Placed:
        values = readings.numbers(channel)
        concerned = np.zeros(len(readings.assets), dtype=bool)
        concerned[readings.owners[self._beyond(values)]] = True
        concerned[[readings.places[asset] for asset, state in states.items() if channel in state]] = True
        rows = readings.rows_of(concerned)
        rows = rows[telling(~np.isnan(values[rows]), None if gate is None else gate[rows])]
        says = self._bounds.says(values[rows], self._table(readings, rows))
        if gate is not None:
            says[:, gate[rows] == 0] = -1
        turns = held(self.rule.delays, channel, says, rows, readings, states)
        return self._told(channel, readings, rows[turns.at], turns.levels) if len(turns.at) else []

    def _told(self, channel: str, readings: Readings, rows: NDArray[np.int64], levels: NDArray[np.int64]) -> Placed:
        values = readings.numbers(channel)[rows]
        limits = self._bounds.passed(values, levels, self._table(readings, rows))
        unit = readings.contract.column(channel).unit
        return findings(self.rule, channel, readings, Told(rows, self._bounds.named(levels), values, limits, unit))

    def _beyond(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values may break a limit of some context."""
        low, high = self._bounds.inner
        beyond: NDArray[np.bool_] = (values < low) | (values > high)
        return beyond

    def _table(self, readings: Readings, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The table of levels that holds of each row: 0 is the rule's own; None: that of all."""
        return readings.context(self._whens)[rows] if self._whens else None
