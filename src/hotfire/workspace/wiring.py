"""Where settings become parts: with `sources`, `stores` and `web_api` the only modules that name concrete ones.

Parts are loaded where they are made: most commands only look, which takes less time than loading the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec.structs import replace

from hotfire.clock import SystemClock
from hotfire.errors import UserError
from hotfire.rows import BACKFILL
from hotfire.workspace.contracts import compiled_contract, contract_texts, load_contract, same_identity
from hotfire.workspace.notify import routing
from hotfire.workspace.rules import Rules
from hotfire.workspace.snapshots import snapshot_of
from hotfire.workspace.stores import PATIENCE_S, SUPERVISED_S, open_store

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.engine.flow import Flow
    from hotfire.lake.delta import DeltaLake
    from hotfire.protocols import Source, Store
    from hotfire.rows import Backfill
    from hotfire.source.files import FileSource
    from hotfire.source.rest.source import RestSource
    from hotfire.source.several import Several
    from hotfire.source.spool.writer import Spool
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings
    from hotfire.workspace.sources import Sources


class Workspace(AbstractContextManager["Workspace"]):
    """The parts of one workspace, opened when they are first asked for. A context manager: closes what it opened.

    Args:
        dry_run: the store commits nothing, and no lake follows.
        spools: of the server that runs in this process, which owns the store.

    Attributes:
        rules: of streams whose flows were made.
        reconcile: compare everything that a web API has, whatever is known.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        dry_run: bool = False,
        spools: Mapping[str, Spool] | None = None,
        reconcile: bool = False,
    ) -> None:
        self.settings = settings
        self.spools = spools
        self.clock = clock or SystemClock()
        self.dry_run, self.reconcile = dry_run, reconcile
        self.rules: dict[str, Rules] = {}
        self.opened: list[Store | Source | Spool] = []
        self.asked: RestSource | None = None

    @cached_property
    def store(self) -> OperationalStore:
        """The operational store."""
        return self.open_store(dry_run=self.dry_run)

    @cached_property
    def lake(self) -> DeltaLake:
        """The lake that follows the store."""
        from hotfire.lake.delta import DeltaLake

        return DeltaLake(self.settings.lake_url, self.store.incarnation)

    @cached_property
    def sources(self) -> Sources:
        """What its streams are read from."""
        from hotfire.workspace.sources import Sources

        return Sources(self)

    def contract(self, stream: str) -> Contract:
        """The stream's contract as it stands in the workspace."""
        self.settings.stream(stream)
        return load_contract(self.settings.folder, stream)

    def contract_in_use(self, stream: str) -> Contract:
        """The contract that the stream's tables are made for: the workspace's, unless it waits for the next ingest."""
        contract, major = self.contract(stream), self.store.major(stream)
        if major is None:
            return contract
        kept = self.store.query("versions", stream=stream)
        if major == contract.major and contract.hash in kept["hash"]:
            return contract
        return self.contract_of(kept.filter(pl.col("version").str.starts_with(f"{major}."))["hash"][-1])

    def contract_of(self, digest: str, store: Store | None = None) -> Contract:
        """The contract that a batch was planned with, as the store (the workspace's if None) kept it."""
        stream, _, _, texts = (store or self.store).query("version", hash=digest).row(0)
        return compiled_contract(self.settings.folder, stream, msgspec.json.decode(texts, type=list[tuple[str, str]]))

    def prepare(self, stream: str) -> Contract:
        """The stream's contract, with its tables made, migrated, or converted to its major version.

        Raises:
            ContractError: the tables are of a newer major version, or tell rows apart by other columns.
        """
        contract, texts = self.contract(stream), contract_texts(self.settings.folder, stream)
        major = self.store.major(stream)
        if major is not None and (contract.older or major > contract.major):
            from hotfire.engine.upgrade import take_up

            take_up(self.idle_flow(contract, "upgrade"), texts)
        elif major is not None:
            same_identity(self.contract_in_use(stream), contract)
        self.store.ensure(contract, texts)
        return contract

    def ingest_flow(
        self, contract: Contract, job_id: str, places: Sequence[str] = (), *, follow: bool = False
    ) -> tuple[Flow, Several]:
        """A stream's configured source and what was pushed, or `places`, on their way into the store.

        Args:
            follow: look for new files and rows for ever.

        Returns:
            The flow, and its source, which tells its problems.
        """
        self.asked = None if places else self.sources.web_api(contract)
        source = self.sources.feed(contract, places, self.asked, follow=follow)
        return self._flow(contract, job_id, source, lenient=True), source

    def repair_flow(self, contract: Contract, job_id: str, check: str = "") -> Flow:
        """A stream's quarantine on its way into the store."""
        return self._flow(contract, job_id, self.sources.quarantine(contract, check))

    def backfill_flow(
        self, contract: Contract, job_id: str, places: Sequence[str], backfill: Backfill | None = None
    ) -> tuple[Flow, FileSource]:
        """A stream's files, or `places`, on their way into the store apart from live; None: to look at only.

        Returns:
            The flow, and its files, which tell their problems.
        """
        from hotfire.engine.backfill import BackfillSource

        files = self.sources.files(contract, places)
        if backfill is None:
            return self._flow(contract, job_id, files), files
        flow = self._flow(contract, job_id, BackfillSource(files, backfill.number))
        return replace(flow, shard=BACKFILL, backfill=backfill), files

    def idle_flow(self, contract: Contract, job_id: str) -> Flow:
        """Nothing new: running it finishes what was interrupted, and lets the lake catch up."""
        from hotfire.engine.upgrade import Nothing

        return self._flow(contract, job_id, Nothing(), watched=False)

    def close(self) -> None:
        """Close everything that was opened."""
        while self.opened:
            self.opened.pop().close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flow(
        self, contract: Contract, job_id: str, source: Source, *, watched: bool = True, lenient: bool = False
    ) -> Flow:
        """A source on its way into the store, watched by the rules that hold now; else nothing new may come of it."""
        from hotfire.engine.flow import Flow
        from hotfire.engine.watch import UNWATCHED

        only = self.settings.stream(contract.stream).lake_only
        if only and contract.kind == "entity":
            raise UserError(
                f"The stream {contract.stream} holds entities: their versions are compared in the store.",
                f"Remove lake_only from [streams.{contract.stream}].",
            )
        reread = partial(self.sources.reread, contract)
        parts = (contract, source, self.store, self.lake, self.clock, job_id, reread, self.contract_of)
        retention_ns = self.settings.stream(contract.stream).retention_ns
        rules = Rules(self.settings.folder, contract, self.store, lenient=lenient or self.spools is not None)
        flow = Flow(*parts, lake_only=only, dry_run=self.dry_run, retention_ns=retention_ns, ruleset_of=rules.of)
        if watched:
            self.rules[contract.stream] = rules
        telemetry = contract.kind == "telemetry"
        return replace(flow, ruleset=rules.current if watched else UNWATCHED) if telemetry else flow

    def open_store(self, *, dry_run: bool = False) -> OperationalStore:
        """Another connection to the store."""
        patience_s = PATIENCE_S if self.spools is None else SUPERVISED_S
        store = open_store(self.settings, self.clock, patience_s, dry_run=dry_run)
        store.alarms.routing = routing(self.settings)
        store.snapshots.of = partial(snapshot_of, self.settings)
        if self.spools is not None:
            store.borrow()
        self.opened.append(store)
        return store
