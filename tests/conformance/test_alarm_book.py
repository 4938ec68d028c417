"""What people ask for of alarms, in each store: many at once, each with its own answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hotfire.alarm.life import state_of
from hotfire.alarm.model import Action, ActionName
from hotfire.findings import Change, Condition
from hotfire.store.operational import OperationalStore
from hotfire.store.postgresql import PostgresStore
from hotfire.store.sqlite import SqliteStore
from hotfire.testing.clocks import ManualClock

STREAM, ASSETS = "readings", [f"asset {number:02}" for number in range(40)]


class AlarmBookSuite:
    """Alarms of 40 assets, and what is asked of all of them."""

    @pytest.fixture
    def raised(self, opened: OperationalStore) -> dict[str, str]:
        """An open alarm of each asset: its id by the asset's name."""
        for asset in ASSETS:
            one = Condition("hot", asset, "", 1, "warning", "warning", 10, None, 1.5, 1.0, "!")
            opened.alarms.observe(STREAM, asset, Change("raised", 10, one))
        assert opened.act(STREAM) == len(ASSETS)
        found = opened.table("hf_alarm", ["asset", "alarm_id"])
        assert found is not None
        return dict(found.select("asset", "alarm_id").iter_rows())

    @staticmethod
    def ask(store: OperationalStore, what: ActionName, ids: list[str]) -> list[str]:
        """Ask for one thing of every alarm; the names of the actions."""
        asked = [Action(f"{what} {one}", one, what, "mia", "because", 100) for one in ids]
        store.alarms.ask(STREAM, [(one, ()) for one in asked])
        return [one.action_id for one in asked]

    def test_many_are_asked_for_and_taken(self, opened: OperationalStore, raised: dict[str, str]) -> None:
        """Pending until the owner acts; then done, or refused with the reason, each by itself."""
        (early,) = self.ask(opened, "ack", [raised["asset 07"]])
        assert opened.act(STREAM) == 1
        late = self.ask(opened, "ack", list(raised.values())) + self.ask(opened, "reset", [raised["asset 08"]])
        assert set(opened.alarms.answers(late)) == set(late)
        assert opened.alarms.answers(late)[early] == ("done", "")
        assert opened.act(STREAM) == len(ASSETS)
        answers = opened.alarms.answers(late)
        refused = "Its condition still holds: it can be reset once that has returned."
        assert answers.pop(late[-1]) == ("refused", refused)
        assert set(answers.values()) == {("done", "")}
        assert {state_of(one) for one in opened.alarms.known(raised.values()).values()} == {"ACK_ALARM"}

    def test_a_change_finds_the_alarms_of_its_asset_alone(
        self, opened: OperationalStore, raised: dict[str, str]
    ) -> None:
        """The others stay as they were."""
        one = Condition("hot", "asset 07", "", 1, None, "warning", 10, 20, 1.5, 1.0, "!")
        opened.alarms.observe(STREAM, "back", Change("returned", 20, one))
        assert opened.act(STREAM) == 1
        states = {name: state_of(alarm) for name, alarm in opened.alarms.known(raised.values()).items()}
        assert states.pop(raised["asset 07"]) == "RTN_UNACK"
        assert set(states.values()) == {"UNACK_ALARM"}

    def test_of_none_there_is_nothing(self, opened: OperationalStore) -> None:
        """Neither an answer nor an alarm."""
        assert (opened.alarms.answers([]), opened.alarms.known([])) == ({}, {})
        opened.alarms.ask(STREAM, [])
        assert opened.act(STREAM) == 0


class TestSqliteAlarmBook(AlarmBookSuite):
    """In SQLite."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[OperationalStore]:
        with closing(SqliteStore(tmp_path / "hotfire.db", ManualClock())) as store:
            yield store


class TestPostgresAlarmBook(AlarmBookSuite):
    """In PostgreSQL."""

    @pytest.fixture
    def opened(self, new_store_url: Callable[[], str]) -> Iterator[OperationalStore]:
        with closing(PostgresStore(new_store_url(), ManualClock())) as store:
            yield store
