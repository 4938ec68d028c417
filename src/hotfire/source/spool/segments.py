"""The files of a spool: each is named by the offset of its first byte and the spool's marker, so that names have an order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hotfire.source.spool.frames import MARKER_BYTES, Damage, Item, parse, torn

_NAME = re.compile(rf"(\d{{20}})-([0-9a-f]{{{MARKER_BYTES * 2}}})\.segment")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: the spool's bytes from offset `base` to `end`."""

    path: Path
    base: int
    end: int
    marker: bytes


@dataclass(frozen=True, slots=True)
class Trouble:
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


def make(folder: Path) -> None:
    """Make the folder where it is not there; its name and those of folders around it are on disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)


def sync(path: Path) -> None:
    """Return when a file's bytes, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def opened(segment: Segment) -> BinaryIO:
    """The segment's file for appending. What stands behind its end is from a write that failed, and is cut off."""
    file = segment.path.open("ab", buffering=0)
    if file.tell() > segment.end - segment.base:
        file.truncate(segment.end - segment.base)
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
    """The last segment of a spool, on disk, without a frame at its end that was never written whole."""
    data = segment.path.read_bytes()
    items = parse(data, segment.base, segment.marker, final=False)
    end = items[-1].end if items else segment.base
    if end < segment.end and torn(data[end - segment.base :], segment.marker):
        os.truncate(segment.path, end - segment.base)
        segment = replace(segment, end=end)
    sync(segment.path)
    return segment


def troubles(folder: Path) -> list[Trouble]:
    """Everything in a spool's folder that is damaged or missing. Only reads; a frame being written is no trouble."""
    found: list[Trouble] = []
    segments = listing(folder)
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        data = segment.path.read_bytes()
        items = parse(data, segment.base, segment.marker, final=False)
        end = items[-1].end if items else segment.base
        rest = data[end - segment.base :]
        spoiled = [(item.start, item.end) for item in items if isinstance(item, Damage)]
        if rest and not (last and torn(rest, segment.marker)):
            spoiled.append((end, segment.base + len(data)))
        found += [
            Trouble(segment.path, at - segment.base, to - at, "the checksum does not match") for at, to in spoiled
        ]
        if not last and segment.end < segments[number + 1].base:
            missing = segments[number + 1].base - segment.end
            found.append(Trouble(segment.path, segment.end - segment.base, missing, "bytes are missing at the end"))
    return found
