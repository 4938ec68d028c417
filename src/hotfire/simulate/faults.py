"""What can go wrong on purpose: in the readings of an asset, and to the lines that carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from hotfire.simulate.model import Label, Request

MALFORMED = ("not_a_number", "missing_zone", "truncated", "wrong_fields")
"""Ways to spoil a line so that it cannot be stored."""

SPOILT = (*MALFORMED, "out_of_range")
"""Ways to spoil a line. Only `out_of_range` leaves it well-formed."""

SHARES: Mapping[str, float] = {
    "not_a_number": 0.0015,
    "missing_zone": 0.00075,
    "out_of_range": 0.001,
    "truncated": 0.0005,
    "wrong_fields": 0.0005,
    "duplicate": 0.005,
    "out_of_order": 0.005,
    "malformed": 0.003,
    "v2": 1.0,
}
"""What befalls a share of the lines, and the share where none is said."""

DELAYS: Mapping[str, tuple[float, float]] = {"late": (10.0, 60.0), "outage": (60.0, 0.0)}
"""What befalls every line of a time: how long it lasts, and `late` by how much, in seconds, where none is said."""

DEFAULT_SHARES = {way: SHARES[way] for way in (*SHARES,)[:6]}
"""What an engine's loggers do to its lines unless something else is asked for."""


class Kind(Struct, frozen=True):
    """A fault in an asset's readings.

    Attributes:
        duration_s: the shortest and the longest.
        sizes: by channel that it may show in, the main one first: the least and the greatest size, in the channel's
            unit or as a share; what it means is the kind's own.
    """

    severity: str
    duration_s: tuple[float, float]
    sizes: Mapping[str, tuple[float, float]]

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it may show in."""
        return tuple(self.sizes)


class Given(Struct, frozen=True):
    """A fault in one asset's readings, as a fault file tells it. Times are nanoseconds; `at` is since the start."""

    kind: str
    asset: str
    at_ns: int
    for_ns: int
    channel: str
    size: float


class Window(Struct, frozen=True):
    """What befalls the lines of one asset (None: of all) for a time (None: to the end).

    Attributes:
        size: the share of lines that it befalls; of `late`, the delay in nanoseconds.
    """

    kind: str
    size: float
    asset: str | None = None
    at_ns: int = 0
    for_ns: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it covers everything."""
        return self.asset is None and not self.at_ns and self.for_ns is None


class Plan(Struct, frozen=True):
    """What is to go wrong.

    Attributes:
        random: whether the simulator chooses faults of readings by itself.
        given: faults of readings, to happen as written.
        lines: what befalls lines. One thing befalls a line: a delay of its time, else the first that draws it.
    """

    random: bool = False
    given: tuple[Given, ...] = ()
    lines: tuple[Window, ...] = ()


class Catalogue(Struct, frozen=True):
    """What can go wrong in a stream.

    Attributes:
        kinds: faults of readings, by name.
        lines: names in SHARES and DELAYS.
        assets: every name that an asset may have.
        default: shares of lines, for the plan `default`.
    """

    kinds: Mapping[str, Kind]
    lines: tuple[str, ...]
    assets: Sequence[str]
    default: Mapping[str, float]


class Fault(Struct, frozen=True):
    """A fault in one asset's readings `first` to `last` (exclusive)."""

    kind: str
    channel: str
    first: int
    last: int
    size: float

    def label(self, asset: str, request: Request, kinds: Mapping[str, Kind]) -> Label:
        """What a label file says of it."""
        return Label(
            asset=asset,
            fault=self.kind,
            since_ns=request.instant_ns(self.first),
            until_ns=request.instant_ns(self.last - 1),
            channel=None if self.channel == "event_time" else self.channel,
            severity=kinds[self.kind].severity,
            rows=self.last - self.first,
        )


def given_to(plan: Plan, asset: str, request: Request) -> list[Fault]:
    """The faults that a plan gives to one asset, in order of time; those that no reading would show are left out."""
    own = sorted((one.at_ns, number, one) for number, one in enumerate(plan.given) if one.asset == asset)
    found = []
    for at_ns, _, one in own:
        first = request.step_from(at_ns)
        last = min(request.step_from(at_ns + one.for_ns), request.steps)
        if first < last:
            found.append(Fault(one.kind, one.channel, first, last, one.size))
    return found
