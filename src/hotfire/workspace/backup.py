"""Store, lake, contracts and settings of one moment in a folder, while an engine goes on; and back from there.

The store comes first, in one reading of one moment. The lake is never ahead of a moment by more than it can be taken back:
its newest files are linked or copied, and what they hold of batches after that moment is left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hotfire.clock import iso
from hotfire.durable import sync_files
from hotfire.errors import UserError
from hotfire.lake.delta import DeltaLake
from hotfire.ledger.balance import Balance, balance
from hotfire.store.sqlite import SAVED, SqliteStore
from hotfire.workspace.settings import FILE

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.wiring import Workspace

MANIFEST = "backup.json"
"""Written last: a folder without it is no whole backup."""
FORMAT = 1
STORE, LAKE, WORKSPACE = "store", "lake", "workspace"
"""The folders of a backup."""
CONFIGURATION = (FILE, "contracts", "rules", "snapshots", "queries", "dbt")
"""What of a workspace's own files is saved, as it is written: references like `${NAME}` stay references."""


class Saved(Struct, frozen=True):
    """What a backup holds.

    Attributes:
        made_at: ISO 8601.
        hotfire: the version that made it.
        store: `sqlite` or `postgresql`.
        schema: the number of the store's schema.
        streams: by stream, the last committed batch of each shard.
    """

    name: str
    made_at: str
    hotfire: str
    store: str
    schema: int
    streams: Mapping[str, Mapping[str, int]]
    format: int = FORMAT


def back_up(workspace: Workspace, folder: Path) -> tuple[Saved, Sequence[Balance]]:
    """Write a backup into a new or empty folder; every stream is counted again in what was written.

    Raises:
        UserError: the folder is not empty.
        Refused: the store or the lake cannot be read, or there is no room.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty.", "Name a new folder: a backup overwrites nothing.")
    for name in (STORE, LAKE, WORKSPACE):
        (folder / name).mkdir(parents=True)
    made_at = iso(workspace.clock.now_ns())
    with _saved_store(workspace, folder / STORE) as store:
        lake, streams, found = DeltaLake(folder / LAKE, store.incarnation), {}, []
        for stream, contract in contracts(workspace, store):
            shards = dict(store.query("shards", stream=stream).select("shard", "committed_seq").rows())
            workspace.lake.save(stream, folder / LAKE, shards)
            streams[stream] = shards
            only = stream in workspace.settings.streams and workspace.settings.stream(stream).lake_only
            found.append(balance(contract, store, lake, lake_only=only))
        saved = Saved(workspace.settings.name, made_at, version("hotfire"), _kind(workspace), store.schema, streams)
    copy_configuration(workspace.settings.folder, folder / WORKSPACE)
    _make_durable(folder)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n")
    sync_files([folder / MANIFEST], folder)
    return saved, found


def look(folder: Path) -> Saved:
    """What a backup holds. Raises UserError where it is none, not a whole one, or of a newer program."""
    try:
        saved = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Saved)
    except FileNotFoundError:
        raise UserError(f"{folder} is no whole backup: it has no {MANIFEST}.", "Name another one.") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{folder / MANIFEST} is damaged: {error}.", "Name another backup.") from None
    if saved.format > FORMAT:
        raise UserError(f"{folder} was made by hotfire {saved.hotfire}.", "Restore it with that one.")
    return saved


@contextmanager
def _saved_store(workspace: Workspace, folder: Path) -> Iterator[OperationalStore]:
    """The store as it was written: its copy, or, where only a server could read that, itself at the same moment."""
    store = workspace.store
    with ExitStack() as opened:
        if not isinstance(store, SqliteStore):
            opened.enter_context(store.steady())
        store.save(folder)
        if isinstance(store, SqliteStore):
            store = SqliteStore(folder / SAVED, workspace.clock)
            opened.callback(store.close)
        yield store


def contracts(workspace: Workspace, store: OperationalStore) -> Iterator[tuple[str, Contract]]:
    """Every stream that ever committed a batch, with the contract that its tables are made for."""
    for stream in store.query("streams")["stream"]:
        if stream in workspace.settings.streams:
            yield stream, workspace.contract_in_use(stream)
        else:
            yield stream, workspace.contract_of(store.query("versions", stream=stream)["hash"][-1])


def _kind(workspace: Workspace) -> str:
    return "sqlite" if isinstance(workspace.store, SqliteStore) else "postgresql"


def copy_configuration(source: Path, target: Path) -> list[str]:
    """Copy a workspace's own files; those that are there already stay. Returns which were copied."""
    copied = []
    for name in CONFIGURATION:
        for path in sorted((source / name).rglob("*")) if (source / name).is_dir() else [source / name]:
            to = target / path.relative_to(source)
            if path.is_file() and not to.exists():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
                copied.append(str(path.relative_to(source)))
    return copied


def _make_durable(folder: Path) -> None:
    sync_files([path for path in folder.rglob("*") if path.is_file()], folder)
