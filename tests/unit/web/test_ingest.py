"""Pushing rows: what is answered with 202 is in the spool, everything else says what to do."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from hotfire.source.spool.frames import Frame
from hotfire.source.spool.writer import SpoolLimits
from hotfire.testing.site import NDJSON, Site
from hotfire.web.ingest import MEDIA, IngestLimits

Make = Callable[..., Site]
ROWS = b'{"n":1}\n{"n":2}\n'


def test_what_is_accepted_is_in_the_spool(here: Site) -> None:
    """The bytes as they were sent, and the answer counts them."""
    answer = here.post(ROWS)
    assert answer.code == 202
    assert answer.document == {"stream": "events", "accepted": {"bytes": 16, "lines": 2}}
    assert here.kept() == [ROWS]


@pytest.mark.parametrize("media", [*MEDIA, "Application/JSON; charset=UTF-8", "text/plain;charset=us-ascii"])
def test_content_types_of_json_are_taken(here: Site, media: str) -> None:
    """Those of JSON lines, and what curl says when it is told nothing."""
    assert here.post(ROWS, {"Content-Type": media}).code == 202


def test_a_missing_content_type_is_json(here: Site) -> None:
    """A client that says nothing is believed to send rows."""
    assert here.ask("/api/v1/ingest/events", "POST", ROWS).code == 202
    assert here.kept() == [ROWS]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/csv"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "gzip, gzip"},
    ],
)
def test_other_forms_are_refused(here: Site, headers: dict[str, str]) -> None:
    """415 says what is taken."""
    answer = here.post(ROWS, headers)
    assert answer.code == 415
    assert answer.document["error"].endswith("is not taken.")
    assert answer.document["do"]
    assert here.kept() == []


@pytest.mark.parametrize("body", [b"not json\n", b'{"n":', b"\xff\xfe\0", b"\0", b"]" * 50, b"[1,2", b"a" * 100_000])
def test_malformed_rows_are_taken_as_they_are(here: Site, body: bytes) -> None:
    """The contract judges them later, so that none vanishes."""
    assert here.post(body).code == 202
    assert here.kept() == [body]


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n"])
def test_an_empty_body_is_fine(here: Site, body: bytes) -> None:
    """Nothing is taken, and nothing was wrong."""
    answer = here.post(body)
    assert (answer.code, answer.document["accepted"]["bytes"]) == (202, len(body))
    assert here.kept() == []


@pytest.mark.parametrize(
    ("media", "body", "facts"),
    [
        ("application/json", b'[{"n":1},\n {"n":2}]', b'{"format":"json"}'),
        ("application/x-www-form-urlencoded", b' [{"n":1}]', b'{"format":"json"}'),
        ("application/json", b'{\n  "n": 1\n}\n', b'{"format":"json"}'),
        ("application/json", b'{"n": 1}', b""),
        ("application/json", b'{"n": 1}\n{"n": 2}\n', b""),
        ("application/json", b'{"n":\n{"n": 2}\n', b""),
        ("application/x-ndjson", b'{\n  "n": 1\n}\n', b""),
        ("application/json", b"", None),
    ],
)
def test_the_form_of_records_is_seen(here: Site, media: str, body: bytes, facts: bytes | None) -> None:
    """An array, and one record over several lines, are read as such; everything else line by line."""
    assert here.post(body, {"Content-Type": media}).code == 202
    assert [item.facts for item in here.spool.read(here.begin, 1000) if isinstance(item, Frame)] == (
        [] if facts is None else [facts]
    )


def test_a_byte_order_mark_is_no_row(here: Site) -> None:
    """It is dropped, so that the first row is sound."""
    here.post(b"\xef\xbb\xbf" + ROWS)
    assert here.kept() == [ROWS]


def test_unknown_streams_are_told_the_known_ones(here: Site) -> None:
    """404 names the streams that take rows."""
    answer = here.post(ROWS, stream="event")
    assert (answer.code, answer.document["do"]) == (404, "Streams that do: events.")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1001, 100_000_000])
def test_too_large_is_refused(site: Make, size: int, chunked: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """413, however large, whether or not the client says so before; the client can send it all and read the answer."""
    here = site(limits=IngestLimits(body_bytes=1000))
    block = b"x" * 100_000

    def blocks() -> Iterator[bytes]:
        for at in range(0, size, len(block)):
            yield block[: size - at]

    answer = here.post(blocks(), {} if chunked else {"Content-Length": str(size)})
    assert answer.code == 413
    assert answer.document["error"] == "The body has more than 1,000 bytes."
    assert here.kept() == []


def test_a_hundred_megabytes_are_taken_where_they_may(site: Make) -> None:
    """A large body arrives whole."""
    here = site(limits=IngestLimits(body_bytes=100_000_000))
    body = (b'{"n":1234567}\n' * 7_142_858)[:100_000_000]
    answer = here.post(body)
    assert answer.document["accepted"] == {"bytes": 100_000_000, "lines": 7_142_858}
    assert sum(map(len, here.kept())) == 100_000_000


@pytest.mark.parametrize("members", [1, 3])
def test_gzip_is_unpacked(here: Site, members: int) -> None:
    """Also of several members; the answer counts what was in it."""
    answer = here.post(gzip.compress(ROWS) * members, {"Content-Encoding": "gzip"})
    assert answer.document["accepted"] == {"bytes": 16 * members, "lines": 2 * members}
    assert here.kept() == [ROWS * members]


def test_large_gzip_is_unpacked(here: Site) -> None:
    """So is one that is unpacked beside the event loop."""
    body = b"".join(b'{"n":%d,"text":"%x"}\n' % (number, hash(str(number))) for number in range(100_000))
    assert here.post(gzip.compress(body), {"Content-Encoding": "gzip"}).code == 202
    assert here.kept() == [body]


def test_a_bomb_is_refused(site: Make) -> None:
    """A few bytes that hold 200 MB cost no more than the limit."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(200)) + packer.flush()
    here = site(limits=IngestLimits(body_bytes=2 << 20))
    for body in (bomb, gzip.compress(b"x" * (1 << 20)) * 3):
        assert here.post(body, {"Content-Encoding": "gzip"}).code == 413
    assert here.kept() == []


@pytest.mark.parametrize(
    "body",
    [
        ROWS,
        gzip.compress(ROWS)[:-1],
        gzip.compress(ROWS) + b"more",
        gzip.compress(ROWS)[:-5] + b"\0\0\0\0\0",
        gzip.compress(b"") * 2000,
    ],
    ids=["none", "short", "more", "checksum", "members"],
)
def test_damaged_gzip_is_refused(here: Site, body: bytes) -> None:
    """What cannot be unpacked has to be sent again."""
    answer = here.post(body, {"Content-Encoding": "gzip"})
    assert answer.code == 400
    assert "not sound gzip" in answer.document["error"]
    assert here.kept() == []


def test_a_full_spool_says_when_to_come_again(site: Make) -> None:
    """429 with Retry-After, before the body is read; when rows are committed there is room again."""
    here = site(spool_limits=SpoolLimits(segment_bytes=100, max_bytes=200))
    assert [here.post(b"x" * 68).code for _ in range(3)] == [202, 202, 429]
    answer = here.post(b"x" * 68)
    assert int(answer.headers["retry-after"]) > 0
    assert "Send it again" in answer.document["do"]
    here.spool.release(100)
    assert here.post(b"x" * 68).code == 202


def test_memory_is_bounded_over_all_requests(site: Make) -> None:
    """Where much is being received, the next is asked to come again; later it is taken."""
    here = site(limits=IngestLimits(open_bytes=1000))
    with begun(here, 900, b"x" * 800):
        assert here.post(b"x" * 100).code == 202
        assert here.post(b"x" * 400).code == 429
    assert until(lambda: here.post(b"x" * 400).code, 202)


def test_memory_counts_what_was_unpacked(site: Make) -> None:
    """Small bodies that hold much are no way around it."""
    here = site(limits=IngestLimits(open_bytes=1000))
    assert here.post(gzip.compress(b"x" * 990), {"Content-Encoding": "gzip"}).code == 429
    assert here.post(gzip.compress(b"x" * 900), {"Content-Encoding": "gzip"}).code == 202


def begun(here: Site, length: int, body: bytes) -> closing[socket.socket]:
    """A request that has not ended; the server has what was sent of it."""
    connection = socket.create_connection(("127.0.0.1", here.server.port), timeout=30)
    head = f"POST /api/v1/ingest/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + body)
    assert here.ask("/healthz").code == 200
    return closing(connection)


def until(ask: Callable[[], int], expected: int) -> bool:
    """Whether an answer is as expected, soon."""
    return any(ask() == expected for _ in range(100))


def test_slow_senders_are_given_up(site: Make) -> None:
    """A body that does not come in time is answered with 408, and the connection ends."""
    here = site(limits=IngestLimits(body_seconds=0.2))
    with begun(here, 100, b'{"n":1}\n') as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "The body was not there after 0.2 s."
    assert here.kept() == []


def test_a_body_that_breaks_off_is_not_taken(here: Site) -> None:
    """A sender that goes away in the middle leaves nothing behind."""
    with begun(here, 100, ROWS):
        pass
    assert here.post(ROWS).code == 202
    assert here.kept() == [ROWS]


def test_bodies_that_ask_first_are_not_sent_in_vain(site: Make) -> None:
    """`Expect: 100-continue`: a refusal comes before the body, and ends the connection."""
    here = site(limits=IngestLimits(body_bytes=10))
    with closing(socket.create_connection(("127.0.0.1", here.server.port), timeout=30)) as connection:
        connection.sendall(
            b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_connection_serves_again_after_a_refusal(site: Make) -> None:
    """What is left of a refused body is not taken for the next request."""
    here = site(limits=IngestLimits(body_bytes=1000))
    with closing(http.client.HTTPConnection("127.0.0.1", here.server.port, timeout=30)) as connection:
        for body, code in ((b"x" * 300_000, 413), (ROWS, 202)):
            connection.request("POST", "/api/v1/ingest/events", body, NDJSON)
            response = connection.getresponse()
            response.read()
            assert response.status == code
    assert here.kept() == [ROWS]


def test_clients_at_once_share_fsyncs(site: Make) -> None:
    """Eight connections with 50 rows each: each row is there once, and there were fewer fsyncs than requests."""
    here = site()

    def client(name: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", here.server.port, timeout=30)) as connection:
            for number in range(50):
                connection.request("POST", "/api/v1/ingest/events", b"%d/%d" % (name, number), NDJSON)
                response = connection.getresponse()
                assert (response.status, response.read()[:1]) == (202, b"{")

    threads = [threading.Thread(target=client, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(here.kept()) == sorted(b"%d/%d" % (name, number) for name in range(8) for number in range(50))
    assert here.spool.state.payloads == 400
    assert here.spool.state.syncs < 400
