"""A rocket engine on its stand: burn after burn, as smooth curves, with noise and with faults in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from hotfire.simulate.faults import Fault, Kind, Plan, given_to
from hotfire.simulate.model import Request
from hotfire.simulate.sensors import Floats, Sensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHASES = ("standby", "startup", "steady", "shutdown")
CHANNELS = ("chamber_pressure", "fuel_flow", "temperature", "performance_score")
UNITS = ("bar", "kg/s", "degC", "")
STANDBY = (1.0, 0.0, 25.0, 92.0)
"""Nominal readings at rest, by channel. The score says how close an engine is to its nominal course, so it is alike."""
STEADY = (210.0, 95.0, 640.0, 92.0)
"""Nominal readings in a steady burn, by channel."""
NOISE = (1.5, 0.6, 4.0, 2.0)
"""Standard deviation of the noise in a steady burn, by channel."""
STARTUP_S, SHUTDOWN_S = 8.0, 6.0

_NONE = (0.0, 0.0)
KINDS = {
    "pressure_spike": Kind("critical", (5, 12), {"chamber_pressure": (95, 120)}),
    "fuel_system_failure": Kind("critical", (20, 60), {"fuel_flow": (0.35, 0.6)}),
    "temperature_runaway": Kind("critical", (30, 90), {"temperature": (180, 320)}),
    "dropout": Kind("warning", (5, 40), {"event_time": _NONE}),
    "stuck_sensor": Kind("warning", (30, 90), dict.fromkeys(("temperature", "chamber_pressure", "fuel_flow"), _NONE)),
    "drift": Kind(
        "warning", (120, 300), {"temperature": (60, 120), "chamber_pressure": (20, 40), "fuel_flow": (8, 15)}
    ),
}
"""Sizes: bar above nominal, share of the flow that is lost, kelvin above nominal; of a drift, what it comes to."""

BY_CHANCE = ("pressure_spike", "fuel_system_failure", "temperature_runaway", "dropout", "stuck_sensor")
"""Those that happen unless something else is asked for."""

_OFFSETS = (0.5, 0.2, 1.5, 0.5)  # standard deviations between engines, by channel
_HEATING_S, _COOLING_S = 1.5, 25.0  # time constants of the wall: in a burn, at rest
_MARGIN_S = 20.0  # of steady burn before and after a fault


class Burn(Struct, frozen=True):
    """Rest, startup, steady burn and shutdown of one engine. Times are seconds after the start of the simulation.

    Attributes:
        wall: the wall's temperature in degC at each of the four phases' beginnings, and at the end.
    """

    start_s: float
    standby_s: float
    steady_s: float
    wall: tuple[float, float, float, float, float]

    @property
    def edges_s(self) -> tuple[float, float, float, float]:
        """Where startup, steady, shutdown and the next burn begin."""
        startup = self.start_s + self.standby_s
        steady = startup + STARTUP_S
        return startup, steady, steady + self.steady_s, steady + self.steady_s + SHUTDOWN_S


class Readings(Struct, frozen=True):
    """What one engine's sensors say in a row of steps.

    Attributes:
        phase: the number of the phase, one a step.
        values: one row a step, one column a channel.
        present: False where a reading is lost.
        faults: those that begin here.
    """

    phase: NDArray[np.int64]
    values: Floats
    present: NDArray[np.bool_]
    faults: tuple[Fault, ...]


def readings(index: int, name: str, request: Request, plan: Plan, steps_a_block: int) -> Iterator[Readings]:
    """All readings of the engine of that index, in blocks. How they are cut changes nothing in them."""
    rng = np.random.default_rng([request.seed, index, 0])
    offsets = np.random.default_rng([request.seed, index, 1]).normal(0, _OFFSETS)
    planned = _faults(index, name, request, plan)
    fault = next(planned, None)
    sensors = Sensors(CHANNELS, _disturb)
    for low, phase, level, values in _nominal(index, request, steps_a_block):
        high = low + len(phase)
        strength = np.stack([level] * 3 + [np.ones_like(level)], axis=1)
        measured = values + offsets * strength
        measured += rng.standard_normal(values.shape) * NOISE * (0.03 + 0.97 * strength)
        begun = []
        while fault is not None and fault.first < high:
            begun.append(fault)
            fault = next(planned, None)
        present = sensors.apply(begun, low, measured)
        possible = np.clip(measured, (0, 0, -60, 0), (350, 200, 1500, 100))
        yield Readings(phase, np.round(possible, 2) + 0.0, present, tuple(begun))


def _nominal(
    index: int, request: Request, steps_a_block: int
) -> Iterator[tuple[int, NDArray[np.int64], Floats, Floats]]:
    """Blocks of the engine's course: first step, phases, levels (0 at rest, 1 in a steady burn), noiseless values."""
    burns = _burns(index, request)
    burn = next(burns)
    for low in range(0, request.steps, steps_a_block):
        time_s = np.arange(low, min(low + steps_a_block, request.steps)) / float(request.rate)
        size = len(time_s)
        phase, level, values = np.empty(size, np.int64), np.empty(size), np.empty((size, len(CHANNELS)))
        done = 0
        while done < size:
            end = int(np.searchsorted(time_s, burn.edges_s[3]))
            phase[done:end], level[done:end], values[done:end] = _course(burn, time_s[done:end])
            burn = next(burns) if end < size else burn
            done = end
        yield low, phase, level, values


def _burns(index: int, request: Request) -> Iterator[Burn]:
    rng = np.random.default_rng([request.seed, index, 2])
    start, wall, longest = 0.0, STANDBY[2], 60.0
    while True:
        burn = _burn(start, float(rng.uniform(longest / 4, longest)), float(rng.uniform(180, 360)), wall)
        yield burn
        start, wall, longest = burn.edges_s[3], burn.wall[4], 240.0


def _burn(start_s: float, standby_s: float, steady_s: float, wall: float) -> Burn:
    """A burn whose wall begins at that temperature: the end of one is the beginning of the next."""
    ends = [wall]
    for phase, length in enumerate((standby_s, STARTUP_S, steady_s, SHUTDOWN_S)):
        ends.append(float(_wall(phase, np.array([length]), ends[-1])[0]))
    return Burn(start_s, standby_s, steady_s, (ends[0], ends[1], ends[2], ends[3], ends[4]))


def _course(burn: Burn, time_s: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Phases, levels and noiseless values of instants within one burn."""
    phase = np.searchsorted(burn.edges_s[:3], time_s, side="right")
    since = time_s - np.array((burn.start_s, *burn.edges_s[:3]))[phase]
    level = np.select(
        [phase == 1, phase == 2, phase == 3],
        [_smooth(since / STARTUP_S), np.ones_like(since), _smooth(1 - since / SHUTDOWN_S)],
    )
    values = np.array(STANDBY) + level[:, None] * (np.array(STEADY) - STANDBY)
    for one in range(4):
        here = phase == one
        values[here, 2] = _wall(one, since[here], burn.wall[one])
    return phase, level, values


def _wall(phase: int, since_s: Floats, begin: float) -> Floats:
    """The wall's temperature in degC, so long after the phase began: it follows the flame as a first-order lag."""
    rest, flame = STANDBY[2], STEADY[2]
    if phase == 1:
        return _follow(since_s, begin, rest, (flame - rest) / STARTUP_S, _HEATING_S)
    if phase == 2:
        return _follow(since_s, begin, flame, 0.0, _HEATING_S)
    if phase == 3:
        return _follow(since_s, begin, flame, (rest - flame) / SHUTDOWN_S, 2 * _HEATING_S)
    return _follow(since_s, begin, rest, 0.0, _COOLING_S)


def _follow(since_s: Floats, begin: float, target: float, slope: float, lag_s: float) -> Floats:
    """The response of a first-order lag to `target + slope * t`, exactly."""
    settled = target + slope * (since_s - lag_s)
    answer: Floats = settled + (begin - target + slope * lag_s) * np.exp(-since_s / lag_s)
    return answer


def _smooth(share: Floats) -> Floats:
    """From 0 to 1 without a corner at either end."""
    clipped = np.clip(share, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _faults(index: int, name: str, request: Request, plan: Plan) -> Iterator[Fault]:
    """The engine's faults in order of time; those that no reading would show are left out."""
    return _random_faults(index, request) if plan.random else iter(given_to(plan, name, request))


def _random_faults(index: int, request: Request) -> Iterator[Fault]:
    """One in the steady part of every second burn; every kind gets its turn, and engines differ in which is next."""
    rng, rate = np.random.default_rng([request.seed, index, 3]), float(request.rate)
    for number, burn in enumerate(_burns(index, request)):
        if (number + index) % 2:
            continue
        name = BY_CHANCE[(number // 2 + index) % len(BY_CHANCE)]
        kind = KINDS[name]
        length, place, size = rng.uniform(*kind.duration_s), rng.random(), rng.uniform(*kind.sizes[kind.channels[0]])
        room = burn.steady_s - length - 2 * _MARGIN_S
        at_s = float(burn.edges_s[1] + _MARGIN_S + place * room)
        channel = kind.channels[rng.integers(len(kind.channels))]
        first, last = math.ceil(at_s * rate), min(math.ceil((at_s + float(length)) * rate), request.steps)
        if first >= request.steps:
            return
        if first < last:
            yield Fault(name, channel, first, last, float(size))


def _disturb(fault: Fault, share: Floats, values: Floats) -> None:
    """Change readings by a physical fault; `share` is how much of its time has passed, 0 to 1."""
    if fault.kind == "pressure_spike":
        strength = _smooth(share / 0.15) * _smooth((1 - share) / 0.35)
        change = (fault.size, 0.0, 0.15 * fault.size, -25.0)
        values += strength[:, None] * change
    elif fault.kind == "fuel_system_failure":
        strength = _smooth(share / 0.1) * _smooth((1 - share) / 0.1)
        values[:, :2] *= 1 - fault.size * strength[:, None]
        values[:, 2] -= 220 * fault.size * _smooth(share / 0.4) * _smooth((1 - share) / 0.2)
        values[:, 3] -= 80 * fault.size * strength
    else:
        strength = np.clip(share / 0.85, 0, 1) ** 2 * _smooth((1 - share) / 0.15)
        values[:, 2] += fault.size * strength
        values[:, 3] -= 0.12 * fault.size * strength
