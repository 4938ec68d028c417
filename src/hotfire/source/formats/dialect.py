"""One way to write a table as text: what separates cells, and what one line is under it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from hotfire.source.formats import quotes
from hotfire.source.formats.lines import Flags, Index, lines


class Dialect(Struct, frozen=True):
    """One way to write a table as text.

    Attributes:
        columns: the names, in the order of the cells.
        delimiter: one character; a space stands for any run of spaces and tabs.
        decimal: the decimal mark, `.` or `,`.
    """

    columns: tuple[str, ...]
    delimiter: str = ","
    decimal: str = "."

    @property
    def quoted(self) -> bool:
        """Whether cells may stand in quotes."""
        return self.delimiter != " "

    def index(self, data: bytes, *, final: bool) -> Index:
        """Where the buffer's records stand."""
        if self.quoted:
            return quotes.index(data, self.delimiter, len(self.columns), final=final)
        return lines(data, final=final)

    def fits(self, data: bytes, found: Index) -> Flags:
        """Which records of a tidy buffer have the right number of cells, and no quotes but around whole cells.

        Polars' reader takes these apart as `cells` does.
        """
        flags = np.ones(len(found.starts), np.bool_)
        if self.quoted and b'"' in data:
            looked = quotes.marks(data, found, self.delimiter)
            flags, marks = looked.simple, looked.delimiters
        else:
            marks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord(self.delimiter))
        flags &= np.diff(np.searchsorted(marks, np.append(found.starts, len(data)))) == len(self.columns) - 1
        return flags & _utf8(data, found)

    def cells(self, line: bytes) -> Sequence[str] | str:
        """One record's cells, or why it is none. Raises UnicodeDecodeError."""
        if self.quoted and b'"' in line:
            return quotes.cells(line, self.delimiter, len(self.columns))
        text = line.decode()
        found = text.split(self.delimiter) if self.quoted else _words(text)
        if len(found) == len(self.columns):
            return found
        return f"{len(found)} of {len(self.columns)} fields"

    def tidy(self, data: bytes) -> bytes:
        """The buffer with bare newlines and, for white space, one space between cells."""
        if b"\r" in data:
            data = re.sub(rb"\r+\n", b"\n", data).rstrip(b"\r")
        if self.quoted:
            return data
        data = data.replace(b"\t", b" ")
        while b"  " in data:
            data = data.replace(b"  ", b" ")
        return data.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")


def _words(text: str) -> list[str]:
    """What spaces and tabs separate; no other white space does."""
    return [word for word in text.replace("\t", " ").split(" ") if word]


def _utf8(data: bytes, found: Index) -> Flags:
    """Which records are UTF-8. Only those with bytes beyond ASCII are looked at, and only where some is not."""
    flags = np.ones(len(found.starts), np.bool_)
    if data.isascii() or decodes(data):
        return flags
    high = np.flatnonzero(np.frombuffer(data, np.uint8) > 127)
    for at in np.unique(np.searchsorted(found.ends, high)).tolist():
        flags[at] = decodes(data[found.starts[at] : found.ends[at]])
    return flags


def decodes(data: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
