"""ODCS properties as columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast, get_args
from zoneinfo import available_timezones

from msgspec import Struct

from hotfire.contract.document import Document, Path
from hotfire.contract.model import NAME, Column, Policy, TimeFormat, Type
from hotfire.contract.nested import ELEMENT
from hotfire.contract.settings import Settings, read_settings
from hotfire.contract.words import did_you_mean
from hotfire.rows import BOOKKEEPING

SETTINGS = ("path", "element", "unit", "out_of_range", "limits", "coerce", "format", "zone")
"""hotfire's settings of a property."""

NUMBERS = ("number", "integer")
_RESERVED = {*BOOKKEEPING, "event_date", "received_at", "received_at_ns", "superseded", "rowid", "oid", "ctid"}
_RANGE = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "string": ("pattern", "minLength", "maxLength"),
    "number": _RANGE,
    "integer": _RANGE,
}
_SETTINGS_OF = {
    "unit": NUMBERS,
    "out_of_range": NUMBERS,
    "limits": NUMBERS,
    "coerce": (*NUMBERS, "string", "boolean", "timestamp"),
    "format": ("timestamp",),
    "zone": ("timestamp",),
}


class Property(Struct, frozen=True):
    """A column as it stands in the document: `where` for remarks, `raw` for what a column does not hold."""

    column: Column
    where: Path
    raw: Mapping[str, Any]
    settings: Settings

    @property
    def asks_policy(self) -> bool:
        """Whether the contract itself says what becomes of an impossible reading."""
        return "out_of_range" in self.settings.values


def is_free_name(name: str) -> bool:
    """Whether a column may be called so."""
    return bool(NAME.fullmatch(name)) and name not in _RESERVED and not name.startswith("hf_")


def is_free_path(path: str) -> bool:
    """Whether a source's field of that name can be read: decoded records have two columns of their own."""
    return path not in ("row_no", "unknown_fields") and not re.search(r"#[0-9]+$", path)


def read_properties(doc: Document, owner: dict[str, Any], path: Path) -> list[Property]:
    """All columns below a schema object or a nested property, in order, with what is wrong noted in the document."""
    return _flatten(doc, owner, path, "", "")


def _flatten(doc: Document, owner: dict[str, Any], path: Path, name: str, field: str) -> list[Property]:
    found: list[Property] = []
    for index, raw in enumerate(owner.get("properties") or ()):
        where = (*path, "properties", index)
        own = raw.get("name")
        if not isinstance(own, str) or not own:
            doc.error(where, name, "a property has no name", "give it one: `name: temperature`")
            continue
        full = f"{name}_{own}" if name else own
        nested = raw.get("logicalType") == "object"
        settings = read_settings(doc, raw, where, full, ("path",) if nested else SETTINGS)
        own_path = settings.text("path") or (f"{field}.{own}" if field else own)
        if nested:
            found += _flatten(doc, raw, where, full, own_path)
        else:
            found.append(_property(doc, raw, where, settings, own_path))
    return found


def _property(doc: Document, raw: dict[str, Any], where: Path, settings: Settings, path: str) -> Property:
    name = settings.owner
    _check_name(doc, name, (*where, "name"))
    if not is_free_path(path):
        hint = "leave the column out (unknown fields are kept), or rename it at the source"
        doc.error(settings.places.get("path", where), name, f"a field called `{path}` cannot be read", hint)
    kind = _type(doc, raw, where, name)
    for key in settings.values:
        if kind not in _SETTINGS_OF.get(key, (kind,)):
            settings.error(key, f"means nothing for a {kind}", f"remove it, or use {' or '.join(_SETTINGS_OF[key])}")
    if kind == "timestamp" and settings.values.get("coerce") and settings.values.get("format", "iso") == "iso":
        settings.error("coerce", "means nothing for an instant in ISO 8601: that is text", "remove it")
    element = _element(settings, kind)
    options = _options(doc, raw, where, name, kind)
    low, exclusive_low = _bound(options, "minimum", "exclusiveMinimum", max)
    high, exclusive_high = _bound(options, "maximum", "exclusiveMaximum", min)
    if (low is not None and high is not None and low > high) or options.get("minLength", 0) > options.get(
        "maxLength", 2**63
    ):
        doc.error((*where, "logicalTypeOptions"), name, "the smallest is greater than the greatest", "swap them")
    column = Column(
        name=name,
        type=kind,
        path=path,
        element=element,
        required=bool(raw.get("required")),
        unit=settings.text("unit"),
        description=str(raw.get("description") or ""),
        minimum=low,
        maximum=high,
        exclusive_minimum=exclusive_low,
        exclusive_maximum=exclusive_high,
        out_of_range=cast("Policy", settings.choice("out_of_range", get_args(Policy), "reject")),
        values=_values(doc, raw, where, name, kind),
        pattern=options.get("pattern"),
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        format=cast("TimeFormat", settings.choice("format", get_args(TimeFormat), "iso")),
        zone=_zone(settings),
        coerce=settings.flag("coerce"),
        limits=settings.mapping("limits"),
        refers_to=_refers_to(doc, raw, where, name),
    )
    return Property(column, where, raw, settings)


def _check_name(doc: Document, name: str, where: Path) -> None:
    if not NAME.fullmatch(name):
        snake = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        hint = f"call it `{snake}` and add `hotfire.path: {name}`" if NAME.fullmatch(snake) else ""
        doc.error(where, name, "a column's name is snake_case: a-z, 0-9 and _, at most 60 characters", hint)
    elif not is_free_name(name):
        doc.error(where, name, "is one of hotfire's own column names", f"call it `source_{name}` and set hotfire.path")


def _type(doc: Document, raw: dict[str, Any], where: Path, name: str) -> Type:
    kind = raw.get("logicalType")
    if kind in get_args(Type):
        return cast("Type", kind)
    suggestion = did_you_mean(kind, get_args(Type)) if kind else "add `logicalType: number`"
    doc.error((*where, "logicalType"), name, f"logicalType {kind!r} is not one that hotfire can store", suggestion)
    return "string"


def _element(settings: Settings, kind: Type) -> str:
    element = settings.text("element") or ""
    if element and not ELEMENT.fullmatch(element):
        hint = "write `0` or `0.name` for the first element or what stands in it, `*.name` for that of every one"
        settings.error("element", f"{element!r} is no place in an array", hint)
    elif element.startswith("*") and kind != "array":
        settings.error("element", f"every element's values are an array, not a {kind}", "write `logicalType: array`")
    if element and settings.values.get("format", "iso") != "iso":
        settings.error("format", "instants that stand in an array are texts in ISO 8601", "remove it")
    if element and settings.values.get("coerce"):
        settings.error("coerce", "means nothing for what stands in an array", "remove it")
    return element


def _options(doc: Document, raw: dict[str, Any], where: Path, name: str, kind: Type) -> dict[str, Any]:
    options: dict[str, Any] = {}
    known = _OPTIONS.get(kind, ())
    for key, value in (raw.get("logicalTypeOptions") or {}).items():
        place, shown = (*where, "logicalTypeOptions", key), f"{name}.{key}"
        if key not in known:
            near = did_you_mean(key, known)
            hint = near if near.startswith("did") else "state it as a check under `quality`, or remove it"
            doc.error(place, shown, f"hotfire does not enforce this for a {kind}", hint)
        elif (key == "pattern" and isinstance(value, str)) or (
            key in ("minLength", "maxLength") and type(value) is int and value >= 0
        ):
            options[key] = value
        elif key in _RANGE and type(value) in (int, float):
            options[key] = float(value)
        else:
            wanted = {"pattern": "a text", "minLength": "a count", "maxLength": "a count"}.get(key, "a number")
            hint = "write 1.0e+3, not 1e3, and no quotes" if wanted == "a number" else "quote it" * (key == "pattern")
            doc.error(place, shown, f"{value!r} is not {wanted}", hint)
    return options


def _bound(options: Mapping[str, float], inclusive: str, exclusive: str, tighter: Any) -> tuple[float | None, bool]:
    loose, strict = options.get(inclusive), options.get(exclusive)
    if loose is None or strict is None:
        return (strict, True) if strict is not None else (loose, False)
    both = tighter(loose, strict)
    return both, both == strict


def _values(doc: Document, raw: dict[str, Any], where: Path, name: str, kind: Type) -> tuple[str | int | float, ...]:
    values: tuple[str | int | float, ...] = ()
    for index, item in enumerate(raw.get("quality") or ()):
        place = (*where, "quality", index)
        if item.get("type") == "text" or (item.get("type") == "custom" and item.get("engine") != "hotfire"):
            continue
        if item.get("metric") != "invalidValues" or item.get("type") not in (None, "library") or values:
            hint = "one `metric: invalidValues` a column; state other checks under the schema's `quality`"
            doc.error(place, f"{name}.quality", "hotfire does not enforce this check here", hint)
        elif item.get("mustBe") != 0 or type(item.get("mustBe")) is not int:
            doc.error(place, f"{name}.quality", "invalidValues needs `mustBe: 0`", "add `mustBe: 0`")
        else:
            values = _enumeration(doc, item.get("arguments") or {}, (*place, "arguments"), name, kind)
    return values


def _enumeration(
    doc: Document, arguments: dict[str, Any], where: Path, name: str, kind: Type
) -> tuple[str | int | float, ...]:
    allowed: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float)}
    shown, values = f"{name}.validValues", arguments.get("validValues")
    if set(arguments) - {"validValues"} or not isinstance(values, list) or not values:
        doc.error(where, shown, "invalidValues needs a list `validValues`, and nothing else", "validValues: [on, off]")
        return ()
    if kind not in allowed:
        doc.error(where, shown, f"a {kind} cannot be an enumeration", "remove it")
        return ()
    for index, value in enumerate(values):
        if type(value) not in allowed[kind]:
            hint = "quote it (bare on, off, yes and no are booleans)" if kind == "string" else "remove the quotes"
            doc.error((*where, "validValues", index), shown, f"{value!r} is not a {kind}", hint)
    return tuple(value for value in values if type(value) in allowed[kind])


def _refers_to(doc: Document, raw: dict[str, Any], where: Path, name: str) -> str:
    found = raw.get("relationships") or ()
    to = found[0].get("to") if found else ""
    known = len(found) <= 1 and isinstance(to, str) and (not to or re.fullmatch(rf"{NAME.pattern}\.{NAME.pattern}", to))
    if not known or any(one.get("type") not in (None, "foreignKey") for one in found):
        doc.error(
            (*where, "relationships"), f"{name}.relationships", "is not one reference", "write `[{to: stream.column}]`"
        )
        return ""
    return str(to)


def _zone(settings: Settings) -> str | None:
    zone, zones = settings.text("zone"), available_timezones() if "zone" in settings.values else set()
    if zone is not None and zone not in zones:
        settings.error("zone", f"{zone!r} is not an IANA time zone", did_you_mean(zone, sorted(zones)))
    if zone is not None and settings.values.get("format", "iso") != "iso":
        settings.error("zone", "an epoch has no zone", "remove it")
    return zone
