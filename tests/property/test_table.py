"""A record of a table is what it is, whatever stands around it and wherever the blocks end."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Field
from hotfire.rows import Decoded, Part, Place
from hotfire.source.formats import Chunk
from hotfire.source.formats.quotes import LOOK_AHEAD
from hotfire.source.formats.table import Table

COLUMNS = ("a", "b", "c", "d", "e")
FIELDS = (
    Field("a", "a", "integer", "iso", coerce=False),
    Field("b", "b", "number", "iso", coerce=False),
    Field("c", "c", "string", "iso", coerce=False),
    Field("d", "d", "boolean", "iso", coerce=True),
    Field("d", "d", "number", "iso", coerce=False),
)

NUMBERS = [
    "1",
    "-2",
    "+3",
    "007",
    "1.5",
    " 1.5",
    "1.5 ",
    "15 ",
    "\t4",
    "5.",
    ".5",
    "-0.0",
    "1e5",
    "1e999",
    "-inf",
    "nan",
]
ODD = [
    "",
    " ",
    "1_000",
    "0x10",
    "n/a",
    "1,5",
    "9223372036854775808",
    "-9223372036854775808",
    "True",
    "yes",
    "1 2",
    "--1",
]
QUOTES = ['"15"', '"1.5 "', '"a""b"', '""', '"a,b"', '"a\nb"', '"open', 'in"side', '"x"y', ' "q"', '"']
BYTES = ["é", "a\0b", "\xa01", "\r", "#1"]
cell = st.one_of(
    st.sampled_from(NUMBERS + ODD + QUOTES + BYTES),
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.text(st.sampled_from('0123456789.,+-eE"\n\r \tab\0é'), max_size=6),
)
line = st.one_of(
    st.lists(cell, min_size=5, max_size=5).map(",".join),
    st.lists(st.sampled_from(NUMBERS), min_size=5, max_size=5).map(",".join),
    st.lists(cell, min_size=0, max_size=7).map(",".join),
)
content = st.lists(st.tuples(line, st.sampled_from(["\n", "\r\n", "\n\n", "\r\r\n"])), max_size=8).map(
    lambda lines: "".join(text + end for text, end in lines).encode()
)
broken = st.tuples(content, st.integers(0, 200), st.sampled_from([b"", b"\xff", b"\xc3"])).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)


def whole(table: Table, data: bytes) -> Chunk:
    cut = table.cut(data, 1, final=True, limit=10**9)
    return Chunk(Part(Place("f", "f"), cut.end, cut.end_line, cut.rows), data[: cut.end])


def told(decoded: Decoded, row_no: int) -> tuple[object, ...]:
    """Everything that is said of one record; NaN made comparable."""
    rows = decoded.frame.filter(pl.col("row_no") == row_no).drop("row_no")
    values = {name: repr(value) for name, value in rows.row(0, named=True).items()} if rows.height else None
    if values:
        values.setdefault("unknown_fields", "None")
    faults = [replace(fault, row_no=0) for fault in decoded.faults if fault.row_no == row_no]
    return values, faults, [coerced[1:] for coerced in decoded.coerced if coerced[0] == row_no]


@pytest.mark.parametrize("table", [Table(COLUMNS), Table(COLUMNS, decimal=","), Table(COLUMNS, " ")])
@settings(max_examples=80)
@given(data=broken)
def test_alone_as_among_others(table: Table, data: bytes) -> None:
    """A record judged alone is judged as among others, and stands where it says it stands."""
    if table.delimiter == " ":
        data = data.replace(b",", b" ")
    chunk = whole(table, data)
    records = table.records([chunk])
    decoded = records.decode(FIELDS)
    assert decoded.frame["row_no"].is_sorted()
    for row_no in range(len(records)):
        raw = records.raw(row_no)
        assert data[records.where(row_no).offset :].startswith(raw)
        assert records.where(row_no).line == 1 + data.count(b"\n", 0, records.where(row_no).offset)
        alone = table.records([whole(table, raw + b"\n")])
        assert len(alone) == 1
        assert told(alone.decode(FIELDS), 0) == told(decoded, row_no)


@settings(max_examples=100)
@given(data=broken, size=st.integers(1, 60), limit=st.integers(1, 4))
def test_block_boundaries(data: bytes, size: int, limit: int) -> None:
    """The same records come out however the bytes arrive and however few are taken at a time."""
    table = Table(COLUMNS)
    records = table.records([whole(table, data)])
    expected = [(records.raw(at), records.where(at).offset, records.where(at).line) for at in range(len(records))]
    found, offset, line, buffer = [], 0, 1, 0
    while offset < len(data):
        buffer = min(buffer + size, len(data) - offset)
        block = data[offset : offset + buffer]
        cut = table.cut(block, line, final=offset + buffer == len(data), limit=limit)
        part = Part(Place("f", "f", offset, line), offset + cut.end, cut.end_line, cut.rows)
        taken = table.records([Chunk(part, block[: cut.end])])
        found += [(taken.raw(at), taken.where(at).offset, taken.where(at).line) for at in range(cut.rows)]
        offset, line, buffer = offset + cut.end, cut.end_line, buffer - cut.end
    assert found == expected


@given(text=st.floats().map(repr) | st.sampled_from(NUMBERS + ODD))
def test_numbers_are_pythons(text: str) -> None:
    """Where Python reads a cell as a number (but for underscores), so do we, to the last bit; and nowhere else."""
    table = Table(("a", "b"))
    decoded = table.records([whole(table, f'"{text}",x\n'.encode())]).decode(
        [Field("a", "a", "number", "iso", coerce=False)]
    )
    try:
        expected = float(text) if "_" not in text else None
    except ValueError:
        expected = None
    assert repr(decoded.frame["a"][0]) == repr(expected)
    assert bool(decoded.faults) == (expected is None and bool(text.strip()))


def test_an_open_quote_does_not_swallow_the_file() -> None:
    """A quote that closes only behind the look-ahead costs one line, also where the buffer ends before that."""
    table = Table(("a", "b"))
    data = b'1,"open\n' + b"2,x\n" * (LOOK_AHEAD // 4 + 10) + b'3,y"\n'
    assert table.cut(data[:1000], 1, final=False, limit=10**9).rows == 0
    assert table.cut(data, 1, final=False, limit=10**9).rows == LOOK_AHEAD // 4 + 12
    decoded = table.records([whole(table, data)]).decode([Field("a", "a", "integer", "iso", coerce=False)])
    assert [(fault.row_no, fault.check, fault.detail) for fault in decoded.faults] == [
        (0, "row.parse", "a quote never closes")
    ]
