"""The replica of the SpaceX API answers as the API does, steps on, and fails as it is told to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hotfire.testing.replica import Kind, Replica, replica

LAUNCHES: list[dict[str, Any]] = [
    {"id": "c", "name": "Gamma", "flight_number": 3, "date_utc": "2022-12-01T00:00:00.000Z", "success": None,
     "upcoming": True, "payloads": [], "cores": [{"core": None}]},
    {"id": "a", "name": "Alpha", "flight_number": 1, "date_utc": "2022-01-01T00:00:00.000Z", "success": False,
     "upcoming": False, "payloads": ["p1", "p2"], "cores": [{"core": "k1"}, {"core": "k2"}]},
    {"id": "b", "name": "Beta", "flight_number": 2, "date_utc": "2022-06-01T00:00:00.000Z", "success": True,
     "upcoming": False, "payloads": ["p2"], "cores": [{"core": "k1"}]},
]  # fmt: skip
SNAPSHOT = {"launches": LAUNCHES, "rockets": [{"id": "r", "name": "Falcon"}]}


@pytest.fixture
def server() -> Iterator[Replica]:
    with replica(SNAPSHOT, {"launches": LAUNCHES[1:]}) as state:
        yield state


@pytest.fixture
def client(server: Replica) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=5) as found:
        yield found


def query(client: httpx.Client, query: Any = None, **options: Any) -> dict[str, Any]:
    answer = client.post("/v4/launches/query", json={"query": query or {}, "options": options})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(client: httpx.Client, asked: Any, **options: Any) -> list[str]:
    return [one["id"] for one in query(client, asked, **options)["docs"]]


def test_it_answers_as_the_api_does(client: httpx.Client) -> None:
    """Launches come by flight number, the latest is the last one that is over, the rest is found by id or not at all."""
    assert [one["id"] for one in client.get("/v4/launches").json()] == ["a", "b", "c"]
    assert client.get("/v4/launches/latest").json() == LAUNCHES[2]
    assert client.get("/v4/launches/c").json() == LAUNCHES[0]
    assert client.get("/v4/rockets").json() == SNAPSHOT["rockets"]
    assert [client.get(f"/v4/{path}").status_code for path in ("payloads", "launches/z", "rockets/latest")] == [404] * 3


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"date_utc": {"$gte": "2022-01-01T00:00:00.000Z", "$lt": "2022-12-01T00:00:00.000Z"}}, "ab"),
        ({"flight_number": {"$gt": 1, "$lte": 3}}, "bc"),
        ({"date_utc": {"$gte": 1}}, ""),
        ({"success": {"$gte": False}}, "ab"),
        ({"success": None}, "c"),
        ({"success": {"$ne": None}}, "ab"),
        ({"flight_number": True}, ""),
        ({"_id": {"$in": ["a", "z"]}}, "a"),
        ({"id": {"$nin": ["a"]}}, "bc"),
        ({"payloads": "p2"}, "ab"),
        ({"payloads": ["p2"]}, "b"),
        ({"cores.core": "k2"}, "a"),
        ({"cores": {"$exists": False}}, ""),
        ({"name": {"$regex": "^[AB]"}}, "ab"),
        ({"flight_number": {"$not": {"$gt": 1}}}, "a"),
        ({"$or": [{"upcoming": True}, {"success": False}]}, "ac"),
        ({"$nor": [{"upcoming": True}, {"success": False}]}, "b"),
    ],
)
def test_queries_find_what_mongodb_finds(client: httpx.Client, asked: Any, found: str) -> None:
    """Operators hold of values of one kind, of null as of what is not there, and of a list where of one element."""
    assert ids(client, asked, sort="flight_number") == list(found)


def test_what_is_found_is_sorted_chosen_and_paged(client: httpx.Client) -> None:
    """Ten a page unless asked otherwise; the answer says where it stands among all pages."""
    assert ids(client, {}, sort="-date_utc") == ids(client, {}, sort={"date_utc": "desc"}) == ["c", "b", "a"]
    assert query(client, {"id": "a"}, select="name -_id")["docs"] == [{"id": "a", "name": "Alpha"}]
    assert "cores" not in query(client, select={"cores": 0})["docs"][0]
    middle = query(client, sort="flight_number", limit=1, page=2)
    assert [one["id"] for one in middle.pop("docs")] == ["b"]
    assert middle == {
        "totalDocs": 3, "limit": 1, "totalPages": 3, "page": 2, "pagingCounter": 2,
        "hasPrevPage": True, "hasNextPage": True, "prevPage": 1, "nextPage": 3,
    }  # fmt: skip
    whole = query(client, pagination=False)
    assert (len(whole["docs"]), whole["totalPages"], whole["limit"], whole["nextPage"]) == (3, 1, 3, None)
    assert query(client)["limit"] == 10
    assert client.post("/v4/launches/query", json={"query": {"id": {"$near": 1}}}).status_code == 400


def test_an_answer_already_known_is_not_sent_again(client: httpx.Client, server: Replica) -> None:
    """The tag of an answer stands for its body until the next step."""
    first = client.get("/v4/launches")
    again = client.get("/v4/launches", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    server.step()
    assert client.get("/v4/launches", headers={"If-None-Match": first.headers["etag"]}).json() == LAUNCHES[1:]


@pytest.mark.parametrize("kind", ["500", "503", "429"])
def test_codes_are_sent_as_often_as_asked(client: httpx.Client, server: Replica, kind: Kind) -> None:
    """Of one path only, where one is named; then all is well again."""
    server.fail(kind, times=2, path="/v4/launches/latest", seconds=3)
    assert client.get("/v4/launches").status_code == 200
    spoilt = [client.get("/v4/launches/latest") for _ in range(3)]
    assert [one.status_code for one in spoilt] == [int(kind), int(kind), 200]
    assert spoilt[0].headers.get("retry-after") == (None if kind == "500" else "3")
    assert [call.fault for call in server.calls] == [None, kind, kind, None]
    assert (server.asked(), server.asked("/v4/launches/latest")) == (4, 3)


def test_bodies_are_spoilt_as_asked(client: httpx.Client, server: Replica) -> None:
    """Half a body, no JSON, other names, nothing at all, and a latest from long ago."""
    server.fail("half")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get("/v4/launches")
    server.fail("wrong_json")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(client.get("/v4/launches").content)
    server.fail("schema")
    assert client.get("/v4/rockets").json() == [{"id": "r", "title": "Falcon"}]
    server.fail("empty", times=3)
    assert client.get("/v4/launches").json() == query(client)["docs"] == []
    assert client.get("/v4/launches/latest").status_code == 404
    server.fail("backwards")
    assert client.get("/v4/launches/latest").json()["id"] == "a"
    assert client.get("/v4/launches/latest").json()["id"] == "b"


def test_it_can_keep_silent(client: httpx.Client, server: Replica) -> None:
    """A time-out is the client's: the server says nothing for as long as asked."""
    server.fail("timeout", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/v4/launches", timeout=0.1)
    server.fail("timeout")
    server.heal()
    assert client.get("/v4/launches").status_code == 200


def test_it_is_a_command_and_takes_orders(tmp_path: Path) -> None:
    """Folders on the command line are shown in turn; steps and faults are asked for by HTTP."""
    for name, launches in (("now", LAUNCHES), ("later", LAUNCHES[1:])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "launches.json").write_bytes(msgspec.json.encode(launches))
    command = [sys.executable, "-m", "hotfire.testing.replica", str(tmp_path / "now"), str(tmp_path / "later")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=5) as client:
                assert len(client.get("/v4/launches").json()) == 3
                assert client.post("/replica/step").status_code == 204
                assert len(client.get("/v4/launches").json()) == 2
                assert client.post("/replica/step").status_code == 400
                assert client.post("/replica/step", json={"folder": str(tmp_path / "now")}).status_code == 204
                assert client.post("/replica/fault", json={"kind": "500"}).status_code == 204
                assert client.post("/replica/fault", json={"kind": "503", "tmies": 1}).status_code == 400
                assert client.get("/v4/launches").status_code == 500
                assert [call["status"] for call in client.get("/replica/calls").json()] == [200, 200, 500]
        finally:
            process.terminate()
