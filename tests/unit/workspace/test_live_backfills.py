"""Backfills that were handed over to a process whose streams go on."""

from __future__ import annotations

import json
from pathlib import Path
from queue import Queue
from threading import Lock
from typing import Any

from hotfire.engine.missing import Missing, Survey
from hotfire.testing.clocks import ManualClock
from hotfire.workspace.backfills import Asked, begin, brought
from hotfire.workspace.live_backfills import LiveBackfills
from hotfire.workspace.settings import load
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

ALL = Survey((Missing(0, 2**62, 2, 2),), 2, 0)


def events(path: Path, *names: str) -> Path:
    """A file of events of one device, a minute apart."""
    rows = [
        {"event_id": name, "device_id": "d1", "timestamp": f"2025-05-01T00:{at:02d}:00Z", "temperature": 20.0}
        | {"humidity": 40.0, "pressure": 1000.0, "battery": 80.0}
        for at, name in enumerate(names)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_one_in_trouble_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    """A file that is gone is said and tried again later; what was handed over after it is done meanwhile."""
    create("fleet", tmp_path / "ws")
    clock, settings = ManualClock(), load(tmp_path / "ws", {}, {})
    lost, there = tmp_path / "lost.jsonl", events(tmp_path / "there.jsonl", "a", "b")
    said: Queue[tuple[str, int, str]] = Queue()
    with Workspace(settings, clock, spools={}) as workspace:
        workspace.store.own()
        workspace.prepare("events")
        for path in (lost, there):
            begin(workspace.store, "events", Asked([str(path)]), ALL, handed=True)
        one = LiveBackfills(workspace, "job-1", {}, {"events": Lock()}, lambda *what: said.put(what))
        one.start()
        try:
            first, second = said.get(timeout=30), said.get(timeout=30)
            assert (first[:2], second) == (("events", 1), ("events", 2, ""))
            assert "lost.jsonl" in first[2]
            assert row(workspace, 1)["error"] == first[2]
            events(lost, "c")
            clock.sleep(60)
            assert said.get(timeout=30) == ("events", 1, "")
        finally:
            one.stop()
        assert one.join(30)
        assert [row(workspace, number)["state"] for number in (1, 2)] == ["done", "done"]
        assert row(workspace, 1)["error"] is None
        assert [brought(workspace.store, "events", number)["stored"] for number in (1, 2)] == [1, 2]


def row(workspace: Workspace, number: int) -> dict[str, Any]:
    """A backfill as it is written down."""
    return workspace.store.query("backfill", stream="events", number=number).row(0, named=True)
