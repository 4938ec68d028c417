"""What the server says of the engine, of itself, and of requests that are none."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from hotfire.testing.site import Site
from hotfire.web.app import Engine, app
from hotfire.web.ingest import IngestLimits
from hotfire.web.server import Patience, serve

Make = Callable[..., Site]


def test_readiness_is_the_engines(site: Make) -> None:
    """200 when the engine says so; 503 with its reason else. Life does not depend on it."""
    why = ["The store is not open yet."]
    here = site(Engine(ready=lambda: why[0]))
    answer = here.ask("/readyz")
    assert (answer.code, answer.document["error"]) == (503, why[0])
    assert here.ask("/healthz").code == 200
    why[0] = ""
    assert here.ask("/readyz").document == {"ready": True}


def test_streams_are_the_engines(site: Make) -> None:
    """What the engine knows of its streams, as it says it."""
    known = [{"stream": "events", "lag_s": 0.5}]
    assert site(Engine(streams=lambda: known)).ask("/api/v1/streams").document == {"streams": known}


def test_metrics_are_those_of_both(site: Make) -> None:
    """The engine's registry and the server's counters, in names of one form."""
    registry = CollectorRegistry()
    Gauge("hotfire_engine_lag_seconds", "Lag.", registry=registry).set(7)
    here = site(Engine(registry=registry))
    here.post(b'{"n":1}\n{"n":2}')
    here.post(b"{}", {"Content-Type": "text/csv"})
    here.post(b"{}", stream="nothing")
    families = list(text_string_to_metric_families(here.ask("/metrics").body.decode()))
    samples = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert samples["hotfire_engine_lag_seconds",] == 7
    assert samples["hotfire_ingest_accepted_lines_total", "events"] == 2
    assert samples["hotfire_ingest_accepted_bytes_total", "events"] == 15
    answered = {key[1:]: value for key, value in samples.items() if key[0] == "hotfire_ingest_answered_requests_total"}
    assert sorted(map(sorted, answered)) == sorted(map(sorted, [("202", "events"), ("415", "events"), ("404", "")]))
    assert samples["hotfire_spool_disk_bytes", "events"] == samples["hotfire_spool_waiting_bytes", "events"] == 47
    assert samples["hotfire_spool_synced_groups_total", "events"] == 1
    counters = [family.name for family in families if family.type == "counter"]
    assert all(re.fullmatch(r"hotfire_[a-z]+_[a-z]+_[a-z]+", name) for name in counters)


def test_the_document_has_every_route(here: Site) -> None:
    """What OpenAPI says there is, is there, and nothing else."""
    document = here.ask("/api/v1/openapi.json").document
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    routes = [route for route in app({}).routes if isinstance(route, Route)]
    assert described == {(route.path, method) for route in routes for method in (route.methods or ())} - {
        (route.path, "HEAD") for route in routes
    }


@pytest.mark.parametrize(
    ("path", "method", "code"),
    [
        ("/", "GET", 404),
        ("/api/v1/nothing", "GET", 404),
        ("/api/v1/ingest/events", "GET", 405),
        ("/readyz", "DELETE", 405),
    ],
)
def test_what_is_not_there_is_told_in_json(here: Site, path: str, method: str, code: int) -> None:
    """Every refusal has what is wrong and what to do."""
    answer = here.ask(path, method)
    assert answer.code == code
    assert answer.document.keys() == {"error", "do"}


def test_a_failing_engine_shows_no_traceback(site: Make, caplog: pytest.LogCaptureFixture) -> None:
    """500 in plain words; the log has the rest."""

    def failing() -> list[dict[str, str]]:
        raise RuntimeError("the secret of the cellar")

    here = site(Engine(streams=failing))
    answer = here.ask("/api/v1/streams")
    here.server.stop()
    assert answer.code == 500
    assert answer.document["error"] == "The server failed."
    assert "cellar" in caplog.text


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["tls", "version", "words", "length"],
)
def test_what_is_not_http_is_refused(here: Site, request_: bytes) -> None:
    """400 and the end of the connection; the server goes on."""
    with closing(socket.create_connection(("127.0.0.1", here.server.port), timeout=30)) as connection:
        connection.sendall(request_)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"error", "do"}
    assert here.ask("/healthz").code == 200


HEADS = st.sampled_from(
    [
        b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"5\r\n{}\n{}\r\n",
        b"0\r\n\r\n",
        b"%2e%2e/%00",
        b"\x1f\x8b\x08\0",
    ]
)


@given(pieces=st.lists(HEADS | st.binary(max_size=20), max_size=10))
@settings(max_examples=60)
def test_no_bytes_bring_it_down(shared: Site, pieces: list[bytes]) -> None:
    """Whatever comes over a connection: an answer in HTTP or none, never a traceback or 500, and it lives."""
    connection = socket.create_connection(("127.0.0.1", shared.server.port), timeout=30)
    answer = b""
    with closing(connection), suppress(ConnectionError):
        connection.sendall(b"".join(pieces))
        connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(4096):
            answer += received
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b"Traceback" not in answer
    assert b" 500 " not in answer
    assert shared.ask("/healthz").code == 200


def test_an_endless_head_is_cut_off(here: Site) -> None:
    """More than 64 KB of headers are not kept in memory."""
    with closing(socket.create_connection(("127.0.0.1", here.server.port), timeout=30)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            connection.sendall(b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(10_000)))
    assert here.ask("/healthz").code == 200


@pytest.mark.parametrize(("begin", "asked_before"), [(b"", False), (b"GET / HT", False), (b"GET / HT", True)])
def test_a_connection_without_a_request_is_closed(begin: bytes, asked_before: bool) -> None:  # noqa: FBT001 - as pytest has it
    """Whoever does not say all of a request is not waited for, also after an earlier one."""
    server = serve(app({}), patience=Patience(head_s=0.2))
    try:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=30)) as connection:
            if asked_before:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            connection.sendall(begin)
            while connection.recv(4096):
                pass
    finally:
        server.stop()


def refused(here: Site) -> bool:
    """Whether nobody listens any more."""
    try:
        here.ask("/healthz")
    except ConnectionError:
        return True
    return False


def test_connections_are_bounded() -> None:
    """Those beyond the bound are closed at once; those before go on."""
    server = serve(app({}), patience=Patience(connections=5))
    with ExitStack() as held:
        held.callback(server.stop)
        opened = [
            held.enter_context(closing(socket.create_connection(("127.0.0.1", server.port), timeout=30)))
            for _ in range(6)
        ]
        assert opened[-1].recv(1) == b""
        opened[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert opened[0].recv(100).startswith(b"HTTP/1.1 200 ")


def test_stopping_answers_what_was_asked(site: Make) -> None:
    """A request on its way is finished; new ones find nobody."""
    here = site()
    with closing(socket.create_connection(("127.0.0.1", here.server.port), timeout=30)) as connection:
        connection.sendall(b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        assert here.ask("/healthz").code == 200
        stopping = threading.Thread(target=here.server.stop, args=(20,))
        stopping.start()
        while not refused(here):
            pass
        connection.sendall(b"}")
        answer = connection.recv(4096)
        stopping.join()
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert here.kept() == [b"{}"]


def test_stopping_does_not_wait_for_ever(site: Make) -> None:
    """What is not finished by the deadline is broken off, and not taken."""
    here = site(limits=IngestLimits(body_seconds=300))
    with closing(socket.create_connection(("127.0.0.1", here.server.port), timeout=30)) as connection:
        connection.sendall(b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        assert here.ask("/healthz").code == 200
        here.server.stop(1)
    assert here.kept() == []
