"""Several records as one: of files of different make in one batch, or of raw records that come out of quarantine."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.rows import Decoded, Part, Place
from hotfire.source.derive import Derived
from hotfire.source.formats import Chunk
from hotfire.source.formats.reading import Reading, text_format

if TYPE_CHECKING:
    from hotfire.contract.model import Field
    from hotfire.protocols import Records


Written: TypeAlias = Callable[[int, str], str | None]


class Joined:
    """Records after records, numbered through."""

    def __init__(self, groups: Sequence[Records]) -> None:
        self._groups = groups
        self._first = [0, *accumulate(len(group) for group in groups)]

    def __len__(self) -> int:
        return self._first[-1]

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields: form and type only."""
        frames, faults, coerced, written = [], [], [], []
        for first, group in zip(self._first, self._groups, strict=False):
            decoded = group.decode(fields)
            written.append(decoded.written)
            frames.append(decoded.frame.with_columns(pl.col("row_no") + pl.lit(first, pl.UInt32)))
            faults += [replace(fault, row_no=fault.row_no + first) for fault in decoded.faults]
            coerced += [(row_no + first, column, text) for row_no, column, text in decoded.coerced]
        whole = pl.concat(_alike(frames), how="diagonal")
        return Decoded(whole, faults, coerced, partial(self._written, written))

    def raw(self, row_no: int) -> bytes:
        """The record's bytes."""
        group, at = self._find(row_no)
        return group.raw(at)

    def where(self, row_no: int) -> Place:
        """The record's place."""
        group, at = self._find(row_no)
        return group.where(at)

    def _written(self, written: Sequence[Written | None], row_no: int, path: str) -> str | None:
        at = bisect_right(self._first, row_no) - 1
        found = written[at]
        return found(row_no - self._first[at], path) if found else None

    def _find(self, row_no: int) -> tuple[Records, int]:
        at = bisect_right(self._first, row_no) - 1
        return self._groups[at], row_no - self._first[at]


def _alike(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Frames whose columns of one name have one type: text where they had several (an instant in two forms)."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).add(dtype)
    return [
        frame.with_columns(_text(frame[name]) for name in frame.columns if len(types[name]) > 1) for frame in frames
    ]


def _text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.9f" + ("Z" if column.dtype.time_zone else ""))
    return column.cast(pl.String)


def text_records(chunks: Sequence[Chunk]) -> Records:
    """The records of chunks of text, each read as its place says; neighbours of one make are read as one."""
    readings = [Reading.of(chunk.part.place.facts["reading"]) for chunk in chunks]
    groups: list[Records] = []
    for reading, members in groupby(zip(readings, chunks, strict=True), key=lambda one: _make(one[0])):
        pairs = list(members)
        records = text_format(reading).records([chunk for _, chunk in pairs])
        groups.append(derived(records, [(chunk.part.rows, one) for one, chunk in pairs]))
    return groups[0] if len(groups) == 1 else Joined(groups)


def derived(records: Records, readings: Sequence[tuple[int, Reading]]) -> Records:
    """The records with their derived fields, where they have any."""
    first = readings[0][1]
    return Derived(records, readings) if first.constants or first.clock or first.derive else records


def _make(reading: Reading) -> Reading:
    """What files must have in common to be read as one: everything but where they start and their constants' values."""
    return replace(reading, start=0, start_line=1, constants=dict.fromkeys(reading.constants, ""), compression="none")


class Raws(Struct, frozen=True):
    """Raw records from anywhere, each with its own place."""

    raws: Sequence[tuple[bytes, Place]]
    records: Records

    def __len__(self) -> int:
        return len(self.raws)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields: form and type only."""
        return self.records.decode(fields)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes as they came."""
        return self.raws[row_no][0]

    def where(self, row_no: int) -> Place:
        """The place it was once read from."""
        return self.raws[row_no][1]


def records_from_raw(raws: Sequence[tuple[bytes, Mapping[str, Any], Place]]) -> Records:
    """Raw records of mixed origin as records again, each read as `facts["reading"]` says.

    Args:
        raws: (bytes as `Records.raw` gave them, the place's facts, the place).
    """
    if not raws:
        return Joined([])
    chunks = [_chunk(raw, facts, place) for raw, facts, place in raws]
    return Raws([(raw, place) for raw, _, place in raws], text_records(chunks))


def _chunk(raw: bytes, facts: Mapping[str, Any], place: Place) -> Chunk:
    """One record as a chunk. JSON of any kind becomes one line: a line feed outside texts is as good as a return."""
    reading = Reading.of(facts["reading"])
    if reading.format != "table":
        reading, raw = replace(reading, format="jsonl"), raw.replace(b"\n", b"\r")
    data = raw + b"\n"
    own = replace(place, facts={**facts, "reading": reading.facts()})
    return Chunk(Part(own, place.offset + len(data), place.line + 1, 1), data)
