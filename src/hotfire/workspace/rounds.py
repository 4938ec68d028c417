"""What commands do that end: one round of the sentinel for cron and CI, and notices of what they have brought about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hotfire.alarm.notices import rank
from hotfire.errors import OwnedElsewhere, UserError
from hotfire.notify.outbox import Sender, Standing
from hotfire.workspace.alarm_actions import take
from hotfire.workspace.alarms import Listed, listed
from hotfire.workspace.notify import notifier, notifiers
from hotfire.workspace.sentinel import WallClock
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.protocols import Notifier
    from hotfire.workspace.model import Settings

_SEND_S, _ATTEMPT_S = 10.0, 15.0
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
    settings, clock = workspace.settings, workspace.clock
    told = {} if acted is None else _sent(settings, clock, notifiers(settings, clock, log))
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


def tell(workspace: Workspace, log: Callable[[], Any]) -> Mapping[str, Standing]:
    """Send the notices that are due; how each of their targets was doing. What cannot be sent in 10 s stays in the outbox.

    Where nothing is due nothing is done, and where another process owns the store, that sends them.

    Args:
        log: gives a structlog logger, for targets of kind `log`.
    """
    settings, clock = workspace.settings, workspace.clock
    if not settings.notify:
        return {}
    try:
        workspace.store.own()
    except OwnedElsewhere:
        return {}
    due = workspace.store.query("targets_due", now_ns=clock.now_ns())["target"]
    made: dict[str, Notifier] = {}
    unable: dict[str, Standing] = {}
    for name in [one for one in due if one in settings.notify]:
        try:
            made[name] = notifier(settings.notify[name], clock, log())
        except UserError as error:
            unable[name] = Standing("stopped", error=error.what, do=error.do)
    return {**unable, **_sent(settings, clock, made)}


@contextmanager
def telling(workspace: Workspace, log: Any) -> Iterator[None]:
    """Notices are sent as they come, for as long as the context lasts. Raises UserError as `go_round`."""
    made = notifiers(workspace.settings, workspace.clock, log)
    with _sending(workspace.settings, workspace.clock, made):
        yield


@contextmanager
def _sending(settings: Settings, clock: Clock, made: Mapping[str, Notifier]) -> Iterator[Sender]:
    """A sender at work; at the end it sends what is due."""
    with ExitStack() as unless_late:
        mouth = unless_late.enter_context(Workspace(settings, clock))
        sender = Sender(mouth.store.outbox, made, clock)
        sender.start()
        try:
            yield sender
        finally:
            sender.stop(_SEND_S)
            if not sender.join(_SEND_S + _ATTEMPT_S):
                unless_late.pop_all()  # its last attempt goes on, and writes down what came of it


def _sent(settings: Settings, clock: Clock, made: Mapping[str, Notifier]) -> Mapping[str, Standing]:
    """Send what is due to some targets; how each was doing."""
    if not made:
        return {}
    with _sending(settings, clock, made) as sender:
        pass
    return sender.standings
