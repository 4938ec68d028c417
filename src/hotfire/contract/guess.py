"""What is believed of one column of a sample, and why, while a contract is inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import polars as pl

    from hotfire.contract.model import TimeFormat, Type


def dirt(rows: int, columns: int = 1) -> int:
    """How many values of one column may be dirt: 1 % of all, or of a small sample a few, one in ten at most."""
    return max(rows // 100 // columns, min(3, rows // 10))


class Guess(Struct, eq=False):
    """What is believed of one column, and why.

    Attributes:
        why: of the type.
        odd: which values do not fit it, and go into quarantine.
        unit: the unit, and why.
        limits: minimum, maximum, and why.
        allowed: the only texts, and why.
        key: its place in the primary key, from 1; 0 outside.
    """

    name: str
    path: str
    values: pl.Series
    type: Type = "string"
    why: str = ""
    odd: str = ""
    format: TimeFormat = "iso"
    zone: str | None = None
    coerce: bool = False
    unit: tuple[str, str] | None = None
    limits: tuple[float | None, float | None, str] | None = None
    allowed: tuple[list[str], str] | None = None
    key: int = 0

    @property
    def complete(self) -> bool:
        """Whether every row of the sample has a value, but for a few that are dirt."""
        return self.values.null_count() <= dirt(len(self.values)) // 2

    @property
    def distinct(self) -> float:
        """How many different values there are for each row."""
        return self.values.n_unique() / len(self.values)

    @property
    def unique(self) -> bool:
        """Whether every row of the sample has a value of its own."""
        return self.complete and self.distinct == 1


def quietly(text: str) -> str:
    """A text of the sample's as part of a comment: on one line, without what cannot be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
