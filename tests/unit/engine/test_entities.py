"""Versions of entities against a model of a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.dedupe import Stored
from hotfire.engine.entities import sort_versions

BY_ARRIVAL = Contract(
    stream="s",
    version="1.0.0",
    kind="entity",
    columns=(
        Column("id", "string", required=True),
        Column("part", "integer"),
        Column("rev", "integer"),
        Column("x", "number"),
    ),
    key=("id", "part"),
)
BY_REVISION = replace(BY_ARRIVAL, revision="rev")
SCHEMA = {"id": pl.String, "part": pl.Int64, "rev": pl.Int64, "x": pl.Float64}
Row = tuple[str, int | None, int | None, float | None, bool]
GONE = (None, None)
"""What a deletion has for content."""
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, 1]),
        st.none() | st.integers(0, 3),
        st.sampled_from([None, 1.0, 2.0]),
        st.sampled_from([False, False, False, True]),
    ).map(lambda row: (*row[:2], *GONE, True) if row[4] else row),
    min_size=1,
    max_size=30,
)


def expected(contract: Contract, rows: Sequence[Row]) -> list[str]:
    """What should become of each row."""
    current: dict[Any, Row] = {}
    history: dict[Any, dict[Any, Row]] = {}
    fates = []
    for row in rows:
        key, now, rev = row[:2], current.get(row[:2]), row[2]
        before = history.get(key, {}).get(rev) if contract.revision else now
        if row[4]:
            fates.append("duplicate" if now is None else "stored")
            current.pop(key, None)
            history.pop(key, None)
        elif before == row:
            fates.append("duplicate")
        elif contract.revision and before is not None:
            fates.append("conflict")
        else:
            beaten = (
                bool(contract.revision) and now is not None and now[2] is not None and (rev is None or rev <= now[2])
            )
            fates.append("superseded" if beaten else "stored")
            history.setdefault(key, {})[rev] = row
            if not beaten:
                current[key] = row
    return fates


def actual(contract: Contract, rows: Sequence[Row], batch: int) -> list[str]:
    """What becomes of each row, batch after batch."""
    marks = {"batch_seq": pl.Int64, "row_no": pl.UInt32, "superseded": pl.Boolean, "deleted": pl.Boolean}
    table = pl.DataFrame(schema={**SCHEMA, **marks})
    fates: list[str] = []

    def look_up(keys: pl.DataFrame) -> pl.DataFrame:
        return table.join(keys, on=list(contract.identity), how="semi", nulls_equal=True).with_columns(
            shard=pl.lit("live")
        )

    for batch_seq, start in enumerate(range(0, len(rows), batch)):
        some = pl.DataFrame(rows[start : start + batch], schema={**SCHEMA, "deleted": pl.Boolean}, orient="row")
        frame = some.with_row_index("row_no")
        found = sort_versions(contract, frame, Stored(look_up, lambda *_: SCHEMA))
        kept = found.kept.with_columns(batch_seq=pl.lit(batch_seq, dtype=pl.Int64)).select(table.columns)
        table = pl.concat([table, kept])
        named = {no: "superseded" if beaten else "stored" for no, beaten in kept.select("row_no", "superseded").rows()}
        named |= dict.fromkeys(found.duplicates, "duplicate")
        named |= {fault.row_no: "conflict" for fault in found.conflicts}
        fates += [named[no] for no in range(frame.height)]
    return fates


@given(ROWS, st.integers(1, 30))
@settings(max_examples=100)
def test_by_revision_the_greater_one_wins(rows: list[Row], batch: int) -> None:
    """In whatever order versions come and wherever batches end; the same revision twice must be the same."""
    assert actual(BY_REVISION, rows, batch) == expected(BY_REVISION, rows)


@given(ROWS, st.integers(1, 30))
@settings(max_examples=100)
def test_without_a_revision_the_last_one_wins(rows: list[Row], batch: int) -> None:
    """A row equal to the current version is a duplicate; one equal to an older version is a new one."""
    assert actual(BY_ARRIVAL, rows, batch) == expected(BY_ARRIVAL, rows)


def test_a_conflict_names_what_differs() -> None:
    """The revision, and the columns in which the two rows disagree."""
    frame = pl.DataFrame([("a", 1, 1, 1.0), ("a", 1, 1, 2.0)], schema=SCHEMA, orient="row").with_row_index("row_no")
    (fault,) = sort_versions(BY_REVISION, frame, Stored(lambda _: frame.clear(), lambda *_: SCHEMA)).conflicts
    assert (fault.row_no, fault.check, fault.detail) == (1, "key.conflict", "revision 1 is stored with another x")


def test_the_replayed_row_keeps_its_place_in_the_order() -> None:
    """In a repair without a revision a row is newer only than what came before it."""
    frame = pl.DataFrame([("a", 1, None, 5.0), ("b", 1, None, 5.0)], schema=SCHEMA, orient="row").with_row_index(
        "row_no"
    )
    stored = [("a", 1, None, 1.0, "live", 3, 0, False), ("b", 1, None, 1.0, "live", 3, 2, False)]
    schema = {**SCHEMA, "shard": pl.String, "batch_seq": pl.Int64, "row_no": pl.Int64, "superseded": pl.Boolean}
    history = pl.DataFrame(stored, schema=schema, orient="row")
    kept = sort_versions(BY_ARRIVAL, frame, Stored(lambda _: history, lambda *_: SCHEMA), [(3, 1), (3, 1)]).kept
    assert kept.select("id", "superseded").rows() == [("a", False), ("b", True)]


def stored(*rows: tuple[object, ...]) -> Stored:
    """Stored versions: of each id, revision and x, whether it is superseded, whether a deletion."""
    marks = {"shard": pl.String, "batch_seq": pl.Int64, "row_no": pl.Int64}
    listed = [(one, 1, rev, x, beaten, gone, "live", 3, at) for at, (one, rev, x, beaten, gone) in enumerate(rows)]
    schema = {**SCHEMA, "superseded": pl.Boolean, "deleted": pl.Boolean, **marks}
    history = pl.DataFrame(listed, schema=schema, orient="row")
    return Stored(lambda _: history, lambda *_: SCHEMA)


def test_first_versions_are_counted() -> None:
    """Of a record that is new, or was deleted; not those that follow."""
    before = stored(("a", 1, 1.0, False, False), ("b", 1, 1.0, False, False), ("b", None, None, False, True))
    rows = [("a", 1, 2, 1.0), ("b", 1, 1, 1.0), ("b", 1, 2, 1.0), ("c", 1, 1, 1.0), ("c", 1, 1, 1.0)]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").with_row_index("row_no")
    for contract in (BY_ARRIVAL, BY_REVISION):
        found = sort_versions(contract, frame, before)
        assert (found.inserted, found.kept.height, found.duplicates) == (2, 4, [4])


def test_what_came_before_a_deletion_does_not_bring_a_record_back() -> None:
    """A row that leaves quarantine late is older than a deletion that came after it."""
    frame = pl.DataFrame([("a", 1, 9, 5.0), ("a", 1, 9, 5.0)], schema=SCHEMA, orient="row").with_row_index("row_no")
    before = stored(("a", 1, 1.0, False, False), ("a", None, None, False, True))
    for contract in (BY_ARRIVAL, BY_REVISION):
        kept = sort_versions(contract, frame, before, [(3, 0), (4, 0)]).kept
        assert kept["superseded"].to_list()[:1] == [True]
