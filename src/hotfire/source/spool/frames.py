"""How a pushed payload stands in a segment: as a frame that shows whether it is whole, and is found again behind damage.

Every frame begins with the spool's marker: eight bytes of chance that no client knows, so that no payload can hold what
looks like a frame. Behind damage, reading goes on at the next marker whose header has the right checksum.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple, TypeAlias

MARKER_BYTES = 8

_HEADER = struct.Struct("<8sqIHxxI")  # marker, received_at_ns, bytes of payload, bytes of facts, checksum of both
_CHECK = struct.Struct("<I")  # of the header before it

HEADER_BYTES = _HEADER.size + _CHECK.size
MOST_FACTS = 0xFFFF
"""No more bytes of facts fit into a frame."""


class Frame(NamedTuple):
    """One payload as it was pushed.

    Attributes:
        start: where the frame begins; in the spool's own counting, as all offsets.
        at: where its payload begins.
        end: where payload and frame end.
        check: the checksum of facts and payload.
        facts: JSON, or nothing.
    """

    start: int
    at: int
    end: int
    check: int
    received_at_ns: int
    facts: bytes
    payload: bytes


class Damage(NamedTuple):
    """Bytes that are no whole frame, up to where the next one begins or the segment ends. `payload` is all of them."""

    start: int
    at: int
    end: int
    check: int
    payload: bytes


Item: TypeAlias = Frame | Damage


def encoded(marker: bytes, payload: bytes, facts: bytes, received_at_ns: int) -> bytes:
    """The frame's bytes before its payload, which follows them as it is."""
    check = zlib.crc32(payload, zlib.crc32(facts))
    header = _HEADER.pack(marker, received_at_ns, len(payload), len(facts), check)
    return header + _CHECK.pack(zlib.crc32(header)) + facts


def parse(data: bytes, start: int, marker: bytes, *, final: bool) -> list[Item]:
    """The whole items at the beginning of a segment's bytes, without a gap between them.

    Args:
        start: the offset of `data[0]`, where an item begins.
        final: nothing follows the data: what is left of it at the end is damage. Else it is left out.
    """
    items: list[Item] = []
    at = 0
    while at < len(data):
        size = _size(data, at, marker)
        if size is not None and at + size <= len(data):
            items.append(_item(data, at, at + size, start))
            at += size
        elif size is not None and not final:
            break
        else:
            end = _next(data, at + 1, marker)
            if end is None and not final:
                break
            end = len(data) if end is None else end
            items.append(_damage(data, at, end, start))
            at = end
    return items


def torn(rest: bytes, marker: bytes) -> bool:
    """Whether bytes at the end of a spool are, but for zeros, a frame that was never written to its end, or nothing.

    That is one whose sound header promises more than there is, or a piece of a header. Zeros are what a file is made
    of before frames come. Such a frame had no fsync, so no client was told that it is safe.
    """
    written = rest.rstrip(b"\0")
    size = _size(rest, 0, marker)
    if size is not None:
        return size > len(written)
    return len(written) < HEADER_BYTES and written[:MARKER_BYTES] == marker[: len(written)]


def _size(data: bytes, at: int, marker: bytes) -> int | None:
    """How many bytes the frame at `at` has, if its header is sound."""
    body = at + HEADER_BYTES
    if body > len(data) or not data.startswith(marker, at):
        return None
    if _CHECK.unpack_from(data, at + _HEADER.size)[0] != zlib.crc32(data[at : at + _HEADER.size]):
        return None
    _, _, payload, facts, _ = _HEADER.unpack_from(data, at)
    return HEADER_BYTES + int(facts) + int(payload)


def _item(data: bytes, at: int, end: int, start: int) -> Item:
    _, received_at_ns, _, facts, check = _HEADER.unpack_from(data, at)
    body = at + HEADER_BYTES
    if zlib.crc32(memoryview(data)[body:end]) != check:
        return _damage(data, at, end, start)
    payload = body + facts
    return Frame(start + at, start + payload, start + end, check, received_at_ns, data[body:payload], data[payload:end])


def _damage(data: bytes, at: int, end: int, start: int) -> Damage:
    found = data[at:end]
    return Damage(start + at, start + at, start + end, zlib.crc32(found), found)


def _next(data: bytes, at: int, marker: bytes) -> int | None:
    """Where the next sound header stands; None where there is none in the data."""
    while (at := data.find(marker, at)) >= 0:
        if _size(data, at, marker) is not None:
            return at
        at += 1
    return None
