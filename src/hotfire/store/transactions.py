"""How anything runs over a connection: reads that hold on to nothing, and transactions, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hotfire.store.connection import Connection

T = TypeVar("T")


class Transactions:
    """Runs bodies over one connection. Used by one thread at a time.

    Args:
        dry_run: nothing is ever committed; what was written is seen until the connection is closed.
    """

    def __init__(self, connection: Connection, *, dry_run: bool = False) -> None:
        self._connection = connection
        self._dry_run = dry_run
        self._busy = self._steady = False

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Everything read inside is of one moment. Until then a file's log of writes grows, and tables cannot be altered."""
        self._steady = True
        try:
            yield
        finally:
            self._steady = False
            self._give_up()

    def reading(self, body: Callable[[], T]) -> T:
        """Run a body that only reads. Nothing is held on to afterwards, unless it is to be `steady`."""
        if self._busy:
            return body()

        def read() -> T:
            result = body()
            if not (self._dry_run or self._steady):
                self._connection.commit()
            return result

        return self._again(read)

    def writing(self, body: Callable[[], T], stands: Callable[[], bool] = bool) -> T:
        """Run a body as one transaction, all or nothing.

        Args:
            stands: where no answer came to a commit: whether it was one. Where it cannot be told, doing the same
                again must do no harm.
        """
        results: list[T] = []

        def deed() -> T:
            results[:] = [body()]
            return results[0]

        return self._again(lambda: self._transaction(deed), lambda: results if stands() else [])

    def _again(self, deed: Callable[[], T], came: Callable[[], Sequence[T]] = lambda: ()) -> T:  # noqa: ARG002 - a server may need it
        """Do it, and again where it can be told that this helps.

        Args:
            came: where no answer came to a commit: its result, if it stands.
        """
        with self._within():
            return deed()

    @contextmanager
    def _within(self) -> Iterator[None]:
        """What is inside goes on in one transaction, and where it fails that is over."""
        self._busy = True
        try:
            with ExitStack() as unless_done:
                unless_done.callback(self._give_up)
                yield
                unless_done.pop_all()
        finally:
            self._busy = False

    def _give_up(self) -> None:
        """End the transaction: it never was. What a dry run has written it goes on seeing."""
        if not self._dry_run:
            self._connection.rollback()

    def _transaction(self, body: Callable[[], T]) -> T:
        """The body, committed; in a dry run what it wrote is seen until the store is closed."""
        with ExitStack() as unless_done:
            if self._dry_run:
                self._connection.savepoint("hf_dry_run")
                unless_done.callback(self._connection.undo, "hf_dry_run")
                result = body()
                self._connection.release("hf_dry_run")
            else:
                self._connection.rollback()
                unless_done.callback(self._connection.rollback)
                result = body()
                self._connection.commit()
            unless_done.pop_all()
        return result
