"""`hotfire why FILE:LINE`: what became of one line of one file. `hotfire why ALARM` is in `why_alarm`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.instant import lasting_ns
from hotfire.cli.output import Answer, hint
from hotfire.cli.place import shown_place
from hotfire.cli.workspace import settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.workspace.trace import Traced


_ALARM = re.compile(r"[0-9a-f]{1,12}|[^/]+@.+")
"""How an alarm is named: a file with such a name needs its line."""


_MOST_NS = 86_400 * 10**9


@click.command(cls=Command)
@click.argument("place", metavar="FILE:LINE|ALARM")
@click.option("--around", default="10s", show_default=True, metavar="TIME", help="Of an alarm: rows so far about it.")
def why(place: str, around: str) -> Answer:
    """Tell the fate of one line of one file: its batch, what it broke, the row it became or repeats.

    Or how an alarm came about: the rows around it, the limit in force then, and who had entered that. It is named by the
    beginning of its id, or by RULE@ASSET.
    """
    from hotfire.cli.why_alarm import why_alarm
    from hotfire.workspace.trace import trace
    from hotfire.workspace.wiring import Workspace

    file, _, line = place.rpartition(":")
    if not (file and line.isdecimal()) and _ALARM.fullmatch(place):
        return why_alarm(settings_of(), place, _around_ns(around))
    if not file or not line.isdecimal() or int(line) < 1:
        what = f"{place} is not FILE:LINE, and names no alarm."
        raise UserError(what, "Write it as incoming/burn-1.csv:811 (lines count from 1), or as an alarm's id.")
    with Workspace(settings_of()) as workspace:
        found = list(trace(workspace, file, int(line)))
    document: dict[str, Any] = {"place": place, "fate": found[0].fate, "found": [_document(one) for one in found]}
    return Answer(document, _lines(place, found))


def _around_ns(text: str) -> int:
    """How much event time is shown around a trip."""
    around_ns = lasting_ns("--around", text)
    if around_ns > _MOST_NS:
        raise UserError(f"--around {text} is more than a day.", "Ask the table: hotfire sql")
    return around_ns


def _document(one: Traced) -> dict[str, Any]:
    names = ("stream", "fate", "detail", "line", "batch_seq", "row_no", "contract_version", "received_at")
    more = ("checks", "corrections", "quarantine_id", "twin", "row")
    return {"place": one.label, **{name: getattr(one, name) for name in (*names, *more)}}


def _lines(place: str, found: Sequence[Traced]) -> Iterator[str]:
    for one in found:
        yield click.style(f"{place}: {one.fate}", bold=True) + (f" ({one.detail})" if one.detail else "")
        if one.batch_seq is not None:
            record = f", record {one.row_no}" if one.row_no is not None else ""
            received = f", received {one.received_at[:19]}Z" if one.received_at else ""
            yield f"  {one.stream}, batch {one.batch_seq}{record}{received}, contract {one.contract_version}"
        if one.line is not None and str(one.line) != place.rpartition(":")[2]:
            yield f"  the record begins at {shown_place(one.label)}:{one.line}"
        for check in one.checks:
            yield f"  {check['check']}  {check['value'] or ''}  {check['detail']}".rstrip()
        for correction in one.corrections:
            yield f"  corrected: {correction['column']} {correction['raw']} -> {correction['value'] or 'null'}"
        if one.twin:
            yield f"  stored before: batch {one.twin['batch_seq']}, record {one.twin['row_no']}" + _from(one.twin)
        for name, value in (one.row or {}).items():
            if value is not None and value is not False:
                yield f"    {name} = {'yes' if value is True else value}"
        if one.quarantine_id is not None:
            yield f"Next: {hint(f'quarantine show {one.quarantine_id}')}"


def _from(twin: Mapping[str, Any]) -> str:
    return f", from {shown_place(twin['place'])}:{twin['line']}" if twin.get("place") else ""
