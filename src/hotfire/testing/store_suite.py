"""What every store must do. A test class inherits `StoreSuite` and says how to open a store and run a statement in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract, Lens
from hotfire.errors import ContractError, OwnedElsewhere, Refused, SourceChanged
from hotfire.protocols import Store
from hotfire.rows import LIVE, Correction, Fault, Part, Place, Span
from hotfire.testing.lake_suite import HOUR_NS, READINGS, rows_of, same
from hotfire.testing.outcomes import (
    LAUNCHES,
    START_NS,
    assets_of,
    held,
    named,
    outcome_of,
    plan_of,
    reading,
    rejected,
    repair_of,
    values,
    whole,
)

TEXTS = (("contracts/readings/v1.yaml", "text ä"),)

# Every store that inherits the suite is another executor of it, and an example that broke one is worth trying on all.
_ONCE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
_examples = settings(max_examples=25, suppress_health_check=_ONCE)


class StoreSuite:
    """Inherit it, and give it the fixture `open_store`: each call is a new process with the same database.

    `execute` runs one SQL statement against the store's own tables, in a transaction of its own.
    """

    def execute(self, store: Store, sql: str) -> None:
        """Run a statement, or raise what the store raises."""
        raise AssertionError(f"{type(self).__name__} has to say how {store} runs {sql}")

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        """One open store."""
        return open_store()

    @_examples
    @given(rows=values())
    def test_values_come_back_bit_by_bit(self, store: Store, rows: list[dict[str, Any]]) -> None:
        """Every type comes back as it went in, nulls and marks included, in a batch and by identity."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        outcome = outcome_of(contract, 1, rows)
        store.commit(outcome, contract, epoch)
        ((batch_seq, found),) = store.batches(contract, LIVE, 0)
        assert batch_seq == 1
        assert found.schema == outcome.rows.schema
        assert same(found, outcome.rows)
        identities = outcome.rows.select(contract.identity)
        assert same(store.stored(contract, identities.unique()), outcome.rows)

    def test_a_megabyte_of_text_comes_back(self, store: Store) -> None:
        """Text has no length that a store may shorten it to."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        note = "🚀" * 250_000
        store.commit(outcome_of(contract, 1, [reading("a", note=note)]), contract, epoch)
        assert held(store, contract)["note"].to_list() == [note]

    def test_rows_come_back_in_the_order_of_arrival(self, store: Store) -> None:
        """Rows are written by asset and time, and read by record number, batch after batch."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        for batch_seq in (1, 2):
            outcome = outcome_of(contract, batch_seq, [reading(device) for device in "cab"])
            store.commit(replace(outcome, rows=outcome.rows.sort("device")), contract, epoch)
        assert held(store, contract)["device"].to_list() == list("cabcab")
        assert [seq for seq, _ in store.batches(contract, LIVE, 1)] == [2]

    def test_a_batch_without_rows_is_a_batch(self, store: Store) -> None:
        """What was only duplicates leaves a ledger row, and an empty frame of the right types for the lake."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        for batch_seq, devices in ((1, ""), (2, "a"), (3, "")):
            store.commit(outcome_of(contract, batch_seq, [reading(device) for device in devices]), contract, epoch)
        batches = dict(store.batches(contract, LIVE, 0))
        assert {seq: rows.height for seq, rows in batches.items()} == {1: 0, 2: 1, 3: 0}
        assert len({tuple(rows.schema.items()) for rows in batches.values()}) == 1

    def test_what_is_committed_is_there_after_a_restart(self, open_store: Callable[[], Store]) -> None:
        """Rows, position, clocks and the last batch number survive the process."""
        contract = named(READINGS)
        before = open_store()
        before.ensure(contract, TEXTS)
        epoch = before.open(contract.stream, LIVE).epoch
        before.commit(outcome_of(contract, 1, [reading("a")], assets=assets_of(("a", 5, 7, 1, 1))), contract, epoch)
        state = whole(before, contract)
        before.close()
        after = open_store()
        assert whole(after, contract) == state
        checkpoint = after.open(contract.stream, LIVE)
        assert (checkpoint.committed_seq, checkpoint.unfinished) == (1, None)
        place = plan_of(contract, 1).span.parts[0].after()
        assert checkpoint.position == {"place ä": place}

    def test_a_plan_survives_until_its_commit(self, open_store: Callable[[], Store]) -> None:
        """A plan without a commit is found whole by the next process; with its commit it is gone."""
        contract = named(READINGS)
        store = open_store()
        store.ensure(contract, TEXTS)
        store.plan(plan_of(contract, 1, 3), store.open(contract.stream, LIVE).epoch)
        store.close()
        store = open_store()
        checkpoint = store.open(contract.stream, LIVE)
        assert checkpoint.unfinished == plan_of(contract, 1, 3)
        store.commit(outcome_of(contract, 1), contract, checkpoint.epoch)
        assert store.open(contract.stream, LIVE).unfinished is None

    def test_a_plan_may_be_replaced(self, store: Store) -> None:
        """The last plan of a batch is the one that counts; there is never more than one."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        for rows in (3, 4):
            store.plan(plan_of(contract, 1, rows), epoch)
        assert store.open(contract.stream, LIVE).unfinished == plan_of(contract, 1, 4)
        assert store.query("unfinished_plans", stream=contract.stream).height == 1

    def test_an_earlier_owner_can_no_longer_write(self, store: Store) -> None:
        """Opening raises the epoch: what the earlier owner plans or commits is refused and changes nothing."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        earlier = store.open(contract.stream, LIVE).epoch
        assert store.open(contract.stream, LIVE).epoch == earlier + 1
        before = whole(store, contract)
        outcome = outcome_of(contract, 1, [reading("a")], rejected=[rejected(1)], assets=assets_of(("a", 5, 7, 1, 1)))
        with pytest.raises(OwnedElsewhere):
            store.plan(outcome.plan, earlier)
        with pytest.raises(OwnedElsewhere):
            store.commit(outcome, contract, earlier)
        assert whole(store, contract) == before

    @pytest.mark.parametrize("batch_seq", [1, 3])
    def test_a_batch_is_committed_once_and_in_order(self, store: Store, batch_seq: int) -> None:
        """After batch 1 comes batch 2: neither the same again nor the one after next."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        store.commit(outcome_of(contract, 1, [reading("a")]), contract, epoch)
        before = whole(store, contract)
        with pytest.raises(OwnedElsewhere):
            store.plan(plan_of(contract, batch_seq), epoch)
        with pytest.raises(OwnedElsewhere):
            store.commit(outcome_of(contract, batch_seq, [reading("b")]), contract, epoch)
        assert whole(store, contract) == before
        store.commit(outcome_of(contract, 2, [reading("b")]), contract, epoch)

    @pytest.mark.parametrize("what", ["rows", "rejected", "corrections", "assets", "ledger"])
    def test_a_commit_is_all_or_nothing(self, store: Store, what: str) -> None:
        """Whatever part of an outcome the store refuses, no other part of it is there; the next commit works."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        good = outcome_of(
            contract,
            1,
            [reading("a")],
            rejected=[rejected(1)],
            corrections=[Correction(0, "value", "value.range", "9", None)],
            assets=assets_of(("a", 5, 7, 1, 1)),
        )
        bad = {
            "rows": replace(good, rows=good.rows.with_columns(nowhere=pl.lit(1))),
            "rejected": replace(good, rejected=[replace(rejected(1), place=None)]),
            "corrections": replace(good, corrections=[Correction(0, None, "c", "9", None)]),  # type: ignore[arg-type]
            "assets": replace(good, assets=assets_of(("a", 5, 7, -1, 1))),
            "ledger": replace(good, counts=replace(good.counts, received=9)),
        }
        store.plan(good.plan, epoch)
        before = whole(store, contract)
        with pytest.raises(Refused):
            store.commit(bad[what], contract, epoch)
        assert whole(store, contract) == before
        store.commit(good, contract, epoch)
        assert held(store, contract).height == 1

    def test_shards_are_apart(self, store: Store) -> None:
        """Each shard has its own epoch, batch numbers, position and rows."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        live, other = (store.open(contract.stream, shard).epoch for shard in (LIVE, "backfill"))
        store.commit(outcome_of(contract, 1, [reading("a")]), contract, live)
        assert store.open(contract.stream, "backfill").position == {}
        outcome = outcome_of(contract, 1, [reading("b"), reading("c")], shard="backfill")
        store.commit(outcome, contract, other + 1)
        assert held(store, contract)["device"].to_list() == ["a"]
        assert held(store, contract, "backfill")["device"].to_list() == ["b", "c"]
        assert store.counts(contract, "backfill").rows() == [(1, 2)]

    def test_rows_are_counted_by_batch(self, store: Store) -> None:
        """Counted in the table itself, where nothing of a batch was stored not at all."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        for batch_seq, rows in ((1, 3), (2, 0), (3, 1)):
            readings = [reading("a", START_NS + row) for row in range(rows)]
            store.commit(outcome_of(contract, batch_seq, readings), contract, epoch)
        assert sorted(store.counts(contract, LIVE).select("batch_seq", "rows").rows()) == [(1, 3), (3, 1)]

    @_examples
    @given(data=st.data())
    def test_stored_finds_exactly_the_identities_asked_for(self, store: Store, data: st.DataObject) -> None:
        """Keys may be null, and null is equal to null; texts differ by case; what is not there is not found."""
        contract = named(READINGS)
        identity = st.tuples(
            st.sampled_from(["a", "A", "", "ä"]), st.integers(0, 3), st.none() | st.sampled_from([0, 1, -(2**63)])
        )
        there = data.draw(st.lists(identity, unique=True, max_size=12))
        asked = data.draw(st.lists(identity, unique=True, min_size=1, max_size=12))
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        rows = [reading(device, taken, part=part) for device, taken, part in there]
        store.commit(outcome_of(contract, 1, rows), contract, epoch)
        schema = {"device": pl.String, "taken_ns": pl.Int64, "part": pl.Int64}
        found = store.stored(contract, pl.DataFrame(asked, schema=schema, orient="row"))
        assert set(found.select(contract.identity).rows()) == set(there) & set(asked)
        assert found.height == len(set(there) & set(asked))
        assert found.schema == rows_of(contract, 1, []).schema

    def test_recent_rows_are_those_of_the_window(self, store: Store) -> None:
        """A row exactly as old as the window is in it; each asset has its own clock."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        times = {"a": (0, 1, HOUR_NS), "b": (0, 5), "c": (7,)}
        rows = [reading(device, START_NS + past) for device, pasts in times.items() for past in pasts]
        clocks = assets_of(*((device, START_NS + max(pasts), None, 0, len(pasts)) for device, pasts in times.items()))
        store.commit(outcome_of(contract, 1, rows, assets=clocks), contract, epoch)
        recent = store.recent(contract, HOUR_NS - 1)
        found = {device: tuple(recent.filter(device=device)["taken_ns"].sort() - START_NS) for device in times}
        assert found == {"a": (1, HOUR_NS), "b": (0, 5), "c": (7,)}

    def test_assets_keep_their_last_state(self, store: Store) -> None:
        """Of each asset the last clock, counter, gaps and number of rows are known; streams do not mix."""
        contract, other = named(READINGS), named(READINGS)
        for one in (contract, other):
            store.ensure(one, TEXTS)
            epoch = store.open(one.stream, LIVE).epoch
            assets = assets_of(("a", -(2**63), None, 0, 1), ("", 2**63 - 1, -5, 2**63 - 1, 2))
            store.commit(outcome_of(one, 1, assets=assets), one, epoch)
            store.commit(outcome_of(one, 2, assets=assets_of(("a", 9, 8, 7, 6))), one, epoch)
            found = store.assets(one).select("asset", "clock_ns", "counter", "gaps", "stored", "shard").rows()
            assert sorted(found) == [("", 2**63 - 1, -5, 2**63 - 1, 2, LIVE), ("a", 9, 8, 7, 6, LIVE)]

    def test_a_position_is_where_each_place_goes_on(self, store: Store) -> None:
        """Places join the position and move; of a place with two parts in one span the last counts."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        one, two = Place("1", "one", facts={"a": 1}), Place("2", "two")
        parts = (Part(one, 10, 2, 1), Part(two, 20, 3, 1), Part(replace(one, offset=10, line=2), 30, 4, 1))
        outcome = outcome_of(contract, 1, [reading(device) for device in "abc"])
        store.commit(replace(outcome, plan=replace(outcome.plan, span=Span(parts))), contract, epoch)
        moved = Place("2", "two, renamed", 20, 3)
        outcome = outcome_of(contract, 2, [reading("d")])
        span = Span((Part(moved, 25, 9, 1),))
        store.commit(replace(outcome, plan=replace(outcome.plan, span=span)), contract, epoch)
        position = store.open(contract.stream, LIVE).position
        assert position == {"1": Place("1", "one", 30, 4, {"a": 1}), "2": Place("2", "two, renamed", 25, 9)}

    @_examples
    @given(raw=st.binary(max_size=40), value=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
    def test_quarantine_keeps_every_byte(self, store: Store, raw: bytes, value: str | None) -> None:
        """A rejected record is kept as it was received, with its place and every check that it broke."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        faults = (Fault(0, "value.type", value, "ä"), Fault(0, "device.required"))
        whole_row = replace(rejected(0, raw), faults=faults)
        store.commit(outcome_of(contract, 1, rejected=[whole_row]), contract, epoch)
        page = store.query("quarantine_raw", stream=contract.stream, tries=5, after=0, page=10)
        row = page.row(0, named=True)
        assert (page.height, row["raw"]) == (1, raw)
        assert (row["batch_seq"], row["row_no"], row["at_offset"], row["line"]) == (1, 0, 7, 3)
        assert self.faults_of(store, row["id"]) == faults

    def faults_of(self, store: Store, quarantine_id: int) -> tuple[Fault, ...]:
        """The faults of a quarantine row as they are kept."""
        text = store.query("quarantine_row", id=quarantine_id)["faults"].item()
        return msgspec.json.decode(text, type=tuple[Fault, ...])

    def quarantined(self, store: Store, contract: Contract, rows: int) -> tuple[int, list[int]]:
        """A stream with rejected rows; the epoch, and their ids."""
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        store.commit(outcome_of(contract, 1, rejected=[rejected(row_no) for row_no in range(rows)]), contract, epoch)
        page = store.query("quarantine_list", stream=contract.stream, state="open", after=0, page=10)
        return epoch, page["id"].to_list()

    def test_a_repair_marks_what_it_moved_and_what_it_tried(self, store: Store) -> None:
        """Moved rows keep their batch and say which repair took them where; tried ones count up with new faults."""
        contract = named(READINGS)
        epoch, (first, second, third) = self.quarantined(store, contract, 3)
        store.commit(repair_of(contract, 2, {first: "duplicate"}, [second]), contract, epoch)
        listed = store.query("quarantine_list", stream=contract.stream, state="", after=0, page=10)
        assert listed.select("id", "state", "tries", "repaired_seq", "batch_seq").rows() == [
            (first, "repaired", 0, 2, 1),
            (second, "open", 1, None, 1),
            (third, "open", 0, None, 1),
        ]
        assert self.faults_of(store, second) == (Fault(0, "x.range", "9", "above 8"),)
        moved = store.query("moved_by_batch", stream=contract.stream, shard=LIVE)
        assert moved.rows() == [(2, "duplicate", 1)]
        totals = store.query("ledger_totals", stream=contract.stream).row(0, named=True)
        assert (totals["received"], totals["duplicate"], totals["quarantined"]) == (3, 1, 2)
        assert store.open(contract.stream, LIVE).position == {"place ä": plan_of(contract, 1).span.parts[0].after()}

    def test_a_row_leaves_quarantine_only_once(self, store: Store) -> None:
        """A repair of a row that has left quarantine meanwhile is refused whole: no row may have two fates."""
        contract = named(READINGS)
        epoch, (first, second) = self.quarantined(store, contract, 2)
        store.commit(repair_of(contract, 2, {first: "duplicate"}), contract, epoch)
        before = whole(store, contract)
        for moved, retried in (({first: "duplicate", second: "duplicate"}, []), ({second: "duplicate"}, [first])):
            with pytest.raises(SourceChanged):
                store.commit(repair_of(contract, 3, moved, retried), contract, epoch)
            assert whole(store, contract) == before

    def test_the_texts_of_a_contract_are_kept_under_its_hash(self, store: Store) -> None:
        """A plan can be finished by the contract that it was made under; ensuring again changes nothing."""
        contract = named(READINGS)
        for texts in (TEXTS, (("v1.yaml", "other"),)):
            store.ensure(contract, texts)
        kept = store.query("version", hash=contract.hash).row(0, named=True)
        assert (kept["stream"], kept["version"], kept["kind"]) == (contract.stream, "1.0.0", "contract")
        assert "text ä" in kept["texts"]

    def test_a_contract_may_gain_columns(self, store: Store) -> None:
        """Rows from before are null in them; those after hold them; going back to the old text works too."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        store.commit(outcome_of(contract, 1, [reading("a")]), contract, epoch)
        gained = (*contract.columns, Column("thrust", "number"), Column("lit", "timestamp"))
        wider = replace(contract, columns=gained, version="1.1.0", hash=f"{contract.hash} 2")
        store.ensure(wider, TEXTS)
        store.commit(outcome_of(wider, 2, [reading("b", thrust=1.5, lit_ns=-1)]), wider, epoch)
        store.ensure(contract, TEXTS)
        store.commit(outcome_of(contract, 3, [reading("c")]), contract, epoch)
        rows = held(store, wider).select("device", "thrust", "lit_ns").rows()
        assert rows == [("a", None, None), ("b", 1.5, -1), ("c", None, None)]

    def test_a_column_keeps_its_type(self, store: Store) -> None:
        """A contract that changes a type is refused before anything is changed."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        text = tuple(replace(one, type="string") if one.name == "value" else one for one in contract.columns)
        added = (*text, Column("thrust", "number"))
        other = replace(contract, columns=added, hash=f"{contract.hash} 2")
        with pytest.raises(ContractError, match="value"):
            store.ensure(other, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        with pytest.raises(Refused):
            store.commit(outcome_of(other, 1, [reading("a")]), other, epoch)
        store.commit(outcome_of(contract, 1, [reading("a", value=1.5)]), contract, epoch)

    def test_an_entity_has_one_current_version(self, store: Store) -> None:
        """The newest version that is not superseded is current; the history keeps every one in order of arrival."""
        contract = named(LAUNCHES)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        batches: list[list[dict[str, Any]]] = [
            [{"id": "a", "name": "1", "revision": 1}, {"id": "a", "name": "2", "revision": 2}, {"id": "b"}],
            [{"id": "a", "name": "1.5", "revision": 1, "superseded": True}],
            [{"id": "b", "name": "x", "revision": 9}],
        ]
        for batch_seq, rows in enumerate(batches, 1):
            store.commit(outcome_of(contract, batch_seq, rows), contract, epoch)
        history = store.stored(contract, pl.DataFrame({"id": ["a", "nobody"]})).sort("batch_seq", "row_no")
        shown = history.select("name", "revision", "superseded", "received_at_ns").rows()
        assert shown == [
            ("1", 1, False, START_NS + 1),
            ("2", 2, False, START_NS + 1),
            ("1.5", 1, True, START_NS + 2),
        ]
        assert self.current(store, contract) == [("a", "2", 2), ("b", "x", 9)]
        assert store.counts(contract, LIVE).sort("batch_seq").rows() == [(1, 3), (2, 1), (3, 1)]

    def current(self, store: Store, contract: Contract) -> list[tuple[Any, ...]]:
        """The current versions, by key: identity and then the other columns."""
        raise AssertionError(f"{type(self).__name__} has to say what is current in {store} of {contract.stream}")

    def test_a_new_major_version_converts_every_row(self, store: Store) -> None:
        """Rows, batches and marks stay; columns are the new version's; the arrival order is as it was."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        for batch_seq, devices in ((1, "ba"), (2, ""), (3, "c")):
            rows = [reading(device, value=1.5, late=device == "a") for device in devices]
            store.commit(outcome_of(contract, batch_seq, rows), contract, epoch)
        newer = self.newer(contract)
        assert store.major(contract.stream) == 1
        store.rewrite(newer, TEXTS, lambda rows: _doubled(newer, rows))
        assert store.major(contract.stream) == 2
        found = held(store, newer)
        assert found.select("batch_seq", "row_no", "device", "double", "late").rows() == [
            (1, 0, "b", 3.0, False),
            (1, 1, "a", 3.0, True),
            (3, 0, "c", 3.0, False),
        ]
        store.commit(outcome_of(newer, 4, [reading("d", double=4.0)]), newer, epoch)
        assert [rows.height for _, rows in store.batches(newer, LIVE, 0)] == [2, 0, 1, 1]

    def test_a_conversion_is_all_or_nothing(self, store: Store) -> None:
        """Where a row cannot be converted, everything is as before and the older version goes on."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        store.commit(outcome_of(contract, 1, [reading("a", value=1.5)]), contract, epoch)
        before = whole(store, contract)
        newer = self.newer(contract)
        with pytest.raises(ZeroDivisionError):
            store.rewrite(newer, TEXTS, lambda rows: rows.select(pl.lit(1 // (rows.height - 1))))
        assert whole(store, contract) == before
        store.commit(outcome_of(contract, 2, [reading("b")]), contract, epoch)

    def newer(self, contract: Contract) -> Contract:
        """The next major version: `value` has become `double`, in twice the number."""
        columns = (*(one for one in contract.columns if one.name != "value"), Column("double", "number"))
        lens = Lens(1, "double is null", {"double": "value * 2"})
        return replace(
            contract, version="2.0.0", columns=columns, lens=lens, older=(contract,), hash=f"{contract.hash} 2"
        )

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE hf_ledger SET stored = stored + 1",
            "UPDATE hf_ledger SET received = -1, stored = -1",
            "UPDATE hf_ledger SET repair = 1",
            "UPDATE hf_ledger SET batch_seq = 0",
            "UPDATE hf_checkpoint SET epoch = 0",
            "UPDATE hf_checkpoint SET committed_seq = -1",
            "UPDATE hf_quarantine SET state = 'lost'",
            "UPDATE hf_quarantine SET state = 'repaired'",
            "UPDATE hf_quarantine SET state = 'discarded'",
            "UPDATE hf_quarantine SET repaired_seq = 2",
            "UPDATE hf_quarantine SET repaired_fate = 'stored'",
            "UPDATE hf_quarantine SET tries = -1",
            "UPDATE hf_quarantine SET raw = NULL",
            "UPDATE hf_asset SET gaps = -1",
            "UPDATE hf_source SET at_offset = -1",
            "UPDATE hf_source SET line = 0",
            "INSERT INTO hf_plan VALUES ('s', 'live', 0, '{}')",
            "INSERT INTO hf_version VALUES ('h', 's', 'gossip', '1', '', 0)",
            "INSERT INTO hf_job VALUES ('j', 'c', 's', 'asleep', 0, NULL, NULL)",
        ],
    )
    def test_states_that_must_not_be_are_refused(self, store: Store, sql: str) -> None:
        """Constraints hold the conservation equation and the states of quarantine, whoever writes."""
        contract = named(READINGS)
        store.ensure(contract, TEXTS)
        epoch = store.open(contract.stream, LIVE).epoch
        assets = assets_of(("a", 1, 1, 0, 1))
        store.commit(outcome_of(contract, 1, [reading("a")], rejected=[rejected(1)], assets=assets), contract, epoch)
        before = whole(store, contract)
        with pytest.raises(Refused):
            self.execute(store, sql)
        assert whole(store, contract) == before


def _doubled(newer: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    names = [column.storage for column in newer.columns]
    return rows.with_columns(double=pl.col("value") * 2).select(names)
