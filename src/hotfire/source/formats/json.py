"""JSON: one record a line, or the elements of an array, or values one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.model import Field
from hotfire.protocols import Records
from hotfire.rows import Decoded, Place
from hotfire.source.formats import Chunk, Cut
from hotfire.source.formats.json_fast import Block, decode, has_nul
from hotfire.source.formats.json_split import values
from hotfire.source.formats.json_written import written
from hotfire.source.formats.lines import Cuttings, Index, lines, newlines

_BLOCK = 1 << 18
_RECORDS = 1 << 10


class JsonLines(Struct, frozen=True):
    r"""One record a line. Lines of nothing but spaces, tabs and \r are no records, but count as lines."""

    def index(self, data: bytes, *, final: bool) -> Index:
        """Where the records of a buffer stand."""
        return lines(data, final=final)

    def cut(self, data: bytes, line: int, *, final: bool, limit: int) -> Cut:
        """As `TextFormat.cut`."""
        return self.index(data, final=final).cut(line, limit)

    def records(self, chunks: Sequence[Chunk]) -> Records:
        """As `TextFormat.records`."""
        return _Records(Cuttings(self, chunks), by_line=True)


class JsonValues(Struct, frozen=True):
    """The elements of a JSON array, or values one after the other, or arrays one after the other.

    Commas, colons and white space between records are skipped, however many or few; so is a byte order mark, and the
    end of an array is not missed. What is no value takes what follows with it, or comes apart: each piece is a record
    that breaks `row.parse`. Where a quote or bracket never closes, that is the rest of the file.
    """

    def index(self, data: bytes, *, final: bool) -> Index:
        """Where the records of a buffer stand."""
        found = values(data)
        kept = len(found.starts) - (found.unfinished and not final)
        starts, ends = found.starts[:kept], found.ends[:kept]
        breaks = newlines(data)
        stop = len(data) if final else int(ends[-1]) if kept else 0
        counts = np.searchsorted(breaks, np.append(starts, stop))
        return Index(starts, ends, counts[:-1], stop, int(counts[-1]))

    def cut(self, data: bytes, line: int, *, final: bool, limit: int) -> Cut:
        """As `TextFormat.cut`. A cut ends with a record, before the comma: the comma tells what a bracket means."""
        found = self.index(data, final=final)
        if len(found.starts) <= limit:
            return found.cut(line, limit)
        end = int(found.ends[limit - 1])
        return Cut(end, line + data.count(b"\n", 0, end), limit)

    def records(self, chunks: Sequence[Chunk]) -> Records:
        """As `TextFormat.records`."""
        return _Records(Cuttings(self, chunks), by_line=False)


class _Records:
    """Records in chunks, found again by the format that cut them."""

    def __init__(self, cuttings: Cuttings, *, by_line: bool) -> None:
        self._cuttings = cuttings
        self._by_line = by_line

    def __len__(self) -> int:
        return len(self._cuttings)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """As `Records.decode`."""
        return replace(decode(fields, self._blocks()), written=self.written)

    def written(self, row_no: int, path: str) -> str | None:
        """As `Decoded.written`."""
        return written(self.raw(row_no), path)

    def raw(self, row_no: int) -> bytes:
        """As `Records.raw`."""
        return self._cuttings.raw(row_no)

    def where(self, row_no: int) -> Place:
        """As `Records.where`."""
        return self._cuttings.where(row_no)

    def _blocks(self) -> Iterator[Block]:
        if self._by_line:
            for chunk in self._cuttings.chunks:
                yield from _line_blocks(chunk)
        else:
            found, nul = self._cuttings.all(), any(has_nul(chunk.data) for chunk in self._cuttings.chunks)
            for at in range(0, len(found), _RECORDS):
                yield Block(found[at : at + _RECORDS], nul)


def _line_blocks(chunk: Chunk) -> Iterator[Block]:
    """A chunk's lines, 256 KB at a time: more would not stay in the CPU's cache."""
    data, at, nul = chunk.data, 0, has_nul(chunk.data)
    blank = data.count(b"\n") + (not data.endswith(b"\n")) > chunk.part.rows
    while at < len(data):
        end = data.rfind(b"\n", at, at + _BLOCK) + 1 or data.find(b"\n", at) + 1 or len(data)
        found = data[at:end].removesuffix(b"\n").split(b"\n")
        yield Block([line for line in found if line.strip(b" \t\r")] if blank else found, nul)
        at = end
