"""The launches workspace: what changes from one snapshot of the API to a later one, and what is kept of it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotfire.engine.loop import run
from hotfire.errors import Refused, UserError
from hotfire.ledger.digest import digest, total
from hotfire.sql.duck import query
from hotfire.sql.records import records
from hotfire.testing.documents import Document
from hotfire.testing.launches import later, made_up
from hotfire.testing.replica import replica
from hotfire.workspace.backup import back_up
from hotfire.workspace.doctor import examine
from hotfire.workspace.restore import restore
from hotfire.workspace.settings import load
from hotfire.workspace.tables import tables
from hotfire.workspace.templates import create
from hotfire.workspace.vitals import Vitals
from hotfire.workspace.wiring import Workspace

REAL = Path(__file__).parents[4] / "shared" / "data" / "spacex"
NOW = made_up(60)
LATER = later(NOW)


class Launches:
    """A workspace of the template, over one kind of store."""

    def __init__(self, folder: Path, url: str = "") -> None:
        create("launches", folder)
        self.folder, self.jobs = folder, 0
        self.environment = {"HOTFIRE_STORE__URL": url} if url else {}

    def workspace(self) -> Workspace:
        return Workspace(load(self.folder, self.environment, {}))

    def ingest(self, found: list[Document], stream: str = "launches") -> dict[str, Any] | None:
        """One job over what a web API would answer; its row of the snapshot."""
        self.jobs += 1
        file, job_id = self.folder / "incoming" / f"{stream}-{self.jobs}.json", f"job{self.jobs}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found), encoding="utf-8")
        with self.workspace() as workspace:
            contract = workspace.prepare(stream)
            self.counts = run(workspace.ingest_flow(contract, job_id, [str(file)])[0])
            return workspace.store.snapshots.last(stream, job_id)

    def poll(self, plan: str, *, reconcile: bool = False) -> tuple[int, str | None]:
        """One job over the API by that plan: how many requests it sent, and the kind of its snapshot."""
        self.jobs += 1
        with Workspace(load(self.folder, self.environment, {}), reconcile=reconcile) as workspace:
            flow, _ = workspace.ingest_flow(workspace.prepare("launches"), f"job{self.jobs}")
            run(flow)
            row = workspace.store.snapshots.last("launches", f"job{self.jobs}")
            assert workspace.asked is not None
            assert workspace.asked.looked.plan == plan
            return workspace.asked.calls, row and row["kind"]

    def sql(self, statement: str) -> list[dict[str, Any]]:
        with self.workspace() as workspace:
            return records(query(statement, tables(workspace)).frame)

    def digest(self) -> str:
        with self.workspace() as workspace:
            contracts = [workspace.prepare(stream) for stream in workspace.settings.streams]
            return total([(one.stream, digest(one, workspace.store, workspace.lake)) for one in contracts])

    def snapshot_file(self) -> Path:
        return self.folder / "snapshots" / "launch_aggregations.sql"


@pytest.fixture(params=["sqlite", "postgresql"])
def ws(request: pytest.FixtureRequest, tmp_path: Path) -> Launches:
    url = "" if request.param == "sqlite" else request.getfixturevalue("new_store_url")()
    return Launches(tmp_path / "ws", url)


@pytest.fixture
def small(tmp_path: Path) -> Launches:
    """One over SQLite."""
    return Launches(tmp_path / "ws")


def changed(before: list[Document], after: list[Document]) -> set[str]:
    known = {one["id"]: one for one in before}
    return {one["id"] for one in after if known.get(one["id"]) != one}


def test_exactly_what_changed_is_stored(ws: Launches) -> None:
    """New and corrected launches become versions, the rest are duplicates; a third job writes nothing at all."""
    ws.ingest(NOW["launches"])
    ws.ingest(LATER["launches"])
    versions = ws.sql("select id, batch_seq, details from launches_history order by batch_seq, row_no")
    assert {one["id"] for one in versions if one["batch_seq"] == 2} == changed(NOW["launches"], LATER["launches"])
    assert len(versions) == 60 + 7
    corrected = [one["id"] for one in versions if one["details"] == "Corrected."]
    assert len(corrected) == 3
    assert all(sum(one["id"] == other for one in versions) == 2 for other in corrected)
    current = {one["id"]: one["details"] for one in ws.sql("select id, details from launches")}
    assert current == {one["id"]: one["details"] for one in LATER["launches"]}
    raw = ws.sql("select launch_id, content_hash, job_id from raw_launches")
    assert len({one["content_hash"] for one in raw}) == len(raw) == 67
    assert [sum(one["job_id"] == job for one in raw) for job in ("job1", "job2")] == [60, 7]
    assert ws.ingest(LATER["launches"]) is None
    assert ws.sql("select count(*) as n from launches_history") == [{"n": 67}]
    assert ws.counts.duplicate == 62


def test_every_change_leaves_one_snapshot(ws: Launches) -> None:
    """A row for each job that changed something, of what the tables held in that commit."""
    first, second = ws.ingest(NOW["launches"]), ws.ingest(LATER["launches"])
    assert ws.ingest(LATER["launches"]) is None
    rows = ws.sql("select * from launch_aggregations order by updated_at")
    assert [(one["job_id"], one["kind"], one["batch_size"], one["id"]) for one in rows] == [
        ("job1", "initial", 60, 1),
        ("job2", "incremental", 7, 2),
    ]
    for row, shown, launches in zip(rows, (first, second), (NOW["launches"], LATER["launches"]), strict=True):
        outcomes = [one["success"] for one in launches if one["success"] is not None]
        dates = [one["date_utc"].replace(".000", "") for one in launches]
        assert (row["total_launches"], row["total_successful_launches"]) == (len(launches), sum(outcomes))
        assert row["total_failed_launches"] == len(outcomes) - sum(outcomes)
        assert row["success_rate"] == shown["success_rate"] == sum(outcomes) / len(outcomes)
        assert (row["earliest_launch_date"], row["latest_launch_date"]) == (min(dates), max(dates))
        assert row["total_launch_sites"] == 4
    committed = ws.sql("select committed_at_ns as at from hf_ledger where stream = 'launches' order by batch_seq")
    assert [row["updated_at_ns"] for row in rows] == [one["at"] for one in committed[:2]]


def test_the_order_of_records_and_of_entities_means_nothing(tmp_path: Path) -> None:
    """The same records in any order give the same digest."""
    chance, found = random.Random(5), set()
    for number in range(3):
        one, streams = Launches(tmp_path / str(number)), list(NOW)
        chance.shuffle(streams)
        for stream in streams:
            one.ingest(chance.sample(NOW[stream], len(NOW[stream])), stream)
        found.add(one.digest())
    assert len(found) == 1


def test_questions_have_names(small: Launches) -> None:
    """Each query of the template answers, by its name alone and as a table of another statement."""
    small.ingest(NOW["launches"])
    assert small.sql("milestones")[0]["milestone"] == 1
    past = sum(not one["upcoming"] for one in NOW["launches"])
    assert small.sql("select sum(launches)::int as n from launches_by_month") == [{"n": past}]
    assert [one["year"] for one in small.sql("success_by_year")] == [2006, 2007, 2008, 2009, 2010]
    assert [(one["job_id"], one["stored"]) for one in small.sql("rows_by_job")] == [("job1", 60)]
    names = {one["name"] for one in small.sql("show tables")}
    assert {"raw_launches", "milestones", "launch_aggregations"} <= names


def test_queries_may_build_on_queries_but_not_in_a_circle(small: Launches) -> None:
    """A query that selects from itself, writes, or is called like a table says so by its file."""
    small.ingest(NOW["launches"])
    folder = small.folder / "queries"
    (folder / "best_year.sql").write_text("select max(launches) as n from success_by_year -- the most\n;")
    assert small.sql("select n from best_year") == small.sql("best_year")
    (folder / "a.sql").write_text("from b")
    (folder / "b.sql").write_text("from a")
    (folder / "c.sql").write_text("drop table x")
    (folder / "d.sql").write_text("select nothing from launches")
    for statement, file, said in (
        ("from a", "a", "selects from itself"),
        ("from c", "c", "only reads"),
        ("from d", "d", "nothing"),
    ):
        with pytest.raises(UserError, match=rf"queries/{file}\.sql.*{said}"):
            small.sql(statement)
    (folder / "launches.sql").write_text("select 1")
    with pytest.raises(UserError, match=r"queries/launches\.sql cannot be a query's name"):
        small.sql("success_by_year")


def test_references_that_lead_nowhere_are_reported(small: Launches) -> None:
    """The record is stored; doctor names what is missing, and mends nothing."""
    launch = {**NOW["launches"][0], "rocket": "unknown", "payloads": ["here", "gone"]}
    small.ingest([launch])
    small.ingest(NOW["rockets"], "rockets")
    small.ingest([{"id": "here"}], "payloads")
    with small.workspace() as workspace:
        looked = {one.name: one for one in examine(workspace, Vitals(workspace))}
    assert all(one.ok for one in looked.values())
    assert looked["references/launches.rocket"].detail == "1 of 1 are not in rockets: unknown"
    assert looked["references/launches.payload_ids"].detail == "1 of 2 are not in payloads: gone"
    assert "holds nothing yet" in looked["references/launches.launchpad"].detail
    assert small.sql("select count(*) as n from launches") == [{"n": 1}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select 1 as n", "does not say of which stream"),
        ("-- stream: launche\nselect 1 as n", "Did you mean launches"),
        ("-- stream: launches\ndelete from launches", "not one SELECT"),
        ("-- stream: launches\nselect 1 as n; select 2", "not one SELECT"),
        ("-- stream: launches\nselect nothing from launches", "nothing"),
        ("-- stream: launches\nselect 1 as job_id", "job_id"),
        ("-- stream: launches\nselect 1 as n, 2 as n", "n"),
    ],
)
def test_a_snapshot_that_cannot_be_used_is_refused_before_anything_is_read(ws: Launches, text: str, said: str) -> None:
    """The file is named, with what is wrong; no batch is begun."""
    ws.snapshot_file().write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        ws.ingest(NOW["launches"])
    assert "snapshots/launch_aggregations.sql" in error.value.what
    assert said in f"{error.value.what} {error.value.do}"
    assert ws.sql("select count(*) as n from hf_ledger") == [{"n": 0}]


def test_a_stream_has_one_snapshot_and_its_table_keeps_its_columns(small: Launches) -> None:
    """A second file, a stream's name, or other columns in the same table are refused with what to do."""
    small.ingest(NOW["launches"])
    own = small.snapshot_file().read_text("utf-8")
    for name, text, said in (
        ("launch_aggregations", "-- stream: launches\nselect count(*) as n from launches", "another name"),
        ("others", own, "both of the stream"),
        ("rockets_history", "-- stream: launches\nselect 1 as n", "cannot be a table's name"),
    ):
        file = small.folder / "snapshots" / f"{name}.sql"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError) as error:
            small.ingest(LATER["launches"])
        assert said in f"{error.value.what} {error.value.do}"
        file.unlink()
        small.snapshot_file().write_text(own, encoding="utf-8")
    assert small.ingest(LATER["launches"]) is not None


def test_a_snapshot_that_fails_in_the_commit_undoes_the_commit(ws: Launches) -> None:
    """What only the rows show: nothing is committed, and the next run finishes the batch once the file is mended."""
    own = ws.snapshot_file().read_text("utf-8")
    broken = (
        "-- stream: launches\nselect cast(max(case when name = 'Mission 7' then {} end) as bigint) as n from launches"
    )
    fails = {"sqlite": "abs(-9223372036854775807 - 1)", "postgresql": "1 / (flight_number - 7)"}
    kind = "postgresql" if ws.environment else "sqlite"
    ws.snapshot_file().write_text(broken.format(fails[kind]), encoding="utf-8")
    with pytest.raises(Refused, match=r"snapshots/launch_aggregations\.sql"):
        ws.ingest(NOW["launches"])
    assert ws.sql("select count(*) as n from launches_history") == [{"n": 0}]
    ws.snapshot_file().rename(ws.folder / "snapshots" / "launch_totals.sql")
    (ws.folder / "snapshots" / "launch_totals.sql").write_text(own, encoding="utf-8")
    row = ws.ingest(NOW["launches"])
    assert row is None or row["batch_size"] == 60
    assert ws.sql("select total_launches, batch_size from launch_totals") == [{"total_launches": 60, "batch_size": 60}]


def later_real(launches: list[Document]) -> Iterator[Document]:
    for one in launches:
        yield {**one, "success": True, "upcoming": False} if one["flight_number"] == 185 else one
    yield {**launches[-1], "id": "new", "name": "new", "flight_number": 208}


def test_the_real_records_of_2022_are_taken_whole(ws: Launches) -> None:
    """193 launches, 4 rockets, 6 launchpads: none is quarantined, none corrected; a later state changes two rows."""
    if not REAL.is_dir():
        pytest.skip("the real records are not beside the repository, in ../shared/data/spacex")
    real = {
        stream: json.loads((REAL / f"{stream}.json").read_text("utf-8"))
        for stream in ("launches", "rockets", "launchpads")
    }
    for stream, found in real.items():
        ws.ingest(found, stream)
        assert (ws.counts.stored, ws.counts.received, ws.counts.corrected) == (len(found), len(found), 0)
    ws.ingest([*later_real(real["launches"])])
    assert (ws.counts.stored, ws.counts.duplicate) == (2, 192)
    rows = ws.sql(
        "select total_launches, total_successful_launches as won, total_failed_launches as lost from launch_aggregations order by id"
    )
    assert rows == [{"total_launches": 193, "won": 178, "lost": 5}, {"total_launches": 194, "won": 179, "lost": 5}]


def test_the_api_is_read_by_the_least_that_tells(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Initial, nothing new, incremental, compared as a whole: each change leaves a snapshot that says by which plan."""
    for url in ("", request.getfixturevalue("new_store_url")()):
        ws = Launches(tmp_path / f"ws{bool(url)}", url)
        with replica(NOW, LATER) as server:
            ws.environment["HOTFIRE_STREAMS__LAUNCHES__SOURCE__BASE_URL"] = server.url
            assert ws.poll("initial") == (1, "initial")
            for _ in range(3):
                assert ws.poll("unchanged") == (1, None)
            server.step()
            assert ws.poll("incremental") == (2, "incremental")
            assert ws.poll("unchanged") == (1, None)
            assert ws.poll("reconcile", reconcile=True) == (1, "reconcile")
            assert ws.poll("reconcile", reconcile=True) == (1, None)
        rows = ws.sql("select kind, batch_size from launch_aggregations order by id")
        assert [(one["kind"], one["batch_size"]) for one in rows] == [
            ("initial", 60),
            ("incremental", 4),
            ("reconcile", 3),
        ]
        assert ws.sql("select count(*) as n from launches_history") == [{"n": 67}]


def test_a_backup_has_the_snapshots(ws: Launches, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Put back elsewhere, the rows of the snapshot, the queries and what writes both are there."""
    ws.ingest(NOW["launches"])
    with ws.workspace() as workspace:
        back_up(workspace, tmp_path / "backup")
    again = Launches(tmp_path / "again")
    shutil.rmtree(again.folder)
    again.folder.mkdir()
    if ws.environment:
        again.environment["HOTFIRE_STORE__URL"] = request.getfixturevalue("new_store_url")()
        request.getfixturevalue("monkeypatch").setenv("HOTFIRE_STORE__URL", again.environment["HOTFIRE_STORE__URL"])
    restore(tmp_path / "backup", again.folder)
    assert again.sql("select total_launches, job_id from launch_aggregations") == [
        {"total_launches": 60, "job_id": "job1"}
    ]
    assert len(again.sql("success_by_year")) == 5
    again.jobs = 1
    assert (again.ingest(LATER["launches"]) or {})["id"] == 2
