"""Backfills beside streams that go on: those that were handed over, one after another, on a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hotfire.engine.loop import run_opened
from hotfire.errors import HotfireError
from hotfire.rows import Counts
from hotfire.workspace.backfills import Errand, errands, gentle, paced
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.engine.flow import Flow
    from hotfire.rows import Outcome
    from hotfire.source.spool.writer import Spool

Said = Callable[[str, int, str], None]
"""Told of the stream, the number of its backfill, and what keeps it from going on; empty: it is done."""

_LOOK_S = 1.0
_AGAIN_S = 30.0


class LiveBackfills:
    """Looks for backfills that were handed over, and does them.

    Args:
        workspace: owns the store, for as long as the streams go on.
        spools: what is pushed, by stream.
        locks: those that the streams' flows have.
        said: of each that is done or in trouble.
    """

    def __init__(
        self, workspace: Workspace, job_id: str, spools: Mapping[str, Spool], locks: Mapping[str, Lock], said: Said
    ) -> None:
        self._workspace, self._job_id, self._spools = workspace, job_id, spools
        self._locks, self._said = locks, said
        self._again_ns = dict[tuple[str, int], int]()
        self._stop = Event()
        self._thread = Thread(target=self._go, name="backfills", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand, and end. Returns at once."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came in time. What was not done is gone on with at the next start."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _go(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except HotfireError:  # the store: its streams tell
                self._stop.wait(_AGAIN_S)

    def _look(self) -> None:
        """Look again and again, by one connection, as long as it holds."""
        with Workspace(self._workspace.settings, self._workspace.clock, spools=self._spools) as own:
            while not self._stop.wait(_LOOK_S):
                for stream in own.settings.streams:
                    found = self._due(stream, errands(own.store, stream))
                    if found is not None and not self._stop.is_set():
                        self._do(own, stream, found)

    def _due(self, stream: str, found: Sequence[Errand]) -> Errand | None:
        """The first that is not in trouble just now: one whose files are gone keeps no other from its turn."""
        now_ns = self._workspace.clock.now_ns()
        due = (one for one in found if self._again_ns.get((stream, one.backfill.number), 0) <= now_ns)
        return next(due, None)

    def _do(self, own: Workspace, stream: str, found: Errand) -> None:
        try:
            self._bring(stream, found)
        except HotfireError as error:
            self._failed(own, stream, found, f"{error.what} {error.do}".strip())
        except Exception as error:  # noqa: BLE001 - the boundary of a backfill: whatever it is, live and the others go on
            self._failed(own, stream, found, f"hotfire has a bug: {type(error).__name__}: {error} Please report it.")
        else:
            if not self._stop.is_set():
                own.store.trouble_backfill(stream, found.backfill.number, "")
                own.store.end_backfill(stream, found.backfill.number)
                self._said(stream, found.backfill.number, "")

    def _failed(self, own: Workspace, stream: str, found: Errand, trouble: str) -> None:
        number = found.backfill.number
        self._again_ns[stream, number] = self._workspace.clock.now_ns() + int(_AGAIN_S * 1e9)
        own.store.trouble_backfill(stream, number, trouble)
        self._said(stream, number, trouble)

    def _bring(self, stream: str, found: Errand) -> None:
        total = Counts()

        def watch(outcome: Outcome) -> None:
            nonlocal total
            total += outcome.counts

        settings = gentle(self._workspace.settings, found.rate)
        with Workspace(settings, self._workspace.clock, spools=self._spools) as parts:
            contract = parts.contract_in_use(stream)

            def opened() -> Flow:
                flow, _ = parts.backfill_flow(contract, self._job_id, found.places, found.backfill)
                return replace(flow, lock=self._locks[stream], retention_ns=None)

            pace = paced(parts.clock, found.rate, lambda: total.received, self._stop.is_set)
            run_opened(opened, watch, go_on=pace)
