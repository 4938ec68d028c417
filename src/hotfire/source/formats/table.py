"""Delimited text: CSV and its kin, and tables whose columns are separated by runs of white space.

Polars reads what is plain; what is not (quotes, ragged lines, bytes that are not UTF-8) is read line by line. Both
come to the same judgement of a record, whatever stands around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hotfire.rows import Decoded, Fault
from hotfire.source.formats import Chunk, Cut
from hotfire.source.formats.cells import forms_of
from hotfire.source.formats.columns import Block, read_cells, read_plain
from hotfire.source.formats.dialect import Dialect
from hotfire.source.formats.lines import Cuttings

if TYPE_CHECKING:
    from hotfire.contract.model import Field
    from hotfire.rows import Place


@dataclass(frozen=True, slots=True)
class Table(Dialect):
    """Tables of one dialect, as a format."""

    def cut(self, data: bytes, line: int, *, final: bool, limit: int) -> Cut:
        """How much of the buffer makes whole records, at most `limit` of them."""
        return self.index(data, final=final).cut(line, limit)

    def records(self, chunks: Sequence[Chunk]) -> Rows:
        """The records of chunks that this format has cut."""
        return Rows(self, chunks)


class Rows:
    """The records of a table's chunks."""

    def __init__(self, table: Table, chunks: Sequence[Chunk]) -> None:
        self._table = table
        self._cuttings = Cuttings(table, chunks)

    def __len__(self) -> int:
        return len(self._cuttings)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes, without its line end."""
        return self._cuttings.raw(row_no)

    def where(self, row_no: int) -> Place:
        """The place of the record's first byte."""
        return self._cuttings.where(row_no)

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Every record by its fields: form and type only."""
        forms, table = forms_of(fields), self._table
        datas = [chunk.data for chunk in self._cuttings.chunks]
        data = datas[0] if len(datas) == 1 else b"".join(one.removesuffix(b"\n") + b"\n" for one in datas)
        if not (table.quoted and b'"' in data):
            block = read_plain(table, table.tidy(data), len(self), forms)
            if block is not None:
                return _decoded([(np.arange(len(self)), block)], [])
        sorted_ = sort_out(table, self._cuttings.all())
        blocks = [(np.array(sorted_.odd_rows, np.int64), read_cells(table, sorted_.odd, forms))]
        if sorted_.plain:
            plain = b"\n".join(sorted_.plain) + b"\n"
            block = read_plain(table, table.tidy(plain), len(sorted_.plain), forms)
            if block is None:
                apart = (table.cells(line) for line in sorted_.plain)
                block = read_cells(table, [cells for cells in apart if not isinstance(cells, str)], forms)
            blocks.append((np.array(sorted_.plain_rows, np.int64), block))
        return _decoded(blocks, sorted_.faults)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Records by what has to be done with them: plain lines for polars, lines taken apart here, and no records."""

    plain: list[bytes]
    plain_rows: list[int]
    odd: list[Sequence[str]]
    odd_rows: list[int]
    faults: list[Fault]


def sort_out(table: Table, records: Sequence[bytes]) -> Sorted:
    """Look at every record by itself."""
    found = Sorted([], [], [], [], [])
    for row_no, line in enumerate(records):
        if table.plain(line):
            found.plain.append(line)
            found.plain_rows.append(row_no)
            continue
        try:
            cells = table.cells(line)
        except UnicodeDecodeError as error:
            excerpt = line.decode(errors="backslashreplace")[:200]
            detail = f"byte 0x{line[error.start]:02x} at {error.start}"
            found.faults.append(Fault(row_no, "row.encoding", excerpt, detail))
            continue
        if isinstance(cells, str):
            found.faults.append(Fault(row_no, "row.parse", line[:800].decode(errors="ignore")[:200], cells))
        else:
            found.odd.append(cells)
            found.odd_rows.append(row_no)
    return found


def _decoded(
    blocks: Sequence[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Block]], faults: list[Fault]
) -> Decoded:
    """Blocks and what could not be read, as one, by record number."""
    frames, coerced = [], []
    for numbers, block in blocks:
        frames.append(block.frame.insert_column(0, pl.Series("row_no", numbers, dtype=pl.UInt32)))
        faults = faults + [replace(fault, row_no=int(numbers[fault.row_no])) for fault in block.faults]
        coerced += [(int(numbers[at]), column, text) for at, column, text in block.coerced]
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal").sort("row_no")
    return Decoded(frame, sorted(faults, key=lambda fault: fault.row_no), sorted(coerced, key=lambda one: one[0]))
