"""Alarms, what happens to them, and what people do: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hotfire.findings import About

Inhibition = Literal["", "shelved", "suppressed", "out_of_service"]
AlarmState = Literal[
    "NORMAL",
    "UNACK_ALARM",
    "ACK_ALARM",
    "RTN_UNACK",
    "LATCH_UNACK",
    "LATCH_ACK",
    "SHELVED",
    "SUPPRESSED_BY_DESIGN",
    "OUT_OF_SERVICE",
]
"""Names of states (ISA-18.2, OPC UA part 9, as in Yamcs)."""

ActionName = Literal["ack", "shelve", "unshelve", "suppress", "unsuppress", "out_of_service", "return", "reset"]
"""What people do. `return` gives an alarm that was out of service back to service."""

EventName = Literal[
    "TRIGGERED",
    "SEVERITY_INCREASED",
    "RTN",
    "ACKNOWLEDGED",
    "CLEARED",
    "SHELVED",
    "UNSHELVED",
    "SUPPRESSED",
    "UNSUPPRESSED",
    "OUT_OF_SERVICE",
    "RETURNED_TO_SERVICE",
    "RESET",
]
"""What happens to an alarm. RTN: the condition returned to normal. CLEARED: its life is over."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The life-cycle around the conditions of one rule, asset and channel: from the first that is raised until it is over.

    Attributes:
        alarm_id: names it for ever: made of stream, rule, asset, channel and `raised_at_ns`.
        active: its condition holds now.
        latched: its rule latches and it has been active: it stays until it is reset.
        inhibited_by: what keeps it silent; empty: nothing.
        inhibited_until_ns: wall clock; when a shelve ends.
        severity: the worst since it was raised.
        raised_at_ns, returned_at_ns: event times: when it first became active, when it last returned.
        value, limit, message: of the row that made it as severe as it is.
        count: how often its condition was raised.
        opened_at_ns: wall clock.
    """

    alarm_id: str
    stream: str
    rule: str
    asset: str
    channel: str
    severity: str
    raised_at_ns: int
    opened_at_ns: int
    active: bool = True
    acknowledged: bool = False
    latched: bool = False
    inhibited_by: Inhibition = ""
    inhibited_until_ns: int | None = None
    returned_at_ns: int | None = None
    value: float | None = None
    limit: float | None = None
    message: str = ""
    count: int = 1
    about: About = field(default_factory=About)


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One transition of an alarm.

    Attributes:
        at_ns: event time, where rows brought it about; None where a person or the wall clock did.
        recorded_at_ns: wall clock.
        who: a person, or `hotfire`.
        state: of the alarm after it.
    """

    alarm_id: str
    what: EventName
    at_ns: int | None
    recorded_at_ns: int
    who: str
    comment: str
    severity: str
    state: AlarmState


@dataclass(frozen=True, slots=True)
class Action:
    """What a person, or the wall clock, does to an alarm.

    Attributes:
        comment: of an acknowledgement; the reason of everything else.
        until_ns: wall clock; when a shelve ends.
        asked_at_ns: wall clock.
    """

    action_id: str
    alarm_id: str
    what: ActionName
    who: str
    comment: str
    asked_at_ns: int
    until_ns: int | None = None
