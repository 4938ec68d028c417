"""The lake as Delta tables: one a stream, partitioned by date, fenced by application transactions."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import stamina
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction

from hotfire.errors import ContractError, LakeUnusable
from hotfire.lake import layout
from hotfire.lake.durable import sync_files
from hotfire.lake.trouble import usable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hotfire.contract.model import Contract

REOPEN_AFTER = 50
"""Commits through one handle: an older one gets slower with every commit."""

MAINTAIN_EVERY = 128
"""Table versions between two compactions."""

ATTEMPTS = 8
"""Tries of a commit that meets another writer."""

ZSTD = WriterProperties(compression="ZSTD", compression_level=1)

CHUNK = 100_000
"""Rows in one frame of `rows`."""


class DeltaLake:
    """The lake in a folder or under a URL. Every append is one Delta commit, durable when it returns.

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
            raise LakeUnusable(f"The lake's folder {self._root} has a % or a backslash in its name.", "Rename it.")
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
        written: list[AddAction] | None = None
        with usable(self._uri(stream)):
            for attempt in stamina.retry_context(
                on=CommitFailedError, attempts=ATTEMPTS, wait_initial=0.05, wait_max=1.0
            ):
                with attempt:
                    table = self._table(contract, reopen=attempt.num > 1)
                    if self._marker(table, stream, shard) >= upto:
                        return
                    marker = CommitProperties(app_transactions=[Transaction(self._app(stream, shard), upto)])
                    if self._local:
                        written = self._write(contract, upto, shown) if written is None else written
                        self._commit(table, stream, written, marker)
                    else:
                        write_deltalake(table, shown, mode="append", writer_properties=ZSTD, commit_properties=marker)
                    self._commits[stream] += 1
            self._maintain_when_due(stream)

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """Stored rows (storage and bookkeeping columns) whose identity columns equal a row of `identities`."""
        with usable(self._uri(contract.stream)):
            files, wanted = self._actions(contract.stream), identities.select(contract.identity)
            scan = self._scan(contract, files)
            if contract.kind == "telemetry":
                time = layout.partition_time(contract)
                dates = wanted.select(pl.col(time).cast(pl.Datetime("ns", "UTC")).dt.date().unique()).to_series()
                files = _overlapping(files, time, wanted[time].min(), wanted[time].max())
                files = files.filter(pl.col(f"partition.{layout.PARTITION}").is_in(dates.implode()))
                scan = self._scan(contract, files).filter(
                    pl.col(time).is_between(wanted[time].min(), wanted[time].max())
                )
            found = scan.join(wanted.lazy(), on=list(contract.identity), how="semi", nulls_equal=True)
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
        last = None if until_ns is None else until_ns - 1
        with usable(self._uri(contract.stream)):
            files = _overlapping(self._actions(contract.stream), time, since_ns, last)
            files = _overlapping(files, "batch_seq", None if after is None else after + 1, None)
            scan = self._scan(contract, files)
            for kept in (
                None if since_ns is None else pl.col(time) >= since_ns,
                None if until_ns is None else pl.col(time) < until_ns,
                None if shard is None else pl.col("shard") == shard,
                None if after is None else pl.col("batch_seq") > after,
            ):
                scan = scan if kept is None else scan.filter(kept)
            chosen = scan.select(layout.storage(contract) if columns is None else list(columns))
            yield from chosen.collect_batches(chunk_size=CHUNK, maintain_order=False)

    def counts(self, stream: str) -> pl.DataFrame:
        """The number of rows of each batch: `shard`, `batch_seq`, `rows`, sorted."""
        schema = {"shard": pl.String(), "batch_seq": pl.Int64()}
        with usable(self._uri(stream)):
            scan = self._read(self._paths(stream, self._actions(stream)), schema)
            grouped = scan.group_by("shard", "batch_seq").agg(pl.len().cast(pl.Int64).alias("rows"))
            return grouped.sort("shard", "batch_seq").collect(engine="streaming")

    def files(self, stream: str) -> Sequence[str]:
        """The data files of the table's current version, as paths or URLs. Never list the folder instead."""
        with usable(self._uri(stream)):
            return self._paths(stream, self._actions(stream))

    def empty(self, stream: str) -> pl.DataFrame | None:
        """No rows, with the columns that the table's readers see; None where there is no table."""
        with usable(self._uri(stream)):
            table = self._existing(stream)
            if table is None:
                return None
            dtypes = {delta: dtype for dtype, delta in layout.DELTA_TYPES.items()}
            return pl.DataFrame(schema={field.name: dtypes[field.type.type] for field in table.schema().fields})

    def check(self, stream: str) -> list[str]:
        """What is wrong with the table's files, a sentence each: every file of the log, with its size."""
        with usable(self._uri(stream)):
            if not self._local:
                table = self._existing(stream)
                lost = [] if table is None else table.repair(dry_run=True)["files_removed"]
                return [f"{self._uri(stream)}/{path} is missing." for path in lost]
            actions = self._actions(stream)
            sized = zip(self._paths(stream, actions), actions["size_bytes"], strict=True)
            return [problem for path, size in sized if (problem := _file_problem(Path(path), size))]

    def evolve(self, contract: Contract) -> None:
        """Create the stream's table, or give it the columns that the contract has gained; old rows are null there.

        Raises:
            ContractError: a column has another type than the table's.
        """
        with usable(self._uri(contract.stream)):
            self._table(contract)

    def maintain(self, stream: str) -> Mapping[str, int]:
        """Compact small files and drop unused ones. Counts `compacted` files, `into` files, `dropped` and `files`."""
        counted = {"compacted": 0, "into": 0, "dropped": 0, "files": 0}
        with usable(self._uri(stream)):
            for attempt in stamina.retry_context(
                on=CommitFailedError, attempts=ATTEMPTS, wait_initial=0.05, wait_max=1.0
            ):
                with attempt:
                    self._tables.pop(stream, None)
                    table = self._existing(stream)
                    if table is not None:
                        counted = self._compact(table, stream)
        return counted

    def _compact(self, table: DeltaTable, stream: str) -> dict[str, int]:
        before, version = set(self._paths(stream, self._actions(stream))), table.version()
        metrics = table.optimize.compact(writer_properties=ZSTD)
        after = self._paths(stream, self._actions(stream))
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

    def _maintain_when_due(self, stream: str) -> None:
        table = self._tables[stream]
        if table.version() % MAINTAIN_EVERY == 0:
            self.maintain(stream)

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

    def _table(self, contract: Contract, *, reopen: bool = False) -> DeltaTable:
        """The stream's table with every column of the contract, created where there is none."""
        if reopen:
            self._tables.pop(contract.stream, None)
        table = self._existing(contract.stream) or self._create(contract)
        fields = _fields(contract)
        present = {field.name: field.type for field in table.schema().fields}
        for field in fields:
            if field.name in present and present[field.name] != field.type:
                raise ContractError(
                    f"{contract.stream}.{field.name} is {present[field.name].type} in the lake, but {field.type.type} "
                    f"by contract version {contract.version}.",
                    "Give the column a new name: the type of stored rows cannot change.",
                )
        if gained := [field for field in fields if field.name not in present]:
            version = table.version()
            table.alter.add_columns(gained)
            self._sync(contract.stream, [], version)
        return table

    def _create(self, contract: Contract) -> DeltaTable:
        hours = f"interval {max(self._keep_hours, 1)} hours"
        uri = self._uri(contract.stream)
        if self._local:
            Path(uri).mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            uri,
            Schema(_fields(contract)),
            mode="ignore",
            partition_by=[layout.PARTITION],
            configuration={
                "delta.logRetentionDuration": hours,
                "delta.deletedFileRetentionDuration": hours,
                "delta.dataSkippingStatsColumns": ",".join(layout.statistics_columns(contract)),
            },
        )
        self._tables[contract.stream], self._commits[contract.stream] = table, 0
        self._sync(contract.stream, [], -1)
        return table

    def _write(self, contract: Contract, upto: int, rows: pl.DataFrame) -> list[AddAction]:
        """Write one data file a date. They are durable, but nobody's until a commit names them."""
        added = []
        for (date,), part in rows.partition_by(layout.PARTITION, as_dict=True, include_key=False).items():
            path = f"{layout.PARTITION}={date}/{upto:012d}-{uuid.uuid4()}.zstd.parquet"
            whole = f"{self._uri(contract.stream)}/{path}"
            part.write_parquet(whole, compression="zstd", compression_level=1, mkdir=True)
            size = Path(whole).stat().st_size
            added.append(
                AddAction(
                    path=path,
                    size=size,
                    partition_values={layout.PARTITION: str(date)},
                    modification_time=0,
                    data_change=True,
                    stats=layout.statistics(contract, part),
                )
            )
        top = Path(self._uri(contract.stream))
        sync_files([top / action.path for action in added], top)
        return added

    def _commit(self, table: DeltaTable, stream: str, added: list[AddAction], marker: CommitProperties) -> None:
        version = table.version()
        table.create_write_transaction([*added], "append", table.schema(), [layout.PARTITION], commit_properties=marker)
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

    def _actions(self, stream: str) -> pl.DataFrame:
        """The files of the table's current version: `path`, `size_bytes`, `min.*`, `max.*`, `partition.*`."""
        table = self._existing(stream)
        if table is None:
            return pl.DataFrame(schema={"path": pl.String, "size_bytes": pl.Int64})
        return pl.DataFrame(table.get_add_actions(flatten=True))

    def _paths(self, stream: str, actions: pl.DataFrame) -> list[str]:
        return [f"{self._uri(stream)}/{path}" for path in actions["path"]]

    def _scan(self, contract: Contract, actions: pl.DataFrame) -> pl.LazyFrame:
        schema = {name: dtype for name, dtype in layout.columns(contract).items() if name != layout.PARTITION}
        return self._read(self._paths(contract.stream, actions), schema)

    def _read(self, paths: list[str], schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        if not paths:
            return pl.LazyFrame(schema=dict(schema))
        return pl.scan_parquet(
            paths,
            schema=dict(schema),
            glob=False,
            hive_partitioning=False,
            missing_columns="insert",
            extra_columns="ignore",
        )


def _fields(contract: Contract) -> list[Field]:
    return [Field(name, PrimitiveType(layout.DELTA_TYPES[dtype])) for name, dtype in layout.columns(contract).items()]


def _overlapping(actions: pl.DataFrame, column: str, least: Any, greatest: Any) -> pl.DataFrame:
    """The files that may hold a value of `column` in [least, greatest]; None is open."""
    low, high = f"min.{column}", f"max.{column}"
    if low not in actions.columns or high not in actions.columns:
        return actions
    if least is not None:
        actions = actions.filter(pl.col(high).is_null() | (pl.col(high) >= least))
    if greatest is not None:
        actions = actions.filter(pl.col(low).is_null() | (pl.col(low) <= greatest))
    return actions


def _file_problem(path: Path, size: int) -> str:
    if not path.exists():
        return f"{path} is missing."
    actual = path.stat().st_size
    return "" if actual == size else f"{path} has {actual:,} bytes; the log says {size:,}."
