"""The lake as Delta tables: one a stream, partitioned by date, fenced by application transactions."""

from __future__ import annotations

from pathlib import Path
from threading import local
from typing import TYPE_CHECKING

import polars as pl
from deltalake import Transaction

from hotfire.errors import LakeUnusable
from hotfire.lake import layout
from hotfire.lake.copies import copy_table
from hotfire.lake.scan import around, overlapping, scan
from hotfire.lake.table import Table
from hotfire.lake.trouble import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hotfire.contract.model import Contract

MAINTAIN_EVERY = 100
"""Table versions between two compactions."""

CHUNK = 100_000
"""Rows in one frame of `rows`."""

MAJOR = "hotfire/major"
"""The application transaction that holds the contract's major version; it moves in the commit that converts rows."""


class _Handles(local):
    """The tables of one thread."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}


class DeltaLake:
    """The lake in a folder or under a URL. Every append is one Delta commit, durable when it returns.

    Any thread may use it; each has handles of its own, so that none waits for another.

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
        self._own = _Handles()
        self._worn: set[str] = set()

    def marker(self, stream: str, shard: str) -> int:
        """The last batch that the lake holds of this shard; 0 where there is none."""
        with usable(self._uri(stream)):
            table = self._table(stream).current()
            return 0 if table is None else table.transaction_version(self._app(stream, shard)) or 0

    def append(self, contract: Contract, shard: str, upto: int, rows: pl.DataFrame) -> None:
        """Add rows of batches up to `upto` and move the marker there, atomically and durably.

        Where the marker is already at or past `upto`, nothing happens. `rows` has the contract's storage columns and
        the bookkeeping (entities: `superseded` and `received_at_ns` too), and may be empty.
        """
        stream, shown = contract.stream, layout.to_lake(contract, rows)
        one, marker = self._table(stream), Transaction(self._app(stream, shard), upto)

        def appended() -> None:
            table = one.ready(contract, Transaction(MAJOR, contract.major))
            if (table.transaction_version(marker.app_id) or 0) >= upto:
                return
            one.append(table, contract, shown, marker)
            if table.version() % MAINTAIN_EVERY == 0:
                self._worn.add(stream)

        with usable(one.uri):
            one.committed(appended)

    def stored(self, contract: Contract, identities: pl.DataFrame) -> pl.DataFrame:
        """Stored rows (storage and bookkeeping columns) whose identity columns equal a row of `identities`."""
        wanted, one = identities.select(contract.identity), self._table(contract.stream)
        with usable(one.uri):
            files = one.files()
            if contract.kind == "entity":
                rows = scan(one.paths(files), layout.file_columns(contract))
            else:
                time = layout.partition_time(contract)
                near = pl.col(time).is_between(wanted[time].min(), wanted[time].max())
                files = around(files, time, wanted[time])
                rows = scan(one.paths(files), layout.file_columns(contract)).filter(near)
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
            columns: storage or bookkeeping columns to read.
            since_ns: of event time (entities: of `received_at`), inclusive.
            until_ns: of the same time, exclusive.
            shard: only this shard's rows.
            after: only rows of later batches than this.
        """
        time, one = layout.partition_time(contract), self._table(contract.stream)
        conditions = [
            None if since_ns is None else pl.col(time) >= since_ns,
            None if until_ns is None else pl.col(time) < until_ns,
            None if shard is None else pl.col("shard") == shard,
            None if after is None else pl.col("batch_seq") > after,
        ]
        with usable(one.uri):
            files = overlapping(one.files(), time, since_ns, None if until_ns is None else until_ns - 1)
            files = overlapping(files, "batch_seq", None if after is None else after + 1, None)
            everything = scan(one.paths(files), layout.file_columns(contract))
            wanted = everything.filter(*(kept for kept in conditions if kept is not None))
            chosen = wanted.select(layout.storage(contract) if columns is None else list(columns))
            yield from chosen.collect_batches(chunk_size=CHUNK, maintain_order=False)

    def batches(self, contract: Contract, shard: str, first: int, last: int) -> pl.DataFrame:
        """The rows of a shard's batches from `first` to `last`, in arrival order: storage and bookkeeping columns."""
        one = self._table(contract.stream)
        with usable(one.uri):
            files = overlapping(one.files(), "batch_seq", first, last)
            rows = scan(one.paths(files), layout.file_columns(contract))
            wanted = rows.filter(pl.col("shard") == shard, pl.col("batch_seq").is_between(first, last))
            found = wanted.select(layout.storage(contract)).sort("batch_seq", "row_no")
            return found.collect(engine="streaming")

    def counts(self, stream: str) -> pl.DataFrame:
        """The number of rows by shard and batch, counted: `shard`, `batch_seq`, `rows`, sorted."""
        with usable(self._uri(stream)):
            rows = scan(self.files(stream), {"shard": pl.String(), "batch_seq": pl.Int64()})
            counted = rows.group_by("shard", "batch_seq").agg(pl.len().cast(pl.Int64).alias("rows"))
            return counted.sort("shard", "batch_seq").collect(engine="streaming")

    def appended(self, stream: str, shard: str) -> pl.DataFrame:
        """When the lake got which batches, as far as its log still knows: `upto`, `at_ns`, oldest first."""
        with usable(self._uri(stream)):
            return self._table(stream).appended().filter(app=self._app(stream, shard)).drop("app")

    def files(self, stream: str) -> Sequence[str]:
        """The data files of the table's current version, as paths or URLs. Never list the folder instead."""
        with usable(self._uri(stream)):
            return self._table(stream).paths(self._table(stream).files())

    def empty(self, contract: Contract) -> pl.DataFrame:
        """No rows, with the columns that the readers of the stream's table see."""
        with usable(self._uri(contract.stream)):
            table = self._table(contract.stream).current()
            if table is None:
                return pl.DataFrame(schema=layout.columns(contract))
            return pl.DataFrame(schema={field.name: layout.dtype_of(field) for field in table.schema().fields})

    def check(self, stream: str) -> pl.DataFrame:
        """Every data file of the log that is lost or has another size: `problem`, a sentence; batches `first`, `last`."""
        with usable(self._uri(stream)):
            return self._table(stream).problems()

    def save(self, stream: str, root: Path, upto: Mapping[str, int]) -> None:
        """Write the stream's table, if there is one, under another folder too, while others append to this one.

        Of each shard the rows of batches up to `upto` are taken.
        """
        one, copied = self._table(stream), DeltaLake(root, self._incarnation)
        if not self._local:
            raise LakeUnusable(f"{one.uri} is no folder that could be copied.", "Copy it with the tools of its store.")
        with usable(one.uri):
            markers = copy_table(one, root / stream, {self._app(stream, shard): shard for shard in upto}, MAJOR)
        for shard, seq in markers.items():
            if seq > upto[shard]:
                copied.retreat(stream, shard, upto[shard])

    def set_aside(self, stream: str, mark: str) -> Path:
        """Move the stream's table out of the way, whole; the next append makes it anew. Returns where it is now.

        Args:
            mark: becomes part of its new name.

        Raises:
            LakeUnusable: the lake is under a URL, or the folder cannot be moved.
        """
        uri = self._uri(stream)
        if not self._local:
            raise LakeUnusable(f"{uri} is no folder that could be moved.", "Move it away with the tools of its store.")
        aside = Path(f"{uri}.broken-{mark}")
        with usable(uri):
            Path(uri).rename(aside)
            self._own.tables.pop(stream, None)
        return aside

    def evolve(self, contract: Contract) -> None:
        """Create the stream's table, or give it the columns that the contract has gained; old rows are null there.

        Raises:
            ContractError: a column has another type than the table's.
        """
        one = self._table(contract.stream)
        one.forget()
        with usable(one.uri):
            one.committed(lambda: one.ready(contract, Transaction(MAJOR, contract.major)))

    def major(self, stream: str) -> int | None:
        """The contract's major version that the stream's table is made for; None where there is none."""
        with usable(self._uri(stream)):
            table = self._table(stream).current()
            return None if table is None else table.transaction_version(MAJOR)

    def rewrite(self, contract: Contract, convert: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Convert every row to a newer major version, all or nothing; markers, arrival order and marks stay.

        Args:
            convert: from the older version's storage columns to this one's, row by row.
        """
        one, major = self._table(contract.stream), self.major(contract.stream)
        older = next(version for version in contract.older if version.major == major)
        kept = layout.marks(contract)

        def rewritten() -> None:
            table = one.current()
            assert table is not None
            frames = (
                layout.to_lake(contract, convert(rows.drop(kept)).hstack(rows.select(kept)))
                for rows in self.rows(older)
            )
            one.overwrite(table, contract, frames, Transaction(MAJOR, contract.major))

        one.forget()
        with usable(one.uri):
            one.committed(rewritten)

    def retreat(self, stream: str, shard: str, upto: int) -> int:
        """Take a shard back to batch `upto`, where the store was restored from an older backup. Counts lost rows."""
        one = self._table(stream)

        def retreated() -> int:
            table = one.current()
            return 0 if table is None else one.retreat(table, shard, Transaction(self._app(stream, shard), upto))

        one.forget()
        with usable(one.uri):
            return one.committed(retreated)

    def worn(self, stream: str) -> bool:
        """Whether an append of this process has filled another `MAINTAIN_EVERY` versions since the last `maintain`."""
        return stream in self._worn

    def maintain(self, stream: str) -> Mapping[str, int]:
        """Compact small files and drop unused ones. Counts `compacted` files, `into` files, `dropped` and `files`.

        Beside appends and readers: what a reader has listed stays for `keep_hours`.
        """
        one = self._table(stream)
        self._worn.discard(stream)
        with usable(one.uri):
            return one.committed(one.maintain)

    def _table(self, stream: str) -> Table:
        handles = self._own.tables
        if stream not in handles:
            handles[stream] = Table(self._uri(stream), local=self._local, keep_hours=self._keep_hours)
        return handles[stream]

    def _uri(self, stream: str) -> str:
        return f"{self._root}/{stream}"

    def _app(self, stream: str, shard: str) -> str:
        return f"{self._incarnation}/{stream}/{shard}"
