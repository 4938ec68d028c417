"""Crashes, lost files and old backups, as `doctor`, `balance` and `ingest` tell of them, and the way out of each."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.clock import iso
from hotfire.engine.flow import judged, plan_of
from hotfire.engine.loop import run as run_engine
from hotfire.source.spool.writer import Spool
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.workspace.settings import load
from hotfire.workspace.wiring import Workspace

Run = Callable[..., Any]


def interrupt(folder: Path, place: Path) -> None:
    """Leave what a process leaves that is killed after planning a batch and before committing it."""
    with Workspace(load(folder, {}, {})) as workspace:
        workspace.store.jobs.start("killed", "ingest", "events")
        contract = workspace.prepare("events")
        flow, source = workspace.ingest_flow(contract, "killed", [str(place)])
        checkpoint = workspace.store.open("events", "live")
        read = source.poll(checkpoint.position)
        assert read is not None
        batch = judged(contract, read, workspace.clock.now_ns())
        workspace.store.plan(plan_of(flow, batch, checkpoint.committed_seq + 1), checkpoint.epoch)


def checks(looked: Any) -> dict[str, bool]:
    """What `doctor --json` says of each check."""
    return {one["name"]: one["ok"] for one in looked.document["checks"]}


def test_an_interrupted_batch_is_finished(run: Run, make: Any, fleet: Path) -> None:
    """It is pending until the next ingest, which finishes it, says so, and counts it."""
    place = make.write(fleet / "events.jsonl", make.dirty(100))
    interrupt(fleet, place)
    pending = run("balance", "events", "--json", cwd=fleet)
    assert (pending.code, pending.document["streams"][0]["pending"], pending.document["streams"][0]["received"]) == (
        0,
        100,
        100,
    )
    assert "+ pending 100" in run("balance", "events", cwd=fleet).out
    assert run("why", "events.jsonl:1", "--json", cwd=fleet).document["fate"] == "pending"
    looked = run("doctor", cwd=fleet)
    assert looked.code == 0
    assert "batch 1 was interrupted; the next ingest finishes it" in looked.out
    assert "job killed (ingest) was killed" in looked.out
    done = run("ingest", "events", "--from", place, "--json", cwd=fleet).document
    assert (done["received"], done["stored"]) == (100, 93)
    assert done["finished"] == ["finished batch 1, which was interrupted: 100 records"]
    assert run("balance", "events", "--json", cwd=fleet).document["streams"][0]["pending"] == 0
    jobs = run("sql", "select status from hf_job where job_id = 'killed'", "--json", cwd=fleet).document
    assert jobs == [{"status": "failed"}]


def test_a_plan_whose_file_changed_can_be_dropped(run: Run, make: Any, fleet: Path) -> None:
    """Ingest refuses with exit 3 and does nothing; `doctor --repair` drops the plan; then the file as it is comes in."""
    place = make.write(fleet / "events.jsonl", make.dirty(100))
    interrupt(fleet, place)
    lines = make.dirty(100)
    make.write(place, lines[:90])
    refused = run("ingest", "events", "--from", place, "--json", cwd=fleet)
    assert refused.code == 3
    assert str(place) in refused.document["error"]
    looked = run("doctor", "--json", cwd=fleet)
    assert (looked.code, checks(looked)["plans/events"]) == (1, False)
    mended = run("doctor", "--repair", "--json", cwd=fleet)
    assert mended.code == 0
    assert "dropped the plan of batch 1" in mended.document["repaired"][0]
    done = run("ingest", "events", "--from", place, "--json", cwd=fleet)
    assert (done.code, done.document["received"]) == (0, 90)
    assert run("balance", cwd=fleet).code == 0


def test_files_that_are_gone_cannot_be_counted_again(run: Run, make: Any, fleet: Path) -> None:
    """`balance --reread` says which file is gone and how many batches it held; what is left is counted, exit 0."""
    lines = make.dirty(300)
    for name, part in (("kept.jsonl", lines[:100]), ("lost.jsonl", lines[100:200]), ("changed.jsonl", lines[200:])):
        run("ingest", "events", "--from", make.write(fleet / name, part).name, cwd=fleet)
    (fleet / "lost.jsonl").unlink()
    make.write(fleet / "changed.jsonl", lines[:100])
    again = run("balance", "events", "--reread", cwd=fleet)
    assert (again.code, again.err) == (0, "")
    assert "changed.jsonl has other content now: batch 3 cannot be counted again" in again.out
    assert "lost.jsonl is gone: batch 2 cannot be counted again" in again.out
    assert again.out.splitlines()[-1] == "balanced, but for 2 of 3 batches that could not be read again"
    document = run("balance", "--reread", "--json", cwd=fleet).document
    assert (document["balanced"], document["streams"][1]["unread_batches"]) == (True, 2)
    assert "planned" not in again.out


def test_what_is_one_is_said_of_one(hotfire: Run) -> None:
    """One file is no files, and one stream's digest needs no total."""
    assert "1 file, all there" in hotfire("doctor").out
    assert [line.split()[1] for line in hotfire("digest", "events").out.splitlines()] == ["events"]
    assert [line.split()[1] for line in hotfire("digest").out.splitlines()] == ["boxes", "events", "(all)"]


def test_a_store_from_an_old_backup_is_noticed(run: Run, make: Any, fleet: Path) -> None:
    """With a lake ahead of the store ingest exits 3; `doctor --repair` takes the lake back, and what was lost comes in."""
    lines = make.dirty(200)
    place = make.write(fleet / "events.jsonl", lines[:100])
    run("ingest", "events", "--from", place, cwd=fleet)
    shutil.copytree(fleet / "data", fleet / "backup")
    make.write(place, lines)
    run("ingest", "events", "--from", place, cwd=fleet)
    whole = run("digest", "--json", cwd=fleet).document
    for file in (fleet / "data").glob("hotfire.db*"):
        file.unlink()
    for file in (fleet / "backup").glob("hotfire.db*"):
        shutil.copy(file, fleet / "data" / file.name)
    refused = run("ingest", "events", "--from", place, "--json", cwd=fleet)
    assert refused.code == 3
    assert "doctor --repair" in refused.document["do"]
    assert run("balance", cwd=fleet).code == 1
    assert run("doctor", cwd=fleet).code == 1
    mended = run("doctor", "--repair", "--json", cwd=fleet)
    assert mended.code == 0, mended.out
    assert "took the lake back to batch 1" in mended.document["repaired"][0]
    assert run("ingest", "events", "--from", place, "--json", cwd=fleet).document["received"] == 100
    assert run("balance", cwd=fleet).code == 0
    assert run("digest", "--json", cwd=fleet).document == whole


def test_a_lost_lake_file_is_named(run: Run, make: Any, fleet: Path) -> None:
    """`doctor` names the missing file, `balance` refuses with exit 3, and the way out that `doctor` tells works."""
    place = make.write(fleet / "events.jsonl", make.dirty(100))
    run("ingest", "events", "--from", place, cwd=fleet)
    lost = next((fleet / "data" / "lake" / "events").rglob("*.parquet"))
    lost.unlink()
    looked = run("doctor", "--json", cwd=fleet)
    assert (looked.code, checks(looked)["lake.files/events"]) == (1, False)
    assert lost.name in next(one for one in looked.document["checks"] if one["name"] == "lake.files/events")["detail"]
    refused = run("balance", "--json", cwd=fleet)
    assert refused.code == 3
    assert "hotfire doctor --repair" in refused.document["do"]


def unlink_a_file(table: Path) -> None:
    next(table.rglob("*.zstd.parquet")).unlink()


def cut_a_file(table: Path) -> None:
    os.truncate(next(table.rglob("*.zstd.parquet")), 50)


def overwrite_a_file(table: Path) -> None:
    file = next(table.rglob("*.zstd.parquet"))
    file.write_bytes(b"\0" * file.stat().st_size)


def spoil_the_log(table: Path) -> None:
    (table / "_delta_log" / f"{2:020d}.json").write_text("{")


@pytest.mark.parametrize("harm", [unlink_a_file, cut_a_file, overwrite_a_file, spoil_the_log])
def test_a_damaged_lake_is_made_anew(run: Run, make: Any, fleet: Path, harm: Callable[[Path], None]) -> None:
    """`doctor --repair` moves the broken table aside, fills a new one from the store, and counts it again."""
    lines = make.dirty(300)
    for at in range(3):
        place = make.write(fleet / f"events-{at}.jsonl", lines[100 * at : 100 * at + 100])
        assert run("ingest", "events", "--from", place, cwd=fleet).code == 0
    whole = run("digest", "--json", cwd=fleet).document
    table = fleet / "data" / "lake" / "events"
    harm(table)
    kept = {path.relative_to(table): path.read_bytes() for path in table.rglob("*") if path.is_file()}
    looked = run("doctor", "--json", cwd=fleet)
    told = next(one for one in looked.document["checks"] if one["name"] == "lake.files/events")
    assert (looked.code, told["ok"], "hotfire doctor --repair" in told["do"]) == (1, False, True)
    mended = run("doctor", "--repair", "--json", cwd=fleet)
    assert mended.code == 0, mended.out
    moved, made = mended.document["repaired"]
    aside = Path(moved.rpartition("Moved the broken table to ")[2])
    assert made == "events: made the lake's table anew from the store: 279 rows, balanced"
    assert {path.relative_to(aside): path.read_bytes() for path in aside.rglob("*") if path.is_file()} == kept
    assert run("balance", cwd=fleet).code == 0
    assert run("digest", "--json", cwd=fleet).document == whole
    assert run("doctor", "--repair", "--json", cwd=fleet).document["repaired"] == []
    assert run("ingest", "events", "--from", place, "--json", cwd=fleet).document["received"] == 0


def test_a_lake_is_not_made_anew_from_less_than_all(run: Run, make: Any, fleet: Path) -> None:
    """Where the store has lost rows, or never had any, the broken table stays where it is, and a backup is asked for."""
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write("\n[streams.boxes]\nlake_only = true\n")
    values = {"co": 0.01, "lpg": 0.01, "smoke": 0.01, "humidity": 50.0, "temp": 20.0, "light": True, "motion": False}
    box = json.dumps({"device_id": "b", "ts": 1594598735.5, "device": "x", "data": values}).encode()
    assert run("ingest", "boxes", "--from", make.write(fleet / "b.jsonl", [box]), cwd=fleet).code == 0
    assert run("ingest", "events", "--from", make.write(fleet / "e.jsonl", make.dirty(100)), cwd=fleet).code == 0
    (fleet / "b.jsonl").unlink()
    with closing(SqliteConnection(fleet / "data" / "hotfire.db")) as connection:
        connection.query("DELETE FROM events WHERE event_id = 'e000001'")
        connection.commit()
    for stream in ("boxes", "events"):
        unlink_a_file(fleet / "data" / "lake" / stream)
    mended = run("doctor", "--repair", cwd=fleet)
    assert not list((fleet / "data" / "lake").glob("*.broken*"))
    assert "boxes from a backup: this stream's rows are kept nowhere else." in mended.out
    assert f"Rows of batches 1 to 1 may be lost; they came from {fleet / 'b.jsonl'} (gone)." in mended.out
    assert "events from a backup: the store does not hold every row (events/live batch 1" in mended.out


def test_a_lake_left_behind_catches_up(run: Run, make: Any, fleet: Path) -> None:
    """A lake that lost its table is behind, not wrong: `doctor --repair` fills it from the store."""
    place = make.write(fleet / "events.jsonl", make.dirty(100))
    run("ingest", "events", "--from", place, cwd=fleet)
    shutil.rmtree(fleet / "data" / "lake" / "events")
    assert "at batch 0 of 1" in run("doctor", cwd=fleet).out
    assert run("doctor", "--repair", cwd=fleet).code == 0
    found = run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document
    assert found == [{"n": 93}]


def test_clocks_that_were_never_set_are_found(run: Run, make: Any, fleet: Path) -> None:
    """An asset whose readings are from 1970 is named."""
    make.write(fleet / "events.jsonl", [json.dumps(make.event(1, timestamp="1970-01-01T00:00:07Z")).encode()])
    assert run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet).document["stored"] == 1
    looked = run("doctor", "--json", cwd=fleet)
    assert (looked.code, checks(looked)["clocks/events"]) == (1, False)


def test_a_lost_store_does_not_fill_the_lake_twice(run: Run, make: Any, fleet: Path) -> None:
    """A new store under an old lake: refused, nothing is written, and whoever moves the lake's table away begins anew."""
    place = make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", place, cwd=fleet).code == 0
    (fleet / "data" / "hotfire.db").unlink()
    for command in (("ingest", "events", "--from", place), ("doctor", "--repair")):
        refused = run(*command, cwd=fleet)
        assert (refused.code, "The lake of events holds rows of another store." in refused.err) == (3, True)
    assert checks(run("doctor", "--json", cwd=fleet))["lake.marker/events"] is False
    assert run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document == [{"n": 93}]
    (fleet / "data" / "lake" / "events").rename(fleet / "old")
    assert run("ingest", "events", "--from", place, "--json", cwd=fleet).document["stored"] == 93
    assert run("balance", cwd=fleet).code == 0


def live_rows(folder: Path, make: Any, clocks: dict[str, Callable[[float], float]], seconds: int) -> None:
    """Each device sends an event a second by its own clock; it is received 200 ms later, and committed after a second."""
    start_s, clock = 1_780_272_000, ManualClock(1_780_272_000_200_000_000)
    items = [
        make.event(second * 10 + number, device_id=device, timestamp=iso(int(own(start_s + second) * 1e6) * 1000))
        for second in range(seconds)
        for number, (device, own) in enumerate(clocks.items())
    ]

    def go_on(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
        clock.sleep(1)
        return not idle

    with Workspace(load(folder, {}, {}), clock) as workspace:
        flow = workspace.idle_flow(workspace.prepare("events"), "live")
        run_engine(replace(flow, source=ListSource(items, len(clocks))), go_on=go_on)


def test_clocks_that_are_wrong_are_told_with_what_to_do(run: Run, make: Any, fleet: Path) -> None:
    """A local time sent as UTC (also one whose rows are all rejected as ahead), GPS time, drift, and 1970: by asset."""
    clocks: dict[str, Callable[[float], float]] = {
        "device_0001": lambda now: now,
        "device_0002": lambda now: now - 5 * 3600,
        "device_0003": lambda now: now + 2 * 3600,
        "device_0004": lambda now: now + 18,
        "device_0005": lambda now: now + (now - 1_780_272_000) * 2e-3,
        "device_0006": lambda now: now - 1_780_272_000,
    }
    live_rows(fleet, make, clocks, 300)
    looked = run("doctor", "--json", cwd=fleet)
    said = {one["name"]: one for one in looked.document["checks"]}
    wrong = {name for name, one in said.items() if not one["ok"]}
    assert (looked.code, wrong) == (
        1,
        {"clocks/events", "clocks.hours/events", "clocks.leap_seconds/events", "clocks.drift/events"},
    )
    assert "device_0006 sent 300 rows from before 2000" in said["clocks/events"]["detail"]
    hours = said["clocks.hours/events"]
    assert "device_0002 is 5 h behind; device_0003 is 2 h ahead" in hours["detail"]
    assert "hotfire.zone" in hours["do"]
    assert "device_0004 is 18 s ahead, as GPS time is of UTC" in said["clocks.leap_seconds/events"]["detail"]
    assert "device_0005 gains 172.8 s a day" in said["clocks.drift/events"]["detail"]
    assert not any("device_0001" in one["detail"] for one in said.values())
    (boxes, events) = looked.document["streams"]
    assert (boxes["p50_ms"], boxes["live_rows"]) == (None, 0)
    assert events["live_rows"] == 900
    assert events["p95_ms"] == 1200.0
    assert events["received_to_committed_ms"] == {"p50": 1000.0, "p95": 1000.0, "p99": 1000.0}


def push(folder: Path, stream: str, *payloads: bytes) -> Path:
    """Leave pushed rows as a server leaves them that was killed; their spool."""
    spool_folder = folder / "data" / "spool" / "http" / stream
    with closing(Spool(spool_folder, ManualClock())) as spool:
        for payload in payloads:
            done = spool.append(payload)
            assert done is not None
            done.result(10)
    return spool_folder


def test_pushed_rows_that_wait_or_are_damaged_are_told(run: Run, make: Any, fleet: Path) -> None:
    """What waits for the next run is well; rows of a stream that is gone, and damage on disk, are said with what to do."""
    lines = b"\n".join(make.dirty(20)) + b"\n"
    push(fleet, "events", lines)
    push(fleet, "gone", lines)
    said = {one["name"]: one for one in run("doctor", "--json", cwd=fleet).document["checks"]}
    assert said["spool/events"]["ok"]
    assert "bytes wait for the next `hotfire up`" in said["spool/events"]["detail"]
    assert not said["spool/gone"]["ok"]
    assert "[streams.gone.source]" in said["spool/gone"]["do"]
    assert run("ingest", "events", "--json", cwd=fleet).document["received"] == 20
    shutil.rmtree(fleet / "data" / "spool" / "http" / "gone")
    looked = run("doctor", "--json", cwd=fleet)
    assert (looked.code, checks(looked)["spool/events"]) == (0, True)
    assert "nothing waits" in run("doctor", cwd=fleet).out
    (segment,) = push(fleet, "events", lines).glob("*.segment")
    data = segment.read_bytes()
    segment.write_bytes(data[:-10] + b"##########")
    (one,) = [one for one in run("doctor", "--json", cwd=fleet).document["checks"] if one["name"] == "spool/events"]
    assert not one["ok"]
    assert "the checksum does not match" in one["detail"]


def test_what_a_pipe_has_left_is_removed(run: Run, make: Any, fleet: Path) -> None:
    """A run that was killed before its first plan leaves a file that nobody goes on with; one that began is gone on with."""
    lines = b"\n".join(make.dirty(100)) + b"\n"
    place = fleet / "data" / "spool" / f"stdin-{hashlib.sha256(lines).hexdigest()[:32]}-1"
    place.parent.mkdir(parents=True)
    place.write_bytes(lines)
    looked = run("doctor", cwd=fleet)
    assert (looked.code, "1 file (" in looked.out) == (0, True)
    assert "was killed before it began" in run("doctor", "--repair", cwd=fleet).out
    assert not place.exists()
    os.mkfifo(fleet / "pipe")
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit((fleet / "pipe").write_bytes, lines)
        interrupt(fleet, fleet / "pipe")
        writing.result(10)
    place.write_bytes(lines)
    assert "file (" not in run("doctor", cwd=fleet).out
    run("doctor", "--repair", cwd=fleet)
    assert list(place.parent.glob("stdin-*")) == []
    counted = run("balance", "events", "--json", cwd=fleet).document["streams"][0]
    assert (counted["received"], counted["balanced"]) == (100, True)


def test_how_long_live_rows_take_is_told_while_they_come(run: Run, make: Any, fleet: Path, up: Any) -> None:
    """Pushed rows with the time of their push: milliseconds from event to commit, on the way and afterwards."""
    with up(fleet) as server:
        for number in range(40):
            now = datetime.now(UTC).isoformat()
            server.push(json.dumps(make.event(number, timestamp=now)).encode() + b"\n")
        server.until(lambda: server.stream("events")["received"] == 40)
        live = run("doctor", "--json", cwd=fleet).document["streams"][1]
        assert server.stop()[0] == 0
    assert live["live_rows"] == 40
    assert 0 < live["p50_ms"] <= live["p95_ms"] <= live["p99_ms"] < 60_000
    assert 0 <= live["received_to_committed_ms"]["p50"] <= live["p50_ms"]
    looked = run("doctor", "--json", cwd=fleet).document
    (detail,) = [one["detail"] for one in looked["checks"] if one["name"] == "latency/events"]
    assert detail.startswith("from event to commit ")
    assert detail.endswith("of 40 live rows")
    assert 0 <= looked["streams"][1]["committed_to_lake_ms"]["p99"] < 60_000
