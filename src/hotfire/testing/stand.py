"""One stream on the bench: a folder with a real store and lake, the engine over it, and what came of every record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.clock import SystemClock
from hotfire.contract.model import Contract
from hotfire.engine.backfill import BackfillSource
from hotfire.engine.flow import Flow
from hotfire.engine.loop import run
from hotfire.engine.missing import Survey, survey
from hotfire.engine.past import Recorded
from hotfire.engine.replay import Replayed, replay
from hotfire.engine.retention import retain
from hotfire.engine.rulesets import Chains, entered, ruleset
from hotfire.engine.watch import Ruleset
from hotfire.lake.delta import DeltaLake
from hotfire.ledger.balance import Balance, balance
from hotfire.ledger.digest import digest
from hotfire.protocols import Source
from hotfire.quarantine.replay import QuarantineSource
from hotfire.rows import BACKFILL, LIVE, Counts, Plan
from hotfire.store.operational import OperationalStore
from hotfire.store.postgresql import PostgresStore
from hotfire.store.sqlite import SqliteStore
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.workspace.backfills import Asked, begin, interrupted

_PAGE = 1_000_000
_ALARM = (*("alarm_id", "rule", "asset", "channel", "state", "severity", "raised_at_ns", "returned_at_ns", "events"),)
_CONDITION = ("rule", "asset", "channel", "severity", "raised_at_ns", "returned_at_ns")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is removed again: in memory where the machine has one, where fsync costs nothing."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None, prefix="hotfire-") as folder:
        yield Path(folder)


class Came(Struct, frozen=True):
    """What a stream holds, without anything that may differ between two runs of the same records.

    Attributes:
        fates: by number of the record, counted through from 0: `stored`, `late`, `corrected`, `duplicate`, or the
            checks it broke.
        assets: asset, clock, counter, gaps, rows.
        corrections: record number, column, check, raw, value.
        lake: the contract columns of every row in the lake, sorted.
        findings: rule, asset, channel, event time, severity, kind, sorted.
        conditions: rule, asset, channel, severity, when raised and returned, sorted.
        alarms: id, rule, asset, channel, state, severity, when raised and returned, number of events, sorted.
    """

    digest: str
    totals: Mapping[str, int]
    fates: Mapping[int, tuple[str, ...]]
    assets: Sequence[tuple[Any, ...]]
    corrections: Sequence[tuple[Any, ...]]
    lake: Sequence[tuple[Any, ...]]
    findings: Sequence[tuple[Any, ...]]
    conditions: Sequence[tuple[Any, ...]]
    alarms: Sequence[tuple[Any, ...]]


class Stand(Struct):
    """Runs sources through the engine, each time as a new process would: parts are opened, used and closed.

    Args:
        folder: of the database and the lake; what is in it is gone on with.
        texts: of the contract, where a test asks the store for them.
        lake_only: rows are kept only in the lake.
        url: of a PostgreSQL store; empty: SQLite in the folder.
        retention_ns: how old rows grow in the store.
        rules: texts of rules files, by name; empty: only the contract's limits.
    """

    folder: Path
    contract: Contract
    clock: ManualClock = field(default_factory=ManualClock)
    texts: Sequence[tuple[str, str]] = (("contracts/s/v1.yaml", ""),)
    lake_only: bool = False
    url: str = ""
    retention_ns: int | None = None
    known: dict[str, Contract] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    entered: dict[str, Chains] = field(default_factory=dict)

    def store(self) -> OperationalStore:
        """A connection of its own; the caller closes it."""
        store = self._opened()
        self.known[self.contract.hash] = self.contract
        store.ensure(self.contract, self.texts)
        return store

    def _opened(self) -> OperationalStore:
        if self.url:
            return PostgresStore(self.url, SystemClock())  # it waits for servers that really take their time
        return SqliteStore(self.folder / "hotfire.db", self.clock)

    def lake(self, store: OperationalStore) -> DeltaLake:
        """The lake that follows the store."""
        return DeltaLake(self.folder / "lake", store.incarnation)

    def run(self, source: Source, fuse: Fuse | None = None) -> Counts:
        """Ingest what the source has. Raises Crash where the fuse or the source says so."""
        return self._run(source, fuse or Fuse(), repair=False)

    def repair(self, fuse: Fuse | None = None, tries: int = 5, check: str = "", batch: int = 10_000) -> Counts:
        """Replay the quarantine."""
        with closing(self.store()) as reader:
            source = QuarantineSource(reader, self.contract.stream, tries, check, batch)
            return self._run(source, fuse or Fuse(), repair=True)

    def backfill(
        self,
        source: Callable[[], Source],
        fuse: Fuse | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> Survey | None:
        """Bring in what is missing of what a source has; None where an interrupted backfill was gone on with.

        Args:
            source: opens it at its beginning.
        """
        wanted, fuse = Asked(["bench"], since_ns, until_ns), fuse or Fuse()
        with closing(self.store()) as store:
            own, found = interrupted(store, self.contract.stream, wanted), None
            if own is None:
                found = survey(self.flow(source(), store), since_ns, until_ns)
                if not found.intervals:
                    return found
                own = begin(store, self.contract.stream, wanted, found)
            flow = self.flow(BackfillSource(source(), own.number), store, fuse)
            run(replace(flow, shard=BACKFILL, backfill=own))
            store.end_backfill(self.contract.stream, own.number)
            return found

    def replay(self, since_ns: int | None = None, until_ns: int | None = None) -> Replayed:
        """Take everything through the engine again, into a shadow ledger that is gone afterwards."""
        with (
            closing(self.store()) as store,
            scratch() as folder,
            closing(self._shadow(folder)) as shadow,
            store.steady(),
        ):
            stands = (self.contract, store, self.lake(store), self._rules_of, self.lake_only, since_ns, until_ns)
            return replay(Recorded(*stands), shadow, self.clock, "replay-1")

    def _rules_of(self, judged_by: str, digest: str) -> Ruleset | None:
        older = self.known[judged_by]
        return ruleset(older, self.entered.get(digest, {})) if older.major == self.contract.major else None

    def _ruleset(self) -> Ruleset:
        """The rules that hold now: entered after those of the run before."""
        before = next(reversed(self.entered.values()), {})
        found = entered(self.contract, before, self.rules)
        self.entered[found.ruleset.hash] = self.entered.pop(found.ruleset.hash, found.chains)
        return found.ruleset

    def _shadow(self, folder: Path) -> SqliteStore:
        shadow = SqliteStore(folder / "hotfire.db", self.clock)
        shadow.ensure(self.contract, self.texts)
        return shadow

    def digest(self) -> str:
        """The stream's digest."""
        with closing(self.store()) as store:
            return digest(self.contract, store, self.lake(store), lake_only=self.lake_only)

    def balance(self, source: Source | None = None) -> Balance:
        """The stream's balance; with a source every span is read again."""
        with closing(self.store()) as store:
            return balance(self.contract, store, self.lake(store), lake_only=self.lake_only, source=source)

    def came(self) -> Came:
        """What came of everything."""
        with closing(self.store()) as store:
            lake, stream = self.lake(store), self.contract.stream
            columns = [column.storage for column in self.contract.columns]
            held = [row for frame in lake.rows(self.contract) for row in frame.select(columns).rows()]
            first = _first_records(store, stream)
            assets = store.assets(self.contract).select("asset", "clock_ns", "counter", "gaps", "stored")
            totals = store.query("ledger_totals", stream=stream).drop("batches").row(0, named=True)
            return Came(
                digest(self.contract, store, lake, lake_only=self.lake_only),
                totals,
                self._fates(store, lake, first),
                sorted(assets.rows()),
                [row for seq, at in first.items() for row in _corrections(store, stream, seq, at)],
                sorted(held, key=repr),
                _told(store, "findings", "rule", "asset", "channel", "at_ns", "severity", "kind", stream=stream),
                _told(store, "conditions", *_CONDITION, stream=stream, revision=1),
                _alarms(store),
            )

    def arrival(self) -> list[tuple[str, int, int]]:
        """(shard, batch_seq, row_no) of every row in the lake, sorted."""
        with closing(self.store()) as store:
            frames = self.lake(store).rows(self.contract)
            return sorted(row for frame in frames for row in frame.select("shard", "batch_seq", "row_no").rows())

    def _run(self, source: Source, fuse: Fuse, *, repair: bool) -> Counts:
        with closing(self.store()) as store:
            flow = self.flow(source, store, fuse)
            counts = run(flow, repair=repair)
            retain(flow)
            return counts

    def flow(
        self, source: Source, store: OperationalStore, fuse: Fuse | None = None, reread: Source | None = None
    ) -> Flow:
        """A source on its way into the store; planned spans are read again from it, or from `reread`."""
        fuse = fuse or Fuse()
        return Flow(
            self.contract,
            fuse.wrap("source", source),
            fuse.wrap("store", store),
            fuse.wrap("lake", self.lake(store)),
            self.clock,
            "job-1",
            lambda plan: self._reread(plan, reread or source, store, fuse),
            self.known.__getitem__,
            lake_only=self.lake_only,
            retention_ns=self.retention_ns,
            ruleset=self._ruleset(),
            ruleset_of=lambda contract, digest: ruleset(contract, self.entered.get(digest, {})),
        )

    def _reread(self, plan: Plan, source: Source, store: OperationalStore, fuse: Fuse) -> Any:
        planned = QuarantineSource(store, self.contract.stream, 5) if plan.repair else source
        if plan.shard == BACKFILL and not isinstance(source, BackfillSource):
            planned = BackfillSource(source, 0)
        return fuse.wrap("source", planned).reread(plan.span)

    def _fates(self, store: OperationalStore, lake: DeltaLake, first: Mapping[int, int]) -> dict[int, tuple[str, ...]]:
        ledger = store.query("ledger", stream=self.contract.stream, shard=LIVE, after=0, page=_PAGE)
        batches = ledger.filter(repair=0).select("batch_seq", "received").rows()
        fates: dict[int, tuple[str, ...]] = {}
        fates |= {first[seq] + row_no: ("duplicate",) for seq, rows in batches for row_no in range(rows)}
        in_lake = self.lake_only or self.retention_ns is not None
        frames = lake.rows(self.contract) if in_lake else (rows for _, rows in store.batches(self.contract, LIVE, 0))
        for frame in frames:
            live = frame.filter(shard=LIVE).select("batch_seq", "row_no", "late", "corrected")
            for seq, row_no, late, corrected in live.rows():
                if seq in first:
                    marks = (("late",) if late else ()) + (("corrected",) if corrected else ())
                    fates[first[seq] + row_no] = ("stored", *marks)
        for seq in first:
            page = store.query("quarantine_of_batch", stream=self.contract.stream, shard=LIVE, batch_seq=seq)
            for row_no, faults, state in page.select("row_no", "faults", "state").rows():
                checks = sorted({fault["check"] for fault in msgspec.json.decode(faults)})
                fates[first[seq] + row_no] = (state, *checks)
        return fates


def _first_records(store: OperationalStore, stream: str) -> dict[int, int]:
    """The number of the first record of each batch that received any."""
    ledger = store.query("ledger", stream=stream, shard=LIVE, after=0, page=_PAGE).filter(repair=0)
    first, at = {}, 0
    for seq, received in ledger.select("batch_seq", "received").rows():
        first[seq] = at
        at += received
    return first


def _told(store: OperationalStore, query: str, *columns: str, **of: Any) -> list[tuple[Any, ...]]:
    return sorted(store.query(query, after=0, page=_PAGE, **of).select(columns).rows(), key=repr)


def _alarms(store: OperationalStore) -> list[tuple[Any, ...]]:
    table = store.table("hf_alarm")
    assert table is not None
    return sorted(table.select(_ALARM).rows(), key=repr)


def _corrections(store: OperationalStore, stream: str, batch_seq: int, first: int) -> list[tuple[Any, ...]]:
    rows = store.query("corrections_of_batch", stream=stream, shard=LIVE, batch_seq=batch_seq).rows()
    return [(first + row_no, *rest) for row_no, *rest in rows]
