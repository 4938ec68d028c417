"""Every store passes the suite that ships with hotfire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hotfire.contract.model import Contract
from hotfire.protocols import Store
from hotfire.store.dialect import quoted
from hotfire.store.operational import OperationalStore
from hotfire.store.postgresql import PostgresStore
from hotfire.store.postgresql_address import Address
from hotfire.store.postgresql_connection import PostgresConnection
from hotfire.store.sqlite import SqliteStore
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clear_suite import ClearSuite
from hotfire.testing.clocks import ManualClock
from hotfire.testing.refusal_suite import RefusalSuite
from hotfire.testing.store_suite import StoreSuite


class Tables:
    """What both stores have: tables by name."""

    def current(self, store: Store, contract: Contract) -> list[tuple[Any, ...]]:
        assert isinstance(store, OperationalStore)
        table = store.table(contract.stream)
        assert table is not None
        others = [column.storage for column in contract.columns if column.storage not in contract.identity]
        return sorted(table.select(*contract.identity, *others).rows())


class TestSqliteStore(Tables, ClearSuite, RefusalSuite, StoreSuite):
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

    def forbid(self, store: Store, table: str, condition: str) -> None:
        named = re.sub(r"^(\w+)", r"NEW.\1", condition)
        name = quoted(f"{table}_forbids")
        self.execute(
            store,
            f"CREATE TRIGGER {name} BEFORE INSERT ON {quoted(table)} WHEN {named} "
            "BEGIN SELECT RAISE(ABORT, 'forbidden'); END",
        )


class TestPostgresStore(Tables, ClearSuite, RefusalSuite, StoreSuite):
    """PostgreSQL through ADBC."""

    @pytest.fixture
    def open_store(self, new_store_url: Callable[[], str]) -> Iterator[Callable[[], Store]]:
        self.url = new_store_url()
        with ExitStack() as opened:
            yield lambda: opened.enter_context(closing(PostgresStore(self.url, ManualClock())))

    def execute(self, store: Store, sql: str) -> None:  # noqa: ARG002 - the suite's
        with closing(PostgresConnection(Address.of(self.url))) as connection:
            connection.query(sql)
            connection.commit()

    def forbid(self, store: Store, table: str, condition: str) -> None:
        self.execute(store, f"ALTER TABLE {quoted(table)} ADD CONSTRAINT forbidden CHECK (NOT ({condition}))")
