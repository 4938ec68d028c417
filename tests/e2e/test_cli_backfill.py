"""`hotfire backfill`: what was missed, brought in by the installed command."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def missed(run: Run, make: Any, fleet: Path) -> Path:
    """Live is at the end of a day, but for a few hours in it; `old.jsonl` has the whole day, one event a minute."""
    day = [
        make.event(number, timestamp=f"2025-05-01T{number // 60:02d}:{number % 60:02d}:00Z") for number in range(1440)
    ]
    lines = [json.dumps(one).encode() for one in day]
    make.write(fleet / "old.jsonl", lines)
    make.write(fleet / "live.jsonl", [*lines[:300], *lines[600:]])
    assert run("ingest", "events", "--from", "live.jsonl", cwd=fleet).code == 0
    return fleet


def test_missing_hours_are_told_and_brought_in(run: Run, missed: Path) -> None:
    """Looked at first, then brought in; asked again nothing is missing; everything balances and replays."""
    looked = run("backfill", "events", "--from", "old.jsonl", "--dry-run", "--json", cwd=missed).document
    hours = {"since": "2025-05-01T05:00:00Z", "until": "2025-05-01T10:00:00Z", "rows": 300, "stored": 0, "missing": 300}
    assert (looked["intervals"], looked["rows"], looked["dry_run"]) == ([hours], 1440, True)
    done = run("backfill", "events", "--from", "old.jsonl", "--json", cwd=missed)
    assert done.code == 0, done.out
    equation = {
        name: done.document[name] for name in ("received", "stored", "duplicate", "quarantined", "late", "left")
    }
    assert equation == {"received": 300, "stored": 300, "duplicate": 0, "quarantined": 0, "late": 300, "left": 0}
    again = run("backfill", "events", "--from", "old.jsonl", cwd=missed)
    assert again.out.splitlines() == ["Nothing is missing of 1,440 rows."]
    for proof in (("balance", "--reread"), ("replay", "events")):
        assert run(*proof, cwd=missed).code == 0
    fates = [run("why", f"old.jsonl:{line}", "--json", cwd=missed).document["fate"] for line in (301, 1000)]
    assert fates == ["stored", "left out"]


def test_bounds_and_a_rate_are_kept(run: Run, missed: Path) -> None:
    """Only rows of those event times; 150 rows at 100 a second take more than a second."""
    (missed / "hotfire.toml").write_text((missed / "hotfire.toml").read_text() + "\n[engine]\nbatch_rows = 25\n")
    bounds = ("--since", "2025-05-01T06:00:00Z", "--until", "2025-05-01T08:30:00Z")
    done = run("backfill", "events", "--from", "old.jsonl", *bounds, "--rate", "100", "--json", cwd=missed).document
    assert (done["stored"], done["missing"]) == (150, 150)
    assert 1 < done["seconds"] < 30
    assert done["intervals"][0]["until"] == "2025-05-01T08:30:00Z"


def test_what_cannot_be_backfilled_is_refused(run: Run, make: Any, fleet: Path) -> None:
    """Standard input, files that are not there, and instants without a zone: with what to do."""
    for words, said in (
        (("--from", "-"), "only once"),
        (("--from", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--since", "2025-05-01"), "zone"),
    ):
        refused = run("backfill", "events", *words, cwd=fleet)
        assert (refused.code, said in refused.err) == (2, True), refused.err
    make.write(fleet / "bad.parquet", [b"PAR1 but not really"])
    make.write(fleet / "old.jsonl", [json.dumps(make.event(1)).encode()])
    partial = run("backfill", "events", "--from", "bad.parquet", "old.jsonl", "--json", cwd=fleet)
    assert (partial.code, partial.document["stored"], partial.document["status"]) == (2, 1, "partial")


def test_up_does_it_beside_live(run: Run, make: Any, missed: Path, up: Any) -> None:
    """The command hands over and waits; rows that are pushed meanwhile go on; each row is there once."""
    lines = (missed / "old.jsonl").read_bytes().splitlines()
    (missed / "hotfire.toml").write_text((missed / "hotfire.toml").read_text() + "\n[engine]\nbatch_rows = 20\n")
    (missed / "logs").mkdir()
    with up(missed) as one, ThreadPoolExecutor(1) as thread:
        words = ("backfill", "events", "--from", "../old.jsonl", "--rate", "60", "--json")
        waiting = thread.submit(run, *words, cwd=missed / "logs")
        one.until(lambda: begun(run, missed))
        for start in range(0, 1440, 60):
            assert one.push(b"\n".join(lines[start : start + 60])).status_code == 202
            time.sleep(0.05)
        done = waiting.result()
        assert done.code == 0, done.out
        assert (done.document["handed_over"], done.document["received"]) == (True, 300)
        one.until(lambda: one.stream("events")["received"] == 1440)
        brought = done.document["stored"]
        assert one.stream("events")["stored"] == 300 - brought
        looked = run("backfill", "events", "--from", "old.jsonl", "--dry-run", "--json", cwd=missed)
        assert (looked.code, looked.document["missing"]) == (0, 0)
    assert run("balance", "--reread", cwd=missed).code == 0
    assert run("replay", "events", cwd=missed).code == 0
    count = run(
        "sql", "select count(*) as n, count(distinct event_id) as ids from events", "--json", cwd=missed
    ).document
    assert count == [{"n": 1440, "ids": 1440}]


def begun(run: Run, ws: Path) -> bool:
    """Whether a backfill is written down."""
    found = run("sql", "select count(*) as n from hf_backfill", "--json", cwd=ws).document
    return bool(found[0]["n"])
