"""Everything there is to say about a contract before it is used: what compiling refuses, then units and limits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hotfire import units
from hotfire.contract.document import Document, Path, Remark, did_you_mean
from hotfire.contract.duration import duration_ns
from hotfire.contract.formulas import column_types, judge_boolean, property_places
from hotfire.contract.model import Column, Contract
from hotfire.contract.odcs import Version, read_versions
from hotfire.errors import ContractError, UserError

__all__ = ["SEVERITIES", "Remark", "lint"]

SEVERITIES = ("watch", "warning", "distress", "critical", "severe")
"""Severities of limits, mildest first (XTCE)."""

_LIMIT_KEYS = (*SEVERITIES, "deadband", "min_violations", "on_delay", "off_delay", "context", "unit")


def lint(texts: Sequence[tuple[str, str]]) -> list[Remark]:
    """What is to be mended (errors) or looked at (warnings), by file and line. Raises nothing, whatever the texts.

    Args:
        texts: (file name, YAML text) of every major version, oldest first.
    """
    versions = read_versions(texts)
    for before, version in zip([None, *versions], versions, strict=False):
        if version.contract is not None and not version.doc.remarks:
            _judge_units(version, before)
            for column in version.contract.columns:
                _judge_limits(version.doc, version.contract, column)
    return [remark for one in versions for remark in sorted(one.doc.remarks, key=lambda remark: remark.line)]


def _judge_units(version: Version, before: Version | None) -> None:
    contract, doc = version.contract, version.doc
    older = before.contract if before is not None else None
    assert contract is not None
    for column in contract.columns:
        if column.unit is None:
            continue
        place, shown = _setting(doc, column, "unit"), f"{column.name}.hotfire.unit"
        try:
            units.parse(column.unit)
        except UserError as error:
            doc.error(place, shown, error.what, error.do)
            continue
        earlier = {one.name: one.unit for one in older.columns}.get(column.name) if older else None
        if earlier and contract.lens and column.name not in contract.lens.set and not _same(earlier, column.unit):
            message = f"was {earlier} in version {older.major if older else 0}, and the lens carries it over unchanged"
            doc.error(place, shown, message, f"add `{column.name}: SQL that converts it` to the lens's `set`")


def _same(unit: str, other: str) -> bool:
    try:
        return units.parse(unit) == units.parse(other)
    except UserError:
        return False


def _judge_limits(doc: Document, contract: Contract, column: Column) -> None:
    if not column.limits:
        return
    place, name = _setting(doc, column, "limits"), f"{column.name}.hotfire.limits"
    scale = _scale(doc, place, name, column)
    _judge_settings(doc, place, name, column.limits)
    _judge_levels(doc, place, name, column, column.limits, scale)
    contexts = column.limits.get("context", [])
    if not isinstance(contexts, list):
        doc.error((*place, "context"), name, "`context` is not a list", '[{when: "SQL", critical: {high: 320}}]')
        return
    for index, context in enumerate(contexts):
        where = (*place, "context", index)
        if not isinstance(context, dict) or not isinstance(context.get("when"), str):
            doc.error(
                where, name, "a context needs `when`, in SQL", "{when: \"phase = 'standby'\", critical: {high: 320}}"
            )
            continue
        judge_boolean(doc, (*where, "when"), name, context["when"], column_types(contract))
        own = {key: value for key, value in context.items() if key != "when"}
        for key in own.keys() - {*SEVERITIES}:
            doc.error((*where, key), name, f"no such severity `{key}`", did_you_mean(key, SEVERITIES))
        _judge_levels(doc, where, name, column, own, scale)


def _scale(doc: Document, place: Path, name: str, column: Column) -> units.Conversion | None:
    unit = column.limits.get("unit")
    if unit is None:
        return None
    if not isinstance(unit, str) or column.unit is None:
        doc.error((*place, "unit"), name, "the limits have a unit, the column has none", "give the column hotfire.unit")
        return None
    try:
        return units.conversion(unit, column.unit)
    except UserError as error:
        doc.error((*place, "unit"), name, error.what, error.do)
        return None


def _judge_settings(doc: Document, place: Path, name: str, limits: Mapping[str, Any]) -> None:
    for key in limits.keys() - {*_LIMIT_KEYS}:
        doc.error((*place, key), name, f"no such setting `{key}`", did_you_mean(key, _LIMIT_KEYS))
    deadband, count = limits.get("deadband", 0), limits.get("min_violations", 1)
    if type(deadband) not in (int, float) or deadband < 0:
        doc.error((*place, "deadband"), name, "`deadband` is not a number from 0", "in the channel's unit")
    if type(count) is not int or count < 1:
        doc.error((*place, "min_violations"), name, "`min_violations` is not a count from 1", "1 raises at once")
    for key in limits.keys() & {"on_delay", "off_delay"}:
        try:
            duration_ns(limits[key])
        except ContractError as error:
            doc.error((*place, key), name, error.what, error.do)


def _judge_levels(
    doc: Document, place: Path, name: str, column: Column, limits: Mapping[str, Any], scale: units.Conversion | None
) -> None:
    """Each severity's low and high: numbers, around each other, each within the next severer one's."""
    lows: list[tuple[str, float]] = []
    highs: list[tuple[str, float]] = []
    for severity in (one for one in SEVERITIES if one in limits):
        level, where = limits[severity], (*place, severity)
        if not isinstance(level, dict) or not level or level.keys() - {"low", "high"}:
            doc.error(
                where, name, f"`{severity}` needs `low`, `high` or both, and nothing else", "{low: 40, high: 300}"
            )
            continue
        numbers = {side: value for side, value in level.items() if type(value) in (int, float)}
        if len(numbers) < len(level):
            doc.error(where, name, f"a limit of `{severity}` is not a number", "write it without quotes")
            continue
        levels = {side: scale(value) if scale else float(value) for side, value in numbers.items()}
        lows += [(severity, levels["low"])] if "low" in levels else []
        highs += [(severity, levels["high"])] if "high" in levels else []
        _judge_reach(doc, where, f"{name}.{severity}", column, levels)
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


def _judge_reach(doc: Document, place: Path, name: str, column: Column, levels: Mapping[str, float]) -> None:
    """A limit beyond the possible readings never trips: impossible readings are corrected or rejected before."""
    high, low = levels.get("high"), levels.get("low")
    if high is not None and column.maximum is not None and high >= column.maximum:
        doc.warn(place, name, f"high {high:g} is never passed: readings end at {column.maximum:g}", "lower it")
    if low is not None and column.minimum is not None and low <= column.minimum:
        doc.warn(place, name, f"low {low:g} is never passed: readings begin at {column.minimum:g}", "raise it")


def _setting(doc: Document, column: Column, key: str) -> Path:
    where = property_places(doc.data["schema"][0], ("schema", 0)).get(column.name, ())
    owner: Any = doc.data
    for step in where:
        owner = owner[step]
    for index, item in enumerate(owner.get("customProperties") or ()):
        if item.get("property") == f"hotfire.{key}":
            return (*where, "customProperties", index, "value")
    return where
