"""Contracts from ODCS 3.1 YAML: all versions of a stream's contract, read, checked and compiled into one value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.document import Document, Path, read_document
from hotfire.contract.formulas import judge_formulas
from hotfire.contract.limits import judge_limits
from hotfire.contract.model import Contract
from hotfire.contract.schema import read_stream
from hotfire.contract.settings import read_settings
from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError

if TYPE_CHECKING:
    import pydantic

_FILE = re.compile(r"(?:.*[/\\])?v([1-9][0-9]{0,5})\.ya?ml")


class Version(Struct, frozen=True):
    """One version's document and what could be read of it: the contract is None where the document is beyond use."""

    doc: Document
    contract: Contract | None = None


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
            if not version.doc.remarks:
                judge_formulas(version.doc, version.contract, versions[-1].contract if versions else None)
                judge_limits(version.doc, version.contract)
            digest = text_hash([*(text for _, text in texts[: len(versions)]), text])
            version = replace(version, contract=replace(version.contract, hash=digest))
        versions.append(version)
    return versions


def text_hash(texts: Sequence[str]) -> str:
    """SHA-256 over the texts of all versions, oldest first, in hexadecimal: the hash of their contract."""
    return hashlib.sha256(b"\x00".join(text.encode("utf-8", "surrogatepass") for text in texts)).hexdigest()


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
    return Version(doc, read_stream(doc, schema[0], ("schema", 0)))


def _check_standard(doc: Document) -> None:
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

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
    from open_data_contract_standard.model import (
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
