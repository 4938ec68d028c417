"""Alarms, what happens to them, and what people do: values only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hotfire.findings import About

Inhibition = Literal["", "shelved", "suppressed", "out_of_service"]
Told = Literal["", "raised", "returned"]
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

HOTFIRE = "hotfire"
"""Who does what rows and the wall clock bring about."""


class Alarm(Struct, frozen=True):
    """The life-cycle around the conditions of one rule, asset and channel: from the first that is raised until it is over.

    Attributes:
        alarm_id: names it for ever: made of stream, rule, asset, channel and `raised_at_ns`.
        active: its condition holds now.
        acknowledged: nobody is waited for: somebody has taken note, or there is nothing to take note of.
        latched: its rule latches and it has been active: it stays until it is reset.
        inhibited_by: what keeps it silent; empty: nothing.
        inhibited_until_ns: wall clock; when a shelve ends.
        severity: the worst since it was raised; the mildest of all as long as it never was.
        raised_at_ns, returned_at_ns: event times: when it first became active, when it last returned. None: it never was,
            it never did.
        value, limit, message: of the row that made it as severe as it is.
        count: how often its condition was raised; 0: never, it is there to be kept silent.
        opened_at_ns: wall clock.
        told: what people were told last; empty: nothing.
        told_at_ns: event time of what made it as bad as they were told.
        cause: the alarm that they were told of instead.
    """

    alarm_id: str
    stream: str
    rule: str
    asset: str
    channel: str
    severity: str
    raised_at_ns: int | None
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
    told: Told = ""
    told_at_ns: int | None = None
    cause: str = ""


class AlarmEvent(Struct, frozen=True):
    """One transition of an alarm.

    Attributes:
        at_ns: event time, where rows brought it about; None where a person or the wall clock did.
        recorded_at_ns: wall clock.
        who: a person, or `hotfire`.
        severity, state: of the alarm after it.
    """

    alarm_id: str
    what: EventName
    at_ns: int | None
    recorded_at_ns: int
    who: str
    comment: str
    severity: str
    state: AlarmState


class Action(Struct, frozen=True):
    """What a person, or the wall clock, does to an alarm.

    Attributes:
        comment: of an acknowledgement; the reason of everything else.
        until_ns: wall clock; when a shelve ends. Of an `unshelve`: it is meant for the shelve with that end alone.
        asked_at_ns: wall clock.
    """

    action_id: str
    alarm_id: str
    what: ActionName
    who: str
    comment: str
    asked_at_ns: int
    until_ns: int | None = None


class Refusal(Struct, frozen=True):
    """Why an action is not taken: a sentence for the person who asked for it."""

    why: str
