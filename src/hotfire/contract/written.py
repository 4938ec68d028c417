"""What faults and corrections show: the value as its source wrote it, looked up only where something is wrong."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from hotfire.contract.lens import version_masks
from hotfire.rows import Correction, Decoded, Fault

if TYPE_CHECKING:
    from hotfire.contract.model import Contract

MOST = 200
"""How many characters of a value are shown."""


class Written:
    """The values of records by the contract's columns, as their source wrote them."""

    def __init__(self, contract: Contract, decoded: Decoded) -> None:
        self._contract, self._decoded = contract, decoded
        self._path = cache(partial(_path, contract))

    def text(self, row_no: int, column: str) -> str | None:
        """The value; None where the record has none, or a lens has computed it."""
        path = self._path(column, self._version(row_no))
        text = self._decoded.written(row_no, path) if self._decoded.written and path is not None else None
        return None if text is None else text[:MOST]

    def faults(self, faults: Sequence[Fault]) -> list[Fault]:
        """Faults that were found in canonical values, with what was written instead."""
        return [
            Fault(one.row_no, one.check, self._instead(one.row_no, one.check, one.value), one.detail)
            if one.value
            else one
            for one in faults
        ]

    def corrections(self, corrections: Sequence[Correction]) -> list[Correction]:
        """The same of corrections of canonical values."""
        return [replace(one, raw=self._instead(one.row_no, one.check, one.raw)) for one in corrections]

    def _instead(self, row_no: int, check: str, value: str) -> str:
        text = self.text(row_no, check.rpartition(".")[0])
        return value if text is None else text

    def _version(self, row_no: int) -> int:
        if not self._contract.older:
            return 0
        numbers, rows = self._versions
        return numbers[bisect_left(rows, row_no)]

    @cached_property
    def _versions(self) -> tuple[list[int], list[int]]:
        """The number of every record's version, and the records' numbers, ascending."""
        masks = version_masks(self._contract, self._decoded.frame)
        numbers = pl.select(pl.sum_horizontal(mask.cast(pl.Int64) * number for number, mask in enumerate(masks)))
        return numbers.to_series().to_list(), self._decoded.frame["row_no"].to_list()


def _path(contract: Contract, column: str, number: int) -> str | None:
    """Where the column's value stands in records of that version."""
    versions = contract.versions
    if any(version.lens and column in version.lens.set for version in versions[number + 1 :]):
        return None
    return next(
        (None if one.element else one.path or one.name for one in versions[number].columns if one.name == column), None
    )


def shown(value: object) -> str | None:
    """A canonical value as text, where the source has written none."""
    if value is None or isinstance(value, str):
        return value if value is None else value[:MOST]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime | date) else str(value)[:MOST]
