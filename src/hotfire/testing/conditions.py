"""From a rules file and a few rows, both as text, to every change of a condition, as text: what examples show."""

from __future__ import annotations

import io
from typing import Any

import polars as pl

from hotfire.alarm.conditions import Point, after
from hotfire.contract.model import Contract
from hotfire.detect import DETECTORS
from hotfire.detect.model import Readings, State
from hotfire.detect.rules import compiled
from hotfire.findings import Change, Condition

DAY = "2026-03-01"
"""Of times that are written without a date."""

_TYPES: dict[str, Any] = {
    "string": pl.String,
    "timestamp": pl.Int64,
    "date": pl.Date,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
}


def conditions_of(contract: Contract, rules: str, rows: str, size: int) -> list[str]:
    """The changes that a rules file brings about, a line each, in order of time.

    Args:
        rows: CSV with the names of some of the contract's columns; its times are those of one day, in UTC.
        size: how many rows come at once.

    Raises:
        ContractError: the rules file cannot be used.
    """
    frame = _frame(contract, rows)
    lines: list[tuple[int, str]] = []
    for rule in compiled("rules.yaml", rules, contract).rules:
        detector = DETECTORS[rule.detector](rule)
        states: dict[str, State] = {}
        held: dict[Point, Condition] = {}
        for begin in range(0, frame.height, size):
            readings = Readings.of(contract, frame[begin : begin + size])
            known = {asset: states[asset] for asset in readings.assets if asset in states}
            found = detector.step(known, readings)
            states |= known
            lines += [(one.at_ns, _line(one)) for one in after(held, found, rule.about)]
    return [text for _, text in sorted(lines, key=lambda one: one[0])]


def _frame(contract: Contract, rows: str) -> pl.DataFrame:
    came = pl.read_csv(io.StringIO(rows), infer_schema=False)
    day = pl.lit(f"{DAY}T") + pl.col(str(contract.time)) + "Z"
    came = came.with_columns(
        day.str.to_datetime(time_zone="UTC", time_unit="ns").dt.epoch("ns").alias(contract.identity[1])
    )
    return came.select(
        (pl.col(one.storage) if one.storage in came.columns else pl.lit(None)).cast(_TYPES[one.type]).alias(one.storage)
        for one in contract.columns
    )


def _line(change: Change) -> str:
    """When, what, how severe, of whom; and what people are told where it is raised or worse."""
    one = change.condition
    at = pl.select(pl.lit(change.at_ns).cast(pl.Datetime("ns")).dt.strftime("%H:%M:%S%.3f")).item()
    place = f"{one.rule} {one.asset} {one.channel}".rstrip()
    said = one.message if change.what in ("raised", "worse") else ""
    return f"{at} {change.what:8} {one.level or '-':8} {place}  {said}".rstrip()
