"""One Delta table: its handle, its commits, and the care for its files."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from hotfire.durable import sync_files
from hotfire.lake import layout
from hotfire.lake.scan import NO_FILES, damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deltalake import Transaction

    from hotfire.contract.model import Contract

T = TypeVar("T")

REOPEN_AFTER = 50
"""Versions that one handle has gone along with: an older one gets slower with every commit."""

PROBLEMS = pl.Schema({"problem": pl.String(), "first": pl.Int64(), "last": pl.Int64()})
"""What `Table.problems` says of a file; the batches are null where the log does not know them."""

STATISTICS = "delta.dataSkippingStatsColumns"
MOVED, UPTO = "hotfire.app", "hotfire.upto"
"""What a commit says of the marker that it sets."""
_COMMITS = 500
"""So far back `appended` looks."""
ZSTD = WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=1 << 17)
"""How the library writes. A group of rows is held in memory until it is whole."""
_FULL = 1 << 25
"""Bytes from which on a data file is left as it is: compacting takes as much time and memory after months as at first."""


class Table:
    """One Delta table in a folder or under a URL.

    In a folder the data files are on disk before the log names them, and the log before a method returns: a power
    cut leaves an unused file at worst. (The Delta library's own writer publishes first and never syncs.) Under a URL
    the library writes, and the store behind it is trusted to be durable.

    Args:
        uri: the folder, absolute, or the URL.
        local: whether it is a folder.
        keep_hours: how long files stay that no longer belong to the table.
    """

    def __init__(self, uri: str, *, local: bool, keep_hours: int) -> None:
        self.uri = uri
        self._local = local
        self._keep_hours = keep_hours
        self._handle: DeltaTable | None = None
        self._opened_at = 0
        self._fits: Contract | None = None

    def forget(self) -> None:
        """Open the table anew when it is next asked for."""
        self._handle = self._fits = None

    def committed(self, commit: Callable[[], T]) -> T:
        """Commit; where another writer's commit was in the way, look at the table again and commit anew."""
        try:
            return commit()
        except CommitFailedError:
            from stamina import instrumentation, retry  # here, for loading it takes longer than the commit

            instrumentation.set_on_retry_hooks([])  # they would write to standard output

        def anew() -> T:
            self.forget()
            return commit()

        return retry(on=CommitFailedError, attempts=7, wait_initial=0.05, wait_max=1.0)(anew)()

    def current(self) -> DeltaTable | None:
        """The handle at the table's newest version; None where there is no table."""
        if self._handle is not None and self._handle.version() - self._opened_at < REOPEN_AFTER:
            self._handle.update_incremental()
        elif DeltaTable.is_deltatable(self.uri):
            self._handle = DeltaTable(self.uri)
            self._opened_at = self._handle.version()
        else:
            self._handle = None
        return self._handle

    def ready(self, contract: Contract, made: Transaction) -> DeltaTable:
        """The handle of a table that has every column of the contract; created, committing `made`, where none is."""
        table = self.current() or self._create(contract, made)
        if self._fits is not contract:
            self._adapt(table, contract)
            self._fits = contract
        return table

    def files(self) -> pl.DataFrame:
        """The data files of the newest version: `path`, `size_bytes`, `min.*`, `max.*`, `partition.*`."""
        table = self.current()
        files = NO_FILES if table is None else pl.DataFrame(table.get_add_actions(flatten=True))
        return files if files.width else NO_FILES

    def paths(self, files: pl.DataFrame) -> list[str]:
        """Where these files are."""
        return [f"{self.uri}/{path}" for path in files["path"]]

    def append(self, table: DeltaTable, contract: Contract, rows: pl.DataFrame, marker: Transaction) -> None:
        """Add lake rows and set the marker, in one commit. Raises CommitFailedError where another writer set it."""
        if self._local:
            self._publish(table, "append", self._write(contract, rows), table.schema(), marker)
        else:
            write_deltalake(table, rows, mode="append", writer_properties=ZSTD, commit_properties=_moving(marker))

    def overwrite(
        self, table: DeltaTable, contract: Contract, frames: Iterator[pl.DataFrame], marker: Transaction
    ) -> None:
        """Replace all rows and all columns by those of `frames`, in one commit; markers of others stay.

        Under a URL all frames are held in memory: the library cannot read them while it writes.
        """
        if self._local:
            added = [action for frame in frames for action in self._write(contract, frame)]
            self._publish(table, "overwrite", added, Schema(layout.fields(contract)), marker)
        else:
            write_deltalake(
                table,
                pl.concat([pl.DataFrame(schema=layout.columns(contract)), *frames]),
                mode="overwrite",
                schema_mode="overwrite",
                writer_properties=ZSTD,
                commit_properties=CommitProperties(app_transactions=[marker]),
            )
        self.forget()

    def retreat(self, table: DeltaTable, shard: str, marker: Transaction) -> int:
        """Delete the shard's rows of batches after the marker's, and set the marker there. Counts the rows."""
        before, version = set(self.paths(self.files())), table.version()
        name = shard.replace("'", "''")
        counted = table.delete(
            f"shard = '{name}' AND batch_seq > {marker.version}",
            writer_properties=ZSTD,
            commit_properties=CommitProperties(app_transactions=[marker]),
        )
        if not counted["num_deleted_rows"]:
            self._publish(table, "append", [], table.schema(), marker)
        self._sync([path for path in self.paths(self.files()) if path not in before], version)
        return int(counted["num_deleted_rows"])

    def maintain(self) -> dict[str, int]:
        """Make few large files of many small ones and drop those that no reader can still need."""
        self.forget()
        table = self.current()
        if table is None:
            return {"compacted": 0, "into": 0, "dropped": 0, "files": 0}
        before, version = set(self.paths(self.files())), table.version()
        metrics = table.optimize.compact(target_size=_FULL, writer_properties=ZSTD)
        after = self.paths(self.files())
        self._sync([path for path in after if path not in before], version)
        version = table.version()
        dropped = table.vacuum(self._keep_hours, dry_run=False, enforce_retention_duration=False, full=True)
        table.cleanup_metadata()
        self._sync([], version)
        made, gone = metrics["numFilesAdded"], metrics["numFilesRemoved"]
        return {"compacted": gone, "into": made, "dropped": len(dropped), "files": len(after)}

    def appended(self) -> pl.DataFrame:
        """When which markers were set, as far as the log goes back: `app`, `upto`, `at_ns`, oldest first."""
        table = self.current()
        told = [] if table is None else table.history(_COMMITS)
        moved = [(one[MOVED], int(one[UPTO]), one["timestamp"] * 1_000_000) for one in reversed(told) if MOVED in one]
        return pl.DataFrame(moved, schema={"app": pl.String, "upto": pl.Int64, "at_ns": pl.Int64}, orient="row")

    def problems(self) -> pl.DataFrame:
        """The data files that are lost or damaged: `problem`, a sentence, and `first` and `last`, batches they hold."""
        files = self.files()
        if self._local:
            sizes = zip(self.paths(files), files["size_bytes"], strict=True)
            found = [damage(Path(path), size) for path, size in sizes]
        else:
            table = self.current()
            lost = set() if table is None else set(table.repair(dry_run=True)["files_removed"])
            found = [f"{self.uri}/{path} is missing." if path in lost else "" for path in files["path"]]
        first, last = (files[name] if name in files.columns else None for name in ("min.batch_seq", "max.batch_seq"))
        judged = pl.DataFrame({"problem": found, "first": first, "last": last}, schema=PROBLEMS)
        return judged.filter(pl.col("problem") != "")

    def _create(self, contract: Contract, made: Transaction) -> DeltaTable:
        hours = f"interval {max(self._keep_hours, 1)} hours"
        if self._local:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            self.uri,
            Schema(layout.fields(contract)),
            mode="ignore",
            partition_by=[layout.PARTITION],
            configuration={
                "delta.logRetentionDuration": hours,
                "delta.deletedFileRetentionDuration": hours,
                STATISTICS: ",".join(layout.statistics_columns(contract)),
            },
            commit_properties=CommitProperties(app_transactions=[made]),
        )
        self._handle, self._opened_at = table, table.version()
        if self._local:
            sync_files([], Path(self.uri).parent)
            sync_files([], Path(self.uri).parent.parent)
        self._sync([], -1)
        return table

    def _adapt(self, table: DeltaTable, contract: Contract) -> None:
        version, statistics = table.version(), ",".join(layout.statistics_columns(contract))
        if gained := layout.gained(contract, table.schema().fields):
            table.alter.add_columns(gained)
        if table.metadata().configuration.get(STATISTICS) != statistics:
            table.alter.set_table_properties({STATISTICS: statistics})
        self._sync([], version)

    def _write(self, contract: Contract, rows: pl.DataFrame) -> list[AddAction]:
        """Write one data file a date. They are durable, but nobody's until a commit names them."""
        top, added = Path(self.uri), []
        for (date,), part in rows.partition_by(layout.PARTITION, as_dict=True, include_key=False).items():
            path = f"{layout.PARTITION}={date}/{uuid.uuid4()}.zstd.parquet"
            _write_file(top / path, part)
            added.append(
                AddAction(
                    path=path,
                    size=(top / path).stat().st_size,
                    partition_values={layout.PARTITION: str(date)},
                    modification_time=0,
                    data_change=True,
                    stats=layout.statistics(contract, part),
                )
            )
        sync_files([top / action.path for action in added], top)
        return added

    def _publish(
        self,
        table: DeltaTable,
        mode: Literal["append", "overwrite"],
        added: list[AddAction],
        schema: Schema,
        marker: Transaction,
    ) -> None:
        version, moved = table.version(), _moving(marker)
        table.create_write_transaction([*added], mode, schema, [layout.PARTITION], commit_properties=moved)
        table.update_incremental()
        self._sync([], version)

    def _sync(self, paths: Iterable[str], version: int) -> None:
        """Make data files and the log after `version` durable."""
        if not self._local or self._handle is None:
            return
        top = Path(self.uri)
        log = top / "_delta_log"
        written = [log / "_last_checkpoint"]
        for number in range(version + 1, self._handle.version() + 1):
            written += [log / f"{number:020d}.json", log / f"{number:020d}.checkpoint.parquet"]
        sync_files([*map(Path, paths), *(path for path in written if path.exists())], top)


def _moving(marker: Transaction) -> CommitProperties:
    """A commit that sets the marker, and says so where people, and `Table.appended`, read what was done."""
    told = {MOVED: marker.app_id, UPTO: str(marker.version)}
    return CommitProperties(app_transactions=[marker], custom_metadata=told)


def _write_file(path: Path, rows: pl.DataFrame) -> None:
    """Write one data file, or leave nothing: half a file would keep a full disk full."""
    try:
        rows.write_parquet(path, compression="zstd", compression_level=1, mkdir=True)
    except (OSError, pl.exceptions.ComputeError):
        path.unlink(missing_ok=True)
        raise
