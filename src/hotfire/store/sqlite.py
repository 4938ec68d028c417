"""The embedded store: SQLite in WAL mode through ADBC, one transaction a batch, fsynced at the commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from hotfire.errors import OwnedElsewhere, SourceChanged
from hotfire.rows import Checkpoint, Outcome, Place, Plan
from hotfire.store import ddl
from hotfire.store.connection import Connection, OwnerLock, named
from hotfire.store.migrate import migrate
from hotfire.store.sql import positional

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract

_LEDGER = ("received", "stored", "duplicate", "superseded", "quarantined", "moved", "corrected", "late")
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
        migrate(self._connection)
        self._connection.commit()

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
            [plan.stream, plan.shard, plan.batch_seq, _text(plan)],
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
            table = _history(contract)
            first = self._last_rowid(table) + 1
            self._connection.ingest(table, ddl.bindable(outcome.rows))
            if contract.kind == "entity":
                self._replace_current(outcome.rows, contract)
            self._write_rejected(outcome)
            self._write_marks(outcome)
            self._write_ledger(outcome, first, self._last_rowid(table))
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
            f"SELECT t.* FROM temp.wanted w CROSS JOIN {ddl.quoted(_history(contract))} t ON {probe} AND {same}"
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
            f"SELECT * FROM {ddl.quoted(_history(contract))} WHERE rowid BETWEEN ? AND ? ORDER BY row_no",
            [first_rowid, last_rowid],
        )
        return ddl.typed(found, contract)

    def counts(self, contract: Contract, shard: str) -> pl.DataFrame:
        """The number of stored rows (history rows of entities) by batch, counted: `batch_seq`, `rows`."""
        counted = self._connection.query(
            f"SELECT batch_seq, count(*) AS rows FROM {ddl.quoted(_history(contract))} "
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
            [contract.hash, contract.stream, contract.version, _text(list(texts)), self._clock.now_ns()],
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

    def _last_rowid(self, table: str) -> int:
        return int(self._connection.query(f"SELECT coalesce(max(rowid), 0) FROM {ddl.quoted(table)}").item())

    def _replace_current(self, rows: pl.DataFrame, contract: Contract) -> None:
        names = list(contract.identity)
        current = rows.filter(~pl.col("superseded")).unique(names, keep="last", maintain_order=True)
        same = " AND ".join(f"{ddl.quoted(name)} = ?" for name in names)
        bound = ddl.bindable(current)
        self._connection.execute_many(f"DELETE FROM {ddl.quoted(contract.stream)} WHERE {same}", bound.select(names))
        self._connection.ingest(contract.stream, bound)

    def _write_rejected(self, outcome: Outcome) -> None:
        plan = outcome.plan
        rows = [
            (plan.stream, plan.shard, plan.batch_seq, row.row_no, plan.contract, row.place, row.offset, row.line)
            + (_text(row.facts), row.raw, _text(row.faults))
            for row in outcome.rejected
        ]
        names = [
            "stream",
            "shard",
            "batch_seq",
            "row_no",
            "contract",
            "place",
            "at_offset",
            "line",
            "facts",
            "raw",
            "faults",
        ]
        text = pl.String
        types = [text, text, pl.Int64, pl.Int64, text, text, pl.Int64, pl.Int64, text, pl.Binary, text]
        frame = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
        self._connection.ingest("hf_quarantine", frame)
        for quarantine_id, fate in outcome.repaired.items():
            self._connection.query(
                "UPDATE hf_quarantine SET state = 'repaired', repaired_shard = ?, repaired_seq = ?, repaired_fate = ? "
                "WHERE id = ? AND state = 'open'",
                [plan.shard, plan.batch_seq, fate, quarantine_id],
            )
            self._check_moved(quarantine_id)
        for quarantine_id, faults in outcome.retried.items():
            self._connection.query(
                "UPDATE hf_quarantine SET tries = tries + 1, faults = ?, contract = ? WHERE id = ? AND state = 'open'",
                [_text(faults), plan.contract, quarantine_id],
            )
            self._check_moved(quarantine_id)

    def _check_moved(self, quarantine_id: int) -> None:
        """Another process may have discarded the row since it was read: it must not get a second fate."""
        if self._changes() != 1:
            raise SourceChanged(
                f"Quarantine row {quarantine_id} has left quarantine while it was being replayed.",
                "Run `hotfire doctor --repair` to drop the plan, which had no effects, and replay again.",
            )

    def _write_marks(self, outcome: Outcome) -> None:
        plan = outcome.plan
        corrections = [
            (plan.stream, plan.shard, plan.batch_seq, c.row_no, c.column, c.check, c.raw, c.value)
            for c in outcome.corrections
        ]
        names = ["stream", "shard", "batch_seq", "row_no", "column_name", "check_name", "raw", "value"]
        types = [pl.String, pl.String, pl.Int64, pl.Int64, pl.String, pl.String, pl.String, pl.String]
        frame = pl.DataFrame(corrections, schema=dict(zip(names, types, strict=True)), orient="row")
        self._connection.ingest("hf_correction", frame)
        if outcome.assets is not None:
            owned = outcome.assets.select(
                pl.lit(plan.stream).alias("stream"), "asset", pl.lit(plan.shard).alias("shard"), "clock_ns", "counter"
            ).with_columns(outcome.assets["gaps"], outcome.assets["stored"])
            self._connection.execute_many(
                "INSERT INTO hf_asset VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, asset) DO UPDATE SET "
                "clock_ns = excluded.clock_ns, counter = excluded.counter, gaps = excluded.gaps, "
                "stored = excluded.stored",
                owned,
            )
        places = [part.after() for part in plan.span.parts] if not plan.repair else []
        for place in {place.key: place for place in places}.values():
            self._connection.query(
                "INSERT INTO hf_source VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, shard, place) DO UPDATE SET "
                "label = excluded.label, at_offset = excluded.at_offset, line = excluded.line, facts = excluded.facts",
                [plan.stream, plan.shard, place.key, place.label, place.offset, place.line, _text(place.facts)],
            )

    def _write_ledger(self, outcome: Outcome, first_rowid: int, last_rowid: int) -> None:
        plan, counts = outcome.plan, outcome.counts
        self._connection.query(
            f"INSERT INTO hf_ledger VALUES ({', '.join('?' * 20)})",
            [plan.stream, plan.shard, plan.batch_seq, outcome.job_id, plan.contract, int(plan.repair)]
            + [_text(plan.span), plan.sha256, plan.received_at_ns, self._clock.now_ns()]
            + [getattr(counts, name) for name in _LEDGER]
            + [first_rowid, last_rowid],
        )


def _tables(contract: Contract) -> list[str]:
    return [contract.stream] if contract.kind == "telemetry" else [contract.stream, f"{contract.stream}_history"]


def _history(contract: Contract) -> str:
    return contract.stream if contract.kind == "telemetry" else f"{contract.stream}_history"


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
