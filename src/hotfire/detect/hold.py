"""From what every row says to what is held to be so: counts, delays, deadbands; the same wherever batches are cut.

Every severity is a comparator of its own. It is switched on once `min_violations` rows in a row break its limit over the
on-delay, and off once rows keep it, with the deadband, over the off-delay (ISA-18.2, as in Yamcs and COSMOS). The level
is the worst severity that is on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hotfire.detect.model import Delays, Readings, Rule, State
from hotfire.findings import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OFF = (False, 0, 0)
Comparator = tuple[bool, int, int]
"""Whether it is on, and of the rows at the end that say otherwise the first one's event time and how many there are."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one severity says of every row.

    Attributes:
        says: 1 broken, 0 kept, but only within the deadband, -1 kept; shape (rows,).
        limits: what was or would be broken, shape (rows,); None where there is no such number.
    """

    severity: str
    says: NDArray[np.int8]
    limits: NDArray[np.float64] | None = None


def held(
    rule: Rule,
    channel: str,
    said: Sequence[Said],
    readings: Readings,
    states: dict[str, State],
    counts: NDArray[np.bool_] | None = None,
) -> list[Finding]:
    """What a rule finds in readings of one channel.

    Args:
        said: by severity, mildest first.
        states: of the assets, by name; brought up to date.
        counts: rows that say anything at all, shape (rows,); None: all.
    """
    findings: list[Finding] = []
    for number in _concerned(channel, said, readings, states, counts):
        asset = readings.assets[number]
        rows = np.arange(readings.edges[number], readings.edges[number + 1])
        rows = rows if counts is None else rows[counts[rows]]
        before = [_comparator(one) for one in states.get(asset, {}).get(channel, ())] or [_OFF] * len(said)
        after, switches = [], []
        for index, one in enumerate(said):
            comparator, changes = _switched(before[index], readings.times[rows], one.says[rows], rule.delays)
            after.append(comparator)
            switches += [(int(rows[at]), index, on) for at, on in changes]
        _remember(states, asset, channel, after)
        findings += _levels(rule, channel, said, readings, [one[0] for one in before], sorted(switches))
    return findings


def _concerned(
    channel: str,
    said: Sequence[Said],
    readings: Readings,
    states: dict[str, State],
    counts: NDArray[np.bool_] | None,
) -> list[int]:
    """The assets that break a limit here, or of which something is remembered."""
    broken = np.zeros(len(readings), dtype=bool)
    for one in said:
        broken |= one.says > 0
    if counts is not None:
        broken &= counts
    hit = np.logical_or.reduceat(broken, readings.edges[:-1])
    if not states:
        return [int(number) for number in np.flatnonzero(hit)]
    return [number for number, asset in enumerate(readings.assets) if hit[number] or channel in states.get(asset, ())]


def _switched(
    comparator: Comparator, times: NDArray[np.int64], says: NDArray[np.int8], delays: Delays
) -> tuple[Comparator, list[tuple[int, bool]]]:
    """The comparator after some rows of one asset, and the rows at which it was switched on or off."""
    on, since, count = comparator
    changes: list[tuple[int, bool]] = []
    edges = [0, *(int(at) + 1 for at in np.flatnonzero(np.diff(says))), len(says)]
    for begin, end in itertools.pairwise(edges if len(says) else ()):
        first, says_on = begin, int(says[begin])
        while first < end:
            if says_on != (-1 if on else 1):
                count = 0
                break
            since = since if count else int(times[first])
            needed, delay = (1, delays.off_ns) if on else (delays.min_violations, delays.on_ns)
            at = max(first, first + needed - count - 1)
            if delay:
                at = max(at, first + int(np.searchsorted(times[first:end], since + delay)))
            if at >= end:
                count = min(count + end - first, needed)
                break
            on, count = not on, 0
            changes.append((at, on))
            first = at + 1
    return (on, since if count else 0, count), changes


def _levels(
    rule: Rule,
    channel: str,
    said: Sequence[Said],
    readings: Readings,
    on: list[bool],
    switches: list[tuple[int, int, bool]],
) -> list[Finding]:
    """A finding wherever the worst severity that is on becomes another."""
    findings = []
    level = _worst(on)
    for row, group in itertools.groupby(switches, key=lambda one: one[0]):
        for _, index, now in group:
            on[index] = now
        if _worst(on) != level:
            level = _worst(on)
            findings.append(finding(rule, channel, readings, row, None if level < 0 else said[level]))
    return findings


def finding(rule: Rule, channel: str, readings: Readings, row: int, said: Said | None) -> Finding:
    """What a row tells of a rule: a severity, or, where nothing is said, that all is well again."""
    asset, at_ns = readings.assets[int(readings.owners[row])], int(readings.times[row])
    value = _number(readings.numbers(channel)[row]) if channel else None
    if said is None:
        return Finding(rule.name, asset, channel, at_ns, None, value)
    limit = None if said.limits is None else _number(said.limits[row])
    found = Finding(rule.name, asset, channel, at_ns, said.severity, value, limit)
    return Finding(*_fields(found), message(rule, readings, row, found))


def message(rule: Rule, readings: Readings, row: int, found: Finding) -> str:
    """What people are told of a finding."""
    values = {name: _shown(value) for name, value in readings.row(row).items()}
    own = ("asset", "channel", "severity", "value", "limit")
    return rule.message.format_map(values | {name: _shown(getattr(found, name)) for name in own})


def _fields(found: Finding) -> tuple[Any, ...]:
    return tuple(getattr(found, name) for name in Finding.__slots__[:-1])


def _worst(on: Sequence[bool]) -> int:
    """The index of the worst severity that is on; -1: none."""
    return max((index for index, one in enumerate(on) if one), default=-1)


def _comparator(kept: Sequence[Any]) -> Comparator:
    return bool(kept[0]), int(kept[1]), int(kept[2])


def _remember(states: dict[str, State], asset: str, channel: str, comparators: Sequence[Comparator]) -> None:
    """Keep what differs from knowing nothing."""
    state = {name: value for name, value in states.get(asset, {}).items() if name != channel}
    if any(one != _OFF for one in comparators):
        state[channel] = [list(one) for one in comparators]
    states[asset] = state


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
