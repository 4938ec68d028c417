"""JSON records as columns: msgspec decodes each in one step, and what it refuses is judged at leisure."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import astuple

from hotfire.contract.model import Field
from hotfire.rows import Decoded
from hotfire.source.formats.json_layout import Form, Kind, Layout, Shape, fits, layout
from hotfire.source.formats.json_slow import Findings, judge

_FRAME_ROWS = 1 << 14
_NUL = rb"\u0000"
_TYPES: Mapping[Kind, type[pl.DataType]] = {
    "text": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "epoch": pl.String,
}

Numbers = np.ndarray[tuple[int], np.dtype[np.uint32]]
Cells = list[list[Any]]
"""The values of every form, by its place among the fields."""


@dataclass(frozen=True, slots=True)
class Block:
    """A few hundred kilobytes of records, each whole; `nul` where an escaped U+0000 may be in one of them."""

    records: Sequence[bytes]
    nul: bool


def has_nul(data: bytes) -> bool:
    """Whether an escaped U+0000 may be in the data: msgspec takes it for text like any other."""
    return b"\\" in data and _NUL in data


def decode(fields: Sequence[Field], blocks: Iterable[Block]) -> Decoded:
    """The records of all blocks as columns.

    Integers are judged as they are written: 4.0 and 1e3 are none. A key that occurs twice counts as it stood last.
    A number beyond float64 becomes infinite, so that its range decides. What stands in the record besides the fields
    is kept in `unknown_fields` as a JSON object with sorted keys.
    """
    plan, findings = layout(fields), Findings()
    frames, lost, rows = list[pl.DataFrame](), list[int](), 0
    cells: Cells = [[] for _ in plan.forms]
    pending = 0
    with _uncollected():
        for block in blocks:
            good, failed = _block(plan, block, rows, findings)
            rows += len(block.records)
            lost += failed
            _extend(cells, plan.shape, map(astuple, good))
            pending += len(good)
            if pending >= _FRAME_ROWS:
                frames.append(_columns(plan, cells))
                cells, pending = [[] for _ in plan.forms], 0
        frames.append(_columns(plan, cells))
    row_no = np.delete(np.arange(rows, dtype=np.uint32), lost)
    marks = pl.Series("row_no", row_no), *pl.concat(frames), _unknown(row_no, findings)
    return Decoded(pl.DataFrame(marks), findings.faults, findings.coerced)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector: a million new objects, none in a cycle, make it walk in vain."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _block(plan: Layout, block: Block, first: int, findings: Findings) -> tuple[list[msgspec.Struct], list[int]]:
    """The block's records as Structs, and the numbers of those that could not be read."""
    step = _without_nul(plan) if block.nul else plan.decoder.decode
    good: list[msgspec.Struct] = []
    failed: list[int] = []
    waiting = iter(block.records)
    while True:
        try:
            good.extend(map(step, waiting))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            at = len(good) + len(failed)
            record = judge(plan.shape, block.records[at], first + at, findings)
            if record is None:
                failed.append(first + at)
            else:
                good.append(record)
        else:
            return good, failed


def _without_nul(plan: Layout) -> Callable[[bytes], msgspec.Struct]:
    def step(raw: bytes) -> msgspec.Struct:
        if _NUL in raw:
            raise msgspec.DecodeError
        return plan.decoder.decode(raw)

    return step


def _extend(cells: Cells, shape: Shape, records: Iterable[tuple[Any, ...]]) -> None:
    """Add the records' values to the columns. A record without an inner object has nulls there."""
    for slot, values in zip(shape.slots, zip(*records, strict=True), strict=False):  # no record, no values
        if slot.inner is not None:
            _extend(cells, slot.inner, _opened(slot.inner, values, mixed=bool(slot.forms)))
        if len(slot.forms) == 1 and slot.inner is None:
            cells[slot.forms[0].order].extend(values)
        elif slot.forms:
            _share(cells, slot.forms, values)


def _opened(shape: Shape, values: Sequence[Any], *, mixed: bool) -> list[tuple[Any, ...]]:
    """The values of inner objects; nulls where there is none, or, where `mixed`, something else."""
    nulls, struct = (None,) * len(shape.slots), shape.struct
    if mixed:
        return [astuple(value) if type(value) is struct else nulls for value in values]
    return [nulls if value is None else astuple(value) for value in values]


def _share(cells: Cells, forms: Sequence[Form], values: Sequence[Any]) -> None:
    """Give each value to every form that it fits: which of them counts, the record's version says."""
    for form in forms:
        cells[form.order].extend(value if fits(form.kind, value) else None for value in values)


def _columns(plan: Layout, cells: Cells) -> pl.DataFrame:
    return pl.DataFrame([_series(form, values) for form, values in zip(plan.forms, cells, strict=True)])


def _series(form: Form, values: list[Any]) -> pl.Series:
    if form.kind == "epoch":
        values = [None if value is None else repr(value) for value in values]
    return pl.Series(form.name, values, dtype=_TYPES[form.kind], strict=True)


def _unknown(row_no: Numbers, findings: Findings) -> pl.Series:
    """What records had besides the fields, at their rows."""
    texts: list[str | None] = [None] * len(row_no)
    rows = np.searchsorted(row_no, np.array([number for number, _ in findings.unknown], np.uint32))
    for row, (_, text) in zip(rows.tolist(), findings.unknown, strict=True):
        texts[row] = text
    return pl.Series("unknown_fields", texts, dtype=pl.String)
