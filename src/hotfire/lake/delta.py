"""The lake as Delta tables: one a stream, partitioned by date, fenced by application transactions."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import stamina
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from hotfire.errors import LakeUnusable
from hotfire.lake import layout
from hotfire.lake.durable import sync_files
from hotfire.lake.scan import NO_FILES, around, damage, overlapping, scan
from hotfire.lake.trouble import usable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hotfire.contract.model import Contract

REOPEN_AFTER = 50
"""Commits through one handle: an older one gets slower with every commit."""

MAINTAIN_EVERY = 128
"""Table versions between two compactions."""

CHUNK = 100_000
"""Rows in one frame of `rows`."""

ZSTD = WriterProperties(compression="ZSTD", compression_level=1)


class DeltaLake:
    """The lake in a folder or under a URL. Every append is one Delta commit, durable when it returns.

    In a folder the data files are on disk before the log names them, so that a power cut leaves an unused file at
    worst. Under a URL the Delta library writes, and the store behind it is trusted to be durable.

    Args:
        root: the folder (or URL) of all tables; the table of a stream is `root/<stream>`.
        incarnation: names the store that this lake follows. A new store starts with new markers.
        keep_hours: how long files stay that no longer belong to a table: longer than the longest reader.

    Raises:
        LakeUnusable: from every method, where a table's files are missing, damaged, full or read-only.
    """

    def __init__(self, root: str | Path, incarnation: str, keep_hours: int = 1) -> None:
        self._local = "://" not in str(root)
        self._root = str(Path(root).absolute()) if self._local else str(root).rstrip("/")
        if self._local and any(letter in self._root for letter in "%\\"):
            raise LakeUnusable(
                f"The lake's folder {self._root} has a % or a backslash in its name, which Delta tables cannot bear.",
                "Rename the folder, or name another one in the settings.",
            )
        self._incarnation = incarnation
        self._keep_hours = keep_hours
        self._tables: dict[str, DeltaTable] = {}
        self._commits: dict[str, int] = {}

    def marker(self, stream: str, shard: str) -> int:
        """The last batch that the lake holds of this shard; 0 where there is none."""
        with usable(self._uri(stream)):
            table = self._existing(stream)
            return 0 if table is None else self._marker(table, stream, shard)

    def append(self, contract: Contract, shard: str, upto: int, rows: pl.DataFrame) -> None:
        """Add rows of batches up to `upto` and move the marker there, atomically and durably.

        Where the marker is already at or past `upto`, nothing happens. `rows` has the contract's storage columns and
        the bookkeeping (entities: `received_at_ns` too), and may be empty.
        """
        stream, shown = contract.stream, layout.to_lake(contract, rows)
        app = Transaction(self._app(stream, shard), upto)
        written: list[AddAction] | None = None
        with usable(self._uri(stream)):
            for attempt in _retries():
                with attempt:
                    table = self._table(contract, reopen=attempt.num > 1)
                    if self._marker(table, stream, shard) >= upto:
                        return
                    moved = CommitProperties(app_transactions=[app])
                    if self._local:
                        written = self._write(contract, upto, shown) if written is None else written
                        self._commit(table, stream, written, moved)
                    else:
                        write_deltalake(table, shown, mode="append", writer_properties=ZSTD, commit_properties=moved)
                    self._commits[stream] += 1
            if self._tables[stream].version() % MAINTAIN_EVERY == 0:
                self.maintain(stream)

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """Stored rows (storage and bookkeeping columns) whose identity columns equal a row of `identities`."""
        wanted = identities.select(contract.identity)
        with usable(self._uri(contract.stream)):
            files = self._list(contract.stream)
            if contract.kind == "entity":
                rows = self._scan(contract, files)
            else:
                time = layout.partition_time(contract)
                near = pl.col(time).is_between(wanted[time].min(), wanted[time].max())
                rows = self._scan(contract, around(files, time, wanted[time])).filter(near)
            found = rows.join(wanted.lazy(), on=list(contract.identity), how="semi", nulls_equal=True)
            return found.select(layout.storage(contract)).collect(engine="streaming")

    def rows(
        self,
        contract: Contract,
        columns: Sequence[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        shard: str | None = None,
        after: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Stored rows in frames of bounded size, in no order: storage and bookkeeping columns, or only `columns`.

        Args:
            contract: of the stream.
            columns: storage or bookkeeping columns to read.
            since_ns: of event time (entities: of `received_at`), inclusive.
            until_ns: of the same time, exclusive.
            shard: only this shard's rows.
            after: only rows of later batches than this.
        """
        time = layout.partition_time(contract)
        conditions = [
            None if since_ns is None else pl.col(time) >= since_ns,
            None if until_ns is None else pl.col(time) < until_ns,
            None if shard is None else pl.col("shard") == shard,
            None if after is None else pl.col("batch_seq") > after,
        ]
        with usable(self._uri(contract.stream)):
            files = overlapping(self._list(contract.stream), time, since_ns, None if until_ns is None else until_ns - 1)
            files = overlapping(files, "batch_seq", None if after is None else after + 1, None)
            wanted = self._scan(contract, files).filter(*(kept for kept in conditions if kept is not None))
            chosen = wanted.select(layout.storage(contract) if columns is None else list(columns))
            yield from chosen.collect_batches(chunk_size=CHUNK, maintain_order=False)

    def counts(self, stream: str) -> pl.DataFrame:
        """The number of rows of each batch: `shard`, `batch_seq`, `rows`, sorted."""
        with usable(self._uri(stream)):
            rows = scan(self.files(stream), {"shard": pl.String(), "batch_seq": pl.Int64()})
            counted = rows.group_by("shard", "batch_seq").agg(pl.len().cast(pl.Int64).alias("rows"))
            return counted.sort("shard", "batch_seq").collect(engine="streaming")

    def files(self, stream: str) -> Sequence[str]:
        """The data files of the table's current version, as paths or URLs. Never list the folder instead."""
        with usable(self._uri(stream)):
            return self._paths(stream, self._list(stream))

    def empty(self, stream: str) -> pl.DataFrame | None:
        """No rows, with the columns that the table's readers see; None where there is no table."""
        with usable(self._uri(stream)):
            table = self._existing(stream)
            if table is None:
                return None
            return pl.DataFrame(schema={field.name: layout.dtype_of(field) for field in table.schema().fields})

    def check(self, stream: str) -> list[str]:
        """What is wrong with the table's files, a sentence each: every file of the log, with its size."""
        with usable(self._uri(stream)):
            if self._local:
                files = self._list(stream)
                sizes = zip(self._paths(stream, files), files["size_bytes"], strict=True)
                return [problem for path, size in sizes if (problem := damage(Path(path), size))]
            table = self._existing(stream)
            lost = [] if table is None else table.repair(dry_run=True)["files_removed"]
            return [f"{self._uri(stream)}/{path} is missing." for path in lost]

    def evolve(self, contract: Contract) -> None:
        """Create the stream's table, or give it the columns that the contract has gained; old rows are null there.

        Raises:
            ContractError: a column has another type than the table's.
        """
        with usable(self._uri(contract.stream)):
            for attempt in _retries():
                with attempt:
                    self._table(contract, reopen=attempt.num > 1)

    def maintain(self, stream: str) -> Mapping[str, int]:
        """Compact small files and drop unused ones. Counts `compacted` files, `into` files, `dropped` and `files`."""
        counted = {"compacted": 0, "into": 0, "dropped": 0, "files": 0}
        with usable(self._uri(stream)):
            for attempt in _retries():
                with attempt:
                    self._tables.pop(stream, None)
                    table = self._existing(stream)
                    if table is not None:
                        counted = self._compact(table, stream)
        return counted

    def _compact(self, table: DeltaTable, stream: str) -> dict[str, int]:
        before, version = set(self.files(stream)), table.version()
        metrics = table.optimize.compact(writer_properties=ZSTD)
        after = self.files(stream)
        self._sync(stream, [path for path in after if path not in before], version)
        version = table.version()
        dropped = table.vacuum(self._keep_hours, dry_run=False, enforce_retention_duration=False, full=True)
        table.cleanup_metadata()
        self._sync(stream, [], version)
        return {
            "compacted": metrics["numFilesRemoved"],
            "into": metrics["numFilesAdded"],
            "dropped": len(dropped),
            "files": len(after),
        }

    def _uri(self, stream: str) -> str:
        return f"{self._root}/{stream}"

    def _app(self, stream: str, shard: str) -> str:
        return f"{self._incarnation}/{stream}/{shard}"

    def _marker(self, table: DeltaTable, stream: str, shard: str) -> int:
        return table.transaction_version(self._app(stream, shard)) or 0

    def _existing(self, stream: str) -> DeltaTable | None:
        """The table at its newest version, if there is one."""
        table = self._tables.get(stream)
        if table is not None and self._commits[stream] < REOPEN_AFTER:
            table.update_incremental()
            return table
        if not DeltaTable.is_deltatable(self._uri(stream)):
            return None
        self._tables[stream], self._commits[stream] = DeltaTable(self._uri(stream)), 0
        return self._tables[stream]

    def _table(self, contract: Contract, *, reopen: bool) -> DeltaTable:
        """The stream's table with every column of the contract, created where there is none."""
        if reopen:
            self._tables.pop(contract.stream, None)
        table = self._existing(contract.stream) or self._create(contract)
        if gained := layout.gained(contract, table.schema().fields):
            version = table.version()
            table.alter.add_columns(gained)
            self._sync(contract.stream, [], version)
        return table

    def _create(self, contract: Contract) -> DeltaTable:
        uri, hours = self._uri(contract.stream), f"interval {max(self._keep_hours, 1)} hours"
        if self._local:
            Path(uri).mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            uri,
            Schema(layout.fields(contract)),
            mode="ignore",
            partition_by=[layout.PARTITION],
            configuration={
                "delta.logRetentionDuration": hours,
                "delta.deletedFileRetentionDuration": hours,
                "delta.dataSkippingStatsColumns": ",".join(layout.statistics_columns(contract)),
            },
        )
        self._tables[contract.stream], self._commits[contract.stream] = table, 0
        if self._local:
            sync_files([], Path(self._root))
            sync_files([], Path(self._root).parent)
        self._sync(contract.stream, [], -1)
        return table

    def _write(self, contract: Contract, upto: int, rows: pl.DataFrame) -> list[AddAction]:
        """Write one data file a date. They are durable, but nobody's until a commit names them."""
        top, added = Path(self._uri(contract.stream)), []
        for (date,), part in rows.partition_by(layout.PARTITION, as_dict=True, include_key=False).items():
            path = f"{layout.PARTITION}={date}/{upto:012d}-{uuid.uuid4()}.zstd.parquet"
            part.write_parquet(top / path, compression="zstd", compression_level=1, mkdir=True)
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

    def _commit(self, table: DeltaTable, stream: str, added: list[AddAction], moved: CommitProperties) -> None:
        version = table.version()
        table.create_write_transaction([*added], "append", table.schema(), [layout.PARTITION], commit_properties=moved)
        table.update_incremental()
        self._sync(stream, [], version)

    def _sync(self, stream: str, paths: Sequence[str], version: int) -> None:
        """Make data files and the log after `version` durable."""
        if not self._local:
            return
        top = Path(self._uri(stream))
        log = top / "_delta_log"
        written = [log / "_last_checkpoint"]
        for number in range(version + 1, self._tables[stream].version() + 1):
            written += [log / f"{number:020d}.json", log / f"{number:020d}.checkpoint.parquet"]
        sync_files([*map(Path, paths), *(path for path in written if path.exists())], top)

    def _list(self, stream: str) -> pl.DataFrame:
        """The files of the table's current version: `path`, `size_bytes`, `min.*`, `max.*`, `partition.*`."""
        table = self._existing(stream)
        files = NO_FILES if table is None else pl.DataFrame(table.get_add_actions(flatten=True))
        return files if files.width else NO_FILES

    def _paths(self, stream: str, files: pl.DataFrame) -> list[str]:
        return [f"{self._uri(stream)}/{path}" for path in files["path"]]

    def _scan(self, contract: Contract, files: pl.DataFrame) -> pl.LazyFrame:
        return scan(self._paths(contract.stream, files), layout.file_columns(contract))


def _retries() -> Iterator[stamina.Attempt]:
    """Tries of a commit that may meet another writer's."""
    return iter(stamina.retry_context(on=CommitFailedError, attempts=8, wait_initial=0.05, wait_max=1.0))
