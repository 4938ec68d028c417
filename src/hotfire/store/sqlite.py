"""The embedded store: SQLite in WAL mode through ADBC, one transaction a batch, fsynced at the commit."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotfire.errors import StoreUnusable
from hotfire.store import ddl
from hotfire.store.dialect import quoted
from hotfire.store.migrate import migrate
from hotfire.store.operational import OperationalStore
from hotfire.store.sqlite_connection import OwnerLock, SqliteConnection, copy_database

if TYPE_CHECKING:
    import polars as pl

    from hotfire.clock import Clock
    from hotfire.contract.model import Contract

SAVED = "hotfire.db"
"""What a saved database is called."""


class SqliteStore(OperationalStore):
    """Implements `protocols.Store` on one SQLite file.

    Args:
        path: the database file; made, with its folder, where it does not exist.
        clock: for `committed_at` only.
        dry_run: nothing is ever committed; closing gives everything up.
    """

    def __init__(self, path: Path, clock: Clock, *, dry_run: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock: OwnerLock | None = None
        super().__init__(SqliteConnection(path), clock, dry_run=dry_run)
        with ExitStack() as unless_open:
            unless_open.callback(self._connection.close)
            migrate(self._connection)
            unless_open.pop_all()

    def own(self) -> None:
        """Take the file lock: no other process writes until this one closes. Raises OwnedElsewhere."""
        if self._lock is None:
            self._lock = OwnerLock(self.path.with_name(self.path.name + ".lock"))

    def save(self, folder: Path) -> None:
        """Write the database as it is now to `folder/hotfire.db`, while others go on writing it.

        Raises:
            StoreUnusable: there is no room, or the copy's rows are not where its ledger says.
        """
        copy = folder / SAVED
        copy_database(self.path, copy)
        with closing(SqliteStore(copy, self._clock)) as copied:
            copied.check_ranges()

    def check_ranges(self) -> None:
        """Whether the rows of each batch are where the ledger says: rows are read by that. Raises StoreUnusable."""
        present = self.tables()
        for stream in self.query("streams")["stream"]:
            table = f"{stream}_history" if f"{stream}_history" in present else stream
            found = self._read(
                "SELECT l.batch_seq FROM (SELECT shard, batch_seq, min(rowid) AS first, max(rowid) AS last "
                f"FROM {quoted(table)} GROUP BY shard, batch_seq) t LEFT JOIN hf_ledger l ON l.stream = ? "
                "AND l.shard = t.shard AND l.batch_seq = t.batch_seq "
                "WHERE l.first_rowid IS NULL OR t.first < l.first_rowid OR t.last > l.last_rowid LIMIT 1",
                [stream],
            )
            if found.height:
                what = f"Rows of {table} in {self.path} are not where the ledger says."
                raise StoreUnusable(what, "Run `hotfire doctor`, and please report it.")

    def close(self) -> None:
        """Give up what was not committed; let another process own the store."""
        super().close()
        if self._lock:
            self._lock.close()

    def _rows(self, contract: Contract, shard: str, ledger: pl.DataFrame, chosen: str) -> pl.DataFrame:
        """By the range of rowids that the ledger keeps of every batch; those of cleared rows may be given again."""
        return self._read(
            f"SELECT {chosen} FROM {quoted(ddl.history(contract))} WHERE rowid BETWEEN ? AND ? AND shard = ? "
            "AND batch_seq BETWEEN ? AND ? ORDER BY batch_seq, row_no",
            [*(ledger["first_rowid"].min(), ledger["last_rowid"].max(), shard), *_from_to(ledger["batch_seq"])],
        )


def _from_to(numbers: pl.Series) -> tuple[Any, Any]:
    return numbers.min(), numbers.max()
