"""The values that detection makes of rows: findings, conditions and their changes. All frozen, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

SEVERITIES = ("watch", "warning", "distress", "critical", "severe")
"""Severities of limits, conditions and alarms, mildest first (XTCE)."""

FindingKind = Literal["level", "late", "range"]


class Finding(Struct, frozen=True):
    """What a detector says of one row of an asset.

    Attributes:
        rule: its name: `chamber_pressure.limit`, `fuel_starvation`.
        channel: empty where the rule concerns the asset as a whole.
        at_ns: the event time that it holds from.
        severity: None: back to normal.
        value: what is compared with limits: the channel's value in the row that tells, its rate a second, the seconds of
            a silence; None where there is none.
        limit: the one that was passed; None where the rule has none.
        kind: `level`: the rule has that severity from here on; `late`: a late row that breaks a bare limit; `range`: an
            impossible reading, which was corrected.
        message: for people.
    """

    rule: str
    asset: str
    channel: str
    at_ns: int
    severity: str | None
    value: float | None = None
    limit: float | None = None
    kind: FindingKind = "level"
    message: str = ""


class About(Struct, frozen=True):
    """What people are told of a rule, and what its alarms do.

    Attributes:
        latch: an alarm stays until it is reset, even where it has returned and was acknowledged.
        detector: that finds it.
    """

    latch: bool = False
    runbook: str = ""
    owner: str = ""
    detector: str = ""


class Condition(Struct, frozen=True):
    """A rule being true of an asset, from one instant to another.

    Attributes:
        number: counts the conditions of a rule, asset and channel, from 1.
        level: the severity now; None: returned.
        severity: the worst so far.
        value, limit: of the row that confirmed the worst severity.
        returned_at_ns: None: it still holds.
    """

    rule: str
    asset: str
    channel: str
    number: int
    level: str | None
    severity: str
    raised_at_ns: int
    returned_at_ns: int | None = None
    value: float | None = None
    limit: float | None = None
    message: str = ""


class Change(Struct, frozen=True):
    """A condition as a finding leaves it.

    Attributes:
        what: `raised`; `worse`, `milder`: another severity; `returned`.
        at_ns: event time.
    """

    what: Literal["raised", "worse", "milder", "returned"]
    at_ns: int
    condition: Condition
    about: About = field(default_factory=About)


class Watched(Struct, frozen=True):
    """What detection makes of one batch.

    Attributes:
        changes: of conditions, by asset, in the order they came about.
        states: what detectors remember of the assets of the batch, as JSON, where it changed.
        shard: that the rows came by.
    """

    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""
