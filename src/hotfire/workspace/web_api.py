"""Streams that are read from a web API: their source, and whether it still changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from msgspec import Struct

from hotfire.errors import UserError
from hotfire.rows import LIVE, Place
from hotfire.source.rest.answers import Answers
from hotfire.source.rest.api import Api
from hotfire.source.rest.look import Looking
from hotfire.source.rest.records import Key, Shape
from hotfire.source.rest.source import RestSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings


class StoreBook(Struct):
    """Implements `source.rest.look.Book` on a store connection of its own: polls have a thread of their own.

    Args:
        opened: opens it when it is first needed.
        durable: False: nothing is kept.
    """

    opened: Callable[[], OperationalStore]
    contract: Contract
    durable: bool
    _store: OperationalStore | None = None

    def keys(self) -> Collection[Key]:
        """The identities of all current records."""
        if self.contract.kind != "entity":
            return ()
        return set(self._own().sources.identities(self.contract).rows())

    def keep(self, place: Place) -> None:
        """Remember a place as it stands now."""
        if self.durable:
            self._own().sources.keep(self.contract.stream, LIVE, place)

    def _own(self) -> OperationalStore:
        if self._store is None:
            self._store = self.opened()
        return self._store


def rest_source(
    settings: Settings,
    contract: Contract,
    clock: Clock,
    opened: Callable[[], OperationalStore],
    *,
    durable: bool = True,
    reconcile: bool = False,
) -> RestSource | None:
    """The source of a stream that a web API feeds; None where none does.

    Args:
        opened: opens a connection to the store.
        durable: False: nothing is written anywhere.
        reconcile: the first look compares everything.

    Raises:
        UserError: records cannot be told apart before they are judged.
    """
    own = settings.stream(contract.stream).source
    if own.rest is None:
        return None
    key = [contract.column(name) for name in contract.key] if contract.kind == "entity" else []
    if other := [one.name for one in key if one.type not in ("string", "integer")]:
        what = f"The key of {contract.stream} has {other[0]}, which is neither text nor a whole number"
        raise UserError(f"{what}: a web API's records are told apart by it.", "Make it a string or an integer.")
    shape = Shape(key, own.rest.since, own.rest.planned)
    api = Api(own.rest, clock, own.authorization.reveal() if own.authorization else "")
    answers = Answers(settings.data / "raw" / contract.stream, durable=durable)
    looking = Looking(own.rest, shape, api, answers, StoreBook(opened, contract, durable), contract.hash)
    return RestSource(looking, clock, batch_rows=settings.engine.batch_rows, reconcile=reconcile)
