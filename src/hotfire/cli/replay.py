"""`hotfire replay`: the engine run again over what is stored, into a shadow ledger that must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.instant import bound_ns
from hotfire.cli.output import FATES, Answer, equation, hint, marks
from hotfire.cli.workspace import complete_stream, settings_of

if TYPE_CHECKING:
    from hotfire.engine.replay import Replayed

_COUNTED = ("received", *FATES, "corrected", "late")


@click.command(cls=Command)
@click.argument("stream", shell_complete=complete_stream)
@click.option("--since", metavar="ISO", help="Only rows from this event time on.")
@click.option("--until", metavar="ISO", help="Only rows before this event time.")
def replay(stream: str, since: str | None, until: str | None) -> Answer:
    """Prove that the engine, run again over what is stored and quarantined, gives the same ledger.

    Nothing of the stream is changed: what comes out goes into a shadow ledger, data/replays/ID. Exit code 1 where it
    is not the same. May run while the stream goes on: it replays what is committed when it begins.
    """
    from hotfire.workspace.replays import replay_stream
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    settings.stream(stream)
    bounds = bound_ns("--since", since), bound_ns("--until", until)
    with Workspace(settings) as workspace:
        started_ns = workspace.clock.now_ns()
        replay_id, came = replay_stream(workspace, stream, *bounds)
        seconds = (workspace.clock.now_ns() - started_ns) / 1e9
    document: dict[str, Any] = {"replay_id": replay_id, "stream": stream, "digest": came.digest, "equal": came.equal}
    counts = came.counts
    document |= {name: getattr(counts, name) for name in _COUNTED} | {"received": counts.received + counts.moved}
    document |= {"upto": dict(came.upto), "seconds": round(seconds, 3)}
    if not came.equal:
        document |= {"live": came.live, "difference": came.difference}
    return Answer(document, _lines(document, came), 0 if came.equal else 1)


def _lines(document: dict[str, Any], came: Replayed) -> Iterator[str]:
    yield f"{equation(document, 'received')}      {document['seconds']:.1f} s".replace("received", "replayed", 1)
    yield from marks(document)
    yield f"{came.digest}  {document['stream']}, replayed"
    if came.live:
        yield f"{came.live}  {document['stream']}"
    if came.equal:
        yield click.style("equal", fg="green")
        yield f"Next: {hint('digest --replay ' + document['replay_id'])}"
        return
    yield click.style("NOT equal", fg="red")
    if came.difference:
        where = ", ".join(f"{name} {value}" for name, value in came.difference.items() if name != "what")
        yield f"  {where}: {came.difference['what']}"
    yield f"Next: {hint('balance')}"
