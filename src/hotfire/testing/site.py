"""The web server on loopback over a spool, and a client of it: for tests of whatever is pushed or asked."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from hotfire.source.spool.frames import Frame
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock
from hotfire.web.access import Access
from hotfire.web.app import Engine, app
from hotfire.web.ingest import IngestLimits
from hotfire.web.server import Server, serve

NDJSON = {"Content-Type": "application/x-ndjson"}
"""What a client says that sends JSON lines."""


class Answer(Struct, frozen=True):
    """How the server answered; names of headers are in small letters."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document; ValueError where it is none."""
        return msgspec.json.decode(self.body)


class Site(Struct, frozen=True):
    """A server, and the spool of its one stream, `events`; of interest is what the spool takes from offset `begin` on."""

    server: Server
    spool: Spool
    begin: int = 0

    def ask(self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())

    def post(self, body: Any, headers: Mapping[str, str] | None = None, stream: str = "events") -> Answer:
        """Push a body, as JSON lines where the headers say nothing else."""
        return self.ask(f"/api/v1/ingest/{stream}", "POST", body, {**NDJSON, **(headers or {})})

    def kept(self) -> list[bytes]:
        """Every payload in the spool, from `begin` on."""
        found, at = list[bytes](), self.begin
        while items := self.spool.read(at, 1 << 20):
            found += [item.payload for item in items if isinstance(item, Frame)]
            at = items[-1].end
        return found


@contextmanager
def site(
    folder: Path,
    engine: Engine | None = None,
    access: Access | None = None,
    limits: IngestLimits | None = None,
    spool_limits: SpoolLimits | None = None,
) -> Iterator[Site]:
    """A server that takes rows for `events` into a spool in the folder."""
    with closing(Spool(folder, ManualClock(), spool_limits)) as spool:
        server = serve(app({"events": spool}, engine, access, limits))
        try:
            yield Site(server, spool)
        finally:
            server.stop(2)
