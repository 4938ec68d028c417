"""Arrays as columns, and what stands in them as columns: typed, and the same however the source has written them."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.check import judge
from hotfire.contract.model import Column, Contract, Type, wire
from hotfire.contract.nested import array, array_text, elements, written_array
from hotfire.contract.odcs import compile_contract, read_versions
from hotfire.rows import Part, Place, Verdict
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines
from hotfire.source.formats.json_layout import layout
from hotfire.source.formats.json_slow import Findings
from hotfire.source.formats.json_slow import judge as slowly
from hotfire.source.formats.parquet import ParquetRows
from hotfire.source.formats.table import Table

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
HEAD = """
apiVersion: v3.1.0
kind: DataContract
id: launches
version: 1.0.0
status: active
schema:
  - name: launches
    logicalType: object
    customProperties: [{property: hotfire.kind, value: entity}]
    properties:
      - {name: id, logicalType: string, primaryKey: true}
"""


def of(element: str, kind: Type = "string") -> Column:
    return Column("x", kind, path="cores", element=element)


def contract(*properties: str) -> Contract:
    return compile_contract([("v1.yaml", HEAD + "".join(f"      - {one}\n" for one in properties))])


def judged(contract: Contract, *lines: bytes) -> Verdict:
    data = b"".join(line + b"\n" for line in lines)
    part = Part(Place("a", "a"), len(data), len(lines) + 1, len(lines))
    return judge(contract, JsonLines().records([Chunk(part, data)]).decode(wire(contract)), 0)


def taken(column: Column, *texts: str | None) -> tuple[list[Any], list[str | None]]:
    values, broken = elements(pl.Series("cores", texts, dtype=pl.String), column)
    return values.to_list(), broken.to_list()


CORES = '[{"core":"k1","flight":2,"at":"2022-01-01T00:00:00Z"},{"core":"k2","flight":null},{"core":null}]'


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (of("0.core"), "k1"),
        (of("1.core"), "k2"),
        (of("2.core"), None),
        (of("3.core"), None),
        (of("0.core.deeper"), None),
        (of("0.flight", "integer"), 2),
        (of("0.flight", "number"), 2.0),
        (of("*.core", "array"), '["k1","k2",null]'),
        (of("*.flight", "array"), "[2,null,null]"),
        (of("*", "array"), CORES.replace('"at":"2022-01-01T00:00:00Z",', "").replace("}", "}")),
    ],
)
def test_elements_are_found_by_their_place(column: Column, value: Any) -> None:
    """By number, or of every element; what is not there is null."""
    expected = array_text(json.loads(CORES)) if column.element == "*" else value
    assert taken(column, CORES, None) == ([expected, None], [None, None])


@pytest.mark.parametrize(
    ("kind", "written", "why"),
    [
        ("string", "[1]", "a number, not text"),
        ("integer", "[1.0]", "a number, not an integer of 64 bits"),
        ("integer", "[true]", "true or false, not an integer of 64 bits"),
        ("integer", "[9223372036854775808]", "a number, not an integer of 64 bits"),
        ("number", '["1"]', "text, not a number"),
        ("boolean", "[1]", "a number, not true or false"),
        ("string", '["\\u0000"]', "text with U+0000, not text"),
        ("array", "[{}]", "an object, not an array"),
    ],
)
def test_elements_are_strict(kind: Type, written: str, why: str) -> None:
    """As strict as the fields of records: nothing is coerced."""
    assert taken(of("0", kind), written) == ([None], [why])


@given(st.lists(VALUES))
def test_arrays_have_one_text(value: list[Any]) -> None:
    """However an array is written, its text is the same, and says the same."""
    texts = {written_array(json.dumps(value, indent=indent, ensure_ascii=plain)) for indent in (None, 2) for plain in (True, False)}  # fmt: skip
    text = texts.pop()
    assert not texts
    assert text is not None
    assert json.loads(text) == value
    assert array(text) == value


@given(st.lists(VALUES))
def test_both_ways_of_reading_json_agree(value: list[Any]) -> None:
    """The fast decoder and the one that judges at leisure give the same array."""
    fields = wire(contract("{name: cores, logicalType: array}"))
    raw = json.dumps({"id": "a", "cores": value}).encode()
    plan, found = layout(fields), Findings()
    record = slowly(plan.shape, raw, 0, found)
    assert not found.faults
    assert record == plan.decoder.decode(raw)


def test_arrays_and_their_elements_become_columns() -> None:
    """One field of the record, three columns; a record without it has nulls."""
    one = contract(
        "{name: cores, logicalType: array}",
        "{name: core_ids, logicalType: array, customProperties: [{property: hotfire.path, value: cores}, {property: hotfire.element, value: '*.core'}]}",
        "{name: flown_at, logicalType: timestamp, customProperties: [{property: hotfire.path, value: cores}, {property: hotfire.element, value: 0.at}]}",
    )
    verdict = judged(
        one, b'{"id": "a", "cores": [{"at": "1970-01-01T00:00:01Z", "core" : "k"}], "more": 1}', b'{"id": "b"}'
    )
    assert verdict.rows.drop("row_no", "corrected").rows() == [
        ("a", '[{"at":"1970-01-01T00:00:01Z","core":"k"}]', '["k"]', 1_000_000_000, '{"more":1}'),
        ("b", None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("cores", "checks"),
    [
        (b"{}", ["cores.type"]),
        (b'"x"', ["cores.type"]),
        (b"[1e999]", ["cores.type"]),
        (b'["\\ud800"]', ["cores.type"]),
        (b'[{"flight": "1"}]', ["flight.type"]),
        (b'[{"at": "noon"}]', ["flown_at.time"]),
        (b'[{"at": 1}]', ["flown_at.type"]),
    ],
)
def test_what_does_not_fit_is_a_fault_of_its_column(cores: bytes, checks: list[str]) -> None:
    """Bad data never raises: the record is rejected by the check of the column that it breaks, with what was written."""
    one = contract(
        "{name: cores, logicalType: array}",
        "{name: flight, logicalType: integer, customProperties: [{property: hotfire.path, value: cores}, {property: hotfire.element, value: 0.flight}]}",
        "{name: flown_at, logicalType: timestamp, customProperties: [{property: hotfire.path, value: cores}, {property: hotfire.element, value: 0.at}]}",
    )
    verdict = judged(one, b'{"id": "a", "cores": ' + cores + b"}", b'{"id": "b", "cores": []}')
    assert [[fault.check for fault in faults] for faults in verdict.rejected.values()] == [checks]
    assert verdict.rows["id"].to_list() == ["b"]


def test_tables_and_parquet_have_arrays_too() -> None:
    """A cell may hold a JSON array, any other text is a fault; a list of a Parquet file is an array."""
    one = contract("{name: tags, logicalType: array}")
    lines = b'a\t"[""x"", 1.50]"\nb\t\nc\tx\n'
    records = Table(("id", "tags"), "\t").records([Chunk(Part(Place("a", "a"), len(lines), 4, 3), lines)])
    verdict = judge(one, records.decode(wire(one)), 0)
    assert verdict.rows.select("id", "tags").rows() == [("a", '["x",1.5]'), ("b", None)]
    assert [fault.check for fault in verdict.rejected[2]] == ["tags.type"]
    frame = pl.DataFrame({"id": ["a", "b", "c"], "tags": [[1, None], None, []]})
    rows = ParquetRows(Part(Place("a", "a"), 3, 4, 3), frame)
    assert rows.decode(wire(one)).frame["tags"].to_list() == ["[1,null]", None, "[]"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: x, logicalType: string, customProperties: [{property: hotfire.element, value: first}]}", "no place in an array"),
        ("{name: x, logicalType: string, customProperties: [{property: hotfire.element, value: '*.core'}]}", "every element's values"),
        ("{name: x, logicalType: array, customProperties: [{property: hotfire.coerce, value: true}]}", "means nothing for a array"),
        ("{name: x, logicalType: integer, customProperties: [{property: hotfire.element, value: '0'}, {property: hotfire.coerce, value: true}]}", "what stands in an array"),
        ("{name: x, logicalType: timestamp, customProperties: [{property: hotfire.element, value: '0'}, {property: hotfire.format, value: epoch_s}]}", "ISO 8601"),
        ("{name: x, logicalType: array, primaryKey: true}", "cannot tell rows apart"),
        ("{name: x, logicalType: string, relationships: [{to: rockets}]}", "is not one reference"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(line: str, said: str) -> None:
    """A contract says where it is wrong, and how."""
    remarks = [remark for one in read_versions([("v1.yaml", HEAD + f"      - {line}\n")]) for remark in one.doc.remarks]
    assert any(said in remark.message for remark in remarks), remarks
