"""Fields that a file implies: exact instants, constants of the name, SQL."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.model import Field
from hotfire.errors import SettingsError
from hotfire.rows import Place
from hotfire.source.derive import expression, instants
from hotfire.source.files import FileSettings, FileSource
from hotfire.source.formats.join import records_from_raw
from hotfire.source.formats.reading import Counter, Reading, Wanted
from hotfire.testing.clocks import ManualClock

START_NS = 1_199_145_600_000_000_000


def field(path: str, kind: str) -> Field:
    return Field(path, path, kind, "iso", coerce=False)  # type: ignore[arg-type]


@given(
    count=st.integers(-(10**8), 10**8) | st.floats(-1e8, 1e8),
    rate=st.sampled_from([1.0, 2000.0, 0.1, 3.0, 44100.0, 1e9]),
)
def test_instants_are_exact(count: float, rate: float) -> None:
    """An instant is start + count / rate to the nanosecond, whatever a float64 would make of it."""
    expected = START_NS + round(Fraction(repr(count)) * 10**9 / Fraction(repr(rate)))
    for values in (pl.Series("n", [count, None]), pl.Series("n", [repr(count), "n/a"])):
        found = instants(values, Counter("n", START_NS, rate))
        assert found.dtype == pl.Datetime("ns", "UTC")
        assert found.cast(pl.Int64).to_list() == [expected, None]


def test_name_clock_and_sql_make_fields(tmp_path: Path) -> None:
    """A counting file gets its asset from name and unit and its instants from the cycle; quarantine can do it again."""
    for number in (1, 2):
        (tmp_path / f"train_FD00{number}.txt").write_text(f"1 {number} 21.5  \n2 {number} n/a  \n")
    wanted = Wanted(
        columns=("unit", "cycle", "t2"),
        name_pattern=r"(?P<set_id>FD\d+)",
        derive={"asset": "set_id || '/' || unit"},
        clock=Counter("cycle", START_NS, 1.0),
        needs=("asset", "event_time", "cycle"),
    )
    files = FileSource([str(tmp_path)], FileSettings(wanted), ManualClock())
    read = files.poll({})
    assert read is not None
    assert files.problems == []
    fields = [
        field("asset", "string"),
        field("event_time", "timestamp"),
        field("t2", "number"),
        field("cycle", "integer"),
    ]
    decoded = read.records.decode(fields)
    assert decoded.frame.columns == ["row_no", "t2", "cycle", "asset", "event_time"]
    assert decoded.frame["asset"].to_list() == ["FD001/1", "FD001/2", "FD002/1", "FD002/2"]
    assert decoded.frame["event_time"].cast(pl.Int64).to_list() == [START_NS + n * 10**9 for n in (1, 1, 2, 2)]
    assert [(fault.row_no, fault.check) for fault in decoded.faults] == [(1, "t2.type"), (3, "t2.type")]

    records = read.records
    raws = [(records.raw(at), records.where(at).facts, records.where(at)) for at in (3, 1)]
    files.close()
    again = records_from_raw(raws)
    assert again.decode(fields).frame["asset"].to_list() == ["FD002/2", "FD001/2"]
    assert (again.raw(0), again.where(0)) == (records.raw(3), records.where(3))


def test_raw_records_of_every_make_are_read_again() -> None:
    """Rows of a CSV with a header, of JSON over several lines and of Parquet come out of quarantine side by side."""
    table = Reading("table", columns=("b", "a"), delimiter=";", decimal=",").facts()
    raws = [
        (b'"x\ny";1,5', table),
        (b'{"a": 2.5,\n "b": "z"}', Reading("json").facts()),
        (b'{"a":3.5,"b":"p"}', Reading("parquet").facts()),
        (b"broken", Reading("jsonl").facts()),
        (b"q;4,5", table),
    ]
    records = records_from_raw([(raw, {"reading": facts}, Place("k", "f")) for raw, facts in raws])
    decoded = records.decode([field("a", "number"), field("b", "string")])
    assert decoded.frame.select("row_no", "a", "b").rows() == [
        (0, 1.5, "x\ny"),
        (1, 2.5, "z"),
        (2, 3.5, "p"),
        (4, 4.5, "q"),
    ]
    assert [(fault.row_no, fault.check) for fault in decoded.faults] == [(3, "row.parse")]
    assert [records.raw(at) for at in range(5)] == [raw for raw, _ in raws]


def test_readings_survive_as_facts() -> None:
    """A reading comes back from its JSON values as it was."""
    clock = Counter("n", 5, 2.0, "at")
    for reading in (
        Reading("jsonl"),
        Reading("table", "gz", ";", ",", ("a", "b"), 7, 2, {"set": "1"}, clock, {"x": "a || b"}),
    ):
        assert Reading.of(reading.facts()) == reading


def test_sql_that_is_none_is_the_users_to_mend() -> None:
    """A derived field that is not SQL is an error of the settings."""
    with pytest.raises(SettingsError, match=r"field 'x'.* is not an SQL expression"):
        expression("x", "a || || b")


@pytest.mark.parametrize("sql", ["sum(n)", "n over (order by n)", "row_number() over ()", "now()"])
def test_derived_fields_see_only_their_row(sql: str) -> None:
    """A sum over the batch would depend on the batch: refused."""
    with pytest.raises(SettingsError, match="field 'x'"):
        expression("x", sql)


def test_sql_that_fails_on_the_rows_is_the_users_to_mend(tmp_path: Path) -> None:
    """A field outside the contract is a text: reckoning with it needs a cast, and whoever forgot it is told."""
    (tmp_path / "a.csv").write_text("n\n1\n")
    source = FileSource([str(tmp_path)], FileSettings(Wanted(derive={"x": "n + 1"})), ManualClock())
    read = source.poll({})
    assert read is not None
    with pytest.raises(SettingsError, match="field 'x': `n \\+ 1` cannot be evaluated"):
        read.records.decode((Field("x", "x", "number", "iso", coerce=False),))
    source.close()
