"""Simulated data in files: every form holds the same, and a file is whole or not there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import orjson
import pytest
import zstandard

from hotfire.errors import UserError
from hotfire.simulate.engines import COLUMNS
from hotfire.simulate.model import Request
from hotfire.simulate.writer import read_faults, simulate

REQUEST = Request(1_772_323_200_000_000_000, hours=0.2, rate_hz=2, assets=3)
CLEAN = Request(1_772_323_200_000_000_000, hours=0.05, assets=2, faults="none")


def test_compressed_files_hold_the_same(tmp_path: Path) -> None:
    """Plain, gz and zst differ only in their wrapping, and the wrapping carries no time."""
    for name in ("a.csv", "a.csv.gz", "a.csv.zst", "b.csv.gz"):
        simulate("engine_telemetry", tmp_path / name, REQUEST)
    plain = (tmp_path / "a.csv").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "a.csv.zst").read_bytes()) == plain
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_json_lines_hold_what_the_table_holds(tmp_path: Path) -> None:
    """The same readings in both forms, numbers as numbers."""
    simulate("engine_telemetry", tmp_path / "a.csv", CLEAN)
    simulate("engine_telemetry", tmp_path / "a.jsonl", CLEAN)
    header, *rows = (tmp_path / "a.csv").read_text(encoding="ascii").splitlines()
    assert tuple(header.split(",")) == COLUMNS.names
    records = [orjson.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert [",".join(str(value) for value in record.values()) for record in records] == rows
    assert all(isinstance(record["seq"], int) and isinstance(record["fuel_flow"], float) for record in records)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_labels_say_which_line_is_spoilt_and_how(tmp_path: Path, name: str) -> None:
    """Each spoilt line stands in the file where its label says, and is spoilt in the way it says."""
    made = simulate("engine_telemetry", tmp_path / name, REQUEST, labels=tmp_path / "labels.json")
    lines = [None, *(tmp_path / name).read_text(encoding="ascii").split("\n")]
    labels = json.loads((tmp_path / "labels.json").read_bytes())
    dirty = [label for label in labels if "line" in label]
    assert len(labels) == sum(made.labels.values())
    assert {label["fault"] for label in dirty} >= {"not_a_number", "missing_zone", "truncated", "duplicate"}
    for label in dirty:
        assert lines[label["line"]] == label["text"]
        shown = {
            "not_a_number": lambda text: "n/a" in text,
            "missing_zone": lambda text: "Z" not in text,
            "out_of_range": lambda text: "99999.0" in text,
            "truncated": lambda text: text.count(",") < 7 if name == "a.csv" else not text.endswith("}"),
            "wrong_fields": lambda text: text.count(",") == (8 if name == "a.csv" else 6),
            "duplicate": lambda text: lines.count(text) == 2,
        }
        assert shown[label["fault"]](label["text"]), label
    fates = {label["fault"]: (label["fate"], label.get("check", "").rpartition(".")[2]) for label in dirty}
    assert fates["missing_zone"] == ("quarantined", "time")
    assert fates["truncated"] == ("quarantined", "parse")
    assert fates["duplicate"] == ("duplicate", "")


def test_progress_is_told_and_ends_at_the_whole(tmp_path: Path) -> None:
    """The callback hears how many readings are done, ever more, of a total that does not change."""
    told: list[tuple[int, int]] = []
    request = Request(0, hours=0.2, assets=2, faults="none", block_rows=500)
    made = simulate(
        "engine_telemetry", tmp_path / "a.csv", request, progress=lambda done, all_: told.append((done, all_))
    )
    assert told == [(500, 1440), (1000, 1440), (1440, 1440)]
    assert made.rows == 1440


def test_a_refused_request_leaves_no_file(tmp_path: Path) -> None:
    """Unknown stream, extension or fault: a message, and the folder as it was."""
    broken = Request(0, hours=0.1, faults={"fault": [{"kind": "x"}]})
    for stream, name, request, what in (
        ("engine_telemetrie", "a.csv", CLEAN, "no simulator for 'engine_telemetrie'"),
        ("engine_telemetry", "a.xlsx", CLEAN, "no known extension"),
        ("engine_telemetry", "a.gz", CLEAN, "no known extension"),
        ("engine_telemetry", "a.csv", broken, "has no `asset`"),
    ):
        with pytest.raises(UserError, match=what):
            simulate(stream, tmp_path / name, request)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_broken_off_leaves_the_old_file(tmp_path: Path) -> None:
    """Until the new file is whole, the name holds what it held before."""
    (tmp_path / "a.csv").write_text("old", encoding="ascii")

    def stop(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate("engine_telemetry", tmp_path / "a.csv", CLEAN, progress=stop)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.csv", b"old")]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder is needed: the message names the path."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.csv cannot be written"):
        simulate("engine_telemetry", tmp_path / "file" / "a.csv", CLEAN)


def test_fault_files_are_toml_or_json(tmp_path: Path) -> None:
    """Both forms say the same; what cannot be read is named."""
    (tmp_path / "f.toml").write_text('[[fault]]\nkind = "dropout"\n[dirty]\ntruncated = 0.1\n', encoding="utf-8")
    (tmp_path / "f.json").write_text('{"fault": [{"kind": "dropout"}], "dirty": {"truncated": 0.1}}', encoding="utf-8")
    (tmp_path / "bad.toml").write_text("[", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    assert read_faults(str(tmp_path / "f.toml")) == read_faults(str(tmp_path / "f.json"))
    assert read_faults("default") == "default"
    for name, what in (("nix", "no fault file"), ("bad.toml", "cannot be read"), ("list.json", "no `fault`")):
        with pytest.raises(UserError, match=what):
            read_faults(str(tmp_path / name))
