"""The files of a spool: each is named by the offset of its first byte and the spool's marker, so that names have an order."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from hotfire.durable import sync
from hotfire.source.spool.frames import MARKER_BYTES, Damage, Item, parse, torn

_NAME = re.compile(rf"(\d{{20}})-([0-9a-f]{{{MARKER_BYTES * 2}}})\.segment")


class Segment(Struct, frozen=True):
    """One file: the spool's bytes from offset `base` to `end`."""

    path: Path
    base: int
    end: int
    marker: bytes


class Trouble(Struct, frozen=True):
    """Something of a spool that is not as it was written: in which file, from which of its bytes, how many, and what."""

    path: Path
    at: int
    size: int
    what: str


def listing(folder: Path) -> list[Segment]:
    """The segments of a folder in order; none where there is no folder."""
    if not folder.is_dir():
        return []
    named = [(found, path) for path in sorted(folder.iterdir()) if (found := _NAME.fullmatch(path.name))]
    return [
        Segment(path, int(found[1]), int(found[1]) + path.stat().st_size, bytes.fromhex(found[2]))
        for found, path in named
    ]


def create(folder: Path, base: int, marker: bytes) -> Segment:
    """A new, empty segment, whose name is on disk."""
    path = folder / f"{base:020d}-{marker.hex()}.segment"
    path.touch()
    sync(folder)
    return Segment(path, base, base, marker)


def opened(segment: Segment) -> BinaryIO:
    """The segment's file for writing at its end. What stands there is from a write that failed, and is cut off."""
    file = segment.path.open("r+b", buffering=0)
    file.truncate(segment.end - segment.base)
    file.seek(segment.end - segment.base)
    return file


def read(segment: Segment, at: int, size: int) -> list[Item]:
    """Whole items from offset `at`, where one begins: at least one, else as many as `size` bytes hold."""
    with segment.path.open("rb", buffering=0) as file:
        while True:
            data = os.pread(file.fileno(), min(size, segment.end - at), at - segment.base)
            final = len(data) < size
            items = parse(data, at, segment.marker, final=final)
            if items or final:
                return items
            size *= 2


def mended(segment: Segment) -> Segment:
    """The last segment of a spool, on disk, without what was never written whole at its end."""
    data = segment.path.read_bytes()
    _, end = _sound(segment, data)
    os.truncate(segment.path, end - segment.base)
    sync(segment.path)
    return replace(segment, end=end)


def key_of(marker: bytes) -> str:
    """What the places of a spool with this marker are called."""
    return f"spool-{hashlib.sha256(marker).hexdigest()[:16]}"


def written(folder: Path) -> int:
    """The offset after the last byte of a spool that was written; 0 where there is no spool."""
    segments = listing(folder)
    return _sound(segments[-1], segments[-1].path.read_bytes())[1] if segments else 0


def troubles(folder: Path) -> list[Trouble]:
    """Everything in a spool's folder that is damaged or missing. Only reads; a frame being written is no trouble."""
    found: list[Trouble] = []
    segments = listing(folder)
    for number, segment in enumerate(segments):
        data, last = segment.path.read_bytes(), number == len(segments) - 1
        items = _sound(segment, data)[0] if last else parse(data, segment.base, segment.marker, final=True)
        found += [
            Trouble(segment.path, item.start - segment.base, item.end - item.start, "the checksum does not match")
            for item in items
            if isinstance(item, Damage)
        ]
        if not last and segment.end < segments[number + 1].base:
            missing = segments[number + 1].base - segment.end
            found.append(Trouble(segment.path, segment.end - segment.base, missing, "bytes are missing at the end"))
    return found


def _sound(segment: Segment, data: bytes) -> tuple[list[Item], int]:
    """What the last segment of a spool holds, and where it ends without what was never written whole."""
    items = parse(data, segment.base, segment.marker, final=False)
    if items and isinstance(items[-1], Damage) and torn(data[items[-1].start - segment.base :], segment.marker):
        return items[:-1], items[-1].start
    end = items[-1].end if items else segment.base
    if torn(data[end - segment.base :], segment.marker):
        return items, end
    written = data.rstrip(b"\0")
    return parse(written, segment.base, segment.marker, final=True), segment.base + len(written)
