"""The sources of a workspace: files, what was pushed, web APIs, and quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from hotfire.engine.backfill import BackfillSource
from hotfire.engine.upgrade import Nothing
from hotfire.errors import UserError
from hotfire.quarantine.replay import QuarantineSource
from hotfire.rows import BACKFILL
from hotfire.source.files import FileSource
from hotfire.source.rest import KEY as ASKED
from hotfire.source.several import NowAndThen, Several
from hotfire.source.spool.source import KEY, SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.source.stdin import Pipes
from hotfire.workspace.reading_files import file_settings, needed_fields

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.protocols import Read, Source, Store
    from hotfire.rows import Plan
    from hotfire.source.rest.source import RestSource
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings


_GREATER = 2
"""How many times as large a batch is that is an append to the lake of its own, which costs more than a commit."""


class Owner(Protocol):
    """What of a workspace its sources need.

    Attributes:
        spools: of the server that runs in this process.
        opened: is closed with the workspace.
    """

    settings: Settings
    clock: Clock
    dry_run: bool
    reconcile: bool
    spools: Mapping[str, Spool] | None
    opened: list[Store | Source | Spool]

    def open_store(self) -> OperationalStore:
        """Another connection to the store."""
        ...


class Sources:
    """What a workspace reads from; each is opened when it is asked for, and closed with the workspace."""

    def __init__(self, workspace: Owner) -> None:
        self._workspace = workspace
        self._settings, self._clock, self._dry_run = workspace.settings, workspace.clock, workspace.dry_run
        self._own_spools: dict[str, Spool] = {}

    def reread(self, contract: Contract, plan: Plan) -> Read:
        """The records of a plan again. Raises SourceChanged where that is impossible."""
        if plan.repair:
            return self.quarantine(contract).reread(plan.span)
        configured = self._settings.stream(contract.stream).source.path
        paths = ["-", *map(self._settings.absolute, configured)]
        if plan.shard == BACKFILL:
            return BackfillSource(self.files(contract, paths), 0).reread(plan.span)
        return self.feed(contract, paths, self.web_api(contract), pushed=True).reread(plan.span)

    def rereading(self, contract: Contract) -> Source:
        """What files and web APIs gave, where it can still be read again. What was pushed is let go of."""
        places = ["-", *map(self._settings.absolute, self._settings.stream(contract.stream).source.path)]
        asked = self.web_api(contract) or Nothing()
        return Several({ASKED: asked, "": self.files(contract, places)}, self._clock)

    def spool(self, stream: str) -> Spool:
        """What was pushed to a stream and waits for its commit."""
        if self._workspace.spools is not None:
            return self._workspace.spools[stream]
        if stream not in self._own_spools:
            limits = SpoolLimits(max_bytes=self._settings.http.spool_bytes)
            self._own_spools[stream] = Spool(self._spool_folder(stream), self._clock, limits)
            self._workspace.opened.append(self._own_spools[stream])
        return self._own_spools[stream]

    def files(self, contract: Contract, places: Sequence[str] = (), *, follow: bool = False) -> FileSource:
        """The stream's file source."""
        stream = self._settings.stream(contract.stream)
        paths = list(places) or [self._settings.absolute(path) for path in stream.source.path]
        if not paths:
            raise UserError(
                f"The stream {contract.stream} has no source.",
                f"Name one: hotfire ingest {contract.stream} --from PLACE, or set streams.{contract.stream}.source.path.",
            )
        wanted = file_settings(self._settings, stream.source, needed_fields(contract))
        awaited = follow or (not places and self._pushed(contract.stream))
        if stream.lake_only:
            wanted = replace(wanted, batch_bytes=_GREATER * wanted.batch_bytes)
        wanted = replace(wanted, resume=not self._dry_run, follow=follow, awaited=awaited)
        source = FileSource(paths, wanted, self._clock, pipes=self._pipes)
        self._workspace.opened.append(source)
        return source

    def feed(
        self,
        contract: Contract,
        places: Sequence[str],
        asked: RestSource | None,
        *,
        follow: bool = False,
        pushed: bool = False,
    ) -> Several:
        """Pushed rows, a web API, and files: all that feeds a stream.

        Args:
            places: instead of its own files.
            pushed: rows that were pushed, too, although there are `places`.
            follow: look for new files and rows for ever.
        """
        own = self._settings.stream(contract.stream).source
        limits = SpoolSettings(
            batch_rows=self._settings.engine.batch_rows, batch_bytes=self._settings.engine.batch_bytes
        )
        with_pushed = (not places or pushed) and not self._dry_run and self._pushed(contract.stream)
        without_files = (with_pushed or asked) and not places and not own.path
        sources: dict[str, Source] = {
            KEY: SpoolSource(self.spool(contract.stream), limits) if with_pushed else Nothing(),
            ASKED: asked or Nothing(),
            "": Nothing() if without_files else self.files(contract, places, follow=follow),
        }
        if follow and own.every_ns:
            sources |= {one: NowAndThen(sources[one], own.every_ns, self._clock) for one in (ASKED, "")}
        return Several(sources, self._clock)

    def web_api(self, contract: Contract) -> RestSource | None:
        """What the stream asks; None where it is not read from a web API."""
        if self._settings.stream(contract.stream).source.rest is None:
            return None
        from hotfire.workspace.web_api import rest_source  # here, for most streams ask nobody

        flags = {"durable": not self._dry_run, "reconcile": self._workspace.reconcile}
        return rest_source(self._settings, contract, self._clock, self._workspace.open_store, **flags)

    def quarantine(self, contract: Contract, check: str = "") -> QuarantineSource:
        """What was rejected, or only what broke a check."""
        tries = self._settings.engine.quarantine_tries
        source = QuarantineSource(self._workspace.open_store(), contract.stream, tries, check)
        self._workspace.opened.append(source)
        return source

    def _pushed(self, stream: str) -> bool:
        """Whether rows of the stream are, or ever were, pushed."""
        return self._workspace.spools is not None or self._spool_folder(stream).is_dir()

    def _spool_folder(self, stream: str) -> Path:
        return self._settings.data / "spool" / "http" / stream

    @cached_property
    def _pipes(self) -> Pipes:
        """What came through pipes: they can be read only once."""
        return Pipes(self._settings.data / "spool", None, resume=not self._dry_run)
