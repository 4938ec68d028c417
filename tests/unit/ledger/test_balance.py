"""Every way in which a record can be lost or doubled behind hotfire's back is found, and named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.rows import Span
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.crashes import Fuse
from hotfire.testing.lake_suite import ROCKETS
from hotfire.testing.sources import Crash, ListRead, ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_ns"),
        Column("x", "number", maximum=100),
    ),
    asset="a",
    time="t",
    hash="1",
)
ITEMS: list[Any] = [{"a": "A", "t": t, "x": 40.0 * t} for t in range(6)] + [{"a": "A", "t": 0, "x": 0.0}, b"{"]


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Batches 1 to 4 of two records each: 3 stored, 3 too large, a duplicate, one that is no record."""
    with scratch() as folder:
        stand = Stand(folder, CONTRACT)
        stand.run(ListSource(ITEMS, 2))
        yield stand


def execute(folder: Path, *statements: str) -> None:
    with closing(SqliteConnection(folder / "hotfire.db")) as connection:
        for sql in statements:
            connection.query(sql)
        connection.commit()


def test_a_sound_stream_balances(stand: Stand) -> None:
    """Received = stored + duplicate + quarantined, and nothing differs, also read again."""
    found = stand.balance(ListSource(ITEMS))
    assert (found.balanced, found.differences, found.unread, found.pending) == (True, [], [], 0)
    totals = found.totals
    assert (totals["received"], totals["stored"], totals["duplicate"], totals["quarantined"]) == (8, 3, 1, 4)
    assert totals["batches"] == 4


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM s WHERE t_ns = 1", "batch 1: rows in the store: 1, the ledger says 2"),
        ("INSERT INTO s SELECT * FROM s WHERE t_ns = 2", "batch 2: rows in the store: 2, the ledger says 1"),
        ("UPDATE s SET batch_seq = 9 WHERE t_ns = 2", "1 rows of batch 9 in the store, and no such batch"),
        ("DELETE FROM hf_quarantine WHERE id = 1", "batch 2: rows in quarantine: 0, the ledger says 1"),
        ("UPDATE hf_quarantine SET batch_seq = 9 WHERE id = 1", "1 rows of batch 9 in quarantine, and no such batch"),
        ("DELETE FROM hf_ledger WHERE batch_seq = 2", "batch 3: batch 2 is missing from the ledger"),
        ("DELETE FROM hf_ledger WHERE batch_seq = 2", "goes on at 4, the last batch ended at 2"),
        (
            "UPDATE hf_ledger SET received = 3, stored = 3 WHERE batch_seq = 1",
            "batch 1: records in its span: 2, the ledger says 3",
        ),
        (
            "UPDATE hf_ledger SET span = replace(span, '\"rows\":2', '\"rows\":1') WHERE batch_seq = 1",
            "records in its span: 1",
        ),
        (
            "UPDATE hf_ledger SET stored = 0, duplicate = 2 WHERE batch_seq = 1",
            "rows in the lake: 2, the ledger says 0",
        ),
    ],
)
def test_what_was_lost_or_doubled_is_named(stand: Stand, sql: str, said: str) -> None:
    """The sentence says stream, shard, batch, both numbers and where they were counted."""
    execute(stand.folder, sql)
    found = stand.balance()
    assert not found.balanced
    assert any(said in sentence for sentence in found.differences), found.differences


def test_the_last_batch_may_not_vanish(stand: Stand) -> None:
    """A ledger that ends before the checkpoint does not balance, even where no row of the batch is left."""
    execute(stand.folder, "DELETE FROM hf_ledger WHERE batch_seq = 4", "DELETE FROM hf_quarantine WHERE batch_seq = 4")
    assert stand.balance().differences == [
        "s/live: last batch of the checkpoint: 4, the ledger says 3",
        "s/live: list will go on at 8, the last batch ended at 6",
    ]


def test_rows_missing_from_the_lake_are_named(stand: Stand) -> None:
    """Up to its marker, the lake must hold what the store holds; after it, nothing is asked."""
    (stand.folder / "lake").rename(stand.folder / "gone")
    assert stand.balance().differences == []
    with closing(stand.store()) as store:
        nothing = next(rows for _, rows in store.batches(CONTRACT, "live", 0)).clear()
        stand.lake(store).append(CONTRACT, "live", 2, nothing)
    assert stand.balance().differences == [
        "s/live batch 1: rows in the lake: 0, the ledger says 2",
        "s/live batch 2: rows in the lake: 0, the ledger says 1",
    ]


def test_a_lake_ahead_of_the_store_is_named(stand: Stand) -> None:
    """A store restored from an older backup has lost batches that the lake still has."""
    with closing(stand.store()) as store:
        nothing = next(rows for _, rows in store.batches(CONTRACT, "live", 0)).clear()
        stand.lake(store).append(CONTRACT, "live", 7, nothing)
    assert stand.balance().differences == ["s/live: the lake holds batch 7, the store only 4"]


def test_a_plan_without_a_commit_is_pending(stand: Stand) -> None:
    """Received and not yet decided: pending says how many, and the rest balances."""
    with pytest.raises(Crash):
        stand.run(ListSource([*ITEMS, *ITEMS], 3), Fuse("store.commit"))
    found = stand.balance()
    assert (found.balanced, found.pending, found.totals["received"]) == (True, 3, 8)


def test_a_source_that_changed_is_unread_and_no_difference(stand: Stand) -> None:
    """What can no longer be read cannot be recounted; that is said, and the tables still balance."""
    changed = [{"a": "B", "t": 0, "x": 0.0}, *ITEMS[1:]]
    found = stand.balance(ListSource(changed))
    assert (found.balanced, found.unread_batches) == (True, 1)
    assert found.unread == ["list has other content now: batch 1 cannot be counted again"]
    found = stand.balance(ListSource(ITEMS[:1]))
    assert (found.balanced, found.unread_batches) == (True, 4)
    assert found.unread == ["list has other content now: 4 batches from 1 to 4 cannot be counted again"]


class Shorter(ListSource):
    """Gives back the same bytes, cut into fewer records."""

    def reread(self, span: Span) -> ListRead:
        read = super().reread(span)
        less = ListSource([b"{}"]).poll({})
        assert less is not None
        return ListRead(read.span, read.sha256, less.records)


def test_records_are_counted_again(stand: Stand) -> None:
    """The same bytes must give the same number of records."""
    differences = stand.balance(Shorter(ITEMS)).differences
    assert differences[0] == "batch 1: records read again: 1, the ledger says 2"


def test_repairs_balance_by_what_they_moved(stand: Stand) -> None:
    """A repair receives nothing; what it moved is counted in quarantine by its number."""
    wide = replace(CONTRACT, hash="2", columns=(*CONTRACT.columns[:2], Column("x", "number")))
    repaired = Stand(stand.folder, wide)
    assert repaired.repair().moved == 3
    assert repaired.balance().differences == []
    execute(stand.folder, "UPDATE hf_quarantine SET repaired_seq = 4 WHERE id = 1")
    assert any("rows moved out of quarantine as stored: 2" in one for one in repaired.balance().differences)


@pytest.mark.parametrize("lake_only", [False, True])
def test_rows_that_are_only_in_the_lake_are_counted_there(lake_only: bool) -> None:  # noqa: FBT001
    """A lake-only stream balances by the lake; asked as if it were in the store, everything is missing."""
    with scratch() as folder:
        Stand(folder, CONTRACT, lake_only=True).run(ListSource(ITEMS, 2))
        assert Stand(folder, CONTRACT, lake_only=lake_only).balance().balanced == lake_only


def test_entities_are_counted_in_their_history() -> None:
    """Every version that was stored or superseded is in the history; the current table is not counted."""
    items: Sequence[Any] = [{"id": "a", "name": name} for name in ("x", "y", "y", "x")]
    with scratch() as folder:
        stand = Stand(folder, ROCKETS)
        stand.run(ListSource(items, 3))
        found = stand.balance()
        assert (found.differences, found.totals["stored"], found.totals["duplicate"]) == ([], 3, 1)
        execute(folder, "DELETE FROM rockets_history WHERE batch_seq = 2")
        assert stand.balance().differences == ["rockets/live batch 2: rows in the store: 0, the ledger says 1"]


def test_reading_goes_on_where_the_last_batch_ended(stand: Stand) -> None:
    """A position that was moved by hand would skip records or read them twice."""
    execute(stand.folder, "UPDATE hf_source SET at_offset = 9")
    assert stand.balance().differences == ["s/live: list will go on at 9, the last batch ended at 8"]
