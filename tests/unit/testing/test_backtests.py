"""`hotfire.testing.backtest`: rules tried on whatever a test has at hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import hotfire
from hotfire.clock import SystemClock
from hotfire.engine.loop import run
from hotfire.errors import ContractError, UserError
from hotfire.testing import backtest
from hotfire.workspace.settings import exactly
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

RULES = """
stream: engine_telemetry
version: 1
rules:
  - {name: starved, detector: limit, channel: fuel_flow, critical: {low: 88}, min_violations: 2}
"""
FLOW = [95.5, 60.0, 95.5, 60.0, 61.0, 62.0, 95.5]
RAISED = 1772323214 * 10**9


def records() -> list[dict[str, object]]:
    at = "2026-03-01T00:00:1{}Z"
    fixed = {"engine_id": "TRE-001", "phase": "steady", "chamber_pressure": 210.0, "temperature": 640.0}
    return [{**fixed, "event_time": at.format(number), "fuel_flow": flow} for number, flow in enumerate(FLOW)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with RULES in it."""
    create("engines", tmp_path / "ws")
    rules = tmp_path / "ws" / "rules" / "flow.yaml"
    rules.parent.mkdir(exist_ok=True)
    rules.write_text(RULES)
    return tmp_path / "ws"


def contract(workspace: Path) -> Path:
    return workspace / "contracts" / "engine_telemetry" / "v1.yaml"


def test_records_files_and_frames_are_the_same(workspace: Path) -> None:
    """A list, a frame with fields as columns, a file, and a folder of files: one condition, found where it is."""
    rules = workspace / "rules" / "flow.yaml"
    frame = pl.DataFrame(records())
    frame.write_csv(workspace / "incoming" / "a.csv")
    frame.with_columns(pl.col("event_time").str.to_datetime(time_zone="UTC")).write_parquet(workspace / "a.parquet")
    given = [
        records(),
        frame,
        frame.with_columns(pl.col("event_time").str.to_datetime(time_zone="UTC")),
        workspace / "incoming" / "a.csv",
        str(workspace / "incoming"),
        [workspace / "a.parquet"],
    ]
    for rows in given:
        found = backtest(rules, rows, limits=False)
        assert (found.rows, found.left_out) == (7, 0)
        assert [(one.rule, one.asset, one.raised_at_ns, one.value) for one in found.conditions] == [
            ("starved", "TRE-001", RAISED, 61.0)
        ]


def test_stored_rows_are_not_judged_again(workspace: Path) -> None:
    """A reading that was nulled when it was stored, though required, does not make its row a bad one now."""
    spoilt = [{**row, "chamber_pressure": 99999.0} if number == 3 else row for number, row in enumerate(records())]
    pl.DataFrame(spoilt).write_csv(workspace / "incoming" / "a.csv")
    with Workspace(exactly(workspace), SystemClock()) as one:
        run(one.ingest_flow(one.prepare("engine_telemetry"), "job")[0])
    rows = hotfire.read(workspace, "engine_telemetry")
    assert rows["chamber_pressure"].null_count() == 1
    for some in (rows, rows.select("engine_id", "event_time_ns", "fuel_flow")):
        found = backtest(workspace / "rules" / "flow.yaml", some, limits=False)
        assert (found.rows, found.conditions[0].raised_at_ns) == (7, RAISED)


def test_the_contract_is_named_or_around(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a folder of versions, a text, or the workspace around the rules or the working folder."""
    named = [contract(workspace), contract(workspace).parent, contract(workspace).read_text()]
    for one in named:
        found = backtest(RULES, records(), one)
        assert [condition.rule for condition in found.conditions] == ["starved", "fuel_flow.limit"]
    with pytest.raises(UserError, match="not in a workspace"):
        backtest(RULES, records())
    monkeypatch.chdir(workspace)
    assert len(backtest(RULES, records()).conditions) == 2


def test_what_cannot_be_tried_is_an_error(workspace: Path) -> None:
    """A broken rule, a file that is not there or cannot be read, a folder without a contract: never an empty answer."""
    (workspace / "bad.csv.gz").write_bytes(b"\x1f\x8b\x08 this is no gzip")
    with pytest.raises(ContractError, match="rules:5"):
        backtest(RULES.replace("fuel_flow", "fuel_flaw"), records(), contract(workspace))
    for rows in ("nowhere.csv", str(workspace / "bad.csv.gz")):
        with pytest.raises(UserError, match="csv"):
            backtest(RULES, rows, contract(workspace))
    with pytest.raises(UserError, match="holds no v1"):
        backtest(RULES, records(), workspace)


def test_labels_and_other_versions_are_held_against_it(workspace: Path) -> None:
    """A score where faults are labelled, and the difference to what other rules find."""
    labels = """[{"asset": "TRE-001", "channel": "fuel_flow", "fault": "fuel_system_failure",
                  "since": "2026-03-01T00:00:13Z", "until": "2026-03-01T00:00:15Z"}]"""
    found = backtest(RULES, records(), contract(workspace), labels=labels, limits=False)
    assert found.score is not None
    assert [(one.kind, one.recall, one.delays_s) for one in found.score.by_kind] == [
        ("fuel_system_failure", 1.0, (1.0,))
    ]
    other = backtest(RULES.replace(", min_violations: 2", ""), records(), contract(workspace), limits=False)
    assert found.against(other).summary == "+0 / -1"
    assert other.score is None
