"""Streams that are read from a web API: their source, and whether it still changes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotfire.errors import UserError
from hotfire.rows import LIVE, Place
from hotfire.source.rest.answers import Answers
from hotfire.source.rest.api import Api
from hotfire.source.rest.look import Looking
from hotfire.source.rest.records import Key, Shape
from hotfire.source.rest.source import RestSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotfire.contract.model import Contract
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.wiring import Workspace


@dataclass(slots=True)
class StoreBook:
    """Implements `source.rest.look.Book` on a store connection of its own: polls have a thread of their own.

    Args:
        opened: opens it when it is first needed.
    """

    opened: Callable[[], OperationalStore]
    contract: Contract
    dry_run: bool
    _store: OperationalStore | None = None

    def keys(self) -> Collection[Key]:
        """The identities of all current records."""
        if self.contract.kind != "entity":
            return ()
        return set(self._own().sources.identities(self.contract).rows())

    def keep(self, place: Place) -> None:
        """Remember a place as it stands now."""
        if not self.dry_run:
            self._own().sources.keep(self.contract.stream, LIVE, place)

    def _own(self) -> OperationalStore:
        if self._store is None:
            self._store = self.opened()
        return self._store


def rest_source(
    workspace: Workspace, contract: Contract, opened: Callable[[], OperationalStore], *, reconcile: bool = False
) -> RestSource:
    """The source of a stream that a web API feeds.

    Args:
        opened: opens a connection to the store.
        reconcile: the first look compares everything.

    Raises:
        UserError: records cannot be told apart before they are judged.
    """
    own = workspace.settings.stream(contract.stream).source
    assert own.rest is not None
    key = [contract.column(name) for name in contract.key] if contract.kind == "entity" else []
    if other := [one.name for one in key if one.type not in ("string", "integer")]:
        what = f"The key of {contract.stream} has {other[0]}, which is neither text nor a whole number"
        raise UserError(f"{what}: a web API's records are told apart by it.", "Make it a string or an integer.")
    shape = Shape(key, own.rest.since, own.rest.planned)
    authorization = own.authorization.reveal() if own.authorization else ""
    api = Api(own.rest, workspace.clock, authorization)
    answers = Answers(workspace.settings.data / "raw" / contract.stream, durable=not workspace.dry_run)
    book = StoreBook(opened, contract, workspace.dry_run)
    looking = Looking(own.rest, shape, api, answers, book)
    rows = workspace.settings.engine.batch_rows
    return RestSource(looking, workspace.clock, batch_rows=rows, reconcile=reconcile)
