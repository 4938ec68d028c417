"""JSON values in a form that the contract lets them be coerced to: read as a table's cell of the same text would be."""

from __future__ import annotations

import re
from typing import Any

from hotfire.contract.times import NUMBER
from hotfire.source.formats.cells import COERCED
from hotfire.source.formats.json_layout import LEAST, MOST, Kind

_BLANK = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as tables have it: Python's own would strip more."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_EPOCH = re.compile(NUMBER)
_FLOAT = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))")
_EXACT = 2.0**53


def coerced(kind: Kind, text: str) -> Any:
    """What a text spells out under a form; None where it does not."""
    bare = text.strip(_BLANK)
    match kind:
        case "text":
            return text
        case "boolean":
            return COERCED.get(bare.lower())
        case "epoch":
            return epoch(bare) if _EPOCH.fullmatch(bare) else None
        case "number":
            return float(bare) if _FLOAT.fullmatch(bare) else None
        case "integer":
            return whole(bare) if _INTEGER.fullmatch(bare) else _rounded(bare)
        case "array":
            return None


def epoch(text: str) -> float | None:
    """A whole number exactly, where 64 bits hold it; any other as a float64, be it infinite."""
    exact = whole(text) if _INTEGER.fullmatch(text) else None
    return float(text) if exact is None else exact


def whole(text: str) -> int | None:
    """An integer of 64 bits, else None. Python refuses to read thousands of digits, so the length is judged first."""
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > 19:
        return None
    number = int(text[0].replace("+", "") + text[1:])
    return number if LEAST <= number <= MOST else None


def _rounded(text: str) -> int | None:
    """A number without a fraction as an integer. Beyond 2**53 a float64 does not tell which one was meant."""
    number = float(text) if _FLOAT.fullmatch(text) else float("nan")
    return int(number) if abs(number) <= _EXACT and number.is_integer() else None
