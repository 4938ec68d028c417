"""`hotfire simulate`: seeded, realistic data with labelled faults."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, hint, terminal
from hotfire.errors import HotfireError, UserError

if TYPE_CHECKING:
    from hotfire.simulate.model import Request
    from hotfire.simulate.play import Errand, Made

START = "2025-01-01T00:00:00Z"
_HOURS = 2.0


@click.command(cls=Command)
@click.argument("stream")
@click.option("--to", required=True, metavar="PLACE", help="A .csv or .jsonl file (.gz, .zst), - or http://HOST:PORT.")
@click.option("--rate", default="1", show_default=True, metavar="HZ|max", help="Readings a second and asset.")
@click.option("--hours", type=float, metavar="H", help="How long; 2 unless it is live, which has no end.")
@click.option("--duration", metavar="TIME", help="How long, as in 90s or 5min.")
@click.option("--assets", default=5, show_default=True, metavar="N", help="How many at a time.")
@click.option("--faults", default="default", show_default=True, metavar="NAME|FILE", help="none, default, or a file.")
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="OUT", help="Where to write what is wrong, and where."
)
@click.option("--seed", default=1, show_default=True, metavar="S", help="The same seed gives the same bytes.")
@click.option("--start", metavar="ISO", help=f"The instant of the first reading: {START}, or now if it is live.")
@click.option("--from", "recording", type=click.Path(path_type=Path), metavar="FILE", help="A C-MAPSS file to play.")
@click.option("--live/--at-once", default=None, help="Rows leave at their time, or at once. To a server they are live.")
@click.option("--token", envvar="HOTFIRE_TOKEN", metavar="TOKEN", help="For a server; or set HOTFIRE_TOKEN.")
def simulate(stream: str, to: str, *, labels: Path | None, token: str | None, **options: Any) -> Answer:
    """Make a stream's data: realistic, with faults in it, each one labelled.

    STREAM is engine_telemetry, dyno_telemetry or events.
    """
    from hotfire.simulate.play import Errand
    from hotfire.simulate.play import simulate as play
    from hotfire.simulate.recording import read_recording
    from hotfire.simulate.targets import is_server

    if to == "-" and _as_json():
        raise UserError("--json and --to - both need standard output.", "Write to a file, or leave out --json.")
    live = _live(options["rate"], asked=options["live"], server=is_server(to))
    recording = read_recording(options["recording"]) if options["recording"] else None
    from_now = live and options["start"] is None
    errand = Errand(stream, to, live, from_now, labels, token, recording)
    request = _request(options, endless=live or recording is not None)
    if is_server(to):
        from hotfire.cli.logs import logger

        logger("simulate")
    try:
        with _stoppable(catch=live or is_server(to)) as stopped, _watched(stream) as told:
            made = play(errand, request, stopped=stopped, progress=told)
    except BrokenPipeError:  # who reads the other end of standard output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Answer({}, exit_code=141)
    answer = _answer(errand, request, made)
    if to != "-":
        return answer
    click.echo("\n".join(answer.lines), err=True)
    return Answer(answer.document)


def _live(rate: str, *, asked: bool | None, server: bool) -> bool:
    """Whether rows leave at their time."""
    if rate == "max":
        if asked:
            raise UserError("--rate max and --live exclude each other.", "Give a rate in Hz.")
        return False
    return server if asked is None else asked


def _request(options: dict[str, Any], *, endless: bool) -> Request:
    from hotfire.simulate.model import ENDLESS_HOURS, Request
    from hotfire.simulate.play import read_faults
    from hotfire.workspace.values import instant_ns

    start, rate = options["start"], options["rate"]
    try:
        start_ns = instant_ns(start or START)
    except ValueError:
        raise UserError(f"--start {start} is no instant with a zone.", f"Write it as {START}.") from None
    try:
        rate_hz = 1.0 if rate == "max" else float(rate)
    except ValueError:
        raise UserError(f"--rate {rate} is no number.", "Write readings a second, or max.") from None
    hours = _hours(options["hours"], options["duration"])
    if hours is None:
        hours = ENDLESS_HOURS if endless else _HOURS
    return Request(start_ns, hours, rate_hz, options["assets"], options["seed"], read_faults(options["faults"]))


def _hours(hours: float | None, duration: str | None) -> float | None:
    """How long, in hours; None where nothing is said."""
    from hotfire.contract.duration import duration_ns

    if duration is None:
        return hours
    if hours is not None:
        raise UserError("--hours and --duration exclude each other.", "Give one of them.")
    try:
        return duration_ns(duration) / 3_600_000_000_000
    except HotfireError as error:
        raise UserError(f"--duration: {error.what}.", "Write a number and a unit, such as 90s or 5min.") from error


@contextmanager
def _stoppable(*, catch: bool) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM asked to stop, if they are to be caught: what was sent is then told."""
    if not catch:
        yield lambda: False
        return
    from hotfire.cli.up import stopping

    with stopping() as stop:
        yield stop.is_set


@contextmanager
def _watched(stream: str) -> Iterator[Callable[[int], None] | None]:
    """What shows on a terminal, while it goes on, how many rows were taken."""
    if not terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"simulate {stream}")
        yield lambda rows: bar.update(task, description=f"simulate {stream}  {rows:,} rows")


def _answer(errand: Errand, request: Request, made: Made) -> Answer:
    from hotfire.simulate.targets import is_server

    rate = made.rows / made.seconds if made.seconds else 0.0
    document = {
        "stream": errand.stream,
        "to": errand.to,
        "rows": made.rows,
        "faults": dict(made.labels),
        "seed": request.seed,
        "seconds": round(made.seconds, 3),
        "rows_per_second": round(rate),
        "stopped": made.stopped,
    }
    server = is_server(errand.to)
    lines = [f"{'pushed' if server else 'wrote'} {made.rows:,} rows to {errand.to}"]
    if server:
        lines[0] += f" in {made.seconds:,.1f} s: {rate:,.0f} a second, all of them acknowledged"
    if errand.live:
        document["behind_ms"] = round(made.behind_s * 1e3, 1)
        lines.append(f"  at most {made.behind_s * 1e3:,.0f} ms behind their time")
    if made.labels:
        faults = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in made.labels.items())
        lines.append(f"  with {faults}")
    if errand.labels:
        lines.append(f"  labels: {errand.labels}")
    if not server and errand.to != "-":
        lines.append(f"Next: {hint(f'ingest {errand.stream} --from {errand.to}')}")
    return Answer(document, lines)


def _as_json() -> bool:
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source("json") is ParameterSource.COMMANDLINE
