"""Laws of the lake's layout and of reading it by halves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotfire.lake import layout
from hotfire.lake.delta import DeltaLake
from hotfire.testing.lake_suite import READINGS, everything, rows_of, same

INT64 = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(-3, 3).map(lambda days: days * 86_400_000_000_000 + 1_767_225_600_000_000_000)
TIMES = st.builds(lambda start, more: start + more, NEAR, st.integers(-2, 2))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
lakes = count()


@given(instants=st.lists(INT64, min_size=1))
def test_instants_are_filed_under_their_utc_date(instants: list[int]) -> None:
    """The date and the microseconds beside an instant are those of the calendar, before 1970 as well."""
    rows = rows_of(READINGS, 1, [{"device": "d", "taken_ns": instant} for instant in instants])
    shown = layout.to_lake(READINGS, rows)
    assert shown["taken_ns"].to_list() == instants
    assert shown["taken"].to_physical().to_list() == [instant // 1000 for instant in instants]
    dates = [(EPOCH + timedelta(microseconds=instant // 1000)).date() for instant in instants]
    assert shown["event_date"].to_list() == dates


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appends=st.lists(st.lists(TIMES, max_size=5), min_size=1, max_size=4),
    bounds=st.tuples(st.none() | TIMES, st.none() | TIMES, st.none() | st.integers(0, 4)),
    wanted=st.lists(TIMES, max_size=4),
    maintained=st.sampled_from([True, False]),
)
def test_skipping_files_loses_no_row(
    tmp_path: Path,
    appends: list[list[int]],
    bounds: tuple[int | None, int | None, int | None],
    wanted: list[int],
    *,
    maintained: bool,
) -> None:
    """What is read of some times, batches or identities is what filtering all rows gives."""
    since, until, after = bounds
    lake = DeltaLake(tmp_path / str(next(lakes)), "a")
    for seq, times in enumerate(appends, 1):
        rows = [{"device": "d", "taken_ns": time} for time in times]
        lake.append(READINGS, "live", seq, rows_of(READINGS, seq, rows))
    if maintained:
        lake.maintain("readings")
    whole = everything(lake)
    assert whole.height == sum(len(times) for times in appends)
    expected = whole.filter(
        pl.lit(value=True) if since is None else pl.col("taken_ns") >= since,
        pl.lit(value=True) if until is None else pl.col("taken_ns") < until,
        pl.lit(value=True) if after is None else pl.col("batch_seq") > after,
    )
    found = [whole[:0], *lake.rows(READINGS, since_ns=since, until_ns=until, after=after)]
    assert same(pl.concat(found), expected)
    identities = rows_of(READINGS, 9, [{"device": "d", "taken_ns": time} for time in wanted])
    assert same(lake.stored(READINGS, identities), whole.filter(pl.col("taken_ns").is_in(wanted)))


@pytest.mark.parametrize("shard", ["live", "p'0", "none"])
def test_a_shard_can_be_read_alone(tmp_path: Path, shard: str) -> None:
    """Only rows of the shard that was asked for come back, whatever its name."""
    lake = DeltaLake(tmp_path, "a")
    for name in ("live", "p'0"):
        lake.append(READINGS, name, 1, rows_of(READINGS, 1, [{"device": name, "taken_ns": 0}], name))
    found = [frame["device"].to_list() for frame in lake.rows(READINGS, columns=["device"], shard=shard)]
    assert [name for names in found for name in names] == ([] if shard == "none" else [shard])
