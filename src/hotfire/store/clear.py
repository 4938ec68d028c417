"""Taking old rows out of the operational store, a few at a time. The lake holds them; the ledger counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from hotfire.rows import Cleared
from hotfire.store.dialect import quoted

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.rows import Clearing
    from hotfire.store.connection import Connection


def clear(connection: Connection, contract: Contract, wanted: Clearing) -> Cleared:
    """Delete rows and count them by batch; part of one transaction, behind its fence."""
    gone = connection.query(*_deletion(connection, contract, wanted))
    if gone.is_empty():
        return Cleared()
    by_batch = gone.group_by("batch_seq").agg(pl.len().cast(pl.Int64).alias("gone"))
    counted, parameters = connection.given(by_batch)
    connection.query(
        f"UPDATE hf_ledger SET cleared = hf_ledger.cleared + g.gone FROM {counted} AS g "
        "WHERE stream = ? AND shard = ? AND hf_ledger.batch_seq = g.batch_seq",
        [*parameters, contract.stream, wanted.shard],
    )
    before_ns = min(_number(gone["at"].max()) + 1, 2**63 - 1)
    connection.query(
        "INSERT INTO hf_cleared VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream, shard) DO UPDATE SET "
        "cleared = hf_cleared.cleared + excluded.cleared, "
        f"last_seq = {_greater('last_seq')}, before_ns = {_greater('before_ns')}",
        [contract.stream, wanted.shard, gone.height, _number(gone["batch_seq"].max()), before_ns],
    )
    return Cleared(gone.height, str(gone["asset"].max()) if gone.height >= wanted.most else None)


def _deletion(connection: Connection, contract: Contract, wanted: Clearing) -> tuple[str, list[Any]]:
    """One bounded range of the compound index an asset: rows before the limit, and not near the asset's own clock."""
    dialect = connection.dialect
    asset, time = (quoted(name) for name in contract.identity[:2])
    near = -(2**63) + wanted.window_ns  # what lies before cannot be told in int64 once the window is taken off
    clock = f"(CASE WHEN a.clock_ns < {near} THEN {near} ELSE a.clock_ns END - {wanted.window_ns})"
    least = f"CASE WHEN {clock} < {wanted.before_ns} THEN {clock} ELSE {wanted.before_ns} END"
    on = f"t.{asset} = a.asset AND t.{time} < {least} AND t.shard = ? AND t.batch_seq <= ?"
    join = dialect.probe.format(what=dialect.row, table=quoted(contract.stream), on=on)
    assets = "(SELECT asset, clock_ns FROM hf_asset WHERE stream = ? AND asset >= ? ORDER BY asset) a"
    rows = f"SELECT t.{dialect.row} FROM {assets} {join} LIMIT ?"
    deletion = (
        f"DELETE FROM {quoted(contract.stream)} WHERE {dialect.among.format(rows=rows)} "
        f"RETURNING batch_seq, {asset} AS asset, {time} AS at"
    )
    return deletion, [contract.stream, wanted.after, wanted.shard, wanted.upto, wanted.most]


def _greater(column: str) -> str:
    kept, new = f"hf_cleared.{column}", f"excluded.{column}"
    return f"CASE WHEN {kept} < {new} THEN {new} ELSE {kept} END"


def _number(value: Any) -> int:
    return int(value)
