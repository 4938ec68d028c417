"""A boolean SQL expression over a row's columns; a row of which it is unknown says nothing.

Example (tests/unit/detect/test_expression.py): `phase = 'steady' and fuel_flow < 70` for 500 ms, over rows every 250 ms
of a steady burn with flows of 90, 68, 66, null, 64 and 71 kg/s: it is true from the second row on, the null says
nothing, so it is raised at the fifth row (750 ms after the second; the fourth, after 500 ms, cannot tell), and returns
at the sixth.

Reference: the dialect is that of `contract/expression.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.gate import gated, telling
from hotfire.detect.hold import held, recalls
from hotfire.detect.messages import Told, findings, in_order
from hotfire.detect.model import Readings, Rule, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        gate = gated(self.rule, states, readings)
        if not (truth > 0).any() and not recalls(states, self._channel):
            return []
        says = np.where(truth > 0, 1, -1).astype(np.int8)
        if gate is not None:
            says[gate == 0] = -1
        rows = np.flatnonzero(telling(truth >= 0, gate))
        turns = held(self.rule.delays, self._channel, says[None, rows], rows, readings, states)
        return self._found(readings, rows[turns.at], turns.levels >= 0)

    def bare(self, readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        hit = readings.truth(self._when) > 0
        gate = gated(self.rule, None, readings)
        rows = np.flatnonzero(hit if gate is None else hit & (gate == 1))
        return self._found(readings, rows, np.ones(len(rows), dtype=bool))

    def _found(self, readings: Readings, rows: NDArray[np.int64], raised: NDArray[np.bool_]) -> list[Finding]:
        severities = [self.rule.levels[0].severity if one else None for one in raised.tolist()]
        values = readings.numbers(self._channel)[rows] if self._channel else None
        unit = readings.contract.column(self._channel).unit if self._channel else None
        return in_order(findings(self.rule, self._channel, readings, Told(rows, severities, values, unit=unit)))
