"""Why there is an alarm: the rows around the one that confirmed it, and the rule as it held then."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from hotfire.contract.expression import columns_of
from hotfire.detect.model import Level, Readings
from hotfire.errors import UserError
from hotfire.ledger.cleared import cleared_before
from hotfire.store import ddl
from hotfire.workspace.alarms import Shown, shown
from hotfire.workspace.in_force import Held, held

if TYPE_CHECKING:
    from hotfire.alarm.model import Alarm
    from hotfire.contract.model import Column, Contract
    from hotfire.detect.model import Rule
    from hotfire.workspace.wiring import Workspace

MOST = 500
"""So many rows are shown on each side of the one that confirmed the alarm, at most."""


class Trip(Struct, frozen=True):
    """How an alarm came about.

    Attributes:
        levels: the limits that were in force at the row that confirmed it; empty where the rule has none.
        context: the condition under which those replace the rule's own; None where they are the rule's own.
        batch: the ledger's row of the batch that confirmed it; None: it was the wall clock.
        conditions: each time that the rule was true, in the life of the alarm.
        findings: what the rule found around it.
        columns: those of `rows` that the rule is about, in the contract's order.
        rows: of the asset, around it, in order of event time: storage columns and where they are.
        time: the column of event time in `rows`.
    """

    shown: Shown
    held: Held
    levels: Sequence[Level]
    context: str | None
    batch: Mapping[str, Any] | None
    conditions: Sequence[Mapping[str, Any]]
    findings: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    rows: pl.DataFrame
    time: str


def trip(workspace: Workspace, alarm: Alarm, around_ns: int) -> Trip:
    """How an alarm came about.

    Args:
        around_ns: how much event time is shown before and after the row that confirmed it; where no row came after that,
            until the condition had returned for so long.

    Raises:
        UserError: it never was raised, or is about no row.
    """
    at_ns = alarm.raised_at_ns
    if at_ns is None:
        what = f"The alarm {alarm.alarm_id} was never raised: it is there to be kept silent."
        raise UserError(what, f"See hotfire alarm show {alarm.alarm_id}")
    contract = workspace.contract_in_use(alarm.stream)
    if contract.kind == "entity":
        what = f"The alarm {alarm.alarm_id} is about the source of {alarm.stream}: no row tells of it."
        raise UserError(what, "`hotfire doctor` says how the source is doing.")
    whole = shown(workspace, alarm)
    until_ns = max([at_ns, *(one.at_ns for one in whole.happenings if one.at_ns is not None)])
    point = {"stream": alarm.stream, "rule": alarm.rule, "asset": alarm.asset, "channel": alarm.channel}
    conditions = workspace.store.query("conditions_of_point", **point, since_ns=at_ns, until_ns=until_ns)
    findings = workspace.store.query(
        "findings_of_point", **point, since_ns=at_ns - around_ns, until_ns=at_ns + around_ns
    )
    batch = _batch(workspace, alarm, conditions)
    rule = held(workspace, alarm.stream, alarm.rule, at_ns, batch, alarm.opened_at_ns)
    returned_ns = conditions["returned_at_ns"][0] if conditions.height else None
    rows = _rows(workspace, contract, alarm.asset, at_ns, (at_ns - around_ns, at_ns + around_ns + 1))
    if returned_ns is not None and rows.filter(pl.col(contract.identity[1]) > at_ns).is_empty():
        rows = _rows(workspace, contract, alarm.asset, at_ns, (at_ns - around_ns, returned_ns + around_ns + 1))
    levels, context = _in_force(rule, contract, rows, at_ns)
    told = (conditions.rows(named=True), findings.rows(named=True), _columns(rule.rule, contract))
    return Trip(whole, rule, levels, context, batch, *told, rows, contract.identity[1])


def _batch(workspace: Workspace, alarm: Alarm, conditions: pl.DataFrame) -> Mapping[str, Any] | None:
    """The ledger's row of the batch in which the alarm was raised."""
    first = conditions.filter(pl.col("raised_at_ns") == alarm.raised_at_ns) if conditions.height else conditions
    for shard, batch_seq in first.select("shard", "batch_seq").iter_rows() if first.height else ():
        found = workspace.store.query("ledger_batch", stream=alarm.stream, shard=shard, batch_seq=batch_seq)
        if found.height:
            return found.row(0, named=True)
    return None


def _rows(workspace: Workspace, contract: Contract, asset: str, at_ns: int, bounds_ns: tuple[int, int]) -> pl.DataFrame:
    """The stored rows of an asset between bounds, those nearest to an instant, from the lake where the store let go of them."""
    stream, (name, time), (since_ns, until_ns) = contract.stream, contract.identity[:2], bounds_ns
    only, before_ns = workspace.settings.stream(stream).lake_only, cleared_before(workspace.store, stream)
    found = pl.DataFrame(schema=ddl.schema(contract))
    if not only:
        found = pl.concat([found, workspace.store.window(contract, asset, since_ns, until_ns)], how="diagonal")
    if only or (before_ns is not None and since_ns < before_ns):
        own = found.select("shard", "batch_seq", "row_no")
        for frame in workspace.lake.rows(contract, since_ns=since_ns, until_ns=until_ns):
            missing = frame.filter(pl.col(name) == asset).join(own, on=own.columns, how="anti")
            found = pl.concat([found, missing], how="diagonal")
    found = found.sort(time, "shard", "batch_seq", "row_no")
    before, after = found.filter(pl.col(time) < at_ns), found.filter(pl.col(time) >= at_ns)
    return pl.concat([before.tail(MOST), after.head(MOST)])


def _in_force(held: Held, contract: Contract, rows: pl.DataFrame, at_ns: int) -> tuple[Sequence[Level], str | None]:
    """The limits in force at the row of an instant, and the condition that put them in force."""
    rule, time = held.rule, contract.identity[1]
    if rule is None:
        return (), None
    row = rows.filter(pl.col(time) == at_ns).head(1)
    if row.height and held.contract.major == contract.major:
        readings = Readings.of(held.contract, row.select(column.storage for column in held.contract.columns))
        for when, levels in rule.parameters.get("contexts", ()):
            if readings.truth(when)[0] == 1:
                return levels, when
    return [one for one in rule.levels if one.low is not None or one.high is not None], None


def _columns(rule: Rule | None, contract: Contract) -> Sequence[Column]:
    """The columns that a rule is about; all but the identity where it is about none."""
    named = set(_named(rule)) if rule else set[str]()
    identity = {contract.asset, contract.time}
    others = [column for column in contract.columns if column.name not in identity]
    return [column for column in others if column.name in named] or others


def _named(rule: Rule) -> Iterator[str]:
    """Every name that a rule's channels, conditions, parameters and message have in them."""
    yield from rule.channels
    conditions = [rule.only, rule.parameters.get("when"), *(when for when, _ in rule.parameters.get("contexts", ()))]
    for sql in conditions:
        yield from columns_of(sql) if sql else ()
    for value in rule.parameters.values():
        yield from value if isinstance(value, tuple) and all(isinstance(one, str) for one in value) else ()
    yield from (name for _, name, _, _ in string.Formatter().parse(rule.message) if name)
