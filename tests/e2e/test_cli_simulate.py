"""`hotfire simulate`: what it says of its data is what hotfire finds, in files, through pipes and over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cmapss"

FAULTS = """
faults:
  - {kind: drift, asset: ASSET, at: 10 s, for: 40 s}
  - {kind: dropout, asset: ASSET, at: 1 min, for: 20 s}
  - {kind: late, asset: ASSET, at: 90 s, for: 10 s, size: 25 s}
  - {kind: outage, at: 10 min, for: 30 s}
  - {kind: out_of_order, size: 0.02}
  - {kind: duplicate, size: 0.02}
  - {kind: out_of_range, size: 0.02, at: 1 min, for: 5 min}
  - {kind: malformed, size: 0.04}
"""
STREAMS = [
    ("engines", "engine_telemetry", "burn.csv", "TRE-002"),
    ("fleet", "events", "events.jsonl.gz", "device_0003"),
    ("dyno", "dyno_telemetry", "made_FD900.txt", "FD900/2"),
]


@pytest.mark.parametrize(("template", "stream", "name", "asset"), STREAMS, ids=[one[0] for one in STREAMS])
def test_everything_that_a_fault_file_asks_for_is_found(
    run: Run, tmp_path: Path, template: str, stream: str, name: str, asset: str
) -> None:
    """Rows by fate and check are those of the labels, for each reference workspace in its own form."""
    assert run("init", "ws", "--template", template, cwd=tmp_path).code == 0
    ws = tmp_path / "ws"
    (ws / "f.yaml").write_text(FAULTS.replace("ASSET", asset), encoding="utf-8")
    words = ["--hours", "0.25", "--faults", "f.yaml", "--to", name, "--labels", "labels.json", "--seed", "3"]
    made = run("simulate", stream, *words, "--json", cwd=ws).document
    labels = json.loads((ws / "labels.json").read_text())
    fates = Counter(label.get("fate") for label in labels)
    done = run("ingest", stream, "--from", name, "--json", cwd=ws).document
    assert done["received"] == made["rows"]
    assert {fate: done[fate] for fate in ("duplicate", "quarantined")} == {
        fate: fates[fate] for fate in ("duplicate", "quarantined")
    }
    assert (done["corrected"], done["late"]) == (fates["corrected"], fates["late"])
    assert fates["late"] >= 10
    assert done["checks"] == Counter(label["check"] for label in labels if label.get("fate") == "quarantined")
    assert {"drift", "dropout"} <= {label["fault"] for label in labels}
    assert Counter(label["fault"] for label in labels) == made["faults"]


def test_the_same_seed_gives_the_same_bytes_everywhere(run: Run, tmp_path: Path) -> None:
    """A file and standard output hold the same; another seed does not."""
    words = ["simulate", "events", "--duration", "5min", "--rate", "0.5", "--seed", "9"]
    said = run(*words, "--to", "a.jsonl", cwd=tmp_path)
    assert "Next: hotfire ingest events --from a.jsonl" in said.out
    piped = run(*words, "--to", "-", cwd=tmp_path)
    assert piped.out == (tmp_path / "a.jsonl").read_text()
    assert piped.err.startswith(f"wrote {piped.out.count(chr(10)):,} rows to -")
    other = run(*words[:-1], "10", "--to", "-", cwd=tmp_path)
    assert other.out != piped.out


def test_a_reader_may_have_enough(make: Any, tmp_path: Path) -> None:
    """Where the other end of a pipe is closed, it ends quietly."""
    command = [make.hotfire, "simulate", "events", "--to", "-", "--hours", "100"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"event_id"')
        process.stdout.close()
        assert (process.wait(20), process.stderr.read()) == (141, b"")  # type: ignore[union-attr]


def test_a_published_file_is_played(run: Run, tmp_path: Path) -> None:
    """At 100 Hz, every cycle 10 ms after the one before."""
    if not (DATA / "test_FD001.txt").exists():
        pytest.skip("test_FD001.txt is not at ../shared/data/cmapss")
    source = DATA / "test_FD001.txt"
    words = ["--from", source, "--rate", "100", "--faults", "none", "--assets", "100"]
    made = run("simulate", "dyno_telemetry", *words, "--to", "played.jsonl", "--json", cwd=tmp_path).document
    assert made["rows"] == len(source.read_bytes().splitlines())
    rows = [json.loads(line) for line in (tmp_path / "played.jsonl").read_text().splitlines()]
    own = [row for row in rows if row["asset_id"] == "FD001/7"]
    assert [row["cycle"] for row in own] == list(range(1, len(own) + 1))
    assert own[1]["event_time"] == "2025-01-01T00:00:00.010Z"


def test_rows_go_to_a_server_as_they_happen(run: Run, up: Up, fleet: Path) -> None:
    """What was acknowledged is stored, by the second in which it was taken; `max` pushes at once."""
    with up(fleet) as server:
        url = str(server.client.base_url)
        words = ["simulate", "events", "--to", url, "--assets", "10", "--json"]
        live = run(*words, "--rate", "20", "--duration", "2s", "--labels", "l.json", cwd=fleet).document
        assert 1.8 < live["seconds"] < 10
        fast = run(
            *words, "--rate", "max", "--duration", "10min", "--seed", "2", "--faults", "none", cwd=fleet
        ).document
        assert fast["rows"] == 6000
        server.until(lambda: server.stream("events")["received"] == live["rows"] + fast["rows"])
        found = server.stream("events")
    fates = Counter(label.get("fate") for label in json.loads((fleet / "l.json").read_text()))
    assert (found["quarantined"], found["duplicate"]) == (fates["quarantined"], fates["duplicate"])


def test_ctrl_c_ends_with_a_summary(make: Any, tmp_path: Path) -> None:
    """A live simulation has no end; stopped, it says what it has written, and that is what is there."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = tmp_path / "live.csv"
    command = [make.hotfire, "simulate", "engine_telemetry", "--to", path, "--live", "--rate", "50", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as process:
        for _ in range(400):
            if path.exists() and path.stat().st_size > 10_000:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    said = json.loads(out)
    assert process.returncode == 0
    assert said["stopped"]
    assert said["rows"] == path.read_bytes().count(b"\n") - 1 > 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["events", "--to", "-", "--json"], "both need standard output"),
        (["event", "--to", "x.csv"], "Did you mean events?"),
        (["events", "--to", "kafka://host/topic"], "no place to write to"),
        (["events", "--to", "x.csv", "--rate", "fast"], "--rate fast is no number"),
        (["events", "--to", "x.csv", "--rate", "max", "--live"], "exclude each other"),
        (["events", "--to", "x.csv", "--hours", "1", "--duration", "1h"], "exclude each other"),
        (["events", "--to", "x.csv", "--duration", "long"], "--duration: 'long' is not a duration"),
        (["events", "--to", "x.csv", "--from", "nix.txt"], "no file nix.txt"),
        (["events", "--to", "x.csv", "--faults", "nix.yaml"], "no fault file nix.yaml"),
        (["events", "--to", "http://127.0.0.1:1", "--duration", "0s"], "hold no reading"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_explained(run: Run, tmp_path: Path, words: list[str], said: str) -> None:
    """Exit 2, what is wrong, and no file."""
    ran = run("simulate", *words, cwd=tmp_path)
    assert ran.code == 2
    assert said in ran.err + ran.out
    assert not list(tmp_path.iterdir())
