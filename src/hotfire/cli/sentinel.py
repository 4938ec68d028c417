"""`hotfire sentinel`: one look at what asks for attention, for cron and CI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from hotfire.cli.alarm import alarm_table, told_document, told_lines
from hotfire.cli.balance import chosen
from hotfire.cli.command import Command
from hotfire.cli.output import Answer, counted, hint
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.findings import SEVERITIES


@click.command(cls=Command)
@click.option(
    "--min-severity",
    type=click.Choice(SEVERITIES),
    default=SEVERITIES[0],
    show_default=True,
    help="Milder alarms do not count.",
)
@click.option("--stream", shell_complete=complete_stream, help="Only alarms of this stream.")
def sentinel(min_severity: str, stream: str | None) -> Answer:
    """Look once: end shelves, look for silent assets, send notices, and list the alarms that ask for attention.

    Exit 1 where there are any. An alarm asks for attention while it is active or not acknowledged, and nothing keeps it
    silent. Continuous is `hotfire up`; beside it this one only lists.
    """
    from hotfire.cli.logs import logger
    from hotfire.workspace.alarms import document
    from hotfire.workspace.rounds import go_round
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    streams = chosen(settings, stream)
    with Workspace(settings) as workspace:
        found = go_round(workspace, streams, min_severity, logger("sentinel"))
    alarms = [document(one) for one in found.alarms]
    answer = {
        "alarms": alarms,
        "milder": found.milder,
        "min_severity": min_severity,
        "acted": found.acted,
        "told": told_document(found.told),
    }
    return Answer(answer, _lines(answer), 1 if alarms else 0)


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    alarms, milder = answer["alarms"], answer["milder"]
    if alarms:
        yield from alarm_table(alarms)
    least = f" of at least {answer['min_severity']}" if answer["min_severity"] != SEVERITIES[0] else ""
    others = f", and {milder:,} milder" if milder else ""
    yield f"{counted(len(alarms), 'open alarm')}{least}{others}" if alarms else f"No open alarm{least}{others}."
    yield from told_lines(answer["told"])
    if answer["acted"] is None:
        yield "Another process owns the store; it looks at the clock, and sends notices, by itself."
    if alarms:
        worst = alarms[0]["alarm_id"]
        yield f"Next: {hint(f'why {worst}')}"
