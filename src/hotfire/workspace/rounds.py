"""One round of the sentinel, for cron and CI: what the wall clock asks, what is to be told, what asks for attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotfire.notify.outbox import Sender
from hotfire.workspace.alarm_actions import take
from hotfire.workspace.alarms import Listed, listed, rank
from hotfire.workspace.notify import notifiers
from hotfire.workspace.sentinel import WallClock

if TYPE_CHECKING:
    from hotfire.workspace.wiring import Workspace


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has found.

    Attributes:
        acted: so many actions were taken, ended shelves and fallen silences among them; None: another process owns the
            store, and does that by itself.
        alarms: those that are active or not acknowledged, and that nothing keeps silent, at least as bad as asked for,
            the worst first.
        milder: how many others there are.
        sent: so many notices were sent.
    """

    acted: int | None
    alarms: Sequence[Listed]
    milder: int
    sent: int = 0


_SEND_S = 15.0
"""So long are notices sent, at the most; what is left goes out with the next round."""


def go_round(workspace: Workspace, streams: Iterable[str], min_severity: str, log: Any) -> Round:
    """Look at the wall clock, do what is asked of alarms, tell people, and list those that are open.

    Args:
        log: a structlog logger, for notices of kind `log`.
    """
    chosen = list(streams)
    acted, sent = take(workspace, chosen), 0
    if acted is not None:
        WallClock(workspace).look()
        acted += take(workspace, chosen) or 0
        sent = _sent(workspace, log)
    workspace.store.refresh()
    found = [one for one in listed(workspace, chosen) if one.is_open]
    bad = [one for one in found if rank(one.alarm.severity) >= rank(min_severity)]
    return Round(acted, bad, len(found) - len(bad), sent)


def _sent(workspace: Workspace, log: Any) -> int:
    """Send what is due to every target; how many notices have arrived."""
    if not workspace.settings.notify:
        return 0
    sender = Sender(workspace.store.outbox, notifiers(workspace.settings, workspace.clock, log), workspace.clock)
    sender.start()
    sender.stop(_SEND_S)
    sender.join(_SEND_S)
    return sum(one.sent for one in sender.standings.values())
