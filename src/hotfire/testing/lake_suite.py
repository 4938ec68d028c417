"""What every lake must do. A test class inherits `LakeSuite` and says how to open a lake and how to litter it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract, Lens
from hotfire.protocols import Lake

START_NS = 1_767_225_600_000_000_001
HOUR_NS = 3_600_000_000_000
INT64 = st.integers(-(2**63), 2**63 - 1)

READINGS = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("device", "string", required=True),
        Column("taken", "timestamp", required=True),
        Column("part", "integer"),
        Column("value", "number", unit="bar"),
        Column("note", "string"),
        Column("is_on", "boolean"),
        Column("day", "date"),
        Column("seen", "timestamp"),
    ),
    asset="device",
    time="taken",
    key=("part",),
)
"""Telemetry with every type of column, and a key that may be null."""

ROCKETS = Contract(
    stream="rockets",
    version="1.0.0",
    kind="entity",
    columns=(Column("id", "string", required=True), Column("name", "string")),
    key=("id",),
)
"""Records with versions."""

SHARED = [HealthCheck.differing_executors, HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
"""A suite runs under several classes, and each example takes a table of its own."""

_TYPES: dict[str, type[pl.DataType]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "timestamp": pl.Int64,
}
_MARKS: dict[str, type[pl.DataType]] = {
    "shard": pl.String,
    "batch_seq": pl.Int64,
    "row_no": pl.Int64,
    "late": pl.Boolean,
    "corrected": pl.Boolean,
    "unknown_fields": pl.String,
}
_ENTITY_MARKS: dict[str, type[pl.DataType]] = {
    "superseded": pl.Boolean,
    "deleted": pl.Boolean,
    "received_at_ns": pl.Int64,
}
_streams = count()


def rows_of(contract: Contract, batch_seq: int, values: Iterable[dict[str, Any]], shard: str = "live") -> pl.DataFrame:
    """A batch as the store gives it to the lake: storage columns and bookkeeping; what is not said is null."""
    marks = {**_MARKS, **(_ENTITY_MARKS if contract.kind == "entity" else {})}
    schema = {**{column.storage: _TYPES[column.type] for column in contract.columns}, **marks}
    always = {
        "shard": shard,
        "batch_seq": batch_seq,
        "late": False,
        "corrected": False,
        "superseded": False,
        "deleted": False,
    }
    listed = [{**always, "row_no": row_no, **one} for row_no, one in enumerate(values)]
    return pl.DataFrame([{name: one.get(name) for name in schema} for one in listed], schema=schema)


def batch(batch_seq: int, rows: int = 10, shard: str = "live") -> pl.DataFrame:
    """Readings of one batch: one a second, each batch an hour later."""
    start = START_NS + batch_seq * HOUR_NS
    values = [
        {"device": f"{shard}-{row_no % 3}", "taken_ns": start + row_no * 1_000_000_000, "value": row_no / 10}
        for row_no in range(rows)
    ]
    return rows_of(READINGS, batch_seq, values, shard)


def everything(lake: Lake, contract: Contract = READINGS) -> pl.DataFrame:
    """All rows of the stream, in arrival order."""
    frames = list(lake.rows(contract))
    whole = pl.concat(frames) if frames else rows_of(contract, 0, [])
    return whole.sort("shard", "batch_seq", "row_no")


def same(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    """Whether two frames are equal to the last bit: floats are compared as their bytes."""
    order = ["shard", "batch_seq", "row_no"]
    bits = pl.selectors.float().reinterpret(dtype=pl.UInt64)
    return found.sort(order).with_columns(bits).equals(expected.select(found.columns).sort(order).with_columns(bits))


def _readings() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Values that are easily lost: subnormals, the ends of int64, empty and exotic text, nulls."""
    floats = st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([5e-324, -5e-324, 1e300, 1.7976931348623157e308, 0.1, 2.0**53 + 2]),
    )
    text = st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        st.sampled_from(["", " ", "null", "🚀", "e\u0301", "a\nb", '"', "\\"]),
    )
    return st.lists(
        st.fixed_dictionaries(
            {
                "device": text,
                "taken_ns": INT64,
                "part": st.none() | INT64,
                "value": st.none() | floats,
                "note": st.none() | text,
                "is_on": st.none() | st.booleans(),
                "day": st.none() | st.dates(),
                "seen_ns": st.none() | INT64,
            }
        ),
        max_size=8,
    )


class LakeSuite:
    """Tests over the fixture `open_lake`, which a subclass provides.

    `open_lake(incarnation)` opens the lake of this test anew, as a new process would; at the first call it is empty.
    """

    def litter(self, lake: Lake, stream: str) -> None:
        """Leave behind what a writer leaves that is killed between the data and the log: a file that nobody names."""
        raise LookupError(f"{type(self).__name__} does not say how to litter {lake} with a file for {stream}")

    def test_a_new_lake_is_empty(self, open_lake: Callable[[str], Lake]) -> None:
        """Nothing is there before the first append, and asking does no harm."""
        lake = open_lake("a")
        assert (lake.marker("readings", "live"), list(lake.files("readings"))) == (0, [])
        assert everything(lake).is_empty()
        assert lake.counts("readings").is_empty()
        assert lake.stored(READINGS, batch(1)).is_empty()
        assert lake.major("readings") is None
        assert lake.maintain("readings")["files"] == 0

    def test_an_append_is_there_for_everyone(self, open_lake: Callable[[str], Lake]) -> None:
        """After an append the same and a new handle see the rows and the marker."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 1, batch(1))
        for seen in (lake, open_lake("a")):
            assert seen.marker("readings", "live") == 1
            assert same(everything(seen), batch(1))

    def test_an_append_counts_once(self, open_lake: Callable[[str], Lake]) -> None:
        """Appending batches that are there, by the same or a new handle, changes nothing."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 2, pl.concat([batch(1), batch(2)]))
        for again, upto, rows in ((lake, 2, batch(2)), (open_lake("a"), 2, batch(2)), (open_lake("a"), 1, batch(1))):
            again.append(READINGS, "live", upto, rows)
        assert (lake.marker("readings", "live"), everything(lake).height) == (2, 20)

    def test_an_empty_append_moves_the_marker(self, open_lake: Callable[[str], Lake]) -> None:
        """Batches without stored rows are done as well."""
        lake = open_lake("a")
        for upto in (3, 4):
            lake.append(READINGS, "live", upto, batch(upto, rows=0))
            assert open_lake("a").marker("readings", "live") == upto
        assert everything(lake).is_empty()
        lake.append(READINGS, "live", 5, batch(5))
        assert same(everything(lake), batch(5))

    def test_shards_and_incarnations_have_their_own_markers(self, open_lake: Callable[[str], Lake]) -> None:
        """A shard, or a new store, starts at 0 whatever the others have."""
        lake, other = open_lake("a"), open_lake("b")
        lake.append(READINGS, "live", 7, batch(7))
        lake.append(READINGS, "backfill-1", 2, batch(2, shard="backfill-1"))
        assert [lake.marker("readings", shard) for shard in ("live", "backfill-1", "none")] == [7, 2, 0]
        assert other.marker("readings", "live") == 0

    def test_a_stale_writer_is_fenced(self, open_lake: Callable[[str], Lake]) -> None:
        """Of two handles opened at the same state, the second to append a batch appends nothing."""
        first, second = open_lake("a"), open_lake("a")
        first.append(READINGS, "live", 1, batch(1))
        assert second.marker("readings", "live") == 1
        first.append(READINGS, "live", 2, batch(2))
        second.append(READINGS, "live", 2, batch(2))
        second.append(READINGS, "live", 3, batch(3))
        assert same(everything(first), pl.concat([batch(1), batch(2), batch(3)]))

    def test_writers_that_race_for_a_batch_write_it_once(self, open_lake: Callable[[str], Lake]) -> None:
        """Whoever is second finds the batch there, even between reading the marker and the commit."""
        open_lake("a").append(READINGS, "live", 1, batch(1))
        lakes, barrier = [open_lake("a") for _ in range(3)], Barrier(3)

        def race(lake: Lake) -> None:
            for seq in range(2, 6):
                barrier.wait()
                lake.append(READINGS, "live", seq, batch(seq))

        with ThreadPoolExecutor(len(lakes)) as pool:
            list(pool.map(race, lakes))
        assert same(everything(open_lake("a")), pl.concat([batch(seq) for seq in range(1, 6)]))

    def test_writers_of_different_shards_lose_nothing(self, open_lake: Callable[[str], Lake]) -> None:
        """Shards append at the same time, one of them to a table that another creates, and all rows arrive."""
        shards = ("p0", "p1")

        def write(shard: str) -> None:
            lake = open_lake("a")
            for seq in range(1, 6):
                lake.append(READINGS, shard, seq, batch(seq, shard=shard))

        with ThreadPoolExecutor(len(shards)) as pool:
            list(pool.map(write, shards))
        written = pl.concat([batch(seq, shard=shard) for shard in shards for seq in range(1, 6)])
        assert same(everything(open_lake("a")), written)

    def test_an_unfinished_append_is_invisible(self, open_lake: Callable[[str], Lake]) -> None:
        """A data file that no commit names is not read, and the append is simply done again."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 1, batch(1))
        self.litter(lake, "readings")
        again = open_lake("a")
        assert again.marker("readings", "live") == 1
        assert same(everything(again), batch(1))
        again.append(READINGS, "live", 2, batch(2))
        assert same(everything(again), pl.concat([batch(1), batch(2)]))

    @settings(max_examples=20, suppress_health_check=SHARED)
    @given(values=_readings())
    def test_values_come_back_bit_for_bit(self, open_lake: Callable[[str], Lake], values: list[dict[str, Any]]) -> None:
        """Whatever is appended comes back to the last bit, before and after maintenance, whole or looked up."""
        lake, contract = open_lake("a"), replace(READINGS, stream=f"readings_{next(_streams)}")
        rows = rows_of(contract, 1, values)
        for upto, part in enumerate((rows[::2], rows[1::2]), 1):
            lake.append(contract, "live", upto, part)
        for _ in ("as written", "maintained"):
            assert same(everything(lake, contract), rows)
            assert same(lake.stored(contract, rows), rows)
            lake.maintain(contract.stream)

    def test_only_equal_identities_are_found(self, open_lake: Callable[[str], Lake]) -> None:
        """Every identity column counts; a null in a key equals a null; what is not asked for is not found."""
        lake = open_lake("a")
        one = {"device": "d", "taken_ns": START_NS}
        values = [
            one,
            {**one, "part": 1},
            {**one, "part": 2},
            {**one, "taken_ns": START_NS + 1},
            {**one, "device": "e"},
        ]
        rows = rows_of(READINGS, 1, values)
        lake.append(READINGS, "live", 1, rows)
        for wanted in (rows[:1], rows[1:2], rows[2:5], rows[:0], batch(9)):
            expected = rows[:0] if wanted.height == 10 else wanted
            assert same(lake.stored(READINGS, wanted.select(READINGS.identity)), expected)

    def test_rows_are_counted_by_batch(self, open_lake: Callable[[str], Lake]) -> None:
        """One append may bring several batches; each is counted by itself."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 3, pl.concat([batch(1, rows=2), batch(3, rows=5)]))
        lake.append(READINGS, "side", 1, batch(1, rows=1, shard="side"))
        counted = lake.counts("readings").sort("shard", "batch_seq").rows()
        assert counted == [("live", 1, 2), ("live", 3, 5), ("side", 1, 1)]

    def test_versions_of_records_keep_their_marks(self, open_lake: Callable[[str], Lake]) -> None:
        """The history of records: when a version was received, and whether a newer one was there."""
        lake = open_lake("a")
        values = [
            {"id": "falcon", "name": "Falcon 1", "superseded": True, "received_at_ns": START_NS},
            {"id": "falcon", "name": "Falcon 9", "received_at_ns": START_NS + 40 * HOUR_NS},
            {"id": "other", "name": "", "received_at_ns": START_NS},
        ]
        rows = rows_of(ROCKETS, 1, values)
        lake.append(ROCKETS, "live", 1, rows)
        assert same(everything(lake, ROCKETS), rows)
        assert same(lake.stored(ROCKETS, rows[:1]), rows[:2])

    def test_maintenance_keeps_rows_and_markers(self, open_lake: Callable[[str], Lake]) -> None:
        """Many small appends become few files; rows, markers and fencing stay."""
        lake = open_lake("a")
        for seq in range(1, 21):
            lake.append(READINGS, "live", seq, batch(seq, rows=3))
        done = lake.maintain("readings")
        assert len(lake.files("readings")) == done["files"] <= 2
        for seen in (lake, open_lake("a")):
            seen.append(READINGS, "live", 20, batch(20))
            assert seen.marker("readings", "live") == 20
            assert same(everything(seen), pl.concat([batch(seq, rows=3) for seq in range(1, 21)]))
        lake.append(READINGS, "live", 21, batch(21))
        assert lake.counts("readings")["rows"].sum() == 70

    def test_a_contract_may_gain_columns(self, open_lake: Callable[[str], Lake]) -> None:
        """Rows from before are null in the new column, and both kinds can be read, found and maintained."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 1, batch(1))
        wider = replace(READINGS, version="1.1.0", columns=(*READINGS.columns, Column("flow", "number")))
        new = rows_of(wider, 2, [{"device": "d", "taken_ns": START_NS, "flow": 0.5}])
        assert everything(lake, wider)["flow"].null_count() == 10
        lake.append(wider, "live", 2, new)
        expected = pl.concat([batch(1).with_columns(flow=pl.lit(None, dtype=pl.Float64)).select(new.columns), new])
        for seen in (lake, open_lake("a")):
            assert same(everything(seen, wider), expected)
            assert same(seen.stored(wider, new), new)
            seen.maintain("readings")

    def test_a_new_major_version_converts_every_row(self, open_lake: Callable[[str], Lake]) -> None:
        """Columns may go, come and change their type; arrival order, marks and markers stay."""
        lake = open_lake("a")
        lake.append(READINGS, "live", 2, pl.concat([batch(1), batch(2)]))
        columns = (READINGS.column("device"), READINGS.column("taken"), Column("value", "string"))
        newer = replace(READINGS, version="2.0.0", columns=columns, key=(), lens=Lens(1, "false"), older=(READINGS,))

        def convert(rows: pl.DataFrame) -> pl.DataFrame:
            return rows.select("device", "taken_ns", pl.col("value").cast(pl.String))

        assert lake.major("readings") == 1
        lake.rewrite(newer, convert)
        expected = pl.concat([batch(1), batch(2)])
        kept = expected.select(list(_MARKS))
        for seen in (lake, open_lake("a")):
            assert (seen.major("readings"), seen.marker("readings", "live")) == (2, 2)
            assert same(everything(seen, newer), convert(expected).hstack(kept))
        lake.append(newer, "live", 3, rows_of(newer, 3, [{"device": "d", "taken_ns": START_NS, "value": "7"}]))
        lake.maintain("readings")
        assert everything(open_lake("a"), newer).height == 21
