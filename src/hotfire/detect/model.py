"""What a detector is given: a compiled rule, and readings. What it gives back is in `findings.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl
from msgspec import Struct, field

from hotfire.contract.expression import columns_of, compile_sql, evaluated
from hotfire.contract.lens import FRAME_TYPES
from hotfire.findings import About

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotfire.contract.model import Contract

State: TypeAlias = dict[str, Any]
"""What a detector remembers of one asset: plain JSON values. Nothing remembered is an empty one."""


class Delays(Struct, frozen=True):
    """How long a limit must be broken, or kept again, before that counts (ISA-18.2 on- and off-delay).

    Attributes:
        min_violations: so many rows in a row break it.
        on_ns, off_ns: event time from the first of those rows to the one that confirms.
    """

    min_violations: int = 1
    on_ns: int = 0
    off_ns: int = 0


AT_ONCE = Delays()
"""No delay at all."""


class Level(Struct, frozen=True):
    """The limits of one severity, in the unit that the rule compares in; None is open."""

    severity: str
    low: float | None = None
    high: float | None = None


class Rule(Struct, frozen=True):
    """One named alarm condition, compiled: every value in the contract's units, every name known.

    Attributes:
        channels: the columns it looks at, each by itself; empty: the asset as a whole.
        levels: severities, mildest first. Detectors without limits of their own have one.
        parameters: the detector's own, as it reads them.
        only: SQL: where it is false the rule does not hold, and whatever it found is over; of a row of which it is
            unknown the rule says nothing.
        settle_ns: nor does it hold of rows for so long after that became true.
        message: for people; `messages.OWN` and the names of columns are filled in.
        key: its name, and a hash of everything that decides what it finds.
    """

    name: str
    detector: str
    channels: tuple[str, ...]
    levels: tuple[Level, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    delays: Delays = AT_ONCE
    only: str | None = None
    settle_ns: int = 0
    message: str = ""
    about: About = field(default_factory=About)
    key: str = ""


class Readings(Struct, frozen=True, dict=True):
    """Rows as detectors take them: one asset after another, each asset's in the order that counts.

    Attributes:
        assets: without repetition, in order of their names.
        edges: asset number i has rows edges[i] to edges[i + 1], shape (assets + 1,).
        times: event times in nanoseconds of UTC, shape (rows,); never descending within an asset.
    """

    contract: Contract
    assets: tuple[str, ...]
    edges: NDArray[np.int64]
    times: NDArray[np.int64]
    _rows: pl.DataFrame
    _order: NDArray[np.uint32] | None
    _numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _truth: dict[str, NDArray[np.int8]] = field(default_factory=dict)
    _contexts: dict[tuple[str, ...], NDArray[np.int64]] = field(default_factory=dict)
    _extents: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract, rows: pl.DataFrame) -> Readings:
        """Readings of rows (storage columns) that come in the order that counts, their assets in any order."""
        asset, time = contract.identity[:2]
        order = None
        if rows[asset].is_sorted():
            runs = rows[asset].rle().struct.unnest()
            assets, sizes = runs["value"], runs["len"]
        else:
            groups = rows.select(asset).with_row_index("at").group_by(asset).agg("at").sort(asset)
            assets, sizes, order = groups[asset], groups["at"].list.len(), groups["at"].explode().to_numpy()
        edges = np.concatenate([[0], np.cumsum(sizes.to_numpy(), dtype=np.int64)])
        times = rows[time].to_numpy()
        return cls(contract, tuple(assets), edges, times if order is None else times[order], rows, order)

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The number of each row's asset, shape (rows,)."""
        return np.repeat(np.arange(len(self.assets)), np.diff(self.edges))

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The number of each asset."""
        return {asset: number for number, asset in enumerate(self.assets)}

    @cached_property
    def all_rows(self) -> NDArray[np.int64]:
        """The number of every row, shape (rows,)."""
        return np.arange(len(self))

    def rows_of(self, concerned: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The numbers of some assets' rows; `concerned` has the shape (assets,)."""
        return self.all_rows if concerned.all() else np.flatnonzero(concerned[self.owners])

    def columns(self, names: Collection[str], rows: NDArray[np.int64] | None = None) -> pl.DataFrame:
        """Some of the contract's columns, as expressions see them, of some rows; None: of all."""
        chosen = [one for one in self.contract.columns if one.name in names]
        order: NDArray[Any] | None = self._order
        if rows is not None:
            order = rows if order is None else order[rows]
        found = [self._rows[one.storage].cast(FRAME_TYPES[one.type]).alias(one.name) for one in chosen]
        return pl.DataFrame(found if order is None else [one.gather(order) for one in found])

    def numbers(self, channel: str) -> NDArray[np.float64]:
        """A channel's values, NaN where there is none, shape (rows,)."""
        found = self._numbers.get(channel)
        if found is None:
            values = self._rows[channel].cast(pl.Float64).to_numpy()
            found = self._numbers[channel] = values if self._order is None else values[self._order]
        return found

    def extent(self, channel: str) -> tuple[float, float]:
        """The least and the greatest value of a channel; inf and -inf where it has none."""
        found = self._extents.get(channel)
        if found is None:
            values = self._rows[channel]
            least: Any = values.min()
            greatest: Any = values.max()
            found = (np.inf, -np.inf) if least is None else (float(least), float(greatest))
            self._extents[channel] = found
        return found

    def context(self, whens: tuple[str, ...]) -> NDArray[np.int64]:
        """Which of some conditions is the first that is true of each row, from 1; 0: none; shape (rows,)."""
        found = self._contexts.get(whens)
        if found is None:
            found = self._contexts[whens] = np.zeros(len(self), np.int64)
            for index, when in reversed(list(enumerate(whens, 1))):
                found[self.truth(when) == 1] = index
        return found

    def truth(self, sql: str) -> NDArray[np.int8]:
        """An SQL condition of each row: 1 true, 0 false, -1 unknown, shape (rows,)."""
        found = self._truth.get(sql)
        if found is None:
            values = evaluated(self.columns(columns_of(sql)), compile_sql(sql).cast(pl.Boolean))
            found = self._truth[sql] = values.cast(pl.Int8).fill_null(-1).to_numpy()
        return found


def elapsed(since: NDArray[np.int64], until: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The nanoseconds from each instant to a later one; exact where they lie centuries apart, too."""
    return (until - since).view(np.uint64)


def changed(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values differ from the one before, shape (values,); the first of all does."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def lasts(starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The index of the last of each run, from the indexes of their first and the number of all."""
    return np.append(starts[1:], size)[: len(starts)] - 1
