"""Quoted cells of delimited text, as RFC 4180 has them: delimiters, line ends and doubled quotes inside quotes.

A quote opens a cell only as its first character; elsewhere it is a character like any other. A quoted cell may run
over line ends, but only where that makes a record with the right number of cells within `LOOK_AHEAD`: a quote that
never closes costs one line, not the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hotfire.source.formats.lines import Index, Offsets, lines

LOOK_AHEAD = 1 << 20
"""How many bytes a record may have whose quotes run over line ends."""

_CELL = r'(?:"(?:[^"]++|"")*+"|(?!")[^{delimiter}\n]*+)'


@dataclass(frozen=True, slots=True)
class Grammar:
    """The expressions of one delimiter and number of cells."""

    cell: re.Pattern[bytes]
    record: re.Pattern[bytes]
    simple: re.Pattern[bytes]


@cache
def grammar(delimiter: str, width: int) -> Grammar:
    """A record is `width` cells; a simple one has cells without any quote, or wholly quoted ones, on one line."""
    mark = re.escape(delimiter)
    cell = _CELL.format(delimiter=mark)
    simple = rf'(?:[^{mark}"\n]*+|"(?:[^"\n]++|"")*+")'
    expressions = (cell, rf"{cell}(?:{mark}{cell}){{{width - 1}}}", rf"{simple}(?:{mark}{simple}){{{width - 1}}}")
    return Grammar(*(re.compile(expression.encode()) for expression in expressions))


def index(data: bytes, delimiter: str, width: int, *, final: bool) -> Index:
    """The records of a buffer, where quotes may hold line ends."""
    found = lines(data, final=final)
    if b'"' not in data:
        return found
    form = grammar(delimiter, width)
    quoted = np.unique(np.searchsorted(found.ends, _quotes(data)))
    kept = np.ones(len(found.starts), np.bool_)
    ends = found.ends.copy()
    swallowed = -1
    for at in quoted.tolist():
        if at >= len(ends):
            break
        start, end = int(found.starts[at]), int(found.ends[at])
        if at <= swallowed or form.simple.fullmatch(data, start, end) or _closed(form, data, start, end):
            continue
        close = _runs_to(form, data, start, final=final)
        if close is None:
            return _before(found, ends, kept, at)
        if close > end:
            swallowed = int(np.searchsorted(found.ends, close))
            ends[at] = close
            kept[at + 1 : swallowed + 1] = False
    return Index(found.starts[kept], ends[kept], found.lines[kept], found.stop, found.stop_line)


def _quotes(data: bytes) -> Offsets:
    return np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))


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


def _before(found: Index, ends: Offsets, kept: np.ndarray[tuple[int], np.dtype[np.bool_]], at: int) -> Index:
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
