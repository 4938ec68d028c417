"""Which tables a workspace has, for SQL and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hotfire.contract.model import NAME
from hotfire.errors import UserError
from hotfire.ledger.cleared import cleared_before
from hotfire.sql.views import Tables
from hotfire.store import ddl

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.workspace.wiring import Workspace

WAREHOUSE = "warehouse.duckdb"
"""The marts' file, in the workspace's data folder."""


def tables(workspace: Workspace) -> Tables:
    """The store's tables, the lake's and the marts, each read only when a statement names it."""
    streams = workspace.settings.streams

    def contract(name: str) -> Contract | None:
        return workspace.contract_in_use(name) if name in streams else None

    def table(name: str, columns: frozenset[str] | None) -> pl.DataFrame | None:
        own = contract(name) or contract(name.removesuffix("_history"))
        found = workspace.store.table(name, columns, own)
        if found is None and own is not None and name == own.stream:
            return pl.DataFrame(schema=ddl.schema(own))
        return found

    def lake(name: str) -> tuple[Sequence[str], pl.DataFrame] | None:
        own = contract(name)
        return (workspace.lake.files(name), workspace.lake.empty(own)) if own else None

    def cleared(name: str) -> int | None:
        return cleared_before(workspace.store, name) if name in streams else None

    names = sorted({*workspace.store.tables(), *streams, *(f"lake.{name}" for name in streams)})
    warehouse = workspace.settings.data / WAREHOUSE
    return Tables(names, table, contract, lake, warehouse, cleared, _queries(workspace.settings.folder, names))


def _queries(folder: Path, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The named queries of the workspace, `queries/<name>.sql`: file and SQL by name."""
    found = {}
    for path in sorted((folder / "queries").glob("*.sql")):
        file = path.relative_to(folder).as_posix()
        if not NAME.fullmatch(path.stem) or path.stem in names:
            raise UserError(f"{file} cannot be a query's name.", "Rename it: no table's name; a-z, 0-9 and _.")
        try:
            found[path.stem] = (file, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read: {error}.") from None
    return found
