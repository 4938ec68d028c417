"""Lines spoilt on purpose, as loggers and networks spoil them, and what a contract should say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from hotfire.simulate.faults import DIRTY
from hotfire.simulate.model import Label

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 50  # a repeated line comes at most so many lines after the first


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in order, without line ends, and of each the asset and the instant."""

    text: pl.Series
    asset: pl.Series
    time_ns: NDArray[np.int64]

    def label(self, at: int, fault: str) -> Label:
        """A label for one line."""
        instant = int(self.time_ns[at])
        return Label(self.asset[at], fault, instant, instant)


@dataclass(frozen=True, slots=True)
class Columns:
    """What a line's fields are.

    Attributes:
        names: in the order of a CSV line.
        time: the name of the event time.
        channels: those whose value may be spoilt; 99999 is out of the first two's range, and the first is required.
    """

    names: tuple[str, ...]
    time: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A line that is due to come again, after the line of that number (counted over all blocks, without repeats)."""

    after: int
    text: str
    label: Label


def soil(
    lines: Lines, draws: NDArray[np.float64], shares: Mapping[str, float], columns: Columns, before: int
) -> tuple[pl.Series, dict[int, Label], list[Repeat]]:
    """Spoil some of the lines, and choose others to come again.

    Args:
        lines: as they should be.
        draws: two a line from [0, 1): which way it is spoilt, and where.
        shares: of lines to spoil in each way of DIRTY.
        columns: what their fields are.
        before: how many lines came before these.

    Returns:
        The lines, labels of the spoilt ones by place, and the repeats in the order of their lines.
    """
    edges = np.cumsum([shares.get(way, 0.0) for way in DIRTY])
    chosen = np.searchsorted(edges, draws[:, 0], side="right")
    labels: dict[int, Label] = {}
    repeats: list[Repeat] = []
    for at in np.flatnonzero(chosen < len(DIRTY)).tolist():
        way, text, draw = DIRTY[chosen[at]], str(lines.text[at]), float(draws[at, 1])
        if way == "duplicate":
            label = replace(lines.label(at, way), text=text, fate="duplicate")
            repeats.append(Repeat(before + at + 1 + int(draw * _REACH), text, label))
        else:
            labels[at] = replace(lines.label(at, way), **spoil(way, text, columns, draw))
    if not labels:
        return lines.text, labels, repeats
    changed = lines.text.clone().scatter(list(labels), [label.text for label in labels.values()])
    return changed, labels, repeats


def insert(text: pl.Series, repeats: Sequence[Repeat], before: int) -> tuple[pl.Series, NDArray[np.int64]]:
    """Lines with repeats among them; those that are due later come at the end.

    Also gives the place of every line, and after them of every repeat, in the result.
    """
    size = len(text)
    places = [min(one.after - before + 1, size) for one in repeats]
    order = np.insert(np.arange(size), places, size + np.arange(len(repeats)))
    whole = pl.concat([text, pl.Series([one.text for one in repeats], dtype=pl.String)])
    return whole.gather(order), np.argsort(order)


def spoil(way: str, line: str, columns: Columns, draw: float) -> dict[str, Any]:
    """Spoil one line (CSV, or JSON where it begins with a brace) in a way of DIRTY other than `duplicate`.

    `draw` from [0, 1) chooses the channel, or the place of a cut. Gives the label's text, check, channel and fate.
    """
    json = line.startswith("{")
    if way == "truncated":
        last = len(line) if json else line.rindex(",") + 1  # a shorter last field could still be a number
        return {"text": line[: 1 + int(draw * (last - 1))], "check": "row.parse", "fate": "quarantined"}
    if way == "wrong_fields" and not json:
        return {"text": f"{line},0", "check": "row.parse", "fate": "quarantined"}
    if way == "missing_zone":
        channel, check, fate = columns.time, "time", "quarantined"
    elif way == "not_a_number":
        channel, check, fate = columns.channels[int(draw * len(columns.channels))], "type", "quarantined"
    elif way == "out_of_range":
        channel, check, fate = columns.channels[int(draw * 2)], "range", "corrected"
    else:
        channel, check, fate = columns.channels[0], "required", "quarantined"
    text = (_in_json if json else _in_csv)(way, line, columns, channel)
    return {"text": text, "check": f"{channel}.{check}", "channel": channel, "fate": fate}


_VALUES: Mapping[str, Any] = {"not_a_number": "n/a", "out_of_range": 99999.0}


def _in_csv(way: str, line: str, columns: Columns, column: str) -> str:
    fields = line.split(",")
    place = columns.names.index(column)
    fields[place] = fields[place].removesuffix("Z") if way == "missing_zone" else str(_VALUES[way])
    return ",".join(fields)


def _in_json(way: str, line: str, _columns: Columns, column: str) -> str:
    fields = orjson.loads(line)
    value = fields.pop(column) if way == "wrong_fields" else fields[column]
    if way != "wrong_fields":
        fields[column] = value.removesuffix("Z") if way == "missing_zone" else _VALUES[way]
    return orjson.dumps(fields).decode()
