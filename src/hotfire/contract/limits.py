"""Alarm limits as a contract writes them (`hotfire.limits`): severities around each other, settings, contexts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from hotfire import units
from hotfire.contract.document import Document, Path
from hotfire.contract.duration import duration_ns
from hotfire.contract.formulas import column_types, judge_boolean, property_places
from hotfire.contract.model import Column, Contract
from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError, UserError
from hotfire.findings import SEVERITIES

KEYS = (*SEVERITIES, "deadband", "min_violations", "on_delay", "off_delay", "context", "unit")
"""What `hotfire.limits` may hold."""
_EXAMPLE = '[{when: "SQL", critical: {high: 320}}]'


def judge_limits(doc: Document, contract: Contract) -> None:
    """Note in the document which limits are not well written, or contradict each other."""
    for column in contract.columns:
        if column.limits:
            _judge_column(doc, contract, column)


def judge_reach(doc: Document, contract: Contract) -> None:
    """Note which limits lie beyond the possible readings: those are corrected or rejected before, so it never trips.

    The limits themselves are sound: `judge_limits` had nothing to say.
    """
    for column in contract.columns:
        place, name = setting_of(doc, column, "limits"), f"{column.name}.hotfire.limits"
        scale = units.conversion(column.limits["unit"], str(column.unit)) if "unit" in column.limits else None
        for where, severity, level in _every_level(column.limits):
            levels = {side: scale(value) if scale else float(value) for side, value in level.items()}
            _judge_reach(doc, (*place, *where), f"{name}.{severity}", column, levels)


def setting_of(doc: Document, column: Column, key: str) -> Path:
    """Where a column's setting `hotfire.<key>` has its value; where the column stands, if it has no such setting."""
    where = property_places(doc.data["schema"][0], ("schema", 0)).get(column.name, ())
    owner: Any = doc.data
    for step in where:
        owner = owner[step]
    for index, item in enumerate(owner.get("customProperties") or ()):
        if item.get("property") == f"hotfire.{key}":
            return (*where, "customProperties", index, "value")
    return where


def _judge_column(doc: Document, contract: Contract, column: Column) -> None:
    place, name = setting_of(doc, column, "limits"), f"{column.name}.hotfire.limits"
    scale = _scale(doc, place, name, column)
    _judge_settings(doc, place, name, column.limits)
    written = column.limits.get("deadband", 0)
    deadband = float(written) if type(written) in (int, float) else 0.0
    _judge_levels(doc, place, name, column.limits, scale, deadband)
    contexts = column.limits.get("context", [])
    if not isinstance(contexts, list):
        doc.error((*place, "context"), name, "`context` is not a list", _EXAMPLE)
        return
    for index, context in enumerate(contexts):
        where = (*place, "context", index)
        if not isinstance(context, dict) or not isinstance(context.get("when"), str):
            hint = "{when: \"phase = 'standby'\", critical: {high: 320}}"
            doc.error(where, name, "a context needs `when`, in SQL", hint)
            continue
        judge_boolean(doc, (*where, "when"), name, context["when"], column_types(contract))
        own = {key: value for key, value in context.items() if key != "when"}
        for key in own.keys() - {*SEVERITIES}:
            doc.error((*where, key), name, f"no such severity `{key}`", did_you_mean(key, SEVERITIES))
        _judge_levels(doc, where, name, own, scale, deadband)


def _scale(doc: Document, place: Path, name: str, column: Column) -> units.Conversion | None:
    if "unit" not in column.limits:
        return None
    unit = column.limits["unit"]
    if not isinstance(unit, str):
        doc.error((*place, "unit"), name, f"{unit!r} is not a unit", "quote it, or leave it out")
        return None
    if column.unit is None:
        doc.error((*place, "unit"), name, "the limits have a unit, the column has none", "give the column hotfire.unit")
        return None
    try:
        return units.conversion(unit, column.unit)
    except UserError as error:
        doc.error((*place, "unit"), name, error.what, error.do)
        return None


def _judge_settings(doc: Document, place: Path, name: str, limits: Mapping[str, Any]) -> None:
    for key in limits.keys() - {*KEYS}:
        doc.error((*place, key), name, f"no such setting `{key}`", did_you_mean(key, KEYS))
    deadband, count = limits.get("deadband", 0), limits.get("min_violations", 1)
    if type(deadband) not in (int, float) or deadband < 0:
        doc.error((*place, "deadband"), name, "`deadband` is not a number from 0", "in the unit of the limits")
    if type(count) is not int or count < 1:
        doc.error((*place, "min_violations"), name, "`min_violations` is not a count from 1", "1 raises at once")
    for key in limits.keys() & {"on_delay", "off_delay"}:
        try:
            duration_ns(limits[key])
        except ContractError as error:
            doc.error((*place, key), name, error.what, error.do)


def _judge_levels(
    doc: Document,
    place: Path,
    name: str,
    limits: Mapping[str, Any],
    scale: units.Conversion | None,
    deadband: float,
) -> None:
    """Each severity's low and high: numbers, around each other, each within the next severer one's."""
    lows: list[tuple[str, float]] = []
    highs: list[tuple[str, float]] = []
    for severity in (one for one in SEVERITIES if one in limits):
        level, where = limits[severity], (*place, severity)
        if not isinstance(level, dict) or not level or level.keys() - {"low", "high"}:
            message = f"`{severity}` needs `low`, `high` or both, and nothing else"
            doc.error(where, name, message, "{low: 40, high: 300}")
            continue
        if any(type(value) not in (int, float) for value in level.values()):
            doc.error(where, name, f"a limit of `{severity}` is not a number", "write it without quotes")
            continue
        if len(level) == 2 and level["high"] > level["low"] and level["high"] - level["low"] <= 2 * deadband:
            message = f"`deadband` ({deadband:g}) is half of the room between low and high of {severity}, or more"
            doc.warn((*place, "deadband"), name, f"{message}: the condition would hardly return", "make it smaller")
        levels = {side: scale(value) if scale else float(value) for side, value in level.items()}
        lows += [(severity, levels["low"])] if "low" in levels else []
        highs += [(severity, levels["high"])] if "high" in levels else []
    for (mild, inner), (severe, outer) in itertools.pairwise(highs):
        if inner >= outer:
            message = f"high of {mild} ({inner:g}) does not lie below high of {severe} ({outer:g})"
            doc.error((*place, mild), name, message, "the milder limit is reached first")
    for (mild, inner), (severe, outer) in itertools.pairwise(lows):
        if inner <= outer:
            message = f"low of {mild} ({inner:g}) does not lie above low of {severe} ({outer:g})"
            doc.error((*place, mild), name, message, "the milder limit is reached first")
    if lows and highs and max(low for _, low in lows) >= min(high for _, high in highs):
        highest = max(lows, key=lambda one: one[1])[0]
        doc.error((*place, highest), name, "a low limit is not below a high limit", "every reading would be an alarm")


def _every_level(limits: Mapping[str, Any]) -> Iterator[tuple[Path, str, Mapping[str, float]]]:
    """Where each severity's low and high stand below the setting, those of contexts too."""
    owners: list[tuple[Path, Mapping[str, Any]]] = [((), limits)]
    owners += [(("context", index), context) for index, context in enumerate(limits.get("context", []))]
    for path, owner in owners:
        for severity in SEVERITIES:
            if severity in owner:
                yield (*path, severity), severity, owner[severity]


def _judge_reach(doc: Document, place: Path, name: str, column: Column, levels: Mapping[str, float]) -> None:
    high, low = levels.get("high"), levels.get("low")
    if high is not None and column.maximum is not None and high >= column.maximum:
        doc.warn(place, name, f"high {high:g} is never passed: readings end at {column.maximum:g}", "lower it")
    if low is not None and column.minimum is not None and low <= column.minimum:
        doc.warn(place, name, f"low {low:g} is never passed: readings begin at {column.minimum:g}", "raise it")
