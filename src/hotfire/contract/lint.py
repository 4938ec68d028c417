"""Everything there is to say about a contract before it is used: what compiling refuses, then what is not meant so."""

from __future__ import annotations

from collections.abc import Sequence

from hotfire import units
from hotfire.contract.document import Remark
from hotfire.contract.formulas import property_places
from hotfire.contract.limits import judge_reach, setting_of
from hotfire.contract.odcs import Version, read_versions
from hotfire.contract.words import SQL_WORDS
from hotfire.errors import UserError


def lint(texts: Sequence[tuple[str, str]]) -> list[Remark]:
    """What is to be mended (errors) or looked at (warnings), by file and line. Raises nothing, whatever the texts.

    Args:
        texts: (file name, YAML text) of every major version, oldest first.
    """
    versions = read_versions(texts)
    for before, version in zip([None, *versions], versions, strict=False):
        if version.contract is not None and not version.doc.remarks:
            judge_reach(version.doc, version.contract)
            _judge_units(version, before)
            _judge_names(version)
    return [remark for one in versions for remark in sorted(one.doc.remarks, key=lambda remark: remark.line)]


def _judge_units(version: Version, before: Version | None) -> None:
    contract, doc = version.contract, version.doc
    older = before.contract if before is not None else None
    assert contract is not None
    for column in contract.columns:
        if column.unit is None:
            continue
        place, shown = setting_of(doc, column, "unit"), f"{column.name}.hotfire.unit"
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


def _judge_names(version: Version) -> None:
    """Columns whose names SQL keeps for itself can be stored, and are a nuisance to ask for."""
    contract, doc = version.contract, version.doc
    assert contract is not None
    places = property_places(doc.data["schema"][0], ("schema", 0))
    for name in (column.name for column in contract.columns if column.name in SQL_WORDS):
        hint = (
            f'rename it and keep the source\'s name in hotfire.path, or write "{name}" in double quotes in statements'
        )
        doc.warn((*places[name], "name"), name, "is an SQL word", hint)
