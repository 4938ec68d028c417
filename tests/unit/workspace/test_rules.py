"""Rules as a workspace enters them: new texts, and only those, with the instant at which they came into use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotfire.errors import ContractError
from hotfire.testing.clocks import ManualClock
from hotfire.workspace.rules import Rules
from hotfire.workspace.settings import load
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

STREAM = "engine_telemetry"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def workspace(tmp_path: Path, clock: ManualClock) -> Iterator[Workspace]:
    """A stand with the rules that ship with it."""
    create("engines", tmp_path / "ws")
    with Workspace(load(tmp_path / "ws", {}, {}), clock) as opened:
        yield opened


def entered(workspace: Workspace) -> list[tuple[str, int]]:
    """The rules that were entered when those that hold now were asked for: versions, and instants."""
    rules = Rules(workspace.settings.folder, workspace.contract(STREAM), workspace.store)
    assert rules.current.editions
    return list(workspace.store.query("rules", stream=STREAM).select("version", "entered_at_ns").iter_rows())


def test_the_same_rules_are_entered_once(workspace: Workspace, clock: ManualClock) -> None:
    """However often they are read; when they came into use stays as it was."""
    first = entered(workspace)
    clock.sleep(60)
    assert entered(workspace) == first
    assert len(first) == 1


def test_changed_rules_are_entered_beside_the_older_ones(workspace: Workspace, clock: ManualClock) -> None:
    """Both keep their instants; going back to the first makes that the newest again."""
    first = entered(workspace)
    file = workspace.settings.folder / "rules" / "engines.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("version: 1", "version: 2", 1), "utf-8")
    clock.sleep(60)
    both = entered(workspace)
    assert both == [*first, ("rules/engines.yaml 2", first[0][1] + 60 * 10**9)]
    file.write_text(text, "utf-8")
    clock.sleep(60)
    assert [version for version, _ in entered(workspace)] == ["rules/engines.yaml 2", "rules/engines.yaml 1"]


def test_rules_that_are_gone_hold_no_more(workspace: Workspace, clock: ManualClock) -> None:
    """Their end is entered, too, once: whoever asks for those that were entered last gets the limits alone."""
    text = (file := workspace.settings.folder / "rules" / "engines.yaml").read_text("utf-8")
    file.unlink()
    assert entered(workspace) == []
    file.write_text(text, "utf-8")
    entered(workspace)
    clock.sleep(60)
    file.unlink()
    assert entered(workspace) == entered(workspace)
    assert [version for version, _ in entered(workspace)] == ["rules/engines.yaml 1", ""]
    last = Rules(workspace.settings.folder, workspace.contract(STREAM), workspace.store).last()
    names = [one.rule.name for one in last.editions[-1].detectors]
    assert names
    assert all(name.endswith(".limit") for name in names)
    clock.sleep(60)
    file.write_text(text, "utf-8")
    assert [version for version, _ in entered(workspace)] == ["", "rules/engines.yaml 1"]


def test_a_stream_without_rows_has_nothing_to_hold_on_to(workspace: Workspace) -> None:
    """Whoever asks: a file that is broken is refused, though other rules were entered before."""
    entered(workspace)
    (workspace.settings.folder / "rules" / "engines.yaml").write_text("stream: engine_telemetry\nrules: 5\n", "utf-8")
    for lenient in (False, True):
        rules = Rules(workspace.settings.folder, workspace.contract(STREAM), workspace.store, lenient=lenient)
        with pytest.raises(ContractError, match="a list `rules`"):
            assert rules.current
        assert rules.trouble is None
