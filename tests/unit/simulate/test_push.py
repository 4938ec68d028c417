"""Pushing to a server: in order, in requests of bounded size, again until they are acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hotfire.errors import Outage, UserError
from hotfire.simulate.push import REQUEST_BYTES, pushing
from hotfire.testing.site import site
from hotfire.web.access import Role, access

LINES = b"".join(b'{"n":%d,"text":"%s"}\n' % (number, b"x" * 100) for number in range(20_000))
COUNT = 20_000


def never() -> bool:
    return False


@dataclass
class Script:
    """A server that answers as it is told: (status, headers) in turn, then 202; None breaks the connection."""

    answers: list[tuple[int, dict[str, str]] | None]
    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[Script]:
        script = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                script.paths.add(self.path)
                answer = script.answers.pop(0) if script.answers else (202, {})
                if answer is None:
                    self.close_connection = True
                    return
                if answer[0] == 202:
                    script.bodies.append(body)
                self.send_response(answer[0])
                for name, value in {"content-length": "0", **answer[1]}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        with HTTPServer(("127.0.0.1", 0), Answers) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def test_a_server_has_what_was_acknowledged(tmp_path: Path) -> None:
    """All lines are in the spool, in order, in requests of at most 512 KB, each of whole lines."""
    with site(tmp_path) as one, pushing(one.server.url, "events", None, never) as target:
        assert target.take(LINES, COUNT)
        kept = one.kept()
    assert b"".join(kept) == LINES
    assert target.rows == COUNT
    assert len(kept) == -(-len(LINES) // REQUEST_BYTES)
    assert all(len(body) <= REQUEST_BYTES and body.endswith(b"\n") for body in kept)


def test_a_line_longer_than_a_request_goes_alone() -> None:
    """It is not cut."""
    long = b'{"text":"%s"}\n' % (b"y" * REQUEST_BYTES)
    with Script([]).running() as script, pushing(script.url, "events", None, never) as target:
        assert target.take(b'{"n":1}\n' + long + b'{"n":2}\n', 3)
    assert script.bodies == [b'{"n":1}\n', long, b'{"n":2}\n']
    assert script.paths == {"/api/v1/ingest/events"}
    assert target.rows == 3


@pytest.mark.parametrize(
    "answers",
    [
        [(429, {"Retry-After": "0.05"}), (429, {"Retry-After": "0.05"})],
        [(503, {"Retry-After": "0.05"})],
        [(503, {}), (500, {})],
        [None, None],
    ],
    ids=["429", "503", "no Retry-After", "broken connection"],
)
def test_what_is_not_acknowledged_is_sent_again(
    answers: list[tuple[int, dict[str, str]] | None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Busy, failing or gone: the same lines come again, and count once. Standard output is the command's own."""
    with Script(list(answers)).running() as script, pushing(script.url, "events", None, never) as target:
        assert target.take(b'{"n":1}\n{"n":2}\n', 2)
        assert target.take(b'{"n":3}\n', 1)
    assert script.bodies == [b'{"n":1}\n{"n":2}\n', b'{"n":3}\n']
    assert target.rows == 3
    assert not capfd.readouterr().out


def test_it_is_given_up_after_a_while() -> None:
    """An outage that lasts says where, and how much was acknowledged."""
    with Script([(202, {}), *[(503, {})] * 50]).running() as script:
        with pushing(script.url, "events", None, never, patience_s=0.2) as target:
            assert target.take(b'{"n":1}\n', 1)
            with pytest.raises(Outage, match=r"took nothing for 0\.2 s: 503") as caught:
                target.take(b'{"n":2}\n', 1)
        assert caught.value.do.startswith("1 rows were acknowledged")
    with pushing(script.url, "events", None, never, patience_s=0.2) as target, pytest.raises(Outage):
        target.take(b'{"n":1}\n', 1)


def test_told_to_stop_it_does_not_try_again() -> None:
    """What was not acknowledged is not counted, and it is no error."""
    with Script([(202, {}), *[(503, {})] * 50]).running() as script:
        with pushing(script.url, "events", None, lambda: len(script.answers) < 49) as target:
            assert target.take(b'{"n":1}\n', 1)
            assert not target.take(b'{"n":2}\n', 1)
        assert target.rows == 1


def test_a_token_is_shown(tmp_path: Path) -> None:
    """With the right one rows are taken; without one the message says where to put it."""
    guarded = access("127.0.0.1", {Role.OPERATOR: ["right"]})
    with site(tmp_path, access=guarded) as one:
        with pushing(one.server.url, "events", "right", never) as target:
            assert target.take(b'{"n":1}\n', 1)
        for token in (None, "wrong"):
            pushed = pushing(one.server.url, "events", token, never)
            with pushed as target, pytest.raises(UserError, match="does not take the rows: 401") as caught:
                target.take(b'{"n":2}\n', 1)
            assert "HOTFIRE_TOKEN" in caught.value.do


def test_what_will_never_be_taken_is_an_error(tmp_path: Path) -> None:
    """An unknown stream: the server's own words, and its advice."""
    with site(tmp_path) as one, pushing(one.server.url, "evnts", None, never) as target:
        with pytest.raises(UserError, match="404 No stream 'evnts'") as caught:
            target.take(b'{"n":1}\n', 1)
        assert caught.value.do == "Streams that do: events."


def test_an_address_may_be_whole(tmp_path: Path) -> None:
    """With the path of the endpoint it is taken as it is; what is no address is refused."""
    with site(tmp_path) as one, pushing(f"{one.server.url}/api/v1/ingest/events", "other", None, never) as target:
        assert target.take(b'{"n":1}\n', 1)


@pytest.mark.parametrize("url", ["http://", "http://host:port", "http://host:99999"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """At once, with the form of one."""
    with pytest.raises(UserError, match="is no address") as caught, pushing(url, "events", None, never):
        pass
    assert "http://127.0.0.1:8440" in caught.value.do
