"""Conditions as a fold of findings: a rule is true of an asset from one instant to another."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from msgspec.structs import replace

from hotfire.findings import SEVERITIES, About, Change, Condition, Finding

Point = tuple[str, str, str]
"""Rule, asset and channel: what can be in one condition at a time."""


def after(held: MutableMapping[Point, Condition], findings: Iterable[Finding], about: About) -> list[Change]:
    """The changes that findings make, in their order.

    Args:
        held: the last condition of each point, open or returned; brought up to date.
        findings: of one rule; late ones and impossible readings change nothing.
    """
    changes = []
    for one in findings:
        point = (one.rule, one.asset, one.channel)
        before = held.get(point)
        change = _change(before, one, about) if one.kind == "level" else None
        if change is not None:
            held[point] = change.condition
            changes.append(change)
    return changes


def ended(before: Condition, at_ns: int) -> Change:
    """The end of an open condition whose rule is no more, or has become another."""
    return Change("returned", at_ns, replace(before, level=None, returned_at_ns=at_ns))


def _change(before: Condition | None, one: Finding, about: About) -> Change | None:
    is_open = before is not None and before.level is not None
    if one.severity is None:
        return replace(ended(before, one.at_ns), about=about) if before is not None and is_open else None
    if before is None or not is_open:
        number = 1 if before is None else before.number + 1
        point = (one.rule, one.asset, one.channel)
        fresh = Condition(*point, number, one.severity, one.severity, one.at_ns)
        return Change("raised", one.at_ns, _shown(fresh, one), about)
    if one.severity == before.level:
        return None
    if _rank(one.severity) > _rank(before.severity):
        worst = replace(before, level=one.severity, severity=one.severity)
        return Change("worse", one.at_ns, _shown(worst, one), about)
    is_worse = before.level is not None and _rank(one.severity) > _rank(before.level)
    return Change("worse" if is_worse else "milder", one.at_ns, replace(before, level=one.severity), about)


def _shown(condition: Condition, one: Finding) -> Condition:
    return replace(condition, value=one.value, limit=one.limit, message=one.message)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
