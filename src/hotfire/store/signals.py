"""What one commit writes of detection: findings, conditions, what detectors remember, and the alarms that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import astuple

from hotfire.rows import BACKFILL
from hotfire.store.alarms import follow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from msgspec import Struct

    from hotfire.alarm.notices import Routing
    from hotfire.findings import Watched
    from hotfire.rows import Outcome
    from hotfire.store.connection import Connection

_TEXT, _NUMBER, _FLOAT = pl.String(), pl.Int64(), pl.Float64()
_POINT = {"rule": _TEXT, "asset": _TEXT, "channel": _TEXT}
_FINDING = {
    **_POINT,
    "at_ns": _NUMBER,
    "severity": _TEXT,
    "value": _FLOAT,
    "limit_value": _FLOAT,
    "kind": _TEXT,
    "message": _TEXT,
}
"""The fields of a `Finding`, in their order."""
_HELD = {
    **_POINT,
    "number": _NUMBER,
    "level": _TEXT,
    "severity": _TEXT,
    "raised_at_ns": _NUMBER,
    "returned_at_ns": _NUMBER,
    "value": _FLOAT,
    "limit_value": _FLOAT,
    "message": _TEXT,
}
"""The fields of a `Condition`, in their order."""
CONDITION = {"stream": _TEXT, "revision": _NUMBER, "shard": _TEXT, **_HELD, "batch_seq": _NUMBER}
_DETECTOR = {"stream": _TEXT, "shard": _TEXT, "asset": _TEXT, "state": _TEXT}
_CHANGING = ("level", "severity", "returned_at_ns", "value", "limit_value", "message")


def write_watched(connection: Connection, outcome: Outcome, routing: Routing, now_ns: int) -> None:
    """Everything that rules made of a batch. What a backfill brings in is history: no alarm comes of it."""
    plan, watched = outcome.plan, outcome.watched
    _write_findings(connection, plan.stream, plan.batch_seq, watched)
    write_conditions(connection, plan.stream, 1, plan.batch_seq, watched)
    _write_states(connection, plan.stream, watched)
    if plan.shard != BACKFILL:
        follow(connection, plan.stream, watched.changes, routing, (plan.received_at_ns, now_ns))


def write_conditions(connection: Connection, stream: str, revision: int, batch_seq: int, watched: Watched) -> None:
    """Conditions as they stand after a batch, in one revision of the ledger of conditions."""
    last = {
        (one.condition.rule, one.condition.asset, one.condition.channel, one.condition.number): one.condition
        for one in watched.changes
    }
    if not last:
        return
    own = {"stream": stream, "revision": revision, "shard": watched.shard, "batch_seq": batch_seq}
    source, parameters = connection.given(_columns(last.values(), _HELD, own).select(*CONDITION))
    changes = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
    connection.query(
        f"INSERT INTO hf_condition ({', '.join(CONDITION)}) SELECT * FROM {source} AS c WHERE TRUE "
        f"ON CONFLICT (stream, revision, shard, rule, asset, channel, number) DO UPDATE SET {changes}",
        parameters,
    )


def _write_findings(connection: Connection, stream: str, batch_seq: int, watched: Watched) -> None:
    if watched.findings:
        own = {"stream": stream, "shard": watched.shard, "batch_seq": batch_seq}
        connection.ingest("hf_finding", _columns(watched.findings, _FINDING, own))


def _write_states(connection: Connection, stream: str, watched: Watched) -> None:
    rows = [(stream, watched.shard, asset, state) for asset, state in watched.states.items()]
    if rows:
        source, parameters = connection.given(pl.DataFrame(rows, schema=_DETECTOR, orient="row"))
        connection.query(
            f"INSERT INTO hf_detector SELECT * FROM {source} AS d WHERE TRUE "
            "ON CONFLICT (stream, shard, asset) DO UPDATE SET state = excluded.state",
            parameters,
        )


def _columns(values: Iterable[Struct], schema: Mapping[str, pl.DataType], own: Mapping[str, object]) -> pl.DataFrame:
    """The fields of values as columns, in their order, beside others that are the same in every row."""
    same = [pl.lit(value, _NUMBER if isinstance(value, int) else _TEXT).alias(name) for name, value in own.items()]
    columns = list(zip(*map(astuple, values), strict=True))
    return pl.DataFrame(columns, schema=schema, orient="col").with_columns(same)
