"""Quoted cells of delimited text, as RFC 4180 has them: delimiters, line ends and doubled quotes inside quotes.

A quote opens a cell only as its first character; elsewhere it is a character like any other. A quoted cell may run
over line ends, but only where that makes a record with the right number of cells within `LOOK_AHEAD`: a quote that
never closes costs one line, not the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from msgspec import Struct

from hotfire.source.formats.lines import Bytes, Flags, Index, Offsets, lines

LOOK_AHEAD = 1 << 20
"""How many bytes a record may have whose quotes run over line ends."""

_BLOCK = 1 << 18
_CELL = r'(?:"(?:[^"]++|"")*+"|(?!")[^{delimiter}\n]*+)'


class Grammar(Struct, frozen=True):
    """The expressions of one delimiter and number of cells."""

    cell: re.Pattern[bytes]
    record: re.Pattern[bytes]


@cache
def grammar(delimiter: str, width: int) -> Grammar:
    """A record is `width` cells."""
    mark = re.escape(delimiter)
    cell = _CELL.format(delimiter=mark)
    return Grammar(re.compile(cell.encode()), re.compile(rf"{cell}(?:{mark}{cell}){{{width - 1}}}".encode()))


def index(data: bytes, delimiter: str, width: int, *, final: bool) -> Index:
    """The records of a buffer, where quotes may hold line ends."""
    found = lines(data, final=final)
    if b'"' not in data:
        return found
    form = grammar(delimiter, width)
    kept = np.ones(len(found.starts), np.bool_)
    ends = found.ends.copy()
    swallowed = -1
    for at in np.flatnonzero(~marks(data, found, delimiter).simple).tolist():
        start, end = int(found.starts[at]), int(found.ends[at])
        if at <= swallowed or _closed(form, data, start, end):
            continue
        close = _runs_to(form, data, start, final=final)
        if close is None:
            return _before(found, ends, kept, at)
        if close > end:
            swallowed = int(np.searchsorted(found.ends, close))
            ends[at] = close
            kept[at + 1 : swallowed + 1] = False
    return Index(found.starts[kept], ends[kept], found.lines[kept], found.stop, found.stop_line)


class Marks(Struct, frozen=True):
    """The quotes and delimiters of a buffer.

    Attributes:
        simple: which records have no quotes but simple ones: they open at a cell's begin, close at its end, and hold
            neither quotes nor line ends.
        delimiters: where delimiters stand outside quotes, in simple records; in others anywhere.
    """

    simple: Flags
    delimiters: Offsets


def marks(data: bytes, found: Index, delimiter: str) -> Marks:
    """Look at all quotes, a few hundred lines at a time: simple ones need no look at each."""
    array = np.frombuffer(data + b"\n", np.uint8)
    flags, places = np.ones(len(found.starts), np.bool_), [np.empty(0, np.int64)]
    first = 0
    while first < len(found.starts):
        begin = int(found.starts[first])
        last = max(int(np.searchsorted(found.starts, begin + _BLOCK)), first + 1)
        block = array[begin : found.ends[last - 1] + 1]
        quote, delimits = block == ord('"'), block == ord(delimiter)
        within = np.bitwise_xor.accumulate(quote)
        if not _all_simple(block, quote, delimits, within):
            starts, ends = found.starts[first:last] - begin, found.ends[first:last] - begin
            flags[first:last] = _each_simple(block, starts, ends, delimits)
            for at in np.flatnonzero(~flags[first:last]).tolist():
                quote[starts[at] : ends[at]] = False
            within = np.bitwise_xor.accumulate(quote)
        places.append(np.flatnonzero(delimits & ~within) + begin)
        first = last
    return Marks(flags, np.concatenate(places))


def _all_simple(block: Bytes, quote: Flags, delimits: Flags, within: Flags) -> bool:
    newline = block == ord("\n")
    edge = newline | delimits
    before = edge.copy()  # whether a quote at the byte before may close: at a cell's end, or at \r\n
    before[:-1] |= (block[:-1] == ord("\r")) & newline[1:]
    opens, closes = quote & within, quote & ~within
    odd = bool((opens[1:] & ~edge[:-1]).any()) or bool((closes[:-1] & ~before[1:]).any())
    return not odd and not (newline & within).any()


def _each_simple(block: Bytes, starts: Offsets, ends: Offsets, delimits: Flags) -> Flags:
    at = np.flatnonzero(block == ord('"'))
    line = np.searchsorted(ends, at)
    rank = np.arange(len(at)) - np.searchsorted(at, starts)[line]
    bare_ends = ends - (block[ends - 1] == ord("\r"))
    opens = (at == starts[line]) | delimits[at - 1]
    closes = (at + 1 == bare_ends[line]) | delimits[at + 1]
    fits = np.equal(np.bincount(line, minlength=len(ends)) % 2, 0)
    fits[line[~np.where(rank % 2 == 0, opens, closes)]] = False
    newline = np.flatnonzero(block == ord("\n"))
    line = np.searchsorted(ends, newline)
    fits[line[(newline > starts[line]) & (newline < ends[line])]] = False
    return fits


def _closed(form: Grammar, data: bytes, start: int, end: int) -> bool:
    """Whether every quoted cell that opens on the line closes on it."""
    at = start
    while match := form.cell.match(data, at, end):
        at = match.end() + 1
        if match.end() >= end:
            return True
    return False


def _runs_to(form: Grammar, data: bytes, start: int, *, final: bool) -> int | None:
    """Where the record's line end stands, over line ends in quotes; `start` where it does not run on.

    None where the buffer does not tell.
    """
    bound = start + LOOK_AHEAD
    match = form.record.match(data, start, bound)
    if match:
        after = data[match.end() : match.end() + 64]
        rest = after.lstrip(b"\r")
        if rest[:1] == b"\n" or (final and not rest):
            return match.end() + len(after) - len(rest)
    undecided = not final and len(data) < bound
    return None if undecided else start


def _before(found: Index, ends: Offsets, kept: Flags, at: int) -> Index:
    """The records in front of line `at`, which needs more bytes to be decided."""
    front = np.flatnonzero(kept[:at])
    return Index(found.starts[front], ends[front], found.lines[front], int(found.starts[at]), int(found.lines[at]))


def cells(line: bytes, delimiter: str, width: int) -> Sequence[str] | str:
    """The cells of one record, unquoted; or, as one text, why it is none."""
    form, mark, found, at = grammar(delimiter, width), delimiter.encode(), [], 0
    while True:
        match = form.cell.match(line, at)
        if match is None:
            return "a quote never closes"
        cell = match.group().decode()
        found.append(cell[1:-1].replace('""', '"') if cell.startswith('"') else cell)
        at = match.end()
        if at == len(line):
            break
        if line[at : at + 1] != mark:
            return "text after a closing quote"
        at += 1
    return found if len(found) == width else f"{len(found)} of {width} fields"
