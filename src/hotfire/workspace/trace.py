"""From a line of a file to its fate: the ledger's spans say which batch read it, the tables what it became."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.clock import iso
from hotfire.contract.check import judge
from hotfire.contract.model import wire
from hotfire.engine.backfill import left_out
from hotfire.errors import SourceChanged, UserError
from hotfire.ledger.cleared import cleared_before
from hotfire.rows import BACKFILL, Fault, Part, Plan, Span
from hotfire.source.formats.join import records_from_raw
from hotfire.workspace.places import meant, near, relocated

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.protocols import Records
    from hotfire.rows import Place
    from hotfire.workspace.wiring import Workspace

_PAGE = 512


class Traced(Struct, frozen=True):
    """What became of one line.

    Attributes:
        fate: stored, duplicate, superseded, quarantined, repaired, discarded, pending, `not a record`, `not read yet`,
            `left out` by a backfill, or `unknown` where the file can no longer be read to tell which record of the batch it was.
        label, line: where its record begins, as the source calls it.
        checks: those it broke: `check`, `value`, `detail`.
        corrections: `column`, `check`, `raw`, `value`.
        row: the stored row, instants as ISO 8601; None where there is none.
        twin: of a duplicate, where the stored row is: `batch_seq`, `row_no`, and where known `place` and `line`.
    """

    stream: str
    fate: str
    label: str
    line: int | None = None
    detail: str = ""
    batch_seq: int | None = None
    row_no: int | None = None
    contract_version: str | None = None
    received_at: str | None = None
    checks: Sequence[Mapping[str, Any]] = ()
    corrections: Sequence[Mapping[str, Any]] = ()
    quarantine_id: int | None = None
    row: Mapping[str, Any] | None = None
    twin: Mapping[str, Any] | None = None


class _Batch(Struct, frozen=True):
    """One batch of the ledger, or a plan that has no commit yet."""

    shard: str
    batch_seq: int
    span: Span
    contract: str
    received_at_ns: int
    committed: bool


def trace(workspace: Workspace, file: str, line: int) -> Iterator[Traced]:
    """What became of a line, in every stream that read the file; the latest reading of it first.

    Args:
        file: a path, absolute or relative to the working folder or the workspace, or the end of one.
        line: counted from 1; of Parquet, the number of the row.

    Raises:
        UserError: no stream has read such a file, or several files are called so.
    """
    known = _known(workspace)
    keys = meant(file, workspace.settings.folder, known)
    if not keys:
        like = near(file, workspace.settings.folder, known)
        hint = f"Did you mean {like}?" if like else "Name it as `ingest` did, or by the end of its path."
        raise UserError(f"No stream has read {file}.", hint)
    for stream in workspace.settings.streams:
        named: list[Part] = []
        found: list[Traced] = []
        for batch in _batches(workspace, stream):
            for number, part in enumerate(batch.span.parts):
                if part.place.key in keys:
                    named.append(part)
                    if part.place.line <= line < part.end_line:
                        found.append(_traced(workspace, stream, batch, number, (file, line)))
        if found:
            yield from reversed(found)
        elif named and line < min(part.place.line for part in named):
            yield Traced(stream, "not a record", named[-1].place.label, detail="a header")
        elif named:
            detail = "the file ended before this line when it was last read"
            yield Traced(stream, "not read yet", named[-1].place.label, detail=detail)


def _known(workspace: Workspace) -> dict[str, list[Place]]:
    """Every file that was read, by its key, under each name that it had then; the latest last."""
    known: dict[str, dict[str, Place]] = {}
    for stream in workspace.settings.streams:
        for batch in _batches(workspace, stream):
            for part in batch.span.parts:
                names = known.setdefault(part.place.key, {})
                names.pop(part.place.label, None)
                names[part.place.label] = part.place
    return {key: list(names.values()) for key, names in known.items()}


def _batches(workspace: Workspace, stream: str) -> Iterator[_Batch]:
    store = workspace.store
    for shard in store.query("shards", stream=stream)["shard"]:
        after = 0
        while True:
            page = store.query("ledger", stream=stream, shard=shard, after=after, page=_PAGE)
            for row in page.filter(page["repair"] == 0).rows(named=True):
                span = msgspec.json.decode(row["span"], type=Span)
                yield _Batch(shard, row["batch_seq"], span, row["contract"], row["received_at_ns"], committed=True)
            if page.height < _PAGE:
                break
            after = page["batch_seq"][-1]
    for text in store.query("unfinished_plans", stream=stream)["plan"]:
        plan = msgspec.json.decode(text, type=Plan)
        if not plan.repair:
            yield _Batch(plan.shard, plan.batch_seq, plan.span, plan.contract, plan.received_at_ns, committed=False)


def _traced(workspace: Workspace, stream: str, batch: _Batch, number: int, asked: tuple[str, int]) -> Traced:
    """The fate of a line of the batch's part of that number; `asked` names the file and the line."""
    file, line = asked
    was = batch.span.parts[number]
    part = relocated(was, workspace.settings.folder, file)
    first = [0, *accumulate(part.read for part in batch.span.parts)][number]
    contract = workspace.contract_of(batch.contract)
    one = Traced(
        stream,
        "unknown",
        part.place.label,
        detail="the file can no longer be read",
        batch_seq=batch.batch_seq,
        contract_version=contract.version,
        received_at=iso(batch.received_at_ns),
    )
    rejected = workspace.store.query("quarantine_of_batch", stream=stream, shard=batch.shard, batch_seq=batch.batch_seq)
    records = _records(workspace, contract, part)
    if records is None:
        hit = rejected.filter(line=line, place=was.place.label)
        return _rejected(one, hit.row(0, named=True)) if hit.height else one
    at = _record_at(records, line)
    if at is None:
        return replace(one, fate="not a record", detail="a header, a blank line, or part of no record")
    one = replace(one, row_no=first + at, line=records.where(at).line, detail="")
    if not batch.committed:
        return replace(one, fate="pending", detail="its batch was interrupted; the next ingest finishes it")
    hit = rejected.filter(row_no=one.row_no)
    if hit.height:
        return _rejected(one, hit.row(0, named=True))
    return _accepted(workspace, batch, one, records_from_raw([_record(records, at)]))


def _records(workspace: Workspace, contract: Contract, part: Part) -> Records | None:
    """The part's records; None where the file has gone or changed."""
    try:
        return workspace.sources.rereading(contract).reread(Span((part.whole(),))).records
    except SourceChanged:
        return None


def _record(records: Records, at: int) -> tuple[bytes, Mapping[str, Any], Place]:
    """One record by itself: its bytes, how they are read, and its place."""
    place = records.where(at)
    return records.raw(at), place.facts, place


def _record_at(records: Records, line: int) -> int | None:
    """The record that the line belongs to: the last one that begins at or before it, if it reaches so far."""
    at = bisect_right(range(len(records)), line, key=lambda number: records.where(number).line) - 1
    if at < 0 or line > records.where(at).line + records.raw(at).count(b"\n"):
        return None
    return at


def _rejected(one: Traced, row: Mapping[str, Any]) -> Traced:
    faults = msgspec.json.decode(row["faults"], type=list[Fault])
    checks = [{"check": fault.check, "value": fault.value, "detail": fault.detail} for fault in faults]
    fate = "quarantined" if row["state"] == "open" else row["state"]
    return replace(
        one, fate=fate, detail="", row_no=row["row_no"], line=row["line"], checks=checks, quarantine_id=row["id"]
    )


def _accepted(workspace: Workspace, batch: _Batch, one: Traced, record: Records) -> Traced:
    """A record that is not in quarantine: stored (or superseded) under its own number, or a duplicate."""
    contract = workspace.contract_in_use(one.stream)
    own = _stored(workspace, contract, batch, one.row_no)
    if own.height:
        fate = "superseded" if "superseded" in own.columns and own["superseded"][0] else "stored"
        row = _readable(contract, own.row(0, named=True))
        return replace(one, fate=fate, row=row, corrections=_corrections(workspace, batch, one))
    rows = judge(contract, record.decode(wire(contract)), batch.received_at_ns).rows
    if batch.shard == BACKFILL and left_out(workspace.store, contract, batch.span, rows):
        return replace(one, fate="left out", detail="a backfill takes rows of its intervals that are not left to live")
    return replace(one, fate="duplicate", twin=_twin(workspace, contract, rows))


def _readable(contract: Contract, row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row under the contract's names, with its marks."""
    shown = {column.name: row.get(column.storage) for column in contract.columns}
    for column in contract.columns:
        instant = row.get(column.storage)
        if column.type == "timestamp" and instant is not None:
            shown[column.name] = iso(instant)
    return {**shown, **{mark: row[mark] for mark in ("late", "corrected", "unknown_fields")}}


def _stored(workspace: Workspace, contract: Contract, batch: _Batch, row_no: int | None) -> pl.DataFrame:
    """The row that was stored under this batch and record number, if there is one."""
    same = {"shard": batch.shard, "batch_seq": batch.batch_seq, "row_no": row_no}
    at = {"stream": contract.stream, "shard": batch.shard, "batch_seq": batch.batch_seq}
    cleared = workspace.store.query("ledger_batch", **at)["cleared"].item() > 0
    if cleared or workspace.settings.stream(contract.stream).lake_only:
        frames = workspace.lake.rows(contract, shard=batch.shard, after=batch.batch_seq - 1)
        return pl.concat([pl.DataFrame(), *(frame.filter(**same) for frame in frames)], how="diagonal")
    return workspace.store.batch(contract, batch.shard, batch.batch_seq).filter(**same)


def _corrections(workspace: Workspace, batch: _Batch, one: Traced) -> list[dict[str, Any]]:
    query = "corrections_of_batch"
    found = workspace.store.query(query, stream=one.stream, shard=batch.shard, batch_seq=batch.batch_seq)
    mine = found.filter(row_no=one.row_no).select("raw", "value", column="column_name", check="check_name")
    return mine.rows(named=True)


def _twin(workspace: Workspace, contract: Contract, rows: pl.DataFrame) -> Mapping[str, Any] | None:
    """Where the stored row with the identity of a duplicate record is, and which line it came from."""
    only, identity = workspace.settings.stream(contract.stream).lake_only, rows.select(contract.identity)
    found = (workspace.lake if only else workspace.store).stored(contract, identity)
    if found.is_empty() and not only and cleared_before(workspace.store, contract.stream) is not None:
        found = workspace.lake.stored(contract, identity)
    content = [column.storage for column in contract.columns]
    found = found.join(rows, on=content, how="semi", nulls_equal=True)
    if found.is_empty():
        return None
    row = found.row(-1, named=True)
    return {"batch_seq": row["batch_seq"], "row_no": row["row_no"], **_source_of(workspace, contract.stream, row)}


def _source_of(workspace: Workspace, stream: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The place and line that a stored row came from, where they can still be told."""
    for batch in _batches(workspace, stream):
        if (batch.shard, batch.batch_seq) == (row["shard"], row["batch_seq"]):
            first = 0
            for part in batch.span.parts:
                if row["row_no"] < first + part.read:
                    here = relocated(part, workspace.settings.folder, part.place.label)
                    records = _records(workspace, workspace.contract_of(batch.contract), here)
                    line = records.where(row["row_no"] - first).line if records else None
                    return {"place": here.place.label, "line": line}
                first += part.read
    return {}
