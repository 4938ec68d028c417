"""Parquet: rows by number, read slice by slice; types are the file's, held against the contract as strictly as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from msgspec.structs import replace

from hotfire.contract.nested import written_array
from hotfire.contract.times import NUMBER
from hotfire.rows import Decoded, Fault
from hotfire.source.formats.cells import DTYPES, forms_of, judge

if TYPE_CHECKING:
    from hotfire.contract.model import Field
    from hotfire.rows import Part, Place
    from hotfire.source.formats.cells import Form


def names(path: Path) -> tuple[str, ...]:
    """The leaf columns, nested ones by dotted path. Raises PolarsError where the file is not Parquet."""
    return tuple(_leaves(pl.read_parquet_schema(path)))


def height(path: Path) -> int:
    """How many rows the file holds, by its footer."""
    return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


def read(path: Path, offset: int, end: int) -> pl.DataFrame:
    """The rows [offset, end); reads no more row groups than they touch."""
    return pl.scan_parquet(path, glob=False).slice(offset, end - offset).collect().rechunk()


def content(frame: pl.DataFrame) -> bytes:
    """The rows as bytes, the same for the same rows: what a span of Parquet is hashed by."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


class ParquetRows:
    """Rows of one part of a Parquet file."""

    def __init__(self, part: Part, frame: pl.DataFrame) -> None:
        self._part, self._frame = part, frame

    def __len__(self) -> int:
        return self._frame.height

    def raw(self, row_no: int) -> bytes:
        """The row as a JSON object; instants in ISO 8601, so that it can be judged again as a line of JSON."""
        return orjson.dumps(_json(self._written.row(row_no, named=True)))

    def where(self, row_no: int) -> Place:
        """The row's place: its number, from 0 as offset and from 1 as line."""
        place = self._part.place
        return replace(place, offset=place.offset + row_no, line=place.line + row_no)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every row by its fields: form and type only."""
        found, forms = dict(_flat(self._frame)), forms_of(fields)
        columns = [pl.Series("row_no", range(len(self)), dtype=pl.UInt32)]
        faults: list[Fault] = []
        coerced: list[tuple[int, str, str]] = []
        for path, wanted in forms.items():
            column = found.get(path, pl.Series(path, [None], dtype=pl.Null).new_from_index(0, len(self)))
            undecided = column.is_not_null()
            for form in wanted:
                strict = _strict(column, form.field)
                read = _lenient(column, strict, form) if form.field.coerce else strict
                won = undecided & read.is_not_null()
                columns.append(_only(read, won | strict.is_not_null()).alias(form.name))
                coerced += [(at, form.field.column, text) for at, text in _where(won & strict.is_null(), column)]
                undecided = undecided & ~won
            last = wanted[0].field
            detail = f"{column.dtype} is not {last.type}"
            faults += [Fault(at, f"{last.column}.type", text[:200], detail) for at, text in _where(undecided, column)]
        unknown = {name: column for name, column in found.items() if name not in forms}
        if unknown:
            columns.append(_unknown(unknown, len(self)))
        by_row = sorted(faults, key=lambda fault: fault.row_no)
        return Decoded(pl.DataFrame(columns), by_row, sorted(coerced, key=lambda one: one[0]), self.written)

    def written(self, row_no: int, path: str) -> str | None:
        """As `Decoded.written`."""
        columns = self._texts
        value = columns[path][row_no] if path in columns else None
        return None if value is None else _shown(value)

    @cached_property
    def _written(self) -> pl.DataFrame:
        return _temporal_as_text(self._frame)

    @cached_property
    def _texts(self) -> Mapping[str, pl.Series]:
        return dict(_flat(self._written))


def _leaves(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Struct):
            yield from _leaves(dict(dtype), f"{prefix}{name}.")
        else:
            yield prefix + name


def _flat(frame: pl.DataFrame, prefix: str = "") -> Iterator[tuple[str, pl.Series]]:
    for column in frame:
        if isinstance(column.dtype, pl.Struct):
            yield from _flat(column.struct.unnest(), f"{prefix}{column.name}.")
        else:
            yield prefix + column.name, column


def _strict(column: pl.Series, field: Field) -> pl.Series:
    """The column as the field wants it; null throughout where its type is another."""
    kind = column.dtype
    whole = kind.is_integer() or (isinstance(kind, pl.Decimal) and kind.scale == 0)
    text = kind in (pl.String, pl.Categorical, pl.Enum)
    instant = field.type == "timestamp"
    if (instant and isinstance(kind, pl.Datetime)) or (field.type == "boolean" and kind == pl.Boolean):
        return column
    if instant and kind.is_numeric() and field.format != "iso":
        return column if kind.is_integer() else column.cast(pl.Int128 if whole else pl.Float64)
    if text and (field.type in ("string", "date") or (instant and field.format == "iso")):
        texts = column.cast(pl.String)
        return _only(texts, ~texts.str.contains("\0", literal=True).fill_null(value=False))
    if (field.type == "integer" and whole) or (field.type == "number" and kind.is_numeric()):
        return column.cast(DTYPES[field.type], strict=False)
    if field.type == "date" and kind == pl.Date:
        return column.dt.to_string("iso")
    if field.type == "array" and isinstance(kind, pl.List):
        found = [None if one is None else written_array(orjson.dumps(_json(one))) for one in column.to_list()]
    else:
        found = [None] * len(column)
    return pl.Series(column.name, found, dtype=DTYPES[field.type])


def _lenient(column: pl.Series, strict: pl.Series, form: Form) -> pl.Series:
    """The same, where numbers and booleans may also be written as text or text as they, or whole numbers as floats."""
    if form.field.type == "timestamp" and form.field.format != "iso" and column.dtype == pl.String:
        texts = column.str.strip_chars()
        return _only(texts, texts.str.contains(NUMBER).fill_null(value=False))
    if form.field.type == "string" and (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        return column.cast(pl.String)
    if form.field.type not in ("integer", "number", "boolean"):
        return strict
    if not (column.dtype == pl.String or column.dtype.is_numeric()):
        return strict
    judged = judge(column.cast(pl.String), [form]).values[0]
    return strict.zip_with(strict.is_not_null(), judged)


def _only(values: pl.Series, kept: pl.Series) -> pl.Series:
    nothing = pl.Series(values.name, [None], dtype=values.dtype).new_from_index(0, len(values))
    return values.zip_with(kept, nothing)


def _where(mask: pl.Series, column: pl.Series) -> list[tuple[int, str]]:
    at = mask.arg_true()
    return [(k, _shown(value)) for k, value in zip(at.to_list(), column.gather(at).to_list(), strict=True)]


def _shown(value: Any) -> str:
    """A value as the row shows it; text without quotes."""
    found = _json(value)
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def _temporal_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame([_as_text(column) for column in frame])


def _as_text(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Struct):
        return _temporal_as_text(column.struct.unnest()).to_struct(column.name)
    if isinstance(kind, pl.Datetime):
        zone = "Z" if kind.time_zone else ""
        utc = column.dt.convert_time_zone("UTC") if kind.time_zone else column
        return utc.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.9f{zone}")
    return column.dt.to_string("iso") if kind.is_temporal() else column


def _json(value: Any) -> Any:
    """A value as JSON has it. NaN and infinities are no JSON: as text they stay what they are, no numbers."""
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_json(one) for one in value]
    if isinstance(value, float) and not -1.8e308 < value < 1.8e308:
        return str(value)
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def _unknown(columns: Mapping[str, pl.Series], rows: int) -> pl.Series:
    names = sorted(columns)
    values = zip(*(_as_text(columns[name]).to_list() for name in names), strict=True)
    objects = [{name: _json(one) for name, one in zip(names, row, strict=True) if one is not None} for row in values]
    texts = [orjson.dumps(one).decode() if one else None for one in objects] if names else [None] * rows
    return pl.Series("unknown_fields", texts, dtype=pl.String)
