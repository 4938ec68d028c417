"""The operational store over a connection: one transaction a batch. What kinds of database share; see `sqlite.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from hotfire.errors import OwnedElsewhere
from hotfire.rows import Checkpoint, Cleared, Clearing, Outcome, Place, Plan
from hotfire.store import ddl
from hotfire.store.alarm_book import AlarmBook
from hotfire.store.clear import clear
from hotfire.store.commit import text, write
from hotfire.store.convert import convert_tables
from hotfire.store.dialect import Dialect, quoted
from hotfire.store.jobs import Jobs
from hotfire.store.outbox import StoreOutbox
from hotfire.store.revisions import Revisions
from hotfire.store.snapshots import Snapshots
from hotfire.store.sources import Sources
from hotfire.store.sql import positional
from hotfire.store.transactions import Transactions

if TYPE_CHECKING:
    from pathlib import Path

    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.store.connection import Connection

_READ_ROWS = 100_000
"""So many rows of small batches are read at once."""


class OperationalStore(Transactions):
    """Implements `protocols.Store`, but for who owns the store and where the rows of a batch are.

    Args:
        connection: of its own; closed with the store.
        clock: for `committed_at` only.
        dry_run: nothing is ever committed; closing gives everything up.
    """

    def __init__(self, connection: Connection, clock: Clock, *, dry_run: bool = False) -> None:
        super().__init__(connection, dry_run=dry_run)
        self._clock = clock
        self._lent = False
        self.alarms = AlarmBook(connection, self, clock)
        self.outbox = StoreOutbox(connection, self)
        self.revisions = Revisions(connection, self)
        self.snapshots = Snapshots(connection, self)
        self.sources = Sources(connection, self)
        self.jobs = Jobs(connection, self, clock)

    def borrow(self) -> None:
        """This process owns the store already, by another connection: opening a shard need not take it."""
        self._lent = True

    def _look_after_lease(self) -> None:
        """Whether this process still owns the store. Raises OwnedElsewhere. A file's lock is lost with the process only."""

    @property
    def name(self) -> str:
        """What people call the database; without passwords."""
        return self._connection.name

    @property
    def incarnation(self) -> str:
        """The name this store was born with."""
        return str(self.query("incarnation").item())

    @property
    def schema(self) -> int:
        """The number of its schema: the last migration that was applied."""
        return self.reading(self._connection.schema_number)

    def own(self) -> None:
        """Become the only process that writes, until this one closes. Raises OwnedElsewhere."""
        raise AssertionError(f"{type(self).__name__} has to say who owns it")

    def ensure(self, contract: Contract, texts: Sequence[tuple[str, str]]) -> None:
        """Create or migrate the stream's tables, and keep the contract's texts under its hash."""

        def ensured() -> None:
            if not self._dry_run:
                self._connection.alone()
            dialect = self._connection.dialect
            present = self._connection.columns(contract.stream)
            made = ddl.alter_marks(contract, dialect, present) if present else ddl.create(contract, dialect)
            statements = list(made)
            if present and self.query("version", hash=contract.hash).is_empty():
                for table in ddl.tables(contract):
                    statements.extend(ddl.alter(contract, dialect, self._connection.columns(table), table))
                statements.extend(ddl.view(contract, dialect))
            for statement in statements:
                self._connection.query(statement)
            self._keep_texts(contract, texts)
            self.snapshots.ensure(contract.stream)

        self.writing(ensured)

    def major(self, stream: str) -> int | None:
        """The major version that the stream's tables are made for; None where there are none."""
        versions = self.query("versions", stream=stream)["version"]
        return max((int(version.split(".")[0]) for version in versions), default=None)

    def rewrite(
        self, contract: Contract, texts: Sequence[tuple[str, str]], convert: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> None:
        """Take a new major version into use: convert every stored row, in one transaction.

        Args:
            convert: from the older version's storage columns to this one's, row by row.
        """
        older = next(one for one in contract.older if one.major == self.major(contract.stream))

        def rewritten() -> None:
            convert_tables(self._connection, older, contract, convert)
            self._keep_texts(contract, texts)

        self.writing(rewritten, lambda: self.major(contract.stream) == contract.major)

    def open(self, stream: str, shard: str) -> Checkpoint:
        """Become the shard's owner: takes the store and raises the shard's epoch."""
        if self._lent:
            self._look_after_lease()
        else:
            self.own()
        opened = self.writing(
            lambda: self._connection.query(
                "INSERT INTO hf_checkpoint VALUES (?, ?, 1, 0) "
                "ON CONFLICT (stream, shard) DO UPDATE SET epoch = hf_checkpoint.epoch + 1 "
                "RETURNING epoch, committed_seq",
                [stream, shard],
            )
        )
        epoch, committed_seq = opened.row(0)
        plans = self.query("unfinished_plans", stream=stream).rows(named=True)
        unfinished = next((row["plan"] for row in plans if row["shard"] == shard), None)
        return Checkpoint(
            stream,
            shard,
            epoch,
            committed_seq,
            {place.key: place for place in self.places(stream, shard)},
            msgspec.json.decode(unfinished, type=Plan) if unfinished else None,
        )

    def plan(self, plan: Plan, epoch: int) -> None:
        """Write down what the next batch will be, before any effect."""

        def planned() -> None:
            self._fence(
                "UPDATE hf_checkpoint SET epoch = epoch "
                "WHERE stream = ? AND shard = ? AND epoch = ? AND committed_seq = ?",
                [plan.stream, plan.shard, epoch, plan.batch_seq - 1],
            )
            self._connection.query(
                "INSERT INTO hf_plan VALUES (?, ?, ?, ?) ON CONFLICT (stream, shard) "
                "DO UPDATE SET batch_seq = excluded.batch_seq, plan = excluded.plan",
                [plan.stream, plan.shard, plan.batch_seq, text(plan)],
            )

        self.writing(planned)

    def drop_plan(self, stream: str, shard: str) -> None:
        """Forget a plan that had no effects, where its source can no longer be read."""
        self._write("DELETE FROM hf_plan WHERE stream = ? AND shard = ?", [stream, shard])

    def commit(self, outcome: Outcome, contract: Contract, epoch: int) -> None:
        """Write everything one batch changes: the commit point. The fence is the first statement.

        Raises:
            OwnedElsewhere: `epoch` is no longer the shard's.
            RowsRefused: the database refuses rows as data: those are named, and nothing was committed.
        """
        plan = outcome.plan

        def committed() -> None:
            self._fence(
                "UPDATE hf_checkpoint SET committed_seq = ? "
                "WHERE stream = ? AND shard = ? AND epoch = ? AND committed_seq = ?",
                [plan.batch_seq, plan.stream, plan.shard, epoch, plan.batch_seq - 1],
            )
            write(self._connection, outcome, contract, self.alarms.routing, self._clock.now_ns())
            self.snapshots.write(outcome)
            self._connection.query("DELETE FROM hf_plan WHERE stream = ? AND shard = ?", [plan.stream, plan.shard])

        def stands() -> bool:
            now = self._standing(plan.stream, plan.shard)
            return (now["epoch"], now["committed_seq"]) == (epoch, plan.batch_seq)

        self.writing(committed, stands)

    def clear(self, contract: Contract, wanted: Clearing, owner: str, epoch: int) -> Cleared:
        """Take old rows that the lake holds out of the store, in one transaction; the ledger counts them by batch.

        Raises:
            OwnedElsewhere: `epoch` is no longer that of the shard `owner`.
        """

        def cleared() -> Cleared:
            self._fence(
                "UPDATE hf_checkpoint SET epoch = epoch WHERE stream = ? AND shard = ? AND epoch = ? "
                "AND committed_seq >= ?",
                [contract.stream, owner, epoch, 0],
            )
            return clear(self._connection, contract, wanted)

        return self.writing(cleared)

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """Stored rows whose identity equals a row of `identities`, by the compound index."""
        names = contract.identity
        probe = [f"t.{quoted(name)} = w.{quoted(name)}" for name in names[:2]]
        same = [f"t.{quoted(name)} IS NOT DISTINCT FROM w.{quoted(name)}" for name in names[2:]]

        def found() -> pl.DataFrame:
            wanted, parameters = self._connection.given(identities.select(names))
            join = self._probe(ddl.history(contract), " AND ".join([*probe, *same]))
            return self._connection.query(f"SELECT t.* FROM {wanted} AS w {join}", parameters)

        return ddl.typed(self.reading(found), contract)

    def assets(self, contract: Contract) -> pl.DataFrame:
        """Every asset with its own clock, counter and shard."""
        rows = self._read(
            "SELECT asset, clock_ns, counter, gaps, shard, stored FROM hf_asset WHERE stream = ?", [contract.stream]
        )
        texts = pl.col("asset", "shard").cast(pl.String)
        return rows.select(texts, pl.col("clock_ns", "counter", "gaps", "stored").cast(pl.Int64))

    def watched(self, stream: str) -> Iterator[tuple[str, str, str]]:
        """What detectors remember of assets: shard, asset and text."""
        rows = self._read("SELECT shard, asset, state FROM hf_detector WHERE stream = ?", [stream])
        yield from rows.iter_rows()

    def act(self, stream: str) -> int:
        """Take what people have asked for of the stream's alarms; how much there was."""
        return self.alarms.act(stream)

    def recent(self, contract: Contract, window_ns: int) -> pl.DataFrame:
        """The stored rows that are not older than `window_ns` behind their asset's clock."""
        asset, time = (quoted(name) for name in contract.identity[:2])
        least = -(2**63) + window_ns  # what lies before cannot be told in int64 once the window is taken off
        since = f"CASE WHEN a.clock_ns < {least} THEN {least} ELSE a.clock_ns END - {int(window_ns)}"
        join = self._probe(contract.stream, f"t.{asset} = a.asset AND t.{time} >= {since}")
        found = self._read(f"SELECT t.* FROM hf_asset a {join} WHERE a.stream = ?", [contract.stream])
        return ddl.typed(found, contract)

    def latest(self, contract: Contract) -> pl.DataFrame:
        """The stored row with the greatest event time of every asset, by the compound index."""
        return ddl.typed(self._read(latest(contract, self._connection.dialect), [contract.stream]), contract)

    def window(self, contract: Contract, asset: str, since_ns: int, until_ns: int) -> pl.DataFrame:
        """The stored rows of one asset with event times in [since_ns, until_ns), in order, by the compound index."""
        return ddl.typed(self._read(window(contract), [asset, since_ns, until_ns]), contract)

    def batches(self, contract: Contract, shard: str, after: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Each committed batch after `after`, its rows in arrival order."""
        while True:
            page = self.query("ledger", stream=contract.stream, shard=shard, after=after, page=64)
            for some in _together(page):
                rows = self.rows(contract, shard, some)
                parts = rows.partition_by("batch_seq", as_dict=True)
                yield from ((seq, parts.get((seq,), rows.clear())) for seq in some["batch_seq"].to_list())
            if page.is_empty():
                return
            after = page["batch_seq"][-1]

    def rows(
        self, contract: Contract, shard: str, ledger: pl.DataFrame, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The stored rows of consecutive batches, by their rows of the ledger, in arrival order; or only `columns`."""
        chosen = ", ".join(map(quoted, columns)) if columns else "*"
        return ddl.typed(self._rows(contract, shard, ledger, chosen), contract)

    def batch(self, contract: Contract, shard: str, batch_seq: int) -> pl.DataFrame:
        """The stored rows of one committed batch, in arrival order."""
        found = self.query("ledger_batch", stream=contract.stream, shard=shard, batch_seq=batch_seq)
        return self.rows(contract, shard, found)

    def counts(self, contract: Contract, shard: str) -> pl.DataFrame:
        """The number of stored rows (history rows of entities) by batch, counted: `batch_seq`, `rows`."""
        counted = self._read(
            f"SELECT batch_seq, count(*) AS rows FROM {quoted(ddl.history(contract))} WHERE shard = ? "
            "GROUP BY batch_seq",
            [shard],
        )
        return counted.cast(pl.Int64)

    def problems(self) -> list[str]:
        """What the database finds wrong with itself, a line each."""
        return self.reading(self._connection.problems)

    def tables(self) -> list[str]:
        """The names of all tables and views."""
        return self.reading(self._connection.tables)

    def table(
        self, name: str, columns: Collection[str] | None = None, contract: Contract | None = None
    ) -> pl.DataFrame | None:
        """Every row of a table or view; None where there is none of that name.

        Args:
            columns: only these, as far as the table has them; all if None.
            contract: whose rows these are: gives them its types.
        """
        present = list(self.reading(lambda: self._connection.columns(name)))
        if not present:
            return None
        wanted = [one for one in present if columns is None or one in columns] or present[:1]
        rows = self._read(f"SELECT {', '.join(map(quoted, wanted))} FROM {quoted(name)}")
        return ddl.typed(rows, contract) if contract else rows

    def query(self, name: str, **parameters: Any) -> pl.DataFrame:
        """A named read-only query of `store/sql`."""
        sql, names = positional(name)
        return self._read(sql, [parameters[one] for one in names])

    def begin_backfill(self, stream: str, spec: str) -> int:
        """Write down what a backfill is to bring in, as JSON; its number, which another process may be after as well."""
        number = self.query("backfills", stream=stream).height
        written = ""
        while written != spec:
            number += 1
            self._write(
                "INSERT INTO hf_backfill VALUES (?, ?, ?, 'running', ?, NULL, NULL) ON CONFLICT DO NOTHING",
                [stream, number, spec, self._clock.now_ns()],
            )
            written = self.query("backfill", stream=stream, number=number)["spec"].item()
        return number

    def end_backfill(self, stream: str, number: int) -> None:
        """Write down that a backfill has read all of its places."""
        self._write(
            "UPDATE hf_backfill SET state = 'done', ended_at_ns = ? WHERE stream = ? AND number = ?",
            [self._clock.now_ns(), stream, number],
        )

    def trouble_backfill(self, stream: str, number: int, error: str) -> None:
        """Write down what keeps a backfill from going on; empty: nothing any more."""
        self._write("UPDATE hf_backfill SET error = ? WHERE stream = ? AND number = ?", [error or None, stream, number])

    def discard(self, quarantine_ids: Collection[int], reason: str) -> set[int]:
        """Turn open quarantine rows into tombstones, all or none of them; which of them were open."""
        wanted = pl.DataFrame({"id": list(quarantine_ids)}, schema={"id": pl.Int64})
        found: set[int] = set()

        def discarded() -> set[int]:
            named, parameters = self._connection.given(wanted)
            changed = self._connection.query(
                "UPDATE hf_quarantine SET state = 'discarded', reason = ? WHERE state = 'open' "
                f"AND id IN (SELECT id FROM {named} AS n) RETURNING id",
                [reason, *parameters],
            )
            found.update(changed["id"])
            return found

        def stand() -> bool:
            return all(self.query("quarantine_row", id=one)["reason"].to_list() == [reason] for one in found)

        return self.writing(discarded, stand) if quarantine_ids else found

    def save(self, folder: Path) -> None:
        """Write everything that is committed into an empty folder, while others go on; inside `steady` of one moment."""
        raise AssertionError(f"{type(self).__name__} has to say how it is written into {folder}")

    def close(self) -> None:
        """Give up what was not committed; let another process own the store."""
        self._connection.close()

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        return self.reading(lambda: self._connection.query(sql, parameters))

    def _write(self, sql: str, parameters: Sequence[Any]) -> None:
        self.writing(lambda: self._connection.query(sql, parameters))

    def _rows(self, contract: Contract, shard: str, ledger: pl.DataFrame, chosen: str) -> pl.DataFrame:
        """The chosen columns of consecutive batches' stored rows, by their ledger rows, in arrival order."""
        raise AssertionError(f"{type(self).__name__} has to say where it keeps {shard}: {contract}, {ledger}, {chosen}")

    def _probe(self, table: str, on: str) -> str:
        return self._connection.dialect.probe.format(what="*", table=quoted(table), on=on)

    def _fence(self, update: str, parameters: list[Any]) -> None:
        """Change exactly the one row of the shard that this process owns. Ends in stream, shard, epoch, batch."""
        if self._connection.query(f"{update} RETURNING 1 AS own", parameters).height != 1:
            raise OwnedElsewhere(
                f"Another process has taken over {parameters[-4]}/{parameters[-3]} of {self.name}.",
                "Only one process may write to a shard: stop one of them.",
            )

    def _standing(self, stream: str, shard: str) -> dict[str, Any]:
        return self.query("shards", stream=stream).filter(pl.col("shard") == shard).row(0, named=True)

    def places(self, stream: str, shard: str) -> Iterator[Place]:
        """Where reading goes on."""
        for row in self.query("places", stream=stream, shard=shard).rows(named=True):
            facts = msgspec.json.decode(row["facts"])
            yield Place(row["place"], row["label"], row["at_offset"], row["line"], facts)

    def keep_rules(self, stream: str, digest: str, versions: str, texts: str) -> None:
        """Keep the texts of a stream's rules under their hash, as the newest."""
        self._write(
            "INSERT INTO hf_version VALUES (?, ?, 'rules', ?, ?, ?) "
            "ON CONFLICT (hash) DO UPDATE SET entered_at_ns = excluded.entered_at_ns",
            [digest, stream, versions, texts, self._clock.now_ns()],
        )

    def _keep_texts(self, contract: Contract, texts: Sequence[tuple[str, str]]) -> None:
        self._connection.query(
            "INSERT INTO hf_version VALUES (?, ?, 'contract', ?, ?, ?) ON CONFLICT DO NOTHING",
            [contract.hash, contract.stream, contract.version, text(list(texts)), self._clock.now_ns()],
        )


def latest(contract: Contract, dialect: Dialect) -> str:
    """The newest row of every asset of the stream `?`. One look-up an asset: the table itself is never sorted."""
    asset, time = (quoted(name) for name in contract.identity[:2])
    newest = dialect.newest.format(table=quoted(contract.stream), asset=asset, time=time)
    return f"SELECT t.* FROM hf_asset a {newest} WHERE a.stream = ? ORDER BY a.asset"


def window(contract: Contract) -> str:
    """The rows of asset `?` with event times in [`?`, `?`)."""
    asset, time = (quoted(name) for name in contract.identity[:2])
    return f"SELECT * FROM {quoted(contract.stream)} WHERE {asset} = ? AND {time} >= ? AND {time} < ? ORDER BY {time}"


def _together(ledger: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Consecutive batches whose rows can be read at once."""
    if ledger.height:
        number = (pl.col("stored") + pl.col("superseded")).cum_sum() // _READ_ROWS
        yield from ledger.with_columns(number.alias("group")).partition_by("group", maintain_order=True)
