"""The life of one alarm as a table: what rows and people do to it, and the names of its states (ISA-18.2, as in Yamcs).

Nothing here knows rules, times or names of people: `life` brings those in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.alarm.model import ActionName, AlarmState, EventName, Inhibition, Refusal

Signal = Literal["raised", "latches", "worse", "returned"]
"""What rows bring about: the condition holds; its rule latches; it is worse than ever in this life; it holds no more."""


class Status(Struct, frozen=True):
    """All that decides what may become of an alarm. As it begins, it is that of one which is over.

    Attributes:
        active, acknowledged, latched, inhibited_by: as of an `Alarm`.
    """

    active: bool = False
    acknowledged: bool = True
    latched: bool = False
    inhibited_by: Inhibition = ""


class Row(Struct, frozen=True):
    """One row of the table.

    Attributes:
        where: what the status has to be, field by field; of several values one. Empty: whatever it is.
        becomes: the fields that change.
        event: what is recorded; None: nothing.
        refused: a sentence that says why nothing is done; empty: it is done.
    """

    on: Signal | ActionName
    where: Mapping[str, Any] = field(default_factory=dict)
    becomes: Mapping[str, Any] = field(default_factory=dict)
    event: EventName | None = None
    refused: str = ""

    def fits(self, status: Status, on: Signal | ActionName) -> bool:
        """Whether this row says what becomes of the status."""
        return self.on == on and all(
            getattr(status, name) in (value if isinstance(value, tuple) else (value,))
            for name, value in self.where.items()
        )


_NOTHING_LEFT = {"active": False, "latched": False}
_HEARD = {"inhibited_by": "", "acknowledged": True}
"""An alarm that is heard again when there is nothing left of it: nobody has to take note."""

ROWS = (
    Row("raised", {"active": False}, {"active": True, "acknowledged": False}, "TRIGGERED"),
    Row("latches", {"active": True}, {"latched": True}),
    Row("worse", {"active": True}, {"acknowledged": False}, "SEVERITY_INCREASED"),
    Row("returned", {"active": True}, {"active": False}, "RTN"),
    Row("ack", {"acknowledged": False}, {"acknowledged": True}, "ACKNOWLEDGED"),
    Row("ack", _NOTHING_LEFT, refused="There is nothing to acknowledge: its condition does not hold."),
    Row("ack", refused="It is acknowledged already."),
    Row("reset", {"active": True}, refused="Its condition still holds: it can be reset once that has returned."),
    Row("reset", {"latched": True}, {"latched": False}, "RESET"),
    Row("reset", refused="There is nothing to reset: it is not latched."),
    Row("shelve", {"inhibited_by": ("", "shelved")}, {"inhibited_by": "shelved"}, "SHELVED"),
    Row("shelve", refused="It is silent already, and longer than a shelve would keep it so."),
    Row("unshelve", {"inhibited_by": "shelved", **_NOTHING_LEFT}, _HEARD, "UNSHELVED"),
    Row("unshelve", {"inhibited_by": "shelved"}, {"inhibited_by": ""}, "UNSHELVED"),
    Row("unshelve", refused="It is not shelved."),
    Row("suppress", {"inhibited_by": ("", "shelved")}, {"inhibited_by": "suppressed"}, "SUPPRESSED"),
    Row("suppress", {"inhibited_by": "suppressed"}, refused="It is suppressed already."),
    Row("suppress", refused="It is out of service: return it to service first."),
    Row("unsuppress", {"inhibited_by": "suppressed", **_NOTHING_LEFT}, _HEARD, "UNSUPPRESSED"),
    Row("unsuppress", {"inhibited_by": "suppressed"}, {"inhibited_by": ""}, "UNSUPPRESSED"),
    Row("unsuppress", refused="It is not suppressed."),
    Row("out_of_service", {"inhibited_by": "out_of_service"}, refused="It is out of service already."),
    Row("out_of_service", {}, {"inhibited_by": "out_of_service"}, "OUT_OF_SERVICE"),
    Row("return", {"inhibited_by": "out_of_service", **_NOTHING_LEFT}, _HEARD, "RETURNED_TO_SERVICE"),
    Row("return", {"inhibited_by": "out_of_service"}, {"inhibited_by": ""}, "RETURNED_TO_SERVICE"),
    Row("return", refused="It is not out of service."),
)
"""The transition table, read from above: the first row that fits says what becomes of a status. None fits: nothing does."""

_SILENT: Mapping[Inhibition, AlarmState] = {
    "shelved": "SHELVED",
    "suppressed": "SUPPRESSED_BY_DESIGN",
    "out_of_service": "OUT_OF_SERVICE",
}


def state_name(status: Status) -> AlarmState:
    """The name of the state that people see."""
    if status.inhibited_by:
        return _SILENT[status.inhibited_by]
    if status.active:
        return "ACK_ALARM" if status.acknowledged else "UNACK_ALARM"
    if status.latched:
        return "LATCH_ACK" if status.acknowledged else "LATCH_UNACK"
    return "NORMAL" if status.acknowledged else "RTN_UNACK"


@cache
def follow(status: Status, signal: Signal) -> tuple[Status, tuple[EventName, ...]]:
    """What rows make of a status, and what is recorded of it. A signal that says nothing new changes nothing."""
    row = next((row for row in ROWS if row.fits(status, signal)), None)
    return (status, ()) if row is None else _after(status, row)


def act(status: Status, action: ActionName) -> tuple[Status, tuple[EventName, ...]] | Refusal:
    """What an action makes of a status, and what is recorded of it; or why it is not taken."""
    row = next(row for row in ROWS if row.fits(status, action))
    return Refusal(row.refused) if row.refused else _after(status, row)


def _after(status: Status, row: Row) -> tuple[Status, tuple[EventName, ...]]:
    after = replace(status, **row.becomes)
    events: tuple[EventName, ...] = () if row.event is None else (row.event,)
    return after, (*events, "CLEARED") if state_name(after) == "NORMAL" else events
