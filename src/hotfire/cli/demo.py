"""`hotfire demo`: a guided first look at what hotfire does, on simulated rocket engines."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer

STREAM = "engine_telemetry"
_TESTS = (
    ("burn-1.csv", "2025-03-03T08:00:00Z"),
    ("burn-2.csv", "2025-03-04T08:00:00Z"),
    ("burn-3.csv", "2025-03-05T08:00:00Z"),
)
_HIGHEST = (
    "select engine_id, event_time, chamber_pressure, temperature from engine_telemetry "
    "order by chamber_pressure desc nulls last limit 5"
)


@click.command(cls=Command)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where to make it; else a temporary folder.")
@click.option("--once", is_flag=True, help="End when everything was shown, for scripts. Nothing is left running.")
def demo(folder: Path | None, *, once: bool) -> Answer:  # noqa: ARG001 - without the console both ways end alike
    """A first look: simulated engine tests with faults, taken in, counted, explained and queried."""
    home = folder or Path(tempfile.mkdtemp(prefix="hotfire-demo-")) / "engines"
    found: dict[str, Any] = {"workspace": str(home.absolute())}
    story = _told(home, found)

    def document() -> dict[str, Any]:
        for _ in story:
            continue
        return found

    return Answer(document, story)


def _told(home: Path, found: dict[str, Any]) -> Iterator[str]:
    """Each step: what it shows, the command to type, what it prints. The commands are the real ones."""
    from hotfire.workspace.templates import create

    create("engines", home)
    yield _title(
        "Three mornings of tests of five rocket engines, simulated, with sensor faults and dirty lines in them"
    )
    rows = 0
    for seed, (name, start) in enumerate(_TESTS, 1):
        words = ["--to", str(home / "incoming" / name), "--hours", "1", "--seed", str(seed), "--start", start]
        rows += _run(home, "simulate", STREAM, *words).document["rows"]
    found["simulated"] = rows
    yield f"{rows:,} readings in {home / 'incoming'}/"
    yield from _step(home, found, "Every record gets exactly one fate. The summary is an equation", "ingest", STREAM)
    yield from _step(
        home, found, "What was rejected waits whole, with its reason and its place", "quarantine", "show", "1"
    )
    shutil.copy(home / "incoming" / _TESTS[1][0], home / "incoming" / "sent-again.csv")
    yield from _step(
        home, found, "The second file comes again under another name: nothing is stored twice", "ingest", STREAM
    )
    yield from _step(home, found, "Count everything again, in the tables and in the lake", "balance")
    yield from _step(home, found, "Ask: the highest pressures, which are simulated spikes", "sql", _HIGHEST)
    yield _title("Go on")
    yield f"  cd {shlex.quote(str(home))}"
    if shutil.which("hotfire") is None:
        yield f"  export PATH={shlex.quote(str(Path(sys.argv[0]).absolute().parent))}:$PATH"
    yield "  hotfire quarantine stats"
    yield "  hotfire why incoming/burn-2.csv:100"
    yield "  hotfire digest"
    yield '  hotfire sql "select count(*) as n from lake.engine_telemetry"'
    yield "  hotfire --help"


def _step(home: Path, found: dict[str, Any], title: str, *words: str) -> Iterator[str]:
    answer = _run(home, *words)
    key = words[0] if words[0] not in found else f"{words[0]}_again"
    found[key] = answer.document
    yield _title(title)
    typed = " ".join(f'"{word}"' if " " in word else word for word in words)
    yield click.style(f"$ hotfire {typed}", fg="cyan")
    yield from (line for line in takewhile(lambda line: not line.startswith("Next: "), answer.lines) if line)


def _run(home: Path, *words: str) -> Answer:
    """A command, as if it had been typed in the workspace."""
    from hotfire.cli import hotfire

    context = click.Context(hotfire, info_name="hotfire")
    context.params["workspace"] = home
    rest, command = list(words), hotfire.get_command(context, words[0])
    while isinstance(command, click.Group):
        rest = rest[1:]
        command = command.get_command(context, rest[0])
    assert command is not None
    with command.make_context(rest[0], rest[1:], parent=context) as inner:
        answer: Answer = command.invoke(inner)
    return answer


def _title(words: str) -> str:
    return "\n" + click.style(words, bold=True)
