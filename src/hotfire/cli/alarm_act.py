"""What people do to alarms: `hotfire alarm ack`, `shelve`, `suppress` and their like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hotfire.cli.alarm import called, told_document, told_lines
from hotfire.cli.balance import chosen
from hotfire.cli.command import Command
from hotfire.cli.instant import lasting_ns
from hotfire.cli.output import Answer, counted, hint, printable
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.clock import iso
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.alarm.model import ActionName
    from hotfire.workspace.alarm_actions import Came
    from hotfire.workspace.wiring import Workspace

Body = TypeVar("Body", bound=Callable[..., Any])

_DONE = {
    "ack": "acknowledged",
    "shelve": "shelved",
    "unshelve": "not shelved any more",
    "suppress": "suppressed",
    "unsuppress": "not suppressed any more",
    "out_of_service": "out of service",
    "return": "back in service",
    "reset": "reset",
}


def _named(body: Body) -> Body:
    """Which alarm, and who acts."""
    by = click.option("--by", metavar="NAME", help="Who does it; else this user of the machine.")
    return click.argument("alarm", metavar="ID")(by(body))


def _commented(body: Body) -> Body:
    """A comment, for those who may want to say why."""
    return click.option("--comment", default="", metavar="TEXT", help="Kept with the alarm.")(body)


def _reasoned(body: Body) -> Body:
    """A reason, for what makes an alarm silent."""
    return click.option("--reason", "comment", required=True, metavar="TEXT", help="Why; others will ask.")(body)


@click.command(cls=Command)
@click.argument("alarm", metavar="[ID]", required=False)
@click.option("--all", "every", is_flag=True, help="Every alarm that waits for it and is not silent.")
@click.option("--rule", metavar="PATTERN", help="With --all: only of these rules, as in 'chamber_*'.")
@click.option("--asset", metavar="PATTERN", help="With --all: only of these assets.")
@click.option("--stream", shell_complete=complete_stream, help="With --all: only of this stream.")
@click.option("--by", metavar="NAME", help="Who does it; else this user of the machine.")
@_commented
def ack(alarm: str | None, by: str | None, comment: str, *, every: bool, **only: str | None) -> Answer:
    """Acknowledge: somebody has taken note, and looks after it.

    An alarm that has returned and is acknowledged is over, unless its rule latches.
    """
    if every == bool(alarm):
        raise UserError("Which alarm?", "Name one by its id, or all that wait by --all.")
    if not every and any(only.values()):
        raise UserError("--rule, --asset and --stream choose among --all.", "Leave them out, or write --all.")
    if alarm:
        return _one("ack", alarm, by, comment)
    return _all(by, comment, only["stream"], only["rule"] or "*", only["asset"] or "*")


@click.command(cls=Command)
@_named
@click.option("--for", "lasts", required=True, metavar="TIME", help="How long, as in 15m, 2h or '15 min'.")
@_reasoned
def shelve(alarm: str, by: str | None, lasts: str, comment: str) -> Answer:
    """Keep an alarm silent for a while: 24 h at most, unless alarms.max_shelve says otherwise.

    Its condition is followed meanwhile. When the time is over it is heard again, if there is still something to hear.
    """
    for_ns, most_ns = lasting_ns("--for", lasts), settings_of().alarms.max_shelve_ns
    if not 0 < for_ns <= most_ns:
        what = f"--for {lasts}: a shelve lasts more than nothing, and at most {settings_of().alarms.max_shelve}."
        raise UserError(what, "To keep it silent for as long as it takes: suppress, or out-of-service.")
    return _one("shelve", alarm, by, comment, for_ns)


def _doing(what: ActionName, said: Callable[[Any], Any], does: str) -> click.Command:
    """A command that does one thing to one alarm."""

    @click.command(what.replace("_", "-"), cls=Command, help=does)
    @_named
    @said
    def done(alarm: str, by: str | None, comment: str) -> Answer:
        return _one(what, alarm, by, comment)

    return done


unshelve = _doing("unshelve", _commented, "Let an alarm be heard again before its shelve ends.")
suppress = _doing(
    "suppress",
    _reasoned,
    "Keep an alarm silent by design: it says nothing new as things are, until somebody lifts that.",
)
unsuppress = _doing("unsuppress", _commented, "Lift a suppression.")
out_of_service = _doing(
    "out_of_service", _reasoned, "Take an alarm out of service: its sensor or asset is being worked on."
)
back = _doing("return", _commented, "Give an alarm that was out of service back to service.")
reset = _doing("reset", _commented, "Let go of a latched alarm whose condition has returned.")


def _one(what: ActionName, alarm: str, by: str | None, comment: str, for_ns: int | None = None) -> Answer:
    """Do one thing to one alarm."""
    from hotfire.workspace.alarm_actions import Wish, act, meant, person
    from hotfire.workspace.wiring import Workspace

    who = person(by)
    if for_ns is not None or what in ("suppress", "out_of_service"):
        _said(comment)
    with Workspace(settings_of()) as workspace:
        until_ns = None if for_ns is None else workspace.clock.now_ns() + for_ns
        came = act(workspace, [meant(workspace, alarm)], Wish(what, who, comment, until_ns))
        told = _told(workspace)
    return Answer(_document(what, came[0]), [*_lines(what, who, came), *told], _code(came))


def _all(by: str | None, comment: str, stream: str | None, rule: str, asset: str) -> Answer:
    """Acknowledge all that wait for it."""
    from hotfire.workspace.alarm_actions import Wish, act, person, unacknowledged
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    who, streams = person(by), chosen(settings, stream)
    with Workspace(settings) as workspace:
        came = act(workspace, unacknowledged(workspace, streams, rule, asset), Wish("ack", who, comment))
        told = _told(workspace)
    return Answer([_document("ack", one) for one in came], [*_lines("ack", who, came), *told], _code(came))


def _told(workspace: Workspace) -> list[str]:
    """Send the notices of what was done, where no other process does."""
    from hotfire.cli.logs import logger
    from hotfire.workspace.rounds import tell

    return list(told_lines(told_document(tell(workspace, lambda: logger("alarm")))))


def _said(reason: str) -> None:
    if not reason.strip():
        raise UserError("The reason is empty.", "Say why in a few words: --reason TEXT")


def _document(what: ActionName, one: Came) -> dict[str, Any]:
    alarm_id = one.alarm.alarm_id if one.alarm else None
    rule, asset, channel = one.meant.point
    document = {"alarm_id": alarm_id, "state": one.state, "action": what.replace("_", "-"), "status": one.status}
    return {**document, "why": one.why, "rule": rule, "asset": asset, "channel": channel or None}


def _code(came: Sequence[Came]) -> int:
    """1 where anything was refused; 3 where nobody has taken it in time."""
    statuses = {one.status for one in came}
    return 1 if "refused" in statuses else 3 if "pending" in statuses else 0


def _lines(what: ActionName, who: str, came: Sequence[Came]) -> Iterator[str]:
    if not came:
        yield "No alarm waits for that."
    for one in came:
        alarm, (rule, asset, channel) = one.alarm, one.meant.point
        name = called({"rule": rule, "asset": asset, "channel": channel or None})
        named = f"{alarm.alarm_id if alarm else '-'}  {printable(name)}"
        match one.status:
            case "done":
                until_ns = alarm.inhibited_until_ns if alarm else None
                until = f" until {iso(until_ns)[:19]}Z" if until_ns and what == "shelve" else ""
                yield f"{named}  {_DONE[what]} by {printable(who)}{until}: {one.state}"
            case "refused":
                yield f"{named}  not {_DONE[what]}. {one.why}"
            case _:
                yield f"{named}  asked for, and not done yet"
    waits = sum(one.status == "pending" for one in came)
    if waits:
        yield f"The process that owns the store has not taken {counted(waits, 'action')} within 5 s. It will: nothing is lost."
    if len(came) > 1:
        yield f"{counted(sum(one.status == 'done' for one in came), 'alarm')} {_DONE[what]} by {printable(who)}"
    elif came and came[0].alarm and came[0].state != "NORMAL":
        follows = "reset" if came[0].state == "LATCH_ACK" else "show"
        yield f"Next: {hint(f'alarm {follows} {came[0].alarm.alarm_id}')}"
