"""A workspace that this user may not write: whoever only looks can look, and nothing is begun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

BOUND = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
"""Permissions bind root as well, once it may no longer override them."""

pytestmark = pytest.mark.skipif(bool(BOUND) and not shutil.which("setpriv"), reason="root without util-linux: setpriv")


@pytest.fixture
def shut(fleet: Path, run: Run, make: Any) -> Iterator[Path]:
    """A workspace with events in it, to be made read-only."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    yield fleet
    for path in (fleet, *fleet.rglob("*")):
        path.chmod(0o755)


def close(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & 0o555)


def typed(make: Any, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*BOUND, str(make.hotfire), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


LOOKS = [
    ["balance", "--json"],
    ["digest", "--json"],
    ["sql", "select count(*) as n from events", "--json"],
    ["sql", "select count(*) as n from lake.events", "--json"],
    ["quarantine", "list", "--json"],
    ["quarantine", "stats", "--json"],
    ["quarantine", "show", "1", "--json"],
    ["why", "events.jsonl:11", "--json"],
    ["contract", "lint", "--json"],
    ["alarm", "list", "--all", "--json"],
    ["alarm", "report", "--json"],
]


def test_looking_works(make: Any, shut: Path) -> None:
    """Every command that only looks answers as before; `doctor` says what cannot be written; writing is refused."""
    before = [json.loads(typed(make, shut, *words).stdout) for words in LOOKS]
    close(shut)
    assert [json.loads(typed(make, shut, *words).stdout) for words in LOOKS] == before
    looked = json.loads(typed(make, shut, "doctor", "--json").stdout)["checks"]
    assert [one["name"] for one in looked if not one["ok"]] == ["folder"]
    for words in (
        ["ingest", "events", "--from", "events.jsonl"],
        ["quarantine", "discard", "1", "--reason", "x"],
        ["alarm", "suppress", "hot@device_0001", "--reason", "x"],
        ["sentinel"],
    ):
        refused = typed(make, shut, *words)
        assert (refused.returncode, "writable for this user" in refused.stderr) == (3, True), words


def test_what_a_killed_run_left_is_told(make: Any, shut: Path) -> None:
    """Changes that are not in the file yet are seen, or cannot be without writing and are told: never an older state."""
    make.write(shut / "more.jsonl", [json.dumps(make.event(number)).encode() for number in range(1000, 9000)])
    command = [make.hotfire, "ingest", "events", "--from", "more.jsonl", "--batch-rows", "50"]
    with subprocess.Popen(command, cwd=shut, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert b"batch_committed" in process.stderr.readline()
        process.send_signal(signal.SIGKILL)
    index = shut / "data" / "hotfire.db-shm"
    close(shut)
    looked = json.loads(typed(make, shut, "balance", "events", "--json").stdout)
    assert looked["streams"][0]["received"] > 100
    index.parent.chmod(0o755)
    index.unlink()
    close(shut)
    refused = typed(make, shut, "balance")
    assert refused.returncode == 3
    assert "a run that was killed has left hotfire.db-wal beside it" in refused.stderr
    for path in (shut, *shut.rglob("*")):
        path.chmod(0o755)
    assert typed(make, shut, "balance").returncode == 0
    close(shut)
    assert json.loads(typed(make, shut, "balance", "events", "--json").stdout)["balanced"]
