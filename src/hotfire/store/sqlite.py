"""The embedded store: SQLite in WAL mode through ADBC, one transaction a batch, fsynced at the commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from hotfire.errors import OwnedElsewhere
from hotfire.rows import Checkpoint, Outcome, Place, Plan
from hotfire.store import ddl
from hotfire.store.commit import history, text, write
from hotfire.store.connection import Connection, OwnerLock, named
from hotfire.store.migrate import migrate
from hotfire.store.sql import positional

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract

_CONVERTED = 50_000


class SqliteStore:
    """Implements `protocols.Store` on one SQLite file.

    Args:
        path: the database file; made, with its folder, where it does not exist.
        clock: for `committed_at` only.
        dry_run: nothing is ever committed; closing gives everything up.
    """

    def __init__(self, path: Path, clock: Clock, *, dry_run: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._clock = clock
        self._dry_run = dry_run
        self._lock: OwnerLock | None = None
        self._connection = Connection(path)
        with ExitStack() as unless_open:
            unless_open.callback(self._connection.close)
            migrate(self._connection)
            self._connection.commit()
            unless_open.pop_all()

    @property
    def incarnation(self) -> str:
        """The name this store was born with."""
        return str(self.query("incarnation").item())

    def ensure(self, contract: Contract, texts: Sequence[tuple[str, str]]) -> None:
        """Create or migrate the stream's tables, and keep the contract's texts under its hash."""
        self._begin()
        statements: list[str] = []
        if not self._columns(contract.stream):
            statements.extend(ddl.create(contract))
        elif self.query("version", hash=contract.hash).is_empty():
            for table in _tables(contract):
                statements.extend(ddl.alter(contract, self._columns(table), table))
            statements.extend(ddl.view(contract))
        for statement in statements:
            self._connection.query(statement)
        self._keep_texts(contract, texts)
        self._end()

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
        tables = _tables(contract)
        self._begin()
        try:
            for statement in ddl.set_aside(older):
                self._connection.query(statement)
            for statement in ddl.create(contract):
                self._connection.query(statement)
            for table in tables:
                self._convert(f"{table}__old", table, older, convert)
                self._connection.query(f"DROP TABLE {ddl.quoted(table + '__old')}")
            self._keep_texts(contract, texts)
            self._end()
        except BaseException:
            self._connection.rollback()
            raise

    def own(self) -> None:
        """Take the file lock: no other process writes until this one closes. Raises OwnedElsewhere."""
        if self._lock is None:
            self._lock = OwnerLock(self.path.with_name(self.path.name + ".lock"))

    def open(self, stream: str, shard: str) -> Checkpoint:
        """Become the shard's owner: takes the file lock and raises the shard's epoch."""
        self.own()
        self._begin()
        self._connection.query(
            "INSERT INTO hf_checkpoint VALUES (?, ?, 1, 0) "
            "ON CONFLICT (stream, shard) DO UPDATE SET epoch = hf_checkpoint.epoch + 1",
            [stream, shard],
        )
        self._end()
        own = self.query("shards", stream=stream).filter(pl.col("shard") == shard).row(0, named=True)
        plans = self.query("unfinished_plans", stream=stream).rows(named=True)
        unfinished = next((row["plan"] for row in plans if row["shard"] == shard), None)
        return Checkpoint(
            stream,
            shard,
            own["epoch"],
            own["committed_seq"],
            {place.key: place for place in self._places(stream, shard)},
            msgspec.json.decode(unfinished, type=Plan) if unfinished else None,
        )

    def plan(self, plan: Plan, epoch: int) -> None:
        """Write down what the next batch will be, before any effect."""
        self._fence(
            "UPDATE hf_checkpoint SET epoch = epoch WHERE stream = ? AND shard = ? AND epoch = ? AND committed_seq = ?",
            [plan.stream, plan.shard, epoch, plan.batch_seq - 1],
        )
        self._connection.query(
            "INSERT INTO hf_plan VALUES (?, ?, ?, ?) ON CONFLICT (stream, shard) "
            "DO UPDATE SET batch_seq = excluded.batch_seq, plan = excluded.plan",
            [plan.stream, plan.shard, plan.batch_seq, text(plan)],
        )
        self._end()

    def drop_plan(self, stream: str, shard: str) -> None:
        """Forget a plan that had no effects, where its source can no longer be read."""
        self._begin()
        self._connection.query("DELETE FROM hf_plan WHERE stream = ? AND shard = ?", [stream, shard])
        self._end()

    def commit(self, outcome: Outcome, contract: Contract, epoch: int) -> None:
        """Write everything one batch changes: the commit point. The fence is the first statement."""
        plan = outcome.plan
        try:
            self._fence(
                "UPDATE hf_checkpoint SET committed_seq = ? "
                "WHERE stream = ? AND shard = ? AND epoch = ? AND committed_seq = ?",
                [plan.batch_seq, plan.stream, plan.shard, epoch, plan.batch_seq - 1],
            )
            write(self._connection, outcome, contract, self._clock.now_ns())
            self._connection.query("DELETE FROM hf_plan WHERE stream = ? AND shard = ?", [plan.stream, plan.shard])
            self._end()
        except BaseException:
            self._connection.rollback()
            raise

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """Stored rows whose identity equals a row of `identities`, by the compound index."""
        names = contract.identity
        self._connection.ingest("wanted", ddl.bindable(identities.select(names)), temporary=True)
        same = " AND ".join(f"t.{ddl.quoted(name)} IS w.{ddl.quoted(name)}" for name in names[2:]) or "1"
        probe = " AND ".join(f"t.{ddl.quoted(name)} = w.{ddl.quoted(name)}" for name in names[:2])
        found = self._connection.query(
            f"SELECT t.* FROM temp.wanted w CROSS JOIN {ddl.quoted(history(contract))} t ON {probe} AND {same}"
        )
        return ddl.typed(found, contract)

    def assets(self, contract: Contract) -> pl.DataFrame:
        """Every asset with its own clock, counter and shard."""
        rows = self._connection.query(
            "SELECT asset, clock_ns, counter, gaps, shard, stored FROM hf_asset WHERE stream = ?", [contract.stream]
        )
        texts = pl.col("asset", "shard").cast(pl.String)
        return rows.select(texts, pl.col("clock_ns", "counter", "gaps", "stored").cast(pl.Int64))

    def recent(self, contract: Contract, window_ns: int) -> pl.DataFrame:
        """The stored rows that are not older than `window_ns` behind their asset's clock."""
        asset, time = (ddl.quoted(name) for name in contract.identity[:2])
        found = self._connection.query(
            f"SELECT t.* FROM hf_asset a CROSS JOIN {ddl.quoted(contract.stream)} t "
            f"ON t.{asset} = a.asset AND t.{time} >= a.clock_ns - ? WHERE a.stream = ?",
            [window_ns, contract.stream],
        )
        return ddl.typed(found, contract)

    def batches(self, contract: Contract, shard: str, after: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Each committed batch after `after`, its rows in arrival order."""
        while True:
            page = self.query("ledger", stream=contract.stream, shard=shard, after=after, page=64)
            for batch in page.rows(named=True):
                after = batch["batch_seq"]
                yield after, self.rows_between(contract, batch["first_rowid"], batch["last_rowid"])
            if page.is_empty():
                return

    def rows_between(self, contract: Contract, first_rowid: int, last_rowid: int) -> pl.DataFrame:
        """The stored rows of one batch, in arrival order; its rowid range stands in the ledger."""
        found = self._connection.query(
            f"SELECT * FROM {ddl.quoted(history(contract))} WHERE rowid BETWEEN ? AND ? ORDER BY row_no",
            [first_rowid, last_rowid],
        )
        return ddl.typed(found, contract)

    def counts(self, contract: Contract, shard: str) -> pl.DataFrame:
        """The number of stored rows (history rows of entities) by batch, counted: `batch_seq`, `rows`."""
        counted = self._connection.query(
            f"SELECT batch_seq, count(*) AS rows FROM {ddl.quoted(history(contract))} "
            "WHERE shard = ? GROUP BY batch_seq",
            [shard],
        )
        return counted.cast(pl.Int64)

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file, a line each."""
        return [str(line) for line in self._connection.query("PRAGMA quick_check")["quick_check"] if line != "ok"]

    def tables(self) -> list[str]:
        """The names of all tables and views."""
        rows = self._connection.query(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
        return [str(name) for name in rows["name"]]

    def table(
        self, name: str, columns: Collection[str] | None = None, contract: Contract | None = None
    ) -> pl.DataFrame | None:
        """Every row of a table or view; None where there is none of that name.

        Args:
            columns: only these, as far as the table has them; all if None.
            contract: whose rows these are: gives them its types.
        """
        present = list(self._columns(name))
        if not present:
            return None
        wanted = [one for one in present if columns is None or one in columns] or present[:1]
        rows = self._connection.query(f"SELECT {', '.join(map(ddl.quoted, wanted))} FROM {ddl.quoted(name)}")
        return ddl.typed(rows, contract) if contract else rows

    def query(self, name: str, **parameters: Any) -> pl.DataFrame:
        """A named read-only query of `store/sql`."""
        sql, names = positional(name)
        return self._connection.query(sql, named(parameters, names))

    def start_job(self, job_id: str, command: str, stream: str) -> None:
        """Write down that a job has begun."""
        self._begin()
        self._connection.query(
            "INSERT INTO hf_job VALUES (?, ?, ?, 'running', ?, NULL, NULL)",
            [job_id, command, stream, self._clock.now_ns()],
        )
        self._end()

    def bury_jobs(self) -> None:
        """Write down that jobs still called running were killed: only the owner of the store may know that."""
        self._begin()
        self._connection.query(
            "UPDATE hf_job SET status = 'failed', ended_at_ns = ?, summary = '{\"error\": \"killed\"}' "
            "WHERE status = 'running'",
            [self._clock.now_ns()],
        )
        self._end()

    def end_job(self, job_id: str, status: str, summary: str) -> None:
        """Write down how a job has ended: `done` or `failed`, with its summary as JSON. Gives up what it left open."""
        self._begin()
        self._connection.query(
            "UPDATE hf_job SET status = ?, ended_at_ns = ?, summary = ? WHERE job_id = ?",
            [status, self._clock.now_ns(), summary, job_id],
        )
        self._end()

    def discard(self, quarantine_id: int, reason: str) -> bool:
        """Turn an open quarantine row into a tombstone; False where it is not open."""
        self._begin()
        self._connection.query(
            "UPDATE hf_quarantine SET state = 'discarded', reason = ? WHERE id = ? AND state = 'open'",
            [reason, quarantine_id],
        )
        changed = self._changes() == 1
        self._end()
        return changed

    def close(self) -> None:
        """Give up what was not committed; let another process own the store."""
        self._connection.close()
        if self._lock:
            self._lock.close()

    def _begin(self) -> None:
        """Let go of what was read: SQLite refuses to write on a snapshot that another process has overtaken."""
        if not self._dry_run:
            self._connection.rollback()

    def _end(self) -> None:
        if not self._dry_run:
            self._connection.commit()

    def _changes(self) -> int:
        return int(self._connection.query("SELECT changes()").item())

    def _fence(self, sql: str, parameters: list[Any]) -> None:
        self._begin()
        self._connection.query(sql, parameters)
        if self._changes() != 1:
            self._connection.rollback()
            raise OwnedElsewhere(
                f"Another process has taken over {parameters[-4]}/{parameters[-3]} of {self.path}.",
                "Only one process may write to a shard: stop one of them.",
            )

    def _columns(self, table: str) -> dict[str, str]:
        rows = self._connection.query("SELECT name, type FROM pragma_table_info(?)", [table])
        return dict(rows.rows())

    def _places(self, stream: str, shard: str) -> Iterator[Place]:
        for row in self.query("places", stream=stream, shard=shard).rows(named=True):
            facts = msgspec.json.decode(row["facts"])
            yield Place(row["place"], row["label"], row["at_offset"], row["line"], facts)

    def _keep_texts(self, contract: Contract, texts: Sequence[tuple[str, str]]) -> None:
        self._connection.query(
            "INSERT INTO hf_version VALUES (?, ?, 'contract', ?, ?, ?) ON CONFLICT DO NOTHING",
            [contract.hash, contract.stream, contract.version, text(list(texts)), self._clock.now_ns()],
        )

    def _convert(
        self, source: str, target: str, older: Contract, convert: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> None:
        """Copy rows under their rowids, so that the ledger's ranges stay true."""
        after = 0
        while True:
            page = self._connection.query(
                f"SELECT rowid AS hf_rowid, * FROM {ddl.quoted(source)} WHERE rowid > ? ORDER BY rowid LIMIT ?",
                [after, _CONVERTED],
            )
            if page.is_empty():
                return
            rows = ddl.typed(page, older)
            marks = rows.select(pl.exclude([column.storage for column in older.columns]))
            converted = pl.concat([convert(rows), marks, page.select(rowid="hf_rowid")], how="horizontal")
            self._connection.ingest(target, ddl.bindable(converted))
            after = page["hf_rowid"][-1]


def _tables(contract: Contract) -> list[str]:
    return [contract.stream] if contract.kind == "telemetry" else [contract.stream, f"{contract.stream}_history"]
