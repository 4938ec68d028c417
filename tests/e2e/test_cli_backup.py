"""A backup is of one moment, whatever goes on meanwhile; put back, everything is as it was then, and goes on exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from hotfire.engine.flow import judged, plan_of
from hotfire.workspace.settings import load
from hotfire.workspace.wiring import Workspace

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]
RETENTION = '\n[streams.events]\nretention = "30 d"\n'


def restored(run: Run, backup: Path, name: str = "restored", **environment: str) -> Path:
    """A new folder with the backup in it, which balances."""
    folder = backup.parent / name
    folder.mkdir()
    done = run("restore", backup, "--json", cwd=folder, **environment)
    assert (done.code, done.document["balanced"]) == (0, True), done.out + done.err
    return folder


def settled(run: Run, folder: Path, **environment: str) -> tuple[Any, Any]:
    """What `balance` and `digest` say."""
    balance = run("balance", "--json", cwd=folder, **environment)
    assert balance.code == 0, balance.out
    return balance.document, run("digest", "--json", cwd=folder, **environment).document


def test_a_backup_put_back_is_the_same(run: Run, make: Any, fleet: Path) -> None:
    """Balance, digest, rows and quarantine are those of the moment; what came since is taken in as if it were new."""
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write(RETENTION)
    lines = make.dirty(3000)
    first, second = make.write(fleet / "1.jsonl", lines[:2000]), make.write(fleet / "2.jsonl", lines[2000:])
    run("ingest", "events", "--from", first, cwd=fleet)
    then = settled(run, fleet)
    assert then[0]["streams"][1]["cleared"] > 0
    backup = fleet.parent / "backup"
    done = run("backup", backup, "--json", cwd=fleet)
    assert (done.code, done.document["balanced"], done.document["streams"][0]["shards"]) == (0, True, {"live": 1})
    run("ingest", "events", "--from", second, cwd=fleet)
    now = settled(run, fleet)
    shutil.rmtree(fleet / "data" / "lake")  # the backup's files are its own
    folder = restored(run, backup)
    assert settled(run, folder) == then
    assert run("doctor", cwd=folder).code == 0
    assert "300.0" in run("quarantine", "list", "--json", cwd=folder).out
    again = run("ingest", "events", "--from", first, second, "--json", cwd=folder).document
    assert (again["received"], again["stored"]) == (1000, 930)
    assert settled(run, folder)[1] == now[1]


def test_a_backup_beside_a_running_engine(run: Run, make: Any, fleet: Path, up: Up) -> None:
    """Taken while rows are pushed, committed and appended, again and again: each is whole, and goes on to the same end."""
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write(RETENTION)
    lines, done = make.dirty(2000), Event()
    backups = []
    with up(fleet) as server:

        def push() -> None:
            for at in range(0, len(lines), 20):
                assert server.push(b"\n".join(lines[at : at + 20]) + b"\n").status_code == 202
                done.wait(0.01)
            done.set()

        pusher = Thread(target=push)
        pusher.start()
        while not done.is_set() or not backups:
            backup = fleet.parent / f"backup-{len(backups)}"
            found = run("backup", backup, "--json", cwd=fleet)
            assert (found.code, found.document["balanced"]) == (0, True), found.out + found.err
            backups.append((backup, sum(one["received"] for one in found.document["streams"])))
        pusher.join()
        server.until(lambda: server.stream("events")["received"] == 2000)
        assert server.stop()[0] == 0
    whole = settled(run, fleet)[1]
    place = make.write(fleet.parent / "all.jsonl", lines)
    assert [rows for _, rows in backups] == sorted(rows for _, rows in backups)
    for backup, rows in dict([backups[0], backups[len(backups) // 2], backups[-1]]).items():
        folder = restored(run, backup, f"restored-{backup.name}")
        received = run("balance", "events", "--json", cwd=folder).document["streams"][0]["received"]
        assert received <= rows  # what was planned, and not committed, was pushed and is not here
        skipped = make.write(fleet.parent / "rest.jsonl", lines[received:])
        assert run("ingest", "events", "--from", skipped, cwd=folder).code == 0
        assert settled(run, folder)[1] == whole
        again = run("ingest", "events", "--from", place, "--json", cwd=folder).document
        assert again["stored"] == 0


def test_a_backup_of_postgresql(run: Run, make: Any, fleet: Path, new_store_url: Callable[[], str]) -> None:
    """Its tables are saved as Parquet files; put back into another schema everything is the same, and goes on."""
    here, there = ({"HOTFIRE_STORE__URL": new_store_url()} for _ in range(2))
    lines = make.dirty(600)
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write(RETENTION)
    run("ingest", "events", "--from", make.write(fleet / "1.jsonl", lines[:300]), cwd=fleet, **here)
    then = settled(run, fleet, **here)
    backup = fleet.parent / "backup"
    assert run("backup", backup, cwd=fleet, **here).code == 0
    (fleet.parent / "refused").mkdir()
    refused = run("restore", backup, "--json", cwd=fleet.parent / "refused", **here)
    assert (refused.code, "has batches already" in refused.document["error"]) == (2, True), refused.out
    assert not any((fleet.parent / "refused").iterdir())
    wrong = run("restore", backup, "--json", cwd=restored_to(fleet.parent / "wrong"))
    assert (wrong.code, "postgresql" in wrong.document["do"]) == (2, True)
    folder = restored(run, backup, **there)
    assert settled(run, folder, **there) == then
    second = make.write(fleet / "2.jsonl", lines[300:])
    for where, environment in ((fleet, here), (folder, there)):
        came = run("ingest", "events", "--from", second, "--json", cwd=where, **environment).document
        assert (came["received"], came["stored"], came["quarantined"]) == (300, 279, 15)
        asked = "select count(*) as n, count(distinct id) as ids, max(id) as last from hf_quarantine"
        assert run("sql", asked, "--csv", cwd=where, **environment).out.split() == ["n,ids,last", "30,30,30"]
    assert settled(run, folder, **there) == settled(run, fleet, **here)


def restored_to(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_is_there_is_not_overwritten(run: Run, make: Any, fleet: Path) -> None:
    """Not a folder that has files, by a backup; not a store or a lake, by a restore; settings and contracts stay."""
    run("ingest", "events", "--from", make.write(fleet / "1.jsonl", make.dirty(100)), cwd=fleet)
    full = run("backup", fleet / "contracts", "--json", cwd=fleet)
    assert (full.code, "is not empty" in full.document["error"]) == (2, True)
    backup = fleet.parent / "backup"
    run("backup", backup, cwd=fleet)
    before = sorted((path, path.stat().st_mtime_ns) for path in (fleet / "data").rglob("*.db"))
    refused = run("restore", backup, "--json", cwd=fleet)
    assert (refused.code, "has data already" in refused.document["error"]) == (2, True)
    assert sorted((path, path.stat().st_mtime_ns) for path in (fleet / "data").rglob("*.db")) == before
    (backup / "backup.json").rename(backup / "kept.json")
    part = run("restore", backup, "--json", cwd=restored_to(fleet.parent / "part"))
    assert (part.code, "no whole backup" in part.document["error"]) == (2, True)
    (backup / "kept.json").rename(backup / "backup.json")
    mine = restored_to(fleet.parent / "mine")
    mine.joinpath("hotfire.toml").write_text('[workspace]\nname = "mine"\n')
    done = run("restore", backup, "--json", cwd=mine).document
    assert "hotfire.toml" not in done["files"]
    assert "contracts/events/v2.yaml" in done["files"]
    assert mine.joinpath("hotfire.toml").read_text() == '[workspace]\nname = "mine"\n'


def test_references_stay_references(run: Run, fleet: Path, tmp_path: Path) -> None:
    """What a `${NAME}` stands for is nowhere in a backup."""
    settings = fleet / "hotfire.toml"
    settings.write_text(settings.read_text() + '\n[http]\nadmins = "${CODE}"\n')
    (fleet / "rules").mkdir(exist_ok=True)
    (fleet / "rules" / "engine.yaml").write_text("rules: []\n")
    backup = tmp_path / "backup"
    assert run("backup", backup, cwd=fleet, CODE="s3cr3t-token-0123456789").code == 0
    assert (backup / "workspace" / "hotfire.toml").read_text() == settings.read_text()
    assert (backup / "workspace" / "rules" / "engine.yaml").exists()
    assert not [path for path in backup.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


def test_an_interrupted_batch_is_finished_where_it_was_put_back(run: Run, make: Any, fleet: Path) -> None:
    """A plan without a commit is saved too: pending there as here, and finished by the next ingest."""
    place = make.write(fleet / "1.jsonl", make.dirty(200))
    interrupt(fleet, place)
    backup = fleet.parent / "backup"
    assert run("backup", backup, cwd=fleet).code == 0
    folder = restored(run, backup)
    assert run("balance", "--json", cwd=folder).document["streams"][1]["pending"] == 200
    done = run("ingest", "events", "--from", place, "--json", cwd=folder).document
    assert (done["received"], len(done["finished"])) == (200, 1)
    run("ingest", "events", "--from", place, cwd=fleet)
    assert settled(run, folder)[1] == settled(run, fleet)[1]


def test_a_plan_of_rows_that_are_not_saved_is_dropped(run: Run, make: Any, fleet: Path) -> None:
    """What came through a pipe and was not committed is in no backup: its plan had no effects, and would be in the way."""
    interrupt(fleet, make.write(fleet / "gone.jsonl", make.dirty(100)))
    backup = fleet.parent / "backup"
    assert run("backup", backup, cwd=fleet).code == 0
    (fleet / "gone.jsonl").unlink()
    folder = fleet.parent / "restored"
    folder.mkdir()
    done = run("restore", backup, "--json", cwd=folder).document
    assert done["dropped"][0].startswith("events: dropped the plan of batch 1; it had no effects.")
    assert run("balance", "--json", cwd=folder).document["streams"][1]["pending"] == 0
    place = make.write(fleet / "new.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", place, "--json", cwd=folder).document["stored"] == 93


def interrupt(folder: Path, place: Path) -> None:
    """Leave what a process leaves that is killed between planning and committing."""
    with Workspace(load(folder, {}, {})) as workspace:
        contract = workspace.prepare("events")
        flow, source = workspace.ingest_flow(contract, "killed", [str(place)])
        checkpoint = workspace.store.open("events", "live")
        read = source.poll(checkpoint.position)
        assert read is not None
        batch = judged(contract, read, workspace.clock.now_ns())
        workspace.store.plan(plan_of(flow, batch, 1), checkpoint.epoch)
