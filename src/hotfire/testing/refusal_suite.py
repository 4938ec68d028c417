"""What every store must do with rows that only the database can tell are bad. Inherited beside `StoreSuite`."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.contract.model import Contract
from hotfire.errors import RowsRefused
from hotfire.protocols import Store
from hotfire.rows import LIVE, Outcome
from hotfire.testing.lake_suite import READINGS
from hotfire.testing.outcomes import LAUNCHES, START_NS, held, named, outcome_of, reading, rejected, whole
from hotfire.testing.store_suite import TEXTS


class RefusalSuite:
    """Inherit it, and say how a table comes to refuse rows."""

    def forbid(self, store: Store, table: str, condition: str) -> None:
        """Make the table refuse rows, by their own columns; the reason has the word `forbidden` in it."""
        raise AssertionError(f"{type(self).__name__} has to say how {table} of {store} refuses {condition}")

    @pytest.mark.parametrize("bad", [[0], [1999], [777], [3, 4, 1500], range(0, 2000, 250), range(1990, 2000)])
    def test_rows_that_only_the_store_can_judge_are_named(self, store: Store, bad: Collection[int]) -> None:
        """By record number, with the reason and no others; nothing was changed; without them the batch is committed."""
        contract, epoch = self.ready(store)
        self.forbid(store, contract.stream, "value > 100")
        outcome = self.arrived(contract, 2000, bad)
        store.plan(outcome.plan, epoch)
        before = whole(store, contract)
        with pytest.raises(RowsRefused) as refused:
            store.commit(outcome, contract, epoch)
        assert set(refused.value.reasons) == set(bad)
        assert all("forbidden" in reason for reason in refused.value.reasons.values())
        assert whole(store, contract) == before
        store.commit(self.without(outcome, refused.value), contract, epoch)
        assert held(store, contract)["row_no"].to_list() == [number for number in range(2000) if number not in set(bad)]
        assert store.query("unfinished_plans", stream=contract.stream).is_empty()

    def test_a_batch_may_be_refused_whole(self, store: Store) -> None:
        """Every row is named; without them it is a batch without rows."""
        contract, epoch = self.ready(store)
        self.forbid(store, contract.stream, "value > 100")
        outcome = self.arrived(contract, 40, range(40))
        with pytest.raises(RowsRefused) as refused:
            store.commit(outcome, contract, epoch)
        assert set(refused.value.reasons) == set(range(40))
        store.commit(self.without(outcome, refused.value), contract, epoch)
        assert (held(store, contract).height, store.counts(contract, LIVE).height) == (0, 0)

    @pytest.mark.parametrize("table", ["current", "history"])
    def test_versions_are_refused_by_either_table(self, store: Store, table: str) -> None:
        """Of an entity the current version and the history are written; what one of them refuses goes into neither."""
        contract = named(LAUNCHES)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        self.forbid(store, contract.stream + ("_history" if table == "history" else ""), "name = 'bad'")
        rows = [{"id": f"{number}", "name": "bad" if number == 6 else "good", "revision": 1} for number in range(9)]
        outcome = outcome_of(contract, 1, rows)
        with pytest.raises(RowsRefused) as refused:
            store.commit(outcome, contract, epoch)
        assert list(refused.value.reasons) == [6]
        store.commit(self.without(outcome, refused.value), contract, epoch)
        assert store.counts(contract, LIVE).rows() == [(1, 8)]

    def ready(self, store: Store) -> tuple[Contract, int]:
        """A stream of readings, and its epoch."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        return contract, store.open(contract.stream, LIVE).epoch

    def arrived(self, contract: Contract, rows: int, bad: Collection[int]) -> Outcome:
        """A batch of many assets, sorted by them; the bad rows have a great value."""
        values = [101.0 if number in bad else 1.0 for number in range(rows)]
        readings = [reading(f"{n % 7}", START_NS + n, value=values[n]) for n in range(rows)]
        outcome = outcome_of(contract, 1, readings)
        return replace(outcome, rows=outcome.rows.sort("device", "taken_ns"))

    def without(self, outcome: Outcome, refused: RowsRefused) -> Outcome:
        """The same batch with those rows in quarantine."""
        gone = [rejected(row_no, check="row.store") for row_no in sorted(refused.reasons)]
        kept = outcome.rows.filter(~pl.col("row_no").is_in(list(refused.reasons)))
        counts = replace(outcome.counts, stored=kept.height, quarantined=len(gone))
        return replace(outcome, rows=kept, rejected=gone, counts=counts)
