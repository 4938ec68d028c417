"""Rejected records as people see them: escaped, cut to size, with carets under what broke a check."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.model import Check, Column, Contract, Lens
from hotfire.quarantine.show import Record, json_value, pointed, remedy, safe, spots
from hotfire.rows import Fault

OLD = Contract("s", "1.0.0", "telemetry", (Column("unit", "string"), Column("heat", "number", path="t")), asset="unit")
CONTRACT = Contract(
    "s",
    "2.0.0",
    "telemetry",
    (Column("unit", "string"), Column("at", "timestamp"), Column("temperature", "number", path="reading.t")),
    asset="unit",
    time="at",
    checks=(Check("warm", "temperature > 0 or unit = 'x'"),),
    lens=Lens(1, "true", {"temperature": "heat * 2"}),
    older=(OLD,),
)
TABLE = {"format": "table", "columns": ["unit", "at", "t"], "delimiter": ","}
WORDS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def under(raw: bytes, reading: dict[str, Any], check: str) -> list[str]:
    """What the carets of a fault stand under."""
    record = Record.of(raw, reading)
    return [record.text[begin:end] for begin, end in spots(record, Fault(0, check), CONTRACT)]


@given(st.dictionaries(WORDS.filter(lambda key: "." not in key), VALUES, min_size=1, max_size=6), st.data())
def test_the_value_of_a_key_is_found(record: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands around it and however it is spaced, the spot of a key holds exactly its value."""
    key = data.draw(st.sampled_from(sorted(record)))
    indent = data.draw(st.sampled_from([None, 0, 2]))
    text = json.dumps(record, indent=indent, ensure_ascii=data.draw(st.booleans()))
    spot = json_value(text, key)
    assert spot is not None
    assert json.loads(text[spot[0] : spot[1]]) == record[key]


@pytest.mark.parametrize(
    ("checks", "helps"),
    [
        (["row.parse"], "source"),
        (["row.encoding", "temperature.type"], "source"),
        (["key.conflict"], "stored row"),
        (["at.ahead"], "later"),
        (["at.ahead", "temperature.range"], "contract"),
        (["temperature.type"], "contract"),
        (["warm", "unit.required"], "contract"),
    ],
)
def test_what_helps(checks: list[str], helps: str) -> None:
    """A record that cannot be read is not mended by a contract; one that is early needs only time."""
    assert remedy([Fault(0, check) for check in checks]) == helps


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 30))
def test_any_bytes_are_shown_safely(raw: bytes, begin: int, length: int) -> None:
    """No control character and no broken letter reaches the terminal, in lines of bounded length."""
    record = Record.of(raw, {"format": "jsonl"})
    shown, carets = pointed(record, [(begin, begin + length)])
    assert shown.isprintable()
    assert set(carets) <= {"^", " "}
    assert len(shown) <= 10 * 100 + 6


@given(st.binary(max_size=60))
def test_plain_text_is_not_changed(raw: bytes) -> None:
    """What can be shown is shown as it is."""
    text = raw.decode("utf-8", errors="ignore")
    assert safe("".join(one for one in text if one.isprintable())) == "".join(one for one in text if one.isprintable())


@pytest.mark.parametrize(
    ("raw", "check", "found"),
    [
        (b'{"unit": "a", "reading": {"x": [1, {"t": 2}], "t": -99}}', "temperature.range", ["-99"]),
        (b'{"unit": "a", "t": 5}', "temperature.range", ["5"]),
        (b'{"unit": "a", "reading": {"t": 5}}', "at.required", []),
        (b'{"unit": "a", "reading": {"t": -5}}', "warm", ['"a"', "-5"]),
        (b'{"unit": "a", "at": "x"}', "key.conflict", ['"a"', '"x"']),
        (b'{"unit": "a", "at" 5}', "row.parse", ["5"]),
        (b'{"unit": "a\xff"}', "row.encoding", ["\udcff"]),
        (b'{"reading.t": 7, "reading": {"t": 8}}', "temperature.type", ["7"]),
    ],
)
def test_json_spots(raw: bytes, check: str, found: list[str]) -> None:
    """By path, through the lens for older rows, for all columns of a cross-field check or key, where parsing stops."""
    assert sorted(under(raw, {"format": "jsonl"}, check)) == sorted(found)


@pytest.mark.parametrize(
    ("raw", "check", "found"),
    [
        (b"a,x,5", "at.time", ["x"]),
        (b'"a,b",x,5', "temperature.type", ["5"]),
        (b'"a,b","x ""y""",5', "at.time", ['"x ""y"""']),
        (b"a,x,5,6,7", "row.parse", ["6,7"]),
        (b"a,x", "row.parse", [""]),
        (b"a", "temperature.type", []),
    ],
)
def test_table_spots(raw: bytes, check: str, found: list[str]) -> None:
    """By the order of the header, quotes respected; behind the last cell that belongs where there are too many."""
    assert under(raw, TABLE, check) == found


def test_whitespace_tables_and_counting_clocks() -> None:
    """Runs of white space divide cells; an instant made from a count points at the count."""
    clock = {"column": "at", "start_ns": 0, "rate_hz": 1.0, "field": "when"}
    reading = {**TABLE, "delimiter": " ", "clock": clock}
    contract = Contract("s", "1.0.0", "telemetry", (Column("when", "timestamp"),), time="when")
    record = Record.of(b" a \t 12   5", reading)
    (spot,) = spots(record, Fault(0, "when.ahead"), contract)
    assert record.text[slice(*spot)] == "12"


def test_carets_stand_where_the_value_is_shown() -> None:
    """Also behind escaped, wide and combining letters, and in the window of a long record."""
    for before in ("a", "\x07\x1b", "汉字", "e\u0301", "x" * 500):
        text = before + "BAD" + "y" * 300
        shown, carets = pointed(Record(text, {}), [(len(before), len(before) + 3)])
        wide = sum(letter in "汉字" for letter in shown) - sum(letter == "\u0301" for letter in shown)
        assert shown.index("BAD") + wide == carets.index("^")
        assert carets.endswith("^^^")
