"""An HTTP server on loopback that takes notices, or does not: as it is told, request by request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import msgspec
from msgspec import Struct, field


class Request(Struct, frozen=True):
    """What was asked; names of headers are in small letters."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The body as a CloudEvents event."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    @property
    def key(self) -> str:
        """Which notice it is."""
        return self.headers["idempotency-key"]


class Reply(Struct, frozen=True):
    """How a request is answered.

    Attributes:
        hang: not at all, until the server ends.
        drop: the connection is closed instead.
    """

    code: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    drop: bool = False


class Receiver(Struct):
    """A running server. The first replies are those of `replies`; every other one is 204.

    Attributes:
        requests: all there were, in order.
    """

    port: int = 0
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    ended: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    @property
    def url(self) -> str:
        """Where it takes notices."""
        return f"http://127.0.0.1:{self.port}/hooks/s3cr3t-path"

    def keys(self) -> list[str]:
        """Of every request, in order."""
        with self.lock:
            return [request.key for request in self.requests]

    def took(self, request: Request) -> Reply:
        """Write the request down; how it is to be answered."""
        with self.lock:
            self.requests.append(request)
            return self.replies.pop(0) if self.replies else Reply()


@contextmanager
def receiver(*replies: Reply) -> Iterator[Receiver]:
    """A server that runs as long as the context does."""
    state = Receiver(replies=list(replies))

    class Asked(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = state.took(Request(self.path, headers, body))
            if reply.hang or reply.drop:
                self.close_connection = True
                if reply.hang:
                    state.ended.wait()
                return
            self.send_response(reply.code)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            server.shutdown()
            thread.join()
