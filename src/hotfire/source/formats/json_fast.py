"""JSON records as columns: msgspec decodes each in one step, and what it refuses is judged at leisure."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import astuple

from hotfire.contract.model import Field
from hotfire.rows import Decoded
from hotfire.source.formats.json_layout import Form, Kind, Layout, Shape, fits, layout
from hotfire.source.formats.json_slow import Findings, judge

_FRAME_ROWS = 1 << 16
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


def decode(fields: Sequence[Field], blocks: Iterable[Sequence[bytes]]) -> Decoded:
    """The records of all blocks as columns. A block is a few hundred kilobytes of records, each whole.

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
            rows += len(block)
            lost += failed
            _extend(cells, plan.shape, good)
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


def _block(
    plan: Layout, block: Sequence[bytes], first: int, findings: Findings
) -> tuple[list[msgspec.Struct], list[int]]:
    """The block's records as Structs, and the numbers of those that could not be read."""
    step = _without_nul(plan) if any(_NUL in raw for raw in block) else plan.decoder.decode
    good: list[msgspec.Struct] = []
    failed: list[int] = []
    waiting = iter(block)
    while True:
        try:
            good.extend(map(step, waiting))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            at = len(good) + len(failed)
            record = judge(plan.shape, block[at], first + at, findings)
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


def _extend(cells: Cells, shape: Shape, records: Sequence[msgspec.Struct]) -> None:
    """Add the records' values to the columns. A record without an inner object has nulls there."""
    for slot, values in zip(shape.slots, zip(*map(astuple, records), strict=True), strict=bool(records)):
        if slot.inner is not None:
            inner, empty = slot.inner.struct, slot.inner.empty
            _extend(cells, slot.inner, [value if type(value) is inner else empty for value in values])
        if len(slot.forms) == 1 and slot.inner is None:
            cells[slot.forms[0].order].extend(values)
        else:
            _share(cells, slot.forms, values)


def _share(cells: Cells, forms: Sequence[Form], values: Sequence[Any]) -> None:
    """Give each value to the first form that it fits."""
    for value in values:
        taker = next((form for form in forms if fits(form.kind, value)), None)
        for form in forms:
            cells[form.order].append(value if form is taker else None)


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
