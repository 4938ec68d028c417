"""One rule as it is written: each kind of value that its keys may have. What is wrong is remarked on, with its line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from hotfire import units
from hotfire.contract.document import Document, Path
from hotfire.contract.duration import duration_ns
from hotfire.contract.formulas import column_types, judge_boolean
from hotfire.contract.words import did_you_mean
from hotfire.detect.messages import OWN, fields_of
from hotfire.detect.model import AT_ONCE, Delays, Level, Rule
from hotfire.errors import ContractError, UserError
from hotfire.findings import SEVERITIES, About

if TYPE_CHECKING:
    from hotfire.contract.model import Contract

Scale = Callable[[float], float]


class Entry(Struct, frozen=True):
    """One rule as it is written. What is wrong with it becomes a remark, and something harmless stands in for it.

    Attributes:
        place: of the rule in the document.
        label: what people call it.
    """

    doc: Document
    place: Path
    label: str
    fields: Mapping[str, Any]
    contract: Contract

    def wrong(self, key: str, message: str, suggestion: str = "") -> None:
        """Remark on one key."""
        label = f"{self.label}.{key}" if self.label else key
        self.doc.error((*self.place, key), label, message, suggestion)

    def text(self, key: str) -> str:
        """A text; empty where there is none."""
        value = self.fields.get(key, "")
        if not isinstance(value, str):
            self.wrong(key, f"{value!r} is not text", "quote it")
            return ""
        return value

    def number(self, key: str, default: float) -> float:
        """A number from 0."""
        value = self.fields.get(key, default)
        if type(value) not in (int, float) or value < 0:
            self.wrong(key, f"{value!r} is not a number from 0")
            return default
        return float(value)

    def count(self, key: str, default: int, least: int = 1) -> int:
        """A whole number that is not too small."""
        value = self.fields.get(key, default)
        if type(value) is not int or value < least:
            self.wrong(key, f"{value!r} is not a count from {least}")
            return default
        return value

    def ns(self, key: str, default: int = 0, *, least: int = 0) -> int:
        """A duration, in nanoseconds; it has to be there where it must not be 0."""
        if key not in self.fields:
            if least:
                self.wrong(key, "is missing", "a duration, such as `30 s`")
            return max(default, least)
        try:
            found = duration_ns(self.fields[key])
        except ContractError as error:
            self.wrong(key, error.what, error.do)
            return max(default, least)
        if found < least:
            self.wrong(key, f"`{self.fields[key]}` is no time at all", "a duration, such as `30 s`")
        return max(found, least)

    def sql(self, key: str) -> str | None:
        """A condition; None where there is none."""
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(key, f"{value!r} is not SQL", "write a condition over columns")
            return None
        label = f"{self.label}.{key}" if self.label else key
        before = len(self.doc.remarks)
        judge_boolean(self.doc, (*self.place, key), label, value, column_types(self.contract))
        return value if len(self.doc.remarks) == before else None

    def channels(self, key: str = "channels", *, least: int = 1) -> tuple[str, ...]:
        """The columns that are named, all of them numbers; `channel` names one."""
        named = self.fields.get(key, [])
        if key == "channels" and "channel" in self.fields:
            if "channels" in self.fields:
                self.wrong("channel", "there are `channel` and `channels`", "keep one of them")
            named, key = [self.fields["channel"]], "channel"
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            what, example = ("a column", "temperature") if key == "channel" else ("a list of columns", "[temperature]")
            self.wrong(key, f"is not {what}", example)
            return ()
        known = [one.name for one in self.contract.columns if one.type in ("number", "integer")]
        for index, one in enumerate(named):
            if one not in known:
                self.wrong(key, f"there is no channel `{one}`", did_you_mean(one, known))
            elif one in named[:index]:
                self.wrong(key, f"`{one}` is named twice", "name it once")
        if len(named) < least:
            self.wrong(key, "is missing", f"one of {', '.join(known[:12])}")
        return tuple(dict.fromkeys(one for one in named if one in known))

    def severity(self) -> tuple[Level, ...]:
        """The one severity of a rule without limits."""
        value = self.fields.get("severity", "warning")
        if value not in SEVERITIES:
            self.wrong("severity", f"there is no severity {value!r}", did_you_mean(str(value), SEVERITIES))
            value = SEVERITIES[0]
        return (Level(value),)

    def scale(self, channels: Sequence[str], per: str = "") -> Scale:
        """How numbers of the rule become numbers in its channels' unit, and `per` it."""
        asked = self.fields.get("unit")
        own = [self.contract.column(one).unit for one in channels]
        if len({*own}) > 1 and len({unit and units.parse(unit) for unit in own}) > 1:
            listed = ", ".join(f"{name} [{unit or '-'}]" for name, unit in zip(channels, own, strict=True))
            self.wrong("channels", f"the channels have no unit in common: {listed}", "write one rule for each unit")
            return float
        if asked is None or not own:
            return float
        if not isinstance(asked, str):
            self.wrong("unit", f"{asked!r} is not a unit", "quote it, or leave it out")
            return float
        if own[0] is None:
            self.wrong("unit", f"`{channels[0]}` has no unit", "leave it out, or give the column hotfire.unit")
            return float
        try:
            return units.conversion(asked, f"{own[0]}{per}")
        except UserError as error:
            self.wrong("unit", error.what, error.do)
            return float

    def levels(self, scale: Scale, deadband: float) -> tuple[Level, ...]:
        """Severities with `low`, `high` or both, each around the milder ones, in the channel's unit."""
        found: list[Level] = []
        for severity in (one for one in SEVERITIES if one in self.fields):
            bounds = self.fields[severity]
            fits = isinstance(bounds, dict) and bounds and not bounds.keys() - {"low", "high"}
            if not fits or any(type(value) not in (int, float) for value in bounds.values()):
                self.wrong(
                    severity, "needs `low`, `high` or both, as numbers, and nothing else", "{low: 40, high: 300}"
                )
                continue
            level = Level(severity, **{side: self.scaled(severity, scale, bounds[side]) for side in bounds})
            if any(not _around(level, milder) for milder in found):
                self.wrong(severity, "is reached before a milder severity, or with it", "the milder one comes first")
            found.append(level)
        lows, highs = ([one for one in side if one is not None] for side in _sides(found))
        if lows and highs and max(lows) >= min(highs):
            severity = next(one.severity for one in found if one.low == max(lows))
            self.wrong(severity, "a low limit is not below a high limit", "every reading would be an alarm")
        elif any(_room(one) <= 2 * deadband for one in found):
            label = f"{self.label}.deadband" if self.label else "deadband"
            message = "is half of the room between low and high, or more: the condition would hardly return"
            self.doc.warn((*self.place, "deadband"), label, message, "make it smaller")
        return tuple(found)

    def difference(self, key: str, scale: Scale) -> float:
        """A number from 0 that is added to others, in the channel's unit: 9 degF of it are 5 degC."""
        span = replace(scale, offset=Fraction(0)) if isinstance(scale, units.Conversion) else scale
        return self.scaled(key, span, self.number(key, 0.0))

    def scaled(self, key: str, scale: Scale, value: float) -> float:
        """A number of the rule in its channels' unit."""
        try:
            return scale(float(value))
        except OverflowError:
            self.wrong(key, f"{value:g} is too large in the channel's unit")
            return 0.0

    def rule(
        self,
        levels: tuple[Level, ...],
        channels: tuple[str, ...],
        message: str,
        delays: Delays = AT_ONCE,
        **parameters: Any,
    ) -> Rule:
        """The rule, with what every one has.

        Args:
            message: where it has none of its own.
            parameters: of its detector.
        """
        only = self.sql("while")
        if "settle" in self.fields and "while" not in self.fields:
            self.wrong("settle", "`settle` needs `while`: for how long that has been true")
        return Rule(
            str(self.fields["name"]),
            str(self.fields["detector"]),
            channels,
            levels,
            parameters,
            delays,
            only,
            self.ns("settle"),
            self.message(message),
            self.about(),
        )

    def delays(self) -> Delays:
        """How long a limit must be broken, or kept again; `for` is another word for `on_delay`."""
        if "for" in self.fields and "on_delay" in self.fields:
            self.wrong("for", "`for` and `on_delay` are the same", "keep one of them")
        on_ns = self.ns("on_delay" if "on_delay" in self.fields else "for")
        return Delays(self.count("min_violations", 1), on_ns, self.ns("off_delay"))

    def about(self) -> About:
        """What people are told of the rule, and what its alarms do."""
        latch = self.fields.get("latch", False)
        if not isinstance(latch, bool):
            self.wrong("latch", f"{latch!r} is not true or false")
        return About(latch is True, self.text("runbook"), self.text("owner"), str(self.fields["detector"]))

    def message(self, default: str) -> str:
        """What people are told of a finding: a text with names to fill in."""
        text = self.text("message") or default
        known = [*OWN, *(column.name for column in self.contract.columns)]
        try:
            names = fields_of(text)
        except ValueError as error:
            self.wrong("message", f"`{text}` is not a message: {error}", "write {{ and }} for braces")
            return ""
        for name in names:
            if name not in known:
                self.wrong("message", f"there is no `{{{name}}}` to fill in", did_you_mean(name, known))
        return text


def _around(outer: Level, inner: Level) -> bool:
    low = outer.low is None or inner.low is None or outer.low < inner.low
    high = outer.high is None or inner.high is None or outer.high > inner.high
    return low and high


def _room(level: Level) -> float:
    return math.inf if level.low is None or level.high is None else level.high - level.low


def _sides(levels: Sequence[Level]) -> tuple[list[float | None], list[float | None]]:
    return [one.low for one in levels], [one.high for one in levels]
