"""What is in one file, part by part: never more of it in memory than a batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.errors import SourceChanged, UserError
from hotfire.rows import Part, Place
from hotfire.source.compression import Packed, compression_of, length, opened
from hotfire.source.formats import Chunk, parquet
from hotfire.source.formats.reading import Reading, Wanted, text_format
from hotfire.source.formats.sniff import HEAD, check_columns, sniff
from hotfire.source.identity import HEAD as LAST
from hotfire.source.identity import digest, tail

if TYPE_CHECKING:
    from hotfire.source.identity import Seen

_BLOCK = 1 << 22
LONGEST = 1 << 28
"""A record longer than this is no record: the file is not what it seems."""


class Slice(Struct, frozen=True):
    """The rows of one part of a Parquet file."""

    part: Part
    frame: pl.DataFrame

    @property
    def data(self) -> bytes:
        """What the slice is hashed by."""
        return parquet.content(self.frame)


Taken: TypeAlias = Chunk | Slice


class Room(Struct, frozen=True):
    """How much may still be taken into a batch."""

    rows: int
    size: int


class TextFile:
    """A text file, open for reading."""

    def __init__(self, path: Path, reading: Reading, size: int) -> None:
        """`size`: where the content ends as far as it is known, in decompressed bytes."""
        self._path, self.size = path, size
        self._format = text_format(reading)
        self._bytes = opened(path, reading.compression)
        self._carry, self._carry_at = b"", -1

    def take(self, place: Place, room: Room, *, settled: bool) -> Chunk | None:
        """The next whole records at the place; None where there are none.

        Args:
            settled: nothing more will be written to the file: an unterminated last record is whole.

        Raises:
            UserError: more than `LONGEST` bytes without the end of a record.
        """
        offset, line, rows, taken = place.offset, place.line, 0, 0
        data = self._carry if self._carry_at == offset else b""
        pieces: list[bytes] = []
        while True:
            enough = not pieces and len(data) >= _BLOCK  # left over from the last batch: to be used up first
            want = 0 if enough else min(max(_BLOCK, len(data)), self.size - offset - len(data))
            block = self._bytes.read(offset + len(data), want) if want > 0 else b""
            data = data + block if data else block
            ended = len(block) < want or offset + len(data) >= self.size
            cut = self._format.cut(data, line, final=ended and settled, limit=room.rows - rows)
            pieces.append(data[: cut.end])
            data, offset, line = data[cut.end :], offset + cut.end, cut.end_line
            rows, taken = rows + cut.rows, taken + cut.end
            if ended or rows >= room.rows or (rows and taken >= room.size):
                break
            if len(data) > LONGEST:
                raise UserError(f"{self._path}:{line} has no end within {LONGEST >> 20} MB.", "Is it a text file?")
        if not rows:
            return None
        self._carry, self._carry_at = data, offset
        chunk = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        facts = {} if isinstance(self._bytes, Packed) else {"tail": [offset, *_last(chunk)]}
        return Chunk(Part(place, offset, line, rows, facts), chunk)

    def again(self, part: Part) -> Chunk:
        """Exactly the bytes of a part. Raises SourceChanged where they are not there."""
        data = self._bytes.read(part.place.offset, part.end - part.place.offset)
        if part.place.offset + len(data) < part.end:
            raise SourceChanged(*_shorter(self._path, part.place.offset + len(data), part.end, "bytes"))
        return Chunk(part, data)

    def close(self) -> None:
        """Let go of the file."""
        self._bytes.close()


class ParquetFile:
    """A Parquet file: offsets are rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = parquet.height(path)

    def take(self, place: Place, room: Room, *, settled: bool) -> Slice | None:
        """The next rows at the place, at most as many as there is room for; None where there are none."""
        end = min(place.offset + room.rows, self.size)
        if end <= place.offset:
            return None
        frame = parquet.read(self._path, place.offset, end)
        size = frame.estimated_size()
        if size > room.size and frame.height > 1:
            return self.take(place, replace(room, rows=max(1, frame.height * room.size // int(size))), settled=settled)
        return Slice(_rows(place, end), frame)

    def again(self, part: Part) -> Slice:
        """Exactly the rows of a part. Raises SourceChanged where they are not there."""
        if part.end > self.size:
            raise SourceChanged(*_shorter(self._path, self.size, part.end, "rows"))
        return Slice(part, parquet.read(self._path, part.place.offset, part.end))

    def close(self) -> None:
        """Nothing is held open."""


Contents: TypeAlias = TextFile | ParquetFile


def _last(chunk: bytes) -> tuple[int, str]:
    last = chunk[-LAST:]
    return len(last), digest(last)


def _rows(place: Place, end: int) -> Part:
    return Part(place, end, place.line + end - place.offset, end - place.offset)


def _shorter(path: Path, found: int, expected: int, unit: str) -> tuple[str, str]:
    return (
        f"{path} has shrunk: {found} {unit}, but {expected} were read before.",
        "Restore the file as it was, or give the new content another name. Nothing was done.",
    )


def open_contents(seen: Seen, place: Place, wanted: Wanted) -> tuple[Contents, Place]:
    """A file's contents, and its place with everything that is needed to open it again in the same way.

    Raises:
        UserError: the file is damaged, or cannot be read as what it seems to be.
        SourceChanged: it is shorter than what was read of it.
    """
    path = seen.path
    place = _first_look(seen, place, wanted)
    reading = Reading.of(place.facts["reading"])
    if reading.format == "parquet":
        contents: Contents = ParquetFile(path)
    else:
        size = seen.size
        if reading.compression != "none":
            place = _verified(seen, place, reading)
            size = place.facts["packed"][1]
        contents = TextFile(path, reading, size)
    if contents.size < place.offset:
        raise SourceChanged(
            *_shorter(path, contents.size, place.offset, "rows" if reading.format == "parquet" else "bytes")
        )
    return contents, place


def _verified(seen: Seen, place: Place, reading: Reading) -> Place:
    """Where the compressed file has not been read to its end yet, as large as it is now, that is done first."""
    if place.facts.get("packed", (None,))[0] == seen.size:
        return place
    return replace(place, facts={**place.facts, **_packed(seen, reading.compression)})


def _packed(seen: Seen, compression: str) -> dict[str, Any]:
    return {"packed": [seen.size, length(seen.path, compression)], "tail": tail(seen.path, seen.size)}


def _first_look(seen: Seen, place: Place, wanted: Wanted) -> Place:
    if "reading" in place.facts:
        return place
    compression = wanted.compression or compression_of(seen.head)
    if compression != "none":
        place = replace(place, facts={**place.facts, **_packed(seen, compression)})
    content = opened(seen.path, compression)
    head = content.read(0, HEAD)
    content.close()
    reading = sniff(seen.path, head, compression, wanted)
    if reading.format == "parquet":
        _check_parquet(seen.path, reading, wanted)
        place = replace(place, facts={**place.facts, "tail": tail(seen.path, seen.size)})
    start, line = reading.start, reading.start_line
    return replace(place, offset=start, line=line, facts={**place.facts, "reading": reading.facts()})


def _check_parquet(path: Path, reading: Reading, wanted: Wanted) -> None:
    if reading.compression != "none":
        raise UserError(f"{path} is a compressed Parquet file.", "Unpack it: Parquet compresses by itself.")
    try:
        columns = parquet.names(path)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} is not a whole Parquet file ({error}).", "Fetch the file again.") from error
    check_columns(path, columns, reading, wanted.needs)
