"""ODCS documents as contracts: what is read, and what is refused with line, field and suggestion."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hotfire.contract.model import Check, Column, Lens, dump, load
from hotfire.contract.odcs import compile_contract
from hotfire.errors import ContractError

ENGINES = (Path(__file__).parents[2] / "golden" / "contract" / "engine_telemetry.yaml").read_text("utf-8")

LAUNCHES = """\
apiVersion: v3.1.0
kind: DataContract
id: launches
version: 1.0.0
schema:
  - name: launches
    customProperties:
      - {property: hotfire.kind, value: entity}
      - {property: hotfire.revision, value: updated}
    properties:
      - {name: launch_id, logicalType: string, primaryKey: true}
      - {name: updated, logicalType: timestamp, customProperties: [{property: hotfire.zone, value: Europe/Berlin}]}
      - {name: mass, logicalType: number, customProperties: [{property: hotfire.coerce, value: true}]}
"""


def refusal(text: str, old: str, new: str, file: str = "v1.yaml") -> tuple[str, str]:
    """What is said, and suggested, about a contract in which `old` was replaced."""
    assert old in text
    with pytest.raises(ContractError) as caught:
        compile_contract([(file, text.replace(old, new, 1))])
    return caught.value.what, caught.value.do


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_roles_and_key() -> None:
    """Asset, time and the rest of the key are told apart, and all are required."""
    contract = compile_contract([("v1.yaml", ENGINES)])
    assert (contract.stream, contract.kind, contract.major) == ("engine_telemetry", "telemetry", 1)
    assert (contract.asset, contract.time, contract.key) == ("engine_id", "event_time", ("reading_id",))
    assert contract.identity == ("engine_id", "event_time_ns", "reading_id")
    assert all(contract.column(name).required for name in ("engine_id", "event_time", "reading_id"))
    assert contract.description == "Readings of engines on the stand"


def test_settings_of_the_stream() -> None:
    """Settings of hotfire are read; those of other vendors are left alone."""
    contract = compile_contract([("v1.yaml", ENGINES)])
    assert (contract.counter, contract.unknown_fields) == ("seq", "keep")
    assert (contract.max_ahead_ns, contract.reorder_ns) == (600_000_000_000, 500_000_000)
    assert contract.checks == (Check("flow_needs_burn", "phase <> 'standby' or fuel_flow < 1"),)


def test_columns() -> None:
    """Every promise of a property arrives in its column."""
    contract = compile_contract([("v1.yaml", ENGINES)])
    pressure = contract.column("chamber_pressure")
    assert (pressure.minimum, pressure.maximum, pressure.unit, pressure.out_of_range) == (0.0, 350.0, "bar", "clamp")
    assert pressure.limits["critical"] == {"high": 300, "low": 40}
    assert contract.column("phase").values == ("standby", "startup", "steady", "shutdown")
    flow = contract.column("fuel_flow")
    assert (flow.minimum, flow.exclusive_minimum, flow.maximum, flow.out_of_range) == (-1.0, True, None, "null")
    note = contract.column("note")
    assert (note.pattern, note.min_length, note.max_length) == ("[a-z ]*", 1, 20)


def test_nested_fields() -> None:
    """Nested properties become columns joined by `_`, read from paths joined by `.`."""
    contract = compile_contract([("v1.yaml", ENGINES)])
    assert contract.column("location_lat") == Column("location_lat", "number", "location.lat", out_of_range="null")
    assert contract.column("location_seen").path == "location.seen"
    assert contract.column("location_seen").format == "epoch_ms"


def test_an_entity() -> None:
    """An entity has a key and perhaps a revision; its readings are rejected, not corrected."""
    contract = compile_contract([("v1.yaml", LAUNCHES)])
    assert (contract.key, contract.identity, contract.revision) == (("launch_id",), ("launch_id",), "updated")
    assert contract.column("mass") == Column("mass", "number", "mass", coerce=True)
    assert contract.column("updated").zone == "Europe/Berlin"


def test_key_positions_order_the_key() -> None:
    """The key's order is that of primaryKeyPosition, not of the properties."""
    text = LAUNCHES.replace(
        "      - {name: launch_id, logicalType: string, primaryKey: true}",
        "      - {name: b, logicalType: string, primaryKey: true, primaryKeyPosition: 2}\n"
        "      - {name: a, logicalType: string, primaryKey: true, primaryKeyPosition: 1}",
    )
    assert compile_contract([("v1.yaml", text)]).key == ("a", "b")


LENS = """\
      - property: hotfire.lens
        value: {from: 1, when: "mass_kg is null", set: {mass_kg: mass}}
      - {property: hotfire.revision"""
NEWER = (
    LAUNCHES.replace("version: 1.0.0", "version: 2.1.0")
    .replace("      - {property: hotfire.revision", LENS)
    .replace("name: mass,", "name: mass_kg,")
)


def test_versions() -> None:
    """The newest version holds the older ones and looks back at them through its lens; the hash is over all texts."""
    contract = compile_contract([("contracts/launches/v1.yaml", LAUNCHES), ("contracts/launches/v2.yaml", NEWER)])
    assert contract.lens == Lens(1, "mass_kg is null", {"mass_kg": "mass"})
    assert [version.version for version in contract.versions] == ["1.0.0", "2.1.0"]
    assert contract.hash == hashlib.sha256(f"{LAUNCHES}\0{NEWER}".encode()).hexdigest()
    assert contract.older[0].hash == compile_contract([("v1.yaml", LAUNCHES)]).hash
    assert load(dump(contract)) == contract


@pytest.mark.parametrize(
    ("old", "new", "what", "do"),
    [
        ("hotfire.unit", "hotfire.unti", "chamber_pressure.hotfire.unti: no such setting", "`hotfire.unit`"),
        ("hotfire.asset", "hotfire.aset", "hotfire.aset: no such setting", "`hotfire.asset`"),
        ("status:", "statsu:", "statsu: no such field", "`status`"),
        ("required: true, primaryKey", "requird: true, primaryKey", "engine_id.requird: no such field", "`required`"),
        ("value: event_time", "value: event_tme", "hotfire.time: there is no column `event_tme`", "`event_time`"),
        ("version: 1.0.0", "version: 2.0.0", "2.0.0 stands in v1.yaml", "version: 1.0.0"),
        ("version: 1.0.0", "version: 1.0", "version: Input should be a valid string", ""),
        ("logicalType: number\n        required", "logicalType: numbr\n        required", "logicalType 'numbr'", "`number`"),
        ("minimum: 0", "minimum: 1e3", "chamber_pressure.minimum: '1e3' is not a number", "1.0e+3"),
        ("minimum: 0", "minimum: 999", "the smallest is greater", "swap"),
        ("minimum: 0", "multipleOf: 2", "hotfire does not enforce this", "check"),
        ("name: seq", "name: row_no", "row_no: is one of hotfire's own column names", "source_row_no"),
        ("name: lat, logicalType: number", 'name: lat, logicalType: number, customProperties: [{property: hotfire.path, value: "row_no"}]', "a field called `row_no` cannot be read", "leave"),
        ("name: seq", "name: event_date", "event_date: is one of hotfire's own", "source_event_date"),
        ("name: seq", "name: hf_seq", "hf_seq: is one of hotfire's own", "source_hf_seq"),
        ("name: seq", "name: event_time_ns", "clashes with `event_time`", "rename"),
        ("name: seq", "name: location_lat", "clashes with `location_lat`", "rename"),
        ("name: seq", "name: SeqNo", "snake_case", "call it `seq_no`"),
        ("[standby,", "[on,", "phase.validValues: True is not a string", "quote it"),
        ("mustBe: 0", "mustBe: 1", "needs `mustBe: 0`", "mustBe: 0"),
        ("metric: invalidValues", "metric: nullValues", "does not enforce this check", "invalidValues"),
        ("value: telemetry", "value: telemtry", "'telemtry' is not one of", "`telemetry`"),
        ("value: 10 min", "value: 10 minutes", "'10 minutes' is not a duration", "5 min"),
        ("value: clamp", "value: clmp", "'clmp' is not one of", "`clamp`"),
        ("maximum: 350}", "exclusiveMaximum: 350}", "bounds that are possible themselves", "maximum"),
        ("implementation: \"phase", "implementation: \"phse", "there is no column `phse`", "`phase`"),
        ("fuel_flow < 1", "fuel_flow < 'x'", "cannot be evaluated", "single quotes"),
        ("fuel_flow < 1", "sum(fuel_flow) < 1", "no function `sum`", ""),
        ('implementation: "phase <> \'standby\' or fuel_flow < 1"', 'implementation: "1 = 1"', "reads no column", "name one"),
        ("implementation: \"phase <> 'standby' or fuel_flow < 1\"", "implementation: fuel_flow + 1", "not true or false", ""),
        ('pattern: "[a-z ]*"', 'pattern: "[a-z"', "note.pattern: is not a regular expression", "look-around"),
        ("value: epoch_ms", "value: epoch", "'epoch' is not one of", "epoch"),
        ("id: engine_telemetry", "id: engines", "the contract's id and the schema's name differ", "id: engine_telemetry"),
        ("apiVersion: v3.1.0", "apiVersion: v2.2.0", "hotfire reads ODCS 3", "v3.1.0"),
        ("name: seq, logicalType: integer", "name: seq, logicalType: string", "`seq` is a string; it has to be integer", ""),
        ("hotfire.asset, value: engine_id", "hotfire.asset, value: seq", "`seq` is an integer; it has to be string", "hotfire.coerce, value: true"),
        ("value: epoch_ms}", "value: iso}, {property: hotfire.coerce, value: true}", "coerce: means nothing for an instant in ISO 8601", "remove"),
        ("status: active", "status: active\nstatus: draft", "`status` is written twice", "keep one"),
        ("status: active", "status: [active", "not YAML", "quote"),
        ("status: active", "1: active", "a key is not text", "quote"),
        ("value: 5}", "value: .nan}", "is not a value that JSON has", "quote"),
    ],
)  # fmt: skip
def test_refusals(old: str, new: str, what: str, do: str) -> None:
    """What is not well written is refused with its line, its field, and what to do."""
    said, suggested = refusal(ENGINES, old, new)
    assert what in said
    assert do in suggested


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("value: entity", "value: telemetry", "means nothing for kind telemetry"),
        (", primaryKey: true", "", "an entity needs a key"),
        ("hotfire.revision", "hotfire.asset", "means nothing for kind entity"),
        ("string, primaryKey: true", "string, required: false, primaryKey: true", "it is required"),
        ("Europe/Berlin", "Europe/Berln", "is not an IANA time zone"),
        ("version: 1.0.0", "version: 0.9.0", "three numbers, from 1.0.0"),
        ("      - {property: hotfire.revision", LENS, "the first version has nothing to look back at"),
    ],
)
def test_refusals_of_entities(old: str, new: str, what: str) -> None:
    """An entity's contract is held to its own rules."""
    assert what in refusal(LAUNCHES, old, new)[0]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (LENS, "      - {property: hotfire.revision", "hotfire.lens: is missing"),
        ("from: 1", "from: 3", "looks back at version 3, but the one before is 1"),
        ("when: \"mass_kg is null\"", "when: \"mass_kgs is null\"", "there is no column `mass_kgs`"),
        ("set: {mass_kg: mass}", "set: {mass_kg: mss}", "there is no column `mss`"),
        ("set: {mass_kg: mass}", "set: {masskg: mass}", "there is no column `masskg`"),
        ("set: {mass_kg: mass}", "set: {mass_kg: launch_id}", "`launch_id` is a text, the column a number"),
        ("set: {mass_kg: mass}", "set: {mass_kg: mass, launch_id: lower(launch_id)}", "renamed, never computed"),
        ("name: mass_kg, logicalType: number", "name: mass_kg, required: true, logicalType: number", None),
        ("id: launches", "id: rockets", "the contract's id and the schema's name differ"),
    ],
)  # fmt: skip
def test_refusals_of_lenses(old: str, new: str, what: str | None) -> None:
    """A lens names what there is, fits the types, and leaves the identity alone."""
    assert old in NEWER
    texts = [("v1.yaml", LAUNCHES), ("v2.yaml", NEWER.replace(old, new, 1))]
    if what is None:
        assert compile_contract(texts).column("mass_kg").required
        return
    with pytest.raises(ContractError) as caught:
        compile_contract(texts)
    assert what in caught.value.what
    assert caught.value.what.startswith("v2.yaml:")


def test_a_required_column_must_come_from_somewhere() -> None:
    """A lens that leaves a required column unset is refused."""
    newer = NEWER.replace("set: {mass_kg: mass}", "set: {}").replace("name: mass_kg,", "name: mass_kg, required: true,")
    with pytest.raises(ContractError, match="`mass_kg` is required, but version 1 has no such column"):
        compile_contract([("v1.yaml", LAUNCHES), ("v2.yaml", newer)])


def test_lines() -> None:
    """The line is that of the value at fault, also in flow style and nested."""
    said, _ = refusal(ENGINES, "value: bar", "value: 5")
    assert said.startswith(f"v1.yaml:{line_of(ENGINES, 'value: bar')}: chamber_pressure.hotfire.unit: ")
    said, _ = refusal(ENGINES, "value: epoch_ms", "value: epoch_m")
    assert said.startswith(f"v1.yaml:{line_of(ENGINES, 'value: epoch_ms')}: location_seen.hotfire.format: ")


def test_null_without_quotes_is_the_policy() -> None:
    """`hotfire.out_of_range: null` means the policy of that name, with or without quotes."""
    for null in ("null", '"null"'):
        text = ENGINES.replace("out_of_range, value: clamp", f"out_of_range, value: {null}")
        assert compile_contract([("v1.yaml", text)]).column("chamber_pressure").out_of_range == "null"


def test_a_cached_contract_of_another_version() -> None:
    """Bytes that are no compiled contract are refused, so that they are compiled again."""
    with pytest.raises(ContractError, match="cannot be read"):
        load(b'{"stream": 5}')


def test_a_contract_has_at_most_1500_columns() -> None:
    """More than a store's table can hold is refused where the contract is read, not where the table is made."""
    many = "".join(f"      - {{name: c{at}, logicalType: number}}\n" for at in range(1_500))
    with pytest.raises(ContractError, match="1,503 columns; a stream has at most 1,500"):
        compile_contract([("v1.yaml", LAUNCHES + many)])
