"""What is asked of a simulator, and what it gives: blocks of lines, and labels that say what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from hotfire.clock import iso
from hotfire.errors import UserError


@dataclass(frozen=True, slots=True)
class Request:
    """What to simulate. The same request gives the same bytes.

    Attributes:
        start_ns: the instant of the first reading, in nanoseconds of UTC.
        hours: how long, in hours.
        rate_hz: readings a second and asset.
        assets: how many.
        faults: `none`, `default`, or the content of a fault file: `{"fault": [...], "dirty": {...}}`.
        form: how lines are written.
        block_rows: readings a block, at most; changes nothing but the blocks.
    """

    start_ns: int
    hours: float = 1.0
    rate_hz: float = 1.0
    assets: int = 5
    seed: int = 1
    faults: str | Mapping[str, Any] = "default"
    form: Literal["csv", "jsonl"] = "csv"
    block_rows: int = 65_536

    def __post_init__(self) -> None:
        limits = {"hours": (0.0, 1e6), "rate_hz": (0.001, 1e5), "assets": (1, 999), "seed": (0, 2**63)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name)}; it must be from {least:g} to {most:g}.")
        if not self.steps:
            raise UserError(f"{self.hours:g} hours at {self.rate_hz:g} Hz hold no reading.")

    @property
    def rate(self) -> Fraction:
        """`rate_hz`, exact: 0.1 is one tenth."""
        return Fraction(str(self.rate_hz)).limit_denominator(10_000)

    @property
    def steps(self) -> int:
        """Readings of one asset."""
        return round(Fraction(str(self.hours)) * 3600 * self.rate)

    def instant_ns(self, step: int) -> int:
        """When a reading is taken, in nanoseconds of UTC."""
        return self.start_ns + int(step * 1_000_000_000 / self.rate)


@dataclass(frozen=True, slots=True)
class Label:
    """One thing that is wrong, and where.

    Attributes:
        start_ns, end_ns: instants of the first and the last reading concerned.
        rows: how many readings are concerned.
        line: dirty lines: the line's number in the file, from 1.
        text: dirty lines: the whole line.
        check: dirty lines: the check that it breaks; None where it breaks none.
        fate: dirty lines: quarantined, corrected or duplicate.
    """

    asset: str
    fault: str
    start_ns: int
    end_ns: int
    channel: str | None = None
    severity: str | None = None
    rows: int = 1
    line: int | None = None
    text: str | None = None
    check: str | None = None
    fate: str | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in a label file: instants as ISO 8601, nothing that is not there."""
        written: dict[str, Any] = {"asset": self.asset, "fault": self.fault}
        written |= {"start": iso(self.start_ns), "end": iso(self.end_ns), "rows": self.rows}
        for name in ("channel", "severity", "line", "text", "check", "fate"):
            if getattr(self, name) is not None:
                written[name] = getattr(self, name)
        return written


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the output.

    Attributes:
        lines: whole lines, each with its line end; the first block of a table begins with the header.
        rows: data lines in it.
        labels: what begins in this block.
    """

    lines: bytes
    rows: int
    labels: tuple[Label, ...] = field(default=())


Blocks = Iterator[Block]
