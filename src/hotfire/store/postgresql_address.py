"""Where a PostgreSQL store is: a libpq URL with the schema beside it, and how people are shown it."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from hotfire.errors import SettingsError

SCHEMA = "hotfire"
"""The schema that holds the tables where the URL names none."""

_PATIENCE = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
_SHOWN = ("host", "port", "dbname", "user", "schema")
_PROGRAM = re.compile(r"hotfire pid (\d+) on (.+)")


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and a schema in it.

    Attributes:
        url: for the driver, password included.
        schema: whose tables are the store.
        shown: for people.
        secrets: texts that people must not be shown.
    """

    url: str = field(repr=False)
    schema: str
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, url: str) -> Address:
        """From `postgresql://user:password@host:port/database?schema=NAME`, with any parameter that libpq knows.

        Raises SettingsError where that is no such URL.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise SettingsError("store.url is no URL.", str(error)) from None
        if parts.fragment or "@" in parts.path or ("@" in parts.query and "@" not in parts.netloc):
            raise SettingsError(
                "store.url is no URL.", "Write / as %2F, ? as %3F, # as %23 and @ as %40 in a password."
            )
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        schema = given.pop("schema", SCHEMA)
        user, _, hosts = parts.netloc.rpartition("@")
        user, _, password = user.partition(":")
        if parts.scheme not in {"postgresql", "postgres"} or not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", schema):
            raise SettingsError(
                f"store.url: {schema!r} cannot be a schema of hotfire's.",
                "Write postgresql://USER@HOST/DATABASE?schema=NAME; a schema is a-z, 0-9 and _, not beginning with pg_.",
            )
        shown = {name: value for name, value in given.items() if name in _SHOWN}
        shown |= {"schema": schema} if schema != SCHEMA else {}
        netloc = f"{user}@{hosts}" if user else hosts
        secrets = {password, unquote(password), given.get("password", ""), given.get("sslpassword", "")} - {""}
        rest = urlencode({**_PATIENCE, **given}, quote_via=quote)
        told = f"?{urlencode(shown, safe='/')}" if shown else ""
        return cls(
            f"{parts.scheme}://{parts.netloc}{parts.path}?{rest}",
            schema,
            f"{parts.scheme}://{netloc}{parts.path}{told}",
            tuple(sorted(secrets, key=len, reverse=True)),
        )

    def masked(self, text: str) -> str:
        """A text of the driver or the server, without what people must not be shown."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def program() -> str:
    """What this process calls itself to the server: by this it is named to others that want to own the store."""
    return f"hotfire pid {os.getpid()} on {socket.gethostname()}"[:63]


def process(name: str) -> tuple[int, str] | None:
    """Process id and host out of what a process called itself; None where it is no hotfire."""
    found = _PROGRAM.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def may_live(name: str) -> bool | None:
    """Whether a process that called itself so may still be there; None where it is of another machine."""
    found, own = process(name), process(program())
    if found is None or own is None or found[1] != own[1]:
        return None
    try:
        os.kill(found[0], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
