"""What a draft is made from: the first records of any file, under the workspace's settings."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hotfire.clock import SystemClock
from hotfire.errors import UserError
from hotfire.workspace.sample import MOST_RECORDS, Sample, sample, save_draft
from hotfire.workspace.settings import load


def of(folder: Path, name: str, content: str | bytes, settings: str | None = None) -> Sample:
    """The sample of a file with this content, for the stream `s` of a workspace with these settings."""
    place = folder / name
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    known = None
    if settings is not None:
        (folder / "hotfire.toml").write_text(settings)
        known = load(folder, {}, {})
    return sample(str(place), "s", known, SystemClock())


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", "unit,flow\n1,2.5\n", [{"unit": "1", "flow": "2.5"}]),
        ("a.csv", "unit;flow\n1;2,5\n2;n,a\n", [{"unit": "1", "flow": "2.5"}, {"unit": "2", "flow": "n,a"}]),
        ("a.csv.gz", gzip.compress(b"unit,flow\n1,\n", mtime=0), [{"unit": "1", "flow": None}]),
        ("a.txt", "1 2.5\n2 3.5\n", [{"column_1": "1", "column_2": "2.5"}, {"column_1": "2", "column_2": "3.5"}]),
    ],
)
def test_tables_are_texts(tmp_path: Path, name: str, content: str | bytes, rows: list[dict[str, Any]]) -> None:
    """Every cell as it was read; numbers with a decimal comma with a point."""
    found = of(tmp_path, name, content)
    assert (found.frame.to_dicts(), found.textual) == (rows, True)


def test_objects_keep_the_types_that_most_values_have(tmp_path: Path) -> None:
    """What does not fit is left out of its column, and told; lists and torn lines are left out."""
    lines = [{"n": at, "at": {"x": at + 0.5}, "id": "7", "some": [1]} for at in range(3)]
    lines += [{"n": "n/a", "at": {"x": 4}, "id": 8, "late": True}]
    found = of(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines) + "{torn\n")
    assert found.frame.to_dict(as_series=False) == {
        "n": [0, 1, 2, None],
        "at.x": [0.5, 1.5, 2.5, 4.0],
        "id": ["7", "7", "7", None],
        "late": [None, None, None, True],
    }
    assert found.odd == {"n": 'but for 1 of 4, such as "n/a"', "id": "but for 1 of 4, such as 8"}
    assert not found.textual


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    """Rows of a Parquet file are objects too."""
    frame = pl.DataFrame({"e": ["a"], "at": [datetime(2026, 1, 1, tzinfo=UTC)], "x": [1.5], "d": [date(2026, 1, 2)]})
    frame.write_parquet(tmp_path / "a.parquet")
    found = sample(str(tmp_path / "a.parquet"), "s", None, SystemClock()).frame
    assert found.select("e", "x").to_dicts() == [{"e": "a", "x": 1.5}]
    assert "2026-01-01" in str(found["at"][0])


ADDED = """
[streams.s.source]
name_pattern = 'run-(?P<run>[0-9]+)'
[streams.s.source.derive]
asset = "'pump-' || run"
[streams.s.source.clock]
column = "t"
start = 2026-01-01T00:00:00Z
rate_hz = 10
"""


@pytest.mark.parametrize(
    ("name", "content"), [("run-7.csv", "t,x\n0,1\n5,2\n"), ("run-7.jsonl", '{"t": 0, "x": 1}\n7\n{"t": 5, "x": 2}\n')]
)
def test_what_settings_add_is_there(tmp_path: Path, name: str, content: str) -> None:
    """Parts of the file's name, derived fields and the instants of a clock stand beside what the file holds."""
    found = of(tmp_path, name, content, ADDED).frame
    assert found["asset"].to_list() == ["pump-7", "pump-7"]
    assert found["event_time"].dt.millisecond().to_list() == [0, 500]
    assert [str(value) for value in found["t"]] == ["0", "5"]
    assert "asset" not in of(tmp_path, name, content, "").frame.columns


def test_only_the_beginning_is_looked_at(tmp_path: Path) -> None:
    """A file of any size costs the same."""
    assert of(tmp_path, "a.csv", "n\n" + "1\n" * (MOST_RECORDS + 5)).frame.height == MOST_RECORDS


@pytest.mark.parametrize(("content", "said"), [("", "no records"), ("a,b\n", "no records"), (b"PAR1", "Parquet")])
def test_nothing_to_look_at(tmp_path: Path, content: str | bytes, said: str) -> None:
    """A file without records, or one that cannot be read, is the user's to mend."""
    with pytest.raises(UserError, match=said):
        of(tmp_path, "a.csv" if isinstance(content, str) else "a.parquet", content)


def test_a_draft_never_replaces_a_contract(tmp_path: Path) -> None:
    """The first draft is written; the second is refused, and the first stays."""
    place = save_draft(tmp_path, "s", "first")
    with pytest.raises(UserError, match="there already"):
        save_draft(tmp_path, "s", "second")
    assert place == tmp_path / "contracts" / "s" / "v1.yaml"
    assert place.read_text() == "first"
