"""Turbofan engines that wear out, in the manner of the C-MAPSS data sets.

Nominal readings, noise and drift until failure are round figures near those of the published set FD001; the course of
wear is exponential as in Saxena, Goebel, Simon, Eklund: Damage Propagation Modeling for Aircraft Engine Run-to-Failure
Simulation (PHM 2008), equation 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Sensor(Struct, frozen=True):
    """One of 24 columns.

    Attributes:
        healthy: the reading of a new engine.
        worn: how much it has changed at failure.
        noise: standard deviation.
        decimals: as published; None for whole numbers.
    """

    name: str
    healthy: float
    worn: float
    noise: float
    decimals: int | None


SENSORS = (
    Sensor("setting_1", 0.0, 0.0, 0.0022, 4),
    Sensor("setting_2", 0.0, 0.0, 0.0003, 4),
    Sensor("setting_3", 100.0, 0.0, 0.0, 1),
    Sensor("t2", 518.67, 0.0, 0.0, 2),
    Sensor("t24", 642.35, 1.35, 0.36, 2),
    Sensor("t30", 1586.5, 15.8, 4.5, 2),
    Sensor("t50", 1402.0, 27.5, 5.2, 2),
    Sensor("p2", 14.62, 0.0, 0.0, 2),
    Sensor("p15", 21.61, 0.0, 0.001, 2),
    Sensor("p30", 554.0, -2.6, 0.55, 2),
    Sensor("nf", 2388.05, 0.19, 0.052, 2),
    Sensor("nc", 9056.0, 43.0, 7.5, 2),
    Sensor("epr", 1.3, 0.0, 0.0, 2),
    Sensor("ps30", 47.33, 0.84, 0.16, 2),
    Sensor("phi", 521.95, -2.2, 0.46, 2),
    Sensor("nrf", 2388.05, 0.19, 0.053, 2),
    Sensor("nrc", 8138.0, 30.0, 7.2, 2),
    Sensor("bpr", 8.416, 0.107, 0.024, 4),
    Sensor("far_b", 0.03, 0.0, 0.0, 2),
    Sensor("ht_bleed", 392.1, 4.2, 1.0, None),
    Sensor("nf_dmd", 2388.0, 0.0, 0.0, None),
    Sensor("pcnfr_dmd", 100.0, 0.0, 0.0, 2),
    Sensor("w31", 38.94, -0.51, 0.115, 2),
    Sensor("w32", 23.365, -0.3, 0.07, 4),
)
"""Three settings and 21 sensors, as the files have them."""

_HEALTHY, _WORN, _NOISE = (np.array([getattr(one, of) for one in SENSORS]) for of in ("healthy", "worn", "noise"))
_SCALE = np.array([10.0 ** (one.decimals or 0) for one in SENSORS])
_SHORTEST, _LONGEST = 128, 362
_FELT = 0.1  # wear beyond which it is called a degradation
_UNITS = 5


class Life(Struct, frozen=True):
    """One engine from its first cycle to its failure.

    Attributes:
        cycles: how many.
        bend: how late wear sets in: 3 early, 5 late.
        offsets: from the nominal reading, by column.
        drifts: change until failure, by column.
    """

    cycles: int
    bend: float
    offsets: Floats
    drifts: Floats

    def wear(self, cycle: Floats) -> Floats:
        """From 0 for a new engine to 1 at failure."""
        worn: Floats = np.expm1(self.bend * cycle / self.cycles) / math.expm1(self.bend)
        return worn

    def course(self, cycle: NDArray[np.int64]) -> Floats:
        """Readings without noise: one row a cycle, one column a sensor."""
        course: Floats = _HEALTHY + self.offsets + self.wear(cycle.astype(np.float64))[:, None] * self.drifts
        return course

    @property
    def degrades_at(self) -> int:
        """The first cycle at which wear is felt."""
        felt = math.log1p(_FELT * math.expm1(self.bend)) / self.bend
        return max(1, math.ceil(felt * self.cycles))


def lives(seed: int, cell: int) -> Iterator[Life]:
    """The engines of one test cell, one after the other, without end."""
    rng = np.random.default_rng([seed, cell, _UNITS])
    while True:
        cycles = int(np.clip(np.round(np.exp(rng.normal(math.log(199), 0.22))), _SHORTEST, _LONGEST))
        bend, spread = float(rng.uniform(3, 5)), rng.standard_normal((2, len(SENSORS)))
        yield Life(cycles, bend, 0.3 * _NOISE * spread[0], _WORN * (1 + 0.1 * spread[1]))


def noise(rng: np.random.Generator, cycles: int) -> Floats:
    """Noise of so many cycles: one row a cycle, one column a sensor."""
    drawn: Floats = rng.standard_normal((cycles, len(SENSORS))) * _NOISE
    return drawn


def rounded(values: Floats) -> Floats:
    """Readings with the decimals that the files have, and never minus zero."""
    fitted: Floats = np.rint(values * _SCALE) / _SCALE + 0.0
    return fitted
