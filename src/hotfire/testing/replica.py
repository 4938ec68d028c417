"""The SpaceX API (version 4) on loopback, from a folder: `python -m hotfire.testing.replica FOLDER [LATER...] --port P`.

A folder is a snapshot: `launches.json`, `rockets.json`, `launchpads.json`, `payloads.json`, each a list, each optional.
Several are shown one after the other: `POST /replica/step` goes to the next. `POST /replica/fault` with a fault as JSON
(`{"kind": "429", "times": 2, "path": "/v4/launches/latest"}`) spoils what is answered; `GET /replica/calls` says what
was asked so far.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Literal

import click
import msgspec
from msgspec import Struct, field

from hotfire.testing.documents import Document, page

Snapshot = Mapping[str, list[Document]]
"""What the server has at one time: collections by their names in the address."""

COLLECTIONS = ("launches", "rockets", "launchpads", "payloads")

Kind = Literal["500", "503", "429", "timeout", "half", "wrong_json", "schema", "empty", "backwards"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong with the next answers.

    Attributes:
        kind: a code; or `timeout` (no answer until the server ends, or until `seconds` have passed), `half` (the
            connection ends in the middle of the body), `wrong_json` (a page of HTML with code 200), `schema` (names
            are called titles), `empty` (nothing in the collection), `backwards` (the latest is the earliest).
        times: how many answers; of those only whose path is `path`, where it is given.
        seconds: of a `timeout`, how long; of 429 and 503, the Retry-After.
    """

    kind: Kind
    times: int = 1
    path: str | None = None
    seconds: float | None = None


class Call(Struct, frozen=True):
    """One request; of `GET /replica/calls`, one document."""

    method: str
    path: str
    status: int
    fault: str | None = None


class Reply(Struct, frozen=True):
    """What goes over the wire: all of the body, or its first `sent` bytes and then the end of the connection."""

    code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None


def read(folder: Path) -> dict[str, list[Document]]:
    """The snapshot in a folder."""
    files = {name: folder / f"{name}.json" for name in COLLECTIONS}
    return {name: msgspec.json.decode(path.read_bytes()) for name, path in files.items() if path.exists()}


class Replica(Struct):
    """A running server.

    Attributes:
        snapshot: what it shows now.
        later: what `step` shows next.
        calls: all requests but those of the control path, in order.
    """

    snapshot: Snapshot
    later: list[Snapshot] = field(default_factory=list)
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ended: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    @property
    def url(self) -> str:
        """The base of every address."""
        return f"http://127.0.0.1:{self.port}"

    def step(self, snapshot: Snapshot | None = None) -> None:
        """Show this from now on, or else the next of `later`; IndexError where there is none."""
        with self.lock:
            self.snapshot = self.later.pop(0) if snapshot is None else snapshot

    def fail(self, kind: Kind, times: int = 1, path: str | None = None, seconds: float | None = None) -> None:
        """Spoil the next answers; faults take their turns in the order in which they were asked for."""
        with self.lock:
            self.faults.append(Fault(kind, times, path, seconds))

    def heal(self) -> None:
        """Forget the faults that have not had their turn."""
        with self.lock:
            self.faults.clear()

    def asked(self, path: str | None = None) -> int:
        """How many requests there were, or those of one path."""
        with self.lock:
            return sum(path in {None, call.path} for call in self.calls)

    def answer(self, method: str, path: str, body: bytes, etag: str | None = None) -> Reply:
        """Answer a request, and write it down."""
        if path.startswith("/replica/"):
            return self._control(method, path, body)
        fault = self._fault(path)
        if fault is not None and fault.kind == "timeout":
            self.ended.wait(fault.seconds)
        reply = _spoilt(self.snapshot, fault, method, path, body)
        if etag is not None and method == "GET" and etag == reply.headers.get("ETag"):
            reply = Reply(304, b"", reply.headers)
        with self.lock:
            self.calls.append(Call(method, path, reply.code, fault.kind if fault else None))
        return reply

    def _fault(self, path: str) -> Fault | None:
        """The fault whose turn it is with this path, used up once."""
        with self.lock:
            for at, fault in enumerate(self.faults):
                if fault.path in {None, path}:
                    left = msgspec.structs.replace(fault, times=fault.times - 1)
                    self.faults[at : at + 1] = [left] if left.times > 0 else []
                    return fault
            return None

    def _control(self, method: str, path: str, body: bytes) -> Reply:
        try:
            match method, path:
                case "POST", "/replica/step":
                    self.step(read(Path(msgspec.json.decode(body)["folder"])) if body else None)
                case "POST", "/replica/fault":
                    fault = msgspec.json.decode(body, type=Fault)
                    self.fail(fault.kind, fault.times, fault.path, fault.seconds)
                case "POST", "/replica/heal":
                    self.heal()
                case "GET", "/replica/calls":
                    with self.lock:
                        return _json(self.calls)
                case _:
                    return Reply(404, b"Not Found")
        except (msgspec.DecodeError, IndexError, KeyError, OSError) as error:
            return Reply(400, str(error).encode())
        return Reply(204, b"")


def _json(found: Any) -> Reply:
    body = msgspec.json.encode(found)
    headers = {"Content-Type": "application/json; charset=utf-8", "ETag": f'"{sha256(body).hexdigest()[:27]}"'}
    return Reply(200, body, headers)


def _spoilt(snapshot: Snapshot, fault: Fault | None, method: str, path: str, body: bytes) -> Reply:
    """The answer, with what the fault makes of it."""
    match fault.kind if fault else None:
        case "500" | "503" | "429" as code:
            waits = {} if code == "500" else {"Retry-After": f"{(fault.seconds if fault else 0) or 0:g}"}
            return Reply(int(code), b"spoilt by the replica", waits)
        case "wrong_json":
            return Reply(200, b"<html><body>Under maintenance</body></html>", {"Content-Type": "application/json"})
        case "schema":
            snapshot = {name: [_renamed(one) for one in found] for name, found in snapshot.items()}
        case "empty":
            snapshot = {name: [] for name in snapshot}
        case "backwards" if path.endswith("/latest"):
            return _json(_past(snapshot["launches"])[0])
    reply = _answer(snapshot, method, path, body)
    if fault is not None and fault.kind == "half":
        return Reply(reply.code, reply.body, reply.headers, len(reply.body) // 2)
    return reply


def _renamed(document: Document) -> Document:
    return {"title" if name == "name" else name: value for name, value in document.items()}


def _past(launches: Sequence[Document]) -> list[Document]:
    """Launches that are over, earliest first: the API orders them by their flight number."""
    return sorted((one for one in launches if not one["upcoming"]), key=lambda one: one["flight_number"])


def _answer(snapshot: Snapshot, method: str, path: str, body: bytes) -> Reply:
    """What the API says to a request."""
    missing = Reply(404, b"Not Found", {"Content-Type": "text/plain; charset=utf-8"})
    match method, path.strip("/").split("/"):
        case "GET", ["v4", name] if name in snapshot:
            found = snapshot[name]
            return _json(sorted(found, key=lambda one: one["flight_number"]) if name == "launches" else found)
        case "GET", ["v4", "launches", "latest"] if "launches" in snapshot:
            past = _past(snapshot["launches"])
            return _json(past[-1]) if past else missing
        case "GET", ["v4", name, identity] if name in snapshot:
            one = next((one for one in snapshot[name] if one["id"] == identity), None)
            return missing if one is None else _json(one)
        case "POST", ["v4", name, "query"] if name in snapshot:
            try:
                return _json(page(snapshot[name], msgspec.json.decode(body or b"{}", type=dict)))
            except (ValueError, TypeError) as error:
                return Reply(400, str(error).encode(), {"Content-Type": "text/plain; charset=utf-8"})
    return missing


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    state: Replica

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Asked(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body go out together: no delayed acknowledgement stands between them
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._reply(b"")

    def do_POST(self) -> None:
        self._reply(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _reply(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        reply = self.server.state.answer(self.command, path, body, self.headers.get("If-None-Match"))
        self.send_response(reply.code)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.code not in {204, 304}:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])
        self.close_connection = self.close_connection or reply.sent is not None

    def log_message(self, *_: Any) -> None:
        """Nobody reads it: `calls` has them."""


@contextmanager
def replica(*snapshots: Snapshot, port: int = 0) -> Iterator[Replica]:
    """A server that runs as long as the context does, and shows the first snapshot until it is told to step on."""
    state = Replica(snapshots[0], list(snapshots[1:]))
    with _Server(("127.0.0.1", port), _Asked) as server:
        server.state = state
        state.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            server.shutdown()
            thread.join()


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--port", type=int, default=0, help="Of 127.0.0.1; one that is free where none is given.")
def main(folders: Sequence[Path], port: int) -> None:
    """Serve snapshots until interrupted."""
    with replica(*(read(folder) for folder in folders), port=port) as server:
        click.echo(server.url)
        try:
            server.ended.wait()
        except KeyboardInterrupt:
            click.echo("ended", err=True)


if __name__ == "__main__":
    main()
