"""From what every row says to what is held to be so: counts, delays, deadbands; the same wherever batches are cut.

Every severity is a comparator of its own. It is switched on once `min_violations` rows in a row break its limit over the
on-delay, and off once rows keep it, with the deadband, over the off-delay (ISA-18.2, as in Yamcs and COSMOS). The level
is the worst severity that is on.

A stretch of rows that say the same can switch a comparator once at most, and only if the stretch before it that could
was the other way: so stretches are judged all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from hotfire.detect.model import Delays, Readings, State, changed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = NDArray[np.int64]

_END = 2**63 - 1
_FALSE, _NONE = np.zeros(1, dtype=bool), np.full(1, -1)


class Turns(NamedTuple):
    """Where the level becomes another: places in the rows that were given, and indexes of severities (-1: none)."""

    at: Whole
    levels: Whole


_NO_TURNS = Turns(np.zeros(0, np.int64), np.zeros(0, np.int64))


class _Switches(Struct, frozen=True):
    """Where comparators are switched, and to what; `after` is what is then remembered, shape (comparators, 3)."""

    at: Whole
    to: NDArray[np.bool_]
    after: Whole


def held(
    delays: Delays,
    channel: str,
    says: NDArray[np.int8],
    rows: Whole,
    readings: Readings,
    states: dict[str, State],
) -> Turns:
    """The turns that rows of one channel bring.

    Args:
        says: what each severity, mildest first, says of each row: 1 its limit is broken, 0 it is kept, but only within
            the deadband, -1 it is kept; shape (severities, rows).
        rows: numbers of those rows that say anything, ascending.
        states: of the assets, by name; brought up to date.
    """
    owners = readings.owners[rows]
    first = changed(owners)
    assets = [readings.assets[number] for number in owners[first].tolist()]
    before = _recalled(states, assets, channel, len(says))
    if not before.any() and not (says > 0).any():
        return _NO_TURNS
    owners = np.cumsum(first) - 1
    switches = _switched(says, readings.times[rows], first, owners, before.reshape(-1, 3), delays)
    _remember(states, assets, channel, before, switches.after.reshape(before.shape))
    return _turns(switches, owners, before[:, :, 0] != 0) if len(switches.at) else _NO_TURNS


def recalls(states: dict[str, State], channel: str) -> bool:
    """Whether anything is remembered of a channel."""
    return any(channel in state for state in states.values())


def _switched(
    says: NDArray[np.int8],
    times: Whole,
    first: NDArray[np.bool_],
    owners: Whole,
    before: Whole,
    delays: Delays,
) -> _Switches:
    """Every comparator led through its asset's rows; comparators are counted severity by severity, rows likewise."""
    size, line = says.shape[1], says.reshape(-1)
    begins = np.flatnonzero(changed(line) | np.concatenate([first] * len(says)))
    ends = np.append(begins[1:], len(line))
    rows, kinds = begins % size, line[begins]
    which = owners[rows] + (begins // size) * (owners[-1] + 1)
    on = before[which, 0] != 0
    goes_on = first[rows] & (before[which, 2] > 0) & (kinds == np.where(on, -1, 1))
    since = np.where(goes_on, before[which, 1], times[rows])
    count = np.where(goes_on, before[which, 2], 0)
    needed = np.where(kinds > 0, delays.min_violations, 1)
    at = begins + np.maximum(needed - count - 1, 0)
    fires, due = (kinds != 0) & (at < ends), since
    if delays.on_ns or delays.off_ns:
        delay = np.where(kinds > 0, delays.on_ns, delays.off_ns)
        due = np.where(since > _END - delay, _END, since + delay)
        fires &= times[(ends - 1) % size] >= due
    fired = np.flatnonzero(fires)
    to, whose = kinds[fired] > 0, which[fired]
    was = np.concatenate([_FALSE, to[:-1]])
    opening = changed(whose)
    was[opening] = on[fired[opening]]
    turns = fired[to != was]
    for one in turns[times[at[turns] % size] < due[turns]].tolist() if due is not since else ():
        at[one] = begins[one] + np.searchsorted(times[rows[one] : rows[one] + ends[one] - begins[one]], due[one])
    now = before[:, 0] != 0
    now[whose] = to
    last = lasts(np.flatnonzero(changed(which)), len(which))
    waits = kinds[last] == np.where(now, -1, 1)
    seen = np.minimum(count + ends - begins, needed)[last]
    after = np.empty_like(before)
    after[:, 0], after[:, 1], after[:, 2] = now, since[last] * waits, seen * waits
    return _Switches(at[turns], kinds[turns] > 0, after)


def _turns(switches: _Switches, owners: Whole, before: NDArray[np.bool_]) -> Turns:
    """Where the worst severity that is on becomes another; `before` says which were on, shape (severities, assets)."""
    severities, places = np.divmod(switches.at, len(owners))
    at = np.unique(places)
    whose = owners[at]
    levels, level = np.full(len(at), -1), np.full(before.shape[1], -1)
    for index, was_on in enumerate(before):
        own, on = places[severities == index], was_on[whose]
        if len(own):
            latest = np.searchsorted(own, at, side="right") - 1
            told = (latest >= 0) & (owners[own[latest]] == whose)
            on = np.where(told, switches.to[severities == index][latest], on)
        levels[on] = index
        level[was_on] = index
    was = np.concatenate([_NONE, levels[:-1]])
    opening = changed(whose)
    was[opening] = level[whose[opening]]
    return Turns(at[levels != was], levels[levels != was])


def _recalled(states: dict[str, State], assets: Sequence[str], channel: str, severities: int) -> Whole:
    """What is remembered of each asset's comparators, shape (severities, assets, 3).

    A comparator: whether it is on, and of the rows at the end that say otherwise the first one's event time and how many
    there are, as far as they count.
    """
    found = np.zeros((severities, len(assets), 3), np.int64)
    if states:
        for number, asset in enumerate(assets):
            if channel in (state := states.get(asset, {})):
                found[:, number] = state[channel]
    return found


def _remember(states: dict[str, State], assets: Sequence[str], channel: str, before: Whole, after: Whole) -> None:
    """Keep what differs from knowing nothing."""
    differs = np.flatnonzero(np.any(before != after, axis=(0, 2)))
    kept = after[:, differs].transpose(1, 0, 2)
    some = np.any(kept, axis=(1, 2)).tolist()
    for number, is_some, comparators in zip(differs.tolist(), some, kept.tolist(), strict=True):
        asset = assets[number]
        state = {name: value for name, value in states.get(asset, {}).items() if name != channel}
        states[asset] = state | ({channel: comparators} if is_some else {})
