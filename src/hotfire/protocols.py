"""The interfaces to the outside world: what the engine may rely on. One suite a Protocol stands in `hotfire.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hotfire.contract.model import Contract, Field
from hotfire.rows import Checkpoint, Cleared, Clearing, Decoded, Outcome, Place, Plan, Position, Span

if TYPE_CHECKING:
    import polars as pl

    from hotfire.alarm.flood import Pending, Sent
    from hotfire.alarm.notices import Notice
    from hotfire.detect.model import Readings, Rule, State
    from hotfire.findings import Finding


class Detector(Protocol):
    """Judges an asset's readings by one rule. Pure: what it knows is in the states, and where batches are cut means nothing.

    Each row is given once, an asset's rows in ascending order of event time; late ones to `bare` alone.
    """

    @property
    def rule(self) -> Rule: ...

    def step(self, states: dict[str, State], readings: Readings) -> list[Finding]:
        """What it finds, each asset's findings in order of time.

        Args:
            states: what it remembers of the assets of these readings, by name, none if missing; brought up to date.
        """
        ...

    def bare(self, readings: Readings) -> list[Finding]:
        """What late rows tell by themselves, without memory: every row that breaks a limit. Often nothing."""
        ...


class Records(Protocol):
    """The raw records of one span, numbered from 0. Cheap to hold, decoded on demand, never changed."""

    def __len__(self) -> int: ...

    def decode(self, fields: Sequence[Field]) -> Decoded:
        """Read every record strictly by its fields. Judges form and type only; never raises for bad data."""
        ...

    def raw(self, row_no: int) -> bytes:
        """The record's bytes as received, without a line end."""
        ...

    def where(self, row_no: int) -> Place:
        """The record's own place: label, offset and line of its first byte."""
        ...


class Read(Protocol):
    """What one poll brought."""

    @property
    def span(self) -> Span: ...
    @property
    def sha256(self) -> str:
        """Of the span's bytes (after decompression), in hexadecimal."""
        ...

    @property
    def records(self) -> Records: ...
    @property
    def received_at_ns(self) -> int | None:
        """When its records reached hotfire, to within a minute; None: just now."""
        ...


class Source(Protocol):
    """Where records come from.

    The engine calls `poll` with ever later positions; `reread` only before the first poll, to finish a plan that
    has no commit; `acknowledge` after the commit of everything before the position.
    """

    def poll(self, after: Position) -> Read | None:
        """The next records at or after the position, in a stable order; None where nothing is there at present.

        May block for as long as one read takes. The same position gives the same records, but may give more.
        """
        ...

    def reread(self, span: Span) -> Read:
        """Exactly the records of a span read before. Raises SourceChanged where that is impossible."""
        ...

    def acknowledge(self, position: Position) -> None:
        """Everything before the position is durable; the source may let go of it."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """The operational store. Every method is one transaction or a read; a failure leaves the store as it was.

    A read sees what is committed at its moment, and holds on to nothing.
    """

    def ensure(self, contract: Contract, texts: Sequence[tuple[str, str]]) -> None:
        """Create or migrate the stream's tables, and keep the contract's texts under its hash."""
        ...

    def major(self, stream: str) -> int | None:
        """The contract's major version that the stream's tables are made for; None where there are none."""
        ...

    def rewrite(
        self, contract: Contract, texts: Sequence[tuple[str, str]], convert: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> None:
        """Convert every stored row to a newer major version, all or nothing; the arrival order stays."""
        ...

    def open(self, stream: str, shard: str) -> Checkpoint:
        """Become the shard's owner: raises its epoch, so that an earlier owner can no longer commit."""
        ...

    def plan(self, plan: Plan, epoch: int) -> None:
        """Write down what the next batch will be, replacing an unfinished plan of the same batch_seq."""
        ...

    def commit(self, outcome: Outcome, contract: Contract, epoch: int) -> None:
        """Rows, quarantine, corrections, assets, places and ledger row, all or nothing: the commit point.

        Raises OwnedElsewhere where `epoch` is no longer the shard's, and RowsRefused, which names them, where rows fail
        as data: without them the same batch can be committed.
        """
        ...

    def clear(self, contract: Contract, wanted: Clearing, owner: str, epoch: int) -> Cleared:
        """Take old rows out of the store that the lake holds, all or nothing; the ledger counts them by batch.

        Raises OwnedElsewhere where `epoch` is no longer that of the shard `owner`.
        """
        ...

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """The rows that the store holds (storage columns) whose identity columns equal a row of `identities`.

        Exact over all history, but for rows that were cleared.
        """
        ...

    def assets(self, contract: Contract) -> pl.DataFrame:
        """Every asset with `asset`, `clock_ns`, `counter`, `gaps`, `shard`."""
        ...

    def recent(self, contract: Contract, window_ns: int) -> pl.DataFrame:
        """The stored rows that are not older than `window_ns` behind their asset's clock."""
        ...

    def act(self, stream: str) -> int:
        """Take what people have asked for of the stream's alarms, and what the wall clock asks; how much there was.

        For the owner of the stream's shard only.
        """
        ...

    def watched(self, stream: str) -> Iterator[tuple[str, str, str]]:
        """What detectors remember: shard, asset and text."""
        ...

    def batches(self, contract: Contract, shard: str, after: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """(batch_seq, stored rows in arrival order) of each committed batch after `after`; bookkeeping included."""
        ...

    def rows(
        self, contract: Contract, shard: str, ledger: pl.DataFrame, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The stored rows of consecutive batches, by their rows of the ledger, in arrival order.

        Args:
            columns: storage or bookkeeping columns to read; all if None.
        """
        ...

    def counts(self, contract: Contract, shard: str) -> pl.DataFrame:
        """The number of stored rows (history rows of entities) by batch, counted: `batch_seq`, `rows`."""
        ...

    def query(self, name: str, **parameters: Any) -> pl.DataFrame:
        """A named read-only query of `store/sql`."""
        ...

    def close(self) -> None: ...


class Lake(Protocol):
    """The columnar history of every stream. Follows the store; never leads it, but for streams kept only here."""

    def marker(self, stream: str, shard: str) -> int:
        """The last batch that the lake holds of this shard; 0 where there is none."""
        ...

    def append(self, contract: Contract, shard: str, upto: int, rows: pl.DataFrame) -> None:
        """Add rows of batches up to `upto` and move the marker there, atomically and durably.

        Where the marker is already at or past `upto`, nothing happens. `rows` may be empty.
        """
        ...

    def retreat(self, stream: str, shard: str, upto: int) -> int:
        """Take the shard's rows of batches after `upto` out and move the marker there, atomically; how many rows."""
        ...

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """As `Store.stored`, over the lake, with `shard` and `batch_seq`."""
        ...

    def major(self, stream: str) -> int | None:
        """The contract's major version that the stream's table is made for; None where there is none."""
        ...

    def rewrite(self, contract: Contract, convert: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Convert every row to a newer major version, all or nothing; the markers stay."""
        ...

    def rows(self, contract: Contract, *, shard: str | None = None, after: int | None = None) -> Iterator[pl.DataFrame]:
        """All rows, or one shard's of batches after `after`, in chunks of bounded size and in no order."""
        ...

    def batches(self, contract: Contract, shard: str, first: int, last: int) -> pl.DataFrame:
        """The rows of a shard's batches from `first` to `last`, in arrival order; as `rows`."""
        ...

    def counts(self, stream: str) -> pl.DataFrame:
        """The number of rows by shard and batch, counted: `shard`, `batch_seq`, `rows`."""
        ...

    def files(self, stream: str) -> Sequence[str]:
        """The data files of the table's current version, as paths or URLs."""
        ...

    def worn(self, stream: str) -> bool:
        """Whether this process has appended so often that `maintain` is due."""
        ...

    def maintain(self, stream: str) -> Mapping[str, int]:
        """Compact small files and drop unused ones; beside appends and readers. Counts what it did.

        A reader that has listed the files has time to read them: they stay for long.
        """
        ...


class Notifier(Protocol):
    """Tells one target. Asked by one thread at a time; blocks for as long as one attempt takes, which is bounded."""

    def send(self, notice: Notice) -> None:
        """Returns when the target has taken the notice.

        The same notice may be sent again, after a crash or an attempt whose answer was lost: its key stays the same.
        Raises Outage where the same again, later, may help, and UserError where it will not until a person has mended
        something.
        """
        ...

    def close(self) -> None: ...


class Outbox(Protocol):
    """The notices that were committed with what they tell of. Asked by one thread at a time; raises as `Store` does.

    A notice leaves `pending` by `done` or `given_up` and in no other way; it never leaves the outbox by them.
    """

    def pending(self, target: str, now_ns: int, limit: int) -> Sequence[Pending]:
        """The oldest notices of the target that are to be sent, and whose next attempt is not after `now_ns`."""
        ...

    def sent(self, target: str, since_ns: int) -> Sequence[Sent]:
        """What the target was sent from that instant on, from whatever process: once for each thing and severity."""
        ...

    def done(self, keys: Sequence[str], sent_as: str, at_ns: int) -> None:
        """The target has taken these notices, as the one of that key: their own, or that of a summary."""
        ...

    def failed(self, keys: Sequence[str], next_ns: int, error: str) -> None:
        """One more attempt at these failed; the next one is not before `next_ns`."""
        ...

    def given_up(self, keys: Sequence[str], at_ns: int, error: str) -> None:
        """The target will never take these."""
        ...
