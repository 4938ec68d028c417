"""Who may ask for what: tokens and their roles, and which names this server answers to."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from hotfire.errors import UserError
from hotfire.web.answers import Declined, declined

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Role(IntEnum):
    """What a token allows; each role includes those before it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what.

    Attributes:
        tokens: the role of each token; without any, everyone who can reach the server may do everything.
        hosts: the names under which it may be addressed, in small letters; None allows every name.
    """

    tokens: Mapping[bytes, Role] = field(default_factory=dict, repr=False)
    hosts: frozenset[str] | None = _LOOPBACK_NAMES

    def role(self, authorization: str | None) -> Role | None:
        """The role of a request by its `Authorization` header; None without a known token. Takes the same time for all."""
        if not self.tokens:
            return Role.ADMIN
        scheme, _, given = (authorization or "").partition(" ")
        token, found = given.strip().encode("latin-1", "replace"), None
        for known, role in self.tokens.items():
            if hmac.compare_digest(known, token):
                found = role
        return found if scheme.lower() == "bearer" else None


def access(host: str, tokens: Mapping[Role, Collection[str]], hosts: Collection[str] = ()) -> Access:
    """Who may do what on a server bound to `host`.

    Args:
        hosts: further names of the server, as of a proxy before it. A server on a loopback address has names of its
            own; one on another address may be called by any name, unless some are given.

    Raises:
        UserError: the address is not a loopback one and there is no token, or a token is none.
    """
    roles = {token.encode(): role for role in sorted(tokens) for token in tokens[role]}
    for token, role in roles.items():
        if not token or not token.isascii() or b" " in token:
            raise UserError(
                f"A token of the role {role.name.lower()} is empty, or has a space or letter that no header can hold.",
                "Set the environment variable that the setting refers to, say to what `openssl rand -hex 24` prints.",
            )
    names = frozenset(name.lower() for name in hosts)
    if is_loopback(host):
        return Access(roles, _LOOPBACK_NAMES | names)
    must_be_guarded(host, roles)
    return Access(roles, names or None)


def must_be_guarded(host: str, tokens: Collection[bytes]) -> None:
    """Raise UserError where others than this machine could reach the address, and nobody would ask them for a token."""
    if not is_loopback(host) and not tokens:
        raise UserError(
            f"The server would be open to everyone who can reach {host}.",
            "Set a token for at least one role, or bind it to 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed(needed: Role, endpoint: Endpoint) -> Endpoint:
    """The endpoint, for those who have the role. 401 without a known token, 403 with one of a lesser role."""

    async def guarded(request: Request) -> Response:
        role = request.app.state.access.role(request.headers.get("authorization"))
        if role is None:
            what, do = "This needs a token.", "Send the header `Authorization: Bearer TOKEN`."
            raise Declined(401, what, do, {"WWW-Authenticate": "Bearer"})
        if role < needed:
            what = f"This needs the role {needed.name.lower()}; the token has the role {role.name.lower()}."
            raise Declined(403, what, "Use another token.")
        return await endpoint(request)

    return guarded


class Addressed:
    """Lets in only requests that were meant for this server.

    A web page anywhere can make its reader's browser send requests to 127.0.0.1, under a name that the page's owner
    points there, or across origins. Such requests carry that name or that origin.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 or 403; a WebSocket is closed before it is one."""
        error = self._stranger(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        if error is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await (await declined(Request(scope), error))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": error.detail})

    def _stranger(self, headers: Headers) -> Declined | None:
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts is not None and name not in self._hosts:
            return Declined(
                421, f"This server is not {name or 'without a name'}.", "Address it by localhost or 127.0.0.1."
            )
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return Declined(
                403, f"Requests of pages from {origin} are not taken.", "Send it from outside of a browser."
            )
        return None
