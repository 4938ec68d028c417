"""Everything that can be wrong with a workspace, looked at one by one; each finding says what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.lint import lint
from hotfire.engine.follower import FOREIGN, FORGOTTEN, forgotten, is_foreign
from hotfire.engine.loop import run
from hotfire.errors import HotfireError, OwnedElsewhere, SourceChanged, StoreUnusable
from hotfire.ledger.cleared import rows_cleared
from hotfire.rows import Counts, Plan
from hotfire.workspace.contracts import contract_texts
from hotfire.workspace.lake_repair import can_give_again, damage, proof, way_out
from hotfire.workspace.references import references_seen
from hotfire.workspace.snapshots import snapshots
from hotfire.workspace.spools import forgotten_pipes, spools_seen
from hotfire.workspace.watchers import notices_seen, rules_seen, source_seen, warning_count

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.workspace.vitals import Vitals
    from hotfire.workspace.wiring import Workspace

ROOM_BYTES = 1 << 30
"""Less free space than this is too little."""


class Looked(Struct, frozen=True):
    """What was looked at, and what was seen.

    Attributes:
        name: `lake.files`, or with a stream: `lake.files/events`.
        do: what helps; empty where nothing has to be done.
    """

    name: str
    ok: bool
    detail: str
    do: str = ""


def examine(workspace: Workspace, vitals: Vitals) -> Iterator[Looked]:
    """Look at everything. What cannot be looked at because of an earlier trouble is left out."""
    yield _folder(workspace)
    yield _room(workspace)
    contracts: list[Contract] = []
    for stream in workspace.settings.streams:
        looked, contract = _contract(workspace, stream)
        yield looked
        contracts += [contract] if contract else []
    yield from _snapshots(workspace)
    store = list(_store(workspace))
    yield from store
    if not all(one.ok for one in store):
        return
    idle = _owner(workspace)
    yield idle
    yield from (
        Looked(*seen) for seen in (*notices_seen(workspace), *spools_seen(workspace, idle="idle" in idle.detail))
    )
    for contract in contracts:
        try:
            yield from (Looked(*seen) for seen in rules_seen(workspace, contract))
            yield from (Looked(*seen) for seen in source_seen(workspace, contract.stream))
            yield from _plans(workspace, contract, busy="idle" not in idle.detail)
            yield from _lake(workspace, contract)
            yield from _retention(workspace, contract)
            yield from (Looked(*seen) for seen in vitals.checks(contract))
            yield from (Looked(*seen) for seen in references_seen(workspace, contract))
        except HotfireError as error:
            yield Looked(f"stream/{contract.stream}", ok=False, detail=error.what, do=error.do)


def repair(workspace: Workspace, job_id: str) -> Iterator[str]:
    """Mend what can be mended without losing anything, a sentence each.

    A lake's table that lost a file is made anew where the store has all of its rows. Plans that can be read again are
    finished, others dropped: they had no effects. The lake is taken back to the store where it is ahead, and catches up
    where it is behind. Raises OwnedElsewhere while another process works.
    """
    workspace.store.own()
    workspace.store.jobs.bury()
    for stream in workspace.settings.streams:
        yield from _mended(workspace, stream, job_id)
    for path in forgotten_pipes(workspace):
        path.unlink()
        yield f"removed {path}: the run that it was piped to was killed before it began"


def _mended(workspace: Workspace, stream: str, job_id: str) -> Iterator[str]:
    """One stream; one whose table in the lake only a backup can bring back is left alone."""
    broken = damage(workspace, stream)
    if broken is not None:
        in_use = workspace.contract_in_use(stream)
        if not can_give_again(workspace, in_use):
            return
        yield f"{stream}: {broken.detail} Moved the broken table to {workspace.lake.set_aside(stream, job_id)}"
    contract = workspace.prepare(stream)
    for shard, plan in unfinished(workspace, stream):
        trouble = unreadable(workspace, contract, plan)
        if trouble:
            workspace.store.drop_plan(stream, shard)
            yield f"{stream}: dropped the plan of batch {plan.batch_seq}; it had no effects. {trouble.what}"
    for shard, committed in _shards(workspace, stream):
        if workspace.lake.marker(stream, shard) > _most(workspace, stream, shard, committed):
            lost = workspace.lake.retreat(stream, shard, committed)
            yield f"{stream}: took the lake back to batch {committed}; {lost:,} rows that the store does not know are gone"
    yield from _caught_up(workspace, contract, job_id, anew=broken is not None)


def _caught_up(workspace: Workspace, contract: Contract, job_id: str, *, anew: bool) -> Iterator[str]:
    """Finish what was interrupted, and let the lake follow each shard to its end."""
    stream, shards = contract.stream, [shard for shard, _ in _shards(workspace, contract.stream)]
    before = [workspace.lake.marker(stream, shard) for shard in shards]
    done = Counts()
    for shard in shards:
        done += run(replace(workspace.idle_flow(contract, job_id), shard=shard))
    if done.received or done.moved:
        yield f"{stream}: finished an interrupted batch of {done.received or done.moved:,} records"
    after = [workspace.lake.marker(stream, shard) for shard in shards]
    if anew:
        yield proof(workspace, contract)
    elif after != before and not (done.received or done.moved):
        yield f"{stream}: the lake has caught up with batch {max(after)}"


def _folder(workspace: Workspace) -> Looked:
    data = workspace.settings.data
    nearest = data if data.exists() else data.parent
    if os.access(nearest, os.W_OK | os.X_OK):
        return Looked("folder", ok=True, detail=f"{data} can be written")
    return Looked("folder", ok=False, detail=f"{nearest} cannot be written", do="Make it writable for this user.")


def _room(workspace: Workspace) -> Looked:
    free = shutil.disk_usage(workspace.settings.folder).free
    detail = f"{free / 1e9:,.1f} GB free"
    return Looked("disk", free >= ROOM_BYTES, detail, "" if free >= ROOM_BYTES else "Free some space.")


def _contract(workspace: Workspace, stream: str) -> tuple[Looked, Contract | None]:
    name = f"contract/{stream}"
    try:
        contract = workspace.contract(stream)
        remarks = lint(contract_texts(workspace.settings.folder, stream))
    except HotfireError as error:
        return Looked(name, ok=False, detail=error.what, do=error.do), None
    errors = [remark for remark in remarks if remark.level == "error"]
    if errors:
        return Looked(name, ok=False, detail=errors[0].error().what, do=f"hotfire contract lint {stream}"), contract
    warned = f", {warning_count(remarks, stream)}" if remarks else ""
    return Looked(name, ok=True, detail=f"version {contract.version}{warned}"), contract


def _snapshots(workspace: Workspace) -> Iterator[Looked]:
    try:
        found = snapshots(workspace.settings)
    except HotfireError as error:
        yield Looked("snapshots", ok=False, detail=error.what, do=error.do)
    else:
        yield from (Looked(f"snapshots/{one.table}", ok=True, detail=f"of {one.stream}") for one in found)


def _store(workspace: Workspace) -> Iterator[Looked]:
    path = workspace.settings.database
    if path is not None and not Path(path).exists():
        yield Looked("store", ok=True, detail=f"{path} is made by the first ingest")
        return
    try:
        problems = workspace.store.problems()
    except HotfireError as error:
        yield Looked("store", ok=False, detail=error.what, do=error.do)
        return
    yield Looked(
        "store",
        ok=not problems,
        detail=f"{workspace.store.name}: {problems[0] if problems else 'whole'}",
        do="Restore it from a backup; the lake still holds the rows." if problems else "",
    )


def _owner(workspace: Workspace) -> Looked:
    try:
        workspace.store.own()
    except OwnedElsewhere as error:
        return Looked("owner", ok=True, detail=error.what)
    except StoreUnusable:
        return Looked("owner", ok=True, detail="not to be told where the folder cannot be written")
    running = [job for job in workspace.store.query("jobs", page=100).rows(named=True) if job["status"] == "running"]
    killed = f"; job {running[0]['job_id']} ({running[0]['command']}) was killed" if running else ""
    return Looked("owner", ok=True, detail=f"idle{killed}")


def _plans(workspace: Workspace, contract: Contract, *, busy: bool) -> Iterator[Looked]:
    """A plan without a commit: what a crash left, unless a process is at work."""
    name = f"plans/{contract.stream}"
    if busy:
        return
    found = [plan for _, plan in unfinished(workspace, contract.stream)]
    for plan in found:
        trouble = unreadable(workspace, contract, plan)
        what = f"batch {plan.batch_seq} was interrupted"
        if trouble:
            do = "Bring the file back as it was, or `hotfire doctor --repair` drops the plan, which had no effects."
            yield Looked(name, ok=False, detail=f"{what}: {trouble.what}", do=do)
        else:
            yield Looked(name, ok=True, detail=f"{what}; the next ingest finishes it")
    if not found:
        yield Looked(name, ok=True, detail="nothing was interrupted")


def _lake(workspace: Workspace, contract: Contract) -> Iterator[Looked]:
    stream, lake = contract.stream, workspace.lake
    found = damage(workspace, stream)
    if found is not None:
        yield Looked(f"lake.files/{stream}", ok=False, detail=found.detail, do=way_out(workspace, contract, found))
        return
    files = len(lake.files(stream))
    detail = f"{files:,} file{'s' * (files != 1)}, all there" if files else "nothing in it yet"
    yield Looked(f"lake.files/{stream}", ok=True, detail=detail)
    for shard, committed in _shards(workspace, stream):
        marker, name = lake.marker(stream, shard), f"lake.marker/{stream}"
        if marker > _most(workspace, stream, shard, committed):
            detail = f"the lake holds batch {marker}, the store only {committed}: the store is older"
            yield Looked(
                name, ok=False, detail=detail, do="`hotfire doctor --repair` takes the lake back to the store."
            )
        elif marker == 0 and is_foreign(lake, stream, shard):
            yield Looked(name, ok=False, detail="the lake holds rows of another store", do=FOREIGN)
        elif lost := forgotten(workspace.store, stream, shard, marker):
            yield Looked(name, ok=False, detail=lost, do=FORGOTTEN)
        elif marker < committed:
            yield Looked(name, ok=True, detail=f"at batch {marker} of {committed}; the next ingest lets it catch up")
        else:
            yield Looked(name, ok=True, detail=f"at batch {marker}, as the store")


def _retention(workspace: Workspace, contract: Contract) -> Iterator[Looked]:
    """What the stream's retention does, where it has one."""
    stream, wanted = contract.stream, workspace.settings.stream(contract.stream)
    if wanted.retention is None:
        return
    detail = f"rows older than {wanted.retention} are kept only in the lake: {rows_cleared(workspace.store, stream):,}"
    if contract.kind == "entity":
        detail = "has no effect: entities are kept whole, because their versions are compared in the store"
    elif wanted.lake_only:
        detail = "has no effect: all rows are kept only in the lake"
    yield Looked(f"retention/{stream}", ok=True, detail=detail)


def unfinished(workspace: Workspace, stream: str) -> Iterator[tuple[str, Plan]]:
    """Plans without a commit, by shard."""
    for row in workspace.store.query("unfinished_plans", stream=stream).rows(named=True):
        yield row["shard"], msgspec.json.decode(row["plan"], type=Plan)


def unreadable(workspace: Workspace, contract: Contract, plan: Plan) -> HotfireError | None:
    """Why a plan's records cannot be read again; None where they can."""
    try:
        same = workspace.sources.reread(contract, plan).sha256 == plan.sha256
    except HotfireError as error:
        return error
    return None if same else SourceChanged("The bytes that were planned have changed.")


def _shards(workspace: Workspace, stream: str) -> list[tuple[str, int]]:
    shards = workspace.store.query("shards", stream=stream)
    return list(shards.select("shard", "committed_seq").rows())


def _most(workspace: Workspace, stream: str, shard: str, committed: int) -> int:
    """The last batch that the lake may hold: of a stream that is kept only there, also the planned one."""
    planned = any(one == shard for one, _ in unfinished(workspace, stream))
    return committed + 1 if planned and workspace.settings.stream(stream).lake_only else committed
