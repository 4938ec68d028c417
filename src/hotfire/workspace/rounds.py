"""One round of the sentinel, for cron and CI: what the wall clock asks, notices, and the alarms that ask for attention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hotfire.notify.outbox import Sender, Standing
from hotfire.workspace.alarm_actions import take
from hotfire.workspace.alarms import Listed, listed, rank
from hotfire.workspace.notify import notifiers
from hotfire.workspace.sentinel import WallClock
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.workspace.model import Settings

_SEND_S, _ATTEMPT_S = 20.0, 60.0
"""How long notices are sent, and how long the last attempt may take on top."""


class Round(Struct, frozen=True):
    """What one round has found.

    Attributes:
        acted: so many actions were taken, ended shelves and fallen silences among them; None: another process owns the
            store, and does that by itself.
        told: how each target of notices was doing; empty where another process sends them.
        alarms: those that are active or not acknowledged, and that nothing keeps silent, at least as bad as asked for,
            the worst first.
        milder: how many others there are.
    """

    acted: int | None
    told: Mapping[str, Standing]
    alarms: Sequence[Listed]
    milder: int


def go_round(workspace: Workspace, streams: Iterable[str], min_severity: str, log: Any) -> Round:
    """Look at the wall clock, do what is asked of alarms, send what is to be told, and list the alarms that are open.

    Args:
        log: a structlog logger, for targets of kind `log`.

    Raises:
        UserError: a target can never be told anything.
    """
    acted = _acted(workspace.settings, workspace.clock)
    told = {} if acted is None else _told(workspace.settings, workspace.clock, log)
    found = [one for one in listed(workspace, streams) if one.is_open]
    bad = [one for one in found if rank(one.alarm.severity) >= rank(min_severity)]
    return Round(acted, told, bad, len(found) - len(bad))


def _acted(settings: Settings, clock: Clock) -> int | None:
    """Do what people and the wall clock ask for; how much there was. The store is owned for no longer than that takes."""
    with Workspace(settings, clock) as hands:
        acted = take(hands, settings.streams)
        if acted is None:
            return None
        WallClock(hands).look()
        return acted + (take(hands, settings.streams) or 0)


def _told(settings: Settings, clock: Clock, log: Any) -> Mapping[str, Standing]:
    """Send what the outbox holds; how each target was doing."""
    if not settings.notify:
        return {}
    with Workspace(settings, clock) as mouth:
        sender = Sender(mouth.store.outbox, notifiers(settings, clock, log), clock)
        sender.start()
        sender.stop(_SEND_S)
        sender.join(_SEND_S + _ATTEMPT_S)
        return sender.standings
