"""What detectors remember of an asset's channels, beside their comparators: plain values, by kind and channel."""

from __future__ import annotations

from typing import Any

from hotfire.detect.model import State


def owned(states: dict[str, State], *kinds: str) -> None:
    """Put copies in the place of states, so that `remember` changes nothing that others hold."""
    for asset, state in states.items():
        states[asset] = state | {kind: dict(state[kind]) for kind in kinds if kind in state}


def recalled(states: dict[str, State], asset: str, kind: str, channel: str) -> Any:
    """What is remembered; None where that is nothing."""
    state = states.get(asset)
    return state[kind].get(channel) if state and kind in state else None


def remember(states: dict[str, State], asset: str, kind: str, channel: str, value: Any) -> None:
    """Remember something else from now on; None: nothing. `owned` was called before.

    Args:
        kind: begins with `_`, as no channel does.
    """
    state = states.setdefault(asset, {})
    if value is not None:
        state.setdefault(kind, {})[channel] = value
    elif channel in state.get(kind, {}):
        del state[kind][channel]
        if not state[kind]:
            del state[kind]
