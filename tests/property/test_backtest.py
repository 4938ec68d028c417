"""A backtest finds what the engine finds live: over the same records, over what was stored of them, in batches of any size."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Check, Column, Contract
from hotfire.engine.backtest import Evaluation, backtest, in_order
from hotfire.engine.feed import Fed, narrowed, of_past, of_source
from hotfire.engine.rulesets import ruleset
from hotfire.findings import Condition
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

READINGS = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("device", "string", required=True),
        Column("at", "timestamp", required=True, format="epoch_s"),
        Column("part", "integer"),
        Column("count", "integer"),
        Column(
            *("temp", "number"),
            unit="1",
            maximum=100,
            limits={"warning": {"high": 80}, "critical": {"high": 90}, "min_violations": 2, "deadband": 3},
        ),
        Column("level", "number", maximum=50, out_of_range="null", limits={"critical": {"high": 40}}),
        Column("mode", "string", values=("on", "off")),
        Column("note", "string"),
    ),
    asset="device",
    time="at",
    key=("part",),
    counter="count",
    checks=(Check("level_below_temp", "level <= temp or temp is null"),),
    hash="readings 1.0",
)
RULES = """
stream: readings
version: 1
rules:
  - {name: dry, detector: expression, when: level < 3, for: 2 s, off_delay: 3 s, while: mode = 'on', settle: 2 s}
  - {name: odd, detector: expression, when: temp > 70 and part is null, severity: severe, message: "{asset} has {note} at {at}"}
  - {name: gone, detector: no_data, timeout: 2 s}
  - {name: still, detector: stuck, channels: [level], siblings: [temp], for: 3 s, min_rows: 2}
  - {name: rising, detector: rate_of_change, channel: temp, over: 3 s, unit: 1/s, warning: {high: 4}}
"""
Record = dict[str, Any] | bytes


def records(chance: random.Random, number: int) -> list[Record]:
    """A dirty stream: copies near and far, other content under a time that was there, late rows, impossible readings."""
    sent: list[Record] = []
    for at in range(number):
        row: Record = {
            "device": f"d{chance.randrange(3)}",
            "at": 5000 + at // 2 - chance.choice([0, 0, 0, 0, 1, 2, 7, 1000]),
            "part": chance.choice([None, None, 1]),
            "count": at,
            "temp": chance.choice([60.5, 75, 82, 95, 79, None]),
            "level": chance.choice([1, 2, 45, 41.5, 70]),
            "mode": chance.choice(["on", "on", "off", None]),
            "note": chance.choice(["x", "y"]),
        }
        old = chance.choice(sent) if sent and chance.random() < 0.3 else row
        again = (
            {**old, **chance.choice([{}, {"level": 2}, {"note": "z"}, {"temp": 95}])} if isinstance(old, dict) else old
        )
        bad = chance.choice([{**row, "device": None}, {**row, "at": "soon"}, {**row, "mode": "?"}, b'{"device":'])
        sent.append(chance.choice([again, again, again, row, row, bad]))
    return sent


@dataclass(frozen=True)
class Bench:
    """A stand, and backtests of what it has."""

    stand: Stand

    def found(self) -> list[Condition]:
        """The conditions in the store."""
        with closing(self.stand.store()) as store:
            page = store.query("conditions", stream="readings", revision=1, after=0, page=10**6)
            rows = page.drop("id", "shard", "batch_seq").rename({"limit_value": "limit"}).iter_rows(named=True)
            return told(Condition(**row) for row in rows)

    def over_files(self, sent: Sequence[Record], batch: int) -> list[Condition]:
        rules = ruleset(self.stand.contract, {"rules/a.yaml": [RULES]})
        narrow = narrowed(self.stand.contract, [rules])
        fed = of_source(self.stand.contract, narrow, ListSource(sent, batch), ManualClock())
        return told(backtest(narrow, [rules], fed)[0].conditions)

    def over_history(self, *, lake: bool) -> list[Condition]:
        rules = ruleset(self.stand.contract, {"rules/a.yaml": [RULES]})
        narrow = narrowed(self.stand.contract, [rules])
        one = Evaluation(narrow, rules)
        with closing(self.stand.store()) as store, store.steady():
            contract = narrow if lake else replace(narrow, version="9.0.0")
            for fed in history(self.stand, store, contract):
                one.take(fed)
        return told(one.found.values())


def history(stand: Stand, store: Any, contract: Contract) -> Iterator[Fed]:
    present = [column.storage for column in stand.contract.columns]
    return of_past(contract, store, stand.lake(store), lake_only=False, present=present)


def test_the_examples_show_everything() -> None:
    """What is compared holds conditions of every rule, some of which still hold, beside what reaches no rule."""
    with scratch() as folder:
        bench = Bench(Stand(folder, READINGS, rules={"rules/a.yaml": RULES}))
        bench.stand.run(ListSource(records(random.Random(1), 400), 50))
        found, fates = bench.found(), {word for fate in bench.stand.came().fates.values() for word in fate}
    assert {one.rule for one in found} == {"temp.limit", "level.limit", "dry", "odd", "gone", "still", "rising"}
    assert {one.returned_at_ns is None for one in found} == {True, False}
    assert {"late", "duplicate", "key.conflict", "at.type", "mode.values", "row.parse", "corrected"} <= fates


def told(conditions: Any) -> list[Condition]:
    return sorted(in_order(conditions), key=repr)


@given(
    st.integers(0, 2**32),
    st.integers(1, 120),
    st.sampled_from([1, 3, 8, 1000]),
    st.sampled_from([1, 5, 1000]),
    st.sampled_from([0, 2, 1200]),
)
@example(1, 400, 7, 90, 0)
@example(2, 400, 11, 1000, 1200)
@settings(max_examples=10)
def test_as_live_over_the_same_records(seed: int, number: int, live: int, batch: int, reorder_s: int) -> None:
    """Conditions are those that the store has after an ingest, to the last bit, wherever either cuts batches."""
    sent = records(random.Random(seed), number)
    with scratch() as folder:
        contract = replace(READINGS, reorder_ns=reorder_s * 10**9)
        bench = Bench(Stand(folder, contract, rules={"rules/a.yaml": RULES}))
        bench.stand.run(ListSource(sent, live))
        assert bench.over_files(sent, batch) == bench.found()


@given(st.integers(0, 2**32), st.integers(1, 80), st.sampled_from(["lake", "store"]), st.sampled_from([0, 2]))
@example(3, 300, "lake", 0)
@example(4, 300, "store", 2)
@settings(max_examples=6)
def test_as_live_over_what_is_stored(seed: int, number: int, read: str, reorder_s: int) -> None:
    """The same over a history of several runs, a repair and a backfill, whether the lake or the store is read."""
    chance = random.Random(seed)
    with scratch() as folder:
        contract = replace(READINGS, reorder_ns=reorder_s * 10**9)
        bench = Bench(Stand(folder, contract, rules={"rules/a.yaml": RULES}))
        bench.stand.run(ListSource(records(chance, number), 7))
        bench.stand.contract = replace(contract, checks=(), hash="readings 1.1")
        bench.stand.repair(batch=5)
        bench.stand.run(ListSource([*records(chance, number), *records(chance, number)], 11))
        missed = records(chance, 20)
        bench.stand.backfill(lambda: ListSource(missed, 6))
        assert bench.over_history(lake=read == "lake") == bench.found()
