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

from hotfire.detect.gate import open_rows
from hotfire.detect.hold import Said, finding, held
from hotfire.detect.model import Level, Readings, Rule, State
from hotfire.findings import SEVERITIES

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
        self._deadband: float = rule.parameters.get("deadband", 0.0)
        self._contexts: Sequence[tuple[str, tuple[Level, ...]]] = rule.parameters.get("contexts", ())
        every = [rule.levels, *(levels for _, levels in self._contexts)]
        named = {level.severity for levels in every for level in levels}
        self._severities = [one for one in SEVERITIES if one in named]
        self._tables = [{level.severity: level for level in levels} for levels in every]
        self._lowest = min((one.high for levels in every for one in levels if one.high is not None), default=np.inf)
        self._highest = max((one.low for levels in every for one in levels if one.low is not None), default=-np.inf)

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        findings: list[Finding] = []
        gate = open_rows(self.rule, states, readings)
        for channel in self.rule.channels:
            values = readings.numbers(channel)
            if not any(states.values()) and self._quiet(values):
                continue
            said = self._said(values, readings, gate)
            findings += held(self.rule, channel, said, readings, states, ~np.isnan(values))
        return findings

    def bare(self, readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        findings = []
        for channel in self.rule.channels:
            said = self._said(readings.numbers(channel), readings, open_rows(self.rule, None, readings))
            for row in np.flatnonzero(np.logical_or.reduce([one.says > 0 for one in said])):
                worst = [one for one in said if one.says[row] > 0][-1]
                findings.append(finding(self.rule, channel, readings, int(row), worst))
        return findings

    def _quiet(self, values: NDArray[np.float64]) -> bool:
        """Whether no value breaks a limit of any context."""
        high, low = np.fmax.reduce(values), np.fmin.reduce(values)
        return not (high > self._lowest or low < self._highest)

    def _said(self, values: NDArray[np.float64], readings: Readings, gate: NDArray[np.bool_] | None) -> list[Said]:
        which = self._which(readings)
        said = []
        for severity in self._severities:
            low, high = self._bounds(severity, which)
            broken_high, broken_low = values > high, values < low
            within = (values > high - self._deadband) | (values < low + self._deadband)
            says = np.where(broken_high | broken_low, 1, np.where(within & (self._deadband > 0), 0, -1)).astype(np.int8)
            if gate is not None:
                says[~gate] = -1
            near_high = np.abs(values - high) <= np.abs(values - low)
            limits = np.where(broken_high | (near_high & ~broken_low), high, low)
            said.append(Said(severity, says, limits))
        return said

    def _which(self, readings: Readings) -> NDArray[np.int64] | None:
        """The table of levels that holds of each row; None: the rule's own of all."""
        if not self._contexts:
            return None
        masks = [readings.truth(when) == 1 for when, _ in self._contexts]
        return np.select(masks, list(range(1, len(masks) + 1)), 0)

    def _bounds(
        self, severity: str, which: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The low and the high limit of each row, infinite where there is none."""
        levels = [table.get(severity, Level(severity)) for table in self._tables]
        lows = np.array([-np.inf if one.low is None else one.low for one in levels])
        highs = np.array([np.inf if one.high is None else one.high for one in levels])
        return (lows[:1], highs[:1]) if which is None else (lows[which], highs[which])
