"""No bytes, however bad, stop a batch or vanish: every record has exactly one fate, and quarantine gives it back whole."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Check, Column, Contract
from hotfire.rows import Counts
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True, max_length=5),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("i", "integer"),
        Column("x", "number", minimum=-1e6, maximum=1e6, out_of_range="null"),
        Column("b", "boolean", coerce=True),
        Column("d", "date"),
        Column("lat", "number", path="place.lat"),
    ),
    asset="a",
    time="t",
    checks=(Check("small", "i is null or x < 100"),),
    hash="1",
)
SOUND = b'{"a":"A","t":1,"i":5,"x":1.5,"b":true,"d":"2026-01-31","place":{"lat":59.9},"more":[1,{"x":null}]}'
NASTY = [
    b'{"a":"\\ud800","t":1}',
    b'{"a":"A","t":1,"more":"\\ud800"}',
    b'{"a":"A","t":1,"more":"\\u0000"}',
    b'{"a":"\\u0000","t":1}',
    b'{"a":"A","t":1,"\\u0000":1}',
    b'{"a":"A","t":1e400}',
    b'{"a":"A","t":1,"x":1e400}',
    b'{"a":"A","t":1,"x":-0.0,"i":-0}',
    b'{"a":"A","t":9223372036.854775807}',
    b'{"a":"A","t":-9223372036.854775808}',
    b'{"a":"A","t":1,"i":' + b"9" * 400 + b"}",
    b'{"a":"A","a":"B","t":1,"t":2}',
    b'{"a":"A","t":1,"b":"yes","x":"1"}',
    b'{"a":"A","t":1,"place":null}',
    b'{"a":"A","t":1,"place":[]}',
    b'{"a":"A","t":1,"place":{"lat":{"lat":1}}}',
    b'{"a":"A","t":1,"more":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b"[" * 100_000,
    b'"' * 3,
    b"\xef\xbb\xbf" + SOUND,
    b"\xed\xa0\x80",
    b"{}",
    b"[]",
    b"null",
    b"\x00",
    b"NaN",
    b'{"a":"A","t":NaN}',
    b'{"a":"A","t":1,"x":Infinity}',
    b"\x0b",
    b"\x1a\x1c",
    SOUND + SOUND,
    SOUND.replace(b'"A"', b'"' + "🚀".encode() * 5 + b'"'),
    SOUND.replace(b'"A"', b'""'),
    SOUND + b"\r",
]


@st.composite
def _mutants(draw: st.DrawFn) -> bytes:
    """A sound record with bytes cut out, put in or exchanged."""
    raw = bytearray(SOUND)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=2) | st.sampled_from([b'"', b"}", b",", b"9"]))
    return bytes(raw)


def _is_record(line: bytes) -> bool:
    return b"\n" not in line and bool(line.strip(b" \t\r"))


LINES = st.lists(
    st.one_of(st.sampled_from(NASTY), _mutants(), st.binary(min_size=1, max_size=12), st.just(SOUND)).filter(
        _is_record
    ),
    min_size=1,
    max_size=25,
)


def quarantined(stand: Stand) -> list[dict[str, Any]]:
    with closing(stand.store()) as store:
        page = store.query("quarantine_raw", stream="s", tries=99, after=0, page=1000)
        rows = page.drop("tries", "contract", "facts").rows(named=True)
        return [{**row, "faults": msgspec.json.decode(row["faults"])} for row in rows]


def checks(rows: list[dict[str, Any]]) -> list[list[tuple[Any, ...]]]:
    return [[(fault["check"], fault["value"], fault["detail"]) for fault in row["faults"]] for row in rows]


@given(LINES, st.integers(1, 30))
@example(NASTY, 7)
@settings(max_examples=20)
def test_every_line_has_one_fate_and_keeps_its_bytes(lines: list[bytes], batch: int) -> None:
    """Received = stored + duplicate + quarantined, counted in the tables; a rejected line is kept byte by byte."""
    with scratch() as folder:
        stand, source = Stand(folder, CONTRACT), ListSource(lines, batch)
        counts = stand.run(source)
        assert counts.balanced()
        assert counts.received == len(lines)
        found = stand.balance(source)
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        came = stand.came()
        fates = Counter(fate[0] for fate in came.fates.values())
        assert (fates["stored"], fates["duplicate"]) == (counts.stored, counts.duplicate)
        assert fates["open"] == counts.quarantined
        rows = quarantined(stand)
        open_ = [number for number, fate in came.fates.items() if fate[0] == "open"]
        assert [row["line"] - 1 for row in rows] == sorted(open_)
        assert [row["raw"] for row in rows] == [lines[number].rstrip(b"\r") for number in sorted(open_)]


@given(LINES)
@example(NASTY)
@settings(max_examples=12)
def test_a_replay_by_the_same_contract_moves_nothing(lines: list[bytes]) -> None:
    """Judged again alone, out of quarantine, every row shows the same faults, and digest and balance stay."""
    with scratch() as folder:
        stand = Stand(folder, CONTRACT)
        stand.run(ListSource(lines, 9))
        before, rows = stand.digest(), quarantined(stand)
        assert stand.repair(batch=4).moved == 0
        assert checks(quarantined(stand)) == checks(rows)
        assert (stand.digest(), stand.balance().differences) == (before, [])


CELLS = st.sampled_from(
    ["A", "1", "5.5", "1e9", "true", "yes", "2026-01-31", "", " ", "n/a", '"q"', '"a,b"', '"', 'x"y', "ä", "-0"]
)
ROWS = st.lists(
    st.lists(CELLS, min_size=1, max_size=8).map(",".join) | st.text(st.characters(codec="utf-8"), max_size=9)
)


@given(ROWS, st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 9), st.binary(max_size=5))
@settings(max_examples=20)
def test_every_record_of_a_table_has_one_fate(rows: list[str], end: bytes, batch: int, tail: bytes) -> None:
    """The same for CSV with quotes, ragged lines, line ends inside cells and bytes that are no text."""
    header = b"a,t,i,x,b,d,place.lat"
    with scratch() as folder:
        path = folder / "table.csv"
        path.write_bytes(header + end + end.join(row.encode() for row in rows) + end + tail)
        stand = Stand(folder, CONTRACT)
        counts = taken(stand, path, batch)
        assert counts.balanced()
        with closing(files(path, batch)) as source:
            found = stand.balance(source)
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        came, before = stand.came(), quarantined(stand)
        assert stand.repair(batch=3).moved == 0
        assert checks(quarantined(stand)) == checks(before)
        whole = Stand(folder / "whole", CONTRACT)
        taken(whole, path, 10_000)
        assert whole.came() == came


def files(path: Path, batch: int) -> FileSource:
    return FileSource([str(path)], FileSettings(batch_rows=batch), ManualClock())


def taken(stand: Stand, path: Path, batch: int) -> Counts:
    with closing(files(path, batch)) as source:
        counts = stand.run(source)
        assert source.problems == []
        return counts
