"""Pushed rows as a source: batches of what is there, damage as one record, positions of another disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from hotfire.contract.model import Field
from hotfire.errors import SourceChanged
from hotfire.rows import Place, Position
from hotfire.source.formats.join import records_from_raw
from hotfire.source.formats.reading import Reading
from hotfire.source.spool.segments import listing
from hotfire.source.spool.source import SpoolRead, SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock
from hotfire.testing.source_suite import raws, reads

Open = Callable[[], Spool]
FIELDS = (Field("n", "n", "integer", "iso", coerce=False),)


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Open]:
    """Opens the spool as a new process does."""
    opened: list[Spool] = []

    def again() -> Spool:
        for one in opened:
            one.close()
        opened[:] = [Spool(tmp_path / "spool", ManualClock(), SpoolLimits(segment_bytes=400))]
        return opened[0]

    yield again
    for one in opened:
        one.close()


def put(spool: Spool, *payloads: bytes, **facts: object) -> None:
    for payload in payloads:
        done = spool.append(payload, facts)
        assert done is not None
        done.result(10)


def lines(first: int, count: int) -> bytes:
    return b"".join(b'{"n":%d}\n' % number for number in range(first, first + count))


def polled(source: SpoolSource, after: Position) -> tuple[SpoolRead, Position]:
    """A read that must be there, and the position after it."""
    read = source.poll(after)
    assert read is not None
    return read, {**after, **{part.place.key: part.after() for part in read.span.parts}}


def numbers(read: SpoolRead) -> list[int]:
    return read.records.decode(FIELDS).frame["n"].to_list()


def reopened(position: Position) -> Position:
    """A position as the store gives it back."""
    return msgspec.json.decode(msgspec.json.encode(position), type=dict[str, Place])


def test_a_batch_is_what_is_there(open_spool: Open) -> None:
    """Small when it is quiet, large when much has come, however it came."""
    spool = open_spool()
    source, after = SpoolSource(spool, SpoolSettings(batch_rows=50)), {}
    sizes = []
    for requests in ([1], [1, 1, 1], [20, 1, 20], [30, 90]):
        put(spool, *(lines(0, rows) for rows in requests))
        while (read := source.poll(after)) is not None:
            sizes.append(read.span.rows)
            after = {**after, **{part.place.key: part.after() for part in read.span.parts}}
    assert sizes == [1, 3, 41, 50, 50, 20]


def test_bytes_bound_a_batch(open_spool: Open) -> None:
    """A batch has about as many bytes as were set, and at least one request."""
    spool = open_spool()
    put(spool, *(lines(number, 1) for number in range(10)))
    source = SpoolSource(spool, SpoolSettings(batch_bytes=20))
    assert [read.span.rows for _, read in reads(source, {})] == [3, 3, 3, 1]


def test_records_know_their_place(open_spool: Open) -> None:
    """A record of the middle of a request in the middle of a batch is found by offset, and has a line of its own."""
    spool = open_spool()
    put(spool, lines(0, 3), lines(3, 3).strip())
    read, _ = polled(SpoolSource(spool, SpoolSettings(label="http events")), {})
    at = read.records.where(4)
    (segment,) = listing(spool.folder)
    assert segment.path.read_bytes()[at.offset :].startswith(b'{"n":4}')
    assert (at.label, at.line, at.facts) == ("http events", 5, {"reading": {"format": "jsonl"}})
    assert read.received_at_ns == ManualClock().now_ns()


def test_fields_can_come_with_the_request(open_spool: Open) -> None:
    """Facts of a request may name constants; settings of the source may derive fields."""
    spool = open_spool()
    put(spool, b'{"n":1}\n{"n":2}', constants={"site": "a"})
    put(spool, b'{"n":3}', constants={"site": "b"})
    fields = (
        *FIELDS,
        Field("site", "site", "string", "iso", coerce=False),
        Field("m", "m", "integer", "iso", coerce=False),
    )
    wanted = SpoolSettings(reading=Reading("jsonl", derive={"m": "n * 2"}))
    read, _ = polled(SpoolSource(spool, wanted), {})
    again = SpoolSource(spool).reread(read.span)
    for one in (read, again):
        assert one.records.decode(fields).frame.select("n", "site", "m").rows() == [
            (1, "a", 2),
            (2, "a", 4),
            (3, "b", 6),
        ]
    assert again.sha256 == read.sha256


def test_a_text_that_is_not_closed_takes_only_itself(open_spool: Open) -> None:
    """An array that breaks off spoils its own request, not its neighbours."""
    spool = open_spool()
    put(spool, b'[{"n":1},{"n', b'[{"n":2}]', format="json")
    put(spool, b'{"n":3}')
    read, _ = polled(SpoolSource(spool), {})
    assert numbers(read) == [1, 2, 3]
    assert [raw for raw in raws(read) if b"}" not in raw] == [b'{"n']


def test_requests_without_a_record_are_passed(open_spool: Open) -> None:
    """Empty arrays hold nothing up: the wait goes on, and what comes after them is read."""
    spool = open_spool()
    put(spool, *[b"[]"] * 40, format="json")
    source = SpoolSource(spool, SpoolSettings(batch_rows=5, batch_bytes=10))
    assert source.poll({}) is None
    assert not source.wait(0.01)
    put(spool, b'{"n":1}')
    put(spool, b"[]", format="json")
    assert source.wait(10)
    read, after = polled(source, {})
    assert numbers(read) == [1]
    assert numbers(source.reread(read.span)) == [1]
    assert source.poll(after) is None


def test_a_wait_ends_with_what_comes(open_spool: Open) -> None:
    """Before the first poll there may be something; after it, the wait ends with the next push, or with `close`."""
    spool = open_spool()
    source = SpoolSource(spool)
    assert source.wait(10)
    assert source.poll({}) is None
    threading.Timer(0.05, put, (spool, lines(0, 1))).start()
    assert source.wait(30)
    assert source.wait(0)
    _, after = polled(source, {})
    assert source.poll(after) is None
    threading.Timer(0.05, source.close).start()
    assert not source.wait(30)


def test_a_split_request_leaves_something_to_wait_for(open_spool: Open) -> None:
    """Where a batch ends within a request, the rest is there at once."""
    spool = open_spool()
    put(spool, lines(0, 5))
    source = SpoolSource(spool, SpoolSettings(batch_rows=3))
    polled(source, {})
    assert source.wait(0)


def test_damage_is_one_record(open_spool: Open) -> None:
    """The bytes that are damaged break `row.parse`, whole; everything around them is read, again and again the same."""
    spool = open_spool()
    put(spool, lines(0, 2), lines(2, 2), lines(4, 2))
    (segment,) = listing(spool.folder)
    data = segment.path.read_bytes()
    segment.path.write_bytes(data.replace(b'{"n":3}', b'{"n":4}'))
    read, after = polled(SpoolSource(spool), {})
    decoded = read.records.decode(FIELDS)
    assert decoded.frame.select("row_no", "n").rows() == [(0, 0), (1, 1), (3, 4), (4, 5)]
    assert [(fault.row_no, fault.check, fault.detail) for fault in decoded.faults] == [
        (2, "row.parse", "damaged on disk: 48 bytes")
    ]
    assert read.records.raw(2) == data[48:96].replace(b"3", b"4")
    assert (read.records.where(2).offset, read.records.where(2).line, read.records.where(3).line) == (48, 3, 4)
    again = SpoolSource(open_spool()).reread(read.span)
    assert (again.sha256, raws(again)) == (read.sha256, raws(read))
    assert SpoolSource(spool).poll(reopened(after)) is None


def test_quarantined_damage_can_be_tried_again(open_spool: Open) -> None:
    """It comes out of quarantine as one record, which no contract accepts."""
    spool = open_spool()
    put(spool, lines(0, 2))
    (segment,) = listing(spool.folder)
    segment.path.write_bytes(segment.path.read_bytes()[: spool.end - 1] + b"?")
    read, _ = polled(SpoolSource(spool), {})
    at = read.records.where(0)
    decoded = records_from_raw([(read.records.raw(0), at.facts, at)]).decode(FIELDS)
    assert (decoded.frame.height, [fault.check for fault in decoded.faults]) == (0, ["row.encoding"])


def test_acknowledging_deletes_what_is_committed(open_spool: Open) -> None:
    """Segments go when they are wholly before the position, in this process and after a restart."""
    spool = open_spool()
    put(spool, *(lines(number, 9) for number in range(20)))
    source, after = SpoolSource(spool, SpoolSettings(batch_rows=50)), {}
    first = len(listing(spool.folder))
    for _ in range(2):
        _, after = polled(source, after)
    source.acknowledge(after)
    assert len(listing(spool.folder)) < first
    (place,) = after.values()
    assert spool.begin <= place.offset
    rest = SpoolSource(open_spool(), SpoolSettings(batch_rows=50))
    rest.acknowledge(reopened(after))
    assert sum(read.span.rows for _, read in reads(rest, reopened(after))) == 80
    assert rest.problems == []


def test_a_spool_put_back_as_it_was_before_is_read_anew(open_spool: Open, tmp_path: Path) -> None:
    """A position behind the spool's end, or on other bytes, is not believed: nothing that was pushed since is skipped."""
    spool = open_spool()
    put(spool, lines(0, 3))
    spool.close()
    shutil.copytree(spool.folder, tmp_path / "backup")
    spool = open_spool()
    put(spool, lines(3, 3), lines(6, 3))
    after = {}
    for after, _ in reads(SpoolSource(spool, SpoolSettings(batch_rows=6)), {}):  # noqa: B007 - the last one counts
        pass
    spool.close()
    shutil.rmtree(spool.folder)
    shutil.copytree(tmp_path / "backup", spool.folder)
    spool = open_spool()
    for new in (lines(20, 1), lines(21, 9)):
        put(spool, new)
        source = SpoolSource(spool, SpoolSettings(batch_rows=100))
        source.acknowledge(reopened(after))
        read, later = polled(source, reopened(after))
        assert numbers(read)[:4] == [0, 1, 2, 20]
        assert "is not the one that was read up to byte" in source.problems[0].what
        assert len(source.problems) == 1
    assert len(later) == 2
    put(spool, lines(40, 1))
    following = SpoolSource(spool)
    assert numbers(polled(following, reopened(later))[0]) == [40]
    assert following.problems == []


def test_missing_segments_are_told(open_spool: Open) -> None:
    """Where the store is older than what was let go of, reading goes on behind the gap, and the gap is a problem."""
    spool = open_spool()
    put(spool, *(lines(number, 9) for number in range(10)))
    source = SpoolSource(spool, SpoolSettings(batch_rows=20))
    _, early = polled(source, {})
    later = early
    for _ in range(3):
        _, later = polled(source, later)
    source.acknowledge(later)
    source = SpoolSource(spool, SpoolSettings(batch_rows=20))
    read, _ = polled(source, early)
    assert read.span.parts[0].place.offset == spool.begin
    assert "bytes are missing at the begin of the spool" in source.problems[0].what


def test_a_planned_batch_that_is_gone_is_refused(open_spool: Open) -> None:
    """Reading again what is no longer there raises, and says what to do."""
    spool = open_spool()
    put(spool, lines(0, 3))
    read, _ = polled(SpoolSource(spool), {})
    spool.close()
    shutil.rmtree(spool.folder)
    (part,) = read.span.parts
    for span in (read.span, replace(read.span, parts=(replace(part, rows=4),))):
        with pytest.raises(SourceChanged, match="no longer holds what a planned batch was read from"):
            SpoolSource(open_spool()).reread(span)


def test_a_batch_has_rows_of_one_minute(tmp_path: Path) -> None:
    """What waited for an hour is not received together with what comes now: each batch has its own instant."""
    clock = ManualClock()
    with closing(Spool(tmp_path / "s", clock)) as spool:
        for wait_s in (0, 59, 2, 3600):
            clock.sleep(wait_s)
            future = spool.append(b'{"a": 1}\n')
            assert future is not None
            future.result()
        source, position, found = SpoolSource(spool), {}, []
        while (read := source.poll(position)) is not None:
            position = {part.place.key: part.after() for part in read.span.parts}
            found.append((read.span.rows, read.received_at_ns))
    start = ManualClock().now_ns()
    assert found == [(2, start + 59 * 10**9), (1, start + 61 * 10**9), (1, start + 3661 * 10**9)]
