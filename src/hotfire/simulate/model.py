"""What is asked of a simulator, and what it gives: blocks of lines, and labels that say what is wrong in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from hotfire.clock import iso
from hotfire.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Form = Literal["csv", "jsonl", "txt"]
"""How lines are written. `txt` is a stream's own published form: cells between spaces, without a header."""

ENDLESS_HOURS = 1e6


class FaultFile(Struct, frozen=True):
    """A fault file: what messages call it, and its YAML."""

    name: str
    text: str


class Request(Struct, frozen=True):
    """What to simulate. The same request gives the same bytes.

    Attributes:
        start_ns: the instant of the first reading, in nanoseconds of UTC.
        hours: how long, in hours.
        rate_hz: readings a second and asset.
        assets: how many at a time.
        faults: `none`, `default`, or a fault file.
        form: how lines are written.
        block_rows: readings a block, at most; changes nothing but the blocks.
    """

    start_ns: int
    hours: float = 1.0
    rate_hz: float = 1.0
    assets: int = 5
    seed: int = 1
    faults: str | FaultFile = "default"
    form: Form = "csv"
    block_rows: int = 65_536

    def __post_init__(self) -> None:
        limits = {"hours": (0.0, ENDLESS_HOURS), "rate_hz": (0.001, 1e5), "assets": (1, 9999), "seed": (0, 2**63)}
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

    @property
    def steps_a_block(self) -> int:
        """Readings of one asset in a block, at most."""
        return max(1, self.block_rows // self.assets)

    def instant_ns(self, step: int) -> int:
        """When a reading is taken, in nanoseconds of UTC."""
        return self.start_ns + int(step * 1_000_000_000 / self.rate)

    def step_from(self, since_ns: int) -> int:
        """The first reading that is taken so long after the start, or later."""
        return math.ceil(since_ns * self.rate / 1_000_000_000)

    def instants(self, low: int, steps: int) -> NDArray[np.int64]:
        """When the readings from step `low` on are taken, exactly, in nanoseconds of UTC."""
        import numpy as np

        rate = self.rate
        seconds, rest = np.divmod(np.arange(low, low + steps) * rate.denominator, rate.numerator)
        taken: NDArray[np.int64] = self.start_ns + seconds * 1_000_000_000 + rest * 1_000_000_000 // rate.numerator
        return taken


class Label(Struct, frozen=True):
    """One thing that is wrong, and where.

    Attributes:
        since_ns, until_ns: instants of the first and the last reading concerned.
        rows: how many readings are concerned.
        line: of one line: its number in the output, from 1.
        text: spoilt or repeated lines: the whole line.
        check: spoilt lines: the check that it breaks; None where it breaks none.
        fate: of one line: quarantined, corrected, duplicate or late; None where it is stored as if nothing were.
    """

    asset: str
    fault: str
    since_ns: int
    until_ns: int
    channel: str | None = None
    severity: str | None = None
    rows: int = 1
    line: int | None = None
    text: str | None = None
    check: str | None = None
    fate: str | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in a label file: instants as ISO 8601; of what follows `rows`, only what there is."""
        written: dict[str, Any] = {"asset": self.asset, "channel": self.channel, "fault": self.fault}
        written |= {"since": iso(self.since_ns), "until": iso(self.until_ns), "rows": self.rows}
        for name in ("severity", "line", "text", "check", "fate"):
            if getattr(self, name) is not None:
                written[name] = getattr(self, name)
        return written


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the output.

    Attributes:
        lines: whole lines, each with its line end; the first block of a CSV begins with the header.
        rows: data lines in it.
        due_ns: when each data line leaves its asset, in nanoseconds of UTC; never earlier than the line before it.
        labels: of its lines, and of faults that begin in it.
    """

    lines: bytes
    rows: int
    due_ns: NDArray[np.int64] = field(compare=False)
    labels: tuple[Label, ...] = field(default=())


Blocks = Iterator[Block]
