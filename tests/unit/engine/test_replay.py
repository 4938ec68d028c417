"""What a replay reads, what it notices, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hotfire.contract.model import Column, Contract
from hotfire.engine.past import Recorded
from hotfire.engine.replay import replay
from hotfire.engine.watch import Ruleset
from hotfire.store.sqlite import SqliteStore
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("x", "number", maximum=100),
        Column("y", "number", maximum=9, out_of_range="null"),
    ),
    asset="a",
    time="t",
    hash="1",
)
ITEMS: list[Any] = [{"a": "AB"[t % 2], "t": t, "x": t / 3, "y": t} for t in range(12)]
ITEMS += [{"a": "A", "t": 3, "x": 9.5}, {"a": "A", "t": 40, "x": 900}, b"{", ITEMS[0], {"a": "A", "t": 2, "x": 1}]
SECOND = 10**9


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture
def stand(bench: Path) -> Stand:
    """Stored, late, corrected, conflicting and broken rows, in batches of 5."""
    stand = Stand(bench, CONTRACT)
    stand.run(ListSource(ITEMS, 5))
    return stand


def tamper(stand: Stand, sql: str) -> None:
    with closing(SqliteConnection(stand.folder / "hotfire.db")) as connection:
        connection.query(sql)
        connection.commit()


def test_a_stream_kept_only_in_the_lake_is_replayed_from_there(bench: Path) -> None:
    """The shadow is a store of rows all the same, and its digest the stream's."""
    stand = Stand(bench, CONTRACT, lake_only=True)
    stand.run(ListSource(ITEMS, 5))
    again = stand.replay()
    assert (again.equal, again.digest, again.counts.stored) == (True, stand.digest(), 13)


def test_what_retention_took_from_the_store_is_read_from_the_lake(bench: Path) -> None:
    """Batches that are whole in the store, in part, and not at all: the replay is of all rows."""
    items = [{**item, "t": item["t"] * 400} if isinstance(item, dict) else item for item in ITEMS]
    whole, stand = Stand(bench / "whole", CONTRACT), Stand(bench / "cut", CONTRACT, retention_ns=SECOND)
    for one in (whole, stand):
        one.run(ListSource(items, 5))
    with closing(stand.store()) as store:
        ledger = store.query("ledger", stream="s", shard="live", after=0, page=9).select("stored", "cleared").rows()
    assert ledger == [(5, 5), (5, 3), (3, 1), (0, 0)]
    again = stand.replay()
    assert (again.equal, again.digest, again.live) == (True, whole.digest(), whole.digest())


def test_a_replay_over_postgresql_is_equal(bench: Path, new_store_url: Callable[[], str]) -> None:
    """The shadow is SQLite, whatever the store is: the same rows come out, bit by bit."""
    stand = Stand(bench, CONTRACT, url=new_store_url())
    stand.run(ListSource(ITEMS, 5))
    again, other = stand.replay(), Stand(bench / "other", CONTRACT)
    other.run(ListSource(ITEMS, 5))
    assert (again.equal, again.digest) == (True, other.digest())


@pytest.mark.parametrize(
    ("sql", "where", "what"),
    [
        ("UPDATE s SET late = 1 WHERE t_ns = 4000000000", (1, 4), "late is True, again False"),
        ("INSERT INTO s SELECT a, t_ns, x, y, shard, 3, 9, late, corrected, unknown_fields FROM s WHERE t_ns = 0", (3, 9), "is stored; again it is a duplicate"),
        ("INSERT INTO s SELECT a, t_ns, 77, y, shard, 3, 9, late, corrected, unknown_fields FROM s WHERE t_ns = 0", (3, 9), "is stored; again it is key.conflict"),
    ],
)  # fmt: skip
def test_the_first_row_that_comes_out_otherwise_is_named(
    stand: Stand, sql: str, where: tuple[int, int], what: str
) -> None:
    """By the batch and record number that it came with, and how it differs."""
    tamper(stand, sql)
    tamper(stand, "UPDATE hf_ledger SET last_rowid = (SELECT max(rowid) FROM s) WHERE batch_seq = 3")
    again = stand.replay()
    assert not again.equal
    named = {"shard": "live", "batch_seq": where[0], "row_no": where[1], "what": what}
    assert again.difference == named


def test_a_clock_that_comes_out_otherwise_is_named(stand: Stand) -> None:
    """The rows are the same; the asset's clock is not where they leave it."""
    tamper(stand, "UPDATE hf_asset SET clock_ns = 7 WHERE asset = 'B'")
    again = stand.replay()
    assert (again.equal, again.digest == again.live) == (False, True)
    assert again.difference
    assert again.difference["asset"] == "B"


def test_a_row_lost_from_quarantine_shows_in_the_digest_only_where_it_is_asked_for(stand: Stand) -> None:
    """A replay proves the engine, not the tables: what is gone from both is balance's to find."""
    whole = stand.replay()
    tamper(stand, "DELETE FROM hf_quarantine WHERE id = 1")
    again = stand.replay()
    assert again.equal
    assert again.digest != whole.digest
    assert stand.balance().differences


def test_a_part_is_compared_row_by_row(stand: Stand) -> None:
    """Only rows of those event times, no quarantine; what is late depends on what came before, and is not compared."""
    again = stand.replay(2 * SECOND, 5 * SECOND)
    assert (again.equal, again.live) == (True, "")
    assert (again.counts.stored, again.counts.quarantined) == (4, 0)
    assert stand.replay(since_ns=2 * SECOND).counts.stored == 11
    tamper(stand, "UPDATE s SET x = 1e300 WHERE t_ns = 4000000000")
    assert stand.replay(until_ns=4 * SECOND).digest != stand.replay(until_ns=5 * SECOND).digest


def test_what_is_committed_meanwhile_is_not_replayed(stand: Stand, bench: Path) -> None:
    """Everything is of the moment at which the replay began, its digest and quarantine, too."""
    before = stand.digest()
    with closing(stand.store()) as store, closing(SqliteStore(bench / "shadow" / "x.db", stand.clock)) as shadow:
        shadow.ensure(CONTRACT, stand.texts)
        with store.steady():
            store.query("shards", stream="s")
            stand.run(ListSource([*ITEMS, {"a": "A", "t": 99, "x": 2}, b"["], 5))
            again = replay(Recorded(CONTRACT, store, stand.lake(store), lambda *_: Ruleset()), shadow, stand.clock, "r")
    assert (again.equal, again.digest, dict(again.upto)) == (True, before, {"live": 4})
    assert stand.digest() != before
