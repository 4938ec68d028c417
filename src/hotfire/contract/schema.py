"""An ODCS schema object as a stream: kind, columns, roles, keys, checks and lens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from hotfire.contract.columns import NUMBERS, Property, read_properties
from hotfire.contract.document import Document, Path
from hotfire.contract.model import MAX_AHEAD_NS, NAME, STREAM_NAMES, Check, Column, Contract, Lens, is_stream_name
from hotfire.contract.settings import Settings, read_settings
from hotfire.contract.words import did_you_mean

SETTINGS = ("kind", "asset", "time", "counter", "revision", "unknown_fields", "max_ahead", "reorder", "lens")
"""hotfire's settings of a schema object."""

MOST_COLUMNS = 1_500
"""Every store and lake bears so many columns, with hotfire's own beside them."""

_TELEMETRY_ONLY = ("asset", "time", "counter", "max_ahead", "reorder")
_ROLES: Mapping[str, tuple[str, ...]] = {
    "asset": ("string",),
    "time": ("timestamp",),
    "counter": ("integer",),
    "revision": ("integer", "number", "timestamp", "date"),
}

_NUMBERED = (
    "write `logicalType: string`; where JSON or Parquet has it as a number, "
    "add `- {property: hotfire.coerce, value: true}` to its customProperties"
)


def read_stream(doc: Document, schema: dict[str, Any], path: Path) -> Contract | None:
    """The contract of one version, with what is wrong noted in the document; None where it is beyond use."""
    name = schema.get("name")
    if not isinstance(name, str) or not is_stream_name(name):
        doc.error((*path, "name"), "schema.name", f"{name!r} cannot be a stream's name", STREAM_NAMES)
    elif doc.data.get("id") != name:
        doc.error(("id",), "id", "the contract's id and the schema's name differ", f"write `id: {name}`")
    settings = read_settings(doc, schema, path, "", SETTINGS)
    if "kind" not in settings.values:
        hint = "add `- {property: hotfire.kind, value: telemetry}` (or entity) to customProperties"
        doc.error(path, "hotfire.kind", "is missing", hint)
    kind = settings.choice("kind", ("telemetry", "entity"), "telemetry")
    properties = read_properties(doc, schema, path)
    if not properties and not doc.remarks:
        doc.error(path, str(name), "a stream without columns", "add properties")
    if len(properties) > MOST_COLUMNS:
        hint = "keep the rest as unknown fields, or make two streams of it"
        doc.error(path, str(name), f"{len(properties):,} columns; a stream has at most {MOST_COLUMNS:,}", hint)
    _check_names(doc, properties)
    key = _key(doc, properties)
    roles = _roles(settings, kind, properties, key)
    columns = tuple(_finish(doc, one, kind, {*key, roles["asset"], roles["time"]}) for one in properties)
    contract = Contract(
        stream=str(name),
        version=str(doc.data.get("version")),
        kind=cast("Any", kind),
        columns=columns,
        key=tuple(one for one in key if kind == "entity" or one not in (roles["asset"], roles["time"])),
        unknown_fields=cast("Any", settings.choice("unknown_fields", ("keep", "reject"), "keep")),
        max_ahead_ns=settings.duration("max_ahead", MAX_AHEAD_NS),
        reorder_ns=settings.duration("reorder", 0),
        checks=_checks(doc, schema, path),
        lens=_lens(settings),
        description=_description(doc, schema),
        **roles,
    )
    usable = all(NAME.fullmatch(part) for part in (contract.stream, *(column.name for column in columns)))
    return contract if usable and _major(contract) else None


def _major(contract: Contract) -> int:
    first = contract.version.split(".")[0]
    return int(first) if re.fullmatch(r"[1-9][0-9]{0,5}", first) else 0


def _check_names(doc: Document, properties: Sequence[Property]) -> None:
    taken: dict[str, str] = {}
    paths: dict[str, str] = {}
    for one in properties:
        name, storage = one.column.name, one.column.storage
        for spelling in {name.lower(), storage.lower()}:
            if spelling in taken:
                message = f"clashes with `{taken[spelling]}`: both would be stored as `{spelling}`"
                doc.error((*one.where, "name"), name, message, "rename one; hotfire.path keeps the source's name")
            taken[spelling] = name
        place = f"{one.column.path}[{one.column.element}]"
        if place in paths:
            message = f"reads the same field as `{paths[place]}`"
            doc.error(one.settings.places.get("path", one.where), name, message, "one column a field")
        paths[place] = name


def _key(doc: Document, properties: Sequence[Property]) -> tuple[str, ...]:
    keyed = [one for one in properties if one.raw.get("primaryKey")]
    positions: dict[int, str] = {}
    for one in keyed:
        position = one.raw.get("primaryKeyPosition")
        if (
            isinstance(position, int)
            and position > 0
            and positions.setdefault(position, one.column.name) != one.column.name
        ):
            message = f"position {position} is taken by `{positions[position]}`"
            doc.error((*one.where, "primaryKeyPosition"), one.column.name, message, "number them 1, 2, 3")

    def place(one: Property) -> int:
        position = one.raw.get("primaryKeyPosition")
        return position if isinstance(position, int) and position > 0 else 1_000_000

    return tuple(one.column.name for one in sorted(keyed, key=place))


def _roles(settings: Settings, kind: str, properties: Sequence[Property], key: tuple[str, ...]) -> dict[str, Any]:
    """The columns that `hotfire.asset`, `time`, `counter` and `revision` name; None where absent."""
    types = {one.column.name: one.column.type for one in properties}
    for name in _TELEMETRY_ONLY if kind == "entity" else ("revision",):
        if name in settings.values:
            settings.error(name, f"means nothing for kind {kind}", "remove it")
    roles: dict[str, Any] = {}
    for role, allowed in _ROLES.items():
        column = roles[role] = settings.text(role)
        if column is not None and column not in types:
            settings.error(role, f"there is no column `{column}`", did_you_mean(column, types))
        elif column is not None and types[column] not in allowed:
            article = "an" if types[column] == "integer" else "a"
            message = f"`{column}` is {article} {types[column]}; it has to be {' or '.join(allowed)}"
            numbers = role == "asset" and types[column] in NUMBERS
            settings.error(role, message, _NUMBERED if numbers else "change its logicalType")
        elif column is None and kind == "telemetry" and role in ("asset", "time"):
            hint = f"add `- {{property: hotfire.{role}, value: COLUMN}}` to customProperties"
            settings.doc.error(("schema", 0), f"hotfire.{role}", "is missing", hint)
    if kind == "entity" and not key:
        settings.doc.error(("schema", 0), "primaryKey", "an entity needs a key", "add `primaryKey: true` to a property")
    return roles


def _finish(doc: Document, one: Property, kind: str, identity: set[str | None]) -> Column:
    """What a column cannot know by itself: its part in the identity, and the stream's kind."""
    column = one.column
    if column.name in identity:
        if one.raw.get("required") is False:
            doc.error(
                (*one.where, "required"), column.name, "tells rows apart: it is required", "write `required: true`"
            )
        if column.type == "array":
            doc.error(
                (*one.where, "logicalType"), column.name, "an array cannot tell rows apart", "use its text or number"
            )
        if column.out_of_range != "reject":
            one.settings.error("out_of_range", "key, asset and time can only `reject`", "remove it")
        return replace(column, required=True, out_of_range="reject")
    if column.out_of_range == "clamp" and column.minimum is None and column.maximum is None:
        one.settings.error("out_of_range", "`clamp` needs a minimum or a maximum", "add logicalTypeOptions")
    elif column.out_of_range == "clamp" and (column.exclusive_minimum or column.exclusive_maximum):
        one.settings.error(
            "out_of_range", "`clamp` needs bounds that are possible themselves", "use minimum and maximum"
        )
    if not one.asks_policy and kind == "telemetry" and column.type in NUMBERS:
        return replace(column, out_of_range="null")
    return column


def _checks(doc: Document, schema: dict[str, Any], path: Path) -> tuple[Check, ...]:
    checks: dict[str, Check] = {}
    for index, item in enumerate(schema.get("quality") or ()):
        place, name, sql = (*path, "quality", index), item.get("name"), item.get("implementation")
        if item.get("type") == "text" or (item.get("type") == "custom" and item.get("engine") != "hotfire"):
            continue
        shown = f"quality.{name or index}"
        if item.get("type") != "custom":
            hint = "write it as `type: custom, engine: hotfire, implementation: SQL`"
            doc.error(place, shown, "hotfire does not enforce this check", hint)
        elif not isinstance(name, str) or not NAME.fullmatch(name):
            doc.error(place, shown, "a check needs a snake_case name", "add `name: flow_needs_burn`")
        elif name in checks:
            doc.error(place, shown, "two checks of this name", "rename one")
        elif not isinstance(sql, str) or not sql.strip():
            doc.error(place, shown, "a check needs a boolean SQL expression", "add `implementation: fuel_flow >= 0`")
        else:
            checks[name] = Check(name, sql)
    return tuple(checks.values())


def _lens(settings: Settings) -> Lens | None:
    raw = settings.mapping("lens")
    if not raw:
        return None
    names = ("from", "when", "set")
    for key in set(raw) - set(names):
        settings.error("lens", f"no such field `{key}`", did_you_mean(key, names))
    older, when, new = raw.get("from"), raw.get("when"), raw.get("set", {})
    if type(older) is not int or not isinstance(when, str) or not when.strip():
        settings.error(
            "lens", "needs `from` (a major version) and `when` (SQL)", '{from: 1, when: "device is not null"}'
        )
        return None
    if not isinstance(new, dict) or not all(isinstance(sql, str) and sql.strip() for sql in new.values()):
        settings.error("lens", "`set` maps columns to SQL texts", 'set: {temperature: "(temp_f - 32) / 1.8"}')
        return None
    return Lens(older, when, new)


def _description(doc: Document, schema: dict[str, Any]) -> str:
    whole = doc.data.get("description") or {}
    return str(schema.get("description") or whole.get("purpose") or "")
