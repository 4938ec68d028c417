"""Which store a workspace has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hotfire.errors import UserError
from hotfire.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings

PATIENCE_S, SUPERVISED_S = 15.0, 2.0
"""How long a command waits for a store that went away; where a stream is under supervision, that does it, and shows it."""


def open_store(
    settings: Settings, clock: Clock, patience_s: float = PATIENCE_S, *, dry_run: bool = False
) -> OperationalStore:
    """The operational store that `store.url` names; a lost connection to it is taken up again for so long."""
    url = settings.store.url
    if settings.database is not None:
        return SqliteStore(settings.database, clock, dry_run=dry_run)
    if url.reveal().partition(":")[0] in ("postgresql", "postgres"):
        from hotfire.store.postgresql import PostgresStore

        return PostgresStore(url.reveal(), clock, dry_run=dry_run, patience_s=patience_s)
    raise UserError(
        f"The store {url!r} is of a kind this hotfire does not know.",
        "Use sqlite:///data/hotfire.db or postgresql://USER@HOST/DATABASE.",
    )


def open_shadow(folder: Path, clock: Clock) -> OperationalStore:
    """The store of a replay's shadow ledger."""
    return SqliteStore(folder / "hotfire.db", clock)
