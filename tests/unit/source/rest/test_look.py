"""A look at a web API: how little is asked to know what is new, and what comes of every way in which it can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace

from hotfire.errors import Outage, UserError
from hotfire.rows import Position
from hotfire.source.rest.api import LeftAlone
from hotfire.source.rest.source import RestRead, RestSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.replica import Kind, Replica, replica
from hotfire.testing.web_api import DAY_NS, FLIGHTS, Asking, MemoryBook, flight, flights

LIST, LATEST, QUERY = "/v4/launches", "/v4/launches/latest", "/v4/launches/query"
HARMLESS: set[Kind] = {"500", "503", "half"}


@pytest.fixture
def server() -> Iterator[Replica]:
    with replica(flights(40)) as state:
        yield state


@pytest.fixture
def asking(server: Replica, tmp_path: Path) -> Asking:
    return Asking(server.url, tmp_path, clock=ManualClock(1_772_000_000_000_000_000))


class Stream:
    """What the engine does with a source, without the engine: each poll as a new process, and what was taken."""

    def __init__(self, asking: Asking, server: Replica) -> None:
        self.asking, self.server = asking, server
        self.after: Position = {}
        self.source: RestSource | None = None

    def poll(self, *, reconcile: bool = False, **changes: Any) -> tuple[str, int, list[str]]:
        """The plan, the number of requests, and the ids of what came; a deletion has a minus before it."""
        self.server.calls.clear()
        asking = replace(self.asking, changes={**self.asking.changes, **changes})
        self.source = asking.open(reconcile=reconcile)
        read = self.source.poll(self.after)
        ids = taken(read) if read else []
        book = asking.book
        assert isinstance(book, MemoryBook)
        if read:
            self.after = {**self.after, **{part.place.key: part.after() for part in read.span.parts}}
            self.source.acknowledge(self.after)
            book.stored |= {(one,) for one in ids if one[0] != "-"}
            book.stored -= {(one[1:],) for one in ids if one[0] == "-"}
            assert self.source.poll(self.after) is None
        elif book.kept:
            self.after = {book.kept.key: book.kept}
        assert "timeout" in changes or self.source.calls == len(self.server.calls)
        return self.source.looked.plan, self.source.calls, ids


def taken(read: RestRead) -> list[str]:
    gone = len(read.records.gone)
    ids = [str(msgspec.json.decode(line)["id"]) for line in read.records.lines]
    return [*ids[: len(ids) - gone], *(f"-{one}" for one in ids[len(ids) - gone :])]


@pytest.fixture
def stream(asking: Asking, server: Replica) -> Stream:
    return Stream(asking, server)


def test_a_list_once_and_then_as_little_as_tells(stream: Stream, server: Replica) -> None:
    """The list; the latest alone as long as it is the same; the latest and what came since, with the overlap."""
    plan, calls, ids = stream.poll()
    assert (plan, calls, len(ids)) == ("initial", 1, 41)
    assert [stream.poll() for _ in range(3)] == [("unchanged", 1, [])] * 3
    server.step(flights(42))
    plan, calls, ids = stream.poll()
    assert (plan, calls, [call.path for call in server.calls]) == ("incremental", 2, [LATEST, QUERY])
    assert ids == [f"f{number:03d}" for number in (*range(12, 42), 42)]
    assert stream.poll() == ("unchanged", 1, [])


def test_an_overlap_is_counted_from_the_last_record_that_was_taken(stream: Stream, server: Replica) -> None:
    """Not from what is still to come, whose date says nothing; also where no latest was asked for yet."""
    stream.poll()
    server.step(flights(50))
    _, _, ids = stream.poll(overlap="2 d")
    assert ids[0] == "f037"


def test_the_latest_itself_may_be_corrected(stream: Stream, server: Replica) -> None:
    """Its content is compared, not only its name."""
    stream.poll()
    stream.poll()
    server.step({"launches": [*map(flight, range(39)), flight(39, success=False)]})
    assert stream.poll(overlap="0 s") == ("incremental", 2, ["f039"])


def test_known_content_is_not_sent_again(stream: Stream, server: Replica) -> None:
    """The second time the server only says that the latest is as it was."""
    stream.poll()
    stream.poll()
    stream.poll()
    assert [call.status for call in server.calls] == [304]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_latest_that_fails_leads_to_the_list(stream: Stream, server: Replica, kind: Kind) -> None:
    """Whatever it is; but what was only short is asked again, and a server that wants to be left alone is."""
    stream.poll()
    server.step(flights(42))
    server.fail(kind, times=1, path=LATEST, seconds=1 if kind == "timeout" else None)
    plan, calls, ids = stream.poll(timeout="400 ms")
    if kind in HARMLESS | {"429", "timeout"}:
        assert (plan, calls, len(ids)) == ("incremental", 3, 31)
    elif kind == "schema":
        assert (plan, calls, len(ids)) == ("incremental", 2, 31)
    else:
        assert (plan, calls, len(ids)) == ("fallback", 2, 43)
        assert stream.source is not None
        assert stream.source.looked.why
    server.heal()
    assert stream.poll()[2] == []


def test_a_latest_that_fails_for_good_leads_to_the_list_each_time(stream: Stream, server: Replica) -> None:
    """Which is read once, and not again as long as it is the same."""
    stream.poll()
    server.fail("backwards", times=99, path=LATEST)
    assert [stream.poll()[:2] for _ in range(2)] == [("fallback", 2)] * 2
    server.step(flights(42))
    assert [len(stream.poll()[2]) for _ in range(3)] == [43, 0, 0]
    server.heal()
    assert stream.poll() == ("unchanged", 1, [])


def test_a_server_that_asks_to_be_left_alone_is(stream: Stream, server: Replica) -> None:
    """No list is asked for instead."""
    stream.poll()
    server.fail("429", times=9, seconds=600)
    with pytest.raises(LeftAlone) as told:
        stream.poll()
    assert (told.value.after_s, server.asked()) == (600, 1)


def test_a_query_that_does_not_find_the_latest_leads_to_the_list(stream: Stream, server: Replica) -> None:
    """The server's pages are not of one moment, or its query is broken."""
    stream.poll()
    server.step(flights(42))
    server.fail("empty", path=QUERY)
    plan, calls, ids = stream.poll()
    assert (plan, calls, len(ids)) == ("fallback", 3, 43)


@pytest.mark.parametrize("kind", ["500", "wrong_json", "half"])
def test_a_list_that_fails_is_an_outage(stream: Stream, server: Replica, kind: Kind) -> None:
    """Nothing was taken; the next poll goes on as if it had not been."""
    server.fail(kind, times=3)
    with pytest.raises(Outage):
        stream.poll()
    assert stream.poll()[:2] == ("initial", 1)


def test_an_empty_list_is_not_the_end_of_everything(stream: Stream, server: Replica) -> None:
    """Where records are stored it is an outage; where none are there is nothing yet."""
    server.step({"launches": []})
    assert stream.poll()[1:] == (1, [])
    server.step(flights(40))
    assert len(stream.poll()[2]) == 41
    server.fail("empty")
    with pytest.raises(Outage, match="lists nothing, and 41 records are stored: nothing was deleted"):
        stream.poll(reconcile=True)
    assert stream.poll() == ("unchanged", 1, [])


def test_a_full_comparison_finds_what_is_gone(stream: Stream, server: Replica) -> None:
    """Deletions come behind the records, each by its key; the next comparison finds none."""
    stream.poll()
    left = [one for one in flights(40)["launches"] if one["id"] not in {"f003", "f007"}]
    server.step({"launches": left})
    plan, calls, ids = stream.poll(reconcile=True)
    assert (plan, calls, len(ids), ids[-2:]) == ("reconcile", 1, 41, ["-f003", "-f007"])
    assert len(stream.poll(reconcile=True)[2]) == 39


def test_the_latest_may_be_gone(stream: Stream, server: Replica) -> None:
    """Until everything is compared it goes back, which makes no sense; after that the one before it is the latest."""
    stream.poll()
    stream.poll()
    server.step({"launches": [*map(flight, range(39))]})
    assert stream.poll()[0] == "fallback"
    assert stream.poll(reconcile=True)[2][-1:] == ["-f040"]
    assert stream.poll() == ("unchanged", 1, [])


def test_too_much_that_is_gone_is_not_deleted(stream: Stream, server: Replica) -> None:
    """More than a twentieth: the records are taken, nothing is deleted, and it is said until it is over."""
    stream.poll()
    server.step({"launches": flights(40)["launches"][3:]})
    _, _, ids = stream.poll(reconcile=True)
    assert (len(ids), [one for one in ids if one[0] == "-"]) == (38, [])
    assert stream.source is not None
    (problem,) = stream.source.problems
    assert "lacks 3 records that are stored" in problem.what
    _, _, ids = stream.poll(reconcile=True, max_deleted=0.1)
    assert ids[-3:] == ["-f000", "-f001", "-f002"]
    assert stream.source.problems == []


def test_a_list_with_records_without_a_key_is_not_complete(stream: Stream, server: Replica) -> None:
    """Who they are cannot be told, so nothing is deleted."""
    stream.poll()
    listed = flights(40)["launches"]
    server.step({"launches": [*listed[1:], {**listed[0], "id": None}]})
    assert [one for one in stream.poll(reconcile=True)[2] if one[0] == "-"] == []


def test_everything_is_compared_now_and_then(stream: Stream, server: Replica) -> None:
    """As often as the settings say, from the last time on."""
    stream.poll()
    clock = stream.asking.clock
    for _ in range(3):
        clock.sleep(3 * DAY_NS / 1e9)
        plan, _, _ = stream.poll()
    assert plan == "reconcile"
    assert stream.poll()[0] == "unchanged"


def test_another_contract_reads_everything_anew(stream: Stream, server: Replica) -> None:
    """It may have columns that were left out of the list before; after that the list is known again."""
    stream.poll()
    stream.asking = replace(stream.asking, contract=replace(FLIGHTS, hash="flights 2"))
    plan, calls, ids = stream.poll()
    assert (plan, calls, len(ids)) == ("reconcile", 1, 41)
    assert stream.poll() == ("unchanged", 1, [])


def test_an_instant_that_is_still_to_come_says_nothing(stream: Stream, server: Replica) -> None:
    """Also where no field says what is planned: the next query begins before now."""
    stream.poll(planned=None)
    server.step(flights(42))
    assert stream.poll(planned=None, overlap="2 d")[2][0] == "f037"
    server.step(flights(44))
    assert stream.poll(planned=None, overlap="2 d")[2][0] == "f039"


def test_without_a_latest_the_list_tells(stream: Stream, server: Replica) -> None:
    """It is taken only where it has changed; and sent only then."""
    plain = {"latest": None, "query": None, "since": None, "planned": None}
    assert stream.poll(**plain)[:2] == ("initial", 1)
    assert stream.poll(**plain) == ("reconcile", 1, [])
    assert [call.status for call in server.calls] == [304]
    server.step(flights(41))
    assert len(stream.poll(**plain)[2]) == 42


def test_without_a_query_what_is_newer_is_listed(stream: Stream, server: Replica) -> None:
    """The latest still tells whether anything is new."""
    stream.poll(query=None)
    server.step(flights(42))
    assert (stream.poll(query=None)[:2], server.asked(LIST)) == (("incremental", 2), 1)


def test_a_look_is_one_look(asking: Asking, server: Replica) -> None:
    """In batches of any size: the API is asked once, then there is nothing, and only then it is asked again."""
    source, after, sizes = asking.open(batch_rows=15), dict[str, Any](), []
    while read := source.poll(after):
        sizes.append(read.span.rows)
        after |= {part.place.key: part.after() for part in read.span.parts}
    assert (sizes, source.calls) == ([15, 15, 11], 1)
    assert (source.poll(after), source.calls) == (None, 2)


def test_answers_that_are_gone_are_asked_for_anew(asking: Asking, server: Replica, tmp_path: Path) -> None:
    """A look that was left in the middle, on another disk: the list is asked for again."""
    read = asking.open(batch_rows=15).poll({})
    assert read is not None
    after = {part.place.key: part.after() for part in read.span.parts}
    for path in tmp_path.iterdir():
        path.unlink()
    source = asking.open(batch_rows=100)
    again = source.poll(after)
    assert again is not None
    assert (again.span.rows, source.calls) == (41, 1)


def test_a_key_that_is_no_text_cannot_be_compared(stream: Stream, server: Replica) -> None:
    """A latest whose key is a number, where the contract has text, makes no sense."""
    stream.poll()
    server.step({"launches": [*map(flight, range(40)), flight(41, id=41)]})
    assert stream.poll()[0] == "fallback"


def test_a_list_of_pages_without_an_address_is_refused(stream: Stream, server: Replica) -> None:
    """Half of a list must not pass for the whole."""
    server.step({"launches": flights(40)["launches"]})
    with pytest.raises((UserError, Outage)):
        stream.poll(list=f"{LIST}/f001")
