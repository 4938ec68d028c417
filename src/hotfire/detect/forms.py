"""How the rule of each detector is written: which keys it has, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from hotfire.contract.words import did_you_mean
from hotfire.detect.entry import Entry, Scale
from hotfire.findings import SEVERITIES

if TYPE_CHECKING:
    from hotfire.detect.model import Level, Rule


class Form(Struct, frozen=True):
    """How one detector's rules are written.

    Attributes:
        keys: beside those that every rule has.
        read: from an entry to the rule, without its key.
        version: raised where the detector comes to find, or to remember, something else.
    """

    keys: tuple[str, ...]
    read: Callable[[Entry], Rule]
    version: int = 1


COMMON = ("name", "detector", "while", "settle", "latch", "message", "runbook", "owner")
"""The keys that every rule may have."""

_CHANNELS = ("channel", "channels")
_DELAYS = ("for", "on_delay", "off_delay", "min_violations")


def _limit(entry: Entry) -> Rule:
    channels = entry.channels()
    scale = entry.scale(channels)
    deadband = entry.difference("deadband", scale)
    levels = entry.levels(scale, deadband)
    contexts = _contexts(entry, scale, deadband)
    if not levels and not any(inner for _, inner in contexts):
        entry.wrong("warning", "the rule has no limits", "warning: {high: 285}")
    message = "{asset}: {channel} is {value}{unit}, limit {limit} ({severity})"
    delays = entry.delays()
    return entry.rule(levels, channels, message, delays, deadband=deadband, contexts=contexts)


def _contexts(entry: Entry, scale: Scale, deadband: float) -> tuple[tuple[str, tuple[Level, ...]], ...]:
    contexts = entry.fields.get("context", [])
    if not isinstance(contexts, list) or not all(isinstance(one, dict) and "when" in one for one in contexts):
        entry.wrong("context", "is not a list of contexts", "[{when: \"phase = 'standby'\", critical: {high: 320}}]")
        return ()
    found = []
    for index, context in enumerate(contexts):
        inner = Entry(entry.doc, (*entry.place, "context", index), entry.label, context, entry.contract)
        for key in context:
            if key not in ("when", *SEVERITIES):
                inner.wrong(key, f"no such severity `{key}`", did_you_mean(key, SEVERITIES))
        when = inner.sql("when")
        levels = inner.levels(scale, deadband)
        if when is not None:
            found.append((when, levels))
    return tuple(found)


def _rate_of_change(entry: Entry) -> Rule:
    channels = entry.channels()
    scale = entry.scale(channels, "/s")
    deadband = entry.difference("deadband", scale)
    levels = entry.levels(scale, deadband)
    if not levels:
        entry.wrong("warning", "the rule has no limits", "warning: {high: 3}, a second")
    message = "{asset}: {channel} changes by {value}{unit}, limit {limit} ({severity})"
    over_ns = entry.ns("over", least=1) if "over" in entry.fields else 0
    return entry.rule(levels, channels, message, entry.delays(), over_ns=over_ns, deadband=deadband)


def _stuck(entry: Entry) -> Rule:
    channels, siblings = entry.channels(), entry.channels("siblings", least=0)
    tolerance = entry.number("tolerance", 0.0)
    if tolerance:
        both = tuple(dict.fromkeys((*channels, *siblings)))
        tolerance = entry.difference("tolerance", entry.scale(both))
    elif "unit" in entry.fields:
        entry.wrong("unit", "there is no `tolerance` that it is of", "leave it out")
    if set(channels) == set(siblings) and len(channels) == 1:
        entry.wrong("siblings", f"`{channels[0]}` cannot vouch for itself", "name others")
    message = "{asset}: {channel} stands still at {value}{unit} ({severity})"
    return entry.rule(
        entry.severity(),
        channels,
        message,
        for_ns=entry.ns("for", least=1),
        min_rows=entry.count("min_rows", 10, least=2),
        tolerance=tolerance,
        siblings=siblings,
    )


def _no_data(entry: Entry) -> Rule:
    channels = entry.channels(least=0)
    missing = "no {channel}" if channels else "no data"
    message = f"{{asset}}: {missing} for {{value}}{{unit}}, at most {{limit}} ({{severity}})"
    return entry.rule(entry.severity(), channels, message, timeout_ns=entry.ns("timeout", least=1))


def _expression(entry: Entry) -> Rule:
    if "when" not in entry.fields:
        entry.wrong("when", "is missing", "a condition over columns, in SQL")
    when, channels = entry.sql("when") or "", entry.channels(least=0)
    if len(channels) > 1:
        entry.wrong("channels", "an expression has one channel at most, whose value people are shown")
    quoted = when.replace("{", "{{").replace("}", "}}")
    value = ", {channel} is {value}{unit}" if channels else ""
    return entry.rule(
        entry.severity(), channels, f"{{asset}}: {quoted}{value} ({{severity}})", entry.delays(), when=when
    )


FORMS: Mapping[str, Form] = {
    "limit": Form((*_CHANNELS, *SEVERITIES, "unit", "deadband", "context", *_DELAYS), _limit),
    "rate_of_change": Form((*_CHANNELS, *SEVERITIES, "unit", "over", "deadband", *_DELAYS), _rate_of_change),
    "stuck": Form((*_CHANNELS, "for", "min_rows", "tolerance", "unit", "siblings", "severity"), _stuck),
    "no_data": Form((*_CHANNELS, "timeout", "severity"), _no_data),
    "expression": Form(("when", *_CHANNELS, "severity", *_DELAYS), _expression),
}
"""The forms of rules, by detector."""
