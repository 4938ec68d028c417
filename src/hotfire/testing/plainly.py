"""How detectors hold what rows say, once more: row by row and as plainly as can be, to compare detectors with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

from hotfire.detect.model import Delays
from hotfire.findings import SEVERITIES, Finding
from hotfire.testing.detector_suite import BURNS, Row

Told: TypeAlias = tuple[str, str, int, str | None]
"""Asset, channel, event time and severity of a finding."""

_NAMES = [column.name for column in BURNS.columns]


class Comparator(Struct):
    """One severity of one asset and channel."""

    delays: Delays
    on: bool = False
    times: list[int] = field(default_factory=list)

    def say(self, at_ns: int, says: int) -> None:
        """Take what one row says: 1 the limit is broken, -1 it is kept, 0 neither."""
        if says != (-1 if self.on else 1):
            self.times = []
            return
        self.times.append(at_ns)
        needed = 1 if self.on else self.delays.min_violations
        delay_ns = self.delays.off_ns if self.on else self.delays.on_ns
        if len(self.times) >= needed and at_ns - self.times[0] >= delay_ns:
            self.on, self.times = not self.on, []


def by_asset(rows: Iterable[Row]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the suite as mappings, each asset's in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(dict(zip(_NAMES, row, strict=True)))
    return found


def gates(
    rows: Sequence[dict[str, Any]], only: Callable[[dict[str, Any]], bool | None], settle_ns: int = 0
) -> list[bool | None]:
    """Whether a rule holds of each row of one asset; None: unknown."""
    found: list[bool | None] = []
    since: int | None = None
    for row in rows:
        answer = only(row)
        if answer:
            since = row["at"] if since is None else since
            found.append(row["at"] - since >= settle_ns)
        else:
            since = since if answer is None else None
            found.append(answer)
    return found


def turns(
    place: tuple[str, str], severities: Sequence[str], delays: Delays, said: Iterable[tuple[int, Sequence[int]]]
) -> Iterator[Told]:
    """From what each severity, mildest first, says of each row of an asset and channel, to findings."""
    comparators = [Comparator(delays) for _ in severities]
    level = None
    for at_ns, says in said:
        for comparator, one in zip(comparators, says, strict=True):
            comparator.say(at_ns, one)
        worst = [one for one, comparator in zip(severities, comparators, strict=True) if comparator.on]
        now = max(worst, key=SEVERITIES.index, default=None)
        if now != level:
            level = now
            yield *place, at_ns, level


def says_of(value: float, bounds: tuple[float | None, float | None], deadband: float = 0.0) -> int:
    """What a value says of a low and a high limit; None is open."""
    low = float("-inf") if bounds[0] is None else bounds[0]
    high = float("inf") if bounds[1] is None else bounds[1]
    if value > high or value < low:
        return 1
    return -1 if low + deadband <= value <= high - deadband else 0


def told(found: Iterable[Finding]) -> list[Told]:
    """Findings as they are compared."""
    return [(one.asset, one.channel, one.at_ns, one.severity) for one in found]
