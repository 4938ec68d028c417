"""The workspaces that ship: they are made whole, and they take the data that they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from open_data_contract_standard.model import OpenDataContractStandard

from hotfire.contract.check import judge
from hotfire.contract.model import Contract, wire
from hotfire.errors import UserError
from hotfire.rows import Decoded, Part, Place, Verdict
from hotfire.simulate.engines import COLUMNS, generate
from hotfire.simulate.model import Request
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines
from hotfire.source.formats.table import Table
from hotfire.workspace.contracts import contract_texts, load_contract
from hotfire.workspace.settings import load
from hotfire.workspace.templates import TEMPLATES, create

DATA = Path(__file__).parents[4] / "shared" / "data"
NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    for name in TEMPLATES:
        create(name, folder / name)
    return folder


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"the real data {name} is not beside the repository, in ../shared/data")
    return DATA / name


def verdict(contract: Contract, frame: pl.DataFrame) -> Verdict:
    return judge(contract, Decoded(frame.with_row_index("row_no"), []), NOW_NS)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_makes_a_workspace(made: Path, template: str) -> None:
    """Every template has settings that load, and contracts that any ODCS tool and hotfire itself can read."""
    streams = load(made / template, {}, {}).streams
    assert streams
    for stream in streams:
        for _, text in contract_texts(made / template, stream):
            assert OpenDataContractStandard.from_string(text).id == stream
        contract = load_contract(made / template, stream)
        assert contract.stream == stream
        assert contract.kind == ("entity" if template == "launches" else "telemetry")
    assert (made / template / "incoming").is_dir()
    assert "/data/" in (made / template / ".gitignore").read_text(encoding="utf-8")


def test_without_a_template_the_workspace_is_empty_and_explains_itself(tmp_path: Path) -> None:
    """The plain workspace has no stream; every setting that its comments show is a setting."""
    made = create(None, tmp_path / "ws")
    assert made == [".gitignore", "contracts/README.md", "hotfire.toml"]
    assert not load(tmp_path / "ws", {}, {}).streams
    shown = (tmp_path / "ws" / "hotfire.toml").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") for line in shown.splitlines()]
    settings = [line for line in lines if line.startswith("[") or (" = " in line and line.split(" ")[1] == "=")]
    (tmp_path / "ws" / "hotfire.toml").write_text("\n".join(settings), encoding="utf-8")
    assert list(load(tmp_path / "ws", {}, {}).streams) == ["my_stream"]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Nothing is written into a folder that has something in it, nor under a name that is not known."""
    (tmp_path / "mine").touch()
    for template, folder, what in (("fleet", tmp_path, "not empty"), ("flete", tmp_path / "x", "no template 'flete'")):
        with pytest.raises(UserError, match=what):
            create(template, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_fleet_takes_both_generations_mixed(made: Path) -> None:
    """First-generation rows get version 1 and nothing else that they did not send; ranges are inclusive."""
    contract = load_contract(made / "fleet", "events")
    base = {
        "device_id": "d",
        "timestamp": "2026-01-01T00:00:00Z",
        "humidity": 0.0,
        "pressure": 1100.0,
        "battery": 100.0,
    }
    second = {"schema_version": 2, "firmware_version": "v2.0.1", "signal_strength": -70, "location.lat": 1.5,
              "location.lon": -179.0, "status": "ok"}  # fmt: skip
    rows = [{**base, "event_id": "a", "temperature": -40.0}, {**base, **second, "event_id": "b", "temperature": 80.0}]
    rows.append({**base, "event_id": "c", "temperature": 80.1})
    found = verdict(contract, pl.DataFrame(rows, infer_schema_length=None))
    assert found.rows.select("event_id", "schema_version", "status", "lat").rows() == [
        ("a", 1, None, None),
        ("b", 2, "ok", 1.5),
    ]
    assert [fault.check for fault in found.rejected[2]] == ["temperature.range"]
    assert contract.identity == ("device_id", "timestamp_ns", "event_id")


def test_fleet_takes_the_real_boxes(made: Path) -> None:
    """Every real message is accepted as it is, its instant exact to the decimals that were sent."""
    contract = load_contract(made / "fleet", "boxes")
    messages = json.loads(real("iot/raw_data_large.json").read_text(encoding="utf-8"))
    flat = [{**{f"data.{name}": value for name, value in one.pop("data").items()}, **one} for one in messages]
    found = verdict(contract, pl.DataFrame(flat, infer_schema_length=None))
    assert (found.rows.height, found.rejected, found.corrections) == (9995, {}, [])
    assert found.rows["event_time_ns"][0] == 1_594_598_735_772_776_800
    assert found.rows.select(contract.identity).is_duplicated().sum() == 0


@pytest.mark.parametrize("set_id", ["FD001", "FD002", "FD003", "FD004"])
def test_dyno_takes_every_row_of_every_set(made: Path, set_id: str) -> None:
    """All readings of the published sets are possible readings: none is rejected, none corrected."""
    path = real(f"cmapss/train_{set_id}.txt")
    source = load(made / "dyno", {}, {}).streams["dyno_telemetry"].source
    contract = load_contract(made / "dyno", "dyno_telemetry")
    cells = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    frame = pl.DataFrame(cells, schema=list(source.columns), orient="row").with_columns(set_id=pl.lit(set_id))
    assert source.clock is not None
    seconds = pl.col("cycle").cast(pl.Int64) + source.clock.start_ns // 1_000_000_000
    frame = frame.with_columns(
        *(pl.sql_expr(sql).alias(name) for name, sql in source.derive.items()),
        event_time=pl.from_epoch(seconds, "s").dt.to_string("%Y-%m-%dT%H:%M:%SZ"),
    )
    types = {"integer": pl.Int64, "number": pl.Float64}
    frame = frame.select(pl.col(one.path).cast(types.get(one.type, pl.String)) for one in wire(contract))
    found = verdict(contract, frame)
    assert (found.rows.height, found.rejected, found.corrections) == (len(cells), {}, [])
    assert found.rows["asset_id"][0] == f"{set_id}/1"
    assert found.rows.select(contract.identity).is_duplicated().sum() == 0


def test_dyno_names_all_columns_of_the_files(made: Path) -> None:
    """26 columns, of which the contract knows every one; units follow the paper."""
    source = load(made / "dyno", {}, {}).streams["dyno_telemetry"].source
    contract = load_contract(made / "dyno", "dyno_telemetry")
    assert len(source.columns) == 26
    assert [column.name for column in contract.columns] == ["asset_id", "event_time", *source.columns]
    assert [contract.column(name).unit for name in ("t24", "p30", "nc", "w31", "bpr")] == [
        "degR",
        "psia",
        "rpm",
        "lbm/s",
        None,
    ]


def test_engines_are_called_by_name(made: Path) -> None:
    """The five engines have names beside their serial numbers."""
    assets = load(made / "engines", {}, {}).streams["engine_telemetry"].assets
    assert list(assets) == [f"TRE-00{number}" for number in range(1, 6)]
    assert (assets["TRE-001"], assets["TRE-005"]) == ("Alpha", "Epsilon")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_engines_say_of_simulated_data_what_its_labels_say(made: Path, form: Literal["csv", "jsonl"]) -> None:
    """Each spoilt line breaks the check of its label and no other; every other line is accepted as it is."""
    contract = load_contract(made / "engines", "engine_telemetry")
    blocks = list(generate(Request(1_772_323_200_000_000_000, hours=1, form=form)))
    data = b"".join(block.lines for block in blocks)
    labels = [label for block in blocks for label in block.labels if label.line is not None]
    start = len(data) - len(data.partition(b"\n")[2]) if form == "csv" else 0
    place = Place("a", "a", offset=start, line=1 + (form == "csv"))
    rows = sum(block.rows for block in blocks)
    reading = Table(COLUMNS.names, ",", ".") if form == "csv" else JsonLines()
    part = Part(place, len(data), place.line + rows, rows)
    records = reading.records([Chunk(part, data[start:])])
    found = judge(contract, records.decode(wire(contract)), NOW_NS)
    expected = {label.line: [label.check] for label in labels if label.fate == "quarantined"}
    rejected = {records.where(row).line: [fault.check for fault in faults] for row, faults in found.rejected.items()}
    assert rejected == expected
    assert expected
    corrected = {records.where(one.row_no).line: one.check for one in found.corrections}
    assert corrected == {label.line: label.check for label in labels if label.fate == "corrected"}
    repeated = found.rows.filter(found.rows.select(contract.identity).is_duplicated()).height
    assert repeated == 2 * sum(label.fate == "duplicate" for label in labels)
