"""What any sensor can do wrong: fall silent, stand still, drift away, jump."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hotfire.simulate.faults import Fault, Kind
from hotfire.simulate.model import Request

Floats = NDArray[np.float64]
Physical = Callable[[Fault, Floats, Floats], None]
"""Changes readings (one row a step, one column a channel) by a fault of which that share has passed, 0 to 1."""

_WINDOW = 600  # readings an asset; in each it has at most one fault by chance
_CHANCE = 0.35
_FAULTS = 4


def sensor_kinds(channels: Mapping[str, float]) -> Mapping[str, Kind]:
    """The faults that the sensors of a stream can have.

    Args:
        channels: by name, how far a channel usually moves: sizes are 3 to 8 times as much. The main one first.
    """
    moved = {channel: (3 * scale, 8 * scale) for channel, scale in channels.items()}
    still = dict.fromkeys(channels, (0.0, 0.0))
    return {
        "drift": Kind("warning", (120, 300), moved),
        "stuck_sensor": Kind("warning", (30, 90), still),
        "spike": Kind("critical", (3, 10), moved),
        "dropout": Kind("warning", (5, 40), {"event_time": (0.0, 0.0)}),
    }


class Sensors:
    """The sensors of one asset: `channels` name the columns of its readings."""

    def __init__(self, channels: Sequence[str], physical: Physical | None = None) -> None:
        self._channels, self._physical = channels, physical
        self._going_on: list[Fault] = []
        self._held: dict[Fault, float] = {}

    @property
    def is_faulty(self) -> bool:
        """Whether a fault may still go on."""
        return bool(self._going_on)

    def apply(self, begun: Sequence[Fault], low: int, values: Floats) -> NDArray[np.bool_]:
        """Change the readings from step `low` on as faults demand; False where a reading is lost.

        `begun` are those that begin in these readings; earlier ones are known.
        """
        self._going_on = [one for one in self._going_on if one.last > low] + list(begun)
        self._held = {fault: value for fault, value in self._held.items() if fault.last > low}
        present = np.ones(len(values), dtype=np.bool_)
        for fault in self._going_on:
            begin, end = max(fault.first - low, 0), min(fault.last - low, len(values))
            if fault.kind == "dropout":
                present[begin:end] = False
            elif fault.kind == "stuck_sensor":
                column = self._channels.index(fault.channel)
                values[begin:end, column] = self._held.setdefault(fault, float(values[begin, column]))
            else:
                share = (np.arange(begin, end) + low - fault.first + 0.5) / (fault.last - fault.first)
                self._disturb(fault, share, values[begin:end])
        return present

    def _disturb(self, fault: Fault, share: Floats, values: Floats) -> None:
        if fault.kind == "drift":
            values[:, self._channels.index(fault.channel)] += fault.size * share
        elif fault.kind == "spike":
            values[:, self._channels.index(fault.channel)] += fault.size
        elif self._physical is not None:
            self._physical(fault, share, values)


def by_chance(index: int, request: Request, kinds: Mapping[str, Kind]) -> Iterator[Fault]:
    """Faults of the asset of that index that come by chance, in order of time.

    Durations are those of the kinds in readings instead of seconds: a fault is seen at every rate.
    """
    names, rng = list(kinds), np.random.default_rng([request.seed, index, _FAULTS])
    for number in range(math.ceil(request.steps / _WINDOW)):
        fault = _chosen(names[(number + index) % len(names)], kinds, number, rng)
        if rng.random() < _CHANCE and fault.first < request.steps:
            yield replace(fault, last=min(fault.last, request.steps))


def _chosen(name: str, kinds: Mapping[str, Kind], window: int, rng: np.random.Generator) -> Fault:
    """One fault of that kind somewhere in the window."""
    kind = kinds[name]
    least, most = kind.duration_s
    length = int(rng.integers(int(least), int(most)))
    first = _WINDOW * window + int(rng.integers(_WINDOW - length))
    channel = kind.channels[rng.integers(len(kind.channels))]
    return Fault(name, channel, first, first + length, float(rng.uniform(*kind.sizes[channel])))
