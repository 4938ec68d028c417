"""From what every row says to what is held to be so: counts, delays, deadbands; the same wherever batches are cut.

Every severity is a comparator of its own. It is switched on once `min_violations` rows in a row break its limit over the
on-delay, and off once rows keep it, with the deadband, over the off-delay (ISA-18.2, as in Yamcs and COSMOS). The level
is the worst severity that is on.

A stretch of rows that say the same can switch a comparator once at most, and only if the stretch before it that could
was the other way: so stretches are judged all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hotfire.detect.model import Delays, Readings, State, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

_END = 2**63 - 1


class Turns(NamedTuple):
    """Where the level becomes another: places in the rows that were given, and indexes of severities (-1: none)."""

    at: Whole
    levels: Whole


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one channel, asset after asset; `owners` counts the assets from 0."""

    times: Whole
    first: NDArray[np.bool_]
    owners: Whole


@dataclass(frozen=True, slots=True)
class _Switches:
    """Where a comparator is switched, to what, and what is remembered of it after the rows, shape (assets, 3)."""

    at: Whole
    on: NDArray[np.bool_]
    after: Whole


def held(
    delays: Delays,
    channel: str,
    says: Sequence[NDArray[np.int8]],
    rows: Whole,
    readings: Readings,
    states: dict[str, State],
) -> Turns:
    """The turns that rows of one channel bring.

    Args:
        says: what each severity, mildest first, says of each row: 1 its limit is broken, 0 it is kept, but only within
            the deadband, -1 it is kept; each of shape (rows,).
        rows: numbers of those rows that say anything, ascending.
        states: of the assets, by name; brought up to date.
    """
    nothing = np.zeros(0, np.int64)
    if not len(rows):
        return Turns(nothing, nothing)
    owners = readings.owners[rows]
    first = np.diff(owners, prepend=-1) != 0
    assets = [readings.assets[number] for number in owners[first]]
    came = _Rows(readings.times[rows], first, np.cumsum(first) - 1)
    before = _recalled(states, assets, channel, len(says))
    if not before.any() and not any((one > 0).any() for one in says):
        return Turns(nothing, nothing)
    switches = [_switched(one, came, before[:, index], delays) for index, one in enumerate(says)]
    _remember(states, assets, channel, before, np.stack([one.after for one in switches], axis=1))
    return _turns(switches, came.owners, before[:, :, 0] != 0)


def recalls(states: dict[str, State], channel: str) -> bool:
    """Whether anything is remembered of a channel."""
    return any(channel in state for state in states.values())


def _switched(says: NDArray[np.int8], rows: _Rows, before: Whole, delays: Delays) -> _Switches:
    """One comparator of each asset, led through the asset's rows."""
    begins = np.flatnonzero(rows.first | (np.diff(says, prepend=2) != 0))
    ends = np.append(begins[1:], len(says))
    kinds, owners, leads = says[begins], rows.owners[begins], rows.first[begins]
    on, since, count = (before[:, 0] != 0)[owners], before[owners, 1], before[owners, 2]
    goes_on = leads & (count > 0) & (kinds == np.where(on, -1, 1))
    since = np.where(goes_on, since, rows.times[begins])
    count = np.where(goes_on, count, 0)
    needed = np.where(kinds > 0, delays.min_violations, 1)
    delay = np.where(kinds > 0, delays.on_ns, delays.off_ns)
    due = np.where(since > _END - delay, _END, since + delay)
    at = begins + np.maximum(needed - count - 1, 0)
    fired = np.flatnonzero((kinds != 0) & (at < ends) & (rows.times[ends - 1] >= due))
    to, whose = kinds[fired] > 0, owners[fired]
    was = np.concatenate([[False], to[:-1]])
    opening = np.diff(whose, prepend=-1) != 0
    was[opening] = before[whose[opening], 0] != 0
    turns = fired[to != was]
    for one in turns[rows.times[at[turns]] < due[turns]]:
        at[one] = begins[one] + np.searchsorted(rows.times[begins[one] : ends[one]], due[one])
    now = before[:, 0] != 0
    now[whose] = to
    last = lasts(np.flatnonzero(leads), len(begins))
    waits = (kinds[last] == np.where(now, -1, 1)) & ~np.isin(last, fired)
    seen = np.minimum(count + ends - begins, needed)[last]
    after = np.stack([now, np.where(waits, since[last], 0), np.where(waits, seen, 0)], axis=1)
    return _Switches(at[turns], kinds[turns] > 0, after)


def _turns(switches: Sequence[_Switches], owners: Whole, before: NDArray[np.bool_]) -> Turns:
    """Where the worst severity that is on becomes another; `before` says which were on, shape (assets, severities)."""
    at = np.unique(np.concatenate([one.at for one in switches]))
    whose = owners[at]
    levels, level = np.full(len(at), -1), np.full(len(before), -1)
    for index, one in enumerate(switches):
        on = before[whose, index]
        if len(one.at):
            latest = np.searchsorted(one.at, at, side="right") - 1
            told = (latest >= 0) & (owners[one.at[latest]] == whose)
            on = np.where(told, one.on[latest], on)
        levels = np.where(on, index, levels)
        level = np.where(before[:, index], index, level)
    was = np.concatenate([[-1], levels[:-1]])[: len(at)]
    opening = np.diff(whose, prepend=-1) != 0
    was[opening] = level[whose[opening]]
    changed = levels != was
    return Turns(at[changed], levels[changed])


def _recalled(states: dict[str, State], assets: Sequence[str], channel: str, severities: int) -> Whole:
    """What is remembered of each asset's comparators, shape (assets, severities, 3).

    A comparator: whether it is on, and of the rows at the end that say otherwise the first one's event time and how many
    there are, as far as they count.
    """
    found = np.zeros((len(assets), severities, 3), np.int64)
    if states:
        for number, asset in enumerate(assets):
            if channel in (state := states.get(asset, {})):
                found[number] = state[channel]
    return found


def _remember(states: dict[str, State], assets: Sequence[str], channel: str, before: Whole, after: Whole) -> None:
    """Keep what differs from knowing nothing."""
    for number in np.flatnonzero((before != after).any(axis=(1, 2))).tolist():
        asset = assets[number]
        state = {name: value for name, value in states.get(asset, {}).items() if name != channel}
        if after[number].any():
            state[channel] = after[number].tolist()
        states[asset] = state
