"""Two accounts of the past, one of which holds for a stretch of event time and the other outside of it, made into one.

A condition holds from the instant at which it was raised up to, but not at, the one at which it returned. So an account
says of every instant whether a rule is true of an asset. The spliced account says of each instant what the account says
that is in force there; where a condition is cut in two by the edge of a stretch, each part stands for itself, and parts
that meet at an edge are one condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from hotfire.alarm.compare import FOREVER_NS, end_of
from hotfire.findings import SEVERITIES, Condition

BEGINNING_NS = -(2**63)


class Entry(Struct, frozen=True):
    """A condition as the ledger of conditions has it.

    Attributes:
        shard: under whose name the rows are remembered.
        batch_seq: the batch with the row that raised it.
    """

    shard: str
    batch_seq: int
    condition: Condition

    @property
    def point(self) -> tuple[str, str, str, str]:
        """Shard, rule, asset and channel: what can be in one condition at a time."""
        one = self.condition
        return self.shard, one.rule, one.asset, one.channel


Stretch: TypeAlias = tuple[int, int, Iterable[Entry]]
"""[since, until) in nanoseconds of UTC, and the account in force there."""


def spliced(stretches: Sequence[Stretch]) -> list[Entry]:
    """One account of several stretches that follow each other. Conditions of a point are counted anew.

    A part has the severity, value, limit and message of its condition; of parts that meet, those of the severest.
    """
    parts: dict[tuple[str, str, str, str], list[Entry]] = {}
    for since_ns, until_ns, entries in stretches:
        for one in sorted(entries, key=lambda one: one.condition.raised_at_ns):
            if (part := _within(one, since_ns, until_ns)) is not None:
                _append(parts.setdefault(part.point, []), part, since_ns)
    return [
        replace(one, condition=replace(one.condition, number=number))
        for _, own in sorted(parts.items())
        for number, one in enumerate(own, 1)
    ]


def revised(old: Iterable[Entry], new: Iterable[Entry], since_ns: int | None, until_ns: int | None) -> list[Entry]:
    """The new account of [since, until), the old one of what is before and after; None is open."""
    begin = BEGINNING_NS if since_ns is None else since_ns
    end = FOREVER_NS if until_ns is None else until_ns
    before = list(old)
    return spliced([(BEGINNING_NS, begin, before), (begin, end, new), (end, FOREVER_NS, before)])


def _within(one: Entry, since_ns: int, until_ns: int) -> Entry | None:
    """The part of a condition in [since, until)."""
    condition = one.condition
    begin, end = max(condition.raised_at_ns, since_ns), min(end_of(condition), until_ns)
    moment = condition.raised_at_ns == condition.returned_at_ns
    if begin > end or (begin == end and not (moment and since_ns <= begin < until_ns)):
        return None
    if end == end_of(condition):
        return replace(one, condition=replace(condition, raised_at_ns=begin))
    return replace(one, condition=replace(condition, raised_at_ns=begin, returned_at_ns=end, level=None))


def _append(own: list[Entry], part: Entry, edge_ns: int) -> None:
    """A part that begins at the edge where the one before it ends goes on with that."""
    if not own or part.condition.raised_at_ns != edge_ns or own[-1].condition.returned_at_ns != edge_ns:
        own.append(part)
        return
    first, second = own[-1].condition, part.condition
    worst = max(first, second, key=lambda one: SEVERITIES.index(one.severity))
    shown = replace(first, severity=worst.severity, value=worst.value, limit=worst.limit, message=worst.message)
    own[-1] = replace(own[-1], condition=replace(shown, level=second.level, returned_at_ns=second.returned_at_ns))
