"""The kinds of values that settings have, as `KEYS` names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from hotfire.contract.duration import duration_ns
from hotfire.contract.size import size_bytes
from hotfire.errors import ContractError
from hotfire.workspace.values import instant_ns

SAID: Mapping[str | None, str] = {
    "text": "a text",
    "secret": "a text",
    "hidden": "a text",
    "texts": "a text or a list of texts",
    "secrets": "a text or a list of texts",
    "duration": "a number and a unit, such as 500 ms, 5 min or 30 d",
    "size": "a number and a unit, such as 64 MiB or 10 MB",
    "flag": "true or false",
    "count": "a whole number above 0",
    "rate": "a number above 0",
    "sign": "one character: no letter, digit, quote or line end",
    "pattern": "a regular expression",
    "instant": "an instant with a zone, such as 2026-01-01T00:00:00Z",
    None: "a table",
}
"""What a kind is called."""

TEXTS = frozenset({"text", "secret", "hidden", "sign", "pattern", "instant", "duration", "size"})
"""The kinds whose values are one text."""


def fitting(kind: str | None, value: Any) -> Any:
    """The value as its kind holds it; None where it is of another kind."""
    fits = False
    match kind, value:
        case ("text" | "secret" | "hidden", str()) | ("flag", bool()):
            fits = True
        case "texts" | "secrets", str() | list() | tuple():
            value = (value,) if isinstance(value, str) else tuple(value)
            fits = all(isinstance(one, str) for one in value)
        case ("count", int()) | ("rate", int() | float()):
            fits = value is not True and 0 < value < float("inf")
            value = value if kind == "count" else float(value)
        case "sign", str():
            fits = len(value) == 1 and value.isascii() and not value.isalnum() and value not in "\"'\r\n\0"
        case "pattern", str():
            fits = _is_pattern(value)
        case "duration", str():
            fits = _is(duration_ns, value)
        case "size", str():
            fits = _is(size_bytes, value)
        case "instant", datetime() | str():
            value = str(value)
            fits = _is_instant(value)
    return value if fits else None


def _is_instant(text: str) -> bool:
    try:
        instant_ns(text)
    except ValueError:
        return False
    return True


def _is(measure: Callable[[object], int], text: str) -> bool:
    try:
        measure(text)
    except ContractError:
        return False
    return True


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
