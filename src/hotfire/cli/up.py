"""`hotfire up`: every stream of the workspace at once, and the server that takes pushed rows, until it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import FATES, Answer, equation, hint, terminal
from hotfire.cli.workspace import settings_of

if TYPE_CHECKING:
    from types import FrameType

    from hotfire.cli.jobs import Job
    from hotfire.engine.supervise import Live, Standing
    from hotfire.errors import UserError
    from hotfire.rows import Outcome
    from hotfire.web.access import Access
    from hotfire.web.meters import EngineMeters
    from hotfire.workspace.frozen import Standing as Asked
    from hotfire.workspace.model import Settings
    from hotfire.workspace.wiring import Workspace

_DRAIN_S = 10.0
"""So long what was taken may take to be committed, once it is time to stop."""


@click.command(cls=Command)
@click.option("--host", help="The address to listen on; another one than loopback needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes one that is free.")
@click.option("--no-browser", is_flag=True, help="Do not open the list of streams in a browser.")
def up(host: str | None, port: int | None, *, no_browser: bool) -> Answer:
    """Keep every stream going: files that grow, and rows that are pushed.

    Push rows with: curl -X POST --data-binary @rows.jsonl http://127.0.0.1:8440/api/v1/ingest/STREAM

    Ctrl-C or SIGTERM: nothing more is taken, what was taken is committed, and the lake is brought up to date.
    """
    from hotfire.cli.allocator import give_back
    from hotfire.cli.jobs import job
    from hotfire.web.server import serve
    from hotfire.workspace.wiring import Workspace

    settings = settings_of({f"http.{key}": value for key, value in (("host", host), ("port", port)) if value})
    who, listen = _access(settings), settings.http.port if port is None else port
    give_back()
    with stopping() as stop, Workspace(settings) as workspace, job(workspace, "up", "") as one:
        plant = _Plant(workspace, one)
        with ExitStack() as running:
            server = serve(plant.application(who), settings.http.host, listen)
            running.callback(server.stop, int(_DRAIN_S))
            _announce(server.url, list(settings.streams), open_browser=not no_browser)
            plant.start()
            stop.wait()
        unfinished = plant.stop()
        return _summary(one, plant, unfinished)


class _Plant:
    """The streams that run, and what is counted of them."""

    def __init__(self, workspace: Workspace, one: Job) -> None:
        from prometheus_client import CollectorRegistry

        from hotfire.web.meters import EngineMeters
        from hotfire.workspace.live import Listener, live_streams
        from hotfire.workspace.live_backfills import LiveBackfills
        from hotfire.workspace.sentinel import Sentinel
        from hotfire.workspace.wiring import Workspace as Parts

        self._workspace, self._one = workspace, one
        self.registry = CollectorRegistry()
        self._meters: EngineMeters = EngineMeters(self.registry)
        self.totals: dict[str, dict[str, int]] = {
            stream: dict.fromkeys(_COUNTED, 0) for stream in workspace.settings.streams
        }
        self._last: dict[str, int] = {}
        self.spools = {stream: workspace.sources.spool(stream) for stream in workspace.settings.streams}
        locks = {stream: Lock() for stream in workspace.settings.streams}
        listener = Listener(self._told, self._stood, self._broken)
        self.lives: Mapping[str, Live] = live_streams(workspace, one.job_id, self.spools, locks, listener)
        self._backfills = LiveBackfills(workspace, one.job_id, self.spools, locks, self._brought)
        self._asked: dict[str, Asked] = {}
        self._sentinel = Sentinel(
            lambda: Parts(workspace.settings, workspace.clock, spools=self.spools), one.log, self._stands
        )

    def application(self, who: Access) -> Any:
        """The web application over the streams."""
        from hotfire.web.app import Engine, app
        from hotfire.web.ingest import IngestLimits

        limits = IngestLimits(body_bytes=self._workspace.settings.http.body_bytes)
        return app(self.spools, Engine(self._ready, self._streams, self.registry), who, limits)

    def start(self) -> None:
        """Begin with every stream."""
        for live in self.lives.values():
            live.start()
        self._backfills.start()
        self._sentinel.start()

    def stop(self) -> list[str]:
        """Drain every stream; the names of those that did not end in time."""
        deadline_ns = self._workspace.clock.now_ns() + int(2 * _DRAIN_S * 1e9)
        self._backfills.stop()
        for live in self.lives.values():
            live.stop(_DRAIN_S)
        self._backfills.join(2 * _DRAIN_S)
        now_ns = self._workspace.clock.now_ns
        late = [name for name, live in self.lives.items() if not live.join((deadline_ns - now_ns()) / 1e9)]
        self._sentinel.stop()
        self._sentinel.join((deadline_ns - now_ns()) / 1e9)
        return late

    def _ready(self) -> str:
        """Why rows would not come through; empty where they would."""
        standings = {name: live.standing for name, live in self.lives.items()}
        if starting := [name for name, one in standings.items() if one.state == "starting"]:
            return f"Starting: {', '.join(starting)}."
        if standings and not any(one.state == "running" for one in standings.values()):
            return " ".join(f"{name}: {one.error}" for name, one in standings.items())
        return ""

    def _streams(self) -> list[dict[str, Any]]:
        from hotfire.clock import iso

        found = []
        for name, live in self.lives.items():
            standing, last = live.standing, self._last.get(name)
            document = {"stream": name, "state": standing.state, "since": iso(standing.since_ns), **self.totals[name]}
            document |= {"committed_at": iso(last) if last else None}
            if asked := self._asked.get(name):
                frozen = {"frozen_since": iso(asked.frozen_ns)} if asked.frozen_ns is not None else {}
                document |= {"checked_at": iso(asked.checked_ns), "changed_at": iso(asked.changed_ns), **frozen}
            if standing.error:
                document |= {"error": standing.error, "do": standing.do, "tries": standing.tries}
            found.append(document)
        return found

    def _told(self, outcome: Outcome) -> None:
        stream, now_ns = outcome.plan.stream, self._workspace.clock.now_ns()
        newest = None
        if outcome.assets is not None and outcome.assets.height:
            newest = int(outcome.assets["clock_ns"].max())  # type: ignore[arg-type]
        self._meters.committed(outcome, now_ns, newest)
        for name in _COUNTED:
            self.totals[stream][name] += getattr(outcome.counts, name)
        self._last[stream] = now_ns
        if outcome.watched.changes:
            self._sentinel.wake()

    def _stands(self, stream: str, asked: Asked) -> None:
        self._asked[stream] = asked
        self._meters.asked(stream, asked.checked_ns, asked.changed_ns, frozen=asked.frozen_ns is not None)

    def _brought(self, stream: str, number: int, trouble: str) -> None:
        if trouble:
            self._one.log.warning("backfill_failed", stream=stream, number=number, error=trouble)
        else:
            self._one.log.info("backfill_done", stream=stream, number=number)

    def _stood(self, stream: str, standing: Standing) -> None:
        failed = standing.state == "retrying"
        self._meters.standing(stream, running=standing.state == "running", failed=failed)
        if failed:
            self._one.log.warning(
                "stream_failed", stream=stream, error=standing.error, do=standing.do, tries=standing.tries
            )
        else:
            self._one.log.info("stream_stands", stream=stream, state=standing.state)

    def _broken(self, stream: str, error: UserError) -> None:
        self._one.log.warning("rules_broken", stream=stream, error=error.what, do=error.do)


_COUNTED = ("received", *FATES, "corrected", "late")


@contextmanager
def stopping() -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set. A second one ends the process as it always does."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stopped(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        for one, handler in before.items():
            signal.signal(one, handler)

    for number in before:
        signal.signal(number, stopped)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _access(settings: Settings) -> Access:
    from hotfire.web.access import Role, access

    http = settings.http
    tokens = {Role.VIEWER: http.viewers, Role.OPERATOR: http.operators, Role.ADMIN: http.admins}
    return access(http.host, {role: [one.reveal() for one in own] for role, own in tokens.items()}, http.names)


def _announce(url: str, streams: Sequence[str], *, open_browser: bool) -> None:
    """Say on stderr where the server is: standard output is for the answer at the end."""
    click.echo(f"hotfire is up: {url}  (Ctrl-C stops)", err=True)
    for stream in streams:
        click.echo(f"  push {stream}: curl -X POST --data-binary @rows.jsonl {url}/api/v1/ingest/{stream}", err=True)
    if open_browser and terminal():
        click.launch(f"{url}/api/v1/streams")


def _summary(one: Job, plant: _Plant, unfinished: Sequence[str]) -> Answer:
    streams = [{"stream": name, **counts} for name, counts in plant.totals.items()]
    document = {
        "job_id": one.job_id,
        "seconds": round(one.seconds, 3),
        "streams": streams,
        "unfinished": list(unfinished),
    }
    one.summary = document
    lines = [f"{name}  {equation(counts)}" for name, counts in plant.totals.items() if counts["received"]]
    lines = lines or ["Nothing was received."]
    if unfinished:
        lines.append(f"Not ended in time: {', '.join(unfinished)}. What was taken is safe; the next start goes on.")
    return Answer(document, [*lines, f"Next: {hint('balance')}"], 0)
