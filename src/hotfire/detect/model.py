"""What a detector is given: a compiled rule, and readings. What it gives back is in `findings.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from hotfire.contract.expression import columns_of, compile_sql, evaluated
from hotfire.contract.lens import FRAME_TYPES
from hotfire.findings import About

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract

State: TypeAlias = dict[str, Any]
"""What a detector remembers of one asset: plain JSON values. Nothing remembered is an empty one."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How long a limit must be broken, or kept again, before that counts (ISA-18.2 on- and off-delay).

    Attributes:
        min_violations: so many rows in a row break it.
        on_ns, off_ns: event time from the first of those rows to the one that confirms.
    """

    min_violations: int = 1
    on_ns: int = 0
    off_ns: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """The limits of one severity, in the unit that the rule compares in; None is open."""

    severity: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One named alarm condition, compiled: every value in the contract's units, every name known.

    Attributes:
        channels: the columns it looks at, each by itself; empty: the asset as a whole.
        levels: severities, mildest first. Detectors without limits of their own have one.
        parameters: the detector's own, as it reads them.
        only: SQL: the rule holds of no row for which this is not true.
        settle_ns: nor of rows for so long after it became true.
        message: for people, with `{column}`, `{asset}`, `{channel}`, `{value}`, `{limit}`, `{severity}` filled in.
        key: its name, and a hash of everything that decides what it finds.
    """

    name: str
    detector: str
    channels: tuple[str, ...]
    levels: tuple[Level, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    delays: Delays = Delays()
    only: str | None = None
    settle_ns: int = 0
    message: str = ""
    about: About = About()
    key: str = ""


@dataclass(frozen=True)
class Readings:
    """Rows as detectors take them: one asset after another, each asset's in the order that counts.

    Attributes:
        frame: the contract's storage columns.
        assets: without repetition.
        edges: asset number i has rows edges[i] to edges[i + 1], shape (assets + 1,).
        times: event times in nanoseconds of UTC, shape (rows,); never descending within an asset.
    """

    contract: Contract
    frame: pl.DataFrame
    assets: tuple[str, ...]
    edges: NDArray[np.int64]
    times: NDArray[np.int64]
    _cache: dict[tuple[str, str], NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract, rows: pl.DataFrame) -> Readings:
        """Readings of rows that come in the order that counts, their assets in any order."""
        asset, time = contract.identity[:2]
        frame = rows.sort(asset, maintain_order=True)
        runs = frame[asset].rle().struct.unnest()
        edges = np.concatenate([[0], np.cumsum(runs["len"].to_numpy(), dtype=np.int64)])
        return cls(contract, frame, tuple(runs["value"]), edges, frame[time].to_numpy())

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The number of each row's asset, shape (rows,)."""
        return np.repeat(np.arange(len(self.assets)), np.diff(self.edges))

    @cached_property
    def firsts(self) -> NDArray[np.bool_]:
        """Which rows are the first of their asset, shape (rows,)."""
        first = np.zeros(len(self), dtype=bool)
        first[self.edges[:-1]] = True
        return first

    def numbers(self, channel: str) -> NDArray[np.float64]:
        """A channel's values, NaN where there is none, shape (rows,)."""
        found = self._cache.get(("number", channel))
        if found is None:
            values = self.frame[channel].cast(pl.Float64)
            found = self._cache[("number", channel)] = values.fill_null(np.nan).to_numpy()
        return found

    def truth(self, sql: str) -> NDArray[np.int8]:
        """An SQL condition of each row: 1 true, 0 false, -1 unknown, shape (rows,)."""
        found = self._cache.get(("truth", sql))
        if found is None:
            names = columns_of(sql)
            columns = [one for one in self.contract.columns if one.name in names]
            frame = self.frame.select(
                pl.col(one.storage).cast(FRAME_TYPES[one.type]).alias(one.name) for one in columns
            )
            values = evaluated(frame, compile_sql(sql).cast(pl.Boolean))
            found = self._cache[("truth", sql)] = values.cast(pl.Int8).fill_null(-1).to_numpy()
        return found

    def row(self, at: int) -> dict[str, Any]:
        """One row's columns, by storage name."""
        return self.frame.row(at, named=True)
