"""Lines spoilt on purpose, as loggers and networks spoil them, and what a contract should say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
from msgspec import Struct

from hotfire.simulate.faults import Window
from hotfire.simulate.model import Label

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

SHARED = ("not_a_number", "missing_zone", "out_of_range", "truncated", "wrong_fields", "duplicate", "out_of_order")
"""What befalls single lines by chance."""


class Lines(Struct, frozen=True):
    """Lines in order, without line ends, and of each the asset and the instant."""

    text: pl.Series
    asset: pl.Series
    time_ns: NDArray[np.int64]

    def label(self, at: int, fault: str) -> Label:
        """A label for one line."""
        instant = int(self.time_ns[at])
        return Label(self.asset[at], fault, instant, instant)

    def within(self, window: Window, start_ns: int) -> NDArray[np.bool_]:
        """Which of them a window covers."""
        return covered(window, self.asset, self.time_ns, start_ns)


def covered(window: Window, asset: pl.Series, time_ns: NDArray[np.int64], start_ns: int) -> NDArray[np.bool_]:
    """Which readings a window covers. `start_ns` is the instant from which it counts."""
    within = time_ns >= start_ns + window.at_ns
    if window.for_ns is not None:
        within &= time_ns < start_ns + window.at_ns + window.for_ns
    if window.asset is not None:
        within &= (asset == window.asset).to_numpy()
    return within


class Columns(Struct, frozen=True):
    """What a line's fields are.

    Attributes:
        names: in the order of a line of cells.
        time: the name of the event time; empty where lines have none.
        channels: those whose value may be spoilt; 99999 is out of the first two's range, and the first is required.
        separator: between cells.
        out_of_range: what becomes of a line with such a value.
    """

    names: tuple[str, ...]
    time: str
    channels: tuple[str, ...]
    separator: str = ","
    out_of_range: Literal["corrected", "quarantined"] = "corrected"


def drawn(lines: Lines, draws: NDArray[np.float64], windows: Sequence[Window], start_ns: int) -> NDArray[np.int64]:
    """What befalls each line by chance: the number of a window, or -1. `draws` are one a line, from [0, 1)."""
    found = np.full(len(draws), -1)
    edge: NDArray[np.float64] = np.zeros(len(draws))
    for number, window in enumerate(windows):
        if window.kind not in SHARED:
            continue
        share = window.size if window.is_whole else np.where(lines.within(window, start_ns), window.size, 0.0)
        upper = edge + share
        found[(edge <= draws) & (draws < upper)] = number
        edge = upper
    return found


def spoil(way: str, line: str, columns: Columns, draw: float) -> dict[str, Any]:
    """Spoil one line (of cells, or JSON where it begins with a brace) in a way of SPOILT.

    `draw` from [0, 1) chooses the channel, or the place of a cut. Gives the label's text, check, channel and fate.
    """
    json = line.startswith("{")
    if way == "truncated":
        last = len(line) if json else line.rindex(columns.separator) + 1  # a shorter last cell may still be a number
        return {"text": line[: 1 + int(draw * (last - 1))], "check": "row.parse", "fate": "quarantined"}
    if way == "wrong_fields" and not json:
        return {"text": f"{line}{columns.separator}0", "check": "row.parse", "fate": "quarantined"}
    fate: str = "quarantined"
    if way == "missing_zone":
        channel, check = columns.time, "time"
    elif way == "not_a_number":
        channel, check = columns.channels[int(draw * len(columns.channels))], "type"
    elif way == "out_of_range":
        channel, check, fate = columns.channels[int(draw * 2)], "range", columns.out_of_range
    else:
        channel, check = columns.channels[0], "required"
    text = (_in_json if json else _in_cells)(way, line, columns, channel)
    return {"text": text, "check": f"{channel}.{check}", "channel": channel, "fate": fate}


_VALUES: Mapping[str, Any] = {"not_a_number": "n/a", "out_of_range": 99999.0}


def _in_cells(way: str, line: str, columns: Columns, column: str) -> str:
    cells = line.split(columns.separator)
    place = columns.names.index(column)
    cells[place] = cells[place].removesuffix("Z") if way == "missing_zone" else str(_VALUES[way])
    return columns.separator.join(cells)


def _in_json(way: str, line: str, _columns: Columns, column: str) -> str:
    fields = orjson.loads(line)
    value = fields.pop(column) if way == "wrong_fields" else fields[column]
    if way != "wrong_fields":
        fields[column] = value.removesuffix("Z") if way == "missing_zone" else _VALUES[way]
    return orjson.dumps(fields).decode()
