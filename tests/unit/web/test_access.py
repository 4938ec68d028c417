"""Who may do what: tokens and roles, names and origins, addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from hotfire.errors import UserError
from hotfire.testing.site import Site
from hotfire.web.access import Access, Role, access, is_loopback
from hotfire.web.app import app
from hotfire.web.server import serve

Make = Callable[..., Site]
TOKENS = {Role.VIEWER: ["look", "gaze"], Role.OPERATOR: ["work"], Role.ADMIN: ["rule"]}
STREAMS, PUSH = ("/api/v1/streams", "GET"), ("/api/v1/ingest/events", "POST")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("token", "streams", "push"),
    [
        ("look", 200, 403),
        ("gaze", 200, 403),
        ("work", 200, 202),
        ("rule", 200, 202),
        ("wrong", 401, 401),
        ("", 401, 401),
    ],
)
def test_a_token_gives_its_role(site: Make, token: str, streams: int, push: int) -> None:
    """Viewers look, operators push, admins do both; others are asked for a token, and told nothing."""
    here = site(access=access("127.0.0.1", TOKENS))
    assert here.ask(*STREAMS, headers=bearer(token)).code == streams
    answer = here.ask(*PUSH, body=b"{}", headers=bearer(token))
    assert answer.code == push
    assert here.kept() == [b"{}"] * (push == 202)
    if push == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "events" not in answer.document["do"]


@pytest.mark.parametrize("header", ["work", "Basic work", "Bearer", "Bearer work rule", "Bearer wörk", "bearer  work"])
def test_the_header_has_one_form(header: str) -> None:
    """`Bearer TOKEN`; the word may be in small letters."""
    assert access("127.0.0.1", TOKENS).role(header) == (Role.OPERATOR if header == "bearer  work" else None)


def test_without_tokens_this_machine_may_do_everything(here: Site) -> None:
    """As a tool on one's own machine it needs no ceremony."""
    assert here.ask(*STREAMS).code == 200
    assert here.ask(*PUSH, body=b"{}").code == 202


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(site: Make, path: str) -> None:
    """Whether it lives is no secret."""
    assert site(access=access("127.0.0.1", TOKENS)).ask(path).code == 200


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/openapi.json", "/api/v1/streams"])
def test_everything_else_does(site: Make, path: str) -> None:
    """What is known of the engine is for those with a token."""
    assert site(access=access("127.0.0.1", TOKENS)).ask(path).code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org"])  # noqa: S104 - what is refused
def test_other_addresses_need_a_token(host: str) -> None:
    """A server that others can reach does not start without one."""
    with pytest.raises(UserError, match="open to everyone") as error:
        access(host, {})
    assert error.value.exit_code == 2
    with pytest.raises(UserError, match="open to everyone"):
        serve(app({}, access=Access()), host)
    assert access(host, TOKENS).hosts is None
    assert access(host, TOKENS, ["Lab.example"]).hosts == {"lab.example"}


@pytest.mark.parametrize("token", ["", "with space", "größe"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    """An environment variable that is empty does not open the door."""
    with pytest.raises(UserError, match="A token of the role admin is empty"):
        access("127.0.0.1", {Role.ADMIN: [token]})


def test_tokens_are_not_shown() -> None:
    """Neither in logs nor in reports."""
    assert "work" not in repr(access("127.0.0.1", TOKENS))


def test_loopback_is_known() -> None:
    """By number and by name."""
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", ""]))  # noqa: S104 - as above


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("LocalHost:8080", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_a_name_that_is_not_ours_is_not_answered(here: Site, host: str, code: int) -> None:
    """A page whose name was pointed to this machine after it was loaded gets nothing."""
    assert here.ask("/healthz", headers={"Host": host}).code == code
    assert here.ask(*PUSH, body=b"{}", headers={"Host": host}).code == (202 if code == 200 else code)


def test_a_proxy_may_have_its_name(site: Make) -> None:
    """Names that are set are answered too."""
    here = site(access=access("127.0.0.1", {}, ["telemetry.example"]))
    assert here.ask("/healthz", headers={"Host": "telemetry.example"}).code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"])
def test_pages_of_other_origins_push_nothing(here: Site, origin: str) -> None:
    """A browser sends such requests without asking; they are refused."""
    answer = here.ask(*PUSH, body=b"{}", headers={"Origin": origin, "Content-Type": "text/plain"})
    assert answer.code == 403
    assert here.kept() == []


def test_websockets_of_other_origins_are_not_opened() -> None:
    """A browser would let any page open one."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    headers = [(b"host", b"localhost:80"), (b"origin", b"https://evil.example")]
    scope = {"type": "websocket", "path": "/api/v1/stream", "headers": headers}
    asyncio.run(app({})(scope, receive, send))
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


def test_pages_of_this_server_may_ask(here: Site) -> None:
    """The console is a page of this server."""
    assert here.ask(*PUSH, body=b"{}", headers={"Origin": here.server.url}).code == 202


def test_a_taken_port_is_told(here: Site) -> None:
    """Exit code 2 with the address, before anything runs."""
    with pytest.raises(UserError, match=f"127.0.0.1:{here.server.port} cannot be listened on: Address already in use"):
        serve(app({}), port=here.server.port)


def test_ipv6_is_served() -> None:
    """Loopback has two numbers."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    server = serve(app({}), "::1")
    try:
        with closing(socket.create_connection(("::1", server.port), timeout=30)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.url == f"http://[::1]:{server.port}"
    finally:
        server.stop()
