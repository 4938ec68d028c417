"""Tables of text: what a line says, which check it breaks, where it stands."""

from __future__ import annotations

import pytest

from hotfire.contract.model import Field
from hotfire.rows import Decoded, Part, Place
from hotfire.source.formats import Chunk
from hotfire.source.formats.table import Rows, Table

FIELDS = (
    Field("a", "alpha", "integer", "iso", coerce=False),
    Field("b", "b", "string", "iso", coerce=False),
    Field("c", "c", "number", "iso", coerce=False),
)
ABC = ("a", "b", "c")


def records(data: bytes, table: Table) -> Rows:
    cut = table.cut(data, 1, final=True, limit=10**9)
    return table.records([Chunk(Part(Place("f", "f"), cut.end, cut.end_line, cut.rows), data[: cut.end])])


def decode(data: bytes, *fields: Field, table: Table | None = None) -> Decoded:
    return records(data, table or Table(ABC)).decode(fields or FIELDS)


def checks(decoded: Decoded) -> list[tuple[int, str, str | None, str]]:
    return [(one.row_no, one.check, one.value, one.detail) for one in decoded.faults]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"1,x", ("row.parse", "1,x", "2 of 3 fields")),
        (b"1,x,2,3", ("row.parse", "1,x,2,3", "4 of 3 fields")),
        (b'1,"x,2', ("row.parse", '1,"x,2', "a quote never closes")),
        (b'1,"x"y,2', ("row.parse", '1,"x"y,2', "text after a closing quote")),
        (b"1,\xff,2", ("row.encoding", "1,\\xff,2", "byte 0xff at 2")),
        (b"1.0,x,2", ("alpha.type", "1.0", "not a whole number of 64 bits")),
        (b"9223372036854775808,x,2", ("alpha.type", "9223372036854775808", "not a whole number of 64 bits")),
        (b"1,x,n/a", ("c.type", "n/a", "not a number")),
        (b"1,x,1_000", ("c.type", "1_000", "not a number")),
        (b"1,x,0x10", ("c.type", "0x10", "not a number")),
        (b"1,x\0,2", ("b.type", "x\0", "text with U+0000")),
    ],
)
@pytest.mark.parametrize("before", [b"", b"7,good,1.5\n" * 3, b'7,"go\nod",1.5\n'])
def test_each_break_has_its_check(line: bytes, fault: tuple[str, str, str], before: bytes) -> None:
    """A bad line breaks one check by name, whatever stands before it, and does not harm its neighbours."""
    found = decode(before + line + b"\n8,last,2.5\n")
    bad = before.count(b"7,")
    assert checks(found) == [(bad, *fault)]
    assert found.frame.filter(found.frame["row_no"] != bad).height == bad + 1


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        (b"1,x,2.5", (1, "x", 2.5)),
        (b" 1 , x , 2.5\t", (1, " x ", 2.5)),
        (b",,", (None, None, None)),
        (b" ,  , ", (None, "  ", None)),
        (b'"1","x, y ""z""","2.5"', (1, 'x, y "z"', 2.5)),
        (b'"","",""', (None, None, None)),
        (b'+5,in"side,-inf', (5, 'in"side', float("-inf"))),
        (b"007,#x,1e999", (7, "#x", float("inf"))),
    ],
)
def test_cells(cells: bytes, row: tuple[object, ...]) -> None:
    """Cells mean what they say: empty is null, spaces count only in text, infinities are numbers here."""
    found = decode(cells + b"\r\n")
    assert found.frame.drop("row_no").rows() == [row]
    assert found.faults == []


def test_coercion_is_told() -> None:
    """Where the contract lets it, 1.0 is an integer and yes is true, and each is told as it was written."""
    fields = [Field("a", "a", "integer", "iso", coerce=True), Field("b", "b", "boolean", "iso", coerce=True)]
    found = decode(b"1.0, Yes ,\n2,true,\n2.5,2,\n", *fields)
    assert found.frame.select("a", "b").rows() == [(1, True), (2, True), (None, None)]
    assert found.coerced == [(0, "a", "1.0"), (0, "b", " Yes ")]
    assert [(one.row_no, one.check) for one in found.faults] == [(2, "a.type"), (2, "b.type")]


def test_two_forms_of_one_path() -> None:
    """A value stands under the first form that it fits; a cell breaks a check only where none fits."""
    fields = [Field("c", "c", "number", "iso", coerce=False), Field("c", "c_ok", "boolean", "iso", coerce=False)]
    found = decode(b"1,x,2.5\n1,x,true\n1,x,\n1,x,y\n", *fields)
    assert found.frame.select("c", "c#2").rows() == [(2.5, None), (None, True), (None, None), (None, None)]
    assert checks(found) == [(3, "c.type", "y", "not a number")]


def test_unknown_columns_are_kept() -> None:
    """Columns that the contract does not know are a JSON object, sorted and compact; empty ones are not there."""
    found = decode(b'1,x,"q ""e"""\n2,,\n3,y,\n', Field("a", "a", "integer", "iso", coerce=False))
    assert found.frame["unknown_fields"].to_list() == ['{"b":"x","c":"q \\"e\\""}', None, '{"b":"y"}']


def test_a_field_without_a_column_is_null() -> None:
    """A field that the table does not have is null; whether it is required is for the contract to say."""
    found = decode(b"1,x,2\n", Field("z", "z", "boolean", "iso", coerce=False))
    assert found.frame["z"].to_list() == [None]
    assert found.faults == []


def test_decimal_commas_are_strict() -> None:
    """Where the decimal mark is a comma, a point is no number: 1.500 might be meant as 1500."""
    found = decode(b"1;x;2,5\n1;x;1.500\n", table=Table(ABC, ";", ","))
    assert found.frame["c"].to_list() == [2.5, None]
    assert checks(found) == [(1, "c.type", "1.500", "not a number")]


def test_epochs_with_decimal_commas() -> None:
    """An epoch has the decimal mark of the table's numbers."""
    found = decode(
        b"1;x;1594598726,5\n", Field("c", "c", "timestamp", "epoch_s", coerce=False), table=Table(ABC, ";", ",")
    )
    assert found.frame["c"].to_list() == ["1594598726.5"]


def test_blank_lines_count_as_lines_only() -> None:
    """Blank lines are no records, but the records behind them know their line."""
    found = records(b"\n1,x,2\r\n  \n\n2,y,3", Table(ABC))
    assert [(found.where(at).offset, found.where(at).line, found.raw(at)) for at in range(2)] == [
        (1, 2, b"1,x,2"),
        (12, 5, b"2,y,3"),
    ]


@pytest.mark.parametrize("data", [b"5\n\n6\n", b"5\n 6 \n", b'"5"\n6\n'])
def test_one_column(data: bytes) -> None:
    """A table may have a single column."""
    assert decode(data, FIELDS[0], table=Table(("a",))).frame["a"].to_list() == [5, 6]


def test_a_wide_dirty_block_agrees_with_itself() -> None:
    """One ragged line among many sends the block another way, with the same values."""
    clean = b"".join(b"%d,x%d,%d.25\n" % (at, at, at) for at in range(1000))
    dirty = decode(clean + b"only one field\n")
    assert decode(clean).frame.equals(dirty.frame)
    assert [one.row_no for one in dirty.faults] == [1000]


def test_line_ends_in_quotes_stay_as_they_are() -> None:
    """A quoted cell keeps its line ends to the byte, while those of records do not count."""
    found = decode(b'1,"x\n\r\ny",2\r\r\n3,"z",4\r\n')
    assert found.frame["b"].to_list() == ["x\n\r\ny", "z"]
