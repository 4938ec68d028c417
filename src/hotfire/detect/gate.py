"""Where a rule holds at all: `only`, and for how long that must have been true already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.model import Readings, Rule, State, elapsed, lasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SINCE = "_since"  # no column is called so


def gated(rule: Rule, states: dict[str, State] | None, readings: Readings) -> NDArray[np.int8] | None:
    """Whether a rule holds of each row: 1 it does, 0 it does not, -1 unknown, shape (rows,); None: of every one.

    Args:
        states: brought up to date. None: for how long the rule has held already is left out of account.
    """
    if rule.only is None:
        return None
    truth = readings.truth(rule.only)
    if not rule.settle_ns or states is None:
        return truth
    known = np.flatnonzero(truth >= 0)
    since = _since(truth[known] == 1, known, states, readings)
    unsettled = elapsed(since, readings.times[known]) < rule.settle_ns
    settled = truth.copy()
    settled[known[unsettled]] = 0
    return settled


def telling(known: NDArray[np.bool_], gate: NDArray[np.int8] | None) -> NDArray[np.bool_]:
    """Which rows tell a rule something: what is known where the rule holds, or that it does not hold."""
    return known if gate is None else (known & (gate == 1)) | (gate == 0)


def _since(
    true: NDArray[np.bool_], rows: NDArray[np.int64], states: dict[str, State], readings: Readings
) -> NDArray[np.int64]:
    """The event time from which on each row's asset has answered as it does, shape (rows,).

    Remembered where the answer is yes.
    """
    owners, times = readings.owners[rows], readings.times[rows]
    first = np.diff(owners, prepend=-1) != 0
    begins = np.flatnonzero(first | np.diff(true, prepend=True))
    since = times[begins]
    leads = np.flatnonzero(first[begins])
    for lead, last in zip(leads.tolist(), lasts(leads, len(begins)).tolist(), strict=True):
        asset = readings.assets[owners[begins[lead]]]
        before = states.get(asset, {})
        if _SINCE in before and true[begins[lead]]:
            since[lead] = before[_SINCE]
        now = int(since[last]) if true[begins[last]] else None
        if before.get(_SINCE) != now:
            state = {name: value for name, value in before.items() if name != _SINCE}
            states[asset] = state if now is None else {_SINCE: now} | state
    return np.repeat(since, np.diff(begins, append=len(rows)))
