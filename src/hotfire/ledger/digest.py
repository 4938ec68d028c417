"""One SHA-256 for everything a stream holds, whatever the batches, the order or the day it was read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from hotfire.ledger.arrival import committed

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.protocols import Lake, Store

_PAGE = 20_000
_POINT = {"rule": pl.String, "asset": pl.String, "channel": pl.String}
_FOUND = {"severity": pl.String, "value": pl.Float64, "limit_value": pl.Float64}
_FINDING = pl.Schema({**_POINT, "at_ns": pl.Int64, **_FOUND, "kind": pl.String})
_CONDITION = pl.Schema({**_POINT, "level": pl.String, "raised_at_ns": pl.Int64, "returned_at_ns": pl.Int64, **_FOUND})


def digest(contract: Contract, store: Store, lake: Lake | None, *, lake_only: bool = False) -> str:
    """The digest of one stream: its stored rows, and its quarantine as far as it was not repaired.

    Stored rows count by their contract columns (float64 by their bits, instants by their int64 nanoseconds), those of
    entities also by whether they are deletions;
    quarantined rows by their raw bytes and the names of the checks they broke; findings and conditions (of the first
    revision) by all that was found, but not by the words for it. Batch numbers, record numbers,
    positions, receipt times and people's actions do not count.
    """
    frames = _in_lake(contract, store, lake) if lake_only and lake else _stored(contract, store, lake)
    whole = hashlib.sha256(b"hotfire digest 2\0" + contract.stream.encode() + b"\0")
    whole.update(_sorted(_encoded(contract, frame) for frame in frames))
    whole.update(_sorted(_rejected(contract.stream, store)))
    whole.update(_sorted(_told(store, "findings", _FINDING, stream=contract.stream)))
    whole.update(_sorted(_told(store, "conditions", _CONDITION, stream=contract.stream, revision=1)))
    return whole.hexdigest()


def total(digests: Iterable[tuple[str, str]]) -> str:
    """One digest of several streams' digests, by name."""
    return hashlib.sha256("".join(f"{stream} {one}\n" for stream, one in sorted(digests)).encode()).hexdigest()


def _stored(contract: Contract, store: Store, lake: Lake | None) -> Iterator[pl.DataFrame]:
    """Every stored row: a batch of which retention has left rows only to the lake is taken from there, whole."""
    for shard in store.query("shards", stream=contract.stream)["shard"]:
        cleared = store.query("cleared_batches", stream=contract.stream, shard=shard)["batch_seq"].cast(pl.Int64)
        numbers = set(cleared)
        if lake is not None and numbers:
            for rows in lake.rows(contract, shard=shard, after=min(numbers) - 1):
                yield rows.join(cleared.to_frame(), on="batch_seq", how="semi")
        for batch_seq, rows in store.batches(contract, shard, 0):
            if batch_seq not in numbers:
                yield rows


def _in_lake(contract: Contract, store: Store, lake: Lake) -> Iterator[pl.DataFrame]:
    for rows in lake.rows(contract):
        yield committed(rows, store, contract.stream)


def _encoded(contract: Contract, rows: pl.DataFrame) -> Iterable[bytes]:
    """Each row as bytes that differ wherever the rows do."""
    marks = ["deleted"] if contract.kind == "entity" else []
    return _joined(rows.select([*(column.storage for column in contract.columns), *marks]))


def _joined(rows: pl.DataFrame) -> Iterable[bytes]:
    fields = [_field(column) for column in rows.get_columns()]
    joined: pl.Series = pl.DataFrame(fields).select(pl.concat_str(pl.all(), separator="|").cast(pl.Binary)).to_series()
    return joined


def _field(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Float64:
        bits = pl.Series(values.name, values.fill_null(0.0).to_numpy().view(np.int64))
        text = bits.cast(pl.String).zip_with(
            values.is_not_null(), pl.repeat(None, len(values), dtype=pl.String, eager=True)
        )
    elif values.dtype == pl.String:
        text = values.str.len_bytes().cast(pl.String) + ":" + values
    else:
        text = values.cast(pl.Int8 if values.dtype == pl.Boolean else values.dtype).cast(pl.String)
    return text.fill_null("~").alias(values.name)


def _rejected(stream: str, store: Store) -> Iterator[Iterable[bytes]]:
    after = 0
    while True:
        page = store.query("quarantine_faults", stream=stream, after=after, page=_PAGE)
        yield [_fault_names(faults) + b"|" + raw for faults, raw in page.select("faults", "raw").rows()]
        if page.height < _PAGE:
            return
        after = page["id"][-1]


def _told(store: Store, query: str, schema: pl.Schema, **of: object) -> Iterator[Iterable[bytes]]:
    after = 0
    while True:
        page = store.query(query, after=after, page=_PAGE, **of)
        yield _joined(page.select(schema.names()).cast(schema))
        if page.height < _PAGE:
            return
        after = page["id"][-1]


def _fault_names(faults: str) -> bytes:
    return ",".join(sorted(fault["check"] for fault in msgspec.json.decode(faults))).encode()


def _sorted(batches: Iterable[Iterable[bytes]]) -> bytes:
    """The SHA-256 of each item, sorted by bytes, joined behind their number."""
    sha = hashlib.sha256
    hashed = [b"".join([sha(item).digest() for item in batch]) for batch in batches]
    words = np.frombuffer(b"".join(hashed), dtype=">u8").reshape(-1, 4).astype(np.uint64)
    ordered = pl.DataFrame(words, schema=["a", "b", "c", "d"]).sort("a", "b", "c", "d").to_numpy()
    return len(words).to_bytes(8, "big") + ordered.astype(">u8").tobytes()
