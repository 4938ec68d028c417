"""`hotfire rejudge`: today's rules over the past, as a new revision of the ledger of conditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.backtest import changed_document
from hotfire.cli.backtest_lines import changed_lines
from hotfire.cli.command import Command
from hotfire.cli.instant import bound_ns
from hotfire.cli.output import Answer, counted, hint
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.alarm.compare import Difference


@click.command(cls=Command)
@click.argument("stream", shell_complete=complete_stream)
@click.option("--since", metavar="ISO", help="Only this event time and later; what was before stays as it was judged.")
@click.option("--until", metavar="ISO", help="Only before this event time.")
def rejudge(stream: str, since: str | None, until: str | None) -> Answer:
    """Judge a stream's past by today's rules, as a new revision of its conditions.

    The revisions before it stay, and so does every alarm: the past pages no one. May run while the stream goes on: it
    judges what is committed when it begins.
    """
    from hotfire.cli.jobs import job
    from hotfire.workspace.rejudges import rejudge_stream
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    settings.stream(stream)
    since_ns, until_ns = bound_ns("--since", since), bound_ns("--until", until)
    if since_ns is not None and until_ns is not None and since_ns >= until_ns:
        raise UserError(f"There is no time from {since} to {until}.", "--since is before --until.")
    with Workspace(settings) as workspace, job(workspace, "rejudge", stream, owns=False) as one:
        revision, came = rejudge_stream(workspace, stream, one.job_id, since_ns, until_ns)
        changed = came.difference
        counts = {"rows": came.rows, "before": len(came.before), "after": len(came.after)}
        document: dict[str, Any] = {"stream": stream, "job_id": one.job_id, "revision": revision.revision, **counts}
        document["seconds"] = round(one.seconds, 3)
        one.summary = document
    bounds = {"since": since, "until": until, "rules": revision.rules or None}
    return Answer({**document, **bounds, **changed_document(changed)}, _lines(document, changed))


def _lines(document: dict[str, Any], changed: Difference) -> Iterator[str]:
    judged = counted(document["rows"], "row")
    yield f"{document['stream']}: judged {judged} anew, revision {document['revision']}      {document['seconds']:.1f} s"
    yield click.style(
        f"{document['before']:,} -> {counted(document['after'], 'condition')}: {changed.summary}", bold=True
    )
    yield from changed_lines(changed)
    table = f"hf_condition where stream = '{document['stream']}' and revision = {document['revision']}"
    said = f'sql "from {table}"'
    yield f"Next: {hint(said)}"
