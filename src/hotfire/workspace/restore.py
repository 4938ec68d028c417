"""A backup put back into a folder that has no data yet. What is there is never overwritten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.odcs import compile_contract
from hotfire.durable import sync_files
from hotfire.errors import UserError
from hotfire.lake.copies import link_or_copy
from hotfire.ledger.balance import Balance, balance
from hotfire.store.migrate import migrations
from hotfire.store.sqlite import SAVED
from hotfire.workspace.backup import LAKE, STORE, WORKSPACE, Saved, contracts, copy_configuration, look
from hotfire.workspace.doctor import unfinished, unreadable
from hotfire.workspace.settings import FILE, exactly
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings


class Restored(Struct, frozen=True):
    """What was put back.

    Attributes:
        saved: the backup.
        files: settings and contracts that were written; others were there, and stayed as they were.
        balances: every stream, counted again.
        dropped: a sentence for each plan without a commit whose records are not here: they were pushed or piped, and
            are in no backup.
    """

    saved: Saved
    files: Sequence[str]
    balances: Sequence[Balance]
    dropped: Sequence[str] = ()


def restore(backup: Path, folder: Path) -> Restored:
    """Put a backup back into a folder, which may have settings and contracts of its own, but no data.

    Raises:
        UserError: the backup is not whole, the folder has data, or its store is of another kind than the backup's.
        Refused: there is no room, or the store cannot be reached.
    """
    saved = look(backup)
    if saved.schema > migrations()[-1][0]:
        raise UserError(f"{backup} was made by hotfire {saved.hotfire}.", "Restore it with that one.")
    settings = exactly(folder) if (folder / FILE).exists() else replace(exactly(backup / WORKSPACE), folder=folder)
    _refuse_to_overwrite(settings, saved, backup)
    if settings.database is None:
        with Workspace(settings) as workspace:
            _refuse_batches(workspace.store)
    files = copy_configuration(backup / WORKSPACE, folder)
    settings = exactly(folder)
    lake = Path(settings.lake_url)
    if (backup / LAKE).is_dir():
        _put_tables(backup / LAKE, lake)
    if settings.database is not None:
        _put_file(backup / STORE / SAVED, settings.database)
    with Workspace(settings) as workspace:
        if settings.database is None:
            _put_rows(workspace, backup / STORE)
        dropped = list(_drop_plans(workspace))
        found = [_recounted(workspace, stream, contract) for stream, contract in contracts(workspace, workspace.store)]
    return Restored(saved, files, found, dropped)


def _refuse_to_overwrite(settings: Settings, saved: Saved, backup: Path) -> None:
    kind = "postgresql" if settings.database is None else "sqlite"
    if kind != saved.store:
        where = f"The backup {backup} is of a {saved.store} store; store.url of {settings.folder} is {settings.store.url!r}."
        raise UserError(where, f"Set store.url to a {saved.store} store.")
    lake = Path(settings.lake_url)
    if "://" in settings.lake_url:
        raise UserError(f"lake.path of {settings.folder} is no folder: {lake}.", "Set it to a folder.")
    there = [lake] if lake.exists() and (not lake.is_dir() or any(lake.iterdir())) else []
    if settings.database is not None:
        files = [settings.database.with_name(settings.database.name + end) for end in ("", "-wal", "-journal")]
        there += [path for path in files if path.exists()]
    if there:
        raise UserError(
            f"{settings.folder} has data already: {there[0]}.",
            "A backup overwrites nothing: restore it into an empty folder, or move the data away.",
        )


def _put_tables(source: Path, lake: Path) -> None:
    """The lake appears whole or not at all."""
    part = lake.with_name(f"{lake.name}.restoring")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for path in source.rglob("*"):
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            link_or_copy(path, part / path.relative_to(source))
        elif path.is_file():
            to = part / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    sync_files([path for path in part.rglob("*") if path.is_file()], part)
    if lake.exists():
        lake.rmdir()
    part.rename(lake)
    sync_files([], lake.parent)


def _put_file(source: Path, database: Path) -> None:
    """The database appears whole or not at all."""
    part = database.parent / f".{database.name}.restoring"
    database.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, part)
    sync_files([part], database.parent)
    part.rename(database)
    sync_files([], database.parent)


def _put_rows(workspace: Workspace, folder: Path) -> None:
    """Make the tables of every stream, and fill them."""
    from hotfire.store.postgresql import PostgresStore

    store = workspace.store
    assert isinstance(store, PostgresStore)
    store.own()
    _refuse_batches(store)
    for contract, texts in _versions(folder):
        store.ensure(contract, texts)
    store.load(folder)


def _drop_plans(workspace: Workspace) -> Iterator[str]:
    """Plans had no effects. Those that can be read again here are kept: the next ingest finishes them."""
    workspace.store.own()
    for stream, contract in contracts(workspace, workspace.store):
        for shard, plan in unfinished(workspace, stream):
            trouble = unreadable(workspace, contract, plan)
            if trouble:
                workspace.store.drop_plan(stream, shard)
                yield f"{stream}: dropped the plan of batch {plan.batch_seq}; it had no effects. {trouble.what}"


def _refuse_batches(store: OperationalStore) -> None:
    if store.query("streams").height:
        do = "A backup overwrites nothing: name another schema in store.url (`?schema=NAME`)."
        raise UserError(f"The store {store.name} has batches already.", do)


def _versions(folder: Path) -> Iterator[tuple[Contract, list[tuple[str, str]]]]:
    """The contracts that the saved tables were made for: all of each stream's greatest major version, in order."""
    from hotfire.store.postgresql_copies import saved_rows

    versions = pl.concat(saved_rows(folder, "hf_version")).filter(kind="contract").sort("entered_at_ns")
    for (_,), own in versions.group_by("stream", maintain_order=True):
        majors = [int(one.split(".")[0]) for one in own["version"]]
        for major, texts in zip(majors, own["texts"], strict=True):
            if major == max(majors):
                named = [(name, text) for name, text in msgspec.json.decode(texts)]
                yield compile_contract(named), named


def _recounted(workspace: Workspace, stream: str, contract: Contract) -> Balance:
    only = stream in workspace.settings.streams and workspace.settings.stream(stream).lake_only
    return balance(contract, workspace.store, workspace.lake, lake_only=only)
