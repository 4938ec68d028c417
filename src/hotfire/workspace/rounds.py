"""One round of the sentinel, for cron and CI: what the wall clock asks, and the alarms that ask for attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotfire.workspace.alarm_actions import take
from hotfire.workspace.alarms import Listed, listed, rank
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
    """

    acted: int | None
    alarms: Sequence[Listed]
    milder: int


def go_round(workspace: Workspace, streams: Iterable[str], min_severity: str) -> Round:
    """Look at the wall clock, do what is asked of alarms, and list those that are open."""
    chosen = list(streams)
    acted = take(workspace, chosen)
    if acted is not None:
        WallClock(workspace).look()
        acted += take(workspace, chosen) or 0
    workspace.store.refresh()
    found = [one for one in listed(workspace, chosen) if one.is_open]
    bad = [one for one in found if rank(one.alarm.severity) >= rank(min_severity)]
    return Round(acted, bad, len(found) - len(bad))
