"""What one commit writes, table by table. Runs inside the store's transaction, behind its fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from hotfire.errors import SourceChanged
from hotfire.store import ddl

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.rows import Outcome
    from hotfire.store.connection import Connection

_COUNTS = ("received", "stored", "duplicate", "superseded", "quarantined", "moved", "corrected", "late")
_TEXT, _NUMBER = pl.String(), pl.Int64()
_BATCH = {"stream": _TEXT, "shard": _TEXT, "batch_seq": _NUMBER, "row_no": _NUMBER}
_QUARANTINE = {
    **_BATCH,
    "contract": _TEXT,
    "place": _TEXT,
    "at_offset": _NUMBER,
    "line": _NUMBER,
    "facts": _TEXT,
    "raw": pl.Binary(),
    "faults": _TEXT,
}
_CORRECTION = {**_BATCH, "column_name": _TEXT, "check_name": _TEXT, "raw": _TEXT, "value": _TEXT}


def write(connection: Connection, outcome: Outcome, contract: Contract, committed_at_ns: int) -> None:
    """Everything of an outcome but the fence and the plan."""
    table = history(contract)
    first = _last_rowid(connection, table) + 1
    connection.ingest(table, ddl.bindable(outcome.rows))
    if contract.kind == "entity":
        _replace_current(connection, outcome.rows, contract)
    _write_quarantine(connection, outcome)
    _move_quarantine(connection, outcome)
    _write_corrections(connection, outcome)
    _write_assets(connection, outcome)
    _write_places(connection, outcome)
    _write_ledger(connection, outcome, committed_at_ns, (first, _last_rowid(connection, table)))


def history(contract: Contract) -> str:
    """The table that holds every stored row of a stream."""
    return contract.stream if contract.kind == "telemetry" else f"{contract.stream}_history"


def text(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def _last_rowid(connection: Connection, table: str) -> int:
    return int(connection.query(f"SELECT coalesce(max(rowid), 0) FROM {ddl.quoted(table)}").item())


def _replace_current(connection: Connection, rows: pl.DataFrame, contract: Contract) -> None:
    names = list(contract.identity)
    current = rows.filter(~pl.col("superseded")).unique(names, keep="last", maintain_order=True)
    same = " AND ".join(f"{ddl.quoted(name)} = ?" for name in names)
    bound = ddl.bindable(current)
    connection.execute_many(f"DELETE FROM {ddl.quoted(contract.stream)} WHERE {same}", bound.select(names))
    connection.ingest(contract.stream, bound)


def _write_quarantine(connection: Connection, outcome: Outcome) -> None:
    plan = outcome.plan
    facts: dict[int, str] = {}
    rows = []
    for row in outcome.rejected:
        shown = facts.get(id(row.facts)) or facts.setdefault(id(row.facts), text(row.facts))
        at = (plan.stream, plan.shard, plan.batch_seq, row.row_no, plan.contract, row.place, row.offset, row.line)
        rows.append((*at, shown, row.raw, text(row.faults)))
    connection.ingest("hf_quarantine", pl.DataFrame(rows, schema=_QUARANTINE, orient="row"))


def _move_quarantine(connection: Connection, outcome: Outcome) -> None:
    """Mark what a repair moved and what it tried in vain. A row that left meanwhile gets no second fate."""
    plan = outcome.plan
    if not plan.repair:
        return
    ids = pl.DataFrame({"id": [*outcome.repaired, *outcome.retried]}, schema={"id": _NUMBER})
    connection.ingest("touched", ids, temporary=True)
    gone = connection.query(
        "SELECT t.id FROM temp.touched t JOIN hf_quarantine q ON q.id = t.id WHERE q.state <> 'open'"
    )
    if gone.height:
        raise SourceChanged(
            f"Quarantine row {gone['id'][0]} has left quarantine while it was being replayed.",
            "Run `hotfire doctor --repair` to drop the plan, which had no effects, and replay again.",
        )
    moved = [(plan.shard, plan.batch_seq, fate, row_id) for row_id, fate in outcome.repaired.items()]
    connection.execute_many(
        "UPDATE hf_quarantine SET state = 'repaired', repaired_shard = ?, repaired_seq = ?, repaired_fate = ? "
        "WHERE id = ? AND state = 'open'",
        pl.DataFrame(moved, schema={"a": _TEXT, "b": _NUMBER, "c": _TEXT, "d": _NUMBER}, orient="row"),
    )
    tried = [(text(faults), plan.contract, row_id) for row_id, faults in outcome.retried.items()]
    connection.execute_many(
        "UPDATE hf_quarantine SET tries = tries + 1, faults = ?, contract = ? WHERE id = ? AND state = 'open'",
        pl.DataFrame(tried, schema={"a": _TEXT, "b": _TEXT, "c": _NUMBER}, orient="row"),
    )


def _write_corrections(connection: Connection, outcome: Outcome) -> None:
    plan = outcome.plan
    batch = (plan.stream, plan.shard, plan.batch_seq)
    rows = [(*batch, one.row_no, one.column, one.check, one.raw, one.value) for one in outcome.corrections]
    connection.ingest("hf_correction", pl.DataFrame(rows, schema=_CORRECTION, orient="row"))


def _write_assets(connection: Connection, outcome: Outcome) -> None:
    if outcome.assets is None:
        return
    stream, shard = pl.lit(outcome.plan.stream).alias("stream"), pl.lit(outcome.plan.shard).alias("shard")
    connection.execute_many(
        "INSERT INTO hf_asset VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, asset) DO UPDATE SET "
        "clock_ns = excluded.clock_ns, counter = excluded.counter, gaps = excluded.gaps, stored = excluded.stored",
        outcome.assets.select(stream, "asset", shard, "clock_ns", "counter", "gaps", "stored"),
    )


def _write_places(connection: Connection, outcome: Outcome) -> None:
    plan = outcome.plan
    places = [part.after() for part in plan.span.parts] if not plan.repair else []
    for place in {place.key: place for place in places}.values():
        connection.query(
            "INSERT INTO hf_source VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, shard, place) DO UPDATE SET "
            "label = excluded.label, at_offset = excluded.at_offset, line = excluded.line, facts = excluded.facts",
            [plan.stream, plan.shard, place.key, place.label, place.offset, place.line, text(place.facts)],
        )


def _write_ledger(connection: Connection, outcome: Outcome, committed_at_ns: int, rowids: tuple[int, int]) -> None:
    plan, counts = outcome.plan, outcome.counts
    connection.query(
        f"INSERT INTO hf_ledger VALUES ({', '.join('?' * 20)})",
        [
            *(plan.stream, plan.shard, plan.batch_seq, outcome.job_id, plan.contract, int(plan.repair)),
            *(text(plan.span), plan.sha256, plan.received_at_ns, committed_at_ns),
            *(getattr(counts, name) for name in _COUNTS),
            *rowids,
        ],
    )
