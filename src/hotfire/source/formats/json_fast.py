"""JSON records as columns: msgspec decodes each in one step, and what it refuses is judged at leisure."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import astuple

from hotfire.contract.model import Field
from hotfire.contract.nested import array_text
from hotfire.rows import Decoded, Fault
from hotfire.source.formats.dialect import decodes
from hotfire.source.formats.json_layout import Form, Kind, Layout, Path, Shape, fits, layout
from hotfire.source.formats.json_slow import Findings, judge
from hotfire.source.formats.json_unknown import Texts, TooDeepError, learnt, texts

_FRAME_ROWS = 1 << 14
_NUL = rb"\u0000"
_TYPES: Mapping[Kind, type[pl.DataType]] = {
    "text": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "epoch": pl.String,
    "array": pl.String,
}

_FIRST = (8, 64, 512)

Coerced = tuple[int, str, str]
Cells = list[list[Any]]
"""The values of every form, by its place among the fields."""


class Block(Struct, frozen=True):
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
    frames, faults, coerced, lost, rows = list[pl.DataFrame](), list[Fault](), list[Coerced](), list[int](), 0
    plan, unknown, keys = layout(fields), Texts(), Counter[Path]()
    cells: Cells = [[] for _ in plan.forms]
    pending = 0
    with _uncollected():
        for block in _pieces(blocks):
            known = plan if plan.shape.has_extras and _decodes(block) else layout(fields)
            piece = _read(known, layout(fields), block, rows)
            rows += len(block.records)
            lost += piece.failed
            faults += piece.findings.faults
            coerced += piece.findings.coerced
            unknown += piece.unknown()
            _extend(cells, piece.plan.shape, map(astuple, piece.good))
            if piece.findings.keys:
                keys += piece.findings.keys
                plan = layout(fields, learnt(keys))
            pending += len(piece.good)
            if pending >= _FRAME_ROWS:
                frames.append(_columns(plan, cells))
                cells, pending = [[] for _ in plan.forms], 0
        frames.append(_columns(plan, cells))
    row_no = pl.Series("row_no", np.delete(np.arange(rows, dtype=np.uint32), lost))
    kept = pl.Series("unknown_fields", unknown, dtype=pl.String)
    return Decoded(pl.DataFrame([row_no, *pl.concat(frames), kept]), faults, coerced)


class Piece(Struct, frozen=True):
    """Records that were read under one layout: Structs, the numbers of those that are none, and what was found."""

    plan: Layout
    first: int
    good: list[msgspec.Struct]
    failed: list[int]
    findings: Findings
    extras: Texts | None

    def unknown(self) -> Texts:
        """What each good record has besides the fields."""
        texts = self.extras or [None] * len(self.good)
        for row_no, text in self.findings.unknown:
            texts[row_no - self.first - bisect_left(self.failed, row_no)] = text
        return texts


def _pieces(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, the first one cut so that what is met in a few records is known for the others."""
    whole = iter(blocks)
    for block in whole:
        for start, end in pairwise((0, *_FIRST, len(block.records))):
            if block.records[start:end]:
                yield Block(block.records[start:end], block.nul)
        break
    yield from whole


def _decodes(block: Block) -> bool:
    """Whether all is UTF-8: msgspec does not look into values that it hands over as they are."""
    if all(map(bytes.isascii, block.records)):
        return True
    return decodes(b"\n".join(block.records))


def _read(plan: Layout, plain: Layout, block: Block, first: int) -> Piece:
    """The block's records by the plan, or by the one without extras where their values cannot be taken by themselves."""
    good, failed, findings = _block(plan, block, first)
    try:
        return Piece(plan, first, good, failed, findings, texts(plan.shape, good))
    except TooDeepError:
        return Piece(plain, first, *_block(plain, block, first), None)


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


def _block(plan: Layout, block: Block, first: int) -> tuple[list[msgspec.Struct], list[int], Findings]:
    """The block's records as Structs, the numbers of those that could not be read, and what was found in judging."""
    findings = Findings()
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
            return good, failed, findings


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
    nulls, struct = (None,) * (len(shape.slots) + len(shape.extras)), shape.struct
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
    if form.kind == "array":
        values = [None if value is None else array_text(value) for value in values]
    return pl.Series(form.name, values, dtype=_TYPES[form.kind], strict=True)
