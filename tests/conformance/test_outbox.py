"""Outboxes, each held to the one suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hotfire.alarm.notices import Notice
from hotfire.protocols import Outbox
from hotfire.store.operational import OperationalStore
from hotfire.store.outbox import StoreOutbox
from hotfire.store.postgresql import PostgresStore
from hotfire.store.sqlite import SqliteStore
from hotfire.testing.clocks import ManualClock
from hotfire.testing.outbox import ListOutbox
from hotfire.testing.outbox_suite import OutboxSuite


class TestListOutbox(OutboxSuite):
    """In memory."""

    @pytest.fixture
    def outbox(self) -> ListOutbox:
        return ListOutbox()

    def put(self, outbox: Outbox, notices: Sequence[Notice]) -> None:
        """As a commit does."""
        assert isinstance(outbox, ListOutbox)
        outbox.put(notices)


class OperationalOutbox(OutboxSuite):
    """In an operational store."""

    @pytest.fixture
    def outbox(self, opened: OperationalStore) -> StoreOutbox:
        return opened.outbox

    def put(self, outbox: Outbox, notices: Sequence[Notice]) -> None:
        """As a commit does."""
        assert isinstance(outbox, StoreOutbox)
        outbox.put(notices)


class TestSqliteOutbox(OperationalOutbox):
    """In SQLite."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[OperationalStore]:
        store = SqliteStore(tmp_path / "hotfire.db", ManualClock())
        yield store
        store.close()


class TestPostgresOutbox(OperationalOutbox):
    """In PostgreSQL."""

    @pytest.fixture
    def opened(self, new_store_url: Callable[[], str]) -> Iterator[OperationalStore]:
        store = PostgresStore(new_store_url(), ManualClock())
        yield store
        store.close()
