"""Looking at what is there: SQL, the fate of one line, stored rows in a notebook."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import hotfire as package
from hotfire.errors import UserError

Run = Callable[..., Any]


def test_sql_answers_with_units(hotfire: Run) -> None:
    """Headers carry the contract's units, --unit converts, --csv and --json give bare names."""
    statement = "select event_id, timestamp, temperature from events order by timestamp, event_id limit 2"
    assert hotfire("sql", statement).out.splitlines()[0].split() == ["event_id", "timestamp", "temperature", "[degC]"]
    rows = hotfire("sql", statement, "--unit", "temperature=K", "--json").document
    assert rows[0] == {"event_id": "e000000", "timestamp": "2025-05-01T00:00:00Z", "temperature": 293.15}
    assert hotfire("sql", statement, "--csv").out.splitlines()[:2] == [
        "event_id,timestamp,temperature",
        "e000000,2025-05-01T00:00:00Z,20.0",
    ]
    assert hotfire("sql", statement, "--unit", "temperature=bar").code == 2


def test_sql_sees_every_table(hotfire: Run) -> None:
    """Streams without rows, the lake, the ledger and the readable view can be asked."""
    for statement, count in (
        ("select count(*) as n from boxes", 0),
        ("select count(*) as n from lake.boxes", 0),
        ("select count(*) as n from lake.events", 279),
        ("select count(*) as n from hf_quarantine", 15),
        ("select count(*) as n from events_readable where timestamp < '2025-05-01T00:00:10'", 10),
        ("select count(*) as n from events e join lake.events l using (event_id)", 279),
    ):
        assert hotfire("sql", statement, "--json").document == [{"n": count}], statement


@pytest.mark.parametrize(
    ("line", "fate"),
    [(1, "stored"), (11, "quarantined"), (51, "duplicate"), (61, "quarantined"), (999, "not read yet")],
)
def test_every_line_has_a_fate(hotfire: Run, line: int, fate: str) -> None:
    """`why` finds a line by the path as it was given, by the whole path, and by the file's name."""
    found = [hotfire("why", f"{name}:{line}", "--json").document for name in ("../events.jsonl", "events.jsonl")]
    assert [one["fate"] for one in found] == [fate, fate]
    assert found[0]["found"] == found[1]["found"]
    assert f": {fate}" in hotfire("why", f"events.jsonl:{line}").out


def test_why_tells_what_and_where(hotfire: Run) -> None:
    """The stored row, the checks with their values, the twin of a duplicate and the line it came from."""
    stored = hotfire("why", "events.jsonl:1", "--json").document["found"][0]
    assert (stored["row"]["event_id"], stored["row"]["timestamp"]) == ("e000000", "2025-05-01T00:00:00Z")
    assert (stored["batch_seq"], stored["row_no"], stored["contract_version"]) == (1, 0, "2.0.0")
    broken = hotfire("why", "events.jsonl:41", "--json").document["found"][0]
    assert [check["check"] for check in broken["checks"]] == ["temperature.range", "pressure.range"]
    assert broken["checks"][1] == {"check": "pressure.range", "value": "5.0", "detail": "below 900 hPa"}
    again = hotfire("why", "events.jsonl:51", "--json").document["found"][0]
    assert again["twin"] == {"batch_seq": 1, "row_no": 41, "place": "../events.jsonl", "line": 42}


def test_why_counts_lines_of_tables_and_names_corrections(run: Run, tmp_path: Path) -> None:
    """A header is no record; a corrected value is told as it was written; a second file is told apart from the first."""
    assert run("init", "ws", "--template", "engines", cwd=tmp_path).code == 0
    header = "engine_id,event_time,seq,phase,chamber_pressure,fuel_flow,temperature,performance_score\n"
    for name, second in (("a.csv", 1), ("b.csv", 2)):
        row = f"TRE-001,2025-01-01T00:00:0{second}Z,{second},steady,99999,95,640,92\n"
        (tmp_path / "ws" / name).write_text(header + row)
    assert run("ingest", "engine_telemetry", "--from", "a.csv", "b.csv", cwd=tmp_path / "ws").code == 0
    assert run("why", "a.csv:1", "--json", cwd=tmp_path / "ws").document["fate"] == "not a record"
    found = run("why", "b.csv:2", "--json", cwd=tmp_path / "ws").document["found"][0]
    assert (found["fate"], found["row_no"], found["row"]["seq"]) == ("stored", 1, 2)
    assert (
        found["corrections"]
        == [{"raw": "99999", "value": None, "column": "chamber_pressure", "check": "chamber_pressure.range"}]
        or found["corrections"][0]["raw"] == "99999.0"
    )


def test_a_notebook_reads_frames(filled: Path) -> None:
    """`hotfire.read` gives stored rows, bounded by event time, instants as Datetime beside their nanoseconds."""
    frame = package.read(filled, "events")
    assert frame.height == 279
    assert frame.schema["timestamp"] == pl.Datetime("ns", "UTC")
    assert frame["timestamp"].to_physical().to_list() == frame["timestamp_ns"].to_list()
    assert frame["row_no"].is_sorted()
    few = package.read(
        filled,
        "events",
        since="2025-05-01T00:01:00Z",
        until="2025-05-01T00:01:10Z",
        columns=["event_id", "temperature"],
    )
    assert few.columns == ["event_id", "temperature"]
    assert few["event_id"].to_list() == [f"e{number:06d}" for number in range(61, 70)]
    assert package.read(filled, "boxes").height == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"stream": "evnts"}, "events"),
        ({"stream": "events", "columns": ["temprature"]}, "temperature"),
        ({"stream": "events", "since": "2025-05-01"}, "zone"),
    ],
)
def test_a_notebook_is_told_what_was_meant(filled: Path, words: list[str], said: str) -> None:
    """A wrong stream, column or instant is a UserError that names the remedy."""
    with pytest.raises(UserError) as caught:
        package.read(filled, **words)
    assert said in caught.value.do + caught.value.what


def test_importing_costs_nothing() -> None:
    """`import hotfire` loads neither polars nor click."""
    code = "import hotfire, sys, json; print(json.dumps(sorted({'polars', 'click', 'msgspec'} & sys.modules.keys())))"
    assert json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) == []


def test_a_moved_workspace_still_knows_its_files(run: Run, make: Any, tmp_path: Path) -> None:
    """Moved or copied to another place, `why` finds a line by its path in the workspace, and reads it there again."""
    assert run("init", "ws", "--template", "fleet", cwd=tmp_path).code == 0
    lines = make.dirty(200)
    for name, part in (("a.jsonl", lines[:100]), ("b.jsonl", lines[100:150]), ("night/b.jsonl", lines[100:])):
        place = make.write(tmp_path / "ws" / "incoming" / name, part)
        assert run("ingest", "events", "--from", place, cwd=tmp_path / "ws").code == 0
    shutil.copytree(tmp_path / "ws", tmp_path / "copied")
    (tmp_path / "ws").rename(tmp_path / "moved")
    for name in ("moved", "copied"):
        folder = tmp_path / name
        found = run("why", "incoming/a.jsonl:1", "--json", cwd=folder).document
        assert (found["fate"], found["found"][0]["row"]["event_id"]) == ("stored", "e000000")
        assert found["found"][0]["place"] == str(folder / "incoming" / "a.jsonl")
        assert run("why", f"{name}/incoming/a.jsonl:11", "--json", cwd=folder.parent).code == 2
        away = run("-C", name, "why", f"{name}/incoming/a.jsonl:11", "--json", cwd=folder.parent).document
        assert (away["fate"], away["found"][0]["checks"][0]["check"]) == ("quarantined", "temperature.range")
        again = run("why", "incoming/a.jsonl:51", "--json", cwd=folder).document["found"][0]
        assert (again["twin"]["place"], again["twin"]["line"]) == (str(folder / "incoming" / "a.jsonl"), 42)
        several = run("why", "b.jsonl:1", "--json", cwd=folder)
        assert (several.code, "2 files end in b.jsonl" in several.document["error"]) == (2, True)
        assert run("why", "night/b.jsonl:1", "--json", cwd=folder).document["fate"] == "duplicate"
    wrong = run("why", "incoming/aa.jsonl:1", cwd=tmp_path / "moved")
    assert (wrong.code, "Did you mean" in wrong.err) == (2, True)


ROCKETS = """
apiVersion: v3.1.0
kind: DataContract
id: rockets
version: 1.0.0
status: active
schema:
  - name: rockets
    logicalType: object
    customProperties: [{property: hotfire.kind, value: entity}, {property: hotfire.revision, value: updated}]
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: updated, logicalType: timestamp, required: true}
      - {name: height, logicalType: number}
"""


def test_versions_of_entities_have_fates_of_their_own(run: Run, make: Any, tmp_path: Path) -> None:
    """An older version is superseded, an equal one a duplicate of the one it repeats, and all of it is counted."""
    assert run("init", "ws", cwd=tmp_path).code == 0
    make.write(tmp_path / "ws" / "contracts" / "rockets" / "v1.yaml", [ROCKETS.encode()])
    versions = [(1, 10), (3, 11), (2, 9), (3, 11)]
    lines = [f'{{"id": "a", "updated": "2025-01-0{day}T00:00:00Z", "height": {height}}}' for day, height in versions]
    make.write(tmp_path / "ws" / "r.jsonl", [line.encode() for line in lines])
    done = run("ingest", "rockets", "--from", "r.jsonl", cwd=tmp_path / "ws")
    assert done.out.startswith("received 4 = stored 2 + duplicate 1 + superseded 1 + quarantined 0  ")
    fates = [run("why", f"r.jsonl:{line}", "--json", cwd=tmp_path / "ws").document["found"][0] for line in (1, 2, 3, 4)]
    assert [one["fate"] for one in fates] == ["stored", "stored", "superseded", "duplicate"]
    assert fates[3]["twin"] == {"batch_seq": 1, "row_no": 1, "place": "r.jsonl", "line": 2}
    assert run("balance", cwd=tmp_path / "ws").code == 0
    assert package.read(tmp_path / "ws", "rockets")["height"].to_list() == [11.0]


def test_colours_are_for_terminals(make: Any, filled: Path) -> None:
    """On a terminal answers have colours, unless NO_COLOR is set."""
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        command = [make.hotfire, "balance"]
        env = {**os.environ, **environment}
        subprocess.run(command, cwd=filled, stdout=theirs, stderr=theirs, env=env, check=True, timeout=60)
        os.close(theirs)
        shown = os.read(ours, 10_000).decode()
        os.close(ours)
        assert ("\x1b[" in shown) == coloured
        assert "balanced" in shown


def test_shells_can_complete(hotfire: Run, filled: Path, run: Run) -> None:
    """`--completion` prints a script, which asks for commands and for the streams of the workspace."""
    for shell in ("bash", "zsh", "fish"):
        assert "_HOTFIRE_COMPLETE" in hotfire("--completion", shell).out
    asked = {"_HOTFIRE_COMPLETE": "bash_complete", "COMP_WORDS": "hotfire ingest ev", "COMP_CWORD": "2"}
    assert run(cwd=filled, **asked).out == "plain,events\n"
