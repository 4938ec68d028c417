"""How fast a channel rises (high) or falls (low), a second, against limits of five severities.

Example (tests/unit/detect/test_rate_of_change.py): readings of 500, 501, 502, 512, 522 and 523 degC a second apart, under
`{warning: {high: 3}, over: 2 s}`: the rate is (502 - 500) / 2 s = 1 degC/s at the third row, 5.5 at the fourth, which is
raised, 10 at the fifth, and 5.5 at the sixth, which still breaks the limit.

The rate is the difference to an older value, the anchor: without `over` the value before; with it the newest of those
that are kept and at least so old. Kept is the last value of each bin of event time, a 64th of `over` wide, counted from
1970: so memory is bounded whatever the rate of the rows, and where batches are cut means nothing. An anchor older than
twice `over` gives no rate: what happened in a gap is not known.

Reference: rate-of-change alarm of ISA-18.2 and EEMUA 191.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hotfire.detect.bounds import Bounds
from hotfire.detect.gate import gated, telling
from hotfire.detect.hold import held
from hotfire.detect.memory import recalled, remember
from hotfire.detect.messages import Placed, Told, findings, in_order
from hotfire.detect.model import Readings, Rule, State, elapsed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

    from hotfire.findings import Finding

_BINS = 64
_SEEN = "_seen"  # no column is called so
_BEGINNING, _MOST = -(2**63), 2.0**63
_LARGEST = np.finfo(np.float64).max


class _Values(NamedTuple):
    """A channel's values that rates are taken between, asset after asset, the remembered ones included.

    Attributes:
        owners: numbers of assets.
        stretch: rates are taken within one only.
        places: in the rows that were given; -1: it was remembered.
        finals: the stretch that each asset's last row is in, by the asset's number; -1: the gate is closed there.
    """

    owners: Whole
    stretch: Whole
    times: Whole
    numbers: NDArray[np.float64]
    places: Whole
    finals: Mapping[int, int]


class RateOfChange:
    """Implements `protocols.Detector`.

    `rule.parameters`: `over_ns`, 0: between neighbouring values; `deadband`. Levels are in the channel's unit a second.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        over_ns: int = rule.parameters["over_ns"]
        self._age_ns, self._oldest_ns = over_ns or 1, 2 * over_ns or 2**64 - 1
        self._bin_ns = max(1, over_ns // _BINS)
        self._bounds = Bounds([rule.levels], rule.parameters["deadband"])

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        gate, found = gated(self.rule, states, readings), Placed()
        for channel in self.rule.channels:
            found += self._channel(channel, states, readings, gate)
        return in_order(found)

    def bare(self, readings: Readings) -> list[Finding]:  # noqa: ARG002 - one row alone has no rate
        """As `protocols.Detector`."""
        return []

    def _channel(
        self, channel: str, states: dict[str, State], readings: Readings, gate: NDArray[np.int8] | None
    ) -> Placed:
        numbers = readings.numbers(channel)
        rows = np.flatnonzero(telling(~np.isnan(numbers), gate))
        if not len(rows):
            return []
        closed = np.zeros(len(rows), dtype=bool) if gate is None else gate[rows] == 0
        rates = self._rates(channel, states, readings, rows, closed)
        told = np.flatnonzero(closed | ~np.isnan(rates))
        rows, rates, says = rows[told], rates[told], self._bounds.says(rates[told], None)
        says[:, closed[told]] = -1
        at, levels = held(self.rule.delays, channel, says, rows, readings, states)
        limits = self._bounds.passed(rates[at], levels, None)
        unit = f"{readings.contract.column(channel).unit or ''}/s"
        told_of = Told(rows[at], self._bounds.named(levels), rates[at], limits, unit)
        return findings(self.rule, channel, readings, told_of)

    def _rates(
        self, channel: str, states: dict[str, State], readings: Readings, rows: Whole, closed: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The rate at each row, a second; NaN where there is none. Brings what is remembered up to date."""
        values = _values(channel, states, readings, rows, closed)
        rates = np.full(len(rows), np.nan)
        kept = _kept(values, self._bin_ns)
        if len(kept):
            anchors = self._anchors(values, kept)
            ages = elapsed(values.times[anchors], values.times)
            dated = (anchors >= 0) & (values.stretch[anchors] == values.stretch) & (ages <= self._oldest_ns)
            fresh = np.flatnonzero(dated & (values.places >= 0))
            with np.errstate(over="ignore"):
                rise = values.numbers[fresh] - values.numbers[anchors[fresh]]
                rates[values.places[fresh]] = np.clip(rise / (ages[fresh] / 1e9), -_LARGEST, _LARGEST)
        self._remember(channel, states, readings, values, kept)
        return rates

    def _anchors(self, values: _Values, kept: Whole) -> Whole:
        """The index of the newest kept value that is old enough for each value; -1, or another asset's: none."""
        steps = np.minimum(elapsed(values.times[:-1], values.times[1:]), np.uint64(self._age_ns + 1))
        steps[np.diff(values.owners) != 0] = 0
        parts = [slice(0, len(values.times))]
        if steps.sum(dtype=np.float64) > _MOST:
            edges = [0, *(np.flatnonzero(np.diff(values.owners)) + 1).tolist(), len(values.times)]
            parts = [slice(*pair) for pair in itertools.pairwise(edges)]
        anchors = np.full(len(values.times), -1)
        for part in parts:
            inside = kept[slice(*np.searchsorted(kept, [part.start, part.stop]))]
            clock = np.cumsum(np.concatenate([np.zeros(1, np.uint64), steps[part.start : part.stop - 1]]))
            old = clock[inside - part.start] + np.uint64(self._age_ns)
            at = np.searchsorted(old, clock, side="right") - 1
            anchors[part] = np.where(at >= 0, inside[at], -1)
        return anchors

    def _remember(
        self, channel: str, states: dict[str, State], readings: Readings, values: _Values, kept: Whole
    ) -> None:
        """Keep what later rows may need: the values from each asset's next anchor on, where the gate is open."""
        for number, stretch in values.finals.items():
            asset = readings.assets[number]
            inside = kept[slice(*np.searchsorted(values.stretch[kept], [stretch, stretch + 1]))]
            seen: list[list[float]] = []
            if len(inside):
                times = values.times[inside]
                now = int(values.times[np.searchsorted(values.stretch, stretch, side="right") - 1])
                first = max(0, int(np.searchsorted(times, max(now - self._age_ns, _BEGINNING), side="right")) - 1)
                first += now - int(times[first]) > self._oldest_ns
                seen = [times[first:].tolist(), values.numbers[inside[first:]].tolist()]
            remember(states, asset, _SEEN, channel, seen or None)


def _kept(values: _Values, bin_ns: int) -> Whole:
    """The indexes of the last value of each bin."""
    ends = (np.diff(values.times // bin_ns) != 0) | (np.diff(values.stretch) != 0)
    return np.flatnonzero(np.concatenate([ends, [True]])[: len(values.times)])


def _values(
    channel: str, states: dict[str, State], readings: Readings, rows: Whole, closed: NDArray[np.bool_]
) -> _Values:
    """The values of the rows at which the gate is open, after those that are remembered of each asset."""
    owners = readings.owners[rows]
    first = np.diff(owners, prepend=-1) != 0
    after_closed = np.concatenate([[False], closed[:-1]])
    stretches = np.cumsum(first | closed | after_closed)
    last = lasts(np.flatnonzero(first), len(rows))
    finals = dict(zip(owners[last].tolist(), np.where(closed, -1, stretches)[last].tolist(), strict=True))
    places = np.flatnonzero(~closed)
    times, numbers = readings.times[rows[places]], readings.numbers(channel)[rows[places]] + 0.0
    at: list[int] = []
    seen: tuple[list[int], list[float]] = ([], [])
    starts = dict(zip(owners[first].tolist(), np.flatnonzero(first).tolist(), strict=True))
    for asset in states:
        start, before = starts.get(readings.places[asset]), recalled(states, asset, _SEEN, channel)
        if before and start is not None and not closed[start]:
            at += [int(np.searchsorted(places, start))] * len(before[0])
            seen[0].extend(before[0])
            seen[1].extend(before[1])
    at_place = places[at] if at else np.zeros(0, np.int64)
    return _Values(
        np.insert(owners[places], at, owners[at_place]),
        np.insert(stretches[places], at, stretches[at_place]),
        np.insert(times, at, np.array(seen[0], np.int64)),
        np.insert(numbers, at, np.array(seen[1], np.float64)),
        np.insert(places, at, -1),
        finals,
    )
