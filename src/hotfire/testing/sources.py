"""A source made of a list, with marks inside the data for crashes and ends. For tests of anything the engine drives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.model import Field
from hotfire.errors import SourceChanged
from hotfire.protocols import Records
from hotfire.rows import Decoded, Part, Place, Position, Span
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines


class Mark(Enum):
    """Not a record: something that happens when the source reaches it, once."""

    CRASH = "crash"
    END = "end"


CRASH = Mark.CRASH
"""Polling past this raises `Crash` the first time: the process would have died here."""
END = Mark.END
"""Polling stops here the first time, as if nothing more were there at present."""


class Crash(BaseException):
    """The process would have died here. Not an Exception: nothing may catch it by accident."""


class ListRead(Struct, frozen=True):
    """What one poll brought."""

    span: Span
    sha256: str
    records: Records
    received_at_ns: int | None = None


class Listed(Struct, frozen=True):
    """Records of a list, each at its number in it."""

    place: Place
    numbers: Sequence[int]
    records: Records

    def __len__(self) -> int:
        return len(self.records)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields."""
        return self.records.decode(fields)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes."""
        return self.records.raw(row_no)

    def where(self, row_no: int) -> Place:
        """The list, at the record's number."""
        return replace(self.place, offset=self.numbers[row_no], line=self.place.line + row_no)


class ListSource:
    """Implements `protocols.Source` on a list of records (dicts become JSON lines, bytes stay) and marks.

    Args:
        items: records and marks.
        batch: at most this many records a poll.
    """

    def __init__(self, items: Sequence[dict[str, Any] | bytes | Mark], batch: int = 1000) -> None:
        self._items = [msgspec.json.encode(item) if isinstance(item, dict) else item for item in items]
        self._batch = batch
        self._passed: set[int] = set()
        self.acknowledged: Position = {}

    def poll(self, after: Position) -> ListRead | None:
        """The next records; a mark in the way is obeyed once and then passed."""
        place = after.get("list", Place("list", "list", facts={"reading": {"format": "jsonl"}}))
        at = end = place.offset
        rows = 0
        while end < len(self._items) and rows < self._batch:
            item = self._items[end]
            if isinstance(item, Mark) and end not in self._passed:
                if rows:
                    break
                self._passed.add(end)
                if item is CRASH:
                    raise Crash
                return None
            rows += not isinstance(item, Mark)
            end += 1
        return self._read(place, at, end, rows) if rows else None

    def reread(self, span: Span) -> ListRead:
        """The records of a span again."""
        (part,) = span.parts
        read = self._read(part.place, part.place.offset, part.end, part.rows)
        if len(read.records) != part.rows:
            raise SourceChanged("The list is shorter than it was.")
        return read

    def acknowledge(self, position: Position) -> None:
        """Remembered in `acknowledged`."""
        self.acknowledged = position

    def close(self) -> None:
        """Nothing is held."""

    def _read(self, place: Place, start: int, end: int, rows: int) -> ListRead:
        found = [(at, item) for at, item in enumerate(self._items[start:end], start) if not isinstance(item, Mark)]
        data = b"".join(item + b"\n" for _, item in found)
        part = Part(place, end, place.line + rows, rows)
        records = Listed(place, [at for at, _ in found], JsonLines().records([Chunk(part, data)]))
        return ListRead(Span((part,)), hashlib.sha256(data).hexdigest(), records)
