"""Delimited text: CSV and its kin, and tables whose columns are separated by runs of white space.

Polars reads what is plain; what is not (quotes, ragged lines, bytes that are not UTF-8) is read line by line. Both
come to the same judgement of a record, whatever stands around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.rows import Decoded, Fault
from hotfire.source.formats import Chunk, Cut
from hotfire.source.formats.cells import forms_of
from hotfire.source.formats.columns import Block, read_cells, read_plain, regular
from hotfire.source.formats.dialect import Dialect
from hotfire.source.formats.lines import Cuttings, Flags, Index, Offsets, lines

if TYPE_CHECKING:
    from hotfire.contract.model import Field
    from hotfire.rows import Place


class Table(Dialect, frozen=True):
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
        data = table.tidy(_together(self._cuttings.chunks))
        if regular(table, data, len(self)):
            block = read_plain(table, data, len(self), forms)
            if block is not None:
                return self._decoded([(np.arange(len(self)), block)], [])
        found = self._sorted_out()
        blocks = []
        if found.odd or not len(found.plain_rows):
            blocks.append((np.array(found.odd_rows, np.int64), read_cells(table, found.odd, forms)))
        if len(found.plain_rows):
            block = read_plain(table, table.tidy(found.plain), len(found.plain_rows), forms)
            if block is None:
                apart = (table.cells(line) for line in table.tidy(found.plain).split(b"\n")[:-1])
                block = read_cells(table, [cells for cells in apart if not isinstance(cells, str)], forms)
            blocks.append((found.plain_rows, block))
        return self._decoded(blocks, found.faults)

    def written(self, row_no: int, path: str) -> str | None:
        """As `Decoded.written`."""
        try:
            cells = self._table.cells(self.raw(row_no))
        except UnicodeDecodeError:
            return None
        known = path in self._table.columns and not isinstance(cells, str)
        return cells[self._table.columns.index(path)] if known else None

    def _decoded(self, blocks: Sequence[tuple[Offsets, Block]], faults: list[Fault]) -> Decoded:
        return replace(_decoded(blocks, faults), written=self.written)

    def _sorted_out(self) -> Sorted:
        """Every record by what has to be done with it."""
        plain, plain_rows, first = [], [np.empty(0, np.int64)], 0
        found = Sorted(b"", plain_rows[0], [], [], [])
        for chunk, index in zip(self._cuttings.chunks, self._cuttings.indexes, strict=True):
            data = chunk.data
            fits = self._fits(data, index)
            plain += _runs(data, index, fits)
            plain_rows.append(np.flatnonzero(fits) + first)
            for at in np.flatnonzero(~fits).tolist():
                found.put(first + at, data[index.starts[at] : index.ends[at]].rstrip(b"\r"), self._table)
            first += len(fits)
        return replace(found, plain=b"".join(plain), plain_rows=np.concatenate(plain_rows))

    def _fits(self, data: bytes, index: Index) -> Flags:
        if self._table.quoted:
            return self._table.fits(data, index)
        tidy = self._table.tidy(data)
        return self._table.fits(tidy, lines(tidy, final=True))


class Sorted(Struct, frozen=True):
    """Records by what has to be done with them: plain lines for polars, lines taken apart here, and no records."""

    plain: bytes
    plain_rows: Offsets
    odd: list[Sequence[str]]
    odd_rows: list[int]
    faults: list[Fault]

    def put(self, row_no: int, line: bytes, table: Table) -> None:
        """Take apart a record that is not plain."""
        try:
            cells = table.cells(line)
        except UnicodeDecodeError as error:
            detail = f"byte 0x{line[error.start]:02x} at {error.start}"
            self.faults.append(Fault(row_no, "row.encoding", line.decode(errors="backslashreplace")[:200], detail))
            return
        if isinstance(cells, str):
            self.faults.append(Fault(row_no, "row.parse", line[:800].decode(errors="ignore")[:200], cells))
            return
        self.odd.append(cells)
        self.odd_rows.append(row_no)


def _runs(data: bytes, index: Index, fits: Flags) -> list[bytes]:
    """The bytes of the records that fit, in runs of neighbours, each with its line end."""
    starts, ends = index.starts[fits], index.ends[fits]
    apart = np.flatnonzero(starts[1:] != ends[:-1] + 1)
    first, last = (
        starts[np.append(0, apart + 1)] if len(starts) else starts,
        ends[np.append(apart, -1)] if len(ends) else ends,
    )
    return [data[start:end] + b"\n" for start, end in zip(first.tolist(), last.tolist(), strict=True)]


def _together(chunks: Sequence[Chunk]) -> bytes:
    if len(chunks) == 1:
        return chunks[0].data
    return b"".join(chunk.data.removesuffix(b"\n") + b"\n" for chunk in chunks)


def _decoded(blocks: Sequence[tuple[Offsets, Block]], faults: list[Fault]) -> Decoded:
    """Blocks and what could not be read, as one, by record number."""
    frames, coerced = [], []
    for numbers, block in blocks:
        frames.append(block.frame.insert_column(0, pl.Series("row_no", numbers, dtype=pl.UInt32)))
        faults = faults + [replace(fault, row_no=int(numbers[fault.row_no])) for fault in block.faults]
        coerced += [(int(numbers[at]), column, text) for at, column, text in block.coerced]
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal").sort("row_no")
    return Decoded(frame, sorted(faults, key=lambda fault: fault.row_no), sorted(coerced, key=lambda one: one[0]))
