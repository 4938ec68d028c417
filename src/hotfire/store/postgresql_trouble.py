"""What the failures of a PostgreSQL server mean, by SQLSTATE, and by words where the driver gives none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import adbc_driver_manager

from hotfire.errors import StoreOutage, StoreUnusable
from hotfire.store.connection import RefusedAsData

if TYPE_CHECKING:
    from hotfire.store.postgresql_address import Address


class Passing(StoreOutage):
    """It may be over in a moment: the same transaction, from its beginning, may be tried again at once."""


class ConnectionLost(Passing):
    """The server no longer answers, or not yet."""


class ReplyLost(ConnectionLost):
    """No answer came to a COMMIT: it may stand or not."""


class Overtaken(Passing):
    """The server gave another transaction precedence over this one."""


_AGAIN = "Nothing is lost: run it again once the server is back."
_CONNECTING = {
    "starting up": (ConnectionLost, "is starting up", _AGAIN),
    "shutting down": (ConnectionLost, "is shutting down", _AGAIN),
    "recovery mode": (ConnectionLost, "recovers from a crash", _AGAIN),
    "too many clients": (ConnectionLost, "has no connection free", "Raise max_connections, or close other programs."),
    "too many connections": (ConnectionLost, "has no connection free", "Raise its limit, or close other programs."),
    "connection slots": (ConnectionLost, "has no connection free", "Raise max_connections, or close other programs."),
    "authentication failed": (StoreUnusable, "refuses the password", "Look at user and password in store.url."),
    "no password supplied": (StoreUnusable, "asks for a password", "Set it: postgresql://USER:${NAME}@HOST/DATABASE"),
    "pg_hba.conf": (StoreUnusable, "does not let this machine or user in", "Add it to the server's pg_hba.conf."),
    "does not exist": (StoreUnusable, "does not know the user or the database", "Make it: createdb NAME"),
    "invalid ": (
        StoreUnusable,
        "cannot be reached by this URL",
        "Write postgresql://USER@HOST/DATABASE, and after a `?` only what libpq knows.",
    ),
}
_CLASSES: dict[str, tuple[type[StoreUnusable], str, str]] = {
    "08": (ConnectionLost, "no longer answers", _AGAIN),
    "57P": (ConnectionLost, "was stopped or restarted", _AGAIN),
    "40": (Overtaken, "gave another transaction precedence", "Run it again."),
    "53100": (StoreOutage, "cannot grow: its disk is full", "Free some space on the server and run it again."),
    "53": (StoreOutage, "has no memory or connections left", "Look at the server, and run it again."),
    "55P03": (StoreOutage, "is locked by another session", "Wait for it to end, or stop it, and run it again."),
    "57014": (StoreOutage, "was told to cancel the statement", "Run it again."),
    "58": (StoreOutage, "has trouble with its disk", "Look at the server's log."),
    "25006": (StoreUnusable, "is read-only: a standby?", "Name the primary, or add target_session_attrs=read-write."),
    "42501": (StoreUnusable, "does not allow this user to do that", "Let the user own the schema, or create it."),
    "2BP01": (
        StoreUnusable,
        "has views that depend on a stream's table",
        "Drop them; they can be made anew after this.",
    ),
    "XX": (StoreUnusable, "is damaged", "Restore it from a backup; the lake still holds the rows up to its marker."),
}
_WORDS = {"could not serialize": "40001", "deadlock detected": "40P01", "No space left": "53100", "canceling": "57014"}
"""A result that breaks off half-way comes without SQLSTATE."""
_DATA = ("22", "23", "44", "54", "P0001")
"""Values that are refused: a form, a constraint, a view's condition, a size, a trigger."""


@contextmanager
def connecting(address: Address) -> Iterator[None]:
    """Explain why no connection was made. The driver gives words only; without the cause, which may show a password."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        message = address.masked(str(error)).partition("Failed to connect: ")[2].strip() or "no reason given"
        for sign, (kind, trouble, do) in _CONNECTING.items():
            if sign in message:
                raise kind(f"The store {address.shown} {trouble}: {message}", do) from None
        do = "Is the server running, and does store.url name it?"
        raise ConnectionLost(f"The store {address.shown} cannot be reached: {message}", do) from None


def meaning(address: Address, error: Exception, answers: Callable[[], bool]) -> StoreUnusable:
    """What a failed statement means.

    Args:
        answers: whether the server still answers; asked where the driver gives no SQLSTATE.
    """
    state = getattr(error, "sqlstate", None)
    details: dict[Any, bytes] = dict(getattr(error, "details", None) or ())
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY", b"").decode(errors="replace")
    message = address.masked(primary or str(error).strip())
    if state is None:
        state = next((found for words, found in _WORDS.items() if words in message), None)
    if state is None:
        if answers():
            return StoreUnusable(f"The store {address.shown} refused a statement: {message}", "Run `hotfire doctor`.")
        return ConnectionLost(f"The store {address.shown} no longer answers: {message}", _AGAIN)
    if state.startswith(_DATA):
        return RefusedAsData(message, "Run `hotfire doctor`.")
    for length in (5, 3, 2):
        if state[:length] in _CLASSES:
            kind, trouble, do = _CLASSES[state[:length]]
            return kind(f"The store {address.shown} {trouble}: {message}", do)
    return StoreUnusable(f"The store {address.shown} refused a statement: {message} ({state})", "Run `hotfire doctor`.")
