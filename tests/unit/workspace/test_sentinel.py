"""What the wall clock shows: assets that are silent, and those that are heard again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotfire.clock import iso
from hotfire.engine.loop import run
from hotfire.testing.clocks import ManualClock
from hotfire.workspace.alarms import listed
from hotfire.workspace.sentinel import WallClock
from hotfire.workspace.settings import load
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

STREAM, S = "engine_telemetry", 10**9
HEADER = "engine_id,event_time,seq,phase,chamber_pressure,fuel_flow,temperature,performance_score"
RULES = """stream: engine_telemetry
version: 1
rules:
  - {name: gone, detector: no_data, timeout: 30 s}
  - {name: lost, detector: no_data, timeout: 30 s, while: phase <> 'standby'}
"""


class Rig:
    """A stand whose clock is ours."""

    def __init__(self, workspace: Workspace, clock: ManualClock) -> None:
        self.workspace, self.clock, self.start_ns = workspace, clock, clock.now_ns()
        self.rows = [HEADER]
        self.eyes = WallClock(workspace)

    def row(self, second: float, asset: str = "TRE-001", phase: str = "steady", score: str = "90") -> None:
        """A row of an event time reaches hotfire now."""
        at = iso(self.start_ns + int(second * S))
        flow = 0 if phase == "standby" else 95
        self.rows.append(f"{asset},{at},{len(self.rows)},{phase},200,{flow},600,{score}")
        file = self.workspace.settings.folder / "rows.csv"
        file.write_text("\n".join([*self.rows, ""]), "utf-8")
        run(self.workspace.ingest_flow(self.workspace.prepare(STREAM), "job", [str(file)])[0])

    def look(self) -> list[tuple[str, str, str]]:
        """The open alarms after a look at the clock: rules, assets and states."""
        self.eyes.look()
        self.workspace.store.act(STREAM)
        found = listed(self.workspace, [STREAM])
        return sorted((one.alarm.rule, one.alarm.asset, one.state) for one in found)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    create("engines", tmp_path / "ws")
    for file in (tmp_path / "ws" / "rules").glob("*.yaml"):
        file.unlink()
    (tmp_path / "ws" / "rules" / "silence.yaml").write_text(RULES, "utf-8")
    clock = ManualClock()
    with Workspace(load(tmp_path / "ws", {}, {}), clock) as workspace:
        workspace.store.own()
        yield Rig(workspace, clock)


def test_silence_is_over_when_rows_come_however_late(rig: Rig) -> None:
    """A device that was cut off sends what it has kept: no gap of event time, so the rules say nothing of it."""
    rig.row(0)
    assert rig.look() == []
    rig.clock.sleep(60)
    silent = [("gone", "TRE-001", "UNACK_ALARM"), ("lost", "TRE-001", "UNACK_ALARM")]
    assert (rig.look(), rig.look()) == (silent, silent)
    rig.row(20)
    rig.row(40)
    over = [("gone", "TRE-001", "RTN_UNACK"), ("lost", "TRE-001", "RTN_UNACK")]
    assert (rig.look(), rig.look()) == (over, over)
    assert rig.workspace.store.query("conditions", stream=STREAM, revision=1, after=0, page=9).is_empty()
    rig.clock.sleep(60)
    assert rig.look() == silent


def test_a_gap_of_event_time_ends_silence_too(rig: Rig) -> None:
    """Its next row does, in the ledger of conditions."""
    rig.row(0)
    rig.clock.sleep(60)
    rig.look()
    rig.row(60)
    assert [state for _, _, state in rig.look()] == ["RTN_UNACK", "RTN_UNACK"]
    assert rig.workspace.store.query("conditions", stream=STREAM, revision=1, after=0, page=9).height == 2


def test_silence_counts_only_while_the_rule_says_so(rig: Rig) -> None:
    """By the asset's last row."""
    rig.row(0, "TRE-001", "standby")
    rig.row(0, "TRE-002", "steady")
    rig.clock.sleep(60)
    assert rig.look() == [
        ("gone", "TRE-001", "UNACK_ALARM"),
        ("gone", "TRE-002", "UNACK_ALARM"),
        ("lost", "TRE-002", "UNACK_ALARM"),
    ]


def test_a_rule_that_is_gone_says_nothing_more(rig: Rig) -> None:
    """Its silences are over."""
    rig.row(0)
    rig.clock.sleep(60)
    assert len(rig.look()) == 2
    file = rig.workspace.settings.folder / "rules" / "silence.yaml"
    file.write_text("".join(line for line in RULES.splitlines(keepends=True) if "gone" not in line), "utf-8")
    rig.row(1)
    assert rig.look() == [("gone", "TRE-001", "RTN_UNACK"), ("lost", "TRE-001", "RTN_UNACK")]
    rig.clock.sleep(60)
    assert rig.look() == [("gone", "TRE-001", "RTN_UNACK"), ("lost", "TRE-001", "UNACK_ALARM")]
    file.unlink()
    rig.row(2)
    rig.clock.sleep(60)
    assert rig.look() == [("gone", "TRE-001", "RTN_UNACK"), ("lost", "TRE-001", "RTN_UNACK")]


def test_a_channel_is_silent_because_its_asset_is(rig: Rig) -> None:
    """People know of that already, whoever has seen it: the clock, or a row."""
    file = rig.workspace.settings.folder / "rules" / "silence.yaml"
    file.write_text(
        f"{RULES}  - {{name: mute, detector: no_data, channel: performance_score, timeout: 20 s}}\n", "utf-8"
    )
    rig.row(0)
    rig.clock.sleep(60)
    rig.look()
    rig.row(25, score="")
    alarms = {one.alarm.rule: one.alarm for one in listed(rig.workspace, [STREAM])}
    assert alarms["mute"].cause in (alarms["gone"].alarm_id, alarms["lost"].alarm_id)
    assert (alarms["mute"].told, alarms["gone"].told) == ("", "raised")
