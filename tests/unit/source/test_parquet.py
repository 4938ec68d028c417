"""Parquet as a source: strict types, nested columns, rows that can be judged again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from hotfire.contract.model import Field
from hotfire.contract.times import to_ns
from hotfire.errors import SourceChanged
from hotfire.rows import Decoded, Place
from hotfire.source.files import FileRead, FileSettings, FileSource
from hotfire.source.formats.join import records_from_raw
from hotfire.testing.clocks import ManualClock


def field(path: str, kind: str, *, coerce: bool = False, form: str = "iso") -> Field:
    return Field(path, path.replace(".", "_"), kind, form, coerce)  # type: ignore[arg-type]


def drain(path: Path, rows: int) -> list[FileRead]:
    files, reads = FileSource([str(path)], FileSettings(batch_rows=rows), ManualClock()), []
    position: dict[str, Place] = {}
    while read := files.poll(position):
        reads.append(read)
        position |= {part.place.key: part.after() for part in read.span.parts}
    files.close()
    return reads


def decoded(frame: pl.DataFrame, tmp_path: Path, *fields: Field) -> tuple[Decoded, FileRead]:
    frame.write_parquet(tmp_path / "a.parquet")
    (read,) = drain(tmp_path / "a.parquet", 10**6)
    return read.records.decode(fields), read


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_rows_come_in_any_batches(tmp_path: Path, rows: int) -> None:
    """Offsets are rows: however many are taken at a time, they are the same, and read again they have the same hash."""
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame({"n": range(50), "t": [f"r{at}" if at % 3 else None for at in range(50)]})
    frame.write_parquet(path, row_group_size=8)
    reads = drain(path, rows)
    fields = [field("n", "integer"), field("t", "string")]
    found = pl.concat(read.records.decode(fields).frame.drop("row_no") for read in reads)
    assert found.equals(frame)
    source = FileSource([str(path)], FileSettings(), ManualClock())
    assert [source.reread(read.span).sha256 for read in reads] == [read.sha256 for read in reads]
    assert len({read.sha256 for read in reads}) == len(reads)
    at = reads[-1].records.where(0)
    assert (at.offset, at.line) == (50 - len(reads[-1].records), 51 - len(reads[-1].records))


def test_types_are_strict(tmp_path: Path) -> None:
    """An integer is a number, but a float is no integer and text is no number, value by value."""
    frame = pl.DataFrame({"i": [1, None], "f": [1.0, None], "s": ["2.5", None], "b": [True, False]})
    wanted = [field("i", "number"), field("f", "integer"), field("s", "number"), field("b", "boolean")]
    found, _ = decoded(frame, tmp_path, *wanted)
    assert found.frame.rows() == [(0, 1.0, None, None, True), (1, None, None, None, False)]
    assert [(one.row_no, one.check, one.value) for one in found.faults] == [(0, "f.type", "1.0"), (0, "s.type", "2.5")]


def test_coercion_is_counted(tmp_path: Path) -> None:
    """Where the contract allows it, text becomes numbers and whole floats integers, and each is told."""
    frame = pl.DataFrame({"f": [1.0, 1.5], "s": ["2.5", "x"], "t": [7, None], "o": [True, None]})
    wanted = [("f", "integer"), ("s", "number"), ("t", "string"), ("o", "string")]
    found, _ = decoded(frame, tmp_path, *(field(name, kind, coerce=True) for name, kind in wanted))
    assert found.frame.rows() == [(0, 1, 2.5, "7", "true"), (1, None, None, None, None)]
    assert found.coerced == [(0, "f", "1.0"), (0, "s", "2.5"), (0, "t", "7"), (0, "o", "true")]
    assert [one.check for one in found.faults] == ["f.type", "s.type"]


def test_nested_and_unknown_columns(tmp_path: Path) -> None:
    """Nested columns go by dotted path; what the contract does not know is kept as JSON."""
    frame = pl.DataFrame({"at": [{"lat": 1.5, "more": {"z": 2}}, None], "x": ["k", None]})
    found, _ = decoded(frame, tmp_path, field("at.lat", "number"))
    assert found.frame["at.lat"].to_list() == [1.5, None]
    assert found.frame["unknown_fields"].to_list() == ['{"at.more.z":2,"x":"k"}', None]


def test_instants_stay_as_they_are(tmp_path: Path) -> None:
    """Instants keep their type to the nanosecond; in the raw row they are ISO 8601, and come back from there."""
    ns = 1_700_000_000_123_456_789
    frame = pl.DataFrame({"t": pl.Series([ns]).cast(pl.Datetime("ns", "UTC")), "v": [float("nan")]})
    fields = [field("t", "timestamp"), field("v", "number")]
    found, read = decoded(frame, tmp_path, *fields)
    assert found.frame["t"].cast(pl.Int64).to_list() == [ns]
    raw, place = read.records.raw(0), read.records.where(0)
    assert raw == b'{"t":"2023-11-14T22:13:20.123456789Z","v":"nan"}'
    again = records_from_raw([(raw, place.facts, place)]).decode(fields)
    assert again.frame["t"].to_list() == ["2023-11-14T22:13:20.123456789Z"]
    assert [fault.check for fault in again.faults] == ["v.type"]


def test_odd_types_become_json(tmp_path: Path) -> None:
    """Bytes, dates, decimals and lists do not break a raw row."""
    when = datetime(2026, 1, 2, tzinfo=UTC)
    frame = pl.DataFrame({"b": [b"\xff"], "d": [when.date()], "l": [[1, 2]]}).with_columns(
        c=pl.lit("1.50").cast(pl.Decimal(9, 2))
    )
    fields = [field("d", "date"), field("c", "number")]
    found, read = decoded(frame, tmp_path, *fields)
    assert found.frame.select("d", "c").rows() == [("2026-01-02", 1.5)]
    raw, place = read.records.raw(0), read.records.where(0)
    assert raw == b'{"b":"ff","d":"2026-01-02","l":[1,2],"c":1.50}'
    again = records_from_raw([(raw, place.facts, place)]).decode(fields)
    assert again.frame.select("d", "c").equals(found.frame.select("d", "c"))


@pytest.mark.parametrize(
    ("column", "ns"),
    [
        (pl.Series([1594598726], dtype=pl.Int32), 1594598726 * 10**9),
        (pl.Series(["1594598726"]).cast(pl.Decimal(38, 0)), 1594598726 * 10**9),
        (pl.Series(["1594598726.5393324"]).cast(pl.Decimal(38, 9)), 1594598726539332400),
        (pl.Series(["9" * 30]).cast(pl.Decimal(38, 0)), "out of range"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "out of range"),
    ],
)
def test_epochs_of_every_type(tmp_path: Path, column: pl.Series, ns: object) -> None:
    """Whole numbers and decimals are epochs; what 64 bits do not hold is out of range, not an error."""
    found, _ = decoded(column.alias("t").to_frame(), tmp_path, field("t", "timestamp", form="epoch_s"))
    instants, faults = to_ns(found.frame["t"], "epoch_s")
    assert found.faults == []
    assert (instants.item() if faults.item() is None else faults.item()) == ns


def test_an_epoch_as_text_is_coerced_or_refused(tmp_path: Path) -> None:
    """Text is no epoch, as it is none in JSON, unless the contract says so."""
    frame = pl.DataFrame({"t": [" 1594598726.5 ", "soon"]})
    strict, _ = decoded(frame, tmp_path, field("t", "timestamp", form="epoch_s"))
    assert [(one.row_no, one.check) for one in strict.faults] == [(0, "t.type"), (1, "t.type")]
    found, _ = decoded(frame, tmp_path, field("t", "timestamp", form="epoch_s", coerce=True))
    assert to_ns(found.frame["t"], "epoch_s")[0].to_list() == [1594598726500000000, None]
    assert found.coerced == [(0, "t", " 1594598726.5 ")]
    assert [(one.row_no, one.check) for one in found.faults] == [(1, "t.type")]


def test_a_shorter_file_is_refused(tmp_path: Path) -> None:
    """A Parquet file written anew with fewer rows is refused where its rows were planned."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"n": range(5000)}).write_parquet(path, compression="uncompressed", use_pyarrow=False)
    (read,) = drain(path, 10**6)
    pl.DataFrame({"n": range(4000)}).write_parquet(path, compression="uncompressed")
    with pytest.raises(SourceChanged):
        FileSource([str(path)], FileSettings(), ManualClock()).reread(read.span)


def test_what_is_no_parquet_is_a_problem(tmp_path: Path) -> None:
    """A file cut short is left out with a reason."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"n": range(5000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    source = FileSource([str(path)], FileSettings(), ManualClock())
    assert source.poll({}) is None
    assert "not a whole Parquet file" in source.problems[0].what
