"""What only the wall clock can tell: silent assets, frozen sources. And what looks, and sends notices, beside streams."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import msgspec

from hotfire.alarm.model import Alarm
from hotfire.alarm.news import is_silence
from hotfire.clock import iso
from hotfire.detect.model import Readings
from hotfire.errors import HotfireError
from hotfire.findings import Change, Condition
from hotfire.notify.outbox import Sender
from hotfire.workspace.frozen import Standing, observe
from hotfire.workspace.notify import notifiers
from hotfire.workspace.rules import Rules
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.detect.model import Rule

Stands = Callable[[str, Standing], None]

_GRACE_NS = 2_000_000_000
"""What rows may take from their source to the store before their asset counts as silent."""
_LOOK_S, _AGAIN_S = 1.0, 5.0
_DRAIN_S = 5.0


class WallClock:
    """What the wall clock shows of the streams of a workspace.

    Args:
        stands: is told how each web API is doing, with its stream.
    """

    def __init__(self, workspace: Workspace, stands: Stands = lambda _stream, _standing: None) -> None:
        self._workspace, self._stands = workspace, stands
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        self._noted: dict[str, set[str]] = {}

    def look(self) -> None:
        """Write down what it shows now."""
        store, now_ns = self._workspace.store, self._workspace.clock.now_ns()
        for stream in self._workspace.settings.streams:
            if store.major(stream) is not None:
                shown = dict([*self.silent(stream, now_ns), *self.heard_again(stream, now_ns)])
                for name in shown.keys() - self._noted.get(stream, set()):
                    store.alarms.observe(stream, name, shown[name])
                self._noted[stream] = set(shown)
                asked = observe(self._workspace, stream)
                if asked is not None:
                    self._stands(stream, asked)

    def silent(self, stream: str, now_ns: int) -> Iterator[tuple[str, Change]]:
        """The assets of a stream that are silent, each silence with a name of its own.

        An asset is silent where rows came from it as they happened, and none have come for longer than the time-out of a
        `no_data` rule of the whole asset, whose `while` is true of its last row.
        """
        for rule in self._no_data(stream):
            timeout_ns, severity = rule.parameters["timeout_ns"], rule.levels[0].severity
            quiet = [one for one in self._heard(stream) if now_ns - one[1] > timeout_ns + _GRACE_NS]
            concerned = self._concerned(stream, rule) if quiet and rule.only else None
            for asset, heard_ns in quiet:
                if concerned is None or asset in concerned:
                    since_ns, message = heard_ns + timeout_ns, f"{asset}: no rows since {iso(heard_ns)}"
                    held = Condition(rule.name, asset, "", 1, severity, severity, since_ns, message=message)
                    yield _named(stream, rule.name, asset, since_ns), Change("raised", since_ns, held, rule.about)

    def heard_again(self, stream: str, now_ns: int) -> Iterator[tuple[str, Change]]:
        """The silences that are over, though no row says so: what comes late may leave no gap of event time.

        So is one whose rule is no more.
        """
        timeouts = {rule.name: rule.parameters["timeout_ns"] for rule in self._no_data(stream)}
        heard = dict(self._heard(stream))
        for text in self._workspace.store.query("alarms_of_assets", stream=stream)["alarm"]:
            one = msgspec.json.decode(text, type=Alarm)
            at_ns = heard.get(one.asset, 0) if one.rule in timeouts else now_ns
            if one.active and is_silence(one) and now_ns - at_ns <= timeouts.get(one.rule, 0):
                since_ns = at_ns if one.raised_at_ns is None else one.raised_at_ns
                over = Condition(one.rule, one.asset, "", 1, None, one.severity, since_ns, at_ns)
                yield _named(stream, one.rule, one.asset, "over", at_ns), Change("returned", at_ns, over, one.about)

    def _heard(self, stream: str) -> list[tuple[str, int]]:
        """When rows last came from each asset, as they happened."""
        return self._workspace.store.query("heard", stream=stream).rows()

    def _concerned(self, stream: str, rule: Rule) -> set[str]:
        """The assets of whose last row a rule's `while` is true."""
        contract = self._workspace.contract_in_use(stream)
        readings = Readings.of(contract, self._workspace.store.latest(contract))
        truth = readings.truth(rule.only or "").tolist()
        return {asset for asset, one in zip(readings.assets, truth, strict=True) if one == 1}

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
        stands: is told how each web API is doing, with its stream.
    """

    def __init__(self, opened: Callable[[], Workspace], log: Any, stands: Stands) -> None:
        self._opened, self._log, self._stands = opened, log, stands
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
        clock = WallClock(workspace, self._stands)
        while True:
            clock.look()
            if self._stop.is_set():
                return
            self._stop.wait(_LOOK_S)
