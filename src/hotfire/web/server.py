"""The application on a port: uvicorn on a thread of its own, beside the engine."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hotfire.errors import UserError
from hotfire.web.access import must_be_guarded

if TYPE_CHECKING:
    from starlette.applications import Starlette

_BACKLOG = 1024


class Patience(Struct, frozen=True):
    """How long and for how many the server waits.

    Attributes:
        head_s: a connection that is open for so long without bringing a request is closed.
        head_bytes: so is one that brings so many bytes and still no request.
        idle_s: a connection may stay open for so long after an answer.
        connections: those beyond so many are closed at once.
    """

    head_s: float = 15.0
    head_bytes: int = 1 << 16
    idle_s: int = 60
    connections: int = 1000


class Server:
    """A server that runs. Made by `serve`."""

    def __init__(self, application: Starlette, listening: socket.socket, patience: Patience) -> None:
        config = uvicorn.Config(
            application,
            http=partial(Punctual, patience=patience),  # type: ignore[arg-type] # called like the class
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=patience.idle_s,
        )
        self.host, self.port = listening.getsockname()[:2]
        self._uvicorn = uvicorn.Server(config)
        self._thread = Thread(target=self._uvicorn.run, args=([listening],), name="hotfire-web", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def stop(self, drain_s: int = 10) -> None:
        """Take no more, answer what was asked, and end; what is not answered after so long is broken off."""
        self._uvicorn.config.timeout_graceful_shutdown = drain_s
        self._uvicorn.should_exit = True
        self._thread.join()


def serve(application: Starlette, host: str = "127.0.0.1", port: int = 0, patience: Patience | None = None) -> Server:
    """Serve the application on a thread, until `stop`. It can be asked as soon as this returns.

    Args:
        port: 0 takes one that is free.

    Raises:
        UserError: the address is taken or is none of this machine, or it is no loopback address and there is no token.
    """
    must_be_guarded(host, application.state.access.tokens)
    try:
        return Server(application, _listening(host, port), patience or Patience())
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be listened on: {error.strerror}.", "Choose another port.") from error


def _listening(host: str, port: int) -> socket.socket:
    """A socket whose connections asyncio knows for TCP: only then does it send answers without waiting for more."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


class Punctual(HttpToolsProtocol):
    """uvicorn's protocol, with a bound on what it waits for outside of requests.

    A connection that does not bring the head of a request in time and size is closed; so is one that goes on for so long
    with a body that was answered already.
    """

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head, where there are not too many connections."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._patience.connections:
            self.transport.close()
        else:
            self._expect()

    def data_received(self, data: bytes) -> None:
        """Take bytes; see whether they brought a request on."""
        in_head = self._in_head
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._head_bytes += len(data) if in_head and self._in_head else 0
            if self._head_bytes > self._patience.head_bytes:
                self._give_up()
            elif self._deadline is None:
                self._expect()
        elif self._deadline is not None:
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._forget()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A body begins."""
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may begin."""
        self._in_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says to bytes that are no request, in our form."""
        body = msgspec.json.encode({"error": msg, "do": "Speak HTTP/1.1."})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)
        self.transport.close()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(self._patience.head_s, self._give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._forget()
        if not self.transport.is_closing():
            self.transport.close()
