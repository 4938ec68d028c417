"""What can go wrong on purpose: the plan of faults, from a word or from the content of a fault file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hotfire.errors import UserError

DIRTY = ("not_a_number", "missing_zone", "out_of_range", "truncated", "wrong_fields", "duplicate")
"""Ways in which a line can be spoilt."""

DEFAULT_DIRTY: Mapping[str, float] = {
    "not_a_number": 0.0015,
    "missing_zone": 0.00075,
    "out_of_range": 0.001,
    "truncated": 0.0005,
    "wrong_fields": 0.0005,
    "duplicate": 0.005,
}
"""The share of lines that are spoilt in each way, unless something else is asked for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault of an engine or its sensors.

    Attributes:
        duration_s: the shortest and the longest.
        size: the least and the greatest, in the channel's unit or as a share; what it means is the kind's own.
        channels: those it may show in, the main one first.
    """

    channels: tuple[str, ...]
    severity: str
    duration_s: tuple[float, float]
    size: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Given:
    """One fault of a fault file: which, where, when (seconds after the start), how long and how strong."""

    kind: str
    asset: str
    at_s: float
    for_s: float
    channel: str
    size: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go wrong.

    Attributes:
        random: whether the simulator chooses faults by itself.
        given: faults to happen as written.
        dirty: the share of lines to spoil, by way.
    """

    random: bool = False
    given: tuple[Given, ...] = ()
    dirty: Mapping[str, float] = field(default_factory=dict)


def plan(faults: str | Mapping[str, Any], kinds: Mapping[str, Kind], assets: Iterable[str]) -> Plan:
    """Read a plan: `none`, `default`, or the content of a fault file.

    A fault file (TOML or JSON) has a list `fault` of `{kind, asset, at_s, for_s, channel?, size?}` and a table
    `dirty` of shares by way: `{not_a_number: 0.001}`. Raises UserError about the first thing that does not fit.
    """
    if faults == "none":
        return Plan()
    if faults == "default":
        return Plan(random=True, dirty=DEFAULT_DIRTY)
    if isinstance(faults, str):
        raise UserError(f"{faults!r} is no set of faults.", "Known: none, default; or name a TOML or JSON file.")
    _known("the fault file", faults, ("fault", "dirty"))
    dirty, listed = faults.get("dirty", {}), faults.get("fault", [])
    if not isinstance(dirty, Mapping) or not isinstance(listed, list):
        raise UserError("In a fault file, `fault` is a list and `dirty` a table.")
    _known("dirty", dirty, DIRTY)
    for way, share in dirty.items():
        _number(f"dirty.{way}", share, 0, 1)
    if sum(dirty.values()) > 1:
        raise UserError("The shares of `dirty` add up to more than 1.")
    known = set(assets)
    return Plan(given=tuple(_given(one, n, kinds, known) for n, one in enumerate(listed, 1)), dirty=dict(dirty))


def _given(one: Any, n: int, kinds: Mapping[str, Kind], assets: set[str]) -> Given:
    what = f"fault {n}"
    if not isinstance(one, Mapping):
        raise UserError(f"{what} is no table.")
    _known(what, one, ("kind", "asset", "at_s", "for_s", "channel", "size"))
    for name in ("kind", "asset", "at_s"):
        if name not in one:
            raise UserError(f"{what} has no `{name}`.")
    _known(f"{what}: kind", (one["kind"],), kinds)
    _known(f"{what}: asset", (one["asset"],), sorted(assets))
    kind = kinds[one["kind"]]
    channel = one.get("channel", kind.channels[0])
    _known(f"{what}: channel", (channel,), kind.channels)
    return Given(
        kind=one["kind"],
        asset=one["asset"],
        at_s=_number(f"{what}: at_s", one["at_s"], 0, float("inf")),
        for_s=_number(f"{what}: for_s", one.get("for_s", sum(kind.duration_s) / 2), 0, float("inf")),
        channel=channel,
        size=_number(f"{what}: size", one.get("size", sum(kind.size) / 2), 0, float("inf")),
    )


def _number(what: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"{what} is {value!r}, not a number {'from 0' if most > 1 else 'from 0 to 1'}.")
    return float(value)


def _known(what: str, names: Iterable[Any], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise UserError(
                f"{what}: {name!r} is not known.", f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            )
