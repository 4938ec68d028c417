"""The installed command, run as a process, and device events of which it is known what becomes of each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

HOTFIRE = Path(sys.executable).parent / "hotfire"
BYTECODE = str(Path(tempfile.gettempdir()) / f"hotfire-bytecode-{os.getuid()}")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; fails where there is anything else."""
        return json.loads(self.out)


def typed(*words: str | Path, cwd: Path, stdin: bytes | None = None, **environment: str) -> Ran:
    """Type a command. Its bytecode is kept, as that of an installed program is, wherever the tests run."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env = {**own, "PYTHONPYCACHEPREFIX": BYTECODE, **environment}
    done = subprocess.run(
        [HOTFIRE, *words], cwd=cwd, input=stdin or b"", capture_output=True, env=env, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A good event: every third of the first generation, the others of the second."""
    values: dict[str, Any] = {
        "event_id": f"e{number:06d}",
        "device_id": f"device_{number % 7:04d}",
        "timestamp": f"2025-05-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "temperature": 20.0 + number % 10,
        "humidity": 40.0,
        "pressure": 1000.0,
        "battery": 80.0,
    }
    if number % 3:
        values |= {"schema_version": 2, "firmware_version": "2.1.0", "signal_strength": -60}
        values |= {"location": {"lat": 48.1, "lon": 11.5}, "status": "ok"}
    values |= changes
    return {name: value for name, value in values.items() if value is not ...}


def dirty_events(count: int) -> list[bytes]:
    """`count` lines: of every 100, five are bad (in four ways, one in two at once) and two are repeated."""
    lines = []
    for number in range(count):
        line = event(number)
        match number % 100:
            case 10:
                line = event(number, temperature=300.0)
            case 20:
                line = event(number, temperature="21.7")
            case 30:
                line = event(number, humidity=...)
            case 40:
                line = event(number, temperature=-99.5, pressure=5.0)
            case 50 | 51:
                line = event(number - 9)
        text = json.dumps(line).encode()
        lines.append(text[:-9] if number % 100 == 60 else text)
    return lines


PER_HUNDRED = {"received": 100, "stored": 93, "duplicate": 2, "superseded": 0, "quarantined": 5}
CHECKS = {"temperature.range": 2, "temperature.type": 1, "humidity.required": 1, "pressure.range": 1, "row.parse": 1}


def written(path: Path, lines: Iterable[bytes]) -> Path:
    """A file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def truth(count: int) -> tuple[dict[str, int], dict[str, int]]:
    """What becomes of `dirty_events(count)`: the equation, and rows by check. `count` is a multiple of 100."""
    times = count // 100
    return {k: v * times for k, v in PER_HUNDRED.items()}, {k: v * times for k, v in CHECKS.items()}


@dataclass
class Up:
    """A server that runs, and how to ask it."""

    process: subprocess.Popen[bytes]
    client: httpx.Client

    def push(self, lines: bytes, stream: str = "events", **headers: str) -> httpx.Response:
        return self.client.post(f"/api/v1/ingest/{stream}", content=lines, headers=headers)

    def stream(self, name: str) -> dict[str, Any]:
        found = self.client.get("/api/v1/streams").json()["streams"]
        return next(one for one in found if one["stream"] == name)

    def until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        for _ in range(int(seconds * 20)):
            if holds():
                return
            time.sleep(0.05)
        raise AssertionError(self.client.get("/api/v1/streams").text)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, bytes]:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out


@contextmanager
def up(ws: Path, *words: str, **environment: str) -> Iterator[Up]:
    """The workspace's streams, going on; ready when this is entered."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env = {**own, "PYTHONPYCACHEPREFIX": BYTECODE, **environment}
    command = [HOTFIRE, "up", "--no-browser", "--port", "0", "--json", *words]
    with subprocess.Popen(command, cwd=ws, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            said = re.search(rb"http://[0-9.:]+", first)
            assert said, first
            with httpx.Client(base_url=said[0].decode(), timeout=20) as client:
                one = Up(process, client)
                one.until(lambda: client.get("/readyz").status_code == 200)
                yield one
        finally:
            process.kill()


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """Types a command."""
    return typed


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makes records and files: `event`, `dirty`, `write`, and the `truth` about them."""
    return SimpleNamespace(event=event, dirty=dirty_events, write=written, truth=truth, hotfire=HOTFIRE)


@pytest.fixture(name="up", scope="session")
def up_fixture() -> Callable[..., AbstractContextManager[Up]]:
    """Keeps a workspace's streams going."""
    return up


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A new workspace of the template `fleet`."""
    assert typed("init", "ws", "--template", "fleet", cwd=tmp_path).code == 0
    return tmp_path / "ws"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the template `fleet` with 300 dirty events in it, for tests that only look."""
    folder = tmp_path_factory.mktemp("filled")
    assert typed("init", "ws", "--template", "fleet", cwd=folder).code == 0
    written(folder / "events.jsonl", dirty_events(300))
    assert typed("ingest", "events", "--from", "../events.jsonl", cwd=folder / "ws").code == 0
    return folder / "ws"


@pytest.fixture
def hotfire(filled: Path) -> Callable[..., Ran]:
    """Types a command in the filled workspace."""
    return lambda *words: typed(*words, cwd=filled)
