"""Durations as people write them: `5 min`, `500 ms`, `0 s`."""

from __future__ import annotations

import re

from hotfire.errors import ContractError

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Nanoseconds in each unit of a duration."""

_FORM = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))? ?([a-z]+)")


def duration_ns(text: object) -> int:
    """A duration in nanoseconds: `1.5 s` is 1,500,000,000. Raises ContractError where it is not one."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[3] not in UNITS_NS:
        raise ContractError(f"{text!r} is not a duration", "write a number and a unit, such as `500 ms` or `5 min`")
    decimals = found[2] or ""
    exact, rest = divmod(int(found[1] + decimals) * UNITS_NS[found[3]], int("1" + "0" * len(decimals)))
    if rest or exact >= 2**63:
        raise ContractError(f"{text!r} is not a whole number of nanoseconds", "write fewer decimals or a shorter time")
    return exact
