"""Delimited text as columns: the fast path through polars' reader, and the judgement of cells one by one.

Both give the same values, faults and coercions for a record; polars' reader is trusted with a block only where
counting says that every line has the right number of cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import orjson
import polars as pl
from msgspec import Struct

from hotfire.rows import Fault
from hotfire.source.formats.cells import WANTED, Form, judge
from hotfire.source.formats.dialect import decodes
from hotfire.source.formats.lines import lines

if TYPE_CHECKING:
    from hotfire.source.formats.dialect import Dialect

_BLOCK = 1 << 18
_TYPED = ("integer", "number")

Forms = Mapping[str, tuple[Form, ...]]


class Block(Struct, frozen=True):
    """Judged records: columns by the name of their form, and `unknown_fields` where the table has such columns.

    Attributes:
        faults, coerced: numbered from 0 within the block.
    """

    frame: pl.DataFrame
    faults: list[Fault]
    coerced: list[tuple[int, str, str]]


def read_plain(table: Dialect, data: bytes, rows: int, forms: Forms) -> Block | None:
    """Tidy records that fit the dialect through polars; None where it does not see them so."""
    try:
        frame = _csv(table, data, {name: _narrow(table, forms.get(name, ())) for name in table.columns})
        broken = [name for name in table.columns if _needs_text(frame[name], forms.get(name, ()), table)]
        again = _csv(table, data, {name: pl.String() for name in table.columns}, broken) if broken else None
    except pl.exceptions.PolarsError:
        return None
    if frame.height != rows or (again is not None and again.height != rows):
        return None
    texts = {name: again[name] for name in broken} if again is not None else {}
    return _block(table, forms, frame, texts)


def regular(table: Dialect, data: bytes, rows: int) -> bool:
    """Whether a tidy buffer holds nothing but `rows` records that fit, found out as cheaply as can be.

    Without quotes, the number of delimiters is right on the whole; together with polars' refusal of lines with too
    many cells, that says that no line has too few. Blank lines show in the number of newlines.
    """
    if table.quoted and b'"' in data:
        found = lines(data, final=True)
        return len(found.starts) == rows and bool(table.fits(data, found).all())
    right = _count(data, "\n") == rows - (not data.endswith(b"\n"))
    right = right and _count(data, table.delimiter) == rows * (len(table.columns) - 1)
    return right and (data.isascii() or decodes(data))


def _count(data: bytes, character: str) -> int:
    """How often a character stands in the buffer; by NumPy in blocks, three times as fast as by `bytes.count`."""
    array, code = np.frombuffer(data, np.uint8), ord(character)
    return sum(int(np.count_nonzero(array[at : at + _BLOCK] == code)) for at in range(0, len(array), _BLOCK))


def read_cells(table: Dialect, cells: Sequence[Sequence[str]], forms: Forms) -> Block:
    """Records that were taken apart already."""
    columns = list(zip(*cells, strict=True)) if cells else [()] * len(table.columns)
    series = [pl.Series(name, column, dtype=pl.String) for name, column in zip(table.columns, columns, strict=True)]
    return _block(table, forms, pl.DataFrame(series), {one.name: one for one in series})


def _csv(table: Dialect, data: bytes, schema: dict[str, pl.DataType], columns: list[str] | None = None) -> pl.DataFrame:
    return pl.read_csv(
        data,
        has_header=False,
        schema=schema,
        columns=[list(schema).index(name) for name in columns] if columns is not None else None,
        separator=table.delimiter,
        quote_char='"' if table.quoted and b'"' in data else None,
        ignore_errors=True,
    )


def _narrow(table: Dialect, forms: Sequence[Form]) -> pl.DataType:
    """What polars' reader may read a column as: its numbers are ours, but for decimal commas."""
    if len(forms) == 1 and forms[0].field.type in _TYPED and table.decimal == ".":
        return forms[0].dtype
    return pl.String()


def _needs_text(column: pl.Series, forms: Sequence[Form], table: Dialect) -> bool:
    """Whether a column that was read as numbers has cells that only their text explains."""
    return _narrow(table, forms) != pl.String and column.null_count() > 0


def _block(table: Dialect, forms: Forms, frame: pl.DataFrame, texts: Mapping[str, pl.Series]) -> Block:
    columns, faults, coerced = [], [], []
    for path, wanted in forms.items():
        if path not in frame.columns:
            columns += [
                pl.Series(form.name, [None], dtype=form.dtype).new_from_index(0, frame.height) for form in wanted
            ]
            continue
        column = frame[path]
        if column.dtype != pl.String and path not in texts:
            columns.append(column)
            continue
        odd = column.is_null().arg_true() if column.dtype != pl.String else None
        text = texts.get(path, column)
        cells = judge(text if odd is None else text.gather(odd), wanted, table.decimal)
        at = odd.to_list() if odd is not None else range(frame.height)
        columns += cells.values if odd is None else [column.scatter(odd, cells.values[0])]
        last = wanted[0].field
        faults += [Fault(at[k], f"{last.column}.type", text[:200], WANTED[last.type]) for k, text in cells.broken]
        coerced += [(at[k], form.field.column, text) for k, form, text in cells.coerced]
    unknown = [frame[name].cast(pl.String) for name in sorted(frame.columns) if name not in forms]
    if unknown:
        columns.append(_unknown(unknown))
    return Block(pl.DataFrame(columns), faults, coerced)


def _unknown(columns: Sequence[pl.Series]) -> pl.Series:
    """What the contract does not know, as a JSON object of text a record; null where every such cell is empty."""
    names = [column.name for column in columns]
    objects = [
        orjson.dumps({name: text for name, text in zip(names, row, strict=True) if text}).decode() if any(row) else None
        for row in zip(*(column.to_list() for column in columns), strict=True)
    ]
    return pl.Series("unknown_fields", objects, dtype=pl.String)
