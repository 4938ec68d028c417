"""What a command says when it cannot do what was asked: one document or two sentences, the right code, no traceback."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotfire.cli import COMMANDS

Run = Callable[..., Any]

COMMAND_LINES = [
    ["init", "full"],
    ["ingest", "events", "--from", "nowhere.jsonl"],
    ["ingest", "nothing"],
    ["balance", "nothing"],
    ["digest"],
    ["quarantine", "list"],
    ["quarantine", "show", "9999"],
    ["quarantine", "show", "one"],
    ["quarantine", "stats"],
    ["quarantine", "replay", "events", "--dry-run"],
    ["quarantine", "discard", "9999", "--reason", "no such row"],
    ["contract", "lint"],
    ["contract", "infer", "nowhere.csv"],
    ["sql", "select 1 as n"],
    ["sql", "drop table events"],
    ["sql", "select * from evnts"],
    ["why", "nowhere.csv:3"],
    ["why", "nowhere.csv"],
    ["why", "0badc0ffee"],
    ["why", "hot@nothing"],
    ["alarm", "list"],
    ["alarm", "list", "--stream", "nothing"],
    ["alarm", "show", "0badc0ffee"],
    ["alarm", "ack", "--all", "--rule", "nothing"],
    ["alarm", "ack", "nothing@device_0001"],
    ["alarm", "shelve", "0badc0ffee", "--for", "1h", "--reason", "no such alarm"],
    ["alarm", "unshelve", "not an id"],
    ["alarm", "suppress", "hot@device_0001/humidity", "--reason", "no such channel"],
    ["alarm", "unsuppress", "hot"],
    ["alarm", "out-of-service", "0badc0ffee", "--reason", "no such alarm"],
    ["alarm", "return", "@"],
    ["alarm", "reset", "0badc0ffee", "--by", "hotfire"],
    ["alarm", "report"],
    ["alarm", "snooze"],
    ["sentinel"],
    ["sentinel", "--min-severity", "bad"],
    ["doctor"],
    ["simulate", "engine_telemetry", "--to", "x.unknown"],
    ["simulate", "events", "--to", "x.csv"],
    ["ingest"],
    ["up", "--no-browser", "--host", "0.0.0.0"],  # noqa: S104 - that is what is refused
    ["replay", "nothing"],
    ["backfill", "nothing"],
    ["backtest", "nowhere.yaml"],
    ["rejudge", "nothing"],
    ["backup", "."],
    ["restore", "nowhere"],
    ["ingst"],
    ["balance", "--rereed"],
]


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_json_is_exactly_one_document(hotfire: Run, words: list[str]) -> None:
    """With --json stdout holds one JSON document, whatever happens, and an error in it says what and what to do."""
    ran = hotfire(*words, "--json")
    assert ran.code in {0, 1, 2}
    assert "Traceback" not in ran.err
    if ran.code == 2 and "not_open" not in ran.document:
        assert ran.document.keys() == {"error", "do"}
        assert ran.document["error"]


def test_every_command_takes_json(hotfire: Run) -> None:
    """No command is left out of the list above but `demo`, which has a test of its own."""
    assert {words[0] for words in COMMAND_LINES} >= COMMANDS.keys() - {"demo"}
    for name in COMMANDS:
        shown = hotfire(name, "--help").out
        assert "--json" in shown or "Commands:" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ingst"], "Did you mean 'ingest'?"),
        (["balance", "--rereed"], "Did you mean '--reread'?"),
        (["ingest", "evnts"], "There is no stream 'evnts'"),
        (["sql", "select * from evnts"], "Did you mean events?"),
        (["sql", "select temprature from events"], "temperature"),
        (["sql", "delete from events"], "only reads"),
        (["ingest", "events", "--from", "nowhere.jsonl"], "nowhere.jsonl"),
        (["quarantine", "discard", "1"], "--reason"),
        (["quarantine", "discard", "--reason", "x"], "Which rows?"),
        (["contract", "lint", "contracts/events/v9.yaml"], "There is no file contracts/events/v9.yaml"),
        (["why", ":5"], "is not FILE:LINE"),
        (["why", "0badc0ffee"], "There is no alarm 0badc0ffee."),
        (["why", "0badc0ffee", "--around", "3 days"], "length of time"),
        (["why", "0badc0ffee", "--around", "3 d"], "more than a day"),
        (["alarm", "ack"], "Which alarm?"),
        (["alarm", "ack", "0badc0ffee", "--all"], "Which alarm?"),
        (["alarm", "ack", "0badc0ffee", "--rule", "x"], "--all"),
        (["alarm", "ack", "0badc0ffee"], "alarm list --all"),
        (["alarm", "ack", "hott@device_0001"], "Did you mean hot?"),
        (["alarm", "ack", "hot@device_001"], "Did you mean device_0001?"),
        (["alarm", "ack", "hot@device_0001/humidity"], "does not watch a channel 'humidity'"),
        (["alarm", "ack", "hot"], "names no alarm"),
        (["alarm", "ack", "0badc0ffee", "--by", " "], "--by NAME"),
        (["alarm", "shelve", "0badc0ffee", "--for", "25h", "--reason", "x"], "at most 24 h"),
        (["alarm", "shelve", "0badc0ffee", "--for", "soon", "--reason", "x"], "90s, 15m or 2h"),
        (["alarm", "shelve", "0badc0ffee", "--for", "1h"], "--reason"),
        (["alarm", "suppress", "0badc0ffee", "--reason", " "], "reason is empty"),
        (["alarm", "report", "--since", "yesterday"], "zone"),
        (["alarm", "snooze"], "No such command 'snooze'."),
        (["sentinel", "--min-severity", "bad"], "critical"),
        (["why", "evnts.jsonl:5"], "Did you mean ../events.jsonl?"),
        (["quarantine", "discard", "1", "--reason", " "], "reason is empty"),
        (["simulate", "engine_telemetry", "--to", "x.csv", "--start", "2025-01-01"], "zone"),
        (["-C", "nowhere", "balance"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_explained(hotfire: Run, words: list[str], said: str) -> None:
    """A user's mistake is exit 2 with what is wrong and what was meant, on stderr."""
    ran = hotfire(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_outside_a_workspace_it_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    """A command that needs a workspace and finds none names `init`."""
    ran = run("balance", cwd=tmp_path)
    assert ran.code == 2
    assert "hotfire init" in ran.err


def test_a_wrong_setting_is_named(run: Run, fleet: Path) -> None:
    """An unknown setting stops every command, `doctor` too, and the nearest known one is suggested."""
    settings = fleet / "hotfire.toml"
    settings.write_text(settings.read_text() + "\n[engine]\nbatch_row = 5\n")
    assert "Did you mean engine.batch_rows?" in run("balance", cwd=fleet).err
    looked = run("doctor", "--json", cwd=fleet)
    assert looked.code == 1
    assert [(one["name"], one["ok"]) for one in looked.document["checks"]] == [("settings", False)]


def test_a_broken_contract_is_named_by_line(run: Run, make: Any, fleet: Path) -> None:
    """A contract that cannot be used stops the ingest with file, line and suggestion; lint lists it all, exit 1."""
    contract = fleet / "contracts" / "events" / "v1.yaml"
    contract.write_text(contract.read_text().replace("hotfire.asset", "hotfire.aset"))
    make.write(fleet / "events.jsonl", make.dirty(100))
    ran = run("ingest", "events", "--from", "events.jsonl", cwd=fleet)
    assert ran.code == 2
    assert "contracts/events/v1.yaml:" in ran.err
    assert "hotfire.asset" in ran.err
    linted = run("contract", "lint", "events", "--json", cwd=fleet)
    assert linted.code == 1
    assert {"file", "line", "field", "level", "message", "suggestion"} <= linted.document["remarks"][0].keys()


def test_a_damaged_file_is_left_out_and_told(run: Run, make: Any, fleet: Path) -> None:
    """One unreadable file among good ones: the others are taken, status partial, exit 2."""
    make.write(fleet / "incoming" / "a.jsonl", make.dirty(100))
    (fleet / "incoming" / "b.jsonl.gz").write_bytes(b"\x1f\x8b\x08 this is no gzip")
    ran = run("ingest", "events", "--from", "incoming", "--json", cwd=fleet)
    assert (ran.code, ran.document["status"], ran.document["stored"]) == (2, "partial", 93)
    assert "b.jsonl.gz" in ran.document["problems"][0]["error"]


def test_a_second_process_is_refused(run: Run, make: Any, fleet: Path) -> None:
    """While a process owns the store, another ingest exits 3 and names its pid; looking is allowed."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    with (fleet / "data" / "hotfire.db.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        ran = run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet)
        assert ran.code == 3
        assert f"pid {os.getpid()}" in ran.document["error"]
        assert run("balance", cwd=fleet).code == 0
        assert f"pid {os.getpid()}" in run("doctor", cwd=fleet).out


def test_a_database_that_is_none_is_refused(run: Run, fleet: Path) -> None:
    """A damaged store is exit 3 with the file's name, nothing is overwritten, and `doctor` says the same."""
    (fleet / "data").mkdir(exist_ok=True)
    store = fleet / "data" / "hotfire.db"
    for old in store.parent.glob("hotfire.db*"):
        old.unlink()
    store.write_bytes(b"this is a letter, not a database" * 100)
    ran = run("balance", "--json", cwd=fleet)
    assert ran.code == 3
    assert "is not a SQLite database" in ran.document["error"]
    looked = run("doctor", "--json", cwd=fleet)
    assert looked.code == 1
    assert not next(one for one in looked.document["checks"] if one["name"] == "store")["ok"]
    assert store.read_bytes().startswith(b"this is a letter")


def test_ctrl_c_ends_cleanly(run: Run, make: Any, fleet: Path) -> None:
    """Interrupted, it exits 130 with a sentence; the next ingest goes on and everything balances."""
    make.write(fleet / "events.jsonl", make.dirty(20_000))
    command = [make.hotfire, "ingest", "events", "--from", "events.jsonl", "--batch-rows", "50"]
    with subprocess.Popen(command, cwd=fleet, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert b"batch_committed" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    assert out == b""
    assert b"What was committed stays" in err
    assert b"Traceback" not in err
    rest = run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet).document
    assert 0 < rest["received"] < 20_000
    balance = run("balance", "events", "--json", cwd=fleet).document
    assert balance["balanced"]
    assert balance["streams"][0]["received"] == 20_000


STOPPED_AT = """
import importlib, os, signal, sys
script, moment = sys.argv.pop(), sys.argv.pop()
class Finder:
    def find_spec(self, name, path, target=None):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)
            try:
                sum(range(100))
            except KeyboardInterrupt as error:
                raise RuntimeError if moment == "duckdb" else KeyboardInterrupt from error
module, _, name = script.partition(":")
importlib.import_module(module.rpartition(".")[0])
sys.meta_path.insert(0, Finder())
sys.exit(getattr(importlib.import_module(module), name)())
"""
SCRIPT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["scripts"][
    "hotfire"
]


@pytest.mark.parametrize(
    "moment", ["hotfire.cli", "click", "hotfire.cli.output", "hotfire.workspace.settings", "duckdb"]
)
def test_ctrl_c_while_it_is_loaded(filled: Path, moment: str) -> None:
    """Whatever is being imported, and whatever is made of the interrupt there, it ends with 130 and says so once."""
    words = [sys.executable, "-c", STOPPED_AT, "sql", "select 1", "--json", moment, SCRIPT]
    done = subprocess.run(words, cwd=filled, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (130, False)
    assert json.loads(done.stdout)["error"] == "Stopped."


EVIL = "a\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"


def test_nothing_commands_a_terminal(run: Run, make: Any, fleet: Path) -> None:
    """Control characters in names and values are shown, not sent; in CSV only a terminal is spared them."""
    lines = [json.dumps(make.event(1, device_id=EVIL)), json.dumps(make.event(2, status=EVIL, temperature=999.0))]
    path = make.write(fleet / f"{EVIL}.jsonl", [line.encode() for line in lines])
    wrong = make.write(fleet / f"wrong {EVIL}.jsonl.gz", [b"\x1f\x8b\x08 this is no gzip"])
    said = [
        run("ingest", "events", "--from", path.name, wrong.name, cwd=fleet),
        run("why", f"{path.name}:1", cwd=fleet),
        run("why", f"{path.name}:2", cwd=fleet),
        run("why", f"{EVIL}:9", cwd=fleet),
        run("quarantine", "list", cwd=fleet),
        run("quarantine", "show", "1", cwd=fleet),
        run("sql", "select device_id, status from events", cwd=fleet),
        run("sql", f"select 1 as \"{EVIL}\", '{EVIL}'", cwd=fleet),
        run("contract", "lint", EVIL, cwd=fleet),
        run("doctor", cwd=fleet),
        run("alarm", "suppress", f"hot@{EVIL}", "--reason", EVIL, "--by", EVIL, cwd=fleet),
        run("alarm", "show", f"hot@{EVIL}", cwd=fleet),
        run("alarm", "list", cwd=fleet),
        run("alarm", "report", cwd=fleet),
        run("why", f"hot@{EVIL}", cwd=fleet),
        run("sentinel", cwd=fleet),
        run(EVIL, cwd=fleet),
    ]
    for ran in said:
        assert all(one.isprintable() or one == "\n" for one in ran.out + ran.err)
    assert "]0;owned" in said[0].out
    command = ["sql", "select device_id from events", "--csv"]
    assert EVIL in run(*command, cwd=fleet).out
    ours, theirs = pty.openpty()
    subprocess.run([make.hotfire, *command], cwd=fleet, stdout=theirs, check=True)
    os.close(theirs)
    assert b"\x1b" not in os.read(ours, 1 << 16)
    os.close(ours)


def test_a_closed_pipe_is_no_error(make: Any, filled: Path) -> None:
    """`hotfire ... | head -1` says nothing about the pipe."""
    command = [make.hotfire, "sql", "select * from range(200000)", "--csv"]
    with subprocess.Popen(command, cwd=filled, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"range\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) in {0, 141}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("balance >/dev/full", 3),
        ("balance --json >/dev/full", 3),
        ("balance >&-", 0),
        ("balance --json 2>&-", 0),
        ("ingest events --from - <&-", 0),
    ],
)
def test_streams_that_are_full_or_closed_bring_no_traceback(make: Any, filled: Path, words: str, code: int) -> None:
    """Whoever starts hotfire may have closed what it reads and writes."""
    done = subprocess.run(f"{make.hotfire} {words}", shell=True, cwd=filled, capture_output=True, check=False)  # noqa: S602 - the shell closes them
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr


def test_log_lines_are_json_with_the_job_id(run: Run, make: Any, fleet: Path) -> None:
    """Away from a terminal each log line on stderr is JSON and names the job of the answer."""
    make.write(fleet / "incoming" / "a.jsonl", make.dirty(100))
    (fleet / "incoming" / "b.jsonl.gz").write_bytes(b"\x1f\x8b\x08 this is no gzip")
    ran = run("ingest", "events", "--from", "incoming", "--json", cwd=fleet)
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert lines
    assert {line["job_id"] for line in lines} == {ran.document["job_id"]}
    assert {"event", "level", "timestamp"} <= lines[0].keys()


def test_no_colour_reaches_a_pipe(hotfire: Run) -> None:
    """Piped output holds no escape sequences."""
    for words in (["balance"], ["quarantine", "show", "1"], ["doctor"], ["ingest", "nothing"]):
        ran = hotfire(*words)
        assert "\x1b" not in ran.out + ran.err
