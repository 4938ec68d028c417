"""Pushed rows of a workspace: taken in by one command, read by the next."""

from __future__ import annotations

from pathlib import Path

from hotfire.rows import LIVE, Plan
from hotfire.workspace.settings import load
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace


def test_a_planned_batch_of_pushed_rows_is_read_again(tmp_path: Path) -> None:
    """The command that finishes what another left reads the spool twice: for the plan, and for what came after it."""
    create("fleet", tmp_path / "ws")
    settings = load(tmp_path / "ws", {}, {})
    with Workspace(settings) as workspace:
        done = workspace.sources.spool("events").append(b'{"event_id":"e1"}\n')
        assert done is not None
        done.result(10)
    with Workspace(settings) as workspace:
        contract = workspace.prepare("events")
        flow, _ = workspace.ingest_flow(contract, "job-1")
        read = flow.source.poll({})
        assert read is not None
        plan = Plan("events", LIVE, 1, read.span, read.sha256, 0, contract.hash)
        assert workspace.sources.reread(contract, plan).sha256 == read.sha256
