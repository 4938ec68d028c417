"""What is asked of alarms while their store is owned: by another connection, at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

import pytest

from hotfire.alarm.model import Action
from hotfire.store.sqlite import SqliteStore
from hotfire.testing.clocks import ManualClock

STREAM, POINT = "readings", ("pressure.limit", "a", "pressure")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], SqliteStore]]:
    """Opens the same store again and again, as other processes do."""
    with ExitStack() as stores:
        yield lambda: stores.enter_context(closing(SqliteStore(tmp_path / "hotfire.db", ManualClock())))


def suppress(store: SqliteStore, number: int) -> str:
    """Ask for an alarm to be silent; the action's name."""
    asked = Action(f"{number}", "", "suppress", "mia", "the sensor is being worked on", 1000 + number)
    store.alarms.ask(STREAM, [(asked, ("pressure.limit", f"asset {number}", "pressure"))])
    return asked.action_id


def test_an_owner_that_looked_in_vain_sees_what_is_asked_later(opened: Callable[[], SqliteStore]) -> None:
    """However often it has looked before, and though it committed nothing since."""
    owner, other = opened(), opened()
    assert owner.act(STREAM) == 0
    action_id = suppress(other, 1)
    assert owner.act(STREAM) == 1
    assert other.alarms.answers([action_id]) == {action_id: ("done", "")}


def test_what_is_asked_while_the_owner_acts_keeps_it_from_nothing(opened: Callable[[], SqliteStore]) -> None:
    """Every one of 100 actions is taken, and no look fails, with another process writing at any moment."""
    owner, other = opened(), opened()
    asking = Thread(target=lambda: [suppress(other, number) for number in range(100)])
    asking.start()
    taken = 0
    while asking.is_alive():
        taken += owner.act(STREAM)
    assert taken + owner.act(STREAM) == 100
    assert len(owner.query("alarms_open", stream=STREAM)) == 100
