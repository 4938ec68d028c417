"""How one file is read: guessed once, when it is first seen, and kept with its place, so that it is never guessed anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct, field
from msgspec.structs import asdict

from hotfire.source.formats import TextFormat


class Counter(Struct, frozen=True):
    """An instant for files that only count: start + value of `column` / `rate_hz`, as field `field`."""

    column: str
    start_ns: int
    rate_hz: float = 1.0
    field: str = "event_time"


class Wanted(Struct, frozen=True):
    """What a person has set about how files are read. None and empty: by the file's name and content.

    Attributes:
        format: csv, tsv, whitespace, jsonl, json or parquet.
        delimiter, decimal: of text tables.
        columns: the names of tables without a header line.
        name_pattern: a regular expression over the file's name; its named groups become fields of text.
        derive: SQL over source fields, by the name of the field it makes.
        compression: none, gz or zst.
        needs: source fields without which no record of a table could be accepted.
    """

    format: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    columns: tuple[str, ...] = ()
    name_pattern: str | None = None
    clock: Counter | None = None
    derive: Mapping[str, str] = field(default_factory=dict)
    compression: str | None = None
    needs: tuple[str, ...] = ()


class Reading(Struct, frozen=True):
    """How one file is read.

    Attributes:
        format: jsonl, json, table or parquet.
        compression: none, gz or zst.
        delimiter: of tables; a space stands for any run of spaces and tabs.
        columns: of tables, in the order of the cells.
        start, start_line: where the first record may begin, after byte order mark and header.
        constants: fields of text that are the same for every record of the file.
    """

    format: str
    compression: str = "none"
    delimiter: str = ","
    decimal: str = "."
    columns: tuple[str, ...] = ()
    start: int = 0
    start_line: int = 1
    constants: Mapping[str, str] = field(default_factory=dict)
    clock: Counter | None = None
    derive: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As JSON values, without what is as by default."""
        plain = Reading(self.format)
        changed = {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}
        if self.clock:
            changed["clock"] = asdict(self.clock)
        if self.columns:
            changed["columns"] = list(self.columns)
        return {"format": self.format, **changed}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """The reading that gave these facts."""
        values = dict(facts)
        values["columns"] = tuple(values.get("columns", ()))
        values["clock"] = Counter(**values["clock"]) if values.get("clock") else None
        return cls(**values)


def text_format(reading: Reading) -> TextFormat:
    """What cuts and reads a text file of this reading."""
    match reading.format:
        case "jsonl":
            from hotfire.source.formats.json import JsonLines

            return JsonLines()
        case "json":
            from hotfire.source.formats.json import JsonValues

            return JsonValues()
        case _:
            from hotfire.source.formats.table import Table

            return Table(reading.columns, reading.delimiter, reading.decimal)
