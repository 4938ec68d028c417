"""How long a row takes from its own instant to its commit, live, beside a script that tails a file into SQLite.

    python benchmarks/live.py [--rate 1000] [--seconds 30] [--port 8470]

Every way is fed in turn by this process: by appending to a file every 10 ms, or by HTTP in requests of 10 rows.
What hotfire does more: checks, dedupe, plans, rules and alarms, the fsync of what was acknowledged, the lake.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

from hotfire.testing.postgres import PostgresServer, binaries

HERE = Path(__file__).parent
HOTFIRE = [sys.executable, "-m", "hotfire"]
DEVICES, TICK_S, WARM_UP_S = 100, 0.01, 5.0
LATENCY = """
SELECT quantile_cont((l.committed_at_ns - epoch_ns(e.timestamp)) / 1e6, [0.5, 0.95, 0.99]) AS ms, count(*) AS rows
FROM events e JOIN hf_ledger l ON l.stream = 'events' AND l.batch_seq = e.batch_seq
WHERE epoch_ns(e.timestamp) >= {since}
"""
Figures = tuple[float, float, float]


def main() -> None:
    """Run every way, print a line of the table in LIVE.md each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000, help="rows a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--port", type=int, default=8470)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hotfire-live-"))
    base = _baseline(folder, options)
    _line("tail + SQLite script, file", base, base)
    _line("hotfire, SQLite, file", _file(folder / "a", options, {}), base)
    _line("hotfire, SQLite, HTTP", _http(folder / "b", options, {}), base)
    programs = binaries()
    if programs is None:
        raise SystemExit("No PostgreSQL was found: its two ways are left out.")
    (folder / "server").mkdir()
    folder.chmod(0o755)
    server = PostgresServer(folder / "server", programs)
    server.start()
    for number, (name, way) in enumerate((("file", _file), ("HTTP", _http))):
        settings = {"HOTFIRE_STORE__URL": server.url(f"live{number}")}
        _line(f"hotfire, PostgreSQL, {name}", way(folder / f"p{number}", options, settings), base)
    server.stop()
    shutil.rmtree(folder)


def _line(name: str, figures: Figures, base: Figures) -> None:
    p50, p95, p99 = figures
    print(f"| {name} | {p50:.1f} ms | {p95:.1f} ms ({p95 / base[1]:.1f}x) | {p99:.1f} ms |", flush=True)


def _baseline(folder: Path, options: argparse.Namespace) -> Figures:
    events, database = folder / "events.jsonl", folder / "events.db"
    events.touch()
    child = subprocess.Popen([sys.executable, str(HERE / "inputs" / "baseline_tail.py"), str(events), str(database)])
    time.sleep(1)
    since = _append(events, options)
    time.sleep(1)
    child.kill()
    child.wait()
    rows = sqlite3.connect(database).execute(
        "SELECT e.timestamp, b.committed_at_ns FROM events e JOIN batches b USING (batch)"
    )
    waits = sorted(at - ns for text, at in rows if (ns := _ns(text)) >= since)
    return tuple(waits[int(len(waits) * part)] / 1e6 for part in (0.5, 0.95, 0.99))  # type: ignore[return-value]


def _file(place: Path, options: argparse.Namespace, settings: dict[str, str]) -> Figures:
    with _up(place, options, settings):
        since = _append(place / "incoming" / "live.jsonl", options)
        time.sleep(1)
    return _latency(place, settings, since)


def _http(place: Path, options: argparse.Namespace, settings: dict[str, str]) -> Figures:
    with _up(place, options, settings):
        connection = HTTPConnection("127.0.0.1", options.port)
        started = time.time_ns()
        for body in _ticks(options):
            connection.request("POST", "/api/v1/ingest/events", body)
            answer = connection.getresponse()
            if answer.status != 202:
                raise SystemExit(f"A push was answered with {answer.status}: {answer.read()!r}")
            answer.read()
        time.sleep(1)
    return _latency(place, settings, started + int(WARM_UP_S * 1e9))


def _append(path: Path, options: argparse.Namespace) -> int:
    started = time.time_ns()
    with path.open("ab", buffering=0) as file:
        for body in _ticks(options):
            file.write(body)
    return started + int(WARM_UP_S * 1e9)


def _ticks(options: argparse.Namespace) -> Iterator[bytes]:
    """The rows of each 10 ms, each stamped when it is made."""
    started, count, total = time.monotonic(), 0, int(options.rate * options.seconds)
    while count < total:
        due = min(total, int((time.monotonic() - started) * options.rate))
        if due > count:
            yield b"".join(_event(number) for number in range(count, due))
            count = due
        time.sleep(TICK_S)


def _event(number: int) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    values = {"temperature": 20.5, "humidity": 40.0, "pressure": 1000.0, "battery": 80.0}
    row = {"event_id": f"live-{number}", "device_id": f"device_{number % DEVICES:03}", "timestamp": at, **values}
    return json.dumps(row).encode() + b"\n"


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


@contextmanager
def _up(place: Path, options: argparse.Namespace, settings: dict[str, str]) -> Iterator[None]:
    """`hotfire up` in a fresh workspace of the fleet template, ready; drained at the end."""
    environment = {**os.environ, **settings}
    subprocess.run([*HOTFIRE, "init", str(place), "--template", "fleet"], check=True, stdout=subprocess.DEVNULL)
    (place / "incoming").mkdir(exist_ok=True)
    command = [*HOTFIRE, "--workspace", str(place), "up", "--no-browser", "--port", str(options.port)]
    with (place / "up.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            _ready(options.port)
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


def _ready(port: int) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("hotfire up did not become ready.")


def _latency(place: Path, settings: dict[str, str], since: int) -> Figures:
    command = [*HOTFIRE, "--workspace", str(place), "sql", LATENCY.format(since=since), "--json"]
    found = subprocess.run(command, check=True, capture_output=True, env={**os.environ, **settings})
    p50, p95, p99 = json.loads(found.stdout)[0]["ms"]
    return p50, p95, p99


if __name__ == "__main__":
    main()
