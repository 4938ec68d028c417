"""Where settings become parts: with `stores` and `web_api` the only modules that name concrete sources, stores and lakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec.structs import replace

from hotfire.clock import SystemClock
from hotfire.engine.backfill import BackfillSource
from hotfire.engine.flow import Flow
from hotfire.engine.upgrade import Nothing, take_up
from hotfire.engine.watch import UNWATCHED
from hotfire.errors import UserError
from hotfire.lake.delta import DeltaLake
from hotfire.quarantine.replay import QuarantineSource
from hotfire.rows import BACKFILL
from hotfire.source.files import FileSource
from hotfire.source.rest.source import KEY as ASKED
from hotfire.source.rest.source import RestSource
from hotfire.source.several import NowAndThen, Several
from hotfire.source.spool.source import KEY, SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.source.stdin import Pipes
from hotfire.store.operational import OperationalStore
from hotfire.workspace.contracts import compiled_contract, contract_texts, load_contract, same_identity
from hotfire.workspace.notify import routing
from hotfire.workspace.reading_files import file_settings, needed_fields
from hotfire.workspace.rules import Rules
from hotfire.workspace.snapshots import snapshot_of
from hotfire.workspace.stores import PATIENCE_S, SUPERVISED_S, open_store
from hotfire.workspace.web_api import rest_source

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.protocols import Read, Source, Store
    from hotfire.rows import Backfill, Plan
    from hotfire.workspace.model import Settings


_GREATER = 2
"""How many times as large a batch is that is an append to the lake of its own, which costs more than a commit."""


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
        self._spools = spools
        self._own_spools: dict[str, Spool] = {}
        self.clock = clock or SystemClock()
        self.dry_run, self.reconcile = dry_run, reconcile
        self.rules: dict[str, Rules] = {}
        self._opened: list[Store | Source | Spool] = []
        self.asked: RestSource | None = None

    @cached_property
    def store(self) -> OperationalStore:
        """The operational store."""
        return self._open_store(dry_run=self.dry_run)

    @cached_property
    def lake(self) -> DeltaLake:
        """The lake that follows the store."""
        return DeltaLake(self.settings.lake_url, self.store.incarnation)

    @cached_property
    def _pipes(self) -> Pipes:
        """What came through pipes: they can be read only once."""
        return Pipes(self.settings.data / "spool", None, resume=not self.dry_run)

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
        self.asked = None if places else self._web_api(contract)
        source = self._feed(contract, places, self.asked, follow=follow)
        return self._flow(contract, job_id, source, lenient=True), source

    def repair_flow(self, contract: Contract, job_id: str, check: str = "") -> Flow:
        """A stream's quarantine on its way into the store."""
        return self._flow(contract, job_id, self._quarantine(contract, check))

    def backfill_flow(
        self, contract: Contract, job_id: str, places: Sequence[str], backfill: Backfill | None = None
    ) -> tuple[Flow, FileSource]:
        """A stream's files, or `places`, on their way into the store apart from live; None: to look at only.

        Returns:
            The flow, and its files, which tell their problems.
        """
        files = self.files(contract, places)
        if backfill is None:
            return self._flow(contract, job_id, files), files
        flow = self._flow(contract, job_id, BackfillSource(files, backfill.number))
        return replace(flow, shard=BACKFILL, backfill=backfill), files

    def idle_flow(self, contract: Contract, job_id: str) -> Flow:
        """Nothing new: running it finishes what was interrupted, and lets the lake catch up."""
        return self._flow(contract, job_id, Nothing(), watched=False)

    def reread(self, contract: Contract, plan: Plan) -> Read:
        """The records of a plan again. Raises SourceChanged where that is impossible."""
        if plan.repair:
            return self._quarantine(contract).reread(plan.span)
        configured = self.settings.stream(contract.stream).source.path
        paths = ["-", *map(self.settings.absolute, configured)]
        if plan.shard == BACKFILL:
            return BackfillSource(self.files(contract, paths), 0).reread(plan.span)
        return self._feed(contract, paths, self._web_api(contract), pushed=True).reread(plan.span)

    def rereading(self, contract: Contract) -> Source:
        """What files and web APIs gave, where it can still be read again. What was pushed is let go of."""
        places = ["-", *map(self.settings.absolute, self.settings.stream(contract.stream).source.path)]
        asked = self._web_api(contract) or Nothing()
        return Several({ASKED: asked, "": self.files(contract, places)}, self.clock)

    def spool(self, stream: str) -> Spool:
        """What was pushed to a stream and waits for its commit."""
        if self._spools is not None:
            return self._spools[stream]
        if stream not in self._own_spools:
            limits = SpoolLimits(max_bytes=self.settings.http.spool_bytes)
            self._own_spools[stream] = Spool(self._spool_folder(stream), self.clock, limits)
            self._opened.append(self._own_spools[stream])
        return self._own_spools[stream]

    def files(self, contract: Contract, places: Sequence[str] = (), *, follow: bool = False) -> FileSource:
        """The stream's file source."""
        stream = self.settings.stream(contract.stream)
        paths = list(places) or [self.settings.absolute(path) for path in stream.source.path]
        if not paths:
            raise UserError(
                f"The stream {contract.stream} has no source.",
                f"Name one: hotfire ingest {contract.stream} --from PLACE, or set streams.{contract.stream}.source.path.",
            )
        wanted = file_settings(self.settings, stream.source, needed_fields(contract))
        awaited = follow or (not places and self._pushed(contract.stream))
        if stream.lake_only:
            wanted = replace(wanted, batch_bytes=_GREATER * wanted.batch_bytes)
        wanted = replace(wanted, resume=not self.dry_run, follow=follow, awaited=awaited)
        source = FileSource(paths, wanted, self.clock, pipes=self._pipes)
        self._opened.append(source)
        return source

    def close(self) -> None:
        """Close everything that was opened."""
        while self._opened:
            self._opened.pop().close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _feed(
        self,
        contract: Contract,
        places: Sequence[str],
        asked: RestSource | None,
        *,
        follow: bool = False,
        pushed: bool = False,
    ) -> Several:
        """Pushed rows, unless only `places` are asked for, a web API, and files."""
        own = self.settings.stream(contract.stream).source
        limits = SpoolSettings(batch_rows=self.settings.engine.batch_rows, batch_bytes=self.settings.engine.batch_bytes)
        with_pushed = (not places or pushed) and not self.dry_run and self._pushed(contract.stream)
        without_files = (with_pushed or asked) and not places and not own.path
        sources: dict[str, Source] = {
            KEY: SpoolSource(self.spool(contract.stream), limits) if with_pushed else Nothing(),
            ASKED: asked or Nothing(),
            "": Nothing() if without_files else self.files(contract, places, follow=follow),
        }
        if follow and own.every_ns:
            sources |= {one: NowAndThen(sources[one], own.every_ns, self.clock) for one in (ASKED, "")}
        return Several(sources, self.clock)

    def _web_api(self, contract: Contract) -> RestSource | None:
        """What the stream asks; None where it is not read from a web API."""
        flags = {"durable": not self.dry_run, "reconcile": self.reconcile}
        return rest_source(self.settings, contract, self.clock, self._open_store, **flags)

    def _pushed(self, stream: str) -> bool:
        """Whether rows of the stream are, or ever were, pushed."""
        return self._spools is not None or self._spool_folder(stream).is_dir()

    def _spool_folder(self, stream: str) -> Path:
        return self.settings.data / "spool" / "http" / stream

    def _flow(
        self, contract: Contract, job_id: str, source: Source, *, watched: bool = True, lenient: bool = False
    ) -> Flow:
        """A source on its way into the store, watched by the rules that hold now; else nothing new may come of it."""
        only = self.settings.stream(contract.stream).lake_only
        if only and contract.kind == "entity":
            raise UserError(
                f"The stream {contract.stream} holds entities: their versions are compared in the store.",
                f"Remove lake_only from [streams.{contract.stream}].",
            )
        reread = partial(self.reread, contract)
        parts = (contract, source, self.store, self.lake, self.clock, job_id, reread, self.contract_of)
        retention_ns = self.settings.stream(contract.stream).retention_ns
        rules = Rules(self.settings.folder, contract, self.store, lenient=lenient or self._spools is not None)
        flow = Flow(*parts, lake_only=only, dry_run=self.dry_run, retention_ns=retention_ns, ruleset_of=rules.of)
        if watched:
            self.rules[contract.stream] = rules
        telemetry = contract.kind == "telemetry"
        return replace(flow, ruleset=rules.current if watched else UNWATCHED) if telemetry else flow

    def _quarantine(self, contract: Contract, check: str = "") -> QuarantineSource:
        tries = self.settings.engine.quarantine_tries
        source = QuarantineSource(self._open_store(), contract.stream, tries, check)
        self._opened.append(source)
        return source

    def _open_store(self, *, dry_run: bool = False) -> OperationalStore:
        patience_s = PATIENCE_S if self._spools is None else SUPERVISED_S
        store = open_store(self.settings, self.clock, patience_s, dry_run=dry_run)
        store.alarms.routing = routing(self.settings)
        store.snapshots.of = partial(snapshot_of, self.settings)
        if self._spools is not None:
            store.borrow()
        self._opened.append(store)
        return store
