"""Alarms while `hotfire up` runs: notices at once, rules that change, assets that fall silent, shelves that end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotfire.testing.receiver import receiver

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]

HOT = "  - {{name: hot, detector: limit, channel: temperature, critical: {{high: {high}}}, message: '{{asset}} is hot'}}\n"
GONE = "  - {name: gone, detector: no_data, timeout: 2 s, severity: distress}\n"


@pytest.fixture
def engines(tmp_path: Path, run: Run) -> Path:
    """A workspace of engines with one rule of its own."""
    assert run("init", "ws", "--template", "engines", cwd=tmp_path).code == 0
    rules(tmp_path / "ws", 1, 700)
    return tmp_path / "ws"


def rules(workspace: Path, version: int, high: float, more: str = "") -> None:
    """Write the rules of the workspace anew."""
    text = f"stream: engine_telemetry\nversion: {version}\nrules:\n" + HOT.format(high=high) + more
    (workspace / "rules" / "engines.yaml").write_text(text)


def reading(temperature: float, asset: str = "TRE-001", ago_s: float = 0.0) -> bytes:
    """A row of now."""
    at = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
    row = {"engine_id": asset, "event_time": at, "phase": "steady", "temperature": temperature}
    return json.dumps(row | {"chamber_pressure": 210.0, "fuel_flow": 95.0}).encode() + b"\n"


def alarms(run: Run, workspace: Path) -> list[dict[str, Any]]:
    """Alarms as the store has them, the oldest first."""
    sql = "select rule, asset, state, severity, alarm_id from ops.hf_alarm order by opened_at_ns, rule"
    found: list[dict[str, Any]] = run("sql", sql, "--json", cwd=workspace).document
    return found


def until(what: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for something; what it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_people_are_told_at_once(engines: Path, up: Up) -> None:
    """The webhook has the alarm a moment after its row was pushed; the past is told to no one."""
    with receiver() as hook:
        settings = {"HOTFIRE_NOTIFY__OPS__KIND": "webhook", "HOTFIRE_NOTIFY__OPS__URL": hook.url}
        with up(engines, **settings) as server:
            server.push(reading(900, "TRE-002", ago_s=3600), "engine_telemetry")
            server.push(reading(900), "engine_telemetry")
            told = until(lambda: hook.requests)[0].event
            assert (told["type"], told["subject"]) == ("hotfire.alarm.triggered", "TRE-001")
            assert told["data"]["message"] == "TRE-001 is hot"
            assert server.stop()[0] == 0
        assert {one.event["subject"] for one in hook.requests} == {"TRE-001"}


def test_rules_are_taken_as_they_change(engines: Path, up: Up, run: Run) -> None:
    """A new version holds within seconds; one that is broken changes nothing, and the old one goes on."""
    with up(engines) as server:
        server.push(reading(600), "engine_telemetry")
        server.until(lambda: server.stream("engine_telemetry")["stored"] == 1)
        assert alarms(run, engines) == []
        rules(engines, 2, 500)
        time.sleep(2.5)
        server.push(reading(600), "engine_telemetry")
        server.until(lambda: [one["rule"] for one in alarms(run, engines)] == ["hot"])
        (engines / "rules" / "engines.yaml").write_text("stream: engine_telemetry\nversion: 3\nrules: [{name: hot}]\n")
        time.sleep(2.5)
        server.push(reading(600, "TRE-003"), "engine_telemetry")
        server.until(lambda: [one["asset"] for one in alarms(run, engines)] == ["TRE-001", "TRE-003"])
        assert server.stream("engine_telemetry")["state"] == "running"
        assert server.stop()[0] == 0
    sql = "select version from ops.hf_version where kind = 'rules' order by entered_at_ns"
    found = run("sql", sql, "--json", cwd=engines).document
    assert [one["version"] for one in found] == ["rules/engines.yaml 1", "rules/engines.yaml 2"]


def test_an_asset_that_falls_silent_raises_an_alarm(engines: Path, up: Up, run: Run) -> None:
    """By the wall clock, without a row; its next row ends it. What was ingested as history is not silent."""
    rules(engines, 1, 700, GONE)
    with up(engines) as server:
        server.push(reading(600, "TRE-002", ago_s=3600), "engine_telemetry")
        server.push(reading(600), "engine_telemetry")
        server.until(
            lambda: [(one["asset"], one["state"]) for one in alarms(run, engines)] == [("TRE-001", "UNACK_ALARM")]
        )
        time.sleep(2)
        server.push(reading(600), "engine_telemetry")
        server.until(
            lambda: [(one["asset"], one["state"]) for one in alarms(run, engines)] == [("TRE-001", "RTN_UNACK")]
        )
        assert server.stop()[0] == 0
    assert run("replay", "engine_telemetry", "--json", cwd=engines).document["equal"]
