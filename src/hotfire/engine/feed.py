"""Accepted rows as detectors would get them, of files or of a stream's past, without anything being stored.

Nothing here judges: records are checked by `contract.check`, told apart by `dedupe`, as they are live. What was stored is
not checked again. Only the columns that rules read are taken, and those that tell rows apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.lens import FRAME_TYPES
from hotfire.engine.dedupe import Stored, sort_out
from hotfire.engine.flow import judged
from hotfire.engine.memory import WINDOW_NS, Memory, empty_assets
from hotfire.ledger.arrival import Wanted, arrived
from hotfire.rows import LIVE, Position

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.engine.watch import Ruleset
    from hotfire.protocols import Lake, Source, Store

T = TypeVar("T")
_WORD = re.compile(r"[a-z0-9_]+")
_ENDLESS = 2**62
_MANY = 500_000
"""So many rows may be held beyond those that must be, before they are gone through."""


class Fed(Struct, frozen=True):
    """Accepted rows on their way to detectors.

    Attributes:
        rows: `row_no`, `late`, storage columns, of a stream's past `batch_seq`; sorted by asset and event time, and equal
            ones in the order of their arrival.
        shard: under which name detectors remember their assets.
        repair: they came out of quarantine.
        left_out: how many records that came with them the contract rejects, or takes for a row that is there already.
    """

    rows: pl.DataFrame
    shard: str = LIVE
    repair: bool = False
    left_out: int = 0


def narrowed(contract: Contract, rulesets: Iterable[Ruleset]) -> Contract:
    """The contract with those columns alone that rules may read, and those that tell rows apart."""
    rules = (detector.rule for one in rulesets for edition in one.editions for detector in edition.detectors)
    texts = [text for one in rules for text in _texts((one.channels, one.parameters, one.only, one.message))]
    words = {word for text in texts for word in _WORD.findall(text.lower())}
    words |= {name for name in (contract.asset, contract.time, *contract.key) if name}
    columns = tuple(one for one in contract.columns if words & {one.name, one.storage})
    return replace(contract, columns=columns, counter=None, checks=(), lens=None, older=())


def of_source(contract: Contract, narrow: Contract, source: Source, clock: Clock) -> Iterator[Fed]:
    """All that a source has, judged as if it were all that its stream ever got."""
    return of_accepted(narrow, _accepted(contract, narrow, source, clock))


def of_accepted(narrow: Contract, accepted: Iterator[tuple[pl.DataFrame, int]]) -> Iterator[Fed]:
    """Rows that a contract has accepted, in order of arrival, told apart and marked.

    They are remembered for as long as a copy could still reach a detector; one that comes later is taken for another late
    row.

    Args:
        accepted: `row_no` and the storage columns; and how many records they came from.
    """
    memory = Memory(empty_assets(), window_ns=max(WINDOW_NS, narrow.reorder_ns), capacity=_ENDLESS)
    recent = Recent(narrow, memory.window_ns)
    for rows, records in _ahead(accepted):
        fates = sort_out(narrow, rows, memory, Stored(recent.find, recent.carried))
        memory = fates.memory
        recent.keep(fates.stored, memory.assets)
        yield Fed(_sorted(narrow, fates.stored), left_out=records - fates.stored.height)


def of_past(narrow: Contract, store: Store, lake: Lake, *, lake_only: bool, present: Sequence[str]) -> Iterator[Fed]:
    """All that a stream holds, as it arrived. The lake is read as far as it has come: columns cost less there.

    Args:
        store: read in one `steady` moment.
        present: the storage columns that the stream's table has; others are empty.
    """
    columns = [one.storage for one in narrow.columns if one.storage in present]
    wanted = Wanted(["batch_seq", "row_no", "late", *columns], _markers(narrow, store, lake))
    empty = pl.DataFrame(schema=_schema(narrow))
    for some in _ahead(arrived(narrow, store, lake, lake_only=lake_only, wanted=wanted)):
        rows = some.rows.drop("row_no").with_row_index("row_no")
        rows = pl.concat([empty, rows], how="diagonal")
        yield Fed(_sorted(narrow, rows), some.remembered_as, some.repair)


def stored_rows(narrow: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that were stored once, as accepted ones, in their order; columns that they have not are empty."""
    known = [one.storage for one in narrow.columns if one.storage in rows.columns]
    numbered = rows.select(known).with_row_index("row_no")
    schema = {name: dtype for name, dtype in _schema(narrow).items() if name != "late"}
    return pl.concat(
        [pl.DataFrame(schema=schema), numbered.cast({name: schema[name] for name in known})], how="diagonal"
    )


def within(fed: Iterable[Fed], contract: Contract, since_ns: int | None, until_ns: int | None) -> Iterator[Fed]:
    """The rows with event times in [since, until); None is open. What is late is so by all rows."""
    time = pl.col(contract.identity[1])
    least, most = (-(2**63) if since_ns is None else since_ns), (2**63 - 1 if until_ns is None else until_ns - 1)
    inside = time.is_between(least, most)
    for one in fed:
        yield replace(one, rows=one.rows.filter(inside))


class Recent:
    """Accepted rows, for as long as the engine may ask for them: `rows` many at present.

    Args:
        window_ns: as far back behind their asset's clock.
    """

    def __init__(self, contract: Contract, window_ns: int) -> None:
        self._contract, self._window_ns = contract, window_ns
        self._frames = [pl.DataFrame(schema=_schema(contract)).drop("row_no", "late")]
        self.rows, self._most = 0, _MANY

    def find(self, identities: pl.DataFrame) -> pl.DataFrame:
        """As `Stored.find`."""
        names = list(self._contract.identity)
        found = pl.concat(one.join(identities, on=names, how="semi", nulls_equal=True) for one in self._frames)
        return found.with_columns(shard=pl.lit(LIVE), batch_seq=pl.lit(0, dtype=pl.Int64))

    def carried(self, shard: str, batch_seq: int) -> Sequence[str]:  # noqa: ARG002 - a `Stored.carried`
        """Every column: whether a row is a copy or another version of what is there, it is not accepted."""
        return [one.storage for one in self._contract.columns]

    def keep(self, rows: pl.DataFrame, assets: pl.DataFrame) -> None:
        """Hold rows, and let go of those that are too old, now and then."""
        self._frames.append(rows.select(one.storage for one in self._contract.columns))
        self.rows += rows.height
        if self.rows > self._most:
            asset, time = self._contract.identity[:2]
            clocks = assets.select(pl.col("asset").alias(asset), least=pl.col("clock_ns") - self._window_ns)
            held = pl.concat(self._frames).join(clocks, on=asset, how="left")
            self._frames = [held.filter(pl.col(time) >= pl.col("least")).drop("least")]
            self.rows = self._frames[0].height
            self._most = 2 * self.rows + _MANY


def _accepted(contract: Contract, narrow: Contract, source: Source, clock: Clock) -> Iterator[tuple[pl.DataFrame, int]]:
    position: Position = {}
    names = ["row_no", *(one.storage for one in narrow.columns)]
    while (read := source.poll(position)) is not None:
        position = {**position, **{part.place.key: part.after() for part in read.span.parts}}
        verdict = judged(contract, read, read.received_at_ns or clock.now_ns()).verdict
        yield verdict.rows.select(names), read.span.rows


def _markers(contract: Contract, store: Store, lake: Lake) -> Mapping[str, int]:
    """By shard, the last batch that the lake holds; nothing where its rows are of another version's columns."""
    if lake.major(contract.stream) != contract.major:
        return {}
    shards = store.query("shards", stream=contract.stream)["shard"]
    return {shard: lake.marker(contract.stream, shard) for shard in shards}


def _schema(contract: Contract) -> Mapping[str, pl.DataType]:
    own = {one.storage: pl.Int64() if one.type == "timestamp" else FRAME_TYPES[one.type] for one in contract.columns}
    return {"row_no": pl.UInt32(), "late": pl.Boolean(), **own}


def _sorted(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(contract.identity[:2], maintain_order=True)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, the next of which is made while one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as thread:
        upcoming = thread.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = thread.submit(next, items, None)
            yield item


def _texts(value: Any) -> Iterator[str]:
    """Every text in what a rule says: names of columns, conditions, and other words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
