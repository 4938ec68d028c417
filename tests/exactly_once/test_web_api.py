"""Records of a web API: whichever step a process dies at, each change is stored once, and each deletion."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hotfire.engine.loop import run
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.replica import Replica, replica
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Stand
from hotfire.testing.web_api import DAY_NS, FLIGHTS, Asking, flight, flights
from hotfire.workspace.web_api import StoreBook

FIRST = flights(40)
SECOND = {"launches": [*map(flight, range(41)), flight(41, name=None)]}
THIRD = {"launches": [flight(0, success=False), *map(flight, [*range(1, 7), *range(9, 41)])]}
EFFECTS = {"store.open", "store.plan", "store.commit", "lake.append", "answers.keep", "book.keep", "source.acknowledge"}
START_NS = 1_772_000_000_000_000_000
Moment = tuple[int, str, int, bool]


class Story:
    """A stream that polls a server: its first list, what is newer, a full comparison a week later, and nothing new.

    Args:
        fuses: to die at, by number of the poll; after a death the next process polls again.
    """

    def __init__(self, server: Replica, stand: Stand, batch_rows: int = 100_000) -> None:
        self._server, self._stand, self._batch_rows = server, stand, batch_rows
        self.traces: list[list[tuple[str, int]]] = []

    def told(self, **fuses: Fuse) -> int:
        """Live through it; how many processes died."""
        deaths = 0
        for number, snapshot in enumerate((FIRST, SECOND, THIRD, THIRD)):
            self._server.step(snapshot)
            if number == 2:
                self._stand.clock.sleep(8 * DAY_NS / 1e9)
            fuse = fuses.get(f"poll{number}", Fuse())
            try:
                self._run(fuse)
            except Crash:
                deaths += 1
                self._run(Fuse())
            self.traces.append(fuse.trace)
        return deaths

    def _run(self, fuse: Fuse) -> None:
        with ExitStack() as opened:
            store = self._stand.store
            book = StoreBook(lambda: closing(opened, store()), FLIGHTS, durable=True)
            asking = Asking(self._server.url, self._stand.folder / "raw", book, self._stand.clock)
            self._stand.run(asking.open(self._batch_rows, fuse=fuse), fuse)


def closing(opened: ExitStack, store: Any) -> Any:
    opened.callback(store.close)
    return store


@pytest.fixture
def server() -> Iterator[Replica]:
    with replica(FIRST) as state:
        yield state


def stand(folder: Path, url: str = "") -> Stand:
    return Stand(folder, FLIGHTS, ManualClock(START_NS), url=url)


def moments(traces: list[list[tuple[str, int]]]) -> Iterator[Moment]:
    """Before every call of each poll, and after those that change anything."""
    for number, trace in enumerate(traces):
        for point, call in trace:
            if call == 1:
                yield number, point, call, False
            if point in EFFECTS:
                yield number, point, call, True


def test_a_crash_at_any_step_changes_nothing(bench: Path, server: Replica) -> None:
    """Digest, fates, history and the lake's rows equal those of an undisturbed run; every batch can be read again."""
    calm = Story(server, stand(bench / "calm"))
    calm.told()
    came, arrival = stand(bench / "calm").came(), stand(bench / "calm").arrival()
    assert (came.totals["received"], came.totals["stored"], came.totals["quarantined"]) == (112, 45, 1)
    steps = list(moments(calm.traces))
    assert {point for _, point, _, _ in steps} >= EFFECTS | {"api.get", "api.post", "book.keys", "source.poll"}
    for at, (number, point, call, after) in enumerate(steps):
        own = stand(bench / f"{at}")
        assert Story(server, own).told(**{f"poll{number}": Fuse(point, call, after)}) == 1
        assert (number, point, call, after, own.came()) == (number, point, call, after, came)
        assert own.arrival() == arrival
        assert own.balance().differences == []


def test_a_replay_gives_the_same(bench: Path, server: Replica) -> None:
    """Deletions among versions, and records that come back after them: the shadow ledger's digest is the live one."""
    own = stand(bench / "calm")
    Story(server, own).told()
    with ExitStack() as opened:
        book = StoreBook(lambda: closing(opened, own.store()), FLIGHTS, durable=True)
        server.step(FIRST)
        own.run(Asking(server.url, own.folder / "raw", book, own.clock).open(reconcile=True))
    replayed = own.replay()
    assert (replayed.digest, replayed.difference) == (own.digest(), None)
    assert replayed.counts.stored == own.came().totals["stored"] > 45


def test_a_look_in_several_batches_is_one_look(bench: Path, server: Replica) -> None:
    """Also where a process dies between them: the answers are gone on with, and nothing is asked again."""
    chance = random.Random(5)
    whole, cut = Story(server, stand(bench / "whole")), Story(server, stand(bench / "cut"), 7)
    whole.told()
    cut.told()
    came = stand(bench / "cut").came()
    assert came.digest == stand(bench / "whole").came().digest
    assert came.totals == stand(bench / "whole").came().totals
    for number, point, call, after in chance.sample(list(moments(cut.traces)), 25):
        own = stand(bench / f"{number} {point} {call} {after}")
        Story(server, own, 7).told(**{f"poll{number}": Fuse(point, call, after)})
        assert (number, point, call, after, own.came()) == (number, point, call, after, came)


def test_postgresql_holds_the_same(bench: Path, server: Replica, new_store_url: Callable[[], str]) -> None:
    """Undisturbed, and after a death at each step of the store."""
    calm = Story(server, stand(bench / "calm"))
    calm.told()
    came = stand(bench / "calm").came()
    steps = [one for one in moments(calm.traces) if one[1] in {"store.plan", "store.commit", "book.keep"}]
    for at, (number, point, call, after) in enumerate(random.Random(2).sample(steps, 5)):
        own = stand(bench / f"{at}", new_store_url())
        Story(server, own).told(**{f"poll{number}": Fuse(point, call, after)})
        assert (number, point, call, after, own.came()) == (number, point, call, after, came)


def rows(own: Stand) -> dict[str, int]:
    """How many rows each table has."""
    with ExitStack() as opened:
        store = closing(opened, own.store())
        return {name: store.table(name).height for name in store.tables()}


def test_a_thousand_unchanged_polls_add_no_row(bench: Path, server: Replica) -> None:
    """Each asks once, and writes one row in place."""
    own = stand(bench / "calm")
    Story(server, own).told()
    before, polls = rows(own), iter(range(1000))
    with ExitStack() as opened:
        book = StoreBook(lambda: closing(opened, own.store()), FLIGHTS, durable=True)
        source = Asking(server.url, own.folder / "raw", book, own.clock).open()
        run(own.flow(source, closing(opened, own.store())), go_on=lambda _: next(polls, None) is not None)
        assert source.calls == 1001
    assert rows(own) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_same_load_in_any_order_has_the_same_digest(
    bench: Path, server: Replica, kind: str, new_store_url: Callable[[], str]
) -> None:
    """Ten times, the records each time in another order, in batches of another size."""
    chance, digests = random.Random(1), set()
    for number in range(10):
        listed = list(SECOND["launches"])
        chance.shuffle(listed)
        server.step({"rockets": listed})
        own = stand(bench / f"{number}", new_store_url() if kind == "postgresql" else "")
        only = {"list": "/v4/rockets", "latest": None, "query": None}
        with ExitStack() as opened:
            book = StoreBook(lambda own=own, opened=opened: closing(opened, own.store()), FLIGHTS, durable=True)
            asking = Asking(server.url, own.folder / "raw", book, own.clock, changes=only)
            for _ in range(2):
                own.run(asking.open(chance.choice([5, 17, 1000])))
        digests.add(own.digest())
    assert len(digests) == 1
