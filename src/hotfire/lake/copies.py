"""A table's rows of one moment in another folder: its data files, linked or copied, under a log of one commit."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from hotfire.durable import sync_files
from hotfire.lake import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from hotfire.lake.table import Table


def copy_table(one: Table, target: Path, shards: Mapping[str, str], major: str) -> dict[str, int]:
    """Make a table like another one, durably. Returns how far it has come: by shard, its last batch.

    The files of a table never change, so on the same disk they are linked: that takes no room. What another program does
    to the table afterwards, compaction and deletion included, does not reach the copy.

    Args:
        one: the original, in a folder; where it is not there, there is no copy either.
        target: the new table's folder.
        shards: by application of a transaction, the shard whose last batch it tells.
        major: the application that tells the contract's major version.
    """
    table = one.current()
    if table is None:
        return {}
    source, files = Path(one.uri), one.files()
    versions = {app: table.transaction_version(app) or 0 for app in shards}
    moved = [Transaction(app, seq) for app, seq in versions.items() if seq]
    for path in files["path"]:
        link_or_copy(source / path, target / path)
    made_for = Transaction(major, table.transaction_version(major) or 1)
    made = DeltaTable.create(
        str(target),
        table.schema(),
        partition_by=[layout.PARTITION],
        configuration=dict(table.metadata().configuration),
    )
    made.create_write_transaction(
        list(_actions(files)),
        "append",
        table.schema(),
        [layout.PARTITION],
        commit_properties=CommitProperties(app_transactions=[*moved, made_for]),
    )
    log = target / "_delta_log"
    sync_files([*(target / path for path in files["path"]), *log.glob("*.json")], target)
    sync_files([], target.parent)
    return {shards[app]: seq for app, seq in versions.items()}


def link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name: a link where the disk is the same, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)


def _actions(files: pl.DataFrame) -> Iterator[AddAction]:
    for row in files.rows(named=True):
        yield AddAction(
            path=row["path"],
            size=row["size_bytes"],
            partition_values={layout.PARTITION: str(row[f"partition.{layout.PARTITION}"])},
            modification_time=0,
            data_change=True,
            stats=json.dumps(
                {
                    "numRecords": row["num_records"],
                    "minValues": _named(row, "min."),
                    "maxValues": _named(row, "max."),
                    "nullCount": _named(row, "null_count."),
                }
            ),
        )


def _named(row: dict[str, Any], prefix: str) -> dict[str, int]:
    found = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
    return {name: value for name, value in found.items() if value is not None}
