"""What the digest notices, and what it must not notice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.ledger.digest import digest, total
from hotfire.rows import LIVE
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.lake_suite import READINGS, ROCKETS
from hotfire.testing.outcomes import assets_of, outcome_of, reading, rejected, values
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_ns"),
        Column("x", "number", maximum=100),
        Column("s", "string"),
        Column("r", "string"),
    ),
    asset="a",
    time="t",
    hash="1",
)
ITEMS: list[Any] = [
    {"a": "A", "t": 1, "x": 1.5, "s": "ab", "r": "c"},
    {"a": "B", "t": 1, "x": None, "s": None, "r": ""},
    {"a": "B", "t": 2, "x": 0.0},
    {"a": "B", "t": 3, "x": 200},
    b'{"a":1}',
    b"{",
]


def digest_of(items: Sequence[Any], batch: int = 100, contract: Contract = CONTRACT, **more: Any) -> str:
    with scratch() as folder:
        stand = Stand(folder, contract, **more)
        stand.run(ListSource(items, batch))
        return stand.digest()


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


def changed(number: int, **fields: Any) -> list[Any]:
    items = list(ITEMS)
    items[number] = {**items[number], **fields}
    return items


@pytest.mark.parametrize(
    "items",
    [
        changed(0, x=1.5000000000000002),
        changed(2, x=5e-324),
        changed(2, x=None),
        changed(0, t=2),
        changed(0, s="a", r="bc"),
        changed(0, s="ab|1:c", r=None),
        changed(1, s=""),
        changed(1, r=None),
        changed(1, s="~"),
        changed(3, x=200.5),
        [*ITEMS[:4], b'{"a":2}', ITEMS[5]],
        [*ITEMS[:4], b'{"a": 1}', ITEMS[5]],
        [*ITEMS, b"{"],
        ITEMS[:-1],
        ITEMS[1:],
    ],
)
def test_one_bit_is_noticed(items: list[Any]) -> None:
    """A bit of a float, a nanosecond, null for empty, a byte of a rejected row, a row more or less."""
    assert digest_of(items) != digest_of(ITEMS)


def test_the_checks_of_a_rejected_row_are_noticed() -> None:
    """The same bytes rejected for another reason are another outcome."""
    stricter = replace(
        CONTRACT, columns=(*CONTRACT.columns[:3], replace(CONTRACT.columns[3], required=True), CONTRACT.columns[4])
    )
    items = [{"a": "A", "t": 1, "x": 200}]
    assert digest_of(items, contract=stricter) != digest_of(items)


@given(st.randoms(use_true_random=False), st.integers(1, 7))
@settings(max_examples=15)
def test_order_and_batches_are_not_noticed(chance: random.Random, batch: int) -> None:
    """The same rows in any order of assets and in any batches: late marks and numbers differ, the digest does not."""
    items = list(ITEMS)
    chance.shuffle(items)
    assert digest_of(items, batch) == digest_of(ITEMS)


def test_the_day_of_receipt_and_duplicates_are_not_noticed() -> None:
    """When it was read, how often it was sent and which job read it do not count."""
    assert digest_of(
        [*ITEMS[:5], *ITEMS[:3], *ITEMS[5:]], 2, clock=ManualClock(1_800_000_000_000_000_000)
    ) == digest_of(ITEMS)


def test_a_stream_that_is_only_in_the_lake_has_the_same_digest() -> None:
    """Where rows are kept does not count."""
    assert digest_of(ITEMS, 2, lake_only=True) == digest_of(ITEMS)


def test_an_empty_stream_has_a_digest() -> None:
    """Of its own name, at least."""
    assert digest_of([]) != digest_of([], contract=replace(CONTRACT, stream="r"))


def test_a_discarded_row_counts_and_a_repaired_one_does_not(bench: Path) -> None:
    """People's actions change nothing; a repair moves the row to what is stored."""
    narrow, wide = (
        Stand(bench, CONTRACT),
        replace(CONTRACT, hash="2", columns=(*CONTRACT.columns[:2], Column("x", "number"), *CONTRACT.columns[3:])),
    )
    narrow.run(ListSource(ITEMS))
    before = narrow.digest()
    with closing(narrow.store()) as store:
        store.discard([2], "not needed")
    assert narrow.digest() == before
    Stand(bench, wide).repair()
    assert narrow.digest() == digest_of(ITEMS, contract=wide)


@given(values(), st.integers(0, 10**6), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_any_change_of_any_stored_value_is_noticed(
    rows: list[dict[str, Any]], which: int, chance: random.Random
) -> None:
    """Whatever type: rows in another order have the same digest, one value changed has another."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert digest_of_rows(shuffled) == digest_of_rows(rows)
    assert (digest_of_rows(_altered(rows, which)) == digest_of_rows(rows)) == (rows == [])


def digest_of_rows(rows: list[dict[str, Any]]) -> str:
    with scratch() as folder, closing(Stand(folder, READINGS).store()) as store:
        epoch = store.open("readings", LIVE).epoch
        store.commit(outcome_of(READINGS, 1, rows), READINGS, epoch)
        return digest(READINGS, store, None)


def _altered(rows: list[dict[str, Any]], which: int) -> list[dict[str, Any]]:
    if not rows:
        return rows
    columns = [column.storage for column in READINGS.columns]
    row, name = which % len(rows), columns[which // len(rows) % len(columns)]
    value = rows[row][name]
    if isinstance(value, bool):
        other: Any = not value
    elif isinstance(value, int):
        other = value ^ 1
    elif isinstance(value, float):
        other = value + 1 if abs(value) < 2**52 else value / 2
    elif isinstance(value, str):
        other = value + "x"
    else:
        other = (
            None if value is not None else {"part": 0, "value": 0.0, "note": "", "is_on": False, "seen_ns": 0}.get(name)
        )
    if name == "day" and value is None:
        return [{**one, "note": f"{one['note']}x"} if at == row else one for at, one in enumerate(rows)]
    return [{**one, name: other} if at == row else one for at, one in enumerate(rows)]


def test_a_changed_table_is_noticed(bench: Path) -> None:
    """Someone who alters the table behind hotfire's back changes the digest."""
    stand = Stand(bench, CONTRACT)
    stand.run(ListSource(ITEMS))
    before = stand.digest()
    with closing(SqliteConnection(bench / "hotfire.db")) as connection:
        connection.query("UPDATE s SET x = 1.5000000000000002 WHERE x = 1.5")
        connection.commit()
    assert stand.digest() != before


def test_every_version_of_an_entity_counts(bench: Path) -> None:
    """The history is part of what is stored."""
    with closing(Stand(bench, ROCKETS).store()) as store:
        seen = set()
        for batch_seq, name in enumerate(("one", "two", "one"), 1):
            epoch = store.open("rockets", LIVE).epoch
            store.commit(outcome_of(ROCKETS, batch_seq, [{"id": "a", "name": name}]), ROCKETS, epoch)
            seen.add(digest(ROCKETS, store, None))
        assert len(seen) == 3


def test_quarantine_and_rows_do_not_mix(bench: Path) -> None:
    """What is stored and what is rejected are summed up apart."""
    with closing(Stand(bench, READINGS).store()) as store:
        epoch = store.open("readings", LIVE).epoch
        nothing = digest(READINGS, store, None)
        store.commit(outcome_of(READINGS, 1, [reading("a")], assets=assets_of(("a", 1, 1, 0, 1))), READINGS, epoch)
        stored = digest(READINGS, store, None)
        store.commit(outcome_of(READINGS, 2, rejected=[rejected(0)]), READINGS, epoch)
        assert len({nothing, stored, digest(READINGS, store, None)}) == 3


def test_the_total_is_of_names_and_digests() -> None:
    """In any order of streams the same, for other names another."""
    assert total([("a", "1"), ("b", "2")]) == total([("b", "2"), ("a", "1")])
    assert len({total([("a", "1"), ("b", "2")]), total([("a", "2"), ("b", "1")]), total([("a", "1")]), total([])}) == 4
