"""Notices by HTTP, to a real server on loopback."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from hotfire.alarm.notices import Notice
from hotfire.errors import Outage, UserError
from hotfire.notify.webhook import LONGEST_REST_S, Webhook
from hotfire.testing.clocks import ManualClock
from hotfire.testing.outbox_suite import notice
from hotfire.testing.receiver import Receiver, Reply, receiver

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "how-to" / "be-told-of-alarms.md").read_text("utf-8")
NOTICE = notice(1)
WORD = "swordfish"

Posted = Callable[..., tuple[Webhook, Receiver]]


@pytest.fixture
def posted(clock: ManualClock) -> Iterator[Posted]:
    """A webhook, and the server that it posts to, which answers as told."""
    with ExitStack() as ends:

        def made(*replies: Reply, path: str = "", **named: Any) -> tuple[Webhook, Receiver]:
            server = ends.enter_context(receiver(*replies))
            webhook = Webhook("ops", server.url + path, clock, **named)
            return ends.enter_context(closing(webhook)), server

        yield made


def refused(webhook: Webhook, one: Notice = NOTICE) -> Outage | UserError:
    with pytest.raises((Outage, UserError)) as caught:
        webhook.send(one)
    assert isinstance(caught.value, Outage | UserError)
    return caught.value


def test_a_notice_is_posted_as_it_was_committed(posted: Posted) -> None:
    """Byte by byte, with its type, its key, and no signature where there is no secret."""
    webhook, server = posted()
    webhook.send(NOTICE)
    (request,) = server.requests
    assert (request.body, request.path) == (NOTICE.body.encode(), "/hooks/s3cr3t-path")
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["idempotency-key"] == NOTICE.key == request.event["id"]
    assert "hotfire-signature" not in request.headers


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_2xx_is_taken(posted: Posted, code: int) -> None:
    """Whatever else the answer says."""
    webhook, server = posted(Reply(code, body=b"x" * (100 if code != 204 else 0)))
    webhook.send(NOTICE)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 413, 415, 422, 451])
def test_4xx_is_final(posted: Posted, code: int) -> None:
    """The same again would be refused again; a person has to look."""
    webhook, _ = posted(Reply(code, body=b"no such\nhook"))
    error = refused(webhook)
    assert isinstance(error, UserError)
    assert error.what.startswith(f"notify.ops answers {code} ")
    assert error.what.endswith("no such hook.")
    assert "notify.ops" in error.do


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308, 408, 429, 500, 502, 503, 504, 599])
def test_everything_else_may_work_later(posted: Posted, code: int) -> None:
    """After the same request had no effect, the next one is taken."""
    webhook, server = posted(Reply(code))
    assert isinstance(refused(webhook), Outage)
    webhook.send(NOTICE)
    assert server.keys() == [NOTICE.key] * 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(posted: Posted, code: int) -> None:
    """What one address is told is told to no other; the message says what to do, and not to where it leads."""
    _, other = posted()
    webhook, _ = posted(Reply(code, {"Location": other.url}))
    error = refused(webhook)
    assert other.requests == []
    assert "Redirects are not followed" in error.do
    assert "s3cr3t" not in error.what + error.do


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(drop=True)], ids=["hangs", "drops"])
def test_no_answer_may_be_one_later(posted: Posted, reply: Reply) -> None:
    """A server that says nothing in time, or closes the connection."""
    webhook, _ = posted(reply, timeout_s=0.2)
    error = refused(webhook)
    assert isinstance(error, Outage)
    assert "cannot be reached" in error.what
    webhook.send(NOTICE)


def test_nobody_there_may_be_somebody_later(clock: ManualClock) -> None:
    """A port that nobody listens on; a name that cannot be one is a mistake."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with closing(Webhook("ops", f"http://127.0.0.1:{port}/s3cr3t", clock)) as webhook:
        error = refused(webhook)
    assert isinstance(error, Outage)
    assert "s3cr3t" not in error.what
    with pytest.raises(UserError, match=r"The url of notify\.ops is none") as caught:
        Webhook("ops", "http://[::s3cr3t/hook", clock)
    assert "s3cr3t" not in caught.value.what


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("999999999", LONGEST_REST_S),
        ("99999999999999999999", 0),
        ("-5", 0),
        ("1e3", 0),
        ("soon", 0),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_heard(posted: Posted, code: int, said: str, seconds: float) -> None:
    """Seconds, within reason; what is no number of seconds says nothing."""
    webhook, _ = posted(Reply(code, {"Retry-After": said}))
    error = refused(webhook)
    assert isinstance(error, Outage)
    assert error.after_s == seconds


@pytest.mark.parametrize(("ahead_s", "seconds"), [(90, 90), (-90, 0), (10**6, LONGEST_REST_S)])
def test_retry_after_may_be_a_date(posted: Posted, clock: ManualClock, ahead_s: int, seconds: float) -> None:
    """By the clock that was handed in."""
    date = formatdate(clock.now_ns() / 1e9 + ahead_s, usegmt=True)
    webhook, _ = posted(Reply(503, {"Retry-After": date}))
    error = refused(webhook)
    assert isinstance(error, Outage)
    assert error.after_s == seconds


def test_of_an_answer_little_is_read(posted: Posted) -> None:
    """A gigabyte of it costs nothing, signs that move the cursor are left out, and the secret path is not repeated."""
    body = b"Cannot POST /hooks/s3cr3t-path\x1b[31m " + b"x" * (1 << 26)
    webhook, _ = posted(Reply(500, body=body))
    error = refused(webhook)
    assert len(error.what) < 400
    assert "\x1b" not in error.what
    assert "s3cr3t" not in error.what
    assert "Cannot POST" in error.what


def test_a_signature_can_be_verified_as_the_page_says(posted: Posted, clock: ManualClock) -> None:
    """The function in the docs takes what was sent, and nothing that was altered, signed otherwise, or is old."""
    webhook, server = posted(secret=WORD)
    webhook.send(NOTICE)
    (request,) = server.requests
    header = request.headers["hotfire-signature"]
    (example,) = re.findall(r"^```python verify.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {"__name__": "verify"}
    exec(example, found)  # noqa: S102 - the page's own words
    is_genuine: Callable[..., bool] = found["is_genuine"]
    now_s = clock.now_ns() / 1e9
    assert is_genuine(WORD, header, request.body, now_s)
    assert is_genuine(WORD, header, request.body, now_s + 299)
    assert not is_genuine(WORD, header, request.body, now_s + 301)
    assert not is_genuine("catfish", header, request.body, now_s)
    assert not is_genuine(WORD, header, request.body + b" ", now_s)
    assert not is_genuine(WORD, header.replace("t=1", "t=2"), request.body, now_s)
    assert not is_genuine(WORD, "nonsense", request.body, now_s)


def test_each_attempt_is_signed_anew(posted: Posted, clock: ManualClock) -> None:
    """The key stays the same; the instant in the signature is that of the attempt."""
    webhook, server = posted(Reply(500), secret=WORD)
    refused(webhook)
    clock.sleep(600)
    webhook.send(NOTICE)
    first, second = (request.headers["hotfire-signature"] for request in server.requests)
    assert server.keys() == [NOTICE.key] * 2
    instants = [int(re.match(r"t=(\d+),v1=[0-9a-f]{64}$", one)[1]) for one in (first, second)]
    assert instants[1] - instants[0] == 600
