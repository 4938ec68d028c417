"""Simulations in their targets: every form and target holds the same, and a file is whole or not there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import orjson
import pytest
import zstandard
from msgspec.structs import replace

from hotfire.errors import UserError
from hotfire.simulate.engines import COLUMNS
from hotfire.simulate.model import FaultFile, Request
from hotfire.simulate.play import SIMULATORS, Errand, read_faults, simulate
from hotfire.testing.clocks import ManualClock
from hotfire.testing.site import site

START_NS = 1_772_323_200_000_000_000
REQUEST = Request(START_NS, hours=0.2, rate_hz=2, assets=3)
CLEAN = Request(START_NS, hours=0.05, assets=2, faults="none")
ENGINES = "engine_telemetry"


def test_compressed_files_hold_the_same(tmp_path: Path) -> None:
    """Plain, gz and zst differ only in their wrapping, and the wrapping carries no time."""
    for name in ("a.csv", "a.csv.gz", "a.csv.zst", "b.csv.gz"):
        simulate(Errand(ENGINES, str(tmp_path / name)), REQUEST)
    plain = (tmp_path / "a.csv").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "a.csv.zst").read_bytes()) == plain
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_json_lines_hold_what_the_table_holds(tmp_path: Path) -> None:
    """The same readings in both forms, numbers as numbers."""
    simulate(Errand(ENGINES, str(tmp_path / "a.csv")), CLEAN)
    simulate(Errand(ENGINES, str(tmp_path / "a.jsonl")), CLEAN)
    header, *rows = (tmp_path / "a.csv").read_text(encoding="ascii").splitlines()
    assert tuple(header.split(",")) == COLUMNS.names
    records = [orjson.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert [",".join(str(value) for value in record.values()) for record in records] == rows
    assert all(isinstance(record["seq"], int) and isinstance(record["fuel_flow"], float) for record in records)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_labels_say_which_line_is_spoilt_and_how(tmp_path: Path, name: str) -> None:
    """Each spoilt line stands in the file where its label says, and is spoilt in the way it says."""
    made = simulate(Errand(ENGINES, str(tmp_path / name), labels=tmp_path / "labels.json"), REQUEST)
    lines = [None, *(tmp_path / name).read_text(encoding="ascii").split("\n")]
    labels = json.loads((tmp_path / "labels.json").read_bytes())
    dirty = [label for label in labels if "line" in label]
    assert len(labels) == sum(made.labels.values())
    assert all(list(label)[:5] == ["asset", "channel", "fault", "since", "until"] for label in labels)
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


@pytest.mark.parametrize("stream", SIMULATORS)
def test_a_server_gets_what_a_file_gets(tmp_path: Path, stream: str) -> None:
    """The same seed gives the same bytes, whatever the target, and however fast."""
    request = Request(START_NS, hours=0.01, rate_hz=5, assets=4)
    simulate(Errand(stream, str(tmp_path / "a.jsonl")), request)
    simulate(Errand(stream, str(tmp_path / "b.jsonl"), live=True), request, clock=ManualClock())
    data = (tmp_path / "a.jsonl").read_bytes()
    assert (tmp_path / "b.jsonl").read_bytes() == data
    with site(tmp_path / "spool") as one:
        address = f"{one.server.url}/api/v1/ingest/events"
        made = simulate(Errand(stream, address, live=True), request, clock=ManualClock())
        kept = one.kept()
    assert b"".join(kept) == data
    assert len(kept) > 20
    assert made.rows == data.count(b"\n")


def test_a_live_file_grows_under_its_name(tmp_path: Path) -> None:
    """What was written is there for a reader at once; told to stop, labels say only what was written."""
    path, clock, seen = tmp_path / "a.csv", ManualClock(), list[int]()
    request = replace(REQUEST, faults=FaultFile("f", '{"faults": [{"kind": "duplicate", "size": 0.2}]}'))

    def stopped() -> bool:
        if path.exists():
            seen.append(path.read_bytes().count(b"\n"))
        return bool(seen) and seen[-1] > 100

    errand = Errand(ENGINES, str(path), live=True, from_now=True, labels=tmp_path / "labels.json")
    made = simulate(errand, request, clock=clock, stopped=stopped)
    lines = path.read_text(encoding="ascii").splitlines()
    assert made.stopped
    assert made.rows == len(lines) - 1
    assert 100 < len(lines) < 110
    assert len(set(seen)) > 10
    assert lines[1].split(",")[1].startswith("2026-06-01T00:00:00.000")
    labels = json.loads((tmp_path / "labels.json").read_bytes())
    assert {label["line"] for label in labels} == {
        number for number, line in enumerate(lines, 1) if line in lines[: number - 1]
    }


def test_progress_is_told(tmp_path: Path) -> None:
    """The callback hears how many rows were taken, block by block."""
    told: list[int] = []
    request = Request(0, hours=0.2, assets=2, faults="none", block_rows=500)
    made = simulate(Errand(ENGINES, str(tmp_path / "a.csv")), request, progress=told.append)
    assert told == [500, 1000, 1440]
    assert made.rows == 1440


def test_a_refused_request_leaves_no_file(tmp_path: Path) -> None:
    """Unknown stream, extension, form, recording or fault: a message, and the folder as it was."""
    broken = replace(CLEAN, faults=FaultFile("f.yaml", "faults: [{kind: x}]"))
    for stream, to, request, what in (
        ("engine_telemetrie", tmp_path / "a.csv", CLEAN, "no simulator for 'engine_telemetrie'"),
        (ENGINES, tmp_path / "a.xlsx", CLEAN, "no known extension"),
        (ENGINES, tmp_path / "a.gz", CLEAN, "no known extension"),
        (ENGINES, tmp_path / "a.txt", CLEAN, "no published form"),
        (ENGINES, "kafka://host/topic", CLEAN, "no place to write to"),
        (ENGINES, tmp_path / "a.csv", broken, "'x' is not known"),
    ):
        with pytest.raises(UserError, match=what):
            simulate(Errand(stream, str(to), labels=tmp_path / "labels.json"), request)
    with pytest.raises(UserError, match="it is compressed"):
        simulate(Errand(ENGINES, str(tmp_path / "a.csv.gz"), live=True), CLEAN)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_broken_off_leaves_the_old_file(tmp_path: Path) -> None:
    """Until the new file is whole, the name holds what it held before."""
    (tmp_path / "a.csv").write_text("old", encoding="ascii")

    def stop(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Errand(ENGINES, str(tmp_path / "a.csv"), labels=tmp_path / "l.json"), CLEAN, progress=stop)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.csv", b"old")]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder is needed: the message names the path."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.csv cannot be written"):
        simulate(Errand(ENGINES, str(tmp_path / "file" / "a.csv")), CLEAN)


def test_fault_files_are_read_as_text(tmp_path: Path) -> None:
    """Words stay words; a file that is not there or no text is named."""
    (tmp_path / "f.yaml").write_text("faults: []", encoding="utf-8")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    assert read_faults(str(tmp_path / "f.yaml")) == FaultFile(str(tmp_path / "f.yaml"), "faults: []")
    assert read_faults("default") == "default"
    for name, what in (("nix", "no fault file"), ("bad.yaml", "cannot be read")):
        with pytest.raises(UserError, match=what):
            read_faults(str(tmp_path / name))
