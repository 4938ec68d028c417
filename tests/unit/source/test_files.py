"""Files as a source: what is found, what is cut, what is waited for, what is refused."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
import zstandard

from hotfire.contract.model import Field
from hotfire.errors import SourceChanged, UserError
from hotfire.rows import Place
from hotfire.source.files import FileRead, FileSettings, FileSource
from hotfire.source.formats.reading import Wanted
from hotfire.testing.clocks import ManualClock

FIELDS = (Field("t", "t", "string", "iso", coerce=False), Field("v", "v", "number", "iso", coerce=False))
DATA = Path(__file__).parents[4] / "shared" / "data"
HEADER = "t,v\n"


OPENED: list[FileSource] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(path: object, settings: FileSettings, clock: ManualClock, stdin: bytes = b"") -> FileSource:
    OPENED.append(FileSource([str(path)], settings, clock, io.BytesIO(stdin)))
    return OPENED[-1]


def source(path: object, **settings: Any) -> FileSource:
    return opened(path, FileSettings(**settings), ManualClock())


def drain(
    files: FileSource, position: dict[str, Place] | None = None
) -> tuple[list[tuple[object, ...]], list[FileRead], dict[str, Place]]:
    """Every row that the source gives, the reads and the last position."""
    rows, reads, position = [], [], dict(position or {})
    while read := files.poll(position):
        rows += read.records.decode(FIELDS).frame.select("t", "v").rows()
        reads.append(read)
        position |= {part.place.key: part.after() for part in read.span.parts}
    files.close()
    return rows, reads, position


def rows(first: int, last: int) -> str:
    return "".join(f"r{at},{at}.5\n" for at in range(first, last))


def expected(first: int, last: int) -> list[tuple[str, float]]:
    return [(f"r{at}", at + 0.5) for at in range(first, last)]


def test_many_small_files_share_a_batch_in_order_of_name(tmp_path: Path) -> None:
    """A folder is read in order of name, many files a batch; hidden and temporary ones are left out."""
    for name, first in (("b.csv", 3), ("a.csv", 0), ("c.csv", 6)):
        (tmp_path / name).write_text(HEADER + rows(first, first + 3))
    for name in (".hidden.csv", "d.csv.tmp", "e.part", "~f.csv", "g.csv~"):
        (tmp_path / name).write_text(HEADER + rows(90, 95))
    (tmp_path / "empty.csv").write_text("")
    found, reads, _ = drain(source(tmp_path))
    assert found == expected(0, 9)
    assert [len(read.span.parts) for read in reads] == [3]
    assert [reads[0].records.raw(at) for at in (0, 8)] == [b"r0,0.5", b"r8,8.5"]
    at = reads[0].records.where(4)
    assert (Path(at.label).name, at.offset, at.line) == ("b.csv", 11, 3)


@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_batches_and_rereads_give_the_same(tmp_path: Path, batch: int) -> None:
    """However large a batch is, the rows are the same; a span read again has the same hash and records."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 40))
    found, reads, position = drain(source(path, batch_rows=batch))
    assert found == expected(0, 40)
    content = b""
    for read in reads:
        again = source(path).reread(read.span)
        assert again.sha256 == read.sha256
        assert again.records.raw(0) == read.records.raw(0)
        part = read.span.parts[0]
        content = path.read_bytes()[part.place.offset : part.end]
        assert read.sha256 == sha256(content).hexdigest()
    assert drain(source(path), position)[0] == []


def test_small_batches_of_a_large_file_take_little_memory(tmp_path: Path) -> None:
    """What is read ahead for a batch is used up by the next ones, instead of being held beside more and more."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + ("r" * 4000 + ",1.5\n") * 10_000)
    os.utime(path, ns=(10**18, 10**18))
    files, position, taken = source(path, batch_rows=100), dict[str, Place](), 0
    tracemalloc.start()
    try:
        while read := files.poll(position):
            taken += read.span.rows
            position |= {part.place.key: part.after() for part in read.span.parts}
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken == 10_000
    assert most < 32 << 20


def test_a_position_is_where_reading_goes_on(tmp_path: Path) -> None:
    """A new process goes on at the position, and reads only what was appended."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 5))
    _, _, position = drain(source(path))
    with path.open("a") as file:
        file.write(rows(5, 8))
    assert drain(source(path), position)[0] == expected(5, 8)


def test_a_renamed_file_is_the_same_and_a_copy_is_another(tmp_path: Path) -> None:
    """A file keeps its identity under a new name; a copy has its own."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 5))
    _, _, position = drain(source(path))
    moved = path.rename(tmp_path / "b.csv")
    assert drain(source(moved), position)[0] == []
    (tmp_path / "copy.csv").write_bytes(moved.read_bytes())
    again, _, after = drain(source(tmp_path), position)
    assert again == expected(0, 5)
    assert len(after) == 2


def test_rotation_begins_a_new_file(tmp_path: Path) -> None:
    """A new file at an old path is read from its begin; the old one, renamed, goes on where it was."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 3))
    _, _, position = drain(source(path))
    old = path.rename(tmp_path / "a.csv.1")
    with old.open("a") as file:
        file.write(rows(3, 4))
    path.write_text(HEADER + rows(10, 12))
    assert drain(source(tmp_path, wanted=Wanted(format="csv")), position)[0] == [*expected(10, 12), *expected(3, 4)]


def test_a_shrunk_file_is_refused(tmp_path: Path) -> None:
    """A file with the same begin that is shorter than what was read of it is an error, and nothing is done."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 1000))
    _, _, position = drain(source(path))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceChanged, match="shrunk: 5000 bytes"):
        source(path).poll(position)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_text("other,content\n1,2\n" * 500), "has other content"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "shrunk"),
    ],
)
def test_a_span_that_changed_is_not_read_again(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    """A planned span whose file is gone, another or shorter is refused."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 1000))
    read = source(path).poll({})
    assert read is not None
    change(path)
    with pytest.raises(SourceChanged, match=message):
        source(path).reread(read.span)


def test_a_rewritten_middle_changes_the_hash(tmp_path: Path) -> None:
    """Bytes changed behind the first 4 KiB are found by the span's hash."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 1000))
    read = source(path).poll({})
    assert read is not None
    path.write_text(path.read_text().replace("r900,", "r9x0,"))
    assert source(path).reread(read.span).sha256 != read.sha256


def test_a_renamed_file_is_read_again(tmp_path: Path) -> None:
    """A span is found again under the file's new name."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 10))
    read = source(path).poll({})
    assert read is not None
    path.rename(tmp_path / "b.csv")
    assert source(tmp_path / "*.csv").reread(read.span).sha256 == read.sha256


def test_an_unterminated_line_is_waited_for(tmp_path: Path) -> None:
    """The last line without an end is taken after its file has been quiet for 2 s, and the clock says so."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 3) + "r3,3.5")
    clock = ManualClock(path.stat().st_mtime_ns)
    files = opened(path, FileSettings(), clock)
    first = files.poll({})
    assert first is not None
    assert first.span.rows == 3
    before = clock.now_ns()
    second = files.poll({part.place.key: part.after() for part in first.span.parts})
    assert second is not None
    assert second.records.raw(0) == b"r3,3.5"
    assert clock.now_ns() - before == 2_000_000_000


def test_a_quiet_file_is_not_waited_for(tmp_path: Path) -> None:
    """A file that has not changed for long is taken to its last byte at once."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "r0,0.5\nr1,1.5")
    clock = ManualClock(path.stat().st_mtime_ns + 10**10)
    read = opened(path, FileSettings(), clock).poll({})
    assert read is not None
    assert read.span.rows == 2


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.gz", lambda data: gzip.compress(data[:30]) + gzip.compress(data[30:]) + b"\0" * 512),
        ("a.csv.zst", zstandard.compress),
        ("a.csv.zst", lambda data: zstandard.compress(data[:30]) + zstandard.compress(data[30:])),
    ],
)
def test_compressed_files_give_what_is_in_them(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    """Files of gz and zstd, of one or several members, give the rows and the hash of their content, in any batches."""
    data = (HEADER + rows(0, 50)).encode()
    (tmp_path / name).write_bytes(pack(data))
    found, reads, position = drain(source(tmp_path / name, batch_rows=9))
    assert found == expected(0, 50)
    part = reads[2].span.parts[0]
    assert reads[2].sha256 == sha256(data[part.place.offset : part.end]).hexdigest()
    assert source(tmp_path / name).reread(reads[2].span).sha256 == reads[2].sha256
    assert drain(source(tmp_path / name), position)[0] == []


@pytest.mark.parametrize(("name", "pack"), [("b.csv.gz", gzip.compress), ("b.csv.zst", zstandard.compress)])
def test_a_damaged_file_is_left_out_whole(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    """A compressed file that is cut short gives nothing but a problem; the other files go on."""
    for other in ("a.csv", "c.csv"):
        (tmp_path / other).write_text(HEADER + rows(0, 2))
    (tmp_path / name).write_bytes(pack((HEADER + rows(0, 5000)).encode())[:-20])
    files = source(tmp_path)
    assert drain(files)[0] == [*expected(0, 2), *expected(0, 2)]
    assert [name in problem.what and "cut short or damaged" in problem.what for problem in files.problems] == [True]


@pytest.mark.parametrize("path", ["nothing.csv", "no-*.csv", "empty"])
def test_what_is_not_there_is_a_clear_error(tmp_path: Path, path: str) -> None:
    """A missing file, an empty glob and an empty folder are the user's to mend."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"(There is no file|No file matches|No file in)"):
        source(tmp_path / path).poll({})


def test_a_header_without_a_needed_column_suggests_one(tmp_path: Path) -> None:
    """A file whose header lacks what every row needs is a problem with a suggestion, not a thousand bad rows."""
    (tmp_path / "a.csv").write_text("engine,evnt_time,v\nTRE-001,2026-01-01T00:00:00Z,1\n")
    files = source(tmp_path, wanted=Wanted(needs=("engine", "event_time")))
    assert drain(files)[0] == []
    (problem,) = files.problems
    assert "no column 'event_time'" in problem.what
    assert "Did you mean 'evnt_time'?" in problem.do


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"\xef\xbb\xbf t , v \r\nr0,0.5\r\nr1,1.5\r\n", ()),
        (b"t\tv\nr0\t0.5\nr1\t1.5\n", ()),
        (b"t;v\nr0;0,5\nr1;1,5\n", ()),
        (b"  r0   0.5 \n\tr1\t1.5\n", ("t", "v")),
        (b"t v\nr0 0.5\nr1 1.5\n", ()),
        (b"\n\nt,v\n\nr0,0.5\n\nr1,1.5\n\n", ()),
        (b"r0,0.5\nr1,1.5\n", ("t", "v")),
        (b"t,v\nr0,0.5\nr1,1.5\n", ("t", "v")),
    ],
)
def test_tables_are_recognised(tmp_path: Path, content: bytes, columns: Sequence[str]) -> None:
    """Delimiters, decimal commas, byte order marks, headers and their white space are found out by a look."""
    (tmp_path / "a.txt").write_bytes(content)
    assert drain(source(tmp_path / "a.txt", wanted=Wanted(columns=tuple(columns))))[0] == expected(0, 2)


@pytest.mark.parametrize("content", ["t,v,t\n1,2,3\n", "t,v\n".encode("utf-16").decode("latin-1")])
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, content: str) -> None:
    """Two columns of one name, or UTF-16, are refused with a reason."""
    (tmp_path / "a.csv").write_text(content, encoding="latin-1")
    files = source(tmp_path)
    assert drain(files)[0] == []
    assert len(files.problems) == 1


@pytest.mark.parametrize(("name", "wrap"), [("a.jsonl", "{}"), ("a.json", "[{}]")])
def test_json_is_recognised(tmp_path: Path, name: str, wrap: str) -> None:
    """JSON lines and JSON arrays go the same way as tables."""
    objects = [f'{{"t": "r{at}", "v": {at}.5}}' for at in range(20)]
    joined = "\n".join(objects) + "\n" if wrap == "{}" else "[" + ",\n".join(objects) + "]\n"
    (tmp_path / name).write_text(joined)
    assert drain(source(tmp_path, batch_rows=7))[0] == expected(0, 20)


def test_a_line_of_ten_megabytes_is_a_record(tmp_path: Path) -> None:
    """A line longer than a block and a batch is read whole."""
    long = "x" * 10_000_000
    (tmp_path / "a.csv").write_text(f"t,v\n{long},1\nr1,1.5\n")
    found, _, _ = drain(source(tmp_path, batch_bytes=1000))
    assert found == [(long, 1.0), ("r1", 1.5)]


def piped(tmp_path: Path, data: bytes, **settings: Any) -> FileSource:
    return opened("-", FileSettings(spool=tmp_path / "spool", batch_rows=4, **settings), ManualClock(), data)


def spooled(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "spool").iterdir())


PIPED = (HEADER + rows(0, 10)).encode()


def test_standard_input_half_taken_is_gone_on_with(tmp_path: Path) -> None:
    """After a crash a planned span of it is found again, and the same input goes on behind what is durable."""
    files = piped(tmp_path, PIPED)
    read = files.poll({})
    assert read is not None
    assert read.records.where(0).label == "-"
    again = piped(tmp_path, PIPED)
    assert again.reread(read.span).sha256 == read.sha256
    position = {part.place.key: part.after() for part in read.span.parts}
    again.acknowledge(position)
    found, _, position = drain(again, position)
    assert found == expected(4, 10)
    assert len(position) == 1
    whole = piped(tmp_path, PIPED)
    whole.acknowledge(position)
    assert whole.poll(position) is None
    whole.close()
    assert spooled(tmp_path) == []


def test_the_same_input_again_is_new(tmp_path: Path) -> None:
    """What was taken whole is let go of; the same bytes once more are other records, whatever inode they get."""
    position: dict[str, Place] = {}
    for time in (1, 2, 3):
        files = piped(tmp_path, PIPED)
        found, reads = [], 0
        while read := files.poll(position):
            found += read.records.decode(FIELDS).frame.select("t", "v").rows()
            position |= {part.place.key: part.after() for part in read.span.parts}
            files.acknowledge({part.place.key: part.after() for part in read.span.parts})
            reads += 1
        files.close()
        assert (found, reads, len(position), spooled(tmp_path)) == (expected(0, 10), 3, time, [])
    (tmp_path / "copy.csv").write_bytes(PIPED)
    copied, _, _ = drain(source(tmp_path / "copy.csv"), position)
    assert copied == expected(0, 10)


def test_a_dry_run_leaves_what_an_interrupted_run_needs(tmp_path: Path) -> None:
    """It reads the input as a new one, and does not touch the file of the other."""
    read = piped(tmp_path, PIPED).poll({})
    assert read is not None
    position = {part.place.key: part.after() for part in read.span.parts}
    dry = piped(tmp_path, PIPED, resume=False)
    dry.acknowledge(position)
    found, reads, _ = drain(dry, position)
    dry.acknowledge({part.place.key: part.after() for read in reads for part in read.span.parts})
    dry.close()
    assert found == expected(0, 10)
    assert [str(path) for path in spooled(tmp_path)] == [read.span.parts[0].place.facts["path"]]


@pytest.mark.parametrize("data", [b"", b"t,v\n"])
def test_nothing_comes_and_nothing_is_kept(tmp_path: Path, data: bytes) -> None:
    """An empty input and the empty device hold no record, and leave no file behind; nor does a bare header."""
    for path in ("-", os.devnull):
        files = opened(path, FileSettings(spool=tmp_path / "spool"), ManualClock(), data)
        assert files.poll({}) is None
        files.close()
        assert (spooled(tmp_path), files.problems) == ([], [])


def test_pipes_are_spooled(tmp_path: Path) -> None:
    """A FIFO and a process's own end of a pipe are read once, under the name that was given."""
    fifo, (ours, theirs) = tmp_path / "fifo", os.pipe()
    os.mkfifo(fifo)
    writer = Thread(target=lambda: fifo.write_text(HEADER + rows(0, 3)))
    writer.start()
    os.write(theirs, (HEADER + rows(3, 5)).encode())
    os.close(theirs)
    paths = [str(fifo), f"/dev/fd/{ours}"]
    files = FileSource(paths, FileSettings(spool=tmp_path / "spool"), ManualClock())
    found, reads, _ = drain(files)
    writer.join()
    os.close(ours)
    assert found == expected(0, 5)
    assert [part.place.label for part in reads[0].span.parts] == paths
    assert FileSource(paths, FileSettings(), ManualClock()).reread(reads[0].span).sha256 == reads[0].sha256


def test_endless_devices_are_no_files(tmp_path: Path) -> None:
    """A device that never ends is refused, and a pipe where there is no place for what comes through it."""
    with pytest.raises(UserError, match="There is no file /dev/zero"):
        source("/dev/zero", spool=tmp_path).poll({})
    with pytest.raises(UserError, match="need a spool folder"):
        source("-").poll({})


def test_a_file_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    """A file that goes away between the look and the reading is left out; the others go on."""
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text(HEADER + rows(0, 2))
    files = source(tmp_path, batch_rows=2)
    first = files.poll({})
    assert first is not None
    (tmp_path / "b.csv").unlink()
    position = {part.place.key: part.after() for part in first.span.parts}
    assert drain(files, position)[0] == expected(0, 2)
    assert ["b.csv cannot be read" in problem.what for problem in files.problems] == [True]


@pytest.mark.skipif(not DATA.exists(), reason="the real data is not beside the repository (../shared/data)")
@pytest.mark.parametrize(
    ("folder", "columns", "lines"),
    [
        ("skab/valve1", ("datetime", "Volume Flow RateRMS"), 18_160),
        ("nab/data/realAWSCloudwatch", ("timestamp", "value"), 67_740),
        ("cmapss/train_FD001.txt", ("column_1", "column_26"), 20_631),
        ("static_fire/burn_1/Force_Test1.csv", ("Force_lbf",), 29_999),
    ],
)
def test_real_files_are_recognised(folder: str, columns: tuple[str, ...], lines: int) -> None:
    """Published data sets are read by a look: every line a record, every number a number."""
    files, count = source(DATA / folder, wanted=Wanted(needs=columns)), 0
    position: dict[str, Place] = {}
    fields = [Field(name, name, "number", "iso", coerce=False) for name in columns if "time" not in name]
    while read := files.poll(position):
        decoded = read.records.decode(fields)
        assert decoded.faults == []
        assert decoded.frame[fields[0].path].null_count() == 0
        count += read.span.rows
        position |= {part.place.key: part.after() for part in read.span.parts}
    assert (count, files.problems) == (lines, [])


def test_following_finds_new_rows_and_files(tmp_path: Path) -> None:
    """A source that follows gives what has come since, and nothing in between."""
    (tmp_path / "a.csv").write_text(HEADER + rows(0, 2))
    files = source(tmp_path, follow=True)
    position: dict[str, Place] = {}
    for first, name in ((0, ""), (2, "a.csv"), (4, "b.csv")):
        if name:
            path = tmp_path / name
            path.write_text((path.read_text() if path.exists() else HEADER) + rows(first, first + 2))
        read = files.poll(position)
        assert read is not None
        assert read.records.decode(FIELDS).frame.select("t", "v").rows() == expected(first, first + 2)
        position |= {part.place.key: part.after() for part in read.span.parts}
        assert files.poll(position) is None


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_another_file_with_the_same_first_bytes_is_read_whole(tmp_path: Path, suffix: str) -> None:
    """Files whose first 4 KiB are alike, one put in the other's place: none of its rows is passed over."""
    same = range(3000)

    def write(last: int) -> None:
        body = HEADER + "".join(f"r{at},{at}.5\n" for at in (*same, *range(last, last + 9)))
        path = tmp_path / f"a.{suffix}"
        if suffix == "parquet":
            pl.read_csv(body.encode()).write_parquet(path, compression="uncompressed")
        else:
            path.write_bytes(gzip.compress(body.encode(), mtime=0) if suffix.endswith("gz") else body.encode())

    write(5000)
    _, _, position = drain(source(tmp_path))
    write(7000)
    found, _, position = drain(source(tmp_path), position)
    assert [value for value, _ in found[-9:]] == [f"r{at}" for at in range(7000, 7009)]
    assert len(found) == len(same) + 9
    assert drain(source(tmp_path), position)[0] == []


def test_lines_that_end_in_cr_alone_are_refused(tmp_path: Path) -> None:
    """Such a file would be one long header: nothing of it may be passed over in silence."""
    (tmp_path / "a.csv").write_bytes(b"t,v\rr0,0.5\rr1,1.5\r")
    files = source(tmp_path)
    assert files.poll({}) is None
    assert [problem.what for problem in files.problems] == [f"{tmp_path / 'a.csv'} ends its lines with CR alone."]


def test_a_name_that_is_not_utf8_keeps_no_other_file_back(tmp_path: Path) -> None:
    """Such a file is left out and named; the others are read."""
    (tmp_path / "b.csv").write_text(HEADER + rows(0, 2))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.csv")).write_text(HEADER + rows(2, 3))
    files = source(tmp_path)
    assert drain(files)[0] == expected(0, 2)
    assert [problem.what for problem in files.problems] == [f"{tmp_path}/a\\xff.csv has a name that is not UTF-8."]


def test_parquet_is_not_read_as_text(tmp_path: Path) -> None:
    """Where a setting says another format, the file is left out whole, not cut into thousands of bad rows."""
    pl.DataFrame({"t": ["a"], "v": [1.0]}).write_parquet(tmp_path / "a.parquet")
    files = source(tmp_path, wanted=Wanted(format="jsonl"))
    assert files.poll({}) is None
    assert "is Parquet, and the setting `format` says jsonl" in files.problems[0].what


def followed(path: object, clock: ManualClock) -> Callable[[], list[object]]:
    """A source that goes on; each call gives the values of `v` that have come since."""
    files = opened(path, FileSettings(follow=True, awaited=True), clock)
    position: dict[str, Place] = {}

    def more() -> list[object]:
        values: list[object] = []
        while read := files.poll(position):
            values += read.records.decode(FIELDS).frame["v"].to_list()
            position.update({part.place.key: part.after() for part in read.span.parts})
        return values

    return more


@pytest.mark.parametrize("name", ["a.jsonl", "*.jsonl", "*"])
def test_a_file_that_is_rotated_away_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    """Renamed while rows of it are unread, it is finished under its new name, and the new file is taken as well."""
    log, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    line = '{{"t": "x", "v": {}}}\n'.format
    more = followed(tmp_path / name, ManualClock(log.parent.stat().st_mtime_ns))
    assert more() == []
    log.write_text(line(1))
    assert more() == [1.0]
    with log.open("a") as file:
        file.write(line(2))
        file.flush()
        log.rename(old)
        log.write_text(line(10))
        assert sorted(more()) == [2.0, 10.0]
        file.write(line(3))
    assert more() == [3.0]
    assert more() == []


def test_a_file_that_is_copied_and_emptied_goes_on_with_what_comes(tmp_path: Path) -> None:
    """`copytruncate`: what is written to it afterwards is new, however short; nothing is read twice."""
    log = tmp_path / "a.jsonl"
    line = '{{"t": "x", "v": {}}}\n'.format
    more = followed(log, ManualClock(log.parent.stat().st_mtime_ns))
    log.write_text("".join(map(line, range(400))))
    assert len(more()) == 400
    log.write_text("")
    assert more() == []
    log.write_text(line(1000))
    assert more() == [1000.0]
    with log.open("a") as file:
        file.write(line(1001))
    assert more() == [1001.0]
