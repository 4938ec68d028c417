"""The hygiene report of a workspace: its alarms of some event time, judged by `alarm/report.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from hotfire.alarm.report import Hygiene, Turn, activations, hygiene
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.workspace.wiring import Workspace


class Report(Struct, frozen=True):
    """A hygiene report, and the event time that it is about, both ends included."""

    since_ns: int
    until_ns: int
    hygiene: Hygiene


def report(
    workspace: Workspace, streams: Iterable[str], since_ns: int | None, until_ns: int | None, operators: int
) -> Report | None:
    """Judge the alarms of some streams together; None where there never was one, nor a row.

    Args:
        since_ns, until_ns: event time; None: from the first alarm, and up to the newest row.
        operators: who share the alarms.

    Raises:
        UserError: it ends before it begins.
    """
    turns, clocks = list[Turn](), list[int]()
    for stream in streams:
        for alarm_id, rule, asset, channel, *rest in workspace.store.query("alarm_turns", stream=stream).iter_rows():
            turns.append(Turn(alarm_id, (stream, rule, asset, channel), *rest))
        clocks += workspace.store.query("newest_row", stream=stream)["clock_ns"].drop_nulls().to_list()
    instants = [*clocks, *(one.at_ns for one in turns), *(one for one in (since_ns, until_ns) if one is not None)]
    if not instants:
        return None
    end_ns = max(instants) if until_ns is None else until_ns
    begin_ns = min((one.at_ns for one in turns), default=end_ns) if since_ns is None else since_ns
    if since_ns is not None and begin_ns > end_ns:
        raise UserError("--since is after --until.", "Exchange them.")
    begin_ns = min(begin_ns, end_ns)
    return Report(begin_ns, end_ns, hygiene(activations(turns), begin_ns, end_ns, operators))
