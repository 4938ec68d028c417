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
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hotfire.detect.bounds import Bounds
from hotfire.detect.gate import gated, telling
from hotfire.detect.hold import held
from hotfire.detect.memory import owned, recalled, remember
from hotfire.detect.messages import Placed, Told, findings, in_order
from hotfire.detect.model import Readings, Rule, State, changed, elapsed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

    from hotfire.findings import Finding

_BINS = 64
_SEEN = "_seen"  # no column is called so
_MOST = 2.0**63
_ZERO, _FALSE = np.zeros(1, np.uint64), np.zeros(1, dtype=bool)
_LARGEST = np.finfo(np.float64).max


class _Values(NamedTuple):
    """A channel's values that rates are taken between, asset after asset, the remembered ones included.

    Attributes:
        owners: numbers of assets.
        stretch: rates are taken within one only.
        places: in the rows that were given; -1: it was remembered.
        final_owners, finals: the assets, and the stretch that the last row of each is in; -1: the gate is closed there.
    """

    owners: Whole
    stretch: Whole
    times: Whole
    numbers: NDArray[np.float64]
    places: Whole
    final_owners: Whole
    finals: Whole


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
        owned(states, _SEEN)
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
        kept = _kept(values, self._bin_ns)
        anchors = self._anchors(values, kept)
        ages = elapsed(values.times[anchors], values.times)
        fresh = np.flatnonzero((anchors >= 0) & (ages <= self._oldest_ns) & (values.places >= 0))
        rates = np.full(len(rows), np.nan)
        with np.errstate(over="ignore"):
            rise = values.numbers[fresh] - values.numbers[anchors[fresh]]
            rates[values.places[fresh]] = np.clip(rise / (ages[fresh] / 1e9), -_LARGEST, _LARGEST)
        for owner, seen in _later(values, kept, anchors):
            remember(states, readings.assets[owner], _SEEN, channel, seen)
        return rates

    def _anchors(self, values: _Values, kept: Whole) -> Whole:
        """The index of the newest kept value of its stretch that is old enough for each value; -1: there is none."""
        size = len(values.times)
        steps = np.minimum(elapsed(values.times[:-1], values.times[1:]), np.uint64(self._age_ns))
        borders = np.diff(values.owners) != 0
        steps[borders] = 0
        edges = [0, size]
        if steps.sum(dtype=np.float64) > _MOST:
            edges = [0, *(np.flatnonzero(borders) + 1).tolist(), size]
        anchors = np.full(size, -1)
        for begin, end in itertools.pairwise(edges if size else ()):
            inside = kept[slice(*np.searchsorted(kept, [begin, end]))]
            clock = np.cumsum(np.concatenate([_ZERO, steps[begin : end - 1]]))
            old = clock[inside - begin] + np.uint64(self._age_ns)
            at = np.searchsorted(old, clock, side="right") - 1
            anchors[begin:end] = np.where(at >= 0, inside[at], -1)
        anchors[values.stretch[anchors] != values.stretch] = -1
        return anchors


def _kept(values: _Values, bin_ns: int) -> Whole:
    """The indexes of the last value of each bin."""
    ends = (np.diff(values.times // bin_ns) != 0) | (np.diff(values.stretch) != 0)
    return np.flatnonzero(np.concatenate([ends, [True]])[: len(values.times)])


def _later(values: _Values, kept: Whole, anchors: Whole) -> Iterator[tuple[int, list[list[float]] | None]]:
    """What later rows of each asset may need, by its number: times and values, from the anchor of its last value on."""
    is_open = values.finals >= 0
    ends = np.searchsorted(values.stretch, values.finals[is_open], side="right") - 1
    begins = np.searchsorted(values.stretch, values.finals[is_open])
    firsts = np.searchsorted(kept, np.maximum(begins, anchors[ends]))
    sizes = np.searchsorted(kept, ends, side="right") - firsts
    edges = np.concatenate([[0], np.cumsum(sizes)])
    wanted = kept[np.repeat(firsts - edges[:-1], sizes) + np.arange(edges[-1])]
    times, numbers = values.times[wanted].tolist(), values.numbers[wanted].tolist()
    yield from ((owner, None) for owner in values.final_owners[~is_open].tolist())
    for owner, (begin, end) in zip(
        values.final_owners[is_open].tolist(), itertools.pairwise(edges.tolist()), strict=True
    ):
        yield owner, [times[begin:end], numbers[begin:end]]


def _values(
    channel: str, states: dict[str, State], readings: Readings, rows: Whole, closed: NDArray[np.bool_]
) -> _Values:
    """The values of the rows at which the gate is open, after those that are remembered of each asset."""
    owners = readings.owners[rows]
    first = changed(owners)
    stretches = np.cumsum(first | closed | np.concatenate([_FALSE, closed[:-1]]))
    starts = np.flatnonzero(first)
    last = lasts(starts, len(rows))
    places = np.flatnonzero(~closed)
    at: list[int] = []
    times: list[int] = []
    numbers: list[float] = []
    for asset, place, shut in zip(
        (readings.assets[owner] for owner in owners[starts].tolist() if states),
        np.searchsorted(places, starts).tolist(),
        closed[starts].tolist(),
        strict=False,
    ):
        seen = recalled(states, asset, _SEEN, channel)
        if seen and not shut:
            at += [place] * len(seen[0])
            times += seen[0]
            numbers += seen[1]
    whose = places[np.array(at, np.int64)]
    return _Values(
        np.insert(owners[places], at, owners[whose]),
        np.insert(stretches[places], at, stretches[whose]),
        np.insert(readings.times[rows[places]], at, np.array(times, np.int64)),
        np.insert(readings.numbers(channel)[rows[places]] + 0.0, at, np.array(numbers, np.float64)),
        np.insert(places, at, -1),
        owners[last],
        np.where(closed, -1, stretches)[last],
    )
