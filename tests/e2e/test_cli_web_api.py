"""A stream that is read from a web API, by the installed command: what it answers, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from hotfire.testing.replica import Replica, replica
from hotfire.testing.web_api import flight, flights, write_workspace

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]
FOREVER = {"HOTFIRE_STREAMS__FLIGHTS__SOURCE__CADENCE": "36500 d"}
"""Nothing is frozen."""


@pytest.fixture
def server() -> Iterator[Replica]:
    with replica(flights(40)) as state:
        yield state


@pytest.fixture
def ws(tmp_path: Path, server: Replica) -> Path:
    write_workspace(tmp_path / "ws", server.url)
    return tmp_path / "ws"


def asked(document: dict[str, Any]) -> tuple[Any, ...]:
    """What a poll says of itself."""
    names = ("plan", "api_calls", "early_exit", "inserted", "updated", "unchanged", "deleted")
    return tuple(document[name] for name in names)


def rows(run: Run, ws: Path) -> dict[str, int]:
    """How many rows each table has."""
    tables = [one["name"] for one in run("sql", "show tables", "--json", cwd=ws).document]
    counted = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in tables)  # noqa: S608 - names of tables
    return {one["name"]: one["n"] for one in run("sql", counted, "--json", cwd=ws).document}


def test_each_poll_says_what_it_did(ws: Path, run: Run, server: Replica) -> None:
    """The first list; nothing new, which leaves no row; what is newer; a full comparison with a deletion."""
    ingest = ("ingest", "flights", "--json")
    done = run(*ingest, cwd=ws, **FOREVER)
    assert asked(done.document) == ("initial", 1, False, 41, 0, 0, 0)
    before = rows(run, ws)
    for _ in range(2):
        done = run(*ingest, cwd=ws, **FOREVER)
        assert (done.code, done.document["received"], asked(done.document)) == (
            *(0, 0),
            ("unchanged", 1, True, 0, 0, 0, 0),
        )
    assert rows(run, ws) == before
    server.step({"launches": [*map(flight, range(42))]})
    assert asked(run(*ingest, cwd=ws, **FOREVER).document) == ("incremental", 2, False, 1, 1, 28, 0)
    server.step({"launches": [flight(0, success=False), *map(flight, [*range(1, 7), *range(8, 42)])]})
    assert asked(run(*ingest, cwd=ws, **FOREVER).document)[:3] == ("unchanged", 1, True)
    done = run(*ingest, "--reconcile", cwd=ws, **FOREVER)
    assert asked(done.document) == ("reconcile", 1, False, 0, 1, 40, 1)
    assert run("sql", "select count(*) n from flights", "--json", cwd=ws).document == [{"n": 41}]
    found = run("sql", "select id from flights_history where deleted", "--json", cwd=ws).document
    assert found == [{"id": "f007"}]
    assert run("balance", "--reread", "--json", cwd=ws).document["balanced"]


def test_an_outage_is_said_and_changes_nothing(ws: Path, run: Run, server: Replica) -> None:
    """Exit code 3 with the address and the reason, and no row; a retry does not spoil the one document."""
    assert run("ingest", "flights", cwd=ws, **FOREVER).code == 0
    before = rows(run, ws)
    server.fail("500", times=99)
    done = run("ingest", "flights", "--json", cwd=ws, **FOREVER)
    assert (done.code, server.asked()) == (3, 1 + 6)
    assert "/v4/launches answers 500" in done.document["error"]
    server.heal()
    server.fail("500", times=2)
    done = run("ingest", "flights", "--json", cwd=ws, **FOREVER)
    assert (done.code, done.document["plan"], done.document["api_calls"]) == (0, "unchanged", 3)
    after = rows(run, ws)
    assert {name for name in before if before[name] != after[name]} == {"hf_job"}


def test_too_much_that_is_gone_is_named(ws: Path, run: Run, server: Replica) -> None:
    """As a problem, with what to do about it, until it is said that it is right."""
    run("ingest", "flights", cwd=ws)
    server.step({"launches": [*map(flight, range(20))]})
    done = run("ingest", "flights", "--reconcile", "--json", cwd=ws)
    assert (done.code, done.document["status"], done.document["deleted"]) == (2, "partial", 0)
    assert "lacks 21 records" in done.document["problems"][0]["error"]
    checks = {one["name"]: one for one in run("doctor", "--json", cwd=ws, **FOREVER).document["checks"]}
    assert checks["source/flights"]["ok"] is False
    more = {"HOTFIRE_STREAMS__FLIGHTS__SOURCE__MAX_DELETED": "1"}
    done = run("ingest", "flights", "--json", "--reconcile", cwd=ws, **more)
    assert (done.code, done.document["deleted"], done.document["status"]) == (0, 21, "done")


def test_a_frozen_source_is_an_alarm(ws: Path, run: Run, server: Replica) -> None:
    """From the first list on, which says itself when it last changed; until it changes again."""
    cadence = {"HOTFIRE_STREAMS__FLIGHTS__SOURCE__CADENCE": "1 s"}
    done = run("ingest", "flights", "--json", cwd=ws, **cadence)
    assert done.document["changed_at"].startswith("2026-02-12T12:00:00")
    (alarm,) = run("alarm", "list", "--json", cwd=ws).document
    assert (alarm["rule"], alarm["asset"], alarm["state"]) == ("source.frozen", "flights", "UNACK_ALARM")
    assert run("sentinel", cwd=ws, **cadence).code == 1
    why = run("why", alarm["alarm_id"], cwd=ws)
    assert (why.code, "about the source of flights" in why.err) == (2, True)
    assert "frozen" in run("doctor", cwd=ws, **cadence).out
    before = rows(run, ws)
    assert run("ingest", "flights", "--json", cwd=ws, **cadence).document["early_exit"]
    assert rows(run, ws) == before
    server.step({"launches": [*map(flight, range(42))]})
    assert "frozen_since" not in run("ingest", "flights", "--json", cwd=ws).document
    (alarm,) = run("alarm", "list", "--json", cwd=ws).document
    assert (alarm["state"], alarm["active"]) == ("RTN_UNACK", False)


def test_a_dry_run_asks_and_changes_nothing(ws: Path, run: Run, server: Replica) -> None:
    """Not even the answer is kept."""
    done = run("ingest", "flights", "--dry-run", "--json", cwd=ws)
    assert asked(done.document)[:4] == ("initial", 1, False, 41)
    assert not (ws / "data" / "raw").exists()
    assert run("sql", "select * from flights", "--json", cwd=ws).document == []


def test_up_polls_and_shows_it(ws: Path, up: Up, server: Replica) -> None:
    """As often as the settings say; an outage is waited for; metrics say when the source was asked, and when it changed."""
    every = {"HOTFIRE_STREAMS__FLIGHTS__SOURCE__EVERY": "200 ms"}
    with up(ws, **every) as running:
        running.until(lambda: running.stream("flights")["stored"] == 41)
        server.fail("500", times=9)
        running.until(lambda: not server.faults)
        server.step({"launches": [*map(flight, range(42))]})
        running.until(lambda: running.stream("flights")["stored"] == 43)
        running.until(lambda: "checked_at" in running.stream("flights"))
        assert 'hotfire_source_frozen_state{stream="flights"}' in running.client.get("/metrics").text
        code, out = running.stop()
    assert (code, json.loads(out)["streams"][0]["received"]) == (0, 41 + 30)


def test_only_a_web_api_can_be_compared(ws: Path, run: Run) -> None:
    """`--reconcile` of files is the user's mistake; so are settings that do not fit together."""
    done = run("ingest", "flights", "--reconcile", "--from", "x.jsonl", cwd=ws)
    assert (done.code, "is not read from a web API" in done.err) == (2, True)
    text = (ws / "hotfire.toml").read_text()
    for changed, said in (
        (text.replace('kind = "rest"', ""), "is for web APIs"),
        (text.replace('since = "date_utc"', ""), "has no since"),
        (text.replace("base_url", "base_uri"), "base_url"),
        (text.replace("http://", "ftp://"), "is no address"),
    ):
        (ws / "hotfire.toml").write_text(changed)
        done = run("ingest", "flights", cwd=ws)
        assert (done.code, said in done.err) == (2, True), done.err
