"""The spool: what was acknowledged is there, once; damage takes nothing with it but itself."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from hotfire.errors import OwnedElsewhere
from hotfire.source.spool.frames import HEADER_BYTES, Damage, Frame
from hotfire.source.spool.segments import listing, troubles
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock

Open = Callable[..., Spool]
NOON = 1_780_272_000_000_000_000


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Open]:
    """Opens the spool as a new process does: the one before it is closed."""
    opened: list[Spool] = []

    def again(limits: SpoolLimits | None = None) -> Spool:
        for one in opened:
            one.close()
        opened[:] = [Spool(tmp_path / "spool" / "events", ManualClock(NOON), limits)]
        return opened[0]

    yield again
    for one in opened:
        one.close()


def put(spool: Spool, *payloads: bytes) -> None:
    """Append payloads, one fsync each."""
    for payload in payloads:
        done = spool.append(payload)
        assert done is not None
        done.result(10)


def kept(spool: Spool, at: int = 0) -> list[bytes]:
    """Every payload from an offset on."""
    return [item.payload for item in items(spool, at) if isinstance(item, Frame)]


def items(spool: Spool, at: int = 0, size: int = 1 << 16) -> list[Frame | Damage]:
    """Everything from an offset on."""
    found: list[Frame | Damage] = []
    while more := spool.read(at, size):
        found += more
        at = more[-1].end
    return found


def spoil(path: Path, at: int, data: bytes = b"\xff") -> None:
    """Overwrite bytes of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_what_was_acknowledged_is_read_in_order(open_spool: Open) -> None:
    """Payloads, facts and the instant come back as they were given, in this process and the next."""
    spool = open_spool()
    put(spool, b"one\n", b"two")
    done = spool.append(b"three", {"format": "json"})
    assert done is not None
    done.result(10)
    for one in (spool, open_spool()):
        assert kept(one) == [b"one\n", b"two", b"three"]
        assert [item.facts for item in items(one)] == [b"", b"", b'{"format":"json"}']
        assert {item.received_at_ns for item in items(one)} == {NOON}


def test_offsets_are_where_payloads_stand(open_spool: Open) -> None:
    """A frame's offsets are those of the file's bytes; the next frame begins where it ends."""
    spool = open_spool()
    put(spool, b"abc", b"defg")
    spool.close()
    data = listing(spool.folder)[0].path.read_bytes()
    first, second = items(spool)
    assert (first.start, first.end, second.end) == (0, second.start, len(data))
    assert [data[one.at : one.end] for one in (first, second)] == [b"abc", b"defg"]


def test_those_who_come_together_share_an_fsync(open_spool: Open) -> None:
    """32 threads with 50 payloads each take far fewer fsyncs than payloads, and every one is kept once."""
    spool = open_spool()

    def post(name: int) -> None:
        put(spool, *(b"%d/%d\n" % (name, number) for number in range(50)))

    threads = [threading.Thread(target=post, args=(name,)) for name in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept(spool)) == sorted(b"%d/%d\n" % (name, number) for name in range(32) for number in range(50))
    assert spool.state.payloads == 1600
    assert spool.state.syncs < 800


def test_segments_are_rotated_and_let_go_of(open_spool: Open) -> None:
    """A full segment is followed by the next; what is committed goes, whole segments at a time, never the last."""
    spool = open_spool(SpoolLimits(segment_bytes=200))
    put(spool, *(b"x" * 60 + b"%d" % number for number in range(10)))
    segments = listing(spool.folder)
    assert len(segments) == 5
    assert [one.base for one in segments[1:]] == [one.end for one in segments[:-1]]
    end = spool.end
    spool.release(segments[2].end - 1)
    assert [one.base for one in listing(spool.folder)] == [one.base for one in segments[2:]]
    spool.release(spool.end)
    assert [one.base for one in listing(spool.folder)] == [segments[-1].base]
    again = open_spool(SpoolLimits(segment_bytes=200))
    assert (again.begin, again.end) == (segments[-1].base, end)
    put(again, b"later")
    assert kept(again)[-1] == b"later"
    assert again.end > end


def test_a_full_spool_takes_nothing(open_spool: Open) -> None:
    """Past its bound it says so at once; when something is committed there is room again."""
    spool = open_spool(SpoolLimits(segment_bytes=300, max_bytes=1000))
    taken = 0
    while (done := spool.append(b"x" * 68)) is not None:
        done.result(10)
        taken += 1
    assert taken == 10
    assert not spool.room(1)
    assert spool.state.waiting_bytes == 1000
    spool.release(300)
    assert spool.room(300)
    put(spool, b"y" * 68)
    assert spool.state.disk_bytes <= 1000


def test_a_payload_larger_than_the_bound_fits_an_empty_spool(open_spool: Open) -> None:
    """The bound never shuts out for ever."""
    spool = open_spool(SpoolLimits(segment_bytes=100, max_bytes=100))
    put(spool, b"x" * 500)
    assert spool.append(b"y") is None
    spool.release(spool.end)
    put(spool, b"z" * 500)
    assert kept(spool) == [b"z" * 500]


@pytest.mark.parametrize("payload", [b"", b" \r\n\t", b"\n" * 100])
def test_white_space_is_not_kept(open_spool: Open, payload: bytes) -> None:
    """What holds no record takes no room."""
    spool = open_spool()
    put(spool, payload)
    assert (spool.end, spool.state.syncs) == (0, 0)


def test_a_second_process_is_refused(open_spool: Open) -> None:
    """A folder has one owner."""
    spool = open_spool()
    with pytest.raises(OwnedElsewhere, match="taking in pushed rows"):
        Spool(spool.folder, ManualClock())


@pytest.mark.parametrize("left", [0, 1, 7, 8, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 3])
def test_a_torn_tail_is_cut_off(open_spool: Open, left: int) -> None:
    """A frame that was never written to its end goes at the next start, and nothing else does."""
    spool = open_spool()
    put(spool, b"whole", b"torn!")
    first, second = items(spool)
    spool.close()
    path = listing(spool.folder)[0].path
    os.truncate(path, second.start + left)
    assert troubles(spool.folder) == []
    spool = open_spool()
    assert path.stat().st_size == spool.end == first.end
    put(spool, b"after")
    assert kept(spool) == [b"whole", b"after"]


@pytest.mark.parametrize("left", [0, 1, 8, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 3])
def test_a_frame_that_was_torn_among_zeros_is_cut_off(open_spool: Open, left: int) -> None:
    """Zeros are laid before frames come; what a killed process had written of a frame goes with them."""
    spool = open_spool()
    put(spool, b"whole", b"torn!")
    first, second = items(spool)
    path = listing(spool.folder)[0].path
    assert path.stat().st_size > second.end
    data = path.read_bytes()
    spool.close()
    path.write_bytes(data[: second.start + left] + bytes(len(data) - second.start - left))
    assert troubles(spool.folder) == []
    assert open_spool().end == first.end == path.stat().st_size


@pytest.mark.parametrize("offset", [0, 8, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 4])
def test_a_last_frame_that_is_damaged_is_kept(open_spool: Open, offset: int) -> None:
    """Also before zeros: it may have been acknowledged, so it is not taken for torn."""
    spool = open_spool()
    put(spool, b"first", b"last!")
    _, second = items(spool)
    path = listing(spool.folder)[0].path
    data = bytearray(path.read_bytes())
    spool.close()
    data[second.start + offset] ^= 0x41
    path.write_bytes(data)
    assert [(one.at, one.size) for one in troubles(spool.folder)] == [(second.start, second.end - second.start)]
    spool = open_spool()
    put(spool, b"next")
    assert [item.payload for item in items(spool)] == [b"first", data[second.start : second.end], b"next"]


def test_a_whole_frame_with_a_wrong_checksum_is_no_torn_tail(open_spool: Open) -> None:
    """What may have been acknowledged is never cut off: it is damage, and reading goes on behind it."""
    spool = open_spool()
    put(spool, b"one", b"two")
    spool.close()
    (segment,) = listing(spool.folder)
    spoil(segment.path, segment.end - 1)
    spool = open_spool()
    put(spool, b"three")
    assert [type(item) for item in items(spool)] == [Frame, Damage, Frame]
    (trouble,) = troubles(spool.folder)
    assert (trouble.path, trouble.at, trouble.size) == (segment.path, HEADER_BYTES + 3, HEADER_BYTES + 3)


@pytest.mark.parametrize("offset", [0, 8, 16, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 4])
def test_damage_takes_only_itself(open_spool: Open, offset: int) -> None:
    """Marker, header or payload: reading is in step again at the next frame; the damage has all of its own bytes."""
    spool = open_spool()
    put(spool, b"first", b"second", b"third")
    _, second, third = items(spool)
    path = listing(spool.folder)[0].path
    spoil(path, second.start + offset)
    found = items(open_spool())
    assert [type(item) for item in found] == [Frame, Damage, Frame]
    assert found[1].payload == path.read_bytes()[second.start : third.start]
    assert troubles(spool.folder)[0].size == second.end - second.start


def test_a_payload_cannot_pretend_to_be_frames(open_spool: Open) -> None:
    """A client that sends what a frame looks like deceives no one, even behind damage."""
    spool = open_spool()
    put(spool, b"x")
    copy = listing(spool.folder)[0].path.read_bytes()[: spool.end]
    forged = bytes(8) + copy[8:]
    put(spool, b"a" + forged * 3, b"z")
    _, second, _ = items(spool)
    spoil(listing(spool.folder)[0].path, second.start + 20)
    assert [item.payload for item in items(spool) if isinstance(item, Frame)] == [b"x", b"z"]


def test_missing_bytes_are_told(open_spool: Open) -> None:
    """A segment that was cut short, and one that is gone, are seen by the next one's name; what follows is read."""
    spool = open_spool(SpoolLimits(segment_bytes=100))
    put(spool, *(b"x" * 60 + b"%d" % number for number in range(5)))
    spool.close()
    segments = listing(spool.folder)
    os.truncate(segments[0].path, 20)
    segments[2].path.unlink()
    assert [(one.path, one.at, one.size) for one in troubles(spool.folder)] == [
        (segments[0].path, 0, 20),
        (segments[0].path, 20, 73),
        (segments[1].path, 93, 93),
    ]
    assert kept(open_spool()) == [b"x" * 60 + b"%d" % number for number in (1, 3, 4)]


def test_waiting_ends_when_something_comes(open_spool: Open) -> None:
    """`wait` returns as soon as there is more, after its time, or when it is told to."""
    spool = open_spool()
    assert not spool.wait(0, 0.01)
    threading.Timer(0.05, lambda: put(spool, b"x")).start()
    assert spool.wait(0, 30)
    assert spool.wait(0)
    threading.Timer(0.05, spool.wake).start()
    assert not spool.wait(spool.end, 30)
    threading.Timer(0.05, spool.close).start()
    assert not spool.wait(spool.end, 30)


def test_closing_keeps_what_was_taken(open_spool: Open) -> None:
    """Payloads on their way are written; afterwards nothing is taken."""
    spool = open_spool()
    done = [spool.append(b"%d" % number) for number in range(100)]
    spool.close()
    assert spool.append(b"late") is None
    assert not wait([one for one in done if one], 0).not_done
    assert kept(open_spool()) == [b"%d" % number for number in range(100)]


def test_a_failed_write_is_told_and_leaves_nothing(open_spool: Open) -> None:
    """Where the disk takes no more, senders get the error; later payloads stand where the failed ones would have."""
    spool = open_spool(SpoolLimits(segment_bytes=500))
    put(spool, b"before")
    end, unlimited = spool.end, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            put(spool, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert listing(spool.folder)[-1].path.stat().st_size == 1000
    assert (spool.end, spool.state.waiting_bytes) == (end, end)
    put(spool, b"after")
    assert troubles(spool.folder) == []
    for one in (spool, open_spool()):
        assert kept(one) == [b"before", b"after"]
