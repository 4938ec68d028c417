"""`hotfire replay`: the engine run again by the installed command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hotfire.store.sqlite_connection import SqliteConnection

Run = Callable[..., Any]


def test_a_replay_gives_the_digest_of_the_stream(run: Run, make: Any, fleet: Path) -> None:
    """Dirty events of two contract versions, some repaired: equal, and `digest --replay` says the same again."""
    make.write(fleet / "events.jsonl", make.dirty(300))
    assert run("ingest", "events", "--from", "events.jsonl", "--batch-rows", "70", cwd=fleet).code == 0
    for version in (fleet / "contracts" / "events").glob("v*.yaml"):
        version.write_text(version.read_text().replace("maximum: 80", "maximum: 400"))
    assert run("quarantine", "replay", "events", cwd=fleet).code == 0
    done = run("replay", "events", "--json", cwd=fleet)
    live = run("digest", "events", "--json", cwd=fleet).document
    assert done.code == 0, done.out
    assert (done.document["equal"], done.document["digest"]) == (True, live["digest"])
    totals = run("balance", "events", "--json", cwd=fleet).document["streams"][0]
    assert all(done.document[name] == totals[name] for name in ("stored", "quarantined", "corrected", "late"))
    again = run("digest", "--replay", done.document["replay_id"], "--json", cwd=fleet).document
    assert {name: again[name] for name in ("digest", "streams")} == live


def test_a_ledger_that_was_tampered_with_is_not_equal(run: Run, make: Any, fleet: Path) -> None:
    """Exit code 1, and the first row that comes out otherwise is named."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    with closing(SqliteConnection(fleet / "data" / "hotfire.db")) as connection:
        connection.query("UPDATE events SET late = 1 WHERE row_no = 7")
        connection.commit()
    done = run("replay", "events", "--json", cwd=fleet)
    assert (done.code, done.document["equal"]) == (1, False)
    assert done.document["difference"] == {
        "shard": "live",
        "batch_seq": 1,
        "row_no": 7,
        "what": "late is True, again False",
    }
    shown = run("replay", "events", cwd=fleet)
    assert (shown.code, "NOT equal" in shown.out, "late is True, again False" in shown.out) == (1, True, True)


def test_the_newest_replays_are_kept(run: Run, make: Any, fleet: Path) -> None:
    """Five of them; one that is gone, or was never there, is named with those that are."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    ids = [run("replay", "events", "--json", cwd=fleet).document["replay_id"] for _ in range(6)]
    assert {one.name for one in (fleet / "data" / "replays").iterdir()} == set(sorted(ids)[1:])
    gone = run("digest", "--replay", min(ids), cwd=fleet)
    assert (gone.code, max(ids) in gone.err) == (2, True)
    other = run("digest", "boxes", "--replay", max(ids), cwd=fleet)
    assert (other.code, "is a replay of events" in other.err) == (2, True)


def test_a_part_of_a_stream_is_replayed(run: Run, make: Any, fleet: Path) -> None:
    """By event time; an instant without a zone is refused."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    bounds = ("--since", "2025-05-01T00:00:10Z", "--until", "2025-05-01T00:00:20Z")
    part = run("replay", "events", *bounds, "--json", cwd=fleet).document
    assert (part["equal"], part["stored"], part["quarantined"]) == (True, 9, 0)
    refused = run("replay", "events", "--since", "2025-05-01T00:00:10", cwd=fleet)
    assert (refused.code, "zone" in refused.err) == (2, True)


def test_a_running_engine_is_not_disturbed(run: Run, make: Any, up: Any, fleet: Path) -> None:
    """While `up` takes rows, a replay is equal: it is of what was committed when it began."""
    lines = make.dirty(300)
    with up(fleet) as one:
        for start in range(0, 300, 50):
            assert one.push(b"\n".join(lines[start : start + 50])).status_code == 202
            done = run("replay", "events", "--json", cwd=fleet)
            assert (done.code, done.document["equal"]) == (0, True), done.out
        one.until(lambda: one.stream("events")["received"] == 300)
    done = run("replay", "events", "--json", cwd=fleet).document
    assert (done["stored"], done["quarantined"]) == (279, 15)
