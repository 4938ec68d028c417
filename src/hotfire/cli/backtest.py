"""`hotfire backtest`: which alarms rules would have raised in history, and what another version of them changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.instant import bound_ns
from hotfire.cli.output import Answer
from hotfire.cli.place import from_places
from hotfire.cli.workspace import complete_stream, settings_of

if TYPE_CHECKING:
    from hotfire.alarm.compare import Difference
    from hotfire.engine.labels import Fault, Score
    from hotfire.findings import Condition
    from hotfire.workspace.backtests import Asked, Tried

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=Command)
@click.argument("rules", type=_FILE)
@from_places("Files, folders or patterns; `-` is standard input. Else the stream's history, from store and lake.")
@click.option("--stream", default="", shell_complete=complete_stream, help="Else the one that the rules are for.")
@click.option("--since", metavar="ISO", help="Only rows from this event time on.")
@click.option("--until", metavar="ISO", help="Only rows before this event time.")
@click.option("--labels", type=_FILE, help="Labelled faults, as simulate writes them: recall, delay, false alarms.")
@click.option("--against", type=_FILE, metavar="OLD_RULES", help="Another version of the rules: what is different.")
@click.option("--max-new", type=click.IntRange(0), metavar="N", help="Exit code 1 where more conditions are new.")
@click.option("--no-limits", is_flag=True, help="Without the limits of the contract.")
def backtest(
    rules: Path,
    more: tuple[str, ...],
    places: tuple[str, ...],
    max_new: int | None,
    *,
    no_limits: bool,
    **given: Any,
) -> Answer:
    """Try rules on history: the conditions that they would have raised, exactly as live.

    Changes nothing. The limits of the contract are tried with them. What is new is what OLD_RULES did not raise; without
    them, everything.
    """
    from hotfire.cli.backtest_lines import lines
    from hotfire.engine.labels import read_labels
    from hotfire.workspace.backtests import Asked, tried
    from hotfire.workspace.wiring import Workspace

    texts, labels = _texts(rules, given["against"], given["labels"])
    since_ns, until_ns = bound_ns("--since", given["since"]), bound_ns("--until", given["until"])
    named = [*places, *more]
    asked = Asked(texts, given["stream"], named, since_ns, until_ns, limits=not no_limits, traced=not _as_json())
    faults = None if labels is None else _inside(read_labels(*labels), asked)
    with Workspace(settings_of(), dry_run=bool(named)) as workspace:
        started_ns = workspace.clock.now_ns()
        came = tried(workspace, asked)
        seconds = (workspace.clock.now_ns() - started_ns) / 1e9
    scored = None if faults is None else came.found[0].scored(faults).score
    changed = _changed(came)
    new = len(came.found[0].conditions if changed is None else changed.added)
    document = {**_document(came, scored, changed), "seconds": round(seconds, 3)}
    code = 2 if came.problems else 1 if max_new is not None and new > max_new else 0
    return Answer(document, lines(came, scored, changed, (new, max_new), seconds), code)


def _texts(
    rules: Path, against: Path | None, labels: Path | None
) -> tuple[list[tuple[str, str]], tuple[str, str] | None]:
    """The rules files, newest first, and the labels."""
    from hotfire.workspace.backtests import text_of

    texts = [text_of(one) for one in (rules, against) if one is not None]
    return texts, None if labels is None else text_of(labels)


def _as_json() -> bool:
    """Whether nobody looks at the lines."""
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source("json") is ParameterSource.COMMANDLINE


def _inside(faults: tuple[Fault, ...], asked: Asked) -> list[Fault]:
    """The faults that begin within the bounds."""
    least = -(2**63) if asked.since_ns is None else asked.since_ns
    most = 2**63 if asked.until_ns is None else asked.until_ns
    return [one for one in faults if least <= one.since_ns < most]


def _changed(came: Tried) -> Difference | None:
    """From the other version of the rules to this one; None where there is none."""
    return came.found[0].against(came.found[1]) if len(came.found) > 1 else None


def _document(came: Tried, scored: Score | None, changed: Difference | None) -> dict[str, Any]:
    found, file = came.found[0], came.files[0]
    document: dict[str, Any] = {
        "stream": found.stream,
        "rules": file.file,
        "version": file.version,
        "rows": found.rows,
        "late": found.late,
        "left_out": found.left_out,
        "hours": round(found.hours, 6),
        "asset_hours": round(found.asset_hours, 6),
        "conditions": [condition_document(one) for one in found.conditions],
        "per_hour": _rounded(found.per_hour),
        "by_rule": {
            name: {"conditions": number, "per_hour": _rounded(found.rate(number))}
            for name, number in found.by_rule.items()
        },
    }
    if scored is not None:
        document["labels"] = _scored(scored)
    if changed is not None:
        document["against"] = _against(came, changed)
    if came.problems:
        document["problems"] = [{"error": one.what, "do": one.do} for one in came.problems]
    return document


def condition_document(one: Condition) -> dict[str, Any]:
    """A condition as JSON has it."""
    from hotfire.clock import iso

    returned_at = None if one.returned_at_ns is None else iso(one.returned_at_ns)
    point = {"rule": one.rule, "asset": one.asset, "channel": one.channel or None, "severity": one.severity}
    when = {"raised_at": iso(one.raised_at_ns), "returned_at": returned_at}
    return {**point, **when, "value": one.value, "limit": one.limit, "message": one.message}


def changed_document(changed: Difference) -> dict[str, Any]:
    """A difference as JSON has it."""
    return {
        "added": [condition_document(one) for one in changed.added],
        "removed": [condition_document(one) for one in changed.removed],
        "changed": [{**condition_document(one), "was": before.severity} for before, one in changed.changed],
    }


def _against(came: Tried, changed: Difference) -> dict[str, Any]:
    old, new = came.files[1], came.files[0]
    summary = f"v{old.version} -> v{new.version}: {changed.summary}"
    return {"rules": old.file, "version": old.version, **changed_document(changed), "summary": summary}


def _scored(scored: Score) -> dict[str, Any]:
    by_kind = {
        one.kind: {
            "labelled": one.labelled,
            "found": one.found,
            "recall": round(one.recall, 4),
            "delay_s": {"p50": one.median_s, "max": one.greatest_s},
        }
        for one in scored.by_kind
    }
    false = {"false_alarms": len(scored.false_alarms), "false_per_asset_hour": _rounded(scored.false_per_asset_hour)}
    return {"by_kind": by_kind, **false, "missed": [_fault(one) for one in scored.missed]}


def _fault(one: Fault) -> dict[str, Any]:
    from hotfire.clock import iso

    when = {"since": iso(one.since_ns), "until": iso(one.until_ns)}
    return {"asset": one.asset, "channel": one.channel, "fault": one.kind, **when}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
