"""A contract survives being written: as ODCS YAML, and in its compiled form."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.lint import lint
from hotfire.contract.model import Check, Column, Contract, Lens, dump, load
from hotfire.contract.odcs import compile_contract

numbers = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 3))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}[a-z]\Z").filter(lambda name: not name.startswith("hf_"))
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def numeric(draw: st.DrawFn, column: Column) -> Column:
    low, high = sorted([draw(numbers), draw(numbers)])
    exclusive_low, exclusive_high = draw(st.booleans()), draw(st.booleans())
    whole = column.type == "integer"
    values = draw(st.lists(st.integers(-99, 99) if whole else numbers | st.integers(-99, 99), max_size=3))
    column = replace(
        column,
        minimum=draw(st.sampled_from([None, low])),
        maximum=draw(st.sampled_from([None, high])),
        out_of_range=draw(st.sampled_from(["null", "reject"])),
        unit=draw(st.sampled_from([None, "bar", "kg/s"])),
        coerce=draw(st.booleans()),
        values=tuple(values),
    )
    return replace(
        column,
        exclusive_minimum=exclusive_low and column.minimum is not None,
        exclusive_maximum=exclusive_high and column.maximum is not None,
    )


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    """Any column that is not part of an identity."""
    column = Column(
        name=name,
        type=draw(st.sampled_from(["string", "integer", "number", "boolean", "timestamp", "date"])),
        path=draw(st.sampled_from([name, f"outer.{name}", f"{name} [raw]: #1"])),
        required=draw(st.booleans()),
        description=draw(st.just("") | texts),
    )
    if column.type in ("number", "integer"):
        return draw(numeric(column))
    if column.type == "string":
        sizes = sorted([draw(st.integers(0, 9)), draw(st.integers(0, 9))])
        allowed = tuple(draw(st.lists(texts, max_size=3)))
        pattern = draw(st.sampled_from([None, "[a-z]+", "a|b"]))
        return replace(column, values=allowed, pattern=pattern, min_length=sizes[0], max_length=sizes[1])
    if column.type == "timestamp":
        form = draw(st.sampled_from(["iso", "epoch_s", "epoch_ns"]))
        zone = draw(st.sampled_from([None, "Europe/Berlin"])) if form == "iso" else None
        return replace(column, format=form, zone=zone)
    return replace(column, coerce=column.type == "boolean" and draw(st.booleans()))


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any telemetry contract of one version."""
    inner = draw(st.lists(names, max_size=5, unique=True))
    taken = {
        "asset",
        "at",
        "at_ns",
        "no",
        "row_no",
        "late",
        "shard",
        "corrected",
        "rowid",
        "oid",
        "ctid",
        "batch_seq",
        "superseded",
    }
    others = [draw(columns(name)) for name in inner if name not in taken and name.removesuffix("_ns") not in inner]
    return Contract(
        stream=draw(names),
        version=f"1.{draw(st.integers(0, 99))}.{draw(st.integers(0, 99))}",
        kind="telemetry",
        columns=(
            Column("asset", "string", "asset", required=True),
            Column("at", "timestamp", "at", required=True),
            Column("no", "integer", "no", required=True),
            *others,
        ),
        asset="asset",
        time="at",
        key=draw(st.sampled_from([(), ("no",)])),
        counter=draw(st.sampled_from([None, "no"])),
        unknown_fields=draw(st.sampled_from(["keep", "reject"])),
        max_ahead_ns=draw(st.integers(0, 10**15)),
        reorder_ns=draw(st.integers(0, 10**15)),
        checks=tuple(Check(name, "no > 1") for name in draw(st.lists(names, max_size=2, unique=True))),
        description=draw(st.just("") | texts),
    )


def written(column: Column, key: int) -> dict[str, Any]:
    """The column as an ODCS property; only what is not the default is written."""
    low = "exclusiveMinimum" if column.exclusive_minimum else "minimum"
    high = "exclusiveMaximum" if column.exclusive_maximum else "maximum"
    options = {low: column.minimum, high: column.maximum, "pattern": column.pattern}
    options |= {"minLength": column.min_length, "maxLength": column.max_length}
    settings = {"path": column.path, "unit": column.unit, "zone": column.zone}
    settings |= {"coerce": True} if column.coerce else {}
    settings |= {"format": column.format} if column.type == "timestamp" else {}
    settings |= {"out_of_range": column.out_of_range} if column.type in ("number", "integer") else {}
    return {
        "name": column.name,
        "logicalType": column.type,
        "required": column.required,
        "description": column.description or None,
        **({"primaryKey": True, "primaryKeyPosition": key} if key else {}),
        "logicalTypeOptions": {name: value for name, value in options.items() if value is not None},
        "quality": [{"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": list(column.values)}}]
        if column.values
        else [],
        "customProperties": [
            {"property": f"hotfire.{name}", "value": value} for name, value in settings.items() if value is not None
        ],
    }


def odcs(contract: Contract) -> str:
    """The contract as ODCS YAML."""
    settings = {
        "kind": contract.kind,
        "asset": contract.asset,
        "time": contract.time,
        "counter": contract.counter,
        "unknown_fields": contract.unknown_fields,
        "max_ahead": f"{contract.max_ahead_ns} ns",
        "reorder": f"{contract.reorder_ns} ns",
    }
    key = ["asset", "at", *contract.key]
    schema = {
        "name": contract.stream,
        "description": contract.description or None,
        "customProperties": [{"property": f"hotfire.{k}", "value": v} for k, v in settings.items() if v is not None],
        "quality": [
            {"name": check.name, "type": "custom", "engine": "hotfire", "implementation": check.sql}
            for check in contract.checks
        ],
        "properties": [
            written(column, key.index(column.name) + 1 if column.name in key else 0) for column in contract.columns
        ],
    }
    root = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": contract.stream, "version": contract.version}
    return yaml.safe_dump({**root, "schema": [schema]}, sort_keys=False)


@given(contracts())
def test_written_and_read(contract: Contract) -> None:
    """A contract written as ODCS compiles to itself, and lint has nothing to say about it."""
    text = odcs(contract)
    compiled = compile_contract([("v1.yaml", text)])
    assert replace(compiled, hash="") == contract
    assert [remark for remark in lint([("v1.yaml", text)]) if remark.level == "error"] == []


@given(
    contracts(),
    contracts(),
    st.dictionaries(texts, json_like, max_size=3),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_compiled_and_loaded(contract: Contract, older: Contract, limits: dict[str, Any], sql: str) -> None:
    """The compiled form gives the contract back, older versions, lens and limits included; bytes are stable."""
    columns = (*contract.columns[:-1], replace(contract.columns[-1], limits=limits))
    whole = replace(contract, columns=columns, older=(older,), lens=Lens(1, sql, {"a": sql}), hash="0" * 64)
    data = dump(whole)
    assert load(data) == whole
    assert dump(load(data)) == data
