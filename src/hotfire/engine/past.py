"""A stream's own past as a source: what is stored and quarantined, as it arrived, with its verdict ready made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct

from hotfire.engine.flow import Judged
from hotfire.findings import Change, Condition, Finding, Watched
from hotfire.ledger.arrival import ROWS, Arrived, arrived
from hotfire.protocols import Records
from hotfire.rows import Correction, Decoded, Fault, Outcome, Part, Place, Position, Span, Verdict

if TYPE_CHECKING:
    from hotfire.contract.model import Contract, Field
    from hotfire.engine.watch import Ruleset
    from hotfire.protocols import Lake, Read, Store

ARRIVAL = ("batch_seq", "row_no")
"""What a row arrived as, in its shard."""
_REPLAY = "replay"


class Recorded(Struct, frozen=True):
    """A stream as it stands: what is replayed.

    Attributes:
        store: read in one `steady` moment.
        ruleset_of: the rules of a batch, by the hashes of its contract and of its rules; None: they are about another
            major version's columns.
        lake_only: the stream's rows are kept in the lake and not in the store.
        since_ns, until_ns: only rows with an event time in [since, until), and no quarantine; None is open.
    """

    contract: Contract
    store: Store
    lake: Lake | None
    ruleset_of: Callable[[str, str], Ruleset | None]
    lake_only: bool = False
    since_ns: int | None = None
    until_ns: int | None = None

    @property
    def whole(self) -> bool:
        """Whether all of it is replayed."""
        return self.since_ns is None and self.until_ns is None


class Page(Struct, frozen=True):
    """Batches that go together, and the batch that becomes of them.

    Attributes:
        rows: as they are stored, with `at`: the record number in the shadow.
    """

    shard: str
    rows: pl.DataFrame
    judged: Judged


class _Read(Struct, frozen=True):
    """What a poll brings: rows that were judged before."""

    span: Span
    sha256: str
    records: Records
    received_at_ns: int


class Past:
    """Implements `protocols.Source` on a stream's own past."""

    def __init__(self, recorded: Recorded) -> None:
        self._pages = _pages(recorded)
        self._under_way: dict[int, Page] = {}
        self._number = 0

    def poll(self, after: Position) -> Read | None:  # noqa: ARG002 - a replay goes through once
        """The next batches; None at the end."""
        page = next(self._pages, None)
        if page is None:
            return None
        self._number += 1
        self._under_way[self._number] = page
        return page.judged.read

    def judge(self, contract: Contract, read: Read, received_at_ns: int) -> Judged:  # noqa: ARG002 - a `Flow.judge`
        """What the store says of the batch just polled."""
        return self._under_way[self._number].judged

    def committed(self, outcome: Outcome) -> Page:
        """The page that became the batch, which is let go of."""
        return self._under_way.pop(outcome.plan.batch_seq)

    def reread(self, _: object) -> Read:
        """Never asked for: a replay that was killed is begun anew."""
        raise LookupError

    def acknowledge(self, position: Position) -> None:
        """Nothing to let go of."""

    def close(self) -> None:
        """Nothing is held."""


class _Quarantined(Struct, frozen=True):
    """Implements `protocols.Records` on what is still in quarantine of a page, by record number.

    A stored row that the replay rejects has no bytes any more.
    """

    rows: Mapping[int, Mapping[str, Any]]
    number: int

    def __len__(self) -> int:
        return self.number

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Never asked for: the verdict is ready made."""
        raise LookupError(fields)

    def raw(self, row_no: int) -> bytes:
        """The record's bytes."""
        return bytes(self.rows[row_no]["raw"]) if row_no in self.rows else b""

    def where(self, row_no: int) -> Place:
        """Where it came from."""
        row = self.rows.get(row_no)
        if row is None:
            return Place(_REPLAY, _REPLAY)
        return Place(_REPLAY, row["place"], row["at_offset"], row["line"], msgspec.json.decode(row["facts"]))


def _pages(recorded: Recorded) -> Iterator[Page]:
    contract = recorded.contract
    entity = contract.kind == "entity"

    @cache
    def major(version: str) -> int:
        return int(recorded.store.query("version", hash=version)["version"].item().split(".")[0])

    parts = arrived(
        contract, recorded.store, recorded.lake, lake_only=recorded.lake_only, together=0 if entity else ROWS
    )
    for some in parts:
        page = _page(recorded, some, converted=entity and major(some.ledger[0]["contract"]) < contract.major)
        if entity or len(page.judged.read.records):
            yield page


def _page(recorded: Recorded, some: Arrived, *, converted: bool) -> Page:
    """Batches as one, with their verdict.

    Args:
        converted: versions of an entity that went through a lens: their order was decided by values that are gone.
    """
    contract = recorded.contract
    batches = {"stream": contract.stream, "shard": some.shard, "first": some.first, "last": some.last}
    kept, rows = recorded.store.query("quarantine_arrived", **batches), some.rows
    if not recorded.whole:
        time = pl.col(contract.identity[1])
        kept = kept.clear()
        rows = rows.filter(time >= _or(recorded.since_ns, -(2**63)), time <= _or(recorded.until_ns, 2**63) - 1)
    numbers = _numbers(contract, rows, kept)
    rows = rows.join(numbers, on=ARRIVAL, how="left", maintain_order="left")
    rejected = dict(_found(numbers, kept))
    accepted = rows.select(
        pl.col("at").cast(pl.UInt32).alias("row_no"),
        *(column.storage for column in contract.columns),
        "corrected",
        "unknown_fields",
        *(["deleted"] if contract.kind == "entity" else []),
        *(["superseded"] if converted else []),
    )
    verdict = Verdict(
        accepted,
        {at: tuple(msgspec.json.decode(row["faults"], type=list[Fault])) for at, row in rejected.items()},
        [
            Correction(at, row["column_name"], row["check_name"], row["raw"], row["value"])
            for at, row in _found(numbers, recorded.store.query("corrections_arrived", **batches))
        ],
    )
    number = rows.height + len(rejected)
    span = Span((Part(_place(some), some.last, 1, number),))
    first = some.ledger[0]
    read = _Read(span, "", _Quarantined(rejected, number), first["received_at_ns"])
    ruleset = recorded.ruleset_of(first["contract"], first["rules"])
    watched = _watched(recorded, some) if ruleset is None else None
    by = (some.repair, some.shard, ruleset, some.remembered_as, watched)
    return Page(some.shard, rows, Judged(read, first["received_at_ns"], verdict, *by))


def _watched(recorded: Recorded, some: Arrived) -> Watched:
    """What came of batches whose rules cannot be told again: conditions as they stand now."""
    of = {"stream": recorded.contract.stream, "shard": some.remembered_as, "first": some.first, "last": some.last}
    findings = recorded.store.query("findings_of_batches", **of).rename({"limit_value": "limit"})
    conditions = recorded.store.query("conditions_of_batches", **of).rename({"limit_value": "limit"})
    found = tuple(Finding(**row) for row in findings.iter_rows(named=True))
    held = (Condition(**row) for row in conditions.iter_rows(named=True))
    return Watched(found, tuple(Change("raised", one.raised_at_ns, one) for one in held), {}, some.remembered_as)


def _numbers(contract: Contract, rows: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """The record number of each row in the shadow, `at`, by the batch and number it came with. Entities keep theirs.

    What brings an entity's row back from quarantine tells when it first came, by batch and record number.
    """
    came = [frame.select(pl.col(*ARRIVAL).cast(pl.Int64)) for frame in (rows, kept)]
    in_order = pl.concat(came).sort(*ARRIVAL)
    if contract.kind == "entity":
        return in_order.with_columns(at="row_no")
    return in_order.with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))


def _found(numbers: pl.DataFrame, of: pl.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a query that belong to the page, each with its record number."""
    if of.height:
        for row in of.join(numbers, on=ARRIVAL, how="inner", maintain_order="left").iter_rows(named=True):
            yield row["at"], row


def _place(some: Arrived) -> Place:
    if not some.repair:
        return Place(_REPLAY, _REPLAY)
    span = msgspec.json.decode(some.ledger[0]["span"], type=Span)
    return Place(_REPLAY, _REPLAY, facts={"ids": [], "arrived": span.parts[0].place.facts["arrived"]})


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
