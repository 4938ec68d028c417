"""How bytes become records: one module a format, each with `cut` (where records end) and `records` (what they say)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from hotfire.rows import Part

if TYPE_CHECKING:
    from hotfire.protocols import Records


class Chunk(Struct, frozen=True):
    """The bytes of one part, decompressed: whole records only, `data[0]` is at `part.place.offset`."""

    part: Part
    data: bytes


class Cut(Struct, frozen=True):
    """How much of a buffer makes whole records: up to `end`, where line `end_line` begins, `rows` of them."""

    end: int
    end_line: int
    rows: int


class TextFormat(Protocol):
    """What a text format is: a frozen value without files, that cuts buffers and reads what it cut."""

    def cut(self, data: bytes, line: int, *, final: bool, limit: int) -> Cut:
        """How much of the buffer makes whole records, at most `limit` of them.

        The buffer begins where a record begins (or in the white space before it), on line `line`. Where `final`,
        it ends the file: an unterminated last record is whole. The same bytes are cut into the same records,
        wherever the buffer ends.
        """
        ...

    def records(self, chunks: Sequence[Chunk]) -> Records:
        """The records of chunks that this format has cut, numbered through."""
        ...
