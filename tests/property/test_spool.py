"""Laws of the spool: any bytes come back, damage takes nothing but the frames it touches, batches may end anywhere."""

from __future__ import annotations

import tempfile
from contextlib import closing
from itertools import accumulate, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hotfire.rows import Position
from hotfire.source.spool.frames import Damage, Frame, encoded, parse, torn
from hotfire.source.spool.segments import listing, troubles
from hotfire.source.spool.source import SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock
from hotfire.testing.source_suite import places, raws, reads

MARKER = b"\x01\xffMARK\0\n"
PIECES = st.sampled_from([MARKER, MARKER[:5], b"\n", b"{}", b"\0" * 9, encoded(MARKER, b"x", b"", 5) + b"x"])
BYTES = st.binary(max_size=60) | st.lists(PIECES | st.binary(max_size=9), max_size=4).map(b"".join)
HONEST = st.binary(max_size=60).filter(lambda data: MARKER not in data)
"""What a client can send: it does not know the marker."""


def segment(payloads: list[bytes]) -> tuple[bytes, list[tuple[int, int]]]:
    """A segment's bytes, and where each frame begins and ends."""
    frames = [encoded(MARKER, payload, b"{}", number) + payload for number, payload in enumerate(payloads)]
    return b"".join(frames), list(pairwise(accumulate(map(len, frames), initial=0)))


@given(payloads=st.lists(BYTES, max_size=6), base=st.integers(0, 2**60), data=st.data())
def test_any_bytes_come_back(payloads: list[bytes], base: int, data: st.DataObject) -> None:
    """Whatever a payload holds, frames included; a buffer that ends early gives whole frames only."""
    whole, spans = segment(payloads)
    found = parse(whole, base, MARKER, final=True)
    assert [(item.payload, item.start - base, item.end - base) for item in found] == [
        (payload, *span) for payload, span in zip(payloads, spans, strict=True)
    ]
    end = data.draw(st.integers(0, len(whole)))
    kept = [span for span in spans if span[1] <= end]
    assert parse(whole[:end], base, MARKER, final=False) == found[: len(kept)]
    rest = whole[kept[-1][1] if kept else 0 : end]
    assert torn(rest, MARKER)


@given(payloads=st.lists(HONEST, min_size=1, max_size=6), noise=st.binary(min_size=1, max_size=80), data=st.data())
def test_damage_takes_only_what_it_touches(payloads: list[bytes], noise: bytes, data: st.DataObject) -> None:
    """Overwritten anywhere with anything: frames out of reach are read, the others are damage, and no byte is skipped."""
    whole, spans = segment(payloads)
    at = data.draw(st.integers(0, len(whole) - 1))
    noise = noise[: len(whole) - at]
    spoiled = whole[:at] + noise + whole[at + len(noise) :]
    found = parse(spoiled, 0, MARKER, final=True)
    assert b"".join(spoiled[item.start : item.end] for item in found) == spoiled
    untouched = [span for span in spans if whole[slice(*span)] == spoiled[slice(*span)]]
    assert [(item.start, item.end) for item in found if isinstance(item, Frame)] == untouched
    assert [item.payload for item in found if isinstance(item, Damage)] == [
        spoiled[item.start : item.end] for item in found if isinstance(item, Damage)
    ]


@given(
    payloads=st.lists(HONEST, min_size=1, max_size=5),
    junk=st.binary(max_size=80) | st.integers(1, 5000).map(bytes),
    data=st.data(),
)
def test_any_tail_can_be_opened(payloads: list[bytes], junk: bytes, data: st.DataObject) -> None:
    """A spool whose last file ends anywhere, in anything, opens, keeps every whole frame and takes new ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Spool(folder, ManualClock())) as spool:
            marker = listing(folder)[0].marker
        frames = [encoded(marker, payload, b"", 0) + payload for payload in payloads]
        end = data.draw(st.integers(0, sum(map(len, frames))))
        listing(folder)[0].path.write_bytes(b"".join(frames)[:end] + junk)
        kept = [payload for payload, to in zip(payloads, accumulate(map(len, frames)), strict=True) if to <= end]
        troubles(folder)
        with closing(Spool(folder, ManualClock(), SpoolLimits(4096))) as spool:
            done = spool.append(b"new")
            assert done is not None
            done.result(10)
            found = [item.payload for item in spool.read(0, 1 << 20) if isinstance(item, Frame)]
        assert found[: len(kept)] == kept
        assert found[len(kept) :][-2:] in (
            [b"new"],
            [payloads[len(kept)] if len(kept) < len(payloads) else b"", b"new"],
        )


LINE = st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"."))
REQUESTS = st.lists(st.tuples(st.lists(LINE, min_size=1, max_size=8), st.booleans()), max_size=8)


@given(requests=REQUESTS, rows=st.integers(1, 9), size=st.integers(1, 200), limit=st.integers(1, 400))
def test_batches_end_anywhere(requests: list[tuple[list[bytes], bool]], rows: int, size: int, limit: int) -> None:
    """However requests, batches and files are cut: every line is a record once, at its place, and is found again."""
    with tempfile.TemporaryDirectory() as name, closing(Spool(Path(name), ManualClock(), SpoolLimits(limit))) as spool:
        for lines, ended in requests:
            done = spool.append(b"\n".join(lines) + b"\n" * ended)
            assert done is not None
            done.result(10)
        expected = [line.rstrip(b"\r") for lines, _ in requests for line in lines if line.strip(b" \t\r")]
        source, whole = SpoolSource(spool, SpoolSettings(batch_rows=rows, batch_bytes=size)), SpoolSource(spool)
        found = [(raw, at) for _, read in reads(source, {}) for raw, at in zip(raws(read), places(read), strict=True)]
        assert [raw for raw, _ in found] == expected
        assert found == [
            (raw, at) for _, read in reads(whole, {}) for raw, at in zip(raws(read), places(read), strict=True)
        ]
        again: list[bytes] = []
        after: Position = {}
        for after, read in reads(source, {}):
            again += raws(SpoolSource(spool).reread(read.span))
            assert SpoolSource(spool).reread(read.span).sha256 == read.sha256
            source.acknowledge(after)
        assert again == expected
