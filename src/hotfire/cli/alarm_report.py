"""`hotfire alarm report`: are there too many alarms, and which ones are the worst?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.alarm import called
from hotfire.cli.balance import chosen
from hotfire.cli.command import Command
from hotfire.cli.instant import bound_ns
from hotfire.cli.output import Answer, counted, table
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.clock import iso

if TYPE_CHECKING:
    from hotfire.alarm.report import Activation, Chatter, Point
    from hotfire.workspace.alarm_report import Report

_SHOWN = 5


@click.command(cls=Command)
@click.option("--since", metavar="ISO", help="From this event time on; else from the first alarm.")
@click.option("--until", metavar="ISO", help="Up to this event time; else to the newest row.")
@click.option("--stream", shell_complete=complete_stream, help="Only alarms of this stream.")
@click.option("--operators", type=click.IntRange(1), default=1, show_default=True, help="How many share the alarms.")
def report(since: str | None, until: str | None, stream: str | None, operators: int) -> Answer:
    """Judge alarms by what people can take, after EEMUA 191 and ISA-18.2: rates, floods, chatter, bad actors.

    An alarm counts each time that it is raised, by its event time, unless something kept it silent then.
    """
    from hotfire.workspace.alarm_report import report as judged
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    streams, bounds = chosen(settings, stream), (bound_ns("--since", since), bound_ns("--until", until))
    with Workspace(settings) as workspace:
        found = judged(workspace, streams, *bounds, operators)
    if found is None:
        return Answer({"alarms": 0, "since": None, "until": None}, ["There never was an alarm, nor a row."])
    document = _document(found, operators)
    return Answer(document, _lines(document))


def _document(found: Report, operators: int) -> dict[str, Any]:
    from hotfire.alarm.report import PRIORITIES

    one = found.hygiene
    priorities = [
        {
            "priority": name,
            "severities": list(severities),
            "alarms": one.priorities[name],
            "share": _share(one.priorities[name], one.alarms),
            "recommended": recommended,
        }
        for name, (severities, recommended) in PRIORITIES.items()
    ]
    floods = [
        {"since": iso(each.since_ns), "until": iso(each.until_ns), "alarms": each.alarms, "peak_10_min": each.peak}
        for each in one.floods
    ]
    return {
        "alarms": one.alarms,
        "since": iso(found.since_ns),
        "until": iso(found.until_ns),
        "hours": one.hours,
        "operators": operators,
        "silent": one.silent,
        "per_hour": one.per_hour,
        "per_10_min": one.per_10_min,
        "peak_10_min": one.peak_10_min,
        "floods": floods,
        "chattering": [_chatter(each) for each in one.chattering],
        "fleeting": [{**_point(point), "alarms": number} for point, number in one.fleeting],
        "long_standing": [_long(each, found.until_ns) for each in one.long_standing],
        "severities": dict(one.severities),
        "priorities": priorities,
        "top_rules": _top("rule", one.rules, one.alarms),
        "top_assets": _top("asset", one.assets, one.alarms),
    }


def _point(point: Point) -> dict[str, Any]:
    stream, rule, asset, channel = point
    return {"stream": stream, "rule": rule, "asset": asset, "channel": channel or None}


def _chatter(one: Chatter) -> dict[str, Any]:
    times = {"since": iso(one.since_ns), "until": iso(one.until_ns)}
    return {**_point(one.point), "alarms": one.alarms, "peak_1_min": one.peak, **times}


def _long(one: Activation, until_ns: int) -> dict[str, Any]:
    returned_at_ns = one.returned_at_ns
    end_ns = until_ns if returned_at_ns is None else min(returned_at_ns, until_ns)
    returned = None if returned_at_ns is None else iso(returned_at_ns)
    times = {"raised_at": iso(one.raised_at_ns), "returned_at": returned}
    return {**_point(one.point), "severity": one.severity, **times, "hours": (end_ns - one.raised_at_ns) / 3.6e12}


def _top(what: str, counts: Sequence[tuple[tuple[str, str], int]], alarms: int) -> list[dict[str, Any]]:
    return [
        {"stream": stream, what: name, "alarms": number, "share": _share(number, alarms)}
        for (stream, name), number in counts
    ]


def _share(number: int, alarms: int) -> float | None:
    return number / alarms if alarms else None


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    silent = f", and {one['silent']:,} in silence" if one["silent"] else ""
    yield f"{counted(one['alarms'], 'alarm')} from {one['since']} to {one['until']} ({one['hours']:.1f} h){silent}"
    if one["per_hour"] is not None:
        each = " for each operator" if one["operators"] > 1 else ""
        most = f"{one['peak_10_min']:,} at the most"
        yield f"rate           {one['per_hour']:.1f} an hour; in 10 minutes{each} {one['per_10_min']:.1f} (about 1 is good), {most}"
    yield f"floods         {len(one['floods']):,} (more than {10 * one['operators']} in 10 minutes)"
    for flood in one["floods"][:_SHOWN]:
        yield f"  {flood['since']} to {flood['until']}: {flood['alarms']:,} alarms, {flood['peak_10_min']:,} in 10 minutes"
    yield f"chattering     {len(one['chattering']):,} (raised 3 times or more in a minute)"
    for each in one["chattering"][:_SHOWN]:
        yield f"  {called(each)}: {each['alarms']:,} times, {each['peak_1_min']:,} in a minute"
    yield f"fleeting       {sum(each['alarms'] for each in one['fleeting']):,} (active for less than 10 s)"
    for each in one["fleeting"][:_SHOWN]:
        yield f"  {called(each)}: {counted(each['alarms'], 'time')}"
    yield f"long-standing  {len(one['long_standing']):,} (active for more than 24 h)"
    for each in one["long_standing"][:_SHOWN]:
        still = "" if each["returned_at"] else " and still is"
        yield f"  {called(each)}: {each['hours']:.0f} h{still}"
    if one["alarms"]:
        yield from _shares(one)


def _shares(one: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    rows = [
        (each["priority"], ", ".join(each["severities"]), each["alarms"], *_percents(each))
        for each in one["priorities"]
    ]
    yield from table(("priority", "severities", "alarms", "share", "recommended"), rows)
    for what in ("rule", "asset"):
        yield ""
        top = [(each[what], each["alarms"], _percent(each["share"])) for each in one[f"top_{what}s"]]
        yield from table((f"top {what}s", "alarms", "share"), top)


def _percents(each: Mapping[str, Any]) -> tuple[str, str]:
    return _percent(each["share"]), _percent(each["recommended"])


def _percent(share: float) -> str:
    return f"{share:.0%}"
