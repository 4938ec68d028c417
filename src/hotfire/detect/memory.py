"""What detectors remember of an asset's channels, beside their comparators: plain values, by kind and channel."""

from __future__ import annotations

from typing import Any

from hotfire.detect.model import State


def recalled(states: dict[str, State], asset: str, kind: str, channel: str) -> Any:
    """What is remembered; None where that is nothing."""
    return states.get(asset, {}).get(kind, {}).get(channel)


def remember(states: dict[str, State], asset: str, kind: str, channel: str, value: Any) -> None:
    """Remember something else from now on; None: nothing. What was there before is left as it is: others hold it.

    What is equal is the same: a number that may be -0.0 has 0.0 added first.

    Args:
        kind: begins with `_`, as no channel does.
    """
    if recalled(states, asset, kind, channel) == value:
        return
    before = states.get(asset, {})
    kept = {name: one for name, one in before.get(kind, {}).items() if name != channel}
    if value is not None:
        kept[channel] = value
    state = {name: one for name, one in before.items() if name != kind}
    states[asset] = state | ({kind: kept} if kept else {})
