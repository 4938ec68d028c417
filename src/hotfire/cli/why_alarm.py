"""`hotfire why ALARM`: the rows around a trip, the limit in force then, and who had entered it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.alarm import called
from hotfire.cli.output import Answer, hint, printable, table
from hotfire.clock import iso

if TYPE_CHECKING:
    from hotfire.detect.model import Level, Rule
    from hotfire.workspace.in_force import Version
    from hotfire.workspace.model import Settings
    from hotfire.workspace.trip import Trip

_NEAR = 12
"""So many rows are shown to people on each side of the one that confirmed the alarm; `--json` has them all."""


def why_alarm(settings: Settings, text: str, around_ns: int) -> Answer:
    """How the alarm that is called so came about."""
    from hotfire.workspace.alarm_actions import called as alarm_called
    from hotfire.workspace.trip import trip
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings) as workspace:
        found = trip(workspace, alarm_called(workspace, text), around_ns)
    document = _document(found)
    return Answer(document, _lines(found, document))


def _document(found: Trip) -> dict[str, Any]:
    from hotfire.workspace.alarms import whole_document

    whole = whole_document(found.shown)
    units = {column.name: column.unit for column in found.columns if column.unit}
    return {
        "alarm": whole,
        "rule": _rule(found.held.rule),
        "limits": [_level(one) for one in found.levels],
        "context": found.context,
        "version": _version(found.held.version),
        "contract": {"version": found.held.contract.version, "hash": found.held.contract.hash},
        "batch": _batch(found.batch),
        "conditions": [_timed(one, ("raised_at_ns", "returned_at_ns")) for one in found.conditions],
        "findings": [_timed(one, ("at_ns",)) for one in found.findings],
        "units": units,
        "rows": list(_rows(found, whole["events"])),
    }


def _rule(rule: Rule | None) -> dict[str, Any] | None:
    """The rule as it is compiled: every value in the contract's units."""
    import msgspec

    return None if rule is None else msgspec.to_builtins(rule)


def _level(one: Level) -> dict[str, Any]:
    return {"severity": one.severity, "low": one.low, "high": one.high}


def _version(one: Version | None) -> dict[str, Any] | None:
    if one is None:
        return None
    document = {name: getattr(one, name) for name in ("kind", "file", "version", "hash")}
    document |= {"author": one.author or None, "reason": one.reason or None}
    return {**document, "valid_from": _iso(one.valid_from_ns), "entered_at": _iso(one.entered_at_ns)}


def _batch(batch: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if batch is None:
        return None
    named = {name: batch[name] for name in ("shard", "batch_seq", "job_id", "contract", "rules")}
    return {**named, "received_at": iso(batch["received_at_ns"]), "committed_at": iso(batch["committed_at_ns"])}


def _timed(one: Mapping[str, Any], instants: Sequence[str]) -> dict[str, Any]:
    """A row of a table, with instants that people can read."""
    shown = {name: value for name, value in one.items() if name not in instants}
    return {**{name.removesuffix("_ns"): _iso(one[name]) for name in instants}, **shown}


def _iso(at_ns: int | None) -> str | None:
    return None if at_ns is None else iso(at_ns)


def _rows(found: Trip, events: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows around the trip, with what happened to the alarm at each."""
    happened: dict[str, list[str]] = {}
    for event in events:
        if event["at"]:
            happened.setdefault(event["at"], []).append(event["what"])
    for row in found.rows.rows(named=True):
        at = iso(row[found.time])
        values = {column.name: _plain(row[column.storage], column.type) for column in found.columns}
        where = {name: row[name] for name in ("late", "shard", "batch_seq", "row_no")}
        yield {"at": at, **values, "events": happened.pop(at, []), **where}


def _plain(value: Any, kind: str) -> Any:
    return iso(value) if kind == "timestamp" and value is not None else value


def _lines(found: Trip, document: Mapping[str, Any]) -> Iterator[str]:
    alarm, units = document["alarm"], document["units"]
    yield click.style(f"Alarm {alarm['alarm_id']}: {alarm['severity']}, {alarm['state']}", bold=True)
    if alarm["message"]:
        yield f"  {printable(alarm['message'])}"
    yield f"  rule      {called(alarm)}"
    yield from _said(found, units.get(alarm["channel"]))
    yield from _entered(document["version"])
    if found.batch:
        batch = document["batch"]
        yield f"  batch     {batch['batch_seq']}, received {batch['received_at'][:19]}Z, contract {found.held.contract.version}"
    for one in document["conditions"]:
        returned = f"returned {one['returned_at']}" if one["returned_at"] else "still holds"
        yield f"  condition {one['number']}: raised {one['raised_at']}, {returned}, {one['severity']}"
    for name in ("owner", "runbook"):
        if alarm[name]:
            yield f"  {name.ljust(9)} {printable(alarm[name])}"
    yield ""
    yield from _table(found, document)
    alarm_id = alarm["alarm_id"]
    yield f"Next: {hint(f'alarm show {alarm_id}')}"


def _said(found: Trip, unit: str | None) -> Iterator[str]:
    """What the rule says, and for how long a row must say so."""
    rule = found.held.rule
    if rule is None:
        yield "  limit     no longer known: its text is not in the store"
        return
    if found.levels:
        per = "/s" if rule.detector == "rate_of_change" else ""
        yield f"  limit     {_limits(found.levels)}" + (f" [{unit}{per}]" if unit else "")
    if found.context:
        yield f"  context   {printable(found.context)}"
    if rule.parameters.get("when"):
        yield f"  when      {printable(rule.parameters['when'])}"
    if rule.only:
        yield f"  while     {printable(rule.only)}"
    if counts := [*_delays(rule), *_parameters(rule)]:
        yield f"  counts    {', '.join(counts)}"


def _delays(rule: Rule) -> Iterator[str]:
    delays = rule.delays
    if delays.min_violations > 1:
        yield f"{delays.min_violations} rows in a row"
    for what, ns in (("for", delays.on_ns), ("over after", delays.off_ns), ("settle", rule.settle_ns)):
        if ns:
            yield f"{what} {_seconds(ns)}"


def _parameters(rule: Rule) -> Iterator[str]:
    """The detector's own numbers and names, as they are called."""
    for name, value in rule.parameters.items():
        if not value or name in ("when", "contexts"):
            continue
        if name.endswith("_ns"):
            yield f"{name.removesuffix('_ns').replace('_', ' ')} {_seconds(value)}"
        elif isinstance(value, tuple):
            yield f"{name} {', '.join(map(str, value))}"
        else:
            yield f"{name.replace('_', ' ')} {value:g}"


def _limits(levels: Sequence[Level]) -> str:
    shown = []
    for one in levels:
        sides = [f"{side} {bound:g}" for side, bound in (("low", one.low), ("high", one.high)) if bound is not None]
        shown.append(f"{one.severity} {', '.join(sides)}")
    return "; ".join(shown)


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:g} s"


def _entered(version: Mapping[str, Any] | None) -> Iterator[str]:
    """Who entered the version that held, and why."""
    if version is None:
        return
    who = f" by {printable(version['author'])}" if version["author"] else ""
    why = f": {printable(version['reason'])}" if version["reason"] else ""
    yield f"  from      {version['file']} version {version['version']}{who}{why}"
    since = f"valid from {version['valid_from']}, " if version["valid_from"] else ""
    entered = f"entered {version['entered_at'][:19]}Z, " if version["entered_at"] else ""
    yield f"            {since}{entered}{version['kind']} {version['hash'][:12]}"


def _table(found: Trip, document: Mapping[str, Any]) -> Iterator[str]:
    """The rows nearest to the trip, and what happened without one."""
    raised, rows, units = found.shown.listed.alarm.raised_at_ns, document["rows"], document["units"]
    first = found.rows[found.time].search_sorted(raised)
    near = rows[max(0, first - _NEAR) : first + _NEAR]
    if not near:
        yield "No rows of the asset are stored around it."
        return
    names = [f"{one.name} [{units[one.name]}]" if one.name in units else one.name for one in found.columns]
    shown = [(row["at"], *(row[one.name] for one in found.columns), ", ".join(row["events"])) for row in near]
    at = {row["at"] for row in near}
    shown += [
        (event["at"], *(None for _ in names), event["what"])
        for event in document["alarm"]["events"]
        if event["at"] and event["at"] not in at
        if near[0]["at"] < event["at"] < near[-1]["at"] or (event["what"] == "TRIGGERED" and event["number"] == 1)
    ]
    yield from table(("event time", *names, ""), sorted(shown, key=lambda row: str(row[0]).removesuffix("Z")))
    if len(near) < len(rows):
        yield f"... {len(rows):,} rows, of which {len(near)} are shown: --json has them all"
