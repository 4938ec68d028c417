"""What only the wall clock can tell: assets that have fallen silent. And what looks, and sends notices, beside streams."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from hotfire.clock import iso
from hotfire.errors import HotfireError
from hotfire.findings import Change, Condition
from hotfire.notify.outbox import Sender
from hotfire.workspace.notify import notifiers
from hotfire.workspace.rules import Rules
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.detect.model import Rule

_GRACE_NS = 2_000_000_000
"""What rows may take from their source to the store before their asset counts as silent."""
_LOOK_S, _AGAIN_S = 1.0, 5.0
_DRAIN_S = 5.0


class WallClock:
    """What the wall clock shows of the streams of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._rules: dict[tuple[str, str], list[Rule]] = {}

    def look(self) -> None:
        """Write down what it shows now."""
        store, now_ns = self._workspace.store, self._workspace.clock.now_ns()
        for stream in self._workspace.settings.streams:
            for name, change in self.silent(stream, now_ns):
                store.alarms.observe(stream, name, change)

    def silent(self, stream: str, now_ns: int) -> Iterator[tuple[str, Change]]:
        """The assets of a stream that are silent, each silence with a name of its own.

        An asset is silent where rows came from it as they happened, and none have come for longer than the time-out of a
        `no_data` rule of the whole asset. Its next row ends the silence, in the ledger of conditions, too.
        """
        for rule in self._no_data(stream):
            timeout_ns, severity = rule.parameters["timeout_ns"], rule.levels[0].severity
            for asset, _, heard_ns in self._workspace.store.query("heard", stream=stream).iter_rows():
                if now_ns - heard_ns > timeout_ns + _GRACE_NS:
                    since_ns, message = heard_ns + timeout_ns, f"{asset}: no rows since {iso(heard_ns)}"
                    held = Condition(rule.name, asset, "", 1, severity, severity, since_ns, message=message)
                    yield _named(stream, rule.name, asset, since_ns), Change("raised", since_ns, held, rule.about)

    def _no_data(self, stream: str) -> list[Rule]:
        """The rules about assets as a whole being silent."""
        store = self._workspace.store
        entered = store.query("rules_entered", stream=stream)["hash"].to_list()
        contract = self._workspace.contract_in_use(stream) if entered else None
        if contract is None or contract.kind == "entity":
            return []
        key = (contract.hash, entered[-1])
        if key not in self._rules:
            editions = Rules(self._workspace.settings.folder, contract, store).of(contract, entered[-1]).editions
            rules = [one.rule for one in editions[-1].detectors]
            self._rules[key] = [rule for rule in rules if rule.detector == "no_data" and not rule.channels]
        return self._rules[key]


def _named(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class Sentinel:
    """Looks about once a second, and sends notices at once, on threads of its own, as long as the streams go on.

    Args:
        opened: opens the workspace: the store that this process owns, by a connection of its own.
        log: a structlog logger: for notices of kind `log`, and for what keeps it from looking.
    """

    def __init__(self, opened: Callable[[], Workspace], log: Any) -> None:
        self._opened, self._log = opened, log
        self._sender: Sender | None = None
        self._stop = Event()
        self._thread = Thread(target=self._go, name="sentinel", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send."""
        if self._sender:
            self._sender.wake()

    def stop(self) -> None:
        """Send what is due, and end. Returns at once."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came in time."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _go(self) -> None:
        while not self._stop.is_set():
            try:
                with self._opened() as eyes, self._opened() as mouth:
                    self._sender = Sender(
                        mouth.store.outbox, notifiers(eyes.settings, eyes.clock, self._log), eyes.clock
                    )
                    self._sender.start()
                    try:
                        self._watch(eyes)
                    finally:
                        self._sender.stop(_DRAIN_S)
                        self._sender.join(_DRAIN_S)
            except HotfireError as error:
                self._log.warning("sentinel_failed", error=error.what, do=error.do)
                self._stop.wait(_AGAIN_S)

    def _watch(self, workspace: Workspace) -> None:
        clock = WallClock(workspace)
        while True:
            clock.look()
            if self._stop.is_set():
                return
            self._stop.wait(_LOOK_S)
