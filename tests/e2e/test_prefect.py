"""The Prefect flow of the examples, on Prefect's ephemeral server: a real outage, tried again, and its schedule."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotfire.testing.launches import made_up
from hotfire.testing.replica import Replica, replica

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "prefect_launches.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache" / "hotfire-tests")
STREAMS = ("rockets", "launchpads", "payloads", "launches")


@pytest.fixture(scope="module")
def prefect() -> str:
    """A Python that has Prefect, which cannot be this one."""
    python = Path(os.environ.get("HOTFIRE_TEST_PREFECT") or CACHE / "prefect" / "bin" / "python")
    if not python.exists():
        make = f"python3 -m venv {python.parents[1]} && {python.parent}/pip install -r examples/prefect_launches.txt"
        pytest.skip(f"no Prefect in an environment of its own: {make}")
    return str(python)


@pytest.fixture
def server() -> Iterator[Replica]:
    with replica(made_up(40)) as state:
        yield state


def ran(prefect: str, folder: Path, *words: str, **environment: str) -> str:
    """What Prefect's Python says when it is told to do something."""
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [prefect, *words], capture_output=True, text=True, cwd=folder, env={**own, **environment}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_flow_ingests_everything_and_tries_again_after_an_outage(
    prefect: str, server: Replica, tmp_path: Path
) -> None:
    """Four jobs, one of them after three requests in vain; every line of a task begins with the job's id."""
    command = [Path(sys.executable).parent / "hotfire", "init", "ws", "--template", "launches"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    addresses = {f"HOTFIRE_STREAMS__{stream.upper()}__SOURCE__BASE_URL": server.url for stream in STREAMS}
    server.fail("500", times=3, path="/v4/payloads")
    said = ran(prefect, tmp_path, str(EXAMPLE), "ws", **addresses)
    lines = re.findall(r"\| Task run 'ingest-(\w+)' - (.*)", said)
    own = [(stream, line) for stream, line in lines if not re.match(r"Finished|Task run failed|Created", line)]
    assert all(re.match(r"\d{8}T\d{6}-[0-9a-f]{6} ", line) for _, line in own), own
    assert [stream for stream, line in own if ": initial, inserted" in line] == list(STREAMS)
    assert [stream for stream, line in own if "500" in line] == ["payloads"]
    assert "Retry 1/3" in said
    snapshot = json.loads(next(line for _, line in own if ": snapshot " in line).partition(": snapshot ")[2])
    assert (snapshot["total_launches"], snapshot["kind"]) == (40, "initial")
    assert server.asked("/v4/payloads") == 4


def test_the_flow_has_a_schedule_and_gives_up_on_mistakes(prefect: str, tmp_path: Path) -> None:
    """It runs every hour; only an outage is tried again."""
    asked = (
        "from prefect_launches import Failed, hourly, is_outage; from prefect.states import exception_to_failed_state as s\n"
        "(one,) = hourly('ws').schedules; print('every', one.schedule.interval)\n"
        "import asyncio; state = lambda code: asyncio.run(s(Failed('x', code)))\n"
        "print('again', [is_outage(None, None, state(code)) for code in (1, 2, 3)])"
    )
    said = ran(prefect, tmp_path, "-c", asked)
    assert "every 1:00:00" in said
    assert "again [False, False, True]" in said
