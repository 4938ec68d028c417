"""What is different between two lists of conditions: of two versions of rules, or of two revisions of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from hotfire.alarm.conditions import Point

if TYPE_CHECKING:
    from hotfire.findings import Condition

FOREVER_NS = 2**63 - 1


class Difference(Struct, frozen=True):
    """What changes between two lists of conditions.

    Attributes:
        added: conditions that overlap none of the old ones.
        removed: old conditions that overlap none of the new ones.
        changed: pairs of an old and a new condition that overlap, but have another severity.
    """

    added: tuple[Condition, ...]
    removed: tuple[Condition, ...]
    changed: tuple[tuple[Condition, Condition], ...] = ()

    @property
    def summary(self) -> str:
        """`+2 / -14`, and how many have another severity."""
        more = f", {len(self.changed)} of another severity" if self.changed else ""
        return f"+{len(self.added)} / -{len(self.removed)}{more}"


def difference(old: Iterable[Condition], new: Iterable[Condition]) -> Difference:
    """Pair conditions of the same rule, asset and channel that overlap, each with one other, earlier ones first."""
    rest: dict[Point, list[Condition]] = {}
    for one in sorted(old, key=_when):
        rest.setdefault((one.rule, one.asset, one.channel), []).append(one)
    added, changed = [], []
    for one in sorted(new, key=_when):
        own = rest.get((one.rule, one.asset, one.channel), [])
        at = next((at for at, other in enumerate(own) if overlap(one, other)), None)
        if at is None:
            added.append(one)
        elif (before := own.pop(at)).severity != one.severity:
            changed.append((before, one))
    removed = sorted((one for own in rest.values() for one in own), key=_when)
    return Difference(tuple(added), tuple(removed), tuple(changed))


def overlap(one: Condition, other: Condition) -> bool:
    """Whether there is an instant at which both hold, their ends included."""
    return one.raised_at_ns <= end_of(other) and other.raised_at_ns <= end_of(one)


def end_of(one: Condition) -> int:
    """When it returned; for ever, if it has not."""
    return FOREVER_NS if one.returned_at_ns is None else one.returned_at_ns


def _when(one: Condition) -> tuple[int, str, str, str]:
    return one.raised_at_ns, one.asset, one.rule, one.channel
