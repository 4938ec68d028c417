"""Where lines and records begin and end in a buffer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np
from msgspec import Struct

from hotfire.rows import Place
from hotfire.source.formats import Chunk, Cut

Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]
Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

_BLOCK = 1 << 18
_BLANK = np.frombuffer(b"\n\r \t", np.uint8)


class Index(Struct, frozen=True):
    """The whole records of a buffer, in order.

    Attributes:
        starts: where each record's first byte stands.
        ends: where its line end stands, or the buffer ends.
        lines: the number of its first line, counted from 0 at the buffer's begin.
        stop: up to where the buffer is decided: after it, more bytes are needed.
        stop_line: the number of the line at `stop`.
    """

    starts: Offsets
    ends: Offsets
    lines: Offsets
    stop: int
    stop_line: int

    def cut(self, line: int, limit: int) -> Cut:
        """The first `limit` records as a cut of the buffer, whose first line is numbered `line`."""
        if len(self.starts) <= limit:
            return Cut(self.stop, line + self.stop_line, len(self.starts))
        return Cut(int(self.starts[limit]), line + int(self.lines[limit]), limit)


class Indexing(Protocol):
    """What finds the records of a buffer."""

    def index(self, data: bytes, *, final: bool) -> Index:
        """The whole records; where `final`, the buffer ends the file."""
        ...


def newlines(data: bytes) -> Offsets:
    """Where the newlines stand. Block by block: that stays in the CPU's cache, 1.5 times as fast as at once."""
    array = np.frombuffer(data, np.uint8)
    blocks = (np.flatnonzero(array[at : at + _BLOCK] == 10) + at for at in range(0, len(array), _BLOCK))
    return np.concatenate([np.empty(0, np.int64), *blocks])


def lines(data: bytes, *, final: bool) -> Index:
    """Every line of the buffer as a record, but for blank ones. An unterminated last line counts where `final`."""
    ends = newlines(data)
    stop, stop_line = (int(ends[-1]) + 1 if len(ends) else 0), len(ends)
    if final and stop < len(data):
        ends = np.append(ends, len(data))
        stop = len(data)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else ends
    numbers = np.arange(len(ends), dtype=np.int64)
    kept = ~_blank(data, starts, ends)
    if not kept.all():
        starts, ends, numbers = starts[kept], ends[kept], numbers[kept]
    return Index(starts, ends, numbers, stop, stop_line)


def _blank(data: bytes, starts: Offsets, ends: Offsets) -> Flags:
    """Which lines hold nothing but white space. Few lines begin with white space: only those are looked at."""
    first = np.frombuffer(data, np.uint8)[starts] if len(starts) else np.empty(0, np.uint8)
    blank = np.isin(first, _BLANK)
    for at in np.flatnonzero(blank):
        blank[at] = not data[starts[at] : ends[at]].strip(b" \t\r")
    return blank


class Cuttings:
    """Chunks as numbered records: which bytes record `row_no` has, and where it stands."""

    def __init__(self, indexing: Indexing, chunks: Sequence[Chunk]) -> None:
        self._indexing = indexing
        self.chunks = chunks
        self._first = [0, *accumulate(chunk.part.rows for chunk in chunks)]

    def __len__(self) -> int:
        return self._first[-1]

    @cached_property
    def indexes(self) -> list[Index]:
        """Where the records of each chunk stand."""
        return [self._indexing.index(chunk.data, final=True) for chunk in self.chunks]

    def all(self) -> list[bytes]:
        """The bytes of every record, without line ends."""
        found = []
        for chunk, index in zip(self.chunks, self.indexes, strict=True):
            data = chunk.data
            bounds = zip(index.starts.tolist(), index.ends.tolist(), strict=True)
            found += [data[start:end].rstrip(b"\r") for start, end in bounds]
        return found

    def raw(self, row_no: int) -> bytes:
        """The record's bytes, without its line end."""
        chunk, at = self._find(row_no)
        index = self.indexes[chunk]
        return self.chunks[chunk].data[index.starts[at] : index.ends[at]].rstrip(b"\r")

    def where(self, row_no: int) -> Place:
        """The place of the record's first byte."""
        chunk, at = self._find(row_no)
        index, place = self.indexes[chunk], self.chunks[chunk].part.place
        offset, line = place.offset + int(index.starts[at]), place.line + int(index.lines[at])
        return Place(place.key, place.label, offset, line, place.facts)

    def _find(self, row_no: int) -> tuple[int, int]:
        chunk = bisect_right(self._first, row_no) - 1
        return chunk, row_no - self._first[chunk]
