"""Where a rule holds at all: `only`, and for how long it must have been true already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.model import Readings, Rule, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SINCE = "_since"  # no column is called so
NEVER = -(2**63)


def open_rows(rule: Rule, states: dict[str, State] | None, readings: Readings) -> NDArray[np.bool_] | None:
    """The rows that a rule looks at, shape (rows,); None: all. Brings the states up to date.

    Args:
        states: None: how long the rule has held already is left out of account.
    """
    if rule.only is None:
        return None
    true = readings.truth(rule.only) == 1
    if not rule.settle_ns or states is None:
        return true
    since = _since(true, states, readings)
    return true & (readings.times - np.where(true, since, readings.times) >= rule.settle_ns)


def _since(true: NDArray[np.bool_], states: dict[str, State], readings: Readings) -> NDArray[np.int64]:
    """The event time from which on a condition has been true without a break, of each row where it is."""
    before = np.array([states.get(asset, {}).get(_SINCE, NEVER) for asset in readings.assets], dtype=np.int64)
    earlier = np.concatenate([[False], true[:-1]])
    earlier[readings.firsts] = before != NEVER
    begins = true & ~earlier
    since = np.where(begins, readings.times, NEVER)
    first = readings.firsts & true & earlier
    since[first] = before[readings.owners[first]]
    marked = np.where(since != NEVER, np.arange(len(readings)), 0)
    since = since[np.maximum.accumulate(marked)]
    ends = readings.edges[1:] - 1
    for number, asset in enumerate(readings.assets):
        state = {name: value for name, value in states.get(asset, {}).items() if name != _SINCE}
        if true[ends[number]]:
            state[_SINCE] = int(since[ends[number]])
        states[asset] = state
    return since
