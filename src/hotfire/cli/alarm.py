"""`hotfire alarm`: listed, and one with everything that happened to it. What people do is in `alarm_act`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.balance import chosen
from hotfire.cli.command import Command, Commands
from hotfire.cli.output import Answer, counted, hint, printable, table
from hotfire.cli.workspace import complete_stream, settings_of

if TYPE_CHECKING:
    from hotfire.notify.outbox import Standing

HERE, ACTS = "hotfire.cli.alarm", "hotfire.cli.alarm_act"
_NEXT = {
    "UNACK_ALARM": "ack",
    "RTN_UNACK": "ack",
    "LATCH_UNACK": "ack",
    "LATCH_ACK": "reset",
    "SHELVED": "unshelve",
    "SUPPRESSED_BY_DESIGN": "unsuppress",
    "OUT_OF_SERVICE": "return",
}
"""What people do next with an alarm in a state."""


@click.command(
    cls=Commands,
    places={
        "list": (f"{HERE}:list_alarms", "alarms, the worst first"),
        "show": (f"{HERE}:show", "one alarm, and everything that happened to it"),
        "ack": (f"{ACTS}:ack", "somebody has taken note, and looks after it"),
        "shelve": (f"{ACTS}:shelve", "keep it silent for a while"),
        "unshelve": (f"{ACTS}:unshelve", "let it be heard again before its shelve ends"),
        "suppress": (f"{ACTS}:suppress", "keep it silent by design, until somebody lifts that"),
        "unsuppress": (f"{ACTS}:unsuppress", "lift a suppression"),
        "out-of-service": (f"{ACTS}:out_of_service", "its sensor or asset is being worked on"),
        "return": (f"{ACTS}:back", "give it back to service"),
        "reset": (f"{ACTS}:reset", "let go of a latched alarm"),
        "report": ("hotfire.cli.alarm_report:report", "are there too many, and which ones are the worst?"),
    },
)
def alarm() -> None:
    """Alarms: what asks for attention, what was done about it, and by whom.

    An alarm is named by the beginning of its id. Where none is open, RULE@ASSET or RULE@ASSET/CHANNEL names it.
    """


@click.command("list", cls=Command)
@click.option("--all", "over", is_flag=True, help="Those that are over, too.")
@click.option("--stream", shell_complete=complete_stream, help="Only alarms of this stream.")
def list_alarms(stream: str | None, *, over: bool) -> Answer:
    """Alarms, the worst first; equally bad ones in order of time."""
    from hotfire.workspace.alarms import document, listed
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    streams = chosen(settings, stream)
    with Workspace(settings) as workspace:
        found = [document(one) for one in listed(workspace, streams, over=over)]
    return Answer(found, _list_lines(found, over=over))


@click.command(cls=Command)
@click.argument("alarm_id", metavar="ID")
def show(alarm_id: str) -> Answer:
    """One alarm: what it says, what people did, and everything that happened to it."""
    from hotfire.workspace.alarm_actions import called
    from hotfire.workspace.alarms import shown, whole_document
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings_of()) as workspace:
        document = whole_document(shown(workspace, called(workspace, alarm_id)))
    return Answer(document, _show_lines(document))


def alarm_table(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of a table of alarms, as `--json` has them."""
    names = ("alarm", "severity", "state", "rule", "asset", "raised", "value", "limit", "note")
    rows = [
        (
            *(one["alarm_id"], one["severity"], one["state"], _rule(one), one["asset"]),
            *(one["raised_at"] or "never", _short(one["value"]), _short(one["limit"]), _note(one)),
        )
        for one in found
    ]
    yield from table(names, rows)


def told_document(told: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """How targets of notices were doing, as JSON has it."""
    names = ("sent", "given_up", "error", "do")
    return [{"target": name, **{part: getattr(one, part) for part in names}} for name, one in told.items()]


def told_lines(told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Who was told, and who cannot be."""
    for one in told:
        name, error = printable(one["target"]), printable(one["error"])
        if one["sent"]:
            yield f"told {name} of {counted(one['sent'], 'notice')}"
        if one["given_up"]:
            yield f"{name} refuses {counted(one['given_up'], 'notice')}: {error} {printable(one['do'])}".rstrip()
        elif one["error"]:
            yield f"{name} cannot be told yet: {error} Its notices wait: {hint('sentinel')} tries again."


def called(one: Mapping[str, Any]) -> str:
    """The rule, asset and channel of an alarm as they can be typed: the channel only where the rule does not name it."""
    rule, channel = one["rule"], one["channel"]
    return f"{rule}@{one['asset']}" + ("" if channel is None or rule == f"{channel}.limit" else f"/{channel}")


def _list_lines(found: Sequence[Mapping[str, Any]], *, over: bool) -> Iterator[str]:
    if not found:
        yield "There never was an alarm." if over else f"No alarm. Those that are over: {hint('alarm list --all')}"
        return
    yield from alarm_table(found)
    waits = [one for one in found if not one["acknowledged"]]
    yield f"{counted(len(found), 'alarm')}, {len(waits):,} not acknowledged"
    worst = found[0]["alarm_id"]
    yield f"Next: {hint(f'why {worst}')}"


def _rule(one: Mapping[str, Any]) -> str:
    """The rule, with the channel where its name does not say that."""
    rule, channel = one["rule"], one["channel"]
    return rule if channel is None or rule == f"{channel}.limit" else f"{rule}/{channel}"


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _note(one: Mapping[str, Any]) -> str:
    """Who has acknowledged it, and what keeps it silent for how long."""
    said = []
    if one["inhibition"]:
        until, who, why = (one["inhibition"][name] for name in ("until", "who", "comment"))
        end = f" until {until[:19]}Z" if until else ""
        said.append(f"{one['inhibition']['by'].replace('_', ' ')} by {who}{end}: {printable(why or '', 30)}")
    if one["acknowledgement"]:
        who, comment = one["acknowledgement"]["who"], one["acknowledgement"]["comment"]
        said.append(f"acknowledged by {who}" + (f": {printable(comment, 30)}" if comment else ""))
    return "; ".join(said)


def _show_lines(one: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(f"Alarm {one['alarm_id']}: {one['severity']}, {one['state']}", bold=True)
    if one["message"]:
        yield f"  {printable(one['message'])}"
    yield f"  rule      {called(one)}"
    yield f"  stream    {one['stream']}"
    yield f"  raised    {_raised(one)}"
    if one["value"] is not None:
        yield f"  value     {one['value']:.6g}" + _limit(one["limit"])
    for name in ("owner", "runbook"):
        if one[name]:
            yield f"  {name.ljust(9)} {printable(one[name])}"
    if one["cause"]:
        yield f"  cause     told of with {one['cause']}"
    if note := _note(one):
        yield f"  now       {note}"
    yield ""
    yield from table(("event", "at", "recorded", "who", "comment", "then"), list(map(_event, one["events"])))
    for asked in one["asked"]:
        yield f"Asked for by {asked['who']} and not done yet: {asked['action'].replace('_', '-')}"
    yield from _ways(one)


def _raised(one: Mapping[str, Any]) -> str:
    if one["raised_at"] is None:
        return "never"
    returned = ", still active" if one["active"] else f", returned {one['returned_at']}"
    times = f" ({one['count']:,} times)" if one["count"] > 1 else ""
    return f"{one['raised_at']}{times}{returned}"


def _limit(limit: float | None) -> str:
    return "" if limit is None else f", limit {limit:.6g}"


def _event(one: Mapping[str, Any]) -> tuple[Any, ...]:
    at, recorded = one["at"] or "", f"{one['recorded_at'][:19]}Z"
    return one["what"], at, recorded, one["who"], one["comment"], f"{one['state']}, {one['severity']}"


def _ways(one: Mapping[str, Any]) -> Iterator[str]:
    """What can be done next."""
    ways = [f"alarm {_NEXT[one['state']]} {one['alarm_id']}"] if one["state"] in _NEXT else []
    if one["raised_at"] is not None:
        ways.append(f"why {one['alarm_id']}")
    for at, way in enumerate(ways):
        yield f"{'Next:' if at == 0 else '  or:'} {hint(way)}"
