"""Answers as records: each with its own bytes, its key and its instant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.errors import Outage
from hotfire.rows import Decoded, Part, Place
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Field
    from hotfire.protocols import Records

Key = tuple[str | int, ...]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Page(msgspec.Struct, frozen=True):
    """One page of records, as `mongoose-paginate` and others write it."""

    docs: list[msgspec.Raw]
    hasNextPage: bool = False  # noqa: N815 - the API's own name


class Listing(msgspec.Struct, frozen=True):
    """The records of one answer, and whether there are more.

    Attributes:
        lines: each record's own bytes, without line feeds.
    """

    lines: list[bytes]
    more: bool = False


def listing(body: bytes, url: str) -> Listing:
    """The records of an answer: of a list, or of a page. Raises Outage where it is neither."""
    try:
        if body.lstrip()[:1] == b"[":
            return Listing([_line(one) for one in msgspec.json.decode(body, type=list[msgspec.Raw])])
        page = msgspec.json.decode(body, type=Page)
    except msgspec.DecodeError as error:
        do = "Nothing was done; the next poll asks again."
        raise Outage(f"{url} answers with something that is no list of records: {error}.", do) from error
    return Listing([_line(one) for one in page.docs], page.hasNextPage)


def _line(raw: msgspec.Raw) -> bytes:
    """A record on one line: outside of texts a line feed is as good as a return."""
    return bytes(raw).replace(b"\n", b"\r")


class Shape(Struct, frozen=True):
    """What of a record is looked at before its contract judges it.

    Attributes:
        key: the columns of its identity.
        since, planned: paths; see `RestSettings`.
    """

    key: Sequence[Column]
    since: str | None = None
    planned: str | None = None

    def key_of(self, record: Any) -> Key | None:
        """The record's identity; None where it cannot be told."""
        found = tuple(_at(record, column.path or column.name) for column in self.key)
        fits = all(
            isinstance(one, str) if column.type == "string" else type(one) is int
            for one, column in zip(found, self.key, strict=True)
        )
        return found if fits else None

    def since_of(self, record: Any) -> int | None:
        """Its instant in nanoseconds; None where it has none, or is still to come."""
        if self.since is None or (self.planned is not None and _at(record, self.planned) is True):
            return None
        return instant_ns(_at(record, self.since))


def instant_ns(value: Any) -> int | None:
    """An ISO 8601 instant in nanoseconds of UTC, to the microsecond; None where it is none. Without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def instant_text(at_ns: int) -> str:
    """As APIs in JavaScript write an instant: texts of this form are in order of time."""
    return (_EPOCH + timedelta(microseconds=at_ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def print_of(record: Any) -> str:
    """A hash of what a record says, however it is written."""
    return hashlib.sha256(msgspec.json.encode(record, order="sorted")).hexdigest()[:32]


def decoded(lines: Sequence[bytes]) -> Iterator[Any]:
    """What the records say."""
    return (msgspec.json.decode(line) for line in lines)


def _at(record: Any, path: str) -> Any:
    """The value under a dotted path; None where there is none."""
    if isinstance(record, Mapping) and path in record:
        return record[path]
    for name in path.split("."):
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


class Taken(Struct, frozen=True):
    """Implements `protocols.Records`: records of answers, and behind them the keys of those that are gone.

    Attributes:
        lines: the bytes of all, a line each.
        gone: the keys of the last of them.
    """

    part: Part
    lines: Sequence[bytes]
    gone: Sequence[Key]
    key: Sequence[Column]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def sha256(self) -> str:
        """Of all bytes."""
        return hashlib.sha256(b"".join(line + b"\n" for line in self.lines)).hexdigest()

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields; a deletion by its key alone."""
        present = len(self.lines) - len(self.gone)
        part = replace(self.part, rows=present)
        records: Records = JsonLines().records([Chunk(part, b"".join(line + b"\n" for line in self.lines[:present]))])
        found = records.decode(fields)
        if not self.gone:
            return found
        kinds = {one.storage: pl.String if one.type == "string" else pl.Int64 for one in self.key}
        keys = pl.DataFrame(self.gone, schema=kinds, orient="row")
        numbers = pl.Series("row_no", range(present, len(self.lines)), dtype=pl.UInt32)
        return replace(found, deleted=keys.insert_column(0, numbers))

    def raw(self, row_no: int) -> bytes:
        """The record's own bytes; of a deletion its key as JSON."""
        return self.lines[row_no]

    def where(self, row_no: int) -> Place:
        """The API, at the record's number among all that it ever gave."""
        place = self.part.place
        facts = {"reading": {"format": "jsonl"}}
        return replace(place, offset=place.offset + row_no, line=place.line + row_no, facts=facts)


def gone_lines(keys: Sequence[Key], shape: Shape) -> list[bytes]:
    """Deletions as lines: the key's columns by name."""
    names = [column.name for column in shape.key]
    return [msgspec.json.encode(dict(zip(names, key, strict=True))) for key in keys]
