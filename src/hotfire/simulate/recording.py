"""Published C-MAPSS files, to be played: unit, cycle, three settings and 21 sensors in a line, units after each other."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from hotfire.errors import UserError
from hotfire.simulate.turbofan import SENSORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS = 2 + len(SENSORS)


class Recorded(Struct, frozen=True):
    """What is known of one unit.

    Attributes:
        cycle: one a reading.
        values: one row a reading, one column a sensor, as in SENSORS.
    """

    unit: int
    cycle: NDArray[np.int64]
    values: NDArray[np.float64]


class Recording(Struct, frozen=True):
    """The units of one file, in its order. `set_id` is in its name: FD001; FD000 where it is not."""

    set_id: str
    units: tuple[Recorded, ...]


def read_recording(path: Path) -> Recording:
    """Read a C-MAPSS file.

    Raises:
        UserError: it is not there, or a line of it is not 26 numbers.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.", "--from names a C-MAPSS file: train_FD001.txt.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}.") from error
    rows = [line.split() for line in lines if not line.isspace() and line]
    try:
        table = np.array([cell for row in rows for cell in row], dtype=np.float64).reshape(-1, _CELLS)
    except ValueError:
        table = np.empty((0, _CELLS))
    if not rows or any(len(row) != _CELLS for row in rows) or len(table) != len(rows) or not np.isfinite(table).all():
        raise _misfit(path, lines)
    found = re.search(r"FD\d{3}", path.name)
    return Recording(found[0] if found else "FD000", tuple(_units(table)))


def _units(table: NDArray[np.float64]) -> Sequence[Recorded]:
    """The units in the order in which they begin; lines of one need not be together."""
    number = table[:, 0].astype(np.int64)
    _, begins = np.unique(number, return_index=True)
    order = [int(number[at]) for at in sorted(begins)]
    own = [table[number == unit] for unit in order]
    return [Recorded(unit, rows[:, 1].astype(np.int64), rows[:, 2:]) for unit, rows in zip(order, own, strict=True)]


def _misfit(path: Path, lines: Sequence[str]) -> UserError:
    """What is wrong with the first line that is not one of a C-MAPSS file."""
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if cells and len(cells) != _CELLS:
            return UserError(f"{path}:{number} has {len(cells)} cells; a line of a C-MAPSS file has {_CELLS}.")
        for cell in cells:
            if not _is_number(cell):
                return UserError(f"{path}:{number}: {cell!r} is not a number.")
    return UserError(f"{path} holds no reading.")


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
