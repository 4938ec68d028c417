"""What detection remembers of one asset, and its text in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct, field

from hotfire.findings import Condition

if TYPE_CHECKING:
    from hotfire.alarm.conditions import Point
    from hotfire.contract.model import Contract
    from hotfire.detect.model import State

BEGINNING_NS = -(2**63)


class Remembered(Struct):
    """What is remembered of one asset.

    Attributes:
        edition: names the rules that its last row met.
        rules: states of detectors, by the key of their rule.
        conditions: the last of each point.
        waiting: storage columns of rows that came before their turn, in their order, physical values.
        clock_ns: the greatest event time that came; kept only where rows wait for their turn.
    """

    edition: str = ""
    rules: dict[str, State] = field(default_factory=dict)
    conditions: dict[Point, Condition] = field(default_factory=dict)
    waiting: Sequence[Sequence[Any]] = ()
    clock_ns: int = BEGINNING_NS


class _Written(msgspec.Struct, array_like=True):
    edition: str
    rules: dict[str, dict[str, Any]]
    conditions: list[Condition]
    waiting: list[list[Any]]
    clock_ns: int


def written(one: Remembered) -> str:
    """The text."""
    rows = [list(row) for row in one.waiting]
    text = _Written(one.edition, one.rules, list(one.conditions.values()), rows, one.clock_ns)
    return msgspec.json.encode(text).decode()


def read(text: str) -> Remembered:
    """What is remembered, from its text."""
    found = msgspec.json.decode(text, type=_Written)
    conditions = {(one.rule, one.asset, one.channel): one for one in found.conditions}
    return Remembered(found.edition, found.rules, conditions, found.waiting, found.clock_ns)


def waiting(contract: Contract, kept: Sequence[Remembered], schema: pl.Schema) -> pl.DataFrame:
    """The rows that wait, of some assets."""
    names = [column.storage for column in contract.columns]
    rows = [row for one in kept for row in one.waiting]
    physical = pl.DataFrame(schema={name: schema[name] for name in names}).with_columns(pl.all().to_physical()).schema
    return pl.DataFrame(rows, schema=physical, orient="row").cast({name: schema[name] for name in names})


def put_off(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Rows as `Remembered.waiting` has them."""
    return rows.select(pl.all().to_physical()).rows()
