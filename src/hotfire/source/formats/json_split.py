"""Where the values of a JSON document begin and end: found in whole arrays of bytes, without a parser.

Brackets outside of strings are counted. An opening square bracket that stands where a record may begin, and neither
after a comma nor after another opening square bracket or a colon, opens an array whose elements are the records;
it and its closing bracket are no part of any record. What is decided about a byte depends on the bytes before it
only, back to the end of the record before.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from hotfire.source.formats.lines import Offsets

Pairs = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Marks = np.ndarray[tuple[int], np.dtype[np.bool_]]
Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]

_SPACE = b" \t\r\n"
_OPEN, _CLOSE = ord("{"), ord("}")
_FOLD = np.uint8(0x20)  # makes a square bracket a brace, and nothing else
_BLOCK = 1 << 18
_SEPARATES = np.zeros(256, np.bool_)
_SEPARATES[list(_SPACE + b",:[]")] = True
_BOM = b"\xef\xbb\xbf"
_STRING = rb'"(?:[^"\\]|\\.?)*+"?'
_TOKEN = re.compile(_STRING + rb'|(?:[^ \t\r\n,:\[\]"\\\xef]|\\["\\]?|\xef(?!\xbb\xbf))+', re.DOTALL)


class Values(Struct, frozen=True):
    """The values of a buffer, in order.

    Attributes:
        starts: where each value's first byte stands.
        ends: one past its last byte.
        unfinished: whether the last of them goes on beyond the buffer, or may do so.
    """

    starts: Offsets
    ends: Offsets
    unfinished: bool


def values(data: bytes) -> Values:
    """Every value of the buffer: objects, and whatever else stands where an object should."""
    array = np.frombuffer(data, np.uint8)
    at, steps = _brackets(data, array)
    steps[_outer(data, array, at)] = 0
    level = np.cumsum(steps)
    level -= np.minimum.accumulate(np.minimum(level, 0))  # what closes without an opening leaves the level as it is
    starts = at[(level == 1) & (steps == 1)]
    ends = at[(level == 0) & (np.diff(level, prepend=0) == -1)] + 1
    cut_off = len(starts) > len(ends)
    if cut_off:
        ends = np.append(ends, len(data.rstrip(_SPACE)))
    scalars = _scalars(data, array, starts, ends)
    if not len(scalars):
        return Values(starts, ends, cut_off)
    order = np.argsort(np.append(starts, scalars[:, 0]))
    unfinished = cut_off or bool(scalars[-1, 1] == len(data))
    return Values(np.append(starts, scalars[:, 0])[order], np.append(ends, scalars[:, 1])[order], unfinished)


def depth(data: bytes) -> int:
    """How deep the brackets of one value are nested."""
    _, steps = _brackets(data, np.frombuffer(data, np.uint8))
    return int(np.cumsum(steps).max(initial=0))


def _brackets(data: bytes, array: Bytes) -> tuple[Offsets, Offsets]:
    """Where brackets stand outside of strings, and for each 1 where it opens and -1 where it closes."""
    at = _positions(array, lambda part: (part | _FOLD == _OPEN) | (part | _FOLD == _CLOSE))
    at = at[np.searchsorted(_quotes(data, array), at) % 2 == 0]
    return at, np.where(array[at] | _FOLD == _OPEN, 1, -1)


def _positions(array: Bytes, marks: Callable[[Bytes], Marks]) -> Offsets:
    """Where the marks are true. Block by block: that stays in the CPU's cache."""
    found = (np.flatnonzero(marks(array[at : at + _BLOCK])) + at for at in range(0, len(array), _BLOCK))
    return np.concatenate([np.empty(0, np.int64), *found])


def _quotes(data: bytes, array: Bytes) -> Offsets:
    """Where quotes stand that open or close a string: those after an even number of backslashes."""
    quotes = _positions(array, lambda part: part == ord('"'))
    if b'\\"' not in data:
        return quotes
    slashes = np.flatnonzero(array == ord("\\"))
    begins = np.concatenate([np.ones(1, np.bool_), np.diff(slashes) > 1])
    run_starts = np.maximum.accumulate(np.where(begins, slashes, 0))
    behind = np.flatnonzero(array[quotes - 1] == ord("\\"))
    behind = behind[quotes[behind] > 0]
    runs = quotes[behind] - run_starts[np.searchsorted(slashes, quotes[behind] - 1)]
    return np.delete(quotes, behind[runs % 2 == 1])


def _outer(data: bytes, array: Bytes, at: Offsets) -> Offsets:
    """Which of the brackets open an array of records: those before which no value is begun."""
    opening = np.flatnonzero(array[at] == ord("["))
    before = array[np.maximum(at[opening] - 1, 0)]
    opening = opening[~(np.isin(before, np.frombuffer(b",[:", np.uint8)) & (at[opening] > 0))]
    kept = [index for index, start in zip(opening, at[opening].tolist(), strict=True) if not _follows(data, start)]
    return np.array(kept, np.int64)


def _follows(data: bytes, start: int) -> bool:
    """Whether the last byte before `start` that is no white space is a comma, a colon or an opening bracket."""
    reach = 256
    while True:
        before = data[max(start - reach, 0) : start].rstrip(_SPACE)
        if before:
            return before[-1] in b",[:"
        if reach >= start:
            return False
        reach *= 4


def _scalars(data: bytes, array: Bytes, starts: Offsets, ends: Offsets) -> Pairs:
    """Start and end of whatever stands between the values with brackets and is no separator."""
    opens, closes = np.append(starts, len(data)), np.concatenate([np.zeros(1, np.int64), ends])
    lengths = opens - closes
    gaps = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(gaps)) + np.repeat(closes - (np.cumsum(lengths) - lengths), lengths)
    filled = np.unique(gaps[~_SEPARATES[array[within]]])
    tokens = (_TOKEN.finditer(data, int(closes[gap]), int(opens[gap])) for gap in filled)
    return np.array([token.span() for gap in tokens for token in gap], np.int64).reshape(-1, 2)
