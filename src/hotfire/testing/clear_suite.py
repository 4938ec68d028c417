"""What every store must do where old rows leave it. Inherited beside `StoreSuite`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Contract
from hotfire.errors import OwnedElsewhere
from hotfire.protocols import Store
from hotfire.rows import LIVE, Cleared, Clearing
from hotfire.testing.lake_suite import READINGS
from hotfire.testing.outcomes import START_NS, assets_of, held, named, outcome_of, reading

TEXTS = (("contracts/readings/v1.yaml", ""),)
_Row = tuple[str, int]
_ONCE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]


class ClearSuite:
    """Needs the fixtures of `StoreSuite`."""

    @settings(max_examples=25, suppress_health_check=_ONCE)
    @given(data=st.data())
    def test_exactly_the_old_rows_leave(self, store: Store, data: st.DataObject) -> None:
        """Rows leave that are before the limit, of batches in the lake, and not near their asset's clock; by the step."""
        contract = named(READINGS)
        batch = st.lists(st.tuples(st.sampled_from("abAä"), st.integers(0, 60)), max_size=9, unique=True)
        batches: list[list[_Row]] = data.draw(st.lists(batch, min_size=1, max_size=4))
        upto, before = data.draw(st.integers(0, len(batches))), data.draw(st.integers(0, 61))
        window, most = data.draw(st.integers(0, 60)), data.draw(st.integers(1, 7))
        clocks = {
            device: max(at for b in batches for one, at in b if one == device) for b in batches for device, _ in b
        }
        epoch = filled(store, contract, batches, clocks)
        old = [
            [row for row in rows if seq <= upto and row[1] < min(before, clocks[row[0]] - window)]
            for seq, rows in enumerate(batches, 1)
        ]
        wanted = Clearing(LIVE, upto, START_NS + before, window, most)
        assert cleared_all(store, contract, wanted, epoch) == sum(map(len, old))
        kept = [sorted({*rows} - {*gone}) for rows, gone in zip(batches, old, strict=True)]
        assert stands(store, contract) == kept
        ledger = store.query("ledger", stream=contract.stream, shard=LIVE, after=0, page=9)
        assert ledger["cleared"].to_list() == [len(gone) for gone in old]
        total = store.query("cleared", stream=contract.stream).rows(named=True)
        assert sum(row["cleared"] for row in total) == sum(map(len, old))
        for row in total:
            assert row["last_seq"] == max(seq for seq, gone in enumerate(old, 1) if gone)
            assert row["before_ns"] == START_NS + max(at for gone in old for _, at in gone) + 1

    def test_a_step_is_bounded_and_says_where_to_go_on(self, store: Store) -> None:
        """At most so many rows a transaction, asset by asset; where none is left it says so."""
        contract = named(READINGS)
        rows = [(device, at) for device in "abc" for at in range(4)]
        epoch = filled(store, contract, [rows], dict.fromkeys("abc", 100))
        wanted = Clearing(LIVE, 1, START_NS + 3, 10, 4)
        first = store.clear(contract, wanted, LIVE, epoch)
        assert first == Cleared(4, "b")
        assert [device for device, _ in stands(store, contract)[0]].count("a") == 1
        second = store.clear(contract, Clearing(LIVE, 1, START_NS + 3, 10, 40, "b"), LIVE, epoch)
        assert second == Cleared(5, None)
        assert store.clear(contract, wanted, LIVE, epoch) == Cleared(0, None)
        assert stands(store, contract) == [[("a", 3), ("b", 3), ("c", 3)]]

    def test_only_the_owner_clears(self, store: Store) -> None:
        """A process that another has taken over from changes nothing."""
        contract = named(READINGS)
        epoch = filled(store, contract, [[("a", 1), ("a", 9)]], {"a": 9})
        store.open(contract.stream, LIVE)
        with pytest.raises(OwnedElsewhere):
            store.clear(contract, Clearing(LIVE, 1, START_NS + 5, 0, 10), LIVE, epoch)
        assert stands(store, contract) == [[("a", 1), ("a", 9)]]
        assert store.query("cleared", stream=contract.stream).is_empty()

    def test_shards_and_streams_are_cleared_apart(self, store: Store) -> None:
        """Only the shard's own rows leave, in the name of whichever shard this process owns."""
        contract, other = named(READINGS), named(READINGS)
        epoch = filled(store, contract, [[("a", 1), ("a", 9)]], {"a": 9})
        filled(store, other, [[("a", 1), ("a", 9)]], {"a": 9})
        backfill = store.open(contract.stream, "backfill").epoch
        store.commit(outcome_of(contract, 1, [reading("a", START_NS + 2)], shard="backfill"), contract, backfill)
        wanted = Clearing("backfill", 1, START_NS + 5, 0, 10)
        assert store.clear(contract, wanted, LIVE, epoch) == Cleared(1, None)
        assert stands(store, contract) == stands(store, other) == [[("a", 1), ("a", 9)]]
        assert held(store, contract, "backfill").is_empty()

    def test_what_is_stored_afterwards_is_found(self, open_store: Callable[[], Store]) -> None:
        """Also where the newest row has left: new rows come back as rows of their own batch, after a restart too."""
        contract, store = named(READINGS), open_store()
        epoch = filled(store, contract, [[("a", 5)], [("a", 1), ("a", 2)]], {"a": 5})
        assert store.clear(contract, Clearing(LIVE, 2, START_NS + 3, 0, 10), LIVE, epoch).rows == 2
        for seq, at in ((3, 6), (4, 7)):
            store.commit(outcome_of(contract, seq, [reading("a", START_NS + at)]), contract, epoch)
        for one in (store, open_store()):
            assert stands(one, contract) == [[("a", 5)], [], [("a", 6)], [("a", 7)]]


def filled(store: Store, contract: Contract, batches: list[list[_Row]], clocks: dict[str, int]) -> int:
    """Commit batches of (device, time after START_NS); the epoch under which that was done."""
    store.ensure(contract, TEXTS)
    epoch = store.open(contract.stream, LIVE).epoch
    stored = Counter(device for rows in batches for device, _ in rows)
    for seq, rows in enumerate(batches, 1):
        assets = assets_of(*((one, START_NS + clocks[one], None, 0, stored[one]) for one, _ in dict(rows).items()))
        outcome = outcome_of(contract, seq, [reading(one, START_NS + at) for one, at in rows], assets=assets)
        store.commit(outcome, contract, epoch)
    return epoch


def cleared_all(store: Store, contract: Contract, wanted: Clearing, epoch: int) -> int:
    """Step by step, until there is nothing more to clear."""
    rows, after = 0, wanted.after
    while True:
        step = Clearing(wanted.shard, wanted.upto, wanted.before_ns, wanted.window_ns, wanted.most, after)
        found = store.clear(contract, step, LIVE, epoch)
        assert found.rows <= wanted.most
        rows += found.rows
        if found.asset is None:
            return rows
        after = found.asset


def stands(store: Store, contract: Contract) -> list[list[Any]]:
    """The rows of each batch that the store holds: device and time after START_NS."""
    return [
        sorted((device, at - START_NS) for device, at in rows.select("device", "taken_ns").rows())
        for _, rows in store.batches(contract, LIVE, 0)
    ]
