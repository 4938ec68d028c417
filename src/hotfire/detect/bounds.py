"""Limits of up to five severities around a number, which contexts may replace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hotfire.detect.model import Level
from hotfire.findings import SEVERITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Bounds:
    """The limits of each severity, by context.

    Args:
        tables: the levels of a rule itself, then those of each of its contexts.
        deadband: how far within a limit a number must come back to keep it again.

    Attributes:
        severities: those that any table has, mildest first.
        inner: a number from inner[0] to inner[1] breaks no limit of any table.
    """

    def __init__(self, tables: Sequence[Sequence[Level]], deadband: float) -> None:
        named = {level.severity for levels in tables for level in levels}
        self.severities = tuple(one for one in SEVERITIES if one in named)
        self._deadband = deadband
        shape = (len(self.severities), len(tables))
        self._lows, self._highs = np.full(shape, -np.inf), np.full(shape, np.inf)
        for table, levels in enumerate(tables):
            for level in levels:
                index = self.severities.index(level.severity)
                self._lows[index, table] = -np.inf if level.low is None else level.low
                self._highs[index, table] = np.inf if level.high is None else level.high
        self.inner = self._lows.max(initial=-np.inf), self._highs.min(initial=np.inf)

    def says(self, values: NDArray[np.float64], table: NDArray[np.int64] | None) -> NDArray[np.int8]:
        """What each severity says of each value, as `hold.held` takes it; of NaN, nothing that counts.

        Args:
            table: the one that holds of each value, shape (values,); None: the first of all.
        """
        low, high = (side[:, :1] if table is None else side.take(table, axis=1) for side in (self._lows, self._highs))
        broken = ((values > high) | (values < low)).view(np.int8)
        if not self._deadband:
            return 2 * broken - np.int8(1)
        kept = (values <= high - self._deadband) & (values >= low + self._deadband)
        found: NDArray[np.int8] = broken - kept.view(np.int8)
        return found

    def passed(
        self, values: NDArray[np.float64], severities: NDArray[np.int64], table: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        """The limit that each value breaks or is nearest to, of the severity that it is given.

        Args:
            severities: indexes of `severities`; of -1 the answer means nothing.
        """
        column = np.zeros(len(values), np.int64) if table is None else table
        low, high = self._lows[severities, column], self._highs[severities, column]
        upper = (values > high) | ((values >= low) & (high - values <= values - low))
        return np.where(upper, high, low)

    def named(self, severities: NDArray[np.int64]) -> list[str | None]:
        """Severities by their indexes; None for -1."""
        return [None if index < 0 else self.severities[index] for index in severities.tolist()]
