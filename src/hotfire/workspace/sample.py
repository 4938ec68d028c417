"""The first records of a file, one column a field, for drafting a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.contract.model import Field
from hotfire.errors import UserError
from hotfire.source.files import FileSettings, FileSource
from hotfire.source.formats.reading import Reading
from hotfire.workspace.reading_files import file_settings

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Type
    from hotfire.protocols import Records
    from hotfire.workspace.model import Settings

MOST_RECORDS = 20_000
"""So many records are looked at."""

_COMMA = r"^\s*(-?[0-9]+),([0-9]+)\s*$"


class Sample(Struct, frozen=True):
    """The beginning of a file.

    Attributes:
        frame: columns by the path of their field: what the file holds, then what its settings add (derived fields, a
            clock, parts of the file's name).
        textual: values were read from text, as in CSV.
        odd: what was left out of a column because its type is another, in words, by path.
    """

    frame: pl.DataFrame
    textual: bool
    odd: Mapping[str, str] = field(default_factory=dict)


def sample(place: str, stream: str, settings: Settings | None, clock: Clock) -> Sample:
    """The first records of a place, read as the workspace's settings say, where they know the stream.

    Raises:
        UserError: there is no such file, it cannot be read, or it holds no records.
    """
    known = settings.streams.get(stream) if settings else None
    how = file_settings(settings, known.source) if settings and known else FileSettings()
    source = FileSource([place], replace(how, batch_rows=MOST_RECORDS), clock)
    try:
        read = source.poll({})
        for problem in source.problems:
            raise problem
        if read is None:
            raise UserError(f"{place} has no records.", "Give a file with at least one.")
        reading = Reading.of(read.span.parts[0].place.facts["reading"])
        return _of_table(read.records, reading) if reading.columns else _of_objects(read.records, reading)
    finally:
        source.close()


def save_draft(folder: Path, stream: str, text: str) -> Path:
    """Write a draft as the first version of a stream's contract; returns where. UserError where there is one already."""
    place = folder / "contracts" / stream / "v1.yaml"
    if place.exists():
        raise UserError(f"{place} is there already.", "Choose another --stream, or move it away.")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def _of_table(records: Records, reading: Reading) -> Sample:
    fields = [Field(name, name, "string", "iso", coerce=False) for name in reading.columns]
    frame = records.decode([*fields, *_added(reading)]).frame.drop("row_no")
    if reading.decimal == ",":
        frame = frame.with_columns(pl.col(name).str.replace(_COMMA, "$1.$2") for name in reading.columns)
    return Sample(frame, textual=True)


def _of_objects(records: Records, reading: Reading) -> Sample:
    """JSON objects by dotted path; what is no object is left out."""
    columns: dict[str, list[Any]] = {}
    rows: list[int] = []
    for row_no in range(len(records)):
        try:
            record = msgspec.json.decode(records.raw(row_no))
        except msgspec.DecodeError:
            continue
        if isinstance(record, dict):
            for path, value in _leaves(record):
                columns.setdefault(path, []).extend([None] * (len(rows) - len(columns.get(path, ()))))
                columns[path].append(value)
            rows.append(row_no)
    typed = [_typed(path, [*values, *[None] * (len(rows) - len(values))]) for path, values in columns.items()]
    frame = pl.DataFrame([series for series, _ in typed])
    added = _added(reading)
    if added and rows:
        made = records.decode(added).frame
        numbers = pl.DataFrame({"row_no": rows}, schema={"row_no": made.schema["row_no"]})
        frame = frame.hstack(numbers.join(made, on="row_no", how="left", maintain_order="left").drop("row_no"))
    return Sample(frame, textual=False, odd={series.name: odd for series, odd in typed if odd})


def _added(reading: Reading) -> list[Field]:
    """The fields that a file does not hold, but its settings make."""
    kinds: dict[str, Type] = dict.fromkeys([*reading.constants, *reading.derive], "string")
    if reading.clock:
        kinds[reading.clock.field] = "timestamp"
    return [Field(name, name, kind, "iso", coerce=False) for name, kind in kinds.items()]


def _leaves(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        elif not isinstance(value, list):
            yield f"{above}{name}", value


def _typed(path: str, values: Sequence[Any]) -> tuple[pl.Series, str]:
    """A column of the type that most values have, and what the others are, in words."""
    found = [value for value in values if value is not None]
    fits: dict[tuple[type, ...], int] = {
        kinds: sum(type(value) in kinds for value in found) for kinds in ((bool,), (str,), (int,), (int, float))
    }
    kinds = max(fits, key=lambda kinds: fits[kinds])
    others = [value for value in found if type(value) not in kinds]
    kept = [value if type(value) in kinds else None for value in values]
    dtype = {(bool,): pl.Boolean, (str,): pl.String, (int,): pl.Int64, (int, float): pl.Float64}[kinds]
    example = msgspec.json.encode(others[0]).decode()[:20] if others else ""
    odd = f"but for {len(others):,} of {len(found):,}, such as {example}" if others else ""
    return pl.Series(path, kept, dtype=dtype, strict=False), odd
