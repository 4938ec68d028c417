"""Requests to a web API: how often, how long, how much, and whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from hotfire.clock import SystemClock
from hotfire.errors import HotfireError, Outage, UserError
from hotfire.source.rest.api import Answer, Api, LeftAlone
from hotfire.source.rest.settings import RestSettings

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Server:
    """Answers one after the other; the last one for ever."""

    replies: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    slowly_s: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            state.asked.append((self.command, self.path, dict(self.headers), body))
            code, headers, body = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for at in range(0, len(body), 1000):
                time.sleep(state.slowly_s)
                self.wfile.write(body[at : at + 1000])

        do_POST = do_GET  # noqa: N815 - as the library calls it

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as http:
        http.daemon_threads = True
        state.port = http.server_address[1]
        thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def asking(server: Server, **changes: Any) -> Api:
    return Api(RestSettings(**{"base_url": server.url, "list": "/things", **changes}), SystemClock(), "Bearer abc")


def same(answer: Answer) -> Answer:
    return answer


def test_a_request_says_who_asks_and_for_what(server: Server) -> None:
    """The path behind the base URL, the authorization, JSON, and the content that is known already."""
    server.replies = [(200, {"ETag": '"2"'}, b"[]"), (304, {}, b"")]
    api = asking(server)
    assert api.get("/things?x=1", same) == Answer(b"[]", '"2"')
    assert api.get("/things", same, '"2"') == Answer(b"", '"2"', unchanged=True)
    (_, first, headers, _), (_, second, known, _) = server.asked
    assert (first, second, known["If-None-Match"]) == ("/things?x=1", "/things", '"2"')
    assert (headers["Authorization"], headers["Accept"]) == ("Bearer abc", "application/json")
    assert api.calls == 2


def test_a_body_is_posted_as_json(server: Server) -> None:
    """With its type, byte by byte."""
    server.replies = [(200, {}, b"{}")]
    asking(server).post("/query", b'{"a":1}', same)
    ((method, _, headers, body),) = server.asked
    assert (method, headers["Content-Type"], body) == ("POST", "application/json", b'{"a":1}')


@pytest.mark.parametrize("code", [500, 502, 503, 408, 425, 429])
def test_what_may_pass_is_tried_again(server: Server, code: int) -> None:
    """So often as the settings say, and then it is an outage."""
    server.replies = [(code, {}, b"busy"), (200, {}, b"[]")]
    assert asking(server).get("/things", same).body == b"[]"
    server.replies = [(code, {}, b"busy")]
    api = asking(server, attempts=2)
    with pytest.raises(Outage, match=rf"/things answers {code} .*: busy\."):
        api.get("/things", same)
    assert api.calls == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 301])
def test_a_refusal_is_not_tried_again(server: Server, code: int) -> None:
    """It is the user's to mend; a redirect, too, is not followed."""
    server.replies = [(code, {"Location": "/elsewhere"}, b"")]
    api = asking(server)
    with pytest.raises(UserError) as refused:
        api.get("/things", same)
    assert (api.calls, refused.value.exit_code) == (1, 2)
    assert refused.value.do


def test_the_server_says_how_long_to_wait(server: Server) -> None:
    """Retry-After in seconds or as a date; longer than a minute ends the poll at once."""
    server.replies = [(429, {"Retry-After": "1"}, b""), (200, {}, b"[]")]
    began = time.monotonic()
    asking(server).get("/things", same)
    assert time.monotonic() - began >= 1
    for later in ("61", "Fri, 01 Jan 2100 00:00:00 GMT"):
        server.replies = [(503, {"Retry-After": later}, b"")]
        api = asking(server)
        with pytest.raises(LeftAlone) as told:
            api.get("/things", same)
        assert (api.calls, told.value.after_s >= 61) == (1, True)


def test_half_a_body_is_none(server: Server) -> None:
    """An answer that ends before its length is tried again, and never read."""
    server.replies = [(200, {"Content-Length": "10"}, b"[1,2]"), (200, {}, b"[3]")]
    assert asking(server).get("/things", same).body == b"[3]"
    server.replies = [(200, {"Content-Length": "10"}, b"[1,2]")]
    with pytest.raises(Outage, match="ends after 5 of 10 bytes"):
        asking(server, attempts=1).get("/things", same)


def test_a_silent_server_times_out(server: Server) -> None:
    """Also one that goes on and on, a few bytes at a time."""
    server.replies, server.slowly_s = [(200, {}, b" " * 10_000)], 0.1
    began = time.monotonic()
    with pytest.raises(Outage, match="cannot be reached"):
        asking(server, attempts=1, timeout="300 ms").get("/things", same)
    assert time.monotonic() - began < 0.9


def test_a_greater_answer_than_allowed_is_refused(server: Server) -> None:
    """As soon as it is known: over all answers of one poll."""
    server.replies = [(200, {}, b"x" * 3000)]
    api = asking(server, max_response="5 kB")
    api.begin()
    api.get("/things", same)
    with pytest.raises(UserError, match="answers with more than 5 kB"):
        api.get("/things", same)
    api.begin()
    api.get("/things", same)


def test_nobody_else_is_asked(server: Server) -> None:
    """A link to another server is refused; one to the same is followed, relative or whole."""
    server.replies = [(200, {"Link": '</things?page=2>; rel="next", </>; rel="first"'}, b"[]")]
    assert asking(server).get("/things", same).next == f"{server.url}/things?page=2"
    with pytest.raises(UserError, match="leads to another server"):
        asking(server).get("http://127.0.0.1:1/things", same)


@pytest.mark.parametrize("url", ["api.example.com", "ftp://x", "http://", ""])
def test_a_base_url_is_an_address(url: str) -> None:
    """Of HTTP, with a host; anything else is the user's mistake."""
    with pytest.raises(UserError, match="is no address"):
        Api(RestSettings(base_url=url, list="/"), SystemClock())


@pytest.mark.parametrize(
    "read", [lambda answer: 1 / len(answer.body), lambda answer: int(answer.body.decode() or "none")]
)
def test_what_reading_raises_by_mistake_is_shown(server: Server, read: Callable[[Answer], Any]) -> None:
    """Only an Outage is a reason to ask again."""
    server.replies = [(200, {}, b"")]
    api = asking(server)
    with pytest.raises((ZeroDivisionError, ValueError)):
        api.get("/things", read)
    assert api.calls == 1


def test_no_server_is_an_outage() -> None:
    """With the address, and what to expect."""
    with pytest.raises(HotfireError, match=r"http://127\.0\.0\.1:9/things cannot be reached") as told:
        Api(RestSettings(base_url="http://127.0.0.1:9", list="", attempts=1), SystemClock()).get("/things", same)
    assert told.value.exit_code == 3
