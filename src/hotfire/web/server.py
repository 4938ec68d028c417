"""The application on a port: uvicorn on a thread of its own, beside the engine."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hotfire.errors import UserError
from hotfire.web.access import must_be_guarded

if TYPE_CHECKING:
    from starlette.applications import Starlette

_HEAD_BYTES = 1 << 16
_IDLE_S = 60
_CONNECTIONS = 1000
_BACKLOG = 1024


class Server:
    """A server that runs. Made by `serve`."""

    def __init__(self, application: Starlette, listening: socket.socket, head_s: float) -> None:
        config = uvicorn.Config(
            application,
            http=partial(Punctual, head_s=head_s),  # type: ignore[arg-type] # called like the class
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
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


def serve(application: Starlette, host: str = "127.0.0.1", port: int = 0, head_s: float = 15.0) -> Server:
    """Serve the application on a thread, until `stop`. It can be asked as soon as this returns.

    Args:
        port: 0 takes one that is free.
        head_s: a connection that is open for so long without bringing a request is closed.

    Raises:
        UserError: the address is taken or is none of this machine, or it is no loopback address and there is no token.
    """
    must_be_guarded(host, application.state.access.tokens)
    try:
        return Server(application, _listening(host, port), head_s)
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

    A connection that does not bring the head of a request within `head_s` and 64 KB is closed; so is one that goes on
    for so long with a body that was answered already.
    """

    def __init__(self, *args: Any, head_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_s = head_s
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take bytes; see whether they brought a request on."""
        in_head = self._in_head
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._head_bytes += len(data) if in_head and self._in_head else 0
            if self._head_bytes > _HEAD_BYTES:
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

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(self._head_s, self._give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._forget()
        if not self.transport.is_closing():
            self.transport.close()
