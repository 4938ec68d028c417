"""A draft of a contract as YAML: what was guessed of each column, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml

from hotfire.contract.guess import quietly

if TYPE_CHECKING:
    from hotfire.contract.guess import Guess
    from hotfire.contract.roles import Roles


def write_draft(stream: str, guesses: Sequence[Guess], roles: Roles) -> str:
    """The YAML text, notes first as comments."""
    for position, guess in enumerate(roles.identity, start=1):
        guess.key = position
    asset, time = roles.asset, roles.time
    kind = "telemetry" if asset is not None else "entity"
    why = (
        "there are assets and times"
        if asset is not None
        else "no column names an asset, or none a time; telemetry needs both"
    )
    lines = [f"# {_plain(note)}" for note in roles.notes]
    lines += [
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: {_name(stream)}",
        "version: 1.0.0",
        "status: draft",
        "schema:",
        f"  - name: {_name(stream)}",
        "    logicalType: object",
        "    customProperties:",
        f"      - {{property: hotfire.kind, value: {kind}}}  # guess: {why}",
    ]
    if asset is not None and time is not None:
        lines.append(f"      - {{property: hotfire.asset, value: {_name(asset.name)}}}  # guess: {_plain(asset.why)}")
        lines.append(
            f"      - {{property: hotfire.time, value: {_name(time.name)}}}  # guess: the best name of a timestamp"
        )
    if roles.counter is not None:
        counter, why = _name(roles.counter.name), "counts up by one for each asset"
        lines.append(f"      - {{property: hotfire.counter, value: {counter}}}  # guess: {why}")
    lines.append("    properties:")
    for guess in guesses:
        lines += _write_column(guess)
    return "\n".join(lines) + "\n"


def _write_column(guess: Guess) -> list[str]:
    lines = [f"      - name: {_name(guess.name)}"]
    why = ", ".join(reason for reason in (guess.why, quietly(guess.odd)) if reason)
    lines.append(f"        logicalType: {guess.type}" + (f"  # guess: {_plain(why)}" if why else ""))
    if guess.key:
        lines += ["        required: true", "        primaryKey: true  # guess: tells rows apart"]
        lines.append(f"        primaryKeyPosition: {guess.key}")
    if guess.limits is not None:
        bounds = zip(("minimum", "maximum"), guess.limits[:2], strict=True)
        texts = [f"{name}: {_number(value)}" for name, value in bounds if value is not None]
        lines += (
            [f"        logicalTypeOptions: {{{', '.join(texts)}}}  # guess: {_plain(guess.limits[2])}"] if texts else []
        )
    if guess.allowed is not None:
        values = ", ".join(_quoted(value) for value in guess.allowed[0])
        lines.append(f"        quality:  # guess: {_plain(guess.allowed[1])}")
        lines.append(f"          - {{metric: invalidValues, mustBe: 0, arguments: {{validValues: [{values}]}}}}")
    return lines + _write_settings(guess)


def _write_settings(guess: Guess) -> list[str]:
    settings: list[tuple[str, str, str]] = []
    if guess.path != guess.name:
        settings.append(("path", _quoted(guess.path), ""))
    if guess.unit is not None:
        settings.append(("unit", _quoted(guess.unit[0]), guess.unit[1]))
    if guess.format != "iso":
        settings.append(("format", guess.format, "the size of the numbers"))
    if guess.zone is not None:
        settings.append(("zone", guess.zone, "the source gives none"))
    if guess.coerce:
        settings.append(("coerce", "true", "written as text"))
    lines = ["        customProperties:"] if settings else []
    for name, value, why in settings:
        comment = f"  # guess: {_plain(why)}" if why else ""
        lines.append(f"          - {{property: hotfire.{name}, value: {value}}}{comment}")
    return lines


def _name(name: str) -> str:
    """The name, quoted where YAML would take it for something else: on, true, null."""
    return name if yaml.safe_load(name) == name else _quoted(name)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', width=math.inf).strip()


def _plain(text: str) -> str:
    """What may stand in a comment: YAML takes no control characters there, either."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    mantissa, mark, exponent = repr(value).partition("e")
    return f"{mantissa}{'' if '.' in mantissa or not mark else '.0'}{mark}{exponent}"
