"""JSON records: strict types, every fault named, nothing lost."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotfire.contract.model import Field, TimeFormat, Type
from hotfire.rows import Decoded, Part, Place
from hotfire.source.formats import Chunk, TextFormat
from hotfire.source.formats.json import JsonLines, JsonValues

IOT = Path(__file__).resolve().parents[4] / "shared" / "data" / "iot"


def want(path: str, type_: Type, form: TimeFormat = "iso", *, coerce: bool = False) -> Field:
    return Field(path, path.replace(".", "_"), type_, form, coerce)


def chunk(form: TextFormat, data: bytes) -> Chunk:
    cut = form.cut(data, 1, final=True, limit=10**9)
    assert cut.end == len(data)
    return Chunk(Part(Place("k", "file.json"), cut.end, cut.end_line, cut.rows), data)


def read(data: bytes, *fields: Field, form: TextFormat | None = None) -> Decoded:
    form = form or JsonLines()
    return form.records([chunk(form, data)]).decode(fields)


def one(data: bytes, *fields: Field) -> tuple[dict[str, object], list[str]]:
    """The one record's cells and the checks that it broke."""
    decoded = read(data, *fields)
    rows = decoded.frame.drop("row_no").to_dicts()
    return (rows[0] if rows else {}), [fault.check for fault in decoded.faults]


@pytest.mark.parametrize(
    ("type_", "written", "expected"),
    [
        ("integer", "4", 4),
        ("integer", "-0", 0),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "-9223372036854775808", -(2**63)),
        ("number", "4", 4.0),
        ("number", "1e3", 1000.0),
        ("number", "123456789012345678901", 123456789012345678901.0),
        ("number", "1e400", math.inf),
        ("number", "-" + "9" * 5000, -math.inf),
        ("number", "1e-400", 0.0),
        ("boolean", "true", True),
        ("string", r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        ("string", '""', ""),
        ("timestamp", '"2026-01-01T00:00:00Z"', "2026-01-01T00:00:00Z"),
        ("date", '"2026-01-01"', "2026-01-01"),
    ],
)
def test_a_value_of_its_type_is_read(type_: Type, written: str, expected: object) -> None:
    """Every type takes what JSON writes for it, up to the limits of 64 bits."""
    assert one(f'{{"x": {written}}}'.encode(), want("x", type_)) == ({"x": expected, "unknown_fields": None}, [])


@pytest.mark.parametrize(
    ("type_", "written"),
    [
        ("integer", "4.0"),
        ("integer", "1e3"),
        ("integer", "true"),
        ("integer", '"4"'),
        ("integer", "9223372036854775808"),
        ("integer", "18446744073709551615"),
        ("integer", "-9223372036854775809"),
        ("integer", "9" * 5000),
        ("number", "true"),
        ("number", '"21.7"'),
        ("number", "[1]"),
        ("number", "{}"),
        ("boolean", "1"),
        ("boolean", '"true"'),
        ("string", "1"),
        ("string", r'"a\u0000"'),
        ("string", r'"\ud800"'),
        ("string", r'"\udc00x"'),
        ("timestamp", "1594598726"),
    ],
)
def test_a_value_of_another_type_breaks_the_type_check(type_: Type, written: str) -> None:
    """Nothing is coerced: the cell is null, the row stays, and the fault quotes the value as it was written."""
    decoded = read(f'{{"x": {written}, "y": 1}}'.encode(), want("x", type_), want("y", "integer"))
    assert decoded.frame.select("x", "y").rows() == [(None, 1)]
    (fault,) = decoded.faults
    assert (fault.row_no, fault.check) == (0, "x.type")
    assert fault.value == (written if len(written) <= 200 else written[:199] + "…")
    assert fault.detail


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (b'{"x": 1', "row.parse"),
        (b'{"x": "a', "row.parse"),
        (b'{"x": 1} 2', "row.parse"),
        (b'{"x": 1}{"x": 2}', "row.parse"),
        (b'{"x": "a" "y": 1}', "row.parse"),
        (b'{"x": NaN}', "row.parse"),
        (b'{"x": -Infinity}', "row.parse"),
        (b'{"x": 01}', "row.parse"),
        (b'{"x": 1.}', "row.parse"),
        (b'{"x": "a\tb"}', "row.parse"),
        (b'{"x": 1,}', "row.parse"),
        (b"[1]", "row.parse"),
        (b"null", "row.parse"),
        (b"\x00", "row.parse"),
        (b'{"x": ' + b"[" * 100_000, "row.parse"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "row.parse"),
        (b'{"y": ' + b'{"y":' * 101 + b"1" + b"}" * 102, "row.parse"),
        (b'{"x": "\xff"}', "row.encoding"),
        (b'{"y": "\xed\xa0\x80"}', "row.encoding"),
        (b'{"\xc0\x80": 1}', "row.encoding"),
        (b'{"x": 1} \xff', "row.encoding"),
    ],
)
def test_a_line_that_is_no_object_is_faulted_once(line: bytes, check: str) -> None:
    """What is no JSON object, or no UTF-8, has no row and one fault that says where."""
    decoded = read(b'{"x": 1}\n' + line + b'\n{"x": 2}', want("x", "integer"))
    assert decoded.frame.select("row_no", "x").rows() == [(0, 1), (2, 2)]
    (fault,) = decoded.faults
    assert (fault.row_no, fault.check) == (1, check)
    assert fault.value is not None
    assert "\0" not in fault.value
    assert len(fault.value) <= 200


def test_every_fault_of_a_record_is_named_in_the_order_of_the_fields() -> None:
    """A record with several broken values shows them all; a sound value beside them is kept."""
    fields = want("a", "integer"), want("b", "number"), want("c", "string"), want("d", "boolean")
    cells, checks = one(b'{"d": 0, "c": 5, "b": 1.5, "a": "x"}', *fields)
    assert checks == ["a.type", "c.type", "d.type"]
    assert cells == {"a": None, "b": 1.5, "c": None, "d": None, "unknown_fields": None}


def test_missing_and_null_are_the_same() -> None:
    """A field that is not there is null, like one that is; so are the fields below it."""
    fields = want("a", "integer"), want("b.c", "string"), want("b.d.e", "number")
    decoded = read(b'{}\n{"a": null, "b": null}\n{"b": {"d": null}}', *fields)
    assert decoded.frame.select("a", "b.c", "b.d.e").rows() == [(None, None, None)] * 3
    assert not decoded.faults


def test_nested_fields_are_found_by_their_path() -> None:
    """A dotted path leads into objects; a key with a dot in its name is another field."""
    fields = want("b.c", "string"), want("b.d.e", "number")
    cells, checks = one(b'{"b": {"d": {"e": 2}, "c": "x"}, "b.c": "y"}', *fields)
    assert cells == {"b.c": "x", "b.d.e": 2.0, "unknown_fields": '{"b.c":"y"}'}
    assert checks == []


def test_a_parent_that_is_no_object_faults_every_field_below_it() -> None:
    """Each column that could not be read has its own fault, with the parent's value."""
    decoded = read(b'{"b": 5}', want("b.c", "string"), want("a", "integer"), want("b.d.e", "number"))
    assert [(fault.check, fault.value) for fault in decoded.faults] == [("b_c.type", "5"), ("b_d_e.type", "5")]
    assert decoded.faults[0].detail == "a number, not an object"


def test_the_last_of_two_equal_keys_counts() -> None:
    """A key that is written twice is read as it stood last, whatever stood first, and at every level."""
    fields = want("a", "integer"), want("b.c", "number"), want("b.d", "number")
    for line in (
        b'{"a": 1, "a": 2, "b": {"c": 1, "c": 3}}',
        b'{"a": "x", "a": 2, "b": 5, "b": {"c": 3}}',
        b'{"a": 2, "b": {"c": 9, "d": 9}, "b": {"c": 3}}',
    ):
        assert one(line, *fields) == ({"a": 2, "b.c": 3.0, "b.d": None, "unknown_fields": None}, [])


def test_unknown_fields_are_kept_as_they_were_written() -> None:
    """What no field names stays, with sorted keys and numbers as written; what it surrounds is judged all the same."""
    line = r'{"z": [1.00, {"q": 1e400, "b": null}], "a": 1, "loc": {"alt": "é\ud800", "lat": 2}, "k": "\u0000"}'
    cells, checks = one(line.encode(), want("a", "integer"), want("loc.lat", "number"))
    assert (cells["a"], cells["loc.lat"], checks) == (1, 2.0, [])
    assert cells["unknown_fields"] == (r'{"k":"\u0000","loc":{"alt":"\u00e9\ud800"},"z":[1.00,{"b":null,"q":1e400}]}')


def test_epochs_are_texts_of_the_number_as_it_was_written() -> None:
    """An instant in numbers loses no digit: integers in full, fractions by the shortest decimal of their float64."""
    fields = (want("t", "timestamp", "epoch_ns"),)
    lines = (
        b'{"t": 1594598726539332412}\n{"t": 1594598726.5393324}\n{"t": 1e9}\n{"t": null}\n{"t": 9223372036854775808}'
    )
    decoded = read(lines, *fields)
    texts = ["1594598726539332412", "1594598726.5393324", "1000000000.0", None, "9.223372036854776e+18"]
    assert decoded.frame["t"].to_list() == texts
    assert decoded.faults == []


def test_numbers_written_as_text_are_read_and_counted_where_the_contract_says_so() -> None:
    """Coercion takes what spells out a number or a truth value, and says which values it took."""
    fields = (
        want("i", "integer", coerce=True),
        want("n", "number", coerce=True),
        want("b", "boolean", coerce=True),
        want("t", "timestamp", "epoch_s", coerce=True),
        want("s", "string", coerce=True),
    )
    decoded = read(
        b'{"b": "false", "t": "12.5", "n": " 21.7 ", "i": "+007", "s": 1.50}\n'
        b'{"i": "4.5", "n": "21.7 C", "b": "on", "t": "now", "s": [1]}\n'
        b'{"i": 1, "n": 2, "b": true, "t": 3, "s": "x"}\n'
        b'{"i": 4.0, "n": "-inf", "b": 0, "s": true}\n'
        b'{"i": "4.0", "n": "", "b": " YES ", "s": "\\u0000"}\n'
        b'{"i": true, "n": true, "b": 1.0}',
        *fields,
    )
    assert decoded.frame.drop("unknown_fields").rows() == [
        (0, 7, 21.7, False, "12.5", "1.50"),
        (1, None, None, None, None, None),
        (2, 1, 2.0, True, "3", "x"),
        (3, 4, -math.inf, False, None, "true"),
        (4, 4, None, True, None, None),
        (5, None, None, None, None, None),
    ]
    first = [(0, "i", '"+007"'), (0, "n", '" 21.7 "'), (0, "b", '"false"'), (0, "t", '"12.5"'), (0, "s", "1.50")]
    assert decoded.coerced[:5] == first
    assert decoded.coerced[5:9] == [(3, "i", "4.0"), (3, "n", '"-inf"'), (3, "b", "0"), (3, "s", "true")]
    assert decoded.coerced[9:] == [(4, "i", '"4.0"'), (4, "b", '" YES "')]
    broken = {no: [one.check[0] for one in decoded.faults if one.row_no == no] for no in range(6)}
    assert broken == {0: [], 1: [*"inbts"], 2: [], 3: [], 4: [*"ns"], 5: [*"inb"]}


def test_a_field_with_two_forms_has_two_columns() -> None:
    """Where versions disagree about a type, a value stands in the column of every form that it fits."""
    fields = want("v", "integer"), want("v", "number"), want("v", "string"), want("v.w", "boolean")
    decoded = read(
        b'{"v": 1}\n{"v": 1.5}\n{"v": "x"}\n{"v": 9223372036854775808}\n{"v": {"w": true}}\n{"v": []}', *fields
    )
    assert decoded.frame.select("v", "v#2", "v#3", "v.w").rows() == [
        (1, 1.0, None, None),
        (None, 1.5, None, None),
        (None, None, "x", None),
        (None, 2.0**63, None, None),
        (None, None, None, True),
        (None, None, None, None),
    ]
    assert [(fault.row_no, fault.check) for fault in decoded.faults] == [(5, "v.type"), (5, "v_w.type")]


def test_blank_lines_are_no_records_but_lines() -> None:
    """Empty lines and lines of white space are skipped, and the numbers of the lines after them are right."""
    form = JsonLines()
    found = form.records([chunk(form, b'\n{"x": 1}\r\n\r\n \t\n  {"x": 2}\n{"x": 3}\r\n  ')])
    assert [found.raw(no) for no in range(len(found))] == [b'{"x": 1}', b'  {"x": 2}', b'{"x": 3}']
    assert [found.where(no).line for no in range(len(found))] == [2, 5, 6]
    assert [found.where(no).offset for no in range(len(found))] == [1, 16, 27]
    assert found.decode([want("x", "integer")]).frame["x"].to_list() == [1, 2, 3]


def test_a_byte_order_mark_is_skipped() -> None:
    """Editors put a byte order mark before the first record; it is none of its text."""
    field = want("x", "integer")
    assert read(b'\xef\xbb\xbf{"x": 1}\n{"x": 2}', field).frame["x"].to_list() == [1, 2]
    assert read(b'\xef\xbb\xbf[{"x": 1}]', field, form=JsonValues()).frame["x"].to_list() == [1]


def test_a_line_of_ten_megabytes_is_a_record() -> None:
    """A record may be longer than what is decoded at a time."""
    long = "x" * 10_000_000
    decoded = read(f'{{"s": "a"}}\n{{"s": "{long}"}}\n{{"s": "b"}}'.encode(), want("s", "string"))
    assert decoded.frame["s"].to_list() == ["a", long, "b"]


def test_nothing_is_read_from_nothing() -> None:
    """No chunk, or no record in it, gives a frame with the right columns and no rows."""
    fields = want("x", "integer"), want("t", "timestamp")
    for form in (JsonLines(), JsonValues()):
        for found in (form.records([]), form.records([chunk(form, b" \n\n")])):
            frame = found.decode(fields).frame
            assert (frame.height, frame.columns) == (0, ["row_no", "x", "t", "unknown_fields"])
            assert len(found) == 0


def test_rows_are_numbered_through_all_chunks() -> None:
    """A batch may take several files; its records have one sequence of numbers."""
    form = JsonLines()
    found = form.records([chunk(form, b'{"x": 1}\nbad\n'), chunk(form, b"\n"), chunk(form, b'{"x": 2}\n{"x": 3.5}')])
    decoded = found.decode([want("x", "integer")])
    assert decoded.frame["row_no"].to_list() == [0, 2, 3]
    assert [fault.row_no for fault in decoded.faults] == [1, 3]
    assert found.raw(3) == b'{"x": 3.5}'
    assert found.where(3).line == 2


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """Decoding switches the collector off and puts it back, on or off."""
    assert gc.isenabled()
    read(b'{"x": 1}', want("x", "integer"))
    assert gc.isenabled()
    gc.disable()
    try:
        read(b'{"x": 1}', want("x", "integer"))
        assert not gc.isenabled()
    finally:
        gc.enable()


def spans(data: bytes) -> list[tuple[int, int, bytes]]:
    """Line, offset and bytes of each value of a document."""
    form = JsonValues()
    found = form.records([chunk(form, data)])
    places = [found.where(no) for no in range(len(found))]
    return [(place.line, place.offset, found.raw(no)) for no, place in enumerate(places)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'[{"a": 1}, {"a": [2, {}]}]\n', [(1, 1, b'{"a": 1}'), (1, 11, b'{"a": [2, {}]}')]),
        (b' [\n  {\n "a": 1\n  },\n  {}\n]', [(2, 5, b'{\n "a": 1\n  }'), (5, 22, b"{}")]),
        (b'{"a": 1}{"b": 2}\n{"c": 3}', [(1, 0, b'{"a": 1}'), (1, 8, b'{"b": 2}'), (2, 17, b'{"c": 3}')]),
        (b'[{"a": 1}]\n[{"a": 2}]', [(1, 1, b'{"a": 1}'), (2, 12, b'{"a": 2}')]),
        (rb'[{"a": "]}\"[\\"}, {"a\\\"}": 1}]', [(1, 1, rb'{"a": "]}\"[\\"}'), (1, 19, rb'{"a\\\"}": 1}')]),
        (b"[1, [2, [3]], null, {}]", [(1, 1, b"1"), (1, 4, b"[2, [3]]"), (1, 14, b"null"), (1, 20, b"{}")]),
        (b"[]", []),
        (b"[ ]\n ", []),
        (b'[{"a": 1},, {"a": 2} {"a": 3}', [(1, 1, b'{"a": 1}'), (1, 12, b'{"a": 2}'), (1, 21, b'{"a": 3}')]),
        (b'[{"a": 1}, {"a": [{"b": \n', [(1, 1, b'{"a": 1}'), (1, 11, b'{"a": [{"b":')]),
        (b'[{"a": 1}, {"a": "x, {"b": 1}]', [(1, 1, b'{"a": 1}'), (1, 11, b'{"a": "x, {"b": 1}]')]),
        (b'[{"a": 1}, oops, {}] }', [(1, 1, b'{"a": 1}'), (1, 11, b"oops"), (1, 17, b"{}"), (1, 21, b"}")]),
    ],
)
def test_a_document_comes_apart_into_its_values(document: bytes, expected: list[tuple[int, int, bytes]]) -> None:
    """Elements of arrays and values one after the other are records, each at its line; what is broken is one, too."""
    assert spans(document) == expected


def test_a_document_is_read_like_lines() -> None:
    """The same records give the same frame, whether they stand in an array, one after the other, or one a line."""
    records = [{"a": 1, "b": {"c": "x"}}, {"a": "no"}, {"z": [1]}, {"b": {"c": "y\n[{"}}]
    lines = "\n".join(map(json.dumps, records)).encode()
    fields = want("a", "integer"), want("b.c", "string")
    expected = read(lines, *fields)
    for document in (json.dumps(records), json.dumps(records, indent=2), "".join(map(json.dumps, records))):
        found = read(document.encode(), *fields, form=JsonValues())
        assert found.frame.equals(expected.frame)
        assert found.faults == expected.faults


@pytest.mark.skipif(not IOT.is_dir(), reason="the IoT messages are not beside the repository (../shared/data/iot)")
def test_the_iot_messages_are_read_as_any_parser_reads_them() -> None:
    """Both files of real messages: as many records, and the same values, as the standard library finds."""
    fields: Sequence[Field] = (
        want("device_id", "string"),
        want("ts", "timestamp", "epoch_s"),
        want("data.temp", "number"),
        want("data.light", "boolean"),
    )
    for path in sorted(IOT.glob("*.json")):
        data = path.read_bytes()
        decoded = read(data, *fields, form=JsonValues())
        expected = [
            (message.get("device_id"), repr(message["ts"]), float(message["data"]["temp"]), message["data"]["light"])
            for message in json.loads(data)
        ]
        assert decoded.frame.select("device_id", "ts", "data.temp", "data.light").rows() == expected
        assert not decoded.faults
