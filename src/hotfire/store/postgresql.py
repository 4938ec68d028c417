"""The production store: one schema of a PostgreSQL database. One process owns it; others read.

The owner holds an advisory lock in the session that commits, so that both end together; its epoch in the shard's row
fences whatever a lost session may still be doing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from hotfire.errors import OwnedElsewhere, StoreOutage
from hotfire.store import ddl
from hotfire.store.dialect import quoted
from hotfire.store.migrate import migrate
from hotfire.store.operational import OperationalStore
from hotfire.store.postgresql_address import Address, may_live, process, program
from hotfire.store.postgresql_connection import PostgresConnection
from hotfire.store.postgresql_copies import SCHEMA, load_tables, save_tables
from hotfire.store.postgresql_trouble import Passing, ReplyLost

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from hotfire.clock import Clock
    from hotfire.contract.model import Contract

T = TypeVar("T")
_LOCKS = int.from_bytes(b"hotf")
"""The first of the two keys of hotfire's advisory locks; the second is the schema's hash."""
_HOLDER = (
    "SELECT a.application_name::text AS name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::bigint = ? "
    "AND l.objid::bigint = hashtext(?)::bigint & 4294967295 AND a.datname = current_database()"
)
_SUMMARIZED = (
    "SELECT brin_summarize_new_values(oid) AS ranges FROM pg_class WHERE oid = to_regclass(?) "
    "AND pg_has_role(relowner, 'USAGE') AND NOT pg_is_in_recovery()"
)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_ALIVE_MS, _ELSEWHERE_MS, _DEAD_MS = 200, 2_000, 10_000
"""How long to wait for an owner to go: one that lives, one of another machine, one whose session outlives it."""


class PostgresStore(OperationalStore):
    """Implements `protocols.Store` on one schema of a PostgreSQL database.

    A read, or a transaction, that loses its connection or its precedence is tried again from its beginning. Where no answer
    comes to a commit, the shard's epoch and batch number tell whether it stands.

    Args:
        url: as `Address.of` takes it; the schema is made where it does not exist.
        clock: for `committed_at`, and to wait between tries.
        dry_run: nothing is ever committed; closing gives everything up.
        patience_s: how long to try again before StoreOutage; a first connection is tried once.
    """

    def __init__(self, url: str, clock: Clock, *, dry_run: bool = False, patience_s: float = 15.0) -> None:
        self._session = PostgresConnection(Address.of(url))
        self._patience_s = patience_s
        self._owned = False
        super().__init__(self._session, clock, dry_run=dry_run)
        with ExitStack() as unless_open:
            unless_open.callback(self._session.close)
            self._again(lambda: migrate(self._session))
            unless_open.pop_all()

    def own(self) -> None:
        """Take the lock: no other process writes until this one closes. Raises OwnedElsewhere."""
        if not self._owned:
            self._owned = self.reading(self._lock)

    def batches(self, contract: Contract, shard: str, after: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Each committed batch after `after`, its rows in arrival order.

        What the server has not yet entered into the index by block range it does now, where this user may have it do so:
        each batch would be looked for in all of that.
        """
        self._read(_SUMMARIZED, [f"{quoted(self._session.address.schema)}.{quoted(f'{ddl.history(contract)}_batch')}"])
        yield from super().batches(contract, shard, after)

    def _look_after_lease(self) -> None:
        """The session that took the lock may have been lost: then this one takes it."""
        self._owned = self.reading(lambda: self._lock(shared=True))

    def _lock(self, *, shared: bool = False) -> bool:
        """Take the lock; whether this session holds it.

        Args:
            shared: another session of this process may hold it.
        """
        key = [_LOCKS, self._session.address.schema]
        with ExitStack() as at_last:
            at_last.callback(self._give_up)
            if self._session.query("SELECT pg_try_advisory_lock(?::int, hashtext(?)) AS own", key)["own"].item():
                return True
            names = self._session.query(_HOLDER, key)["name"].to_list()
            name = names[0] if names else ""
            if shared and name == program():
                return False
            lives = may_live(name) if names else False
            wait_ms = _ELSEWHERE_MS if lives is None else _ALIVE_MS if lives else _DEAD_MS
            self._session.query(f"SET LOCAL lock_timeout = {wait_ms}")
            try:
                self._session.query("SELECT pg_advisory_lock(?::int, hashtext(?))::text AS own", key)
            except Passing:
                raise
            except StoreOutage:
                raise _owned_by(name, self.name) from None
        return True

    def _rows(self, contract: Contract, shard: str, ledger: pl.DataFrame, chosen: str) -> pl.DataFrame:
        """By batch number, through the block ranges that hold them."""
        return self._read(
            f"SELECT {chosen} FROM {quoted(ddl.history(contract))} WHERE batch_seq BETWEEN ? AND ? AND shard = ? "
            "ORDER BY batch_seq, row_no",
            [ledger["batch_seq"].min(), ledger["batch_seq"].max(), shard],
        )

    def save(self, folder: Path) -> None:
        """Write every table to Parquet files; inside `steady` all of one moment."""
        present, streams = self.tables(), self.query("streams")["stream"]
        tables = {table for table in present if table.startswith("hf_")} - {SCHEMA}
        tables |= {table for stream in streams for table in (stream, f"{stream}_history") if table in present}
        tables |= {one.table for one in map(self.snapshots.of, streams) if one and one.table in present}
        self.reading(lambda: save_tables(self._session, sorted(tables), folder))

    def load(self, folder: Path) -> None:
        """Fill the tables, which are there and empty, with what was saved, in one transaction."""
        self.writing(lambda: load_tables(self._session, folder))

    def _again(self, deed: Callable[[], T], came: Callable[[], Sequence[T]] = lambda: ()) -> T:
        """Do it, again and again while what keeps from it may be over in a moment.

        Args:
            came: where no answer came to a commit: its result, if it stands.
        """
        unsure = False
        for wait_s in self._waits():
            try:
                with self._within():
                    stood = came() if unsure else ()
                    return stood[0] if stood else deed()
            except Passing as error:
                unsure = unsure or isinstance(error, ReplyLost)
                if self._dry_run or self._steady or wait_s is None:
                    raise
                self._clock.sleep(wait_s)
        raise AssertionError("the last wait is None")

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Connected; what is inside goes on this one connection, and where it fails the transaction is over."""
        with super()._within():
            if self._session.lost and not self._dry_run:
                self._session.reopen()
                if self._owned:
                    self._owned = False
                    self._owned = self._lock(shared=True)
            yield

    def _waits(self) -> Iterator[float | None]:
        """Seconds to wait after each try, longer and longer, no two processes the same; None after the last."""
        left_s, wait_s = self._patience_s, _FIRST_WAIT_S
        while left_s > 0:
            yield wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads processes, keeps no secret
            left_s, wait_s = left_s - wait_s, min(2 * wait_s, _LONGEST_WAIT_S)
        yield None


def _owned_by(name: str, store: str) -> OwnedElsewhere:
    found = process(name)
    if found is None:
        who = f"Another program ({name or 'unnamed'})"
        return OwnedElsewhere(f"{who} holds the lock of the store {store}.", "Stop it: see pg_stat_activity.")
    do = f"Wait for it to end, or stop it: kill {found[0]}"
    return OwnedElsewhere(
        f"Another hotfire process (pid {found[0]} on {found[1]}) is writing to the store {store}.", do
    )
