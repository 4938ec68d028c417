"""The values that flow through hotfire: positions, spans, plans, faults, verdicts, outcomes. All frozen, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import add
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from hotfire.findings import Watched

if TYPE_CHECKING:
    import polars as pl

LIVE = "live"
"""The shard of a stream that has no partitions."""

BACKFILL = "backfill"
"""The shard of rows that are brought in later, apart from live. It moves no clock of an asset that live has seen."""

BOOKKEEPING = ("shard", "batch_seq", "row_no", "late", "corrected", "unknown_fields")
"""Columns that every stream's table has beside the contract's: the arrival order, and the marks of a row."""


class Place(Struct, frozen=True):
    """One readable thing of a source (a file, a partition) and where reading of it goes on.

    Attributes:
        key: its identity, stable over renames and restarts; unique in the source.
        label: what people call it: a path, a topic and partition.
        offset: the *next* thing to read; bytes for text, rows for Parquet.
        line: the number of the next line (the next row, where there are no lines), counted from 1.
        facts: what the source needs to recognise and reopen it. JSON values.
    """

    key: str
    label: str
    offset: int = 0
    line: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)


Position = Mapping[str, Place]
"""Where reading of a source goes on: its places by key. A place that is not in it was never read."""


class Part(Struct, frozen=True):
    """A half-open interval [place.offset, end) of one place, its number of records, and the facts that change with it."""

    place: Place
    end: int
    end_line: int
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def after(self) -> Place:
        """The place, moved past this part."""
        return replace(self.place, offset=self.end, line=self.end_line, facts={**self.place.facts, **self.facts})

    @property
    def read(self) -> int:
        """The number of records between offset and end: more than `rows` where a backfill left some out."""
        return int(self.facts.get("read", self.rows))

    def whole(self) -> Part:
        """The part with every record that was read."""
        return replace(self, rows=self.read)


class Span(Struct, frozen=True):
    """What one batch reads: parts in the order of reading. Records are numbered through, from 0, as `row_no`."""

    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The number of source records."""
        return sum(part.rows for part in self.parts)

    def whole(self) -> Span:
        """The span with the records, too, that a backfill left out: they are numbered with the others."""
        return Span(tuple(part.whole() for part in self.parts))


class Backfill(Struct, frozen=True):
    """What is brought in apart from live.

    Attributes:
        number: which backfill of its stream, from 1.
        intervals: of event time, [since, until) in nanoseconds of UTC, ascending, without overlap: only rows in them.
    """

    number: int
    intervals: tuple[tuple[int, int], ...]


class Plan(Struct, frozen=True):
    """One batch, fixed before any effect: reading it again gives the same rows, judged by the same contract.

    Attributes:
        batch_seq: the shard's batch number, from 1, without gaps.
        sha256: of the span's bytes, in hexadecimal.
        received_at_ns: when the batch reached hotfire; the only instant the engine compares event times with.
        contract: the hash of the contract it is judged by.
        repair: True where the records come out of quarantine: nothing is received, rows move.
        refused: why the store alone refuses rows, by record number; the batch is committed without them.
        rules: the hash of the rules it is watched by; empty: the contract's limits alone.
    """

    stream: str
    shard: str
    batch_seq: int
    span: Span
    sha256: str
    received_at_ns: int
    contract: str
    repair: bool = False
    refused: Mapping[int, str] = field(default_factory=dict)
    rules: str = ""


class Fault(Struct, frozen=True):
    """One check that one record broke.

    Attributes:
        row_no: the record's number in its batch.
        check: the check's name: `temperature.range`, `row.parse`, `flow_needs_burn`.
        value: the offending value as the source wrote it, shortened to 200 characters; None where there is none.
        detail: a few words for people: `no zone`, `above 80 degC`.
    """

    row_no: int
    check: str
    value: str | None = None
    detail: str = ""


class Correction(Struct, frozen=True):
    """A value that was out of range and was nulled, clamped or coerced; the row is stored without it."""

    row_no: int
    column: str
    check: str
    raw: str
    value: str | None


class Decoded(Struct, frozen=True):
    """Records as columns, before any check but those of form and type.

    Attributes:
        frame: one row for each record that could be read: `row_no` (UInt32, ascending), every wire field under its
            path (String, Int64, Float64, Boolean; instants and dates as String, or already typed), and
            `unknown_fields` (String of a JSON object) where the record had any. A value of a wrong type is null
            here and has a fault. Where two fields share a path, the first's column is named `path`, the second's
            `path#2`: each value stands in every one whose form it fits, and has a fault where it fits none.
        faults: form and type: `row.parse`, `row.encoding`, `<column>.type`; by record number, then field.
        coerced: (row_no, column, the value as written) of numbers and booleans that were written as text.
        deleted: `row_no` and key of records that say that an entity is gone, which the frame does not have.
        written: the value under a path of one record as the source wrote it, text without its quotes; None where
            the record has none. Asked for faulty records only: it reads the record anew.
    """

    frame: pl.DataFrame
    faults: list[Fault]
    coerced: list[tuple[int, str, str]] = field(default_factory=list)
    written: Callable[[int, str], str | None] | None = None
    deleted: pl.DataFrame | None = None


class Verdict(Struct, frozen=True):
    """What a contract says of a batch. Every record is in exactly one of `rows` and `rejected`.

    Attributes:
        rows: accepted, canonical: `row_no`, the contract's storage columns (instants as int64 `<name>_ns`),
            `corrected` (Boolean), `unknown_fields` (String, null where there were none); `deleted` (Boolean) where some
            are deletions, of which only the key is known.
        rejected: every fault of every rejected record, by record number.
        corrections: values that were nulled, clamped or coerced.
    """

    rows: pl.DataFrame
    rejected: Mapping[int, tuple[Fault, ...]]
    corrections: list[Correction]


class Rejected(Struct, frozen=True):
    """A record on its way into quarantine, whole.

    Attributes:
        raw: its bytes, as received.
        place: the label of its place; `offset` and `line` say where in it.
        facts: what is needed to read the raw bytes again without the place (format, header, derived fields).
    """

    row_no: int
    raw: bytes
    faults: tuple[Fault, ...]
    place: str
    offset: int
    line: int
    facts: Mapping[str, Any]


class Counts(Struct, frozen=True):
    """The conservation equation of one batch, and its marks. In a repair, `moved` stands in for `received`."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    superseded: int = 0
    quarantined: int = 0
    moved: int = 0
    corrected: int = 0
    late: int = 0

    def balanced(self) -> bool:
        """Whether every record has exactly one fate."""
        return self.received + self.moved == self.stored + self.duplicate + self.superseded + self.quarantined

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))


class Outcome(Struct, frozen=True):
    """Everything one batch changes, written in one transaction. The one argument of `Store.commit`.

    Attributes:
        rows: to store: the contract's storage columns and the bookkeeping columns, sorted by asset and time.
        assets: telemetry: one row an asset of the batch: `asset`, `clock_ns` (its own clock after the batch),
            `counter`, `gaps` (both null without a counter), `stored`.
        repaired: quarantine ids that this repair moved, with their new fate.
        retried: quarantine ids that this repair tried in vain, with the faults they show now.
        watched: what the rules make of the rows.
        inserted: so many rows are the first version of an entity, or the first after its deletion.
    """

    plan: Plan
    job_id: str
    counts: Counts
    rows: pl.DataFrame
    rejected: list[Rejected]
    corrections: list[Correction]
    assets: pl.DataFrame | None
    repaired: Mapping[int, str] = field(default_factory=dict)
    retried: Mapping[int, tuple[Fault, ...]] = field(default_factory=dict)
    watched: Watched = field(default_factory=Watched)
    inserted: int = 0


class Clearing(Struct, frozen=True):
    """Which rows may leave the operational store: those that are old, and that the lake holds.

    Attributes:
        shard: whose rows.
        upto: only rows of batches up to this one: the lake's marker.
        before_ns: only rows with an earlier event time.
        window_ns: never rows that are less far behind their asset's own clock.
        most: at most so many rows at once.
        after: assets from this name on.
    """

    shard: str
    upto: int
    before_ns: int
    window_ns: int
    most: int
    after: str = ""


class Cleared(Struct, frozen=True):
    """How many rows have left the store, and from which asset on there may be more; None: there are none."""

    rows: int = 0
    asset: str | None = None


class Checkpoint(Struct, frozen=True):
    """Where a shard stands: its last committed batch, where its source goes on, and a plan without a commit."""

    stream: str
    shard: str
    epoch: int
    committed_seq: int
    position: Position
    unfinished: Plan | None
