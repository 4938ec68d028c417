"""Pushed payloads as numbered records: many requests joined in one batch, or one request split over several."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hotfire.rows import Decoded, Part, Place
from hotfire.source.formats import Chunk
from hotfire.source.formats.join import derived
from hotfire.source.formats.json import JsonLines
from hotfire.source.formats.reading import Reading, text_format
from hotfire.source.spool.frames import Damage, Item

if TYPE_CHECKING:
    from hotfire.contract.model import Field
    from hotfire.protocols import Records

_LINES = Reading("jsonl")


class Piece(NamedTuple):
    """What is left of an item from offset `at`, up to its end or the end of a batch."""

    item: Item
    at: int
    data: bytes


class Run(Struct, frozen=True):
    """Neighbouring pieces that are read as one text, cut to whole records.

    Attributes:
        data: the pieces' bytes, each ended by a line feed.
        starts: where each piece begins in `data`.
        line, end_line: the numbers of its first line and of the line behind it.
        last: the item in which the run ends.
        end: the offset of what follows in the spool.
    """

    pieces: Sequence[Piece]
    data: bytes
    starts: Sequence[int]
    reading: Reading
    line: int
    end_line: int
    rows: int
    last: Item
    end: int

    def records(self, place: Place) -> Records:
        """Its records, each at its place in the spool."""
        own = replace(place, offset=0, line=self.line, facts={"reading": self.reading.facts()})
        if isinstance(self.last, Damage):
            return Damaged(replace(own, offset=self.last.start), self.data)
        chunk = Chunk(Part(own, len(self.data), self.end_line, self.rows), self.data)
        inner = derived(text_format(self.reading).records([chunk]), [(self.rows, self.reading)])
        return Placed(inner, own, self.starts, [one.at for one in self.pieces])


def runs(pieces: Iterable[Piece], reading: Reading, line: int, limit: int) -> Iterator[Run]:
    """Pieces as runs that hold at most `limit` records together; no more pieces are taken than it needs.

    Requests that are read alike, line by line, are one run. A JSON text of another form is a run alone, so that what
    is not closed in it takes nothing of its neighbours with it; so is a damage.

    Args:
        reading: how they are read, where their facts say nothing else.
    """

    @cache
    def read_as(facts: bytes) -> Reading:
        return Reading.of({**reading.facts(), **msgspec.json.decode(facts)}) if facts else reading

    def alike(piece: Piece) -> tuple[Reading | None, int]:
        if isinstance(piece.item, Damage):
            return None, piece.at
        own = read_as(piece.item.facts)
        return own, 0 if own.format == "jsonl" else piece.at

    for (own, _), members in groupby(pieces, alike):
        while limit > 0 and (some := list(_lines(members, limit))):
            run = _run(some, own, line, limit)
            yield run
            line, limit = run.end_line, limit - run.rows
        if limit <= 0:
            return


def _lines(pieces: Iterable[Piece], limit: int) -> Iterator[Piece]:
    """Pieces that have about `limit` lines together."""
    for piece in pieces:
        yield piece
        limit -= piece.data.count(b"\n") + (not piece.data.endswith(b"\n"))
        if limit <= 0:
            return


def _run(pieces: Sequence[Piece], reading: Reading | None, line: int, limit: int) -> Run:
    last = pieces[-1].item
    if reading is None:
        return Run(pieces, pieces[0].data, [0], _LINES, line, line + 1, 1, last, last.end)
    texts = [one.data if one.data.endswith(b"\n") else one.data + b"\n" for one in pieces]
    starts, size = [], 0
    for text in texts:
        starts.append(size)
        size += len(text)
    data = b"".join(texts) if len(texts) > 1 else texts[0]
    cut = text_format(reading).cut(data, line, final=True, limit=limit)
    if cut.end >= len(data):
        return Run(pieces, data, starts, reading, line, cut.end_line, cut.rows, last, last.end)
    number = bisect_right(starts, cut.end) - 1
    end = pieces[number].at + cut.end - starts[number]
    if cut.end == starts[number]:
        number -= 1
        end = pieces[number].item.end
    kept, data = number + 1, data[: cut.end]
    data = data if data.endswith(b"\n") else data + b"\n"
    return Run(pieces[:kept], data, starts[:kept], reading, line, cut.end_line, cut.rows, pieces[number].item, end)


class Placed(Struct, frozen=True):
    """Records of joined payloads. `starts`: where each begins in the text; `spots`: where in the spool."""

    inner: Records
    place: Place
    starts: Sequence[int]
    spots: Sequence[int]

    def __len__(self) -> int:
        return len(self.inner)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields: form and type only."""
        return self.inner.decode(fields)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes."""
        return self.inner.raw(row_no)

    def where(self, row_no: int) -> Place:
        """Where the record's first byte stands in the spool."""
        found = self.inner.where(row_no)
        number = bisect_right(self.starts, found.offset) - 1
        return replace(self.place, offset=self.spots[number] + found.offset - self.starts[number], line=found.line)


class Damaged(Struct, frozen=True):
    """The bytes of a damage as one record, which no contract accepts."""

    place: Place
    data: bytes

    def __len__(self) -> int:
        return 1

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """No row, and one fault."""
        chunk = Chunk(Part(self.place, 1, 1, 1), b"\0\n")
        decoded = JsonLines().records([chunk]).decode(fields)
        fault = replace(decoded.faults[0], value=None, detail=f"damaged on disk: {len(self.data)} bytes")
        return replace(decoded, faults=[fault])

    def raw(self, row_no: int) -> bytes:
        """All bytes of the damage, frames included."""
        del row_no
        return self.data

    def where(self, row_no: int) -> Place:
        """Where the damage begins."""
        del row_no
        return self.place
