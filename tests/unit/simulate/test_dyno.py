"""Simulated turbofans: they wear out and fail, one after the other in their cell; or they are played from a file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest

from hotfire.errors import UserError
from hotfire.simulate.dyno import COUNTED, DEGRADATION, generate
from hotfire.simulate.model import FaultFile, Label, Request
from hotfire.simulate.recording import Recording, read_recording

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "cmapss"
SECOND_NS = 1_000_000_000
REQUEST = Request(0, hours=0.5, assets=3, faults="none")


def made(request: Request, recording: Recording | None = None) -> tuple[pl.DataFrame, list[Label]]:
    blocks = list(generate(request, recording))
    table = pl.read_csv(io.BytesIO(b"".join(block.lines for block in blocks)), infer_schema_length=None)
    return table, [label for block in blocks for label in block.labels]


def file(folder: Path, *lengths: int, name: str = "train_FD003.txt") -> Path:
    """A file of units with so many cycles; the third column counts the lines."""
    path, number = folder / name, 0
    with path.open("w", encoding="ascii") as lines:
        for unit, length in enumerate(lengths, 1):
            for cycle in range(1, length + 1):
                number += 1
                lines.write(" ".join([str(unit), str(cycle), f"{number / 10000:.4f}", *["1.0"] * 23]) + "  \n")
    return path


def test_engines_run_one_after_the_other() -> None:
    """Each cell has one engine at a time, cycles count from 1, and numbers of engines do not repeat."""
    table, _ = made(REQUEST)
    assert table.height == 3 * 1800
    for cell in range(3):
        own = table.gather_every(3, cell)
        runs = own.select(pl.col("unit_id").rle()).unnest("unit_id")
        assert runs["value"].to_list() == [1 + cell + 3 * number for number in range(runs.height)]
        assert runs["len"][:-1].is_between(128, 362).all()
        assert own.group_by("unit_id").agg(pl.col("cycle").is_in([1]).any()).height == runs.height
    assert table.group_by("unit_id").agg(order=pl.col("cycle").diff().drop_nulls().eq(1).all())["order"].all()


def test_worn_engines_run_hotter() -> None:
    """From a healthy begin to failure T50 rises by about 27 degR, P30 falls, and what is demanded stays."""
    request = Request(0, hours=3, assets=4, faults="none")
    table, labels = made(request)
    end_ns = request.instant_ns(request.steps - 1)
    failed = [label.asset for label in labels if label.fault == DEGRADATION and label.until_ns < end_ns]
    assert len(failed) > 150
    lasts = table.group_by("asset_id").agg(pl.col("cycle").max()).filter(pl.col("asset_id").is_in(failed))
    whole = table.join(lasts, on="asset_id", suffix="_last")
    fresh = whole.filter(pl.col("cycle") <= 20)
    spent = whole.filter(pl.col("cycle") > pl.col("cycle_last") - 3)
    assert 20 < spent["t50"].mean() - fresh["t50"].mean() < 32
    assert -3.2 < spent["p30"].mean() - fresh["p30"].mean() < -1.8
    assert table["nf_dmd"].unique().to_list() == [2388]
    assert table.schema["ht_bleed"] == pl.Int64


def test_a_label_says_from_when_on_an_engine_is_worn() -> None:
    """It ends with the engine's last cycle, and begins in the second or third part of its life."""
    table, labels = made(REQUEST)
    assert {label.fault for label in labels} == {DEGRADATION}
    for label in labels:
        own = table.filter(asset_id=label.asset)
        own = own.with_columns(ns=own["event_time"].str.to_datetime(time_unit="ns").dt.epoch("ns"))
        assert own["ns"].max() == label.until_ns
        assert own.filter(pl.col("ns") >= label.since_ns).height == label.rows
        if own["cycle"].max() >= 128:
            assert 0.2 < own.filter(pl.col("ns") < label.since_ns).height / own.height < 0.75


def test_a_fault_ends_with_its_engine() -> None:
    """A sensor that drifts when its engine fails is not taken over by the next one; another engine shows nothing."""
    healthy, _ = made(REQUEST)
    last = healthy.filter(unit_id=1).height
    drift = {"kind": "drift", "asset": "FD900/1", "at": last - 10, "for": 100, "channel": "t30", "size": 50}
    other = {"kind": "stuck_sensor", "asset": "FD900/2", "at": 100, "for": 20}
    broken, labels = made(
        Request(0, hours=0.5, assets=3, faults=FaultFile("f.yaml", json.dumps({"faults": [drift, other]})))
    )
    (label,) = (one for one in labels if one.fault == "drift")
    assert (label.rows, label.until_ns) == (10, (last - 1) * SECOND_NS)
    changed = broken.filter((broken["t30"] - healthy["t30"]).abs() > 1e-9)
    assert changed["unit_id"].unique().to_list() == [1]
    assert changed.height == 10
    (stuck,) = (one for one in labels if one.fault == "stuck_sensor")
    shown = broken.filter(unit_id=2).slice(100, 20)
    assert shown[stuck.channel].n_unique() == 1


def test_a_file_is_dealt_out_to_the_cells(tmp_path: Path) -> None:
    """Units 1 and 3 in one cell, 2 in the other; what the second has left, the first plays alone."""
    recording = read_recording(file(tmp_path, 3, 2, 2))
    table, labels = made(Request(0, hours=1, assets=2, faults="none"), recording)
    assert table["unit_id"].to_list() == [1, 2, 1, 2, 1, 3, 3]
    assert table["cycle"].to_list() == [1, 1, 2, 2, 3, 1, 2]
    assert table["setting_1"].to_list() == [0.0001, 0.0004, 0.0002, 0.0005, 0.0003, 0.0006, 0.0007]
    assert table["asset_id"].unique().sort().to_list() == ["FD003/1", "FD003/2", "FD003/3"]
    assert [int(text[17:19]) for text in table["event_time"]] == [0, 0, 1, 1, 2, 3, 4]
    assert labels == []


def test_a_file_is_played_for_as_long_as_is_asked(tmp_path: Path) -> None:
    """At 100 Hz a second holds 100 readings of each cell."""
    recording = read_recording(file(tmp_path, 300, 300))
    table, _ = made(Request(0, hours=1 / 3600, rate_hz=100, assets=2, faults="none"), recording)
    assert table.height == 200
    assert table["event_time"][-1] == "1970-01-01T00:00:00.990Z"


def test_faults_befall_recorded_engines_too(tmp_path: Path) -> None:
    """The set and unit of the file name the asset."""
    recording = read_recording(file(tmp_path, 50))
    text = json.dumps({"faults": [{"kind": "dropout", "asset": "FD003/1", "at": 10, "for": 5}]})
    table, (label,) = made(Request(0, hours=1, assets=1, faults=FaultFile("f", text)), recording)
    assert table["cycle"].to_list() == [*range(1, 11), *range(16, 51)]
    assert (label.fault, label.rows, label.channel) == ("dropout", 5, None)
    unknown = FaultFile("f", json.dumps({"faults": [{"kind": "dropout", "asset": "FD003/2", "at": 10}]}))
    with pytest.raises(UserError, match="FD003/2"):
        generate(Request(0, assets=1, faults=unknown), recording)


@pytest.mark.parametrize("set_id", ["FD001", "FD002", "FD003", "FD004"])
def test_published_files_come_out_as_they_are(set_id: str) -> None:
    """In their own form with one cell, the numbers of every line are those of the file."""
    path = DATA / f"train_{set_id}.txt"
    if not path.exists():
        pytest.skip(f"{path.name} is not at ../shared/data/cmapss")
    request = Request(0, hours=1e6, assets=1, faults="none", form="txt")
    played = b"".join(block.lines for block in generate(request, read_recording(path))).split()
    published = path.read_bytes().split()
    assert [float(cell) for cell in played] == [float(cell) for cell in published]
    assert len(published) % len(COUNTED) == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no reading"),
        ("1 2 3", ":1 has 3 cells; a line of a C-MAPSS file has 26"),
        (" ".join(["1"] * 26) + "\n" + " ".join(["1"] * 25 + ["x"]), ":2: 'x' is not a number"),
        (" ".join(["1"] * 25 + ["nan"]), ":1: 'nan' is not a number"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, what: str) -> None:
    """The message names file, line and what is wrong."""
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="ascii")
    with pytest.raises(UserError, match=r"a\.txt") as caught:
        read_recording(path)
    assert what in caught.value.what
    with pytest.raises(UserError, match="no file"):
        read_recording(tmp_path / "nix")


def test_the_set_is_in_the_name_of_the_file(tmp_path: Path) -> None:
    """Without one in its name, it is FD000."""
    assert read_recording(file(tmp_path, 1)).set_id == "FD003"
    assert read_recording(file(tmp_path, 1, name="mine.txt")).set_id == "FD000"
