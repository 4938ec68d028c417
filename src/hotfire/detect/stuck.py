"""A channel that stands still while others like it move.

Example (tests/unit/detect/test_stuck.py): a temperature of 500.0 degC that stays so from 10:00:00 on, a row a second, is
found by `{for: 30 s}` at 10:00:30. With `siblings: [chamber_pressure]`, which stands still from 10:00:05 on, nothing is
found: at 10:00:20 it has stood still for half of `for`, so it is the engine that stands still, and the clock begins
anew. Where the pressure moves again at 10:01:00, but the temperature does not, it is found at 10:01:29: the last row that
was vouched for was that of 10:00:59.

A channel stands still as long as its values stay within `tolerance` of the first of them. It is found once it has done
so for `for` and for `min_rows` values, all of them rows of which it cannot be said that every sibling stands still, too;
and it is over with the first value that differs.

Reference: PX4 calls it STALE_DATA; siblings are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hotfire.detect.gate import gated, telling
from hotfire.detect.hold import held
from hotfire.detect.memory import owned, recalled, remember
from hotfire.detect.messages import Placed, Told, findings, in_order
from hotfire.detect.model import AT_ONCE, Readings, Rule, State, elapsed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

    from hotfire.findings import Finding

_RUNS, _SIBLINGS = "_runs", "_siblings"  # no column is called so
_SURELY = 2 * (1 + 1e-9)
"""Neighbours more than so many tolerances apart cannot both be within one of a third value, however it is rounded."""
_CHUNK = 64


class _Line(NamedTuple):
    """The rows that tell something of a channel, asset after asset; `rows` are their numbers."""

    rows: Whole
    owners: Whole
    first: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    times: Whole
    values: NDArray[np.float64]


class _Memory(NamedTuple):
    """What is remembered of a channel, by number of asset: the first value of its run, since when, and a third fact."""

    is_known: NDArray[np.bool_]
    value: NDArray[np.float64]
    since: Whole
    third: Whole


class Stuck:
    """Implements `protocols.Detector`.

    `rule.parameters`: `for_ns`, `min_rows`, `tolerance`, in the channels' unit, and `siblings`, who vouch for a channel.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._for_ns: int = rule.parameters["for_ns"]
        self._min_rows: int = rule.parameters["min_rows"]
        self._tolerance: float = rule.parameters["tolerance"]
        self._siblings: tuple[str, ...] = rule.parameters["siblings"]

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """As `protocols.Detector`."""
        gate, found = gated(self.rule, states, readings), Placed()
        owned(states, _RUNS, _SIBLINGS)
        still = {name: self._still(name, states, readings) for name in self._siblings}
        for channel in self.rule.channels:
            others = [one for name, one in still.items() if name != channel]
            vouched = np.logical_and.reduce(others) if others else np.zeros(len(readings), dtype=bool)
            line = _line(readings, readings.numbers(channel), gate)
            if len(line.rows):
                found += self._channel(channel, states, readings, line, vouched[line.rows])
        return in_order(found)

    def bare(self, readings: Readings) -> list[Finding]:  # noqa: ARG002 - one row alone does not stand still
        """As `protocols.Detector`."""
        return []

    def _channel(
        self, channel: str, states: dict[str, State], readings: Readings, line: _Line, vouched: NDArray[np.bool_]
    ) -> Placed:
        memory = _recalled(_RUNS, channel, states, readings)
        differs = _differs(line, memory, self._tolerance, (self._min_rows, self._for_ns))
        since, count = _counted(line, memory, differs | vouched)
        stands = (elapsed(since, line.times) >= self._for_ns) & (count >= self._min_rows)
        says = np.where(stands, 1, np.where(differs, -1, 0)).astype(np.int8)
        kept = np.minimum(count, self._min_rows)
        _remember((_RUNS, channel, memory), states, readings, line, differs, (since, kept))
        turns = held(AT_ONCE, channel, says[None], line.rows, readings, states)
        severities = [None if index < 0 else self.rule.levels[index].severity for index in turns.levels.tolist()]
        unit = readings.contract.column(channel).unit
        told = Told(line.rows[turns.at], severities, line.values[turns.at], unit=unit)
        return findings(self.rule, channel, readings, told)

    def _still(self, name: str, states: dict[str, State], readings: Readings) -> NDArray[np.bool_]:
        """Whether a sibling's last value so far had stood still for half of `for`, shape (rows,)."""
        least_ns = self._for_ns // 2
        memory = _recalled(_SIBLINGS, name, states, readings)
        stood = memory.is_known & (elapsed(memory.since, memory.third) >= least_ns)
        still: NDArray[np.bool_] = stood[readings.owners]
        line = _line(readings, readings.numbers(name), None)
        if len(line.rows):
            differs = _differs(line, memory, self._tolerance, (2, least_ns))
            since, _ = _counted(line, memory, differs)
            latest = np.full(len(readings), -1)
            latest[line.rows] = np.arange(len(line.rows))
            latest = np.maximum.accumulate(latest)
            own = (latest >= 0) & (line.owners[latest] == readings.owners)
            still[own] = (elapsed(since, line.times) >= least_ns)[latest[own]]
            _remember((_SIBLINGS, name, memory), states, readings, line, differs, (since, line.times))
        return still


def _line(readings: Readings, numbers: NDArray[np.float64], gate: NDArray[np.int8] | None) -> _Line:
    rows = np.flatnonzero(telling(~np.isnan(numbers), gate))
    closed = np.zeros(len(rows), dtype=bool) if gate is None else gate[rows] == 0
    owners = readings.owners[rows]
    return _Line(rows, owners, np.diff(owners, prepend=-1) != 0, closed, readings.times[rows], numbers[rows])


def _differs(line: _Line, memory: _Memory, tolerance: float, least: tuple[int, int]) -> NDArray[np.bool_]:
    """Which rows begin a run of values within `tolerance` of its first one, shape (rows,).

    Args:
        least: a run of fewer rows, or nanoseconds, need not be told from its neighbours.
    """
    goes_on = line.first & memory.is_known[line.owners]
    earlier = np.concatenate([[np.nan], line.values[:-1]])
    earlier[goes_on] = memory.value[line.owners[goes_on]]
    reopened = ~line.first & np.concatenate([[False], line.closed[:-1]])
    differs: NDArray[np.bool_] = (line.first & ~goes_on) | line.closed | reopened
    with np.errstate(over="ignore"):
        differs |= np.abs(line.values - earlier) > np.where(goes_on, tolerance, tolerance * _SURELY)
        if tolerance:
            firsts = np.where(goes_on & ~differs, earlier, line.values)
            _resolve(line, differs, firsts, tolerance, least)
    return differs


def _resolve(
    line: _Line, differs: NDArray[np.bool_], firsts: NDArray[np.float64], tolerance: float, least: tuple[int, int]
) -> None:
    """Find the runs within stretches that are not surely more than one; `firsts` are the values that they begin with."""
    begins = np.flatnonzero(differs | line.first)
    ends = np.append(begins[1:], len(differs))
    open_ended = line.first[begins] | np.append(line.first[begins[1:]], True)
    long = (ends - begins >= least[0]) & (elapsed(line.times[begins], line.times[ends - 1]) >= least[1])
    for begin, end in zip(
        *(one[(ends - begins > 1) & (open_ended | long)].tolist() for one in (begins, ends)), strict=True
    ):
        first, at = firsts[begin], begin + 1
        while (at := _first_far(line.values, (at, end), first, tolerance)) < end:
            differs[at] = True
            first, at = line.values[at], at + 1


def _first_far(values: NDArray[np.float64], within: tuple[int, int], first: float, tolerance: float) -> int:
    """The index of the first value farther than `tolerance` from another; the end of the range where there is none."""
    at, end = within
    size = _CHUNK
    while at < end:
        far = np.abs(values[at : min(at + size, end)] - first) > tolerance
        nearest = int(far.argmax())
        if far[nearest]:
            return at + nearest
        at, size = at + size, 2 * size
    return end


def _counted(line: _Line, memory: _Memory, begins: NDArray[np.bool_]) -> tuple[Whole, Whole]:
    """Since when each row's run has lasted, and how many rows of it there are up to here, shape (rows,)."""
    starts = np.flatnonzero(begins | line.first)
    goes_on, owners = ~begins[starts], line.owners[starts]
    sizes = np.diff(starts, append=len(begins))
    since = np.where(goes_on, memory.since[owners], line.times[starts])
    before = np.where(goes_on, memory.third[owners], 0) - starts + 1
    return np.repeat(since, sizes), np.arange(len(begins)) + np.repeat(before, sizes)


def _recalled(kind: str, channel: str, states: dict[str, State], readings: Readings) -> _Memory:
    size = len(readings.assets)
    found = _Memory(np.zeros(size, dtype=bool), np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.int64))
    for asset in states:
        one = recalled(states, asset, kind, channel)
        if one is not None:
            number = readings.places[asset]
            found.is_known[number] = True
            found.value[number], found.since[number], found.third[number] = one
    return found


def _remember(
    memory: tuple[str, str, _Memory],
    states: dict[str, State],
    readings: Readings,
    line: _Line,
    differs: NDArray[np.bool_],
    facts: tuple[Whole, Whole],
) -> None:
    """Keep what `_Memory` has of each asset's last row, nothing where the gate is closed there."""
    kind, channel, before = memory
    ends = lasts(np.flatnonzero(line.first), len(differs))
    starts = np.maximum.accumulate(np.where(differs | line.first, np.arange(len(differs)), 0))[ends]
    values = np.where(differs[starts], line.values[starts], before.value[line.owners[starts]])
    kept = [(values + 0.0).tolist(), facts[0][ends].tolist(), facts[1][ends].tolist()]
    for owner, closed, *one in zip(line.owners[ends].tolist(), line.closed[ends].tolist(), *kept, strict=True):
        remember(states, readings.assets[owner], kind, channel, None if closed else one)
