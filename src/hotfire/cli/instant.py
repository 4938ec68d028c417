"""Instants and lengths of time on the command line."""

from __future__ import annotations

import re

from hotfire.errors import UserError


def bound_ns(option: str, text: str | None) -> int | None:
    """An option's instant in nanoseconds of UTC; None where it was not given. UserError where it is no instant."""
    from hotfire.workspace.values import instant_ns

    if text is None:
        return None
    try:
        return instant_ns(text)
    except ValueError:
        example = "2026-05-01T00:00:00Z"
        raise UserError(f"{option} {text} is no instant with a zone.", f"Write it as {example}.") from None


def lasting_ns(option: str, text: str) -> int:
    """An option's length of time in nanoseconds; `m` is minutes. UserError where it is none."""
    from hotfire.contract.duration import duration_ns

    try:
        return duration_ns(re.sub(r"(?<=[0-9 ])m$", "min", text.strip()))
    except UserError:
        raise UserError(
            f"{option} {text} is no length of time.", "Write a number and a unit: 90s, 15m or 2h."
        ) from None
