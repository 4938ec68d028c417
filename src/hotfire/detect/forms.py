"""How the rule of each detector is written: which keys it has, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotfire import units
from hotfire.contract.document import Document, Path, did_you_mean
from hotfire.contract.duration import duration_ns
from hotfire.contract.formulas import column_types, judge_boolean
from hotfire.detect.model import Delays, Level, Rule
from hotfire.errors import ContractError, UserError
from hotfire.findings import SEVERITIES

if TYPE_CHECKING:
    from hotfire.contract.model import Column, Contract


@dataclass(frozen=True, slots=True)
class Entry:
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

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.fields.get(key, default)
        if not isinstance(value, str):
            self.wrong(key, f"{value!r} is not text", "quote it")
            return default
        return value

    def needed(self, key: str) -> bool:
        """Whether a key that must be there is."""
        if key not in self.fields:
            self.wrong(key, "is missing")
        return key in self.fields

    def number(self, key: str, default: float) -> float:
        """A number from 0."""
        value = self.fields.get(key, default)
        if type(value) not in (int, float) or value < 0:
            self.wrong(key, f"{value!r} is not a number from 0")
            return default
        return float(value)

    def count(self, key: str, default: int) -> int:
        """A whole number from 1."""
        value = self.fields.get(key, default)
        if type(value) is not int or value < 1:
            self.wrong(key, f"{value!r} is not a count from 1")
            return default
        return value

    def ns(self, key: str, default: int = 0) -> int:
        """A duration, in nanoseconds."""
        if key not in self.fields:
            return default
        try:
            return duration_ns(self.fields[key])
        except ContractError as error:
            self.wrong(key, error.what, error.do)
            return default

    def sql(self, key: str) -> str | None:
        """A condition; None where there is none."""
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(key, f"{value!r} is not SQL", "write a condition over columns")
            return None
        judge_boolean(self.doc, (*self.place, key), f"{self.label}.{key}", value, column_types(self.contract))
        return value

    def channels(self, *, key: str = "channels", least: int = 1) -> tuple[str, ...]:
        """The columns that are named, all of them numbers."""
        named = self.fields.get(key, [])
        if key == "channels" and "channel" in self.fields:
            named, key = [self.fields["channel"]], "channel"
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            self.wrong(key, "is not a list of columns", "[chamber_pressure, temperature]")
            return ()
        known = [one.name for one in self.contract.columns if one.type in ("number", "integer")]
        for one in named:
            if one not in known:
                self.wrong(key, f"there is no channel `{one}`", did_you_mean(one, known))
        if len(named) < least:
            self.wrong(key, "is missing", f"one of {', '.join(known[:12])}")
        return tuple(one for one in named if one in known)

    def severity(self) -> tuple[Level, ...]:
        """The one severity of a rule without limits."""
        value = self.fields.get("severity", "warning")
        if value not in SEVERITIES:
            self.wrong("severity", f"there is no severity {value!r}", did_you_mean(str(value), SEVERITIES))
            value = SEVERITIES[0]
        return (Level(value),)

    def levels(self, fields: Mapping[str, Any], place: Path, scale: Callable[[float], float]) -> tuple[Level, ...]:
        """Severities with `low`, `high` or both, each around the milder ones, in the rule's unit."""
        found: list[Level] = []
        for severity in (one for one in SEVERITIES if one in fields):
            bounds = fields[severity]
            fits = isinstance(bounds, dict) and bounds and not bounds.keys() - {"low", "high"}
            if not fits or any(type(value) not in (int, float) for value in bounds.values()):
                message = f"`{severity}` needs `low`, `high` or both, as numbers, and nothing else"
                self.doc.error((*place, severity), self.label, message, "{low: 40, high: 300}")
                continue
            scaled = {side: scale(float(value)) for side, value in bounds.items()}
            level = Level(severity, scaled.get("low"), scaled.get("high"))
            if any(not _around(level, milder) for milder in found):
                message = f"`{severity}` is reached before a milder severity, or with it"
                self.doc.error((*place, severity), self.label, message, "the milder limit is reached first")
            found.append(level)
        return tuple(found)

    def rule(self, levels: tuple[Level, ...], channels: tuple[str, ...], **parameters: Any) -> Rule:
        """The rule, with what every one has; `for` is another word for `on_delay`."""
        if "for" in self.fields and "on_delay" in self.fields:
            self.wrong("for", "`for` and `on_delay` are the same", "keep one of them")
        delays = Delays(self.count("min_violations", 1), self.ns("on_delay", self.ns("for")), self.ns("off_delay"))
        detector, only = str(self.fields["detector"]), self.sql("while")
        if "settle" in self.fields and only is None:
            self.wrong("settle", "`settle` needs `while`: for how long that has been true")
        name = str(self.fields["name"])
        return Rule(name, detector, channels, levels, parameters, delays, only, self.ns("settle"))


@dataclass(frozen=True, slots=True)
class Form:
    """How one detector's rules are written.

    Attributes:
        keys: beside those that every rule has.
        read: from an entry to the rule, without its message.
        message: where a rule has none of its own.
    """

    keys: tuple[str, ...]
    read: Callable[[Entry], Rule]
    message: str


def _limit(entry: Entry) -> Rule:
    channels = entry.channels()
    scale = _scale(entry, [entry.contract.column(one) for one in channels], "")
    levels = entry.levels(entry.fields, entry.place, scale)
    contexts = entry.fields.get("context", [])
    if not isinstance(contexts, list) or not all(isinstance(one, dict) and "when" in one for one in contexts):
        entry.wrong("context", "is not a list of contexts", "[{when: \"phase = 'standby'\", critical: {high: 320}}]")
        contexts = []
    found = []
    for index, context in enumerate(contexts):
        place = (*entry.place, "context", index)
        for key in context.keys() - {"when", *SEVERITIES}:
            entry.doc.error((*place, key), entry.label, f"no such severity `{key}`", did_you_mean(key, SEVERITIES))
        inner = Entry(entry.doc, place, entry.label, context, entry.contract)
        found.append((inner.sql("when") or "", inner.levels(context, place, scale)))
    if not levels and not any(one for _, one in found):
        entry.wrong("warning", "the rule has no limits", "warning: {high: 285}")
    return entry.rule(levels, channels, deadband=entry.number("deadband", 0.0), contexts=tuple(found))


def _expression(entry: Entry) -> Rule:
    when = (entry.needed("when") and entry.sql("when")) or ""
    channels = entry.channels(least=0)
    if len(channels) > 1:
        entry.wrong("channels", "an expression has one channel at most, whose value people are shown")
    return entry.rule(entry.severity(), channels, when=when)


def _scale(entry: Entry, columns: list[Column], per: str) -> Callable[[float], float]:
    """How numbers of the rule become numbers in its channels' unit, and `per` it."""
    unit = entry.fields.get("unit")
    if unit is None or not columns:
        return float
    if not isinstance(unit, str):
        entry.wrong("unit", f"{unit!r} is not a unit", "quote it, or leave it out")
        return float
    if len({one.unit for one in columns}) > 1 or columns[0].unit is None:
        entry.wrong("unit", "the channels have no unit in common", "write one rule for each")
        return float
    try:
        return units.conversion(unit, f"{columns[0].unit}{per}")
    except UserError as error:
        entry.wrong("unit", error.what, error.do)
        return float


def _around(outer: Level, inner: Level) -> bool:
    low = outer.low is None or inner.low is None or outer.low < inner.low
    high = outer.high is None or inner.high is None or outer.high > inner.high
    return low and high


_LIMITS = (*SEVERITIES, "unit", "deadband", "context")

FORMS: Mapping[str, Form] = {
    "limit": Form(_LIMITS, _limit, "{asset}: {channel} is {value}, limit {limit} ({severity})"),
    "expression": Form(("when",), _expression, "{asset}: {channel} {value} ({severity})"),
}
"""The forms of rules, by detector."""
