"""What one commit writes, table by table. Runs inside the store's transaction, behind its fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from hotfire.alarm.notices import PAGE_HORIZON_NS
from hotfire.errors import SourceChanged
from hotfire.rows import BACKFILL
from hotfire.store.ddl import history
from hotfire.store.dialect import quoted
from hotfire.store.refusal import taken
from hotfire.store.signals import write_watched

if TYPE_CHECKING:
    from hotfire.alarm.notices import Routing
    from hotfire.contract.model import Contract
    from hotfire.rows import Outcome
    from hotfire.store.connection import Connection

_COUNTS = ("received", "stored", "duplicate", "superseded", "quarantined", "moved", "corrected", "late")
_TEXT, _NUMBER = pl.String(), pl.Int64()
_SHARD = {"stream": _TEXT, "shard": _TEXT}
_BATCH = {**_SHARD, "batch_seq": _NUMBER, "row_no": _NUMBER}
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
_MOVED = {"shard": _TEXT, "batch_seq": _NUMBER, "fate": _TEXT, "id": _NUMBER}
_TRIED = {"faults": _TEXT, "contract": _TEXT, "id": _NUMBER}
_SOURCE = {**_SHARD, "place": _TEXT, "label": _TEXT, "at_offset": _NUMBER, "line": _NUMBER, "facts": _TEXT}
_LEDGER = {
    **_SHARD,
    "batch_seq": _NUMBER,
    "job_id": _TEXT,
    "contract": _TEXT,
    "repair": _NUMBER,
    "span": _TEXT,
    "sha256": _TEXT,
    "received_at_ns": _NUMBER,
    "committed_at_ns": _NUMBER,
    **dict.fromkeys(_COUNTS, _NUMBER),
    "first_rowid": _NUMBER,
    "last_rowid": _NUMBER,
    "arrival": _NUMBER,
    "rules": _TEXT,
}


def write(connection: Connection, outcome: Outcome, contract: Contract, routing: Routing, committed_at_ns: int) -> None:
    """Everything of an outcome but the fence and the plan. Raises RowsRefused where rows fail as data."""
    table = history(contract)
    before = connection.last_rowid(table)
    taken(connection, outcome.rows, contract, _write_rows)
    after = connection.last_rowid(table)
    if outcome.rejected:
        _write_quarantine(connection, outcome)
    if outcome.repaired or outcome.retried:
        _move_quarantine(connection, outcome)
    if outcome.corrections:
        _write_corrections(connection, outcome)
    _write_assets(connection, outcome)
    _write_places(connection, outcome)
    write_watched(connection, outcome, routing, committed_at_ns)
    _write_ledger(connection, outcome, committed_at_ns, None if before is None else before + 1, after)


def text(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def _write_rows(connection: Connection, rows: pl.DataFrame, contract: Contract) -> None:
    connection.ingest(history(contract), rows)
    if contract.kind == "entity":
        _replace_current(connection, rows, contract)


def _replace_current(connection: Connection, rows: pl.DataFrame, contract: Contract) -> None:
    names = list(contract.identity)
    current = rows.filter(~pl.col("superseded")).unique(names, keep="last", maintain_order=True)
    if current.is_empty():
        return
    key = ", ".join(quoted(name) for name in names)
    keys, parameters = connection.given(current.select(names))
    connection.query(
        f"DELETE FROM {quoted(contract.stream)} WHERE ({key}) IN (SELECT {key} FROM {keys} AS k)", parameters
    )
    connection.ingest(contract.stream, current.filter(~pl.col("deleted")))


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
    moved = [(plan.shard, plan.batch_seq, fate, row_id) for row_id, fate in outcome.repaired.items()]
    tried = [(text(faults), plan.contract, row_id) for row_id, faults in outcome.retried.items()]
    changed = _update(
        connection,
        "state = 'repaired', repaired_shard = m.shard, repaired_seq = m.batch_seq, repaired_fate = m.fate",
        pl.DataFrame(moved, schema=_MOVED, orient="row"),
    )
    changed |= _update(
        connection,
        "tries = tries + 1, faults = m.faults, contract = m.contract",
        pl.DataFrame(tried, schema=_TRIED, orient="row"),
    )
    gone = {*outcome.repaired, *outcome.retried} - changed
    if gone:
        raise SourceChanged(
            f"Quarantine row {min(gone)} has left quarantine while it was being replayed.",
            "Run `hotfire doctor --repair` to drop the plan, which had no effects, and replay again.",
        )


def _update(connection: Connection, changes: str, rows: pl.DataFrame) -> set[int]:
    """Change open quarantine rows, each by the row of the same id; the ids of those that were open."""
    if rows.is_empty():
        return set()
    source, parameters = connection.given(rows)
    changed = connection.query(
        f"UPDATE hf_quarantine SET {changes} FROM {source} AS m "
        "WHERE hf_quarantine.id = m.id AND state = 'open' RETURNING hf_quarantine.id AS id",
        parameters,
    )
    return set(changed["id"])


def _write_corrections(connection: Connection, outcome: Outcome) -> None:
    plan = outcome.plan
    batch = (plan.stream, plan.shard, plan.batch_seq)
    rows = [(*batch, one.row_no, one.column, one.check, one.raw, one.value) for one in outcome.corrections]
    connection.ingest("hf_correction", pl.DataFrame(rows, schema=_CORRECTION, orient="row"))


def _write_assets(connection: Connection, outcome: Outcome) -> None:
    if outcome.assets is None or outcome.assets.is_empty():
        return
    stream, shard = pl.lit(outcome.plan.stream).alias("stream"), pl.lit(outcome.plan.shard).alias("shard")
    received_at_ns = outcome.plan.received_at_ns
    is_live = (received_at_ns - pl.col("clock_ns") <= PAGE_HORIZON_NS) & (shard.eq(BACKFILL).not_())
    heard = pl.when(is_live).then(pl.lit(received_at_ns, dtype=pl.Int64)).alias("heard_at_ns")
    rows = outcome.assets.select(stream, "asset", shard, "clock_ns", "counter", "gaps", "stored", heard)
    source, parameters = connection.given(rows)
    connection.query(
        f"INSERT INTO hf_asset SELECT * FROM {source} AS a WHERE TRUE ON CONFLICT (stream, asset) DO UPDATE SET "
        "clock_ns = excluded.clock_ns, counter = excluded.counter, gaps = excluded.gaps, stored = excluded.stored, "
        "heard_at_ns = coalesce(excluded.heard_at_ns, hf_asset.heard_at_ns), "
        f"shard = CASE WHEN hf_asset.shard = '{BACKFILL}' THEN excluded.shard ELSE hf_asset.shard END",
        parameters,
    )


def _write_places(connection: Connection, outcome: Outcome) -> None:
    plan = outcome.plan
    if plan.repair or not plan.span.parts:
        return
    places = {place.key: place for place in (part.after() for part in plan.span.parts)}.values()
    rows = [(plan.stream, plan.shard, one.key, one.label, one.offset, one.line, text(one.facts)) for one in places]
    source, parameters = connection.given(pl.DataFrame(rows, schema=_SOURCE, orient="row"))
    connection.query(
        f"INSERT INTO hf_source SELECT * FROM {source} AS p WHERE TRUE ON CONFLICT (stream, shard, place) DO UPDATE "
        "SET label = excluded.label, at_offset = excluded.at_offset, line = excluded.line, facts = excluded.facts",
        parameters,
    )


def _write_ledger(
    connection: Connection, outcome: Outcome, committed_at_ns: int, first: int | None, last: int | None
) -> None:
    plan, counts = outcome.plan, outcome.counts
    row = (
        *(plan.stream, plan.shard, plan.batch_seq, outcome.job_id, plan.contract, int(plan.repair)),
        *(text(plan.span), plan.sha256, plan.received_at_ns, committed_at_ns),
        *(getattr(counts, name) for name in _COUNTS),
        *(first, last, _arrival(connection, plan.stream), plan.rules),
    )
    connection.ingest("hf_ledger", pl.DataFrame([row], schema=_LEDGER, orient="row"))


def _arrival(connection: Connection, stream: str) -> int:
    """The batch's place in the order of the stream's commits: the fence has counted it already."""
    counted = "SELECT CAST(sum(committed_seq) AS bigint) AS arrival FROM hf_checkpoint WHERE stream = ?"
    return int(connection.query(counted, [stream]).item())
