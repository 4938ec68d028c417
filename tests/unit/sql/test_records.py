"""Values of results as people and programs get them: one form, whatever the answer is written in."""

from __future__ import annotations

import csv as reader
import io
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from hotfire.sql.records import csv, records

instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001 - the zone is the column's


@given(st.lists(instants | st.none(), min_size=1, max_size=5), st.sampled_from(["UTC", None]))
def test_instants_are_written_alike(values: list[datetime | None], zone: str | None) -> None:
    """An instant is the same text in CSV as in JSON: ISO 8601, with Z where it has a zone."""
    frame = pl.DataFrame({"at": pl.Series(values, dtype=pl.Datetime("us")).dt.replace_time_zone(zone), "n": 1})
    texts = [row["at"] for row in reader.DictReader(io.StringIO(csv(frame)))]
    assert texts == [row["at"] or "" for row in records(frame)]
    assert all(text.endswith("Z") is (zone is not None) for text in texts if text)


def test_every_kind_of_value() -> None:
    """What CSV has no form for is written as JSON has it; what no number is, is left empty."""
    frame = pl.DataFrame(
        {
            "list": [[1, 2], None],
            "struct": [{"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"at": None}],
            "bytes": [b"\x00\xab", None],
            "number": [float("nan"), 1e300],
            "whole": [1, -(2**62)],
            "flag": [True, None],
            "span": [timedelta(seconds=1.5), None],
            "text": ['say "no", twice', "\n"],
        }
    )
    first, second = reader.DictReader(io.StringIO(csv(frame), newline=""))
    assert first == {
        "list": "[1, 2]",
        "struct": '{"at": "2026-01-01T00:00:00Z"}',
        "bytes": "AKs=",
        "number": "",
        "whole": "1",
        "flag": "true",
        "span": "1.5",
        "text": 'say "no", twice',
    }
    assert (second["number"], second["whole"], second["list"], second["text"]) == ("1e+300", str(-(2**62)), "", "\n")
