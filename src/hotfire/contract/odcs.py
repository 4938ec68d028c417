"""Contracts from ODCS 3.1 YAML: all versions of a stream's contract, read, checked and compiled into one value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from hotfire.contract.columns import NAME, NUMBERS, Property, read_properties
from hotfire.contract.document import Document, Path, did_you_mean, read_document
from hotfire.contract.model import MAX_AHEAD_NS, Check, Column, Contract, Lens
from hotfire.contract.settings import Settings, read_settings
from hotfire.errors import ContractError

if TYPE_CHECKING:
    import pydantic

SETTINGS = ("kind", "asset", "time", "counter", "revision", "unknown_fields", "max_ahead", "reorder", "lens")
"""hotfire's settings of a schema object."""

_TELEMETRY_ONLY = ("asset", "time", "counter", "max_ahead", "reorder")
_ROLES: Mapping[str, tuple[str, ...]] = {
    "asset": ("string",),
    "time": ("timestamp",),
    "counter": ("integer",),
    "revision": ("integer", "number", "timestamp", "date"),
}
_FILE = re.compile(r"(?:.*[/\\])?v([1-9][0-9]{0,5})\.ya?ml")


@dataclass(frozen=True, slots=True)
class Version:
    """One version's document and what could be read of it: the contract is None where the document is beyond use."""

    doc: Document
    contract: Contract | None = None
    properties: tuple[Property, ...] = ()


def compile_contract(texts: Sequence[tuple[str, str]]) -> Contract:
    """The newest version of a contract, with the older ones in it.

    Args:
        texts: (file name, YAML text) of every major version, oldest first: `v1.yaml`, `v2.yaml` ...

    Raises:
        ContractError: with file, line, field and what to do, about the first thing to mend.
    """
    versions = read_versions(texts)
    errors = [remark for version in versions for remark in version.doc.remarks if remark.level == "error"]
    if errors:
        raise errors[0].error()
    contracts = [version.contract for version in versions if version.contract is not None]
    if not contracts:
        raise ContractError("there is no contract", "write contracts/<stream>/v1.yaml, or draft it: contract infer")
    return replace(contracts[-1], older=tuple(contracts[:-1]))


def read_versions(texts: Sequence[tuple[str, str]]) -> list[Version]:
    """Every version, with remarks about everything that `compile_contract` refuses."""
    versions: list[Version] = []
    for file, text in texts:
        version = _read(read_document(file, text))
        if version.contract is not None:
            _check_file(version.doc, version.contract)
            _check_succession(version.doc, version.contract, versions)
            digest = text_hash([*(text for _, text in texts[: len(versions)]), text])
            version = replace(version, contract=replace(version.contract, hash=digest))
        versions.append(version)
    return versions


def text_hash(texts: Sequence[str]) -> str:
    """SHA-256 over the texts of all versions, oldest first, in hexadecimal: the hash of their contract."""
    return hashlib.sha256(b"\x00".join(text.encode("utf-8", "surrogatepass") for text in texts)).hexdigest()


def dump(contract: Contract) -> bytes:
    """A compiled contract as JSON, to be kept beside the workspace."""
    return msgspec.json.encode(contract)


def load(data: bytes) -> Contract:
    """The contract that `dump` wrote. Raises ContractError where the bytes are of another version of hotfire."""
    try:
        return msgspec.json.decode(data, type=Contract)
    except msgspec.DecodeError as error:
        raise ContractError(f"the compiled contract cannot be read: {error}", "compile it again") from error


def _read(doc: Document) -> Version:
    if doc.remarks:
        return Version(doc)
    if not isinstance(doc.data, dict):
        doc.error((), "", "a contract is a mapping of names to values", "start with `apiVersion: v3.1.0`")
        return Version(doc)
    _check_standard(doc)
    if doc.remarks:
        return Version(doc)
    _check_root(doc)
    schema = doc.data.get("schema")
    if not schema or len(schema) != 1:
        doc.error(("schema",), "schema", "a contract has exactly one schema object: the stream", "one file a stream")
        return Version(doc)
    return _stream(doc, schema[0], ("schema", 0))


def _check_standard(doc: Document) -> None:
    from open_data_contract_standard.model import OpenDataContractStandard  # noqa: PLC0415 - takes 0.25 s
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        OpenDataContractStandard(**doc.data)
    except ValidationError as error:
        for one in error.errors():
            place = tuple(one["loc"])
            known = OpenDataContractStandard.model_fields if one["type"] == "extra_forbidden" else {}
            names = [info.alias or name for name, info in known.items()]
            message = "no such field in ODCS" if names else one["msg"]
            hint = did_you_mean(str(place[-1]), names) if names else "see ODCS 3.1 for what belongs here"
            doc.error(place, ".".join(str(step) for step in place), message, hint)
        return
    _check_fields(doc, doc.data, (), OpenDataContractStandard)


def _check_fields(doc: Document, owner: dict[str, Any], path: Path, model: type[pydantic.BaseModel]) -> None:
    """The library lets unknown fields of inner objects pass; a misspelt `requird` must not."""
    from open_data_contract_standard.model import (  # noqa: PLC0415 - takes 0.25 s
        CustomProperty,
        DataQuality,
        SchemaObject,
        SchemaProperty,
    )

    names = [info.alias or name for name, info in model.model_fields.items()]
    for key in owner:
        if key not in names:
            shown = ".".join(str(one) for one in (owner.get("name"), key) if one)
            doc.error((*path, key), shown, "no such field in ODCS", did_you_mean(key, names))
    inner: dict[str, type[pydantic.BaseModel]] = {
        "schema": SchemaObject,
        "properties": SchemaProperty,
        "quality": DataQuality,
        "customProperties": CustomProperty,
    }
    for key, kind in inner.items():
        for index, item in enumerate(owner.get(key) or ()):
            _check_fields(doc, item, (*path, key, index), kind)


def _check_root(doc: Document) -> None:
    if not str(doc.data.get("apiVersion")).startswith("v3."):
        doc.error(("apiVersion",), "apiVersion", "hotfire reads ODCS 3", "write `apiVersion: v3.1.0`")
    if doc.data.get("kind") != "DataContract":
        doc.error(("kind",), "kind", "is missing or something else", "write `kind: DataContract`")
    if not re.fullmatch(r"[1-9][0-9]{0,5}\.[0-9]{1,6}\.[0-9]{1,6}", str(doc.data.get("version"))):
        doc.error(("version",), "version", "a version is three numbers, from 1.0.0", "write `version: 1.0.0`")
    read_settings(doc, doc.data, (), "", ())


def _stream(doc: Document, schema: dict[str, Any], path: Path) -> Version:
    name = schema.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.startswith("hf_"):
        hint = "a-z, 0-9 and _, at most 60 characters, not beginning with hf_"
        doc.error((*path, "name"), "schema.name", f"{name!r} cannot be a stream's name", hint)
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
    return Version(doc, contract if usable and _major(contract) else None, tuple(properties))


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
        if one.column.path in paths:
            message = f"reads the same field as `{paths[one.column.path]}`"
            doc.error(one.settings.places.get("path", one.where), name, message, "one column a field")
        paths[one.column.path] = name


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
            settings.error(
                role, f"`{column}` is a {types[column]}, not a {' or '.join(allowed)}", "change its logicalType"
            )
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


def _check_file(doc: Document, contract: Contract) -> None:
    found = _FILE.fullmatch(doc.file)
    if found is None:
        doc.error((), "", "a contract's file is called v1.yaml, v2.yaml ...", f"call it v{contract.major}.yaml")
    elif int(found[1]) != contract.major:
        hint = f"write `version: {found[1]}.0.0`, or call the file v{contract.major}.yaml"
        doc.error(("version",), "version", f"{contract.version} stands in v{found[1]}.yaml", hint)


def _check_succession(doc: Document, contract: Contract, before: Sequence[Version]) -> None:
    if not before:
        if contract.lens is not None:
            doc.error(("schema", 0), "hotfire.lens", "the first version has nothing to look back at", "remove it")
        return
    older = before[-1].contract
    if older is None:
        return
    if older.stream != contract.stream:
        doc.error(("id",), "id", f"{older.major} is a version of `{older.stream}`", f"write `id: {older.stream}`")
    if older.kind != contract.kind:
        doc.error(("schema", 0), "hotfire.kind", f"was {older.kind} in version {older.major}", "start a new stream")
    if older.major >= contract.major:
        doc.error(("version",), "version", f"comes after {older.version}", "versions go up")
    if contract.lens is None:
        hint = f'add `hotfire.lens` with value {{from: {older.major}, when: "SQL that old rows fulfil", set: {{}}}}'
        doc.error(
            ("schema", 0), "hotfire.lens", f"is missing: how do rows of version {older.major} become these?", hint
        )
    elif contract.lens.from_major != older.major:
        message = f"looks back at version {contract.lens.from_major}, but the one before is {older.major}"
        doc.error(("schema", 0), "hotfire.lens", message, f"write `from: {older.major}`")
