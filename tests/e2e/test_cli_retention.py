"""Old rows leave the store for the lake: everything that people ask for is answered as if they had stayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import hotfire

Run = Callable[..., Any]

ROCKETS = b"""apiVersion: v3.1.0
kind: DataContract
id: rockets
version: 1.0.0
status: active
schema:
  - name: rockets
    logicalType: object
    customProperties:
      - {property: hotfire.kind, value: entity}
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: name, logicalType: string}
"""


def test_cleared_rows_are_found_everywhere(run: Run, make: Any, fleet: Path) -> None:
    """`balance`, `digest`, `sql`, `why` and `hotfire.read` say the same as before; the store has only what is near."""
    place = make.write(fleet / "events.jsonl", make.dirty(3000))
    stored = make.truth(3000)[0]["stored"]
    run("ingest", "events", "--from", place, cwd=fleet)
    whole = run("digest", "--json", cwd=fleet).document
    rows = hotfire.read(fleet, "events")
    asked = "select count(*) as n, count(distinct event_id) as ids, min(temperature) as low from events"
    answer = run("sql", asked, "--json", cwd=fleet).document
    of_line = run("why", "events.jsonl:1", "--json", cwd=fleet).document
    twin = run("why", "events.jsonl:51", "--json", cwd=fleet).document

    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write('\n[streams.events]\nretention = "30 d"\n')
    assert run("ingest", "events", "--from", place, "--json", cwd=fleet).code == 0
    in_store = run("sql", "select count(*) as n from ops.events", "--json", cwd=fleet).document[0]["n"]
    assert 0 < in_store < stored

    found = run("balance", "events", "--json", cwd=fleet)
    assert (found.code, found.document["streams"][0]["cleared"]) == (0, stored - in_store)
    assert f"{stored - in_store:,} cleared from the store" in run("balance", cwd=fleet).out
    assert run("digest", "--json", cwd=fleet).document == whole
    assert run("sql", asked, "--json", cwd=fleet).document == answer
    assert run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document[0]["n"] == stored
    assert run("why", "events.jsonl:1", "--json", cwd=fleet).document == of_line
    assert run("why", "events.jsonl:51", "--json", cwd=fleet).document == twin
    assert hotfire.read(fleet, "events").equals(rows)
    since = rows.filter(pl.col("timestamp") >= pl.datetime(2025, 5, 1, 0, 5, time_zone="UTC"))
    assert hotfire.read(fleet, "events", since="2025-05-01T00:05:00Z").equals(since)
    assert run("doctor", cwd=fleet).code == 0

    again = make.write(fleet / "again.jsonl", make.dirty(3000))
    assert run("ingest", "events", "--from", again, "--dry-run", "--json", cwd=fleet).document["stored"] == 0
    came = run("ingest", "events", "--from", again, "--json", cwd=fleet).document
    assert (came["stored"], came["duplicate"]) == (0, 2850)
    assert run("balance", cwd=fleet).code == 0


def test_a_lake_that_cannot_be_made_anew_is_left_alone(run: Run, make: Any, fleet: Path) -> None:
    """Where retention took rows out of the store, a damaged lake is not rebuilt from it: a backup is asked for."""
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write('\n[streams.events]\nretention = "30 d"\n')
    run("ingest", "events", "--from", make.write(fleet / "events.jsonl", make.dirty(3000)), cwd=fleet)
    table = fleet / "data" / "lake" / "events"
    next(table.rglob("*.zstd.parquet")).unlink()
    before = sorted(table.rglob("*"))
    looked = run("doctor", "--repair", "--json", cwd=fleet)
    said = next(one for one in looked.document["checks"] if one["name"] == "lake.files/events")
    assert (looked.code, said["ok"], looked.document["repaired"]) == (1, False, [])
    assert "from a backup" in said["do"]
    assert "retention has taken" in said["do"]
    assert sorted(table.rglob("*")) == before
    table.rename(fleet / "lost")
    refused = run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet)
    assert refused.code == 3
    assert "retention has taken rows" in refused.document["error"]
    looked = run("doctor", "--json", cwd=fleet)
    assert [one["name"] for one in looked.document["checks"] if not one["ok"]] == ["lake.marker/events"]


def test_entities_are_kept_whole(run: Run, make: Any, fleet: Path) -> None:
    """Versions of records are compared in the store: a retention has no effect on them, and `doctor` says so."""
    contract = fleet / "contracts" / "rockets" / "v1.yaml"
    make.write(contract, ROCKETS.splitlines())
    with (fleet / "hotfire.toml").open("a") as settings:
        settings.write('\n[streams.rockets]\nretention = "1 s"\n')
    make.write(fleet / "rockets.jsonl", [b'{"id": "a", "name": "x"}', b'{"id": "b", "name": "y"}'])
    done = run("ingest", "rockets", "--from", "rockets.jsonl", "--json", cwd=fleet)
    assert (done.code, done.document["stored"]) == (0, 2), done.err
    assert run("sql", "select count(*) as n from ops.rockets", "--json", cwd=fleet).document[0]["n"] == 2
    assert "entities are kept whole" in run("doctor", cwd=fleet).out
