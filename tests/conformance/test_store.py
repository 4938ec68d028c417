"""Every store passes the suite that ships with hotfire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hotfire.contract.model import Contract
from hotfire.protocols import Store
from hotfire.store.sqlite import SqliteStore
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.store_suite import StoreSuite


class TestSqliteStore(StoreSuite):
    """SQLite through ADBC."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(
                closing(SqliteStore(tmp_path / "a folder" / "hotfire.db", ManualClock()))
            )

    def execute(self, store: Store, sql: str) -> None:
        assert isinstance(store, SqliteStore)
        with closing(SqliteConnection(store.path)) as connection:
            connection.query(sql)
            connection.commit()

    def current(self, store: Store, contract: Contract) -> list[tuple[Any, ...]]:
        assert isinstance(store, SqliteStore)
        table = store.table(contract.stream)
        assert table is not None
        others = [column.storage for column in contract.columns if column.storage not in contract.identity]
        return sorted(table.select(*contract.identity, *others).rows())
