"""Stream `dyno_telemetry`: turbofan engines run to failure in test cells, made up or from a C-MAPSS file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from hotfire.simulate.dirt import Columns, Lines
from hotfire.simulate.fault_file import plan
from hotfire.simulate.faults import DEFAULT_SHARES, Catalogue, Fault, Plan, given_to
from hotfire.simulate.model import Blocks, Form, Label, Request
from hotfire.simulate.order import Chunk, assemble
from hotfire.simulate.recording import Recording
from hotfire.simulate.sensors import Sensors, by_chance, sensor_kinds
from hotfire.simulate.turbofan import SENSORS, Life, lives, noise, rounded
from hotfire.simulate.writing import as_lines, decimals, written

Floats = NDArray[np.float64]

CHANNELS = tuple(one.name for one in SENSORS)
COUNTED = ("unit_id", "cycle", *CHANNELS)
"""The cells of a published file."""
KINDS = sensor_kinds({one.name: one.noise for one in SENSORS if one.worn})
DEGRADATION = "degradation"
"""The fault of labels that say from when on an engine is worn, until it fails."""

SET = "FD900"
"""The set of engines that are made up: none of the published ones."""

_SHARES = {**DEFAULT_SHARES, "out_of_order": 0.002}
_MOST = 9999
_NOISE = 6


def columns_of(form: Form) -> Columns:
    """The fields of a line."""
    spoilt = ("t24", "t30", "t50", "p30", "nc", "phi")
    if form == "txt":
        return Columns(COUNTED, "", spoilt, separator=" ")
    return Columns(("asset_id", "event_time", *COUNTED), "event_time", spoilt)


def generate(request: Request, recording: Recording | None = None) -> Blocks:
    """Readings of `request.assets` test cells, in order of time, each instant with one line a cell: a cycle.

    In every cell one engine runs after the other, each until it fails, or until its recording ends; recorded engines
    are dealt out to the cells in turn. What is made up goes on for as long as is asked, a recording until its end.

    Raises:
        UserError: for faults that cannot be.
    """
    set_id = recording.set_id if recording else SET
    units = [one.unit for one in recording.units] if recording else range(1, _MOST + 1)
    ways = tuple(
        way for way in (*_SHARES, "malformed", "late", "outage") if request.form != "txt" or way != "missing_zone"
    )
    shares = {way: share for way, share in _SHARES.items() if way in ways}
    assets = [f"{set_id}/{unit}" for unit in units]
    wanted = plan(request.faults, Catalogue(KINDS, ways, assets, shares))
    cells = [_Cell(cell, _turns(cell, request, recording), request, wanted) for cell in range(request.assets)]
    steps = min(request.steps, _longest(request, recording)) if recording else request.steps
    return assemble(_chunks(cells, steps, request, set_id), wanted, columns_of(request.form), request)


class _Turn(Struct, frozen=True):
    """One engine in a cell: steps `first` to `last` (exclusive).

    Attributes:
        cycles: of readings by their number from 0.
        course: readings by the same number, without noise.
    """

    asset: str
    unit: int
    first: int
    last: int
    cycles: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    course: Callable[[NDArray[np.int64]], Floats]
    life: Life | None = None


def _turns(cell: int, request: Request, recording: Recording | None) -> Iterator[_Turn]:
    first = 0
    if recording is None:
        for number, life in enumerate(lives(request.seed, cell)):
            unit = 1 + cell + number * request.assets
            yield _made_up(unit, life, first)
            first += life.cycles
    else:
        for one in recording.units[cell :: request.assets]:
            last = first + len(one.cycle)
            yield _Turn(
                f"{recording.set_id}/{one.unit}", one.unit, first, last, one.cycle.__getitem__, one.values.__getitem__
            )
            first = last


def _made_up(unit: int, life: Life, first: int) -> _Turn:
    def cycles(number: NDArray[np.int64]) -> NDArray[np.int64]:
        return number + 1

    def course(number: NDArray[np.int64]) -> Floats:
        return life.course(number + 1)

    return _Turn(f"{SET}/{unit}", unit, first, first + life.cycles, cycles, course, life)


def _longest(request: Request, recording: Recording) -> int:
    """Steps until the last cell has played its last unit."""
    lengths = [len(one.cycle) for one in recording.units]
    return max(sum(lengths[cell :: request.assets]) for cell in range(request.assets))


class _Readings(Struct, frozen=True):
    """What one cell's sensors say in a row of steps. `present` is False where there is no reading."""

    unit: NDArray[np.int64]
    cycle: NDArray[np.int64]
    values: Floats
    present: NDArray[np.bool_]


class _Cell:
    """A test cell, which runs its engines one after the other. Asked for its readings in order."""

    def __init__(self, index: int, turns: Iterator[_Turn], request: Request, plan: Plan) -> None:
        self._turns, self._request, self._plan = turns, request, plan
        self._turn = next(turns, None)
        self._rng = np.random.default_rng([request.seed, index, _NOISE])
        self._sensors = Sensors(CHANNELS)
        self._chance = by_chance(index, request, KINDS) if plan.random else iter(())
        self._next = next(self._chance, None)
        self._due = self._faults()

    def readings(self, low: int, high: int) -> tuple[_Readings, list[Label]]:
        """The readings of steps `low` to `high` (exclusive), and labels of what begins in them."""
        size, labels = high - low, list[Label]()
        found = _Readings(
            np.zeros(size, np.int64),
            np.zeros(size, np.int64),
            np.zeros((size, len(CHANNELS))),
            np.zeros(size, np.bool_),
        )
        at = low
        while self._turn is not None and at < high:
            turn, end = self._turn, min(high, self._turn.last)
            here = slice(at - low, end - low)
            number = np.arange(at, end) - turn.first
            values = turn.course(number).copy()
            if turn.life:
                values += noise(self._rng, end - at)
            begun = [one for one in self._due if one.first < end]
            self._due = self._due[len(begun) :]
            found.unit[here], found.cycle[here] = turn.unit, turn.cycles(number)
            found.present[here] = self._sensors.apply(begun, at, values)
            found.values[here] = rounded(values)
            labels += [one.label(turn.asset, self._request, KINDS) for one in begun]
            labels += _worn(turn, at, end, self._request)
            if end == turn.last:
                self._turn = next(self._turns, None)
                self._due = self._faults()
            at = end
        return found, labels

    def _faults(self) -> list[Fault]:
        """The faults of the engine that runs now, in order of time; none goes on in the next."""
        turn = self._turn
        if turn is None:
            return []
        own = given_to(self._plan, turn.asset, self._request)
        while self._next is not None and self._next.first < turn.last:
            own.append(self._next)
            self._next = next(self._chance, None)
        fitted = [replace(one, first=max(one.first, turn.first), last=min(one.last, turn.last)) for one in own]
        return [one for one in fitted if one.first < one.last]


def _worn(turn: _Turn, low: int, high: int, request: Request) -> list[Label]:
    """The label of an engine's degradation, if it begins in these steps."""
    if turn.life is None:
        return []
    first, last = turn.first + turn.life.degrades_at - 1, min(turn.last, request.steps)
    if not low <= first < min(high, last):
        return []
    since, until = request.instant_ns(first), request.instant_ns(last - 1)
    return [Label(turn.asset, DEGRADATION, since, until, severity="critical", rows=last - first)]


def _chunks(cells: Sequence[_Cell], steps: int, request: Request, set_id: str) -> Iterator[Chunk]:
    for low in range(0, steps, request.steps_a_block):
        high = min(low + request.steps_a_block, steps)
        parts = [cell.readings(low, high) for cell in cells]
        labels = [label for _, found in parts for label in found]
        lines = _lines([readings for readings, _ in parts], low, request, set_id)
        yield Chunk(lines, request.instant_ns(high), labels)


def _lines(parts: Sequence[_Readings], low: int, request: Request, set_id: str) -> Lines:
    """The readings of all cells as lines, by instant and cell, without those that are not there."""
    steps, width = len(parts[0].unit), len(parts)
    instants = request.instants(low, steps)
    unit, cycle, present = (
        np.stack([getattr(part, name) for part in parts], axis=1).ravel() for name in ("unit", "cycle", "present")
    )
    values = np.stack([part.values for part in parts], axis=1).reshape(-1, len(CHANNELS))[present]
    which = np.repeat(np.arange(steps), width)[present]
    numbers = pl.Series("unit_id", unit[present])
    columns: Mapping[str, pl.Series] = {
        "asset_id": set_id + "/" + numbers.cast(pl.String),
        "event_time": written(instants, decimals(request)).gather(which),
        "unit_id": numbers,
        "cycle": pl.Series(cycle[present]),
        **{
            one.name: pl.Series(values[:, place]).cast(pl.Int64 if one.decimals is None else pl.Float64)
            for place, one in enumerate(SENSORS)
        },
    }
    frame = pl.DataFrame(columns)
    shape = columns_of(request.form)
    text = frame.select(line=as_lines(request.form, shape.names, shape.separator)).to_series()
    return Lines(text, frame["asset_id"], instants[which])
