"""What `hotfire backtest` says to people: counts by rule, what is different, and the readings around each trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from hotfire.cli.output import counted, printable, table

if TYPE_CHECKING:
    from hotfire.alarm.compare import Difference
    from hotfire.engine.backtest import Backtest
    from hotfire.engine.labels import Score
    from hotfire.engine.traces import Trace, Traces
    from hotfire.findings import Condition
    from hotfire.workspace.backtests import Tried

_SHOWN = 12
_BLOCKS = "▁▂▃▄▅▆▇█"


def lines(
    came: Tried, scored: Score | None, changed: Difference | None, new: tuple[int, int | None], seconds: float
) -> Iterator[str]:
    """Everything, for people.

    Args:
        new: how many conditions are new, and how many may be; None: any number.
    """
    found, file = came.found[0], came.files[0]
    behind = f", {found.late:,} of them late" if found.late else ""
    behind += f", {found.left_out:,} left out" if found.left_out else ""
    hours = f"{_hours(found.hours)} h ({_hours(found.asset_hours)} of all assets)"
    yield f"{found.stream}: {counted(found.rows, 'row')}{behind}, {hours}      {seconds:.1f} s"
    yield from _by_rule(came.found)
    if scored is not None:
        yield from _scored(scored)
    if changed is not None:
        yield click.style(f"v{came.files[1].version} -> v{file.version}: {changed.summary}", bold=True)
        yield from changed_lines(changed, came.traces)
    else:
        yield from _conditions([(" ", one, one.severity) for one in found.conditions], came.traces)
    for problem in came.problems:
        yield f"Not read: {problem.what} {problem.do}".rstrip()
    number, most = new
    if most is not None:
        too_many = number > most
        said = f"{counted(number, 'new condition')}, {most:,} allowed"
        yield click.style(said, fg="red" if too_many else "green")


def _by_rule(found: Sequence[Backtest]) -> Iterator[str]:
    """A line a rule; of the other version, too, where there is one."""
    names = list(dict.fromkeys(name for one in found for name in one.by_rule))
    rows = []
    for name in names:
        number = found[0].by_rule.get(name, 0)
        was = [one.by_rule.get(name, 0) for one in found[1:]]
        rows.append((name, *was, number, _per_hour(found[0].rate(number))))
    before = ["before"] if len(found) > 1 else []
    yield from table(["rule", *before, "conditions", "per hour"], rows)


def _per_hour(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _hours(value: float) -> str:
    return f"{value:,.1f}" if value >= 0.1 else f"{value:.2g}"


def _scored(scored: Score) -> Iterator[str]:
    from hotfire.clock import iso

    rows = [
        (one.kind, one.labelled, one.found, f"{one.recall:.0%}", _seconds(one.median_s), _seconds(one.greatest_s))
        for one in scored.by_kind
    ]
    yield from table(("fault", "labelled", "found", "recall", "delay p50", "max"), rows)
    for one in scored.missed[:_SHOWN]:
        yield f"missed: {iso(one.since_ns)}  {one.asset}  {one.kind}" + (f"  {one.channel}" if one.channel else "")
    if len(scored.missed) > _SHOWN:
        yield f"  and {len(scored.missed) - _SHOWN:,} more: --json has all"
    rate = scored.false_per_asset_hour
    hourly = "" if rate is None else f", {rate:.2f} per asset and hour"
    yield f"{counted(len(scored.false_alarms), 'false alarm')}{hourly}"


def changed_lines(changed: Difference, traces: Traces | None = None) -> Iterator[str]:
    """The conditions that are new, gone, or of another severity."""
    marked = [("+", one, one.severity) for one in changed.added]
    marked += [("-", one, one.severity) for one in changed.removed]
    marked += [("~", one, f"{before.severity} -> {one.severity}") for before, one in changed.changed]
    return _conditions(marked, traces)


def _conditions(marked: Sequence[tuple[str, Condition, str]], traces: Traces | None) -> Iterator[str]:
    from hotfire.clock import iso

    for mark, one, severity in marked[:_SHOWN]:
        lasts = "still" if one.returned_at_ns is None else _seconds((one.returned_at_ns - one.raised_at_ns) / 1e9)
        said = f"{mark} {iso(one.raised_at_ns)}  {one.asset}  {one.rule}  {severity}  {lasts}"
        yield click.style(f"{said}  {printable(one.message, 90)}".rstrip(), fg=_COLOURS.get(mark))
        trace = traces.around(one) if traces else None
        if trace is not None and any(value is not None for value in trace.values):
            yield f"    {sparkline(trace)}"
    if len(marked) > _SHOWN:
        yield f"  and {len(marked) - _SHOWN:,} more: --json has all"


_COLOURS = {"+": "red", "-": "green", "~": "yellow"}


def sparkline(trace: Trace) -> str:
    """A channel in blocks, `|` before the reading that raised the condition; and its extent."""
    known = [value for value in trace.values if value is not None]
    least, most = min(known), max(known)
    step = (most - least) / len(_BLOCKS) or 1.0
    blocks = ["·" if one is None else _BLOCKS[min(int((one - least) / step), 7)] for one in trace.values]
    drawn = "".join(blocks[: trace.trip]) + "|" + "".join(blocks[trace.trip :])
    return f"{drawn}  {trace.channel} {least:g} to {most:g}" + (f" {trace.unit}" if trace.unit else "")


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} s" if value >= 100 else f"{value:.3g} s"
