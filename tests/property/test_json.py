"""Laws of reading JSON: both paths agree, no record is lost, and it does not matter where a buffer ends."""

from __future__ import annotations

import json
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from hotfire.contract.model import Field
from hotfire.rows import Part, Place
from hotfire.source.formats import Chunk, TextFormat
from hotfire.source.formats.json import JsonLines, JsonValues
from hotfire.source.formats.json_fast import Block, decode, has_nul
from hotfire.source.formats.json_slow import BOM

FIELDS = (
    Field("i", "i", "integer", "iso", coerce=True),
    Field("n", "n", "number", "iso", coerce=False),
    Field("s", "s", "string", "iso", coerce=False),
    Field("b", "b", "boolean", "iso", coerce=False),
    Field("t", "t", "timestamp", "epoch_s", coerce=False),
    Field("o.n", "o_n", "number", "iso", coerce=False),
    Field("o.p.s", "o_p_s", "string", "iso", coerce=False),
    Field("m", "m", "number", "iso", coerce=False),
    Field("m", "m_old", "string", "iso", coerce=False),
    Field("m", "m_oldest", "integer", "iso", coerce=False),
    Field("w", "w", "string", "iso", coerce=False),
    Field("w.x", "w_x", "boolean", "iso", coerce=False),
)

INTEGERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**53 + 1])
NUMBERS = st.builds(str, INTEGERS) | st.builds(repr, st.floats(allow_nan=False, allow_infinity=False))
SPELLED = NUMBERS | st.sampled_from(
    ["-0", "-0.0", "1e400", "-1E+400", "1e-400", "0.1e1", "4.0", "01", "1.", "NaN", "-"]
)
TEXTS = st.text(max_size=5).map(json.dumps) | st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False))
ESCAPES = st.sampled_from([r'"\ud800"', r'"\u0000"', r'"\ud83d\ude00"', r'"\udc00\ud800"', r'"\/\b"', r'"\x"', '"7"'])
SCALARS = SPELLED | TEXTS | ESCAPES | st.sampled_from(["true", "false", "null", '"true"', "tru"])
KEYS = st.sampled_from(['"i"', '"n"', '"s"', '"b"', '"t"', '"m"', '"o"', '"w"', '"p"', '"x"', '"z"', r'"\u0069"'])


def composed(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, children), max_size=6)
    objects = pairs.map(lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}")
    return objects | st.lists(children, max_size=3).map(lambda found: "[" + ",".join(found) + "]")


VALUES = st.recursive(SCALARS, composed, max_leaves=8)
FITTING = {
    '"i"': st.integers(-(2**63), 2**63 - 1).map(str),
    '"n"': NUMBERS,
    '"s"': TEXTS,
    '"b"': st.sampled_from(["true", "false"]),
    '"t"': NUMBERS,
    '"o"': st.builds('{{"n": {}, "p": {{"s": {}}}}}'.format, NUMBERS, TEXTS),
    '"m"': NUMBERS | TEXTS,
    '"w"': TEXTS | st.just('{"x": true}'),
}
SOUND = st.fixed_dictionaries({}, optional=FITTING).map(
    lambda cells: "{" + ",".join(f"{key}:{value}" for key, value in cells.items()) + "}"
)
OBJECTS = (composed(VALUES) | SOUND).map(str.encode)


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """An object, or what is left of it when bytes are lost or added."""
    line = draw(OBJECTS)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(st.binary(max_size=2)) + line[at + draw(st.integers(0, 2)) :]
    return line.replace(b"\n", b" ")


@given(torn())
@example(b'{"n": -0}')
@example(b'{"m": -0}')
@example(b'{"o": {"n": 1}, "o": {}}')
def test_both_paths_read_every_record_alike(line: bytes) -> None:
    """A byte order mark keeps a record off the fast path; it has the same values, to the bit, and breaks the same."""
    fast, slow = decode(FIELDS, [Block([line], has_nul(line))]), decode(FIELDS, [Block([BOM + line], has_nul(line))])
    assert repr(fast.frame.rows()) == repr(slow.frame.rows())
    assert [fault.check for fault in fast.faults] == [fault.check for fault in slow.faults]
    assert fast.coerced == slow.coerced


STRANGE = [
    b'{"z": "a\\u00e9", "A": [1.0, {"b": 1e5, "a": null}]}',
    b'{"z": 1.50, "o": {"q": {}, "n": 1}, "w": {"x": true, "y": ""}}',
    b'{"z": "\xc3", "i": 1}',
    b'{"i": 2, "z": "\xff"}',
    b'{"o": {"q": "\\u0000", "p": {"k": []}}, "z": null}',
    b'{"z": ' + b"[" * 60 + b"]" * 60 + b', "i": 7}',
    b'{"z": ' + b"[" * 101 + b"]" * 101 + b"}",
    b'{"z\\"": 1, "\\ud800": 2, "": 3, "i": 1}',
    '{"z": "\N{GRINNING FACE}", "\N{GREEK SMALL LETTER ALPHA}": 1}'.encode(),
    b'{"w": "text", "z": false}',
    b'{"z": 1, "z": 2, "o": {"q": 1}, "o": {}}',
]


@given(st.lists(torn() | st.sampled_from(STRANGE), min_size=1, max_size=12), st.randoms(use_true_random=False))
@example(STRANGE, Random(1))
@example([line for line in STRANGE if line.count(b"[") < 60 and line.isascii()], Random(1))
def test_keys_that_are_learnt_change_nothing(lines: list[bytes], chance: Random) -> None:
    """Fields that no column asks for, met often enough to be learnt, are kept as the slow path keeps them."""
    many = [line for line in lines for _ in range(16)]
    chance.shuffle(many)
    fast = decode(FIELDS, [Block(many, any(map(has_nul, many)))])
    slow = decode(FIELDS, [Block([BOM + line for line in many], any(map(has_nul, many)))])
    assert repr(fast.frame.rows()) == repr(slow.frame.rows())
    assert [(fault.row_no, fault.check) for fault in fast.faults] == [(one.row_no, one.check) for one in slow.faults]
    assert fast.coerced == slow.coerced


@given(st.lists(torn(), max_size=12))
def test_every_record_is_a_row_or_has_a_fault_of_its_own(lines: list[bytes]) -> None:
    """Records = rows of the frame + records that cannot be read; and each alone reads as it reads among others."""
    form, data = JsonLines(), b"\n".join(lines)
    found = form.records(fed(form, data, size=len(data) + 1, limit=100))
    decoded = found.decode(FIELDS)
    unread = [fault.row_no for fault in decoded.faults if fault.check in ("row.parse", "row.encoding")]
    assert sorted([*decoded.frame["row_no"], *unread]) == list(range(len(found)))
    order = [fault.row_no for fault in decoded.faults]
    assert order == sorted(order)
    for row in decoded.frame.iter_rows(named=True):
        raw = found.raw(row["row_no"])
        alone = form.records([Chunk(Part(Place("k", "l"), len(raw), 1, 1), raw)]).decode(FIELDS)
        assert repr(alone.frame.drop("row_no").row(0)) == repr(tuple(row.values())[1:])


def fed(form: TextFormat, data: bytes, *, size: int, limit: int) -> list[Chunk]:
    """The chunks that a reader cuts who sees `size` bytes at a time, and more where that holds no whole record."""
    chunks, offset, line, more = [], 0, 1, size
    while offset < len(data):
        buffer = data[offset : offset + more]
        cut = form.cut(buffer, line, final=offset + len(buffer) == len(data), limit=limit)
        if cut.end == 0:
            assert offset + len(buffer) < len(data)
            more += size
            continue
        part = Part(Place("k", "l", offset, line), offset + cut.end, cut.end_line, cut.rows)
        chunks.append(Chunk(part, buffer[: cut.end]))
        assert cut.rows <= limit
        offset, line, more = part.end, part.end_line, size
    assert line == 1 + data.count(b"\n") or (data and not data.endswith(b"\n"))
    return chunks


def listed(form: TextFormat, chunks: list[Chunk]) -> list[tuple[bytes, int, int]]:
    found = form.records(chunks)
    places = [found.where(no) for no in range(len(found))]
    return [(found.raw(no), place.line, place.offset) for no, place in enumerate(places)]


SNIPPETS = st.sampled_from(
    [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b" ", b"\r\n", b"1", b"x", b'{"a":1}']
)
RUBBISH = st.lists(SNIPPETS, max_size=40).map(b"".join)
LINES = st.lists(torn() | st.sampled_from([b"", b" ", b"\t\r", b"\r"]), max_size=12).map(b"\n".join)
DOCUMENTS = RUBBISH | st.lists(OBJECTS, max_size=8).map(lambda found: b"[" + b",\n ".join(found) + b"]\n")


def limits() -> st.SearchStrategy[int]:
    return st.sampled_from([1, 7, 997, 10**9])


@given(RUBBISH | LINES, st.integers(1, 50), limits())
def test_lines_are_the_same_wherever_a_buffer_ends(data: bytes, size: int, limit: int) -> None:
    """Records, lines and offsets depend neither on the size of the buffers nor on that of the batches."""
    form = JsonLines()
    assert listed(form, fed(form, data, size=size, limit=limit)) == listed(
        form, fed(form, data, size=10**6, limit=10**9)
    )


@given(DOCUMENTS, st.integers(1, 50), limits())
@example(b'[{"a":1} [2], {"c":3}]', 3, 1)
@example(b'"a]', 1, 1)
@example(b"x:[1]", 1, 1)
@example(b'"\\[', 1, 1)
def test_documents_are_the_same_wherever_a_buffer_ends(data: bytes, size: int, limit: int) -> None:
    """The same law for arrays and values one after the other, be they ever so broken."""
    form = JsonValues()
    whole = listed(form, fed(form, data, size=10**6, limit=10**9))
    assert listed(form, fed(form, data, size=size, limit=limit)) == whole
    end = 0
    for raw, line, offset in whole:
        assert data[offset : offset + len(raw)] == raw
        assert line == 1 + data.count(b"\n", 0, offset)
        assert not data[end:offset].strip(b" \t\r\n,:[]")
        end = offset + len(raw)
    assert not data[end:].strip(b" \t\r\n,:[]")


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.integers() | st.none(), max_size=3)))
def test_a_sound_array_has_its_elements_as_records(elements: list[dict[str, object]]) -> None:
    """What the standard library writes, indented or not, comes apart into what it was made of."""
    form = JsonValues()
    for indent in (None, 1):
        data = json.dumps(elements, indent=indent).encode()
        assert [json.loads(raw) for raw, _, _ in listed(form, fed(form, data, size=10**6, limit=7))] == elements
