"""What is SQLite's own: migrations, transactions on a full disk, snapshots, the owner's lock, dry runs, readable views."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from hotfire.clock import iso
from hotfire.contract.model import Column
from hotfire.errors import OwnedElsewhere, StoreUnusable
from hotfire.rows import LIVE, Clearing
from hotfire.store import ddl
from hotfire.store.migrate import migrate, migrations
from hotfire.store.sql import positional, queries
from hotfire.store.sqlite import SqliteStore
from hotfire.store.sqlite_connection import OwnerLock, SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.lake_suite import READINGS, ROCKETS
from hotfire.testing.outcomes import START_NS, assets_of, held, outcome_of, plan_of, reading, rejected, whole
from hotfire.testing.stand import scratch

TEXTS = (("v1.yaml", "text"),)


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as bench:
        yield bench


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as store:
        store.ensure(READINGS, TEXTS)
        yield store


def schema(connection: SqliteConnection) -> list[tuple[str, ...]]:
    return sorted(connection.query("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").rows())


@pytest.mark.parametrize("start", [number for number, _ in migrations()])
def test_a_migrated_schema_is_the_fresh_one(folder: Path, start: int) -> None:
    """From every earlier number the migrations lead to the schema that a new store is made with."""
    with closing(SqliteConnection(folder / "old.db")) as old, closing(SqliteConnection(folder / "new.db")) as new:
        migrate(old, upto=start)
        assert old.query("pragma user_version").item() == start
        migrate(old)
        migrate(new)
        assert schema(old) == schema(new)
        assert old.query("pragma user_version").item() == migrations()[-1][0]


def test_migrations_are_numbered_without_gaps() -> None:
    """A migration that is skipped could never be applied later."""
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_migrating_twice_changes_nothing(folder: Path) -> None:
    """A store that is up to date is left alone, its name with it."""
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as first:
        name = first.incarnation
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as again:
        assert again.incarnation == name
    with closing(SqliteStore(folder / "other.db", ManualClock())) as other:
        assert other.incarnation != name


def test_a_store_of_a_newer_program_is_refused(folder: Path, store: SqliteStore) -> None:
    """Nothing is written to a schema that this program does not know."""
    store.close()
    with closing(SqliteConnection(folder / "hotfire.db")) as connection:
        connection.query("pragma user_version = 999")
        connection.commit()
    with pytest.raises(StoreUnusable, match="schema 999") as refused:
        SqliteStore(folder / "hotfire.db", ManualClock())
    assert "upgrade" in refused.value.do


def test_many_processes_may_start_at_once(folder: Path) -> None:
    """Whoever comes first makes the store; the others wait for it and find it made."""
    script = (
        "import sys; from pathlib import Path; from hotfire.store.sqlite import SqliteStore; "
        "from hotfire.testing.clocks import ManualClock; sys.stdin.read(1); "
        "print(SqliteStore(Path(sys.argv[1]), ManualClock()).incarnation)"
    )
    argv = [sys.executable, "-c", script, str(folder / "hotfire.db")]
    processes = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("g")
        process.stdin.flush()
    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(lambda process: process.communicate()[0].strip(), processes))
    assert len(set(names)) == 1
    assert [process.returncode for process in processes] == [0, 0, 0, 0]


def test_commits_are_on_disk_before_they_return(store: SqliteStore, folder: Path) -> None:
    """Synchronous = FULL (2) in WAL mode: each commit is fsynced."""
    with closing(SqliteConnection(folder / "hotfire.db")) as connection:
        assert connection.query("pragma synchronous").item() == 2
        assert connection.query("pragma journal_mode").item() == "wal"


def test_a_full_disk_leaves_the_store_as_it_was(store: SqliteStore, folder: Path) -> None:
    """SQLite ends the transaction by itself then: what follows must not be written one by one, and works with room."""
    epoch = store.open("readings", LIVE).epoch
    store.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
    before = whole(store, READINGS)
    connection = store._connection  # noqa: SLF001 - only SQLite itself can be told that the disk is full
    pages = connection.query("pragma page_count").item()
    connection.query(f"pragma max_page_count = {pages + 4}")
    connection.commit()
    big = outcome_of(READINGS, 2, [reading("b", START_NS + number, note="x" * 9000) for number in range(100)])
    with pytest.raises(StoreUnusable, match="disk is full"):
        store.commit(big, READINGS, epoch)
    assert whole(store, READINGS) == before
    connection.query("pragma max_page_count = 1000000")
    store.commit(big, READINGS, epoch)
    assert held(store, READINGS).height == 101


def test_a_rollback_after_a_full_disk_begins_anew(folder: Path) -> None:
    """After SQLite has ended the transaction, statements are in a new one: given up, they were never there."""
    with closing(SqliteConnection(folder / "a.db")) as connection:
        connection.query("create table t (x text) strict")
        connection.commit()
        connection.query(f"pragma max_page_count = {connection.query('pragma page_count').item() + 2}")
        with pytest.raises(StoreUnusable, match="full"):
            connection.query("insert into t values (?)", ["x" * 1_000_000])
        connection.rollback()
        connection.query("insert into t values ('y')")
        connection.rollback()
        assert connection.query("select count(*) from t").item() == 0


def test_what_was_read_does_not_keep_from_writing(store: SqliteStore, folder: Path) -> None:
    """Another process writes between this one's reading and its commit: nobody is locked out."""
    epoch = store.open("readings", LIVE).epoch
    store.commit(outcome_of(READINGS, 1, rejected=[rejected(0)]), READINGS, epoch)
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as other:
        for batch_seq, write in enumerate(("job", "discard", "job"), 2):
            store.assets(READINGS)
            if write == "job":
                other.jobs.start(f"job {batch_seq}", "ingest", "readings")
            else:
                assert other.discard([1], "a test")
            store.plan(plan_of(READINGS, batch_seq, 1), epoch)
            store.stored(READINGS, outcome_of(READINGS, 9, [reading("a")]).rows)
            other.jobs.end("job 2", "done", "{}")
            store.commit(outcome_of(READINGS, batch_seq, [reading("a", START_NS + batch_seq)]), READINGS, epoch)
    assert held(store, READINGS).height == 3


def test_who_looks_now_and_then_lets_the_log_of_writes_begin_anew(store: SqliteStore, folder: Path) -> None:
    """The write-ahead log stays small while others read, each time for a moment; a `steady` reading sees one moment."""
    epoch = store.open("readings", LIVE).epoch
    rows = [reading(f"{number}", note="x" * 16_000) for number in range(20)]
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as other:
        for batch_seq in range(1, 121):
            if batch_seq % 10 == 1:
                assert other.query("shards", stream="readings")["committed_seq"].to_list() == [batch_seq - 1]
            store.commit(outcome_of(READINGS, batch_seq, rows), READINGS, epoch)
        with other.steady():
            assert held(other, READINGS).height == 2_400
            store.commit(outcome_of(READINGS, 121, rows), READINGS, epoch)
            assert held(other, READINGS).height == 2_400
        assert held(other, READINGS).height == 2_420
    assert (folder / "hotfire.db-wal").stat().st_size < 24 << 20


def test_one_store_owns_its_file(store: SqliteStore, folder: Path) -> None:
    """A second owner is refused with the first one's pid; reading is allowed; closing lets the next one in."""
    store.open("readings", LIVE)
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as second:
        with pytest.raises(OwnedElsewhere, match=f"pid {os.getpid()}"):
            second.open("readings", LIVE)
        assert second.query("shards", stream="readings").height == 1
        store.close()
        assert second.open("readings", LIVE).epoch == 2


def test_the_lock_of_a_dead_process_is_free(folder: Path) -> None:
    """The lock belongs to the process, not to the file: a crash leaves nothing to clear away."""
    path = folder / "hotfire.db.lock"
    code = f"from pathlib import Path; from hotfire.store.sqlite_connection import OwnerLock; import os; OwnerLock(Path({str(path)!r})); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert path.read_text() != str(os.getpid())
    lock = OwnerLock(path)
    assert path.read_text() == str(os.getpid())
    lock.close()


def test_a_dry_run_leaves_nothing_behind(folder: Path, store: SqliteStore) -> None:
    """It sees its own writes, and gives them up on closing."""
    before = whole(store, READINGS)
    dry = SqliteStore(folder / "hotfire.db", ManualClock(), dry_run=True)
    wider = replace(READINGS, columns=(*READINGS.columns, Column("more", "string")), hash="2")
    dry.ensure(wider, TEXTS)
    epoch = dry.open("readings", LIVE).epoch
    dry.plan(plan_of(wider, 1, 1), epoch)
    dry.commit(outcome_of(wider, 1, [reading("a", more="x")]), wider, epoch)
    dry.plan(plan_of(wider, 2, 1), epoch)
    dry.commit(outcome_of(wider, 2, [reading("b")]), wider, epoch)
    assert held(dry, wider)["more"].to_list() == ["x", None]
    dry.close()
    assert whole(store, READINGS) == before
    assert store.open("readings", LIVE).epoch == 1
    table = store.table("readings")
    assert table is not None
    assert "more" not in table.columns


def test_a_dropped_plan_is_gone(store: SqliteStore) -> None:
    """And nothing else is."""
    epoch = store.open("readings", LIVE).epoch
    store.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
    before = whole(store, READINGS)
    store.plan(plan_of(READINGS, 2, 1), epoch)
    store.drop_plan("readings", LIVE)
    assert whole(store, READINGS) == before


@pytest.mark.parametrize(
    "ns", [0, -1, 1, 999_999_999, -1_000_000_001, 253_402_300_799_999_999_999, -62_135_596_800_000_000_000]
)
def test_the_readable_view_shows_instants(store: SqliteStore, ns: int) -> None:
    """ISO 8601 in UTC to the nanosecond, as far as int64 and four-digit years go."""
    bounded = max(-(2**63), min(ns, 2**63 - 1))
    epoch = store.open("readings", LIVE).epoch
    store.commit(outcome_of(READINGS, 1, [reading("a", bounded)]), READINGS, epoch)
    view = store.table("readings_readable")
    assert view is not None
    whole_text = iso(bounded).removesuffix("Z")
    seconds, _, fraction = whole_text.partition(".")
    assert view["taken"].item() == f"{seconds}.{fraction.ljust(9, '0')}Z"


def test_the_compound_index_answers_look_ups(store: SqliteStore, folder: Path) -> None:
    """Identities are found by asset and time without a scan of the table."""
    with closing(SqliteConnection(folder / "hotfire.db")) as connection:
        plan = connection.query(
            'EXPLAIN QUERY PLAN SELECT * FROM "readings" WHERE device = ? AND taken_ns = ?', ["a", 1]
        )
        assert "readings_asset_time" in plan["detail"].item()


def test_every_named_query_runs(store: SqliteStore) -> None:
    """Each statement of the `.sql` files is valid on the schema, with its parameters."""
    texts = ("rule", "asset", "channel", "alarm_id", "action_id", "first_id", "end_id")
    values = {"stream": "s", "shard": "live", "state": "", "hash": "h", "sign": "%x%", **dict.fromkeys(texts, "x")}
    for name in queries():
        _, parameters = positional(name)
        store.query(name, **{one: values.get(one, 1) for one in parameters})


def test_jobs_are_written_down(store: SqliteStore) -> None:
    """From begin to end; those that were killed are buried by the next owner."""
    store.jobs.start("one", "ingest", "readings")
    store.jobs.end("one", "done", '{"received": 1}')
    store.jobs.start("two", "ingest", "readings")
    store.jobs.bury()
    found = store.query("jobs", page=9).sort("job_id").select("job_id", "status", "summary").rows()
    assert found == [("one", "done", '{"received": 1}'), ("two", "failed", '{"error": "killed"}')]


def test_two_processes_that_ask_for_backfills_get_one_each(folder: Path, store: SqliteStore) -> None:
    """Numbers are given once, whoever is faster: no request is lost."""
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as other, ThreadPoolExecutor(2) as pool:
        asked = pool.map(
            lambda one: {one[0].begin_backfill("readings", f"{one[1]} {number}"): number for number in range(20)},
            ((store, "one"), (other, "other")),
        )
        numbers = [number for own in asked for number in own]
    assert sorted(numbers) == list(range(1, 41))
    assert store.query("backfills", stream="readings")["spec"].n_unique() == 40


def test_a_name_is_quoted() -> None:
    """Whatever a contract calls a column, it stays one identifier."""
    assert ddl.quoted('a "b" c') == '"a ""b"" c"'


def test_a_key_may_be_a_word_of_sql(folder: Path) -> None:
    """Streams and columns named after keywords are as good as others."""
    words = replace(
        ROCKETS,
        stream="select",
        columns=(Column("order", "string", required=True), Column("group", "number")),
        key=("order",),
    )
    with closing(SqliteStore(folder / "hotfire.db", ManualClock())) as store:
        store.ensure(words, TEXTS)
        epoch = store.open("select", LIVE).epoch
        for batch_seq in (1, 2):
            store.commit(outcome_of(words, batch_seq, [{"order": "a", "group": float(batch_seq)}]), words, epoch)
        table = store.table("select")
        assert table is not None
        assert table.select("order", "group").rows() == [("a", 2.0)]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 999), "is not a SQLite database"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be opened"),
    ],
)
def test_a_file_that_is_no_store_is_named(folder: Path, spoil: object, said: str) -> None:
    """The path, what is wrong with it, and what to do."""
    path = folder / "hotfire.db"
    path.touch()
    spoil(path)  # type: ignore[operator]
    with pytest.raises(StoreUnusable, match=said) as refused:
        SqliteStore(path, ManualClock())
    assert str(path) in refused.value.what
    assert refused.value.do


def test_a_saved_store_is_of_one_moment(tmp_path: Path) -> None:
    """Written while another connection is in the middle of a batch: what was committed is there, rowids and all."""
    with (
        closing(SqliteStore(tmp_path / "a.db", ManualClock())) as store,
        closing(SqliteConnection(store.path)) as other,
    ):
        store.ensure(READINGS, [])
        epoch = store.open("readings", LIVE).epoch
        clock = assets_of(("a", 100, None, 0, 1))
        for seq in (1, 2, 3):
            store.commit(outcome_of(READINGS, seq, [reading("a", seq)], assets=clock), READINGS, epoch)
        store.clear(READINGS, Clearing(LIVE, 1, 2, 0, 9), LIVE, epoch)
        other.query("DELETE FROM readings WHERE taken_ns = 2")
        (tmp_path / "saved").mkdir()
        store.save(tmp_path / "saved")
        other.rollback()
        with closing(SqliteStore(tmp_path / "saved" / "hotfire.db", ManualClock())) as saved:
            assert saved.incarnation == store.incarnation
            assert held(saved, READINGS).equals(held(store, READINGS))
            assert held(saved, READINGS)["taken_ns"].to_list() == [2, 3]


def test_rows_that_are_not_where_the_ledger_says_are_no_backup(tmp_path: Path) -> None:
    """A copy whose rows cannot be read again by batch is refused, and it is said of which table."""
    with closing(SqliteStore(tmp_path / "a.db", ManualClock())) as store:
        store.ensure(READINGS, [])
        epoch = store.open("readings", LIVE).epoch
        store.commit(outcome_of(READINGS, 1, [reading("a", 1)]), READINGS, epoch)
        with closing(SqliteConnection(store.path)) as other:
            other.query("UPDATE readings SET rowid = 7")
            other.commit()
        (tmp_path / "saved").mkdir()
        with pytest.raises(StoreUnusable, match="Rows of readings"):
            store.save(tmp_path / "saved")
