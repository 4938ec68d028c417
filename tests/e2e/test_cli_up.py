"""`hotfire up`: pushed rows and growing files, live, stopped in peace and killed."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def lines(make: Any) -> Callable[[int, int], bytes]:
    """Good events, numbered from `first`."""
    return lambda first, count: b"".join(
        json.dumps(make.event(n)).encode() + b"\n" for n in range(first, first + count)
    )


def stored(run: Run, ws: Path) -> int:
    """How many events the store holds."""
    counted = run("sql", "select count(*) as n from events", "--json", cwd=ws)
    return int(counted.document[0]["n"]) if counted.code == 0 else 0


def test_pushed_rows_and_files_that_grow_are_stored_as_they_come(fleet: Path, up: Up, run: Run, lines: Any) -> None:
    """One stream takes both; what comes twice is a duplicate; SIGTERM leaves everything committed, the lake too."""
    (fleet / "incoming").mkdir(exist_ok=True)
    with up(fleet) as server:
        assert server.push(lines(0, 100)).status_code == 202
        packed = gzip.compress(lines(50, 100))
        assert server.push(packed, **{"content-encoding": "gzip"}).status_code == 202
        server.until(lambda: server.stream("events")["received"] == 200)
        growing = fleet / "incoming" / "a.jsonl"
        growing.write_bytes(lines(150, 10))
        server.until(lambda: server.stream("events")["received"] == 210)
        with growing.open("ab") as file:
            file.write(lines(160, 10))
        server.until(lambda: server.stream("events")["received"] == 220)
        assert 'hotfire_rows_stored_total{stream="events"} 170.0' in server.client.get("/metrics").text
        assert server.push(b"not json\n").status_code == 202
        code, out = server.stop()
    found = next(one for one in json.loads(out)["streams"] if one["stream"] == "events")
    assert (code, found["received"], found["stored"], found["duplicate"]) == (0, 221, 170, 50)
    assert run("balance", "--json", cwd=fleet).document["balanced"]
    assert run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document == [{"n": 170}]


def test_one_stream_s_trouble_stops_no_other(fleet: Path, up: Up, run: Run, lines: Any) -> None:
    """A contract that is broken keeps its own stream waiting, and says why; mended, it goes on without a restart."""
    contract = fleet / "contracts" / "boxes" / "v1.yaml"
    good = contract.read_text()
    contract.write_text(good.replace("version:", "versiom:", 1))
    with up(fleet) as server:
        server.push(lines(0, 10))
        server.until(lambda: server.stream("events")["stored"] == 10)
        boxes = server.stream("boxes")
        assert (boxes["state"], "versiom" in boxes["error"] + boxes["do"]) == ("retrying", True)
        contract.write_text(good)
        server.until(lambda: server.stream("boxes")["state"] == "running", 60)
        assert server.stop()[0] == 0


def test_another_process_may_look_but_not_write(fleet: Path, up: Up, run: Run, lines: Any) -> None:
    """`ingest` beside it is refused and names the owner; `balance` and `sql` answer."""
    with up(fleet) as server:
        server.push(lines(0, 10))
        server.until(lambda: server.stream("events")["stored"] == 10)
        refused = run("ingest", "events", "--from", "x.jsonl", cwd=fleet)
        assert (refused.code, str(server.process.pid) in refused.err) == (3, True)
        assert run("balance", "--json", cwd=fleet).document["balanced"]
        assert run("sql", "select count(*) as n from events", "--json", cwd=fleet).document == [{"n": 10}]


def test_what_was_acknowledged_is_there_once_however_it_was_killed(fleet: Path, up: Up, run: Run, lines: Any) -> None:
    """Kill -9 under pushes, again and again; every acknowledged row is stored exactly once in the end."""
    acknowledged, first = 0, 0
    for _ in range(3):
        with up(fleet) as server:
            for _ in range(12):
                assert server.push(lines(first, 40)).status_code == 202
                first += 40
                acknowledged += 40
            server.stop(signal.SIGKILL)
    with up(fleet) as server:
        server.until(lambda: stored(run, fleet) == acknowledged)
        server.stop()
    assert run("balance", "--json", cwd=fleet).document["balanced"]
    assert run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document == [{"n": acknowledged}]
    again = run("ingest", "events", "--from", "-", "--json", cwd=fleet, stdin=lines(0, acknowledged)).document
    assert (again["stored"], again["duplicate"]) == (0, acknowledged)


def test_nothing_listens_beyond_this_machine_without_a_token(fleet: Path, up: Up, run: Run, lines: Any) -> None:
    """Another address is refused; with a token it is needed, and nothing shows it."""
    refused = run("up", "--no-browser", "--host", "0.0.0.0", "--port", "0", cwd=fleet)  # noqa: S104 - that is what is refused
    assert (refused.code, "token" in refused.err) == (2, True)
    with up(fleet, HOTFIRE_HTTP__OPERATORS="s3cret") as server:
        assert server.push(lines(0, 1)).status_code == 401
        assert server.push(lines(0, 1), authorization="Bearer other").status_code == 401
        assert server.push(lines(0, 1), authorization="Bearer s3cret").status_code == 202
        code, out = server.stop()
    assert (code, b"s3cret" in out) == (0, False)


def test_follow_goes_on_until_it_is_stopped(fleet: Path, run: Run, lines: Any, make: Any) -> None:
    """`ingest --follow` takes a file that comes later and one that grows; Ctrl-C ends it with its summary."""
    command = [make.hotfire, "ingest", "events", "--follow", "--json", "--from", "new/*.jsonl"]
    with subprocess.Popen(command, cwd=fleet, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        (fleet / "new").mkdir()
        (fleet / "new" / "a.jsonl").write_bytes(lines(0, 10))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not stored(run, fleet):
            time.sleep(0.2)
        with (fleet / "new" / "a.jsonl").open("ab") as file:
            file.write(lines(10, 5))
        while time.monotonic() < deadline and stored(run, fleet) < 15:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    document = json.loads(out)
    assert (process.returncode, document["received"], document["stored"]) == (0, 15, 15)


def test_what_was_pushed_and_not_committed_is_taken_by_the_next_ingest(
    fleet: Path, up: Up, run: Run, lines: Any
) -> None:
    """Killed with rows in the spool: `hotfire ingest` takes them, also where no file is there yet."""
    with up(fleet) as server:
        server.until(lambda: server.stream("events")["state"] == "running")
        for first in range(0, 2000, 100):
            assert server.push(lines(first, 100)).status_code == 202
        server.stop(signal.SIGKILL)
    assert run("ingest", "events", cwd=fleet).code == 0
    assert stored(run, fleet) == 2000
    assert run("balance", "--json", cwd=fleet).document["balanced"]
