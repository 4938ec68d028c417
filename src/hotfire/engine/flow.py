"""What one run of the engine works with, and the steps that make an outcome of a batch. No step has an effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct, field

from hotfire.contract.check import judge
from hotfire.contract.lens import carried
from hotfire.contract.model import Contract, wire
from hotfire.engine.dedupe import Stored, sort_out
from hotfire.engine.entities import Versions, sort_versions
from hotfire.engine.memory import Memory
from hotfire.engine.watch import Ruleset
from hotfire.ledger.arrival import committed, remembered_as
from hotfire.ledger.cleared import cleared_before
from hotfire.rows import LIVE, Backfill, Counts, Fault, Outcome, Plan, Rejected, Verdict

if TYPE_CHECKING:
    from threading import Lock

    from hotfire.clock import Clock
    from hotfire.findings import Watched
    from hotfire.protocols import Lake, Read, Source, Store


class Judged(Struct, frozen=True):
    """A batch on its way: what was read, and what its contract says of it.

    Attributes:
        repair: the rows come out of quarantine.
        shard: in a replay, the one that the rows came by; empty: the flow's.
        verdict: in a replay its rows may have `superseded`: versions whose order can no longer be told by their values.
        ruleset, remembered_as: in a replay, the rules that the batch was watched by, and under which name detectors
            remember its rows; None and empty: as the plan says.
        watched: in a replay, what came of rows whose rules were about columns that are no more.
    """

    read: Read
    received_at_ns: int
    verdict: Verdict
    repair: bool = False
    shard: str = ""
    ruleset: Ruleset | None = None
    remembered_as: str = ""
    watched: Watched | None = None


def judged(contract: Contract, read: Read, received_at_ns: int) -> Judged:
    """Decode a batch and judge it by its contract."""
    return Judged(read, received_at_ns, judge(contract, read.records.decode(wire(contract)), received_at_ns))


class Flow(Struct, frozen=True):
    """One stream's way through the engine: where its rows come from, what they promise, where they go.

    Attributes:
        reread: reads a planned span again, whichever source it came from.
        contract_of: from the hash in a plan to the contract it was made under.
        lake: None where there is none.
        lake_only: rows are kept in the lake and not in the store; they are written there before the commit.
        dry_run: nothing is written to the lake; the store keeps what it is given until it is closed.
        retention_ns: older rows leave the store once the lake holds them; None: all rows stay.
        judge: what is said of a batch that was read, received at an instant. Called on a thread of its own.
        backfill: what is brought in apart from live; None: the flow is no backfill.
        ruleset: the rules that new batches are watched by; `ruleset_of`: those of a contract and the hash in a plan.
        lock: the stream's, where another of its shards may be written in this process: held from the first look at what
            is stored to the commit.
    """

    contract: Contract
    source: Source
    store: Store
    lake: Lake | None
    clock: Clock
    job_id: str
    reread: Callable[[Plan], Read]
    contract_of: Callable[[str], Contract]
    shard: str = LIVE
    lake_only: bool = False
    dry_run: bool = False
    retention_ns: int | None = None
    judge: Callable[[Contract, Read, int], Judged] = judged
    backfill: Backfill | None = None
    lock: Lock | None = None
    ruleset: Ruleset = field(default_factory=Ruleset)
    ruleset_of: Callable[[Contract, str], Ruleset] = lambda _contract, _hash: Ruleset()


def plan_of(flow: Flow, batch: Judged, batch_seq: int, *, repair: bool = False) -> Plan:
    """What is written down of a batch before it has any effect."""
    read = batch.read
    stream, contract = flow.contract.stream, flow.contract.hash
    repairs = repair or batch.repair
    received_at_ns, rules = batch.received_at_ns, flow.ruleset.hash
    return Plan(stream, flow.shard, batch_seq, read.span, read.sha256, received_at_ns, contract, repairs, rules=rules)


def outcome_of(
    flow: Flow, contract: Contract, plan: Plan, batch: Judged, memory: Memory, settle: Callable[[], None] = lambda: None
) -> tuple[Outcome, Memory]:
    """Everything the batch changes: fates, clocks, quarantine, ledger. Nothing is changed yet.

    Args:
        settle: called before the store or the lake is asked: returns once all earlier batches are committed, and no
            other shard of the stream is written.
    """
    verdict = _without(batch.verdict, plan.refused)
    if contract.kind == "telemetry":
        before = Stored(
            partial(_stored_before, flow, contract, settle),
            partial(_carried, flow, contract),
            partial(_assets_now, flow, contract, settle) if flow.lock else None,
        )
        shard = batch.shard or plan.shard
        fates = sort_out(contract, verdict.rows, memory, before, repair=plan.repair, shard=shard)
        kept, conflicts, duplicates = fates.stored, fates.conflicts, len(fates.duplicates)
        kept = kept.sort(contract.identity[:2], maintain_order=True)
        assets, after, inserted = fates.assets, fates.memory, 0
    else:
        settle()
        versions = _versions(flow, contract, plan, verdict.rows)
        kept, conflicts, duplicates = versions.kept, versions.conflicts, len(versions.duplicates)
        assets, after, inserted = None, memory, versions.inserted
    rejected = {**verdict.rejected, **{fault.row_no: (fault,) for fault in conflicts}}
    table = _table(contract, kept, plan)
    superseded = int(table["superseded"].sum()) if "superseded" in table.columns else 0
    counts = Counts(
        received=0 if plan.repair else plan.span.rows,
        stored=table.height - superseded,
        duplicate=duplicates,
        superseded=superseded,
        quarantined=0 if plan.repair else len(rejected),
        moved=plan.span.rows - len(rejected) if plan.repair else 0,
        corrected=int(table["corrected"].sum()),
        late=int(table["late"].sum()),
    )
    numbers = set(table["row_no"].to_list()) if verdict.corrections else set()
    corrections = [one for one in verdict.corrections if one.row_no in numbers]
    by = batch.remembered_as or remembered_as(plan.shard, plan.span)
    if batch.watched is None:
        ruleset = batch.ruleset or _ruleset(flow, contract, plan)
        watched = memory.watch.step(contract, ruleset, table, corrections, shard=by, repair=plan.repair)
    else:
        watched = batch.watched
        memory.watch.recall(watched)
    repaired, retried = _moved(plan, table, rejected) if plan.repair else ({}, {})
    quarantine = [] if plan.repair else _rejected(batch, rejected)
    parts = (plan, flow.job_id, counts, table, quarantine, corrections, assets, repaired, retried, watched, inserted)
    return Outcome(*parts), after


def _ruleset(flow: Flow, contract: Contract, plan: Plan) -> Ruleset:
    """The rules that the plan names, whichever hold by now."""
    if contract is flow.contract and plan.rules == flow.ruleset.hash:
        return flow.ruleset
    return flow.ruleset_of(contract, plan.rules)


def _without(verdict: Verdict, refused: Mapping[int, str]) -> Verdict:
    """The verdict, with the rows rejected that the store would refuse."""
    if not refused:
        return verdict
    faults = {row_no: (Fault(row_no, "row.store", None, why),) for row_no, why in refused.items()}
    rows = verdict.rows.filter(~pl.col("row_no").is_in(list(refused)))
    corrections = [one for one in verdict.corrections if one.row_no not in refused]
    return Verdict(rows, {**verdict.rejected, **faults}, corrections)


def _versions(flow: Flow, contract: Contract, plan: Plan, rows: pl.DataFrame) -> Versions:
    if "superseded" in rows.columns:
        return Versions(rows.with_columns(late=pl.lit(value=False)), [], [])
    arrived = plan.span.parts[0].place.facts["arrived"] if plan.repair else ()
    before = Stored(partial(flow.store.stored, contract), partial(_carried, flow, contract))
    return sort_versions(contract, rows, before, arrived)


def _assets_now(flow: Flow, contract: Contract, settle: Callable[[], None]) -> pl.DataFrame:
    """Every asset; no other shard of the stream changes any of them before the batch is committed."""
    settle()
    return flow.store.assets(contract)


def _stored_before(
    flow: Flow, contract: Contract, settle: Callable[[], None], identities: pl.DataFrame
) -> pl.DataFrame:
    """Stored rows of earlier batches; of a stream that is kept only in the lake a dry run has its own in the store."""
    settle()
    found = stored_now(flow, contract, identities)
    if not (flow.lake_only and flow.dry_run):
        return found
    tried = flow.store.stored(contract, identities)
    return pl.concat([found.select(tried.columns), tried]) if tried.height else found


def stored_now(flow: Flow, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
    """Rows that the store holds, and those that only the lake holds: by retention, or all of a stream's.

    In this order another process may clear rows meanwhile: what it takes out of the store before it was asked stands
    below the limit that is asked for next.
    """
    if flow.lake_only and flow.lake:
        return committed(flow.lake.stored(contract, identities), flow.store, contract.stream)
    found = flow.store.stored(contract, identities)
    before_ns = cleared_before(flow.store, contract.stream)
    if before_ns is None or flow.lake is None:
        return found
    old = identities.filter(pl.col(contract.identity[1]) < before_ns)
    gone = old.join(found, on=list(contract.identity), how="anti", nulls_equal=True)
    if gone.is_empty():
        return found
    cleared = flow.lake.stored(contract, gone)
    return pl.concat([found, cleared.select(found.columns).cast(found.schema)])


def _carried(flow: Flow, contract: Contract, shard: str, batch_seq: int) -> Collection[str]:
    """The columns that rows of an earlier batch have values of their own in."""
    judged_by = flow.store.query("ledger_batch", stream=contract.stream, shard=shard, batch_seq=batch_seq)[
        "contract"
    ].item()
    return carried(contract, contract if judged_by == contract.hash else flow.contract_of(judged_by))


def _moved(
    plan: Plan, table: pl.DataFrame, rejected: dict[int, tuple[Fault, ...]]
) -> tuple[dict[int, str], dict[int, tuple[Fault, ...]]]:
    """What becomes of a repair's quarantine rows, by their id: the new fate, or the faults they still have."""
    stored = set(table["row_no"].to_list())
    beaten = set(table.filter("superseded")["row_no"].to_list()) if "superseded" in table.columns else set()
    repaired, retried = {}, {}
    for row_no, quarantine_id in enumerate(plan.span.parts[0].place.facts["ids"]):
        if row_no in rejected:
            retried[quarantine_id] = rejected[row_no]
        else:
            fate = "superseded" if row_no in beaten else "stored" if row_no in stored else "duplicate"
            repaired[quarantine_id] = fate
    return repaired, retried


def _table(contract: Contract, kept: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Rows as the store takes them: contract columns, then the bookkeeping."""
    received = pl.lit(plan.received_at_ns, dtype=pl.Int64).alias("received_at_ns")
    is_gone = pl.col("deleted") if "deleted" in kept.columns else pl.lit(value=False).alias("deleted")
    marks = [pl.col("superseded"), is_gone, received] if contract.kind == "entity" else []
    return kept.select(
        *(column.storage for column in contract.columns),
        pl.lit(plan.shard).alias("shard"),
        pl.lit(plan.batch_seq, dtype=pl.Int64).alias("batch_seq"),
        pl.col("row_no").cast(pl.Int64),
        "late",
        "corrected",
        "unknown_fields",
        *marks,
    )


def _rejected(batch: Judged, rejected: dict[int, tuple[Fault, ...]]) -> list[Rejected]:
    records = batch.read.records
    rows = []
    for row_no in sorted(rejected):
        at = records.where(row_no)
        rows.append(Rejected(row_no, records.raw(row_no), rejected[row_no], at.label, at.offset, at.line, at.facts))
    return rows
