"""One rule of the contract at a time: which rows break it, what is corrected, what is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.check import judge
from hotfire.contract.model import Check, Column, Contract, wire
from hotfire.rows import Correction, Decoded, Fault, Part, Place, Verdict
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines

NOON_NS = 1_780_315_200_000_000_000
EXPECTED_TYPES = {"string": pl.String, "integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}


def contract(*columns: Column, **more: Any) -> Contract:
    return Contract("s", "1.0.0", "entity", columns, **more)


def verdict(rules: Contract, *lines: bytes, received_at_ns: int = NOON_NS) -> Verdict:
    """What the contract says of JSON lines."""
    data = b"".join(line + b"\n" for line in lines)
    part = Part(Place("p", "p"), len(data), len(lines) + 1, len(lines))
    return judge(rules, JsonLines().records([Chunk(part, data)]).decode(wire(rules)), received_at_ns)


def frame_verdict(rules: Contract, **columns: Any) -> Verdict:
    """What the contract says of decoded columns."""
    types = {column.name: EXPECTED_TYPES[column.type] for column in rules.columns}
    frame = pl.DataFrame(columns, schema={name: types[name] for name in columns}).with_row_index("row_no")
    return judge(rules, Decoded(frame, []), NOON_NS)


def checks(found: Verdict) -> dict[int, list[str]]:
    return {row_no: [fault.check for fault in faults] for row_no, faults in found.rejected.items()}


X = Column("x", "number")


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("number", b'"21.7"'),
        ("number", b"true"),
        ("number", b"[1]"),
        ("integer", b"1.5"),
        ("integer", b"9223372036854775808"),
        ("integer", b"false"),
        ("boolean", b"1"),
        ("boolean", b'"true"'),
        ("string", b"7"),
        ("string", b'"a\\u0000b"'),
    ],
)
def test_types_are_strict(kind: Any, wrong: bytes) -> None:
    """A value of another type breaks `<column>.type`, and the value is shown."""
    found = verdict(contract(Column("x", kind)), b'{"x": %s}' % wrong)
    assert checks(found) == {0: ["x.type"]}
    assert found.rejected[0][0].value


def test_a_whole_number_is_a_number() -> None:
    """JSON does not tell 1 from 1.0; a number column takes both."""
    assert verdict(contract(X), b'{"x": 1}', b'{"x": 1.0}').rows["x"].to_list() == [1.0, 1.0]


def test_a_record_that_is_no_object_breaks_row_parse() -> None:
    """What is not a JSON object is no record."""
    found = verdict(contract(X), b'{"x": 1', b"[1]", b'{"x": 1}')
    assert checks(found) == {0: ["row.parse"], 1: ["row.parse"]}
    assert found.rows["row_no"].to_list() == [2]


def test_bytes_that_are_no_text_break_row_encoding() -> None:
    """A record that is not UTF-8 is told from one that is not JSON."""
    assert checks(verdict(contract(Column("x", "string")), b'{"x": "\xff"}')) == {0: ["row.encoding"]}


def test_a_required_value_may_not_be_missing() -> None:
    """Absent and null are both missing."""
    found = verdict(contract(replace(X, required=True)), b'{"x": null}', b"{}", b'{"x": 0}')
    assert checks(found) == {0: ["x.required"], 1: ["x.required"]}


def test_a_value_of_a_wrong_type_is_not_missing_as_well() -> None:
    """One mistake gives one fault."""
    assert checks(verdict(contract(replace(X, required=True)), b'{"x": "n/a"}')) == {0: ["x.type"]}


def test_required_is_judged_on_the_source_value() -> None:
    """A required value that the policy nulls was there: the row is stored, corrected."""
    found = frame_verdict(contract(replace(X, required=True, maximum=80, out_of_range="null")), x=[81.0])
    assert found.rejected == {}
    assert found.rows.select("x", "corrected").rows() == [(None, True)]


def test_an_asset_and_a_time_are_always_required() -> None:
    """Without them a row of telemetry has no place in any order."""
    rules = Contract("s", "1.0.0", "telemetry", (Column("a", "string"), Column("t", "timestamp")), asset="a", time="t")
    assert checks(verdict(rules, b"{}")) == {0: ["a.required", "t.required"]}


@pytest.mark.parametrize(
    ("policy", "value", "stored"),
    [("null", 81.0, None), ("null", -41.0, None), ("clamp", 81.0, 80.0), ("clamp", -1e300, -40.0)],
)
def test_an_impossible_reading_is_corrected_by_its_policy(policy: Any, value: float, stored: float | None) -> None:
    """The row is stored with the corrected value, and the raw one is kept in the correction."""
    found = frame_verdict(contract(replace(X, minimum=-40, maximum=80, out_of_range=policy)), x=[value, 20.0])
    assert found.rows.select("x", "corrected").rows() == [(stored, True), (20.0, False)]
    shown = None if stored is None else str(stored)
    assert found.corrections == [Correction(0, "x", "x.range", repr(value), shown)]


def test_an_entity_without_its_key_is_nobody() -> None:
    """The key of an entity is required, whatever the contract says; a key of telemetry may be null."""
    columns = (Column("id", "string"), Column("part", "integer"))
    rules = Contract("s", "1.0.0", "entity", columns, key=("id", "part"))
    assert checks(verdict(rules, b'{"id": "a"}', b'{"id": "a", "part": 1}')) == {0: ["part.required"]}


def test_an_impossible_reading_may_reject_its_row() -> None:
    """The fault says which bound was passed, in the contract's unit."""
    found = frame_verdict(contract(replace(X, minimum=-40, maximum=80, unit="degC")), x=[80.5, -40.0, 80.0])
    assert found.rejected == {0: (Fault(0, "x.range", "80.5", "above 80 degC"),)}


def test_exclusive_bounds_exclude_themselves() -> None:
    """An exclusive bound is no possible reading; an inclusive one is."""
    rules = contract(replace(X, minimum=0, maximum=1, exclusive_minimum=True, exclusive_maximum=True))
    assert checks(frame_verdict(rules, x=[0.0, 0.5, 1.0])) == {0: ["x.range"], 2: ["x.range"]}


@pytest.mark.parametrize("policy", ["null", "clamp"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_becomes_null(policy: Any, value: float) -> None:
    """NaN and infinities are impossible readings of any number; clamping them means null."""
    found = frame_verdict(contract(replace(X, maximum=80, out_of_range=policy)), x=[value])
    assert found.rows["x"].to_list() == [None]
    assert [correction.check for correction in found.corrections] == ["x.range"]


def test_what_is_no_finite_number_is_rejected_even_without_a_range() -> None:
    """A column without bounds still holds numbers only."""
    assert checks(frame_verdict(contract(X), x=[float("nan"), float("inf"), 1.0])) == {0: ["x.range"], 1: ["x.range"]}


@given(st.lists(st.sampled_from([-0.0, 0.0, 1.0, -5.0]), min_size=1))
def test_minus_zero_becomes_zero(values: list[float]) -> None:
    """-0.0 is stored as 0.0, whatever the policy: stores disagree about its bits."""
    rules = contract(replace(X, minimum=0, out_of_range="clamp"))
    assert all(str(value) != "-0.0" for value in frame_verdict(rules, x=values).rows["x"])


def test_integers_have_ranges_too() -> None:
    """Ranges of whole numbers are compared without losing a digit inside the range of a float64."""
    rules = contract(Column("n", "integer", minimum=0, maximum=2**53, out_of_range="clamp"))
    assert frame_verdict(rules, n=[-1, 2**53, 2**53 + 2]).rows["n"].to_list() == [0, 2**53, 2**53]


def test_a_pattern_matches_the_whole_text() -> None:
    """A pattern is not looked for somewhere inside; alternatives do not escape it."""
    rules = contract(Column("x", "string", pattern="TRE-[0-9]{3}|DEV"))
    found = frame_verdict(rules, x=["TRE-001", "DEV", "TRE-0012", "xDEV", "DEV\n", "", None])
    assert checks(found) == {row_no: ["x.pattern"] for row_no in (2, 3, 4, 5)}


def test_only_listed_values_are_allowed() -> None:
    """Null is no value, and is left to `required`."""
    rules = contract(Column("x", "string", values=("on", "off")))
    assert checks(frame_verdict(rules, x=["on", "ON", None, ""])) == {1: ["x.values"], 3: ["x.values"]}


def test_numbers_may_be_listed() -> None:
    """A list of numbers allows nothing between them."""
    rules = contract(Column("x", "number", values=(1, 2.5)), Column("n", "integer", values=(1, 2)))
    assert checks(frame_verdict(rules, x=[1.0, 2.5, 2.0], n=[1, 2, 3])) == {2: ["x.values", "n.values"]}


def test_length_counts_characters() -> None:
    """An umlaut and an emoji are one character each."""
    rules = contract(Column("x", "string", min_length=2, max_length=3))
    found = frame_verdict(rules, x=["ä", "äö", "🚀🚀🚀", "abcd", None])
    assert checks(found) == {0: ["x.length"], 3: ["x.length"]}


@pytest.mark.parametrize(
    ("x", "y", "broken"),
    [(2.0, 1.0, False), (0.0, 1.0, True), (None, 1.0, False), (None, None, False), (5.0, None, False)],
)
def test_a_cross_field_check_is_broken_only_where_it_is_false(x: Any, y: Any, broken: bool) -> None:  # noqa: FBT001
    """Three-valued logic: what is unknown is not false."""
    rules = contract(X, Column("y", "number"), checks=(Check("x_above_y", "x > y"),))
    assert checks(frame_verdict(rules, x=[x], y=[y])) == ({0: ["x_above_y"]} if broken else {})


def test_unknown_or_true_is_true() -> None:
    """`null or true` holds and `null and false` does not, as in SQL."""
    rules = contract(X, checks=(Check("either", "x > 0 or true"), Check("both", "x > 0 and false")))
    assert checks(frame_verdict(rules, x=[None])) == {0: ["both"]}


def test_a_cross_field_check_sees_corrected_values() -> None:
    """What is checked is what would be stored."""
    rules = contract(replace(X, maximum=10, out_of_range="clamp"), checks=(Check("small", "x <= 10"),))
    assert frame_verdict(rules, x=[99.0]).rejected == {}


def test_a_fault_of_a_cross_field_check_shows_its_fields() -> None:
    """A reader sees the values that contradict each other, and the rule."""
    found = frame_verdict(contract(X, Column("y", "number"), checks=(Check("c", "x > y"),)), x=[1.0], y=[2.0])
    assert found.rejected[0] == (Fault(0, "c", "x=1.0, y=2.0", "x > y"),)


@pytest.mark.parametrize(("past_ns", "broken"), [(0, False), (300_000_000_000, False), (300_000_000_001, True)])
def test_a_row_may_be_ahead_of_its_receipt_by_five_minutes(past_ns: int, broken: bool) -> None:  # noqa: FBT001
    """To the nanosecond; further ahead breaks `<time>.ahead`, before it moves a clock."""
    rules = Contract(
        "s",
        "1.0.0",
        "telemetry",
        (Column("a", "string"), Column("t", "timestamp", format="epoch_ns")),
        asset="a",
        time="t",
    )
    found = verdict(rules, b'{"a": "A", "t": %d}' % (NOON_NS + past_ns))
    assert checks(found) == ({0: ["t.ahead"]} if broken else {})


def test_a_time_without_a_zone_is_rejected() -> None:
    """A naive time could be any of forty instants."""
    rules = contract(Column("t", "timestamp"))
    found = verdict(rules, b'{"t": "2026-06-01T12:00:00"}', b'{"t": "2026-06-01T12:00:00Z"}')
    assert checks(found) == {0: ["t.time"]}
    assert found.rows["t_ns"].to_list() == [int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()) * 10**9]


def test_a_date_is_a_date() -> None:
    """A day that is in no calendar breaks `<column>.time`."""
    found = verdict(
        contract(Column("d", "date")), b'{"d": "2026-02-28"}', b'{"d": "2026-02-29"}', b'{"d": "0001-01-01"}'
    )
    assert checks(found) == {1: ["d.time"]}
    assert [str(day) for day in found.rows["d"]] == ["2026-02-28", "0001-01-01"]


def test_unknown_fields_are_kept() -> None:
    """By default what the contract does not name stays with the row, as JSON."""
    found = verdict(contract(X), b'{"x": 1, "y": [1, "\xc3\xa4"]}', b'{"x": 2}')
    assert found.rows["unknown_fields"].to_list() == ['{"y":[1,"ä"]}', None]


def test_unknown_fields_may_be_refused() -> None:
    """A contract may insist on knowing every field."""
    found = verdict(contract(X, unknown_fields="reject"), b'{"x": 1, "y": 2}', b'{"x": 2}')
    assert checks(found) == {0: ["row.unknown"]}


def test_text_is_a_number_only_where_the_contract_says_so() -> None:
    """What was coerced is stored, marked and counted as a correction."""
    found = verdict(contract(replace(X, coerce=True)), b'{"x": "21.7"}', b'{"x": 21.7}', b'{"x": "n/a"}')
    assert found.rows.select("x", "corrected").rows() == [(21.7, True), (21.7, False)]
    assert found.corrections == [Correction(0, "x", "x.type", '"21.7"', "21.7")]
    assert checks(found) == {2: ["x.type"]}


def test_every_broken_check_is_named() -> None:
    """A rejected row shows all that is wrong with it at once, and none of its corrections."""
    rules = contract(
        replace(X, maximum=80),
        Column("y", "number", maximum=1, out_of_range="null"),
        Column("s", "string", values=("on",), max_length=2),
        Column("n", "integer", required=True),
        checks=(Check("x_small", "x < 50"),),
    )
    found = verdict(rules, b'{"x": 99, "y": 5, "s": "off"}')
    assert checks(found) == {0: ["n.required", "x.range", "s.values", "s.length", "x_small"]}
    assert (found.corrections, found.rows.height) == ([], 0)


def test_nothing_is_judged_of_nothing() -> None:
    """A batch of which no record could be read has a verdict with the contract's columns and no rows."""
    rules = contract(X, Column("t", "timestamp"), checks=(Check("c", "x > 0"),))
    found = verdict(rules, b"{", b"nope")
    assert found.rows.columns == ["row_no", "x", "t_ns", "corrected", "unknown_fields"]
    assert list(found.rejected) == [0, 1]


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b'{"x": 1}', b'{"x": "a"}', b"{", b'{"x": 1e400}', b'{"x": -0.0}', b'{"n": 1}', b'{"x": null}']
        ),
        st.floats().map(lambda value: b'{"x": %s, "n": 3}' % repr(value).encode()),
        st.binary(max_size=20).filter(lambda raw: b"\n" not in raw and raw.strip(b" \t\r")),
    ),
    min_size=1,
    max_size=30,
)


@given(LINES)
def test_a_record_is_judged_the_same_alone_and_in_company(lines: list[bytes]) -> None:
    """Faults, stored values and corrections of a record do not depend on its neighbours."""
    rules = contract(
        replace(X, minimum=0, out_of_range="clamp"), Column("n", "integer"), checks=(Check("c", "n is null or x > 2"),)
    )
    together = verdict(rules, *lines)
    for row_no, line in enumerate(lines):
        alone = verdict(rules, line)
        moved = {row_no: tuple(replace(fault, row_no=row_no) for fault in alone.rejected.get(0, ()))}
        assert moved[row_no] == together.rejected.get(row_no, ())
        row = together.rows.filter(row_no=row_no).drop("row_no")
        assert row.rows() == alone.rows.drop("row_no").rows()
        own = [correction for correction in together.corrections if correction.row_no == row_no]
        assert [replace(correction, row_no=row_no) for correction in alone.corrections] == own
