"""One round of the sentinel: what it does to a store that it does not keep."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import structlog

from hotfire.alarm.model import Action
from hotfire.clock import SystemClock
from hotfire.workspace.alarms import listed
from hotfire.workspace.rounds import go_round
from hotfire.workspace.settings import load
from hotfire.workspace.stores import open_store
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

STREAM = "engine_telemetry"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stand without rows."""
    create("engines", tmp_path / "ws")
    return tmp_path / "ws"


def test_a_round_takes_what_is_asked_and_lets_go_of_the_store(folder: Path) -> None:
    """While it goes on listing, another process may begin to ingest."""
    settings, clock = load(folder, {}, {}), SystemClock()
    with Workspace(settings, clock) as workspace:
        asked = Action("1", "", "suppress", "mia", "no engine", clock.now_ns())
        workspace.store.alarms.ask(STREAM, [(asked, ("dropout", "TRE-001", ""))])
        found = go_round(workspace, [STREAM], "watch", structlog.get_logger())
        assert (found.acted, list(found.alarms), found.milder, found.told) == (1, [], 0, {})
        assert [one.state for one in listed(workspace, [STREAM])] == ["SUPPRESSED_BY_DESIGN"]
        with closing(open_store(settings, clock)) as other:
            other.own()


def test_a_round_beside_an_owner_leaves_that_to_it(folder: Path) -> None:
    """It only lists: what is asked for stays to be done."""
    settings, clock = load(folder, {}, {}), SystemClock()
    with Workspace(settings, clock) as workspace, closing(open_store(settings, clock)) as owner:
        owner.own()
        asked = Action("1", "", "suppress", "mia", "no engine", clock.now_ns())
        workspace.store.alarms.ask(STREAM, [(asked, ("dropout", "TRE-001", ""))])
        assert go_round(workspace, [STREAM], "watch", structlog.get_logger()).acted is None
        assert workspace.store.query("alarm_actions_pending", stream=STREAM).height == 1
        assert owner.act(STREAM) == 1
