"""A boolean SQL expression over a row's columns; a row of which it is unknown says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.gate import open_rows
from hotfire.detect.hold import Said, finding, held
from hotfire.detect.model import Readings, Rule, State

if TYPE_CHECKING:
    from hotfire.findings import Finding


class Expression:
    """Implements `protocols.Detector`.

    `rule.parameters`: `when`. `rule.channels`: one at most, whose value people are shown.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._channel = next(iter(rule.channels), "")
        self._when: str = rule.parameters["when"]

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        truth = readings.truth(self._when)
        gate = open_rows(self.rule, states, readings)
        says = np.where(truth == 1, 1, -1).astype(np.int8)
        if gate is not None:
            says[~gate] = -1
        said = [Said(self.rule.levels[0].severity, says)]
        return held(self.rule, self._channel, said, readings, states, truth >= 0)

    def bare(self, readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        hit = readings.truth(self._when) == 1
        gate = open_rows(self.rule, None, readings)
        said = Said(self.rule.levels[0].severity, hit.astype(np.int8))
        rows = np.flatnonzero(hit if gate is None else hit & gate)
        return [finding(self.rule, self._channel, readings, int(row), said) for row in rows]
