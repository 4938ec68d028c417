"""Labelled faults, and how well conditions find them: event by event, as people count them, without point adjustment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from hotfire.alarm.compare import end_of
from hotfire.errors import UserError
from hotfire.simulate.faults import DELAYS, SHARES

if TYPE_CHECKING:
    from hotfire.findings import Condition

GRACE_NS = 15_000_000_000
"""How long after a fault its alarm still counts: what is promised."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEEDED = ("asset", "fault", "since", "until")


class Fault(Struct, frozen=True):
    """A fault of an asset's readings, as somebody labelled it.

    Attributes:
        channel: None: of the asset as a whole.
        since_ns, until_ns: event times of the first and the last reading concerned.
    """

    asset: str
    channel: str | None
    kind: str
    since_ns: int
    until_ns: int

    def over(self, one: Condition) -> bool:
        """Whether a condition of its asset held while the fault did, or shortly after."""
        meets = one.raised_at_ns <= self.until_ns + GRACE_NS and self.since_ns <= end_of(one)
        return meets and one.asset == self.asset

    def found_by(self, one: Condition) -> bool:
        """Whether a condition was raised for it: of its asset, and of its channel where both name one."""
        own = one.asset == self.asset and (not one.channel or self.channel in (None, one.channel))
        return own and self.since_ns <= one.raised_at_ns <= self.until_ns + GRACE_NS


class Found(Struct, frozen=True):
    """How many faults of a kind were found.

    Attributes:
        delays_s: of those that were found, from the fault's first reading to the first condition.
    """

    kind: str
    labelled: int
    delays_s: tuple[float, ...]

    @property
    def found(self) -> int:
        """How many were found."""
        return len(self.delays_s)

    @property
    def recall(self) -> float:
        """The share that was found."""
        return self.found / self.labelled

    @property
    def median_s(self) -> float | None:
        """The delay that half of them do not exceed."""
        return median(self.delays_s) if self.delays_s else None

    @property
    def greatest_s(self) -> float | None:
        """The greatest delay."""
        return max(self.delays_s, default=None)


class Score(Struct, frozen=True):
    """How well conditions find labelled faults.

    Attributes:
        by_kind: in order of their names.
        missed: faults for which nothing was raised, in order of time.
        false_alarms: conditions that held while their asset had no labelled fault.
        false_per_asset_hour: None where no time is covered.
    """

    by_kind: tuple[Found, ...]
    missed: tuple[Fault, ...]
    false_alarms: tuple[Condition, ...]
    false_per_asset_hour: float | None


def score(conditions: Sequence[Condition], asset_hours: float, faults: Sequence[Fault]) -> Score:
    """Hold conditions that were found in so many hours of assets against labelled faults."""
    delays: dict[str, list[float]] = {kind: [] for kind in sorted({one.kind for one in faults})}
    missed = []
    for fault in sorted(faults, key=lambda one: (one.since_ns, one.asset)):
        raised = [one.raised_at_ns for one in conditions if fault.found_by(one)]
        if raised:
            delays[fault.kind].append((min(raised) - fault.since_ns) / 1e9)
        else:
            missed.append(fault)
    labelled = {kind: sum(one.kind == kind for one in faults) for kind in delays}
    by_kind = tuple(Found(kind, labelled[kind], tuple(sorted(own))) for kind, own in delays.items())
    false = tuple(one for one in conditions if not any(fault.over(one) for fault in faults))
    return Score(by_kind, tuple(missed), false, len(false) / asset_hours if asset_hours else None)


def read_labels(name: str, text: str) -> tuple[Fault, ...]:
    """The faults of readings in a file of labels, as `hotfire simulate --labels` writes it; those of lines are left out.

    Raises:
        UserError: it is no list of labels, or one of them lacks something.
    """
    try:
        listed = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UserError(f"{name} is not JSON: {error}.", _EXAMPLE) from None
    if not isinstance(listed, list):
        raise UserError(f"{name} is no list of labels.", _EXAMPLE)
    return tuple(_faults(name, listed))


def _faults(name: str, listed: Iterable[Any]) -> Iterable[Fault]:
    for number, one in enumerate(listed, 1):
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in _NEEDED):
            raise UserError(f"{name}: label {number} lacks {_lacking(one)}.", _EXAMPLE)
        if one["fault"] in SHARES or one["fault"] in DELAYS or "line" in one:
            continue
        channel = one.get("channel")
        since_ns, until_ns = (_instant(name, number, one[key]) for key in ("since", "until"))
        yield Fault(one["asset"], channel if isinstance(channel, str) else None, one["fault"], since_ns, until_ns)


def _lacking(one: Any) -> str:
    return ", ".join(key for key in _NEEDED if not isinstance(one, dict) or not isinstance(one.get(key), str))


def _instant(name: str, number: int, text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise UserError(f"{name}: label {number}: {text!r} is no instant with a zone.", _EXAMPLE)
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


_EXAMPLE = (
    'Write [{"asset": "TRE-001", "channel": "fuel_flow", "fault": "fuel_system_failure", '
    '"since": "2026-05-01T00:16:02Z", "until": "2026-05-01T00:16:22Z"}].'
)
