"""Drafts of contracts: marked guesses that compile, pass lint and accept their sample."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.contract.check import judge
from hotfire.contract.infer import infer
from hotfire.contract.lint import lint
from hotfire.contract.model import Contract, wire
from hotfire.contract.odcs import compile_contract
from hotfire.errors import UserError
from hotfire.rows import Decoded

GOLDEN = Path(__file__).parents[2] / "golden" / "contract" / "inferred_events.yaml"
START = datetime(2026, 1, 1, tzinfo=UTC)


def events(rows: int = 400) -> pl.DataFrame:
    """What devices send, as a JSON reader would give it: two outliers, names in camel case, a header with a unit."""
    random = Random(7)
    return pl.DataFrame(
        {
            "event_id": [f"e{row}" for row in range(rows)],
            "deviceId": [f"device_{row % 7:04d}" for row in range(rows)],
            "timestamp": [f"{(START + timedelta(seconds=row)).isoformat()[:-6]}.5Z" for row in range(rows)],
            "temperature": [9999.0, -273.0] + [round(random.gauss(21, 3), 2) for _ in range(rows - 2)],
            "humidity": [round(random.uniform(20, 80), 1) for _ in range(rows)],
            "location.lat": [round(random.uniform(50, 51), 5) for _ in range(rows)],
            "status": [random.choice(["on", "off", 'say "no"']) for _ in range(rows)],
            "Chamber P [bar]": [round(random.uniform(180, 220), 1) for _ in range(rows)],
            "fuel_flow_kg_s": [str(round(random.uniform(80, 100), 2)) for _ in range(rows)],
            "ambient_pressure": [round(random.uniform(990, 1020), 1) for _ in range(rows)],
            "last_boot_time": [1_767_000_000_000 + row for row in range(rows)],
            "seq": list(range(rows)),
            "errors": [random.randint(0, 9) for _ in range(rows)],
            "ok": [True] * rows,
            "note": [f"row {row}" for row in range(rows)],
            "empty": pl.Series([None] * rows, dtype=pl.String),
        }
    )


def decoded(contract: Contract, frame: pl.DataFrame) -> Decoded:
    """The sample as a strict reader would hand it to the checks of this contract."""
    types = {"string": pl.String, "integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}
    columns = [pl.Series("row_no", range(frame.height), dtype=pl.UInt32)]
    for one in wire(contract):
        values = frame[one.path]
        if one.type == "boolean" and values.dtype == pl.String:
            values = values == "true"
        columns.append(values.cast(types[one.type], strict=False) if one.type in types else values)
    return Decoded(pl.DataFrame(columns), [], [])


def accepted(contract: Contract, frame: pl.DataFrame) -> float:
    """The part of the sample that the contract lets in."""
    verdict = judge(contract, decoded(contract, frame), 2**62)
    return verdict.rows.height / frame.height


def test_golden() -> None:
    """The draft from a fixed sample is the file beside the tests; set HOTFIRE_GOLDEN=write to renew it."""
    draft = infer(events(), "events")
    if os.environ.get("HOTFIRE_GOLDEN") == "write":
        GOLDEN.write_text(draft, "utf-8")
    assert draft == GOLDEN.read_text("utf-8")


def test_the_draft_is_a_contract() -> None:
    """The draft passes lint, and accepts its sample; outliers are corrected, not let in."""
    frame = events()
    draft = infer(frame, "events")
    assert lint([("v1.yaml", draft)]) == []
    contract = compile_contract([("v1.yaml", draft)])
    assert (contract.kind, contract.asset, contract.time, contract.key) == (
        "telemetry",
        "device_id",
        "timestamp",
        ("event_id",),
    )
    assert accepted(contract, frame) == 1
    verdict = judge(contract, decoded(contract, frame), 2**62)
    assert [correction.raw for correction in verdict.corrections] == ["9999.0", "-273.0"]


def test_units_from_names() -> None:
    """Units come from brackets, endings and words, and from how large the values are."""
    contract = compile_contract([("v1.yaml", infer(events(), "events"))])
    assert {column.name: column.unit for column in contract.columns if column.unit} == {
        "temperature": "degC",
        "humidity": "%",
        "location_lat": "deg",
        "chamber_p": "bar",
        "fuel_flow_kg_s": "kg/s",
        "ambient_pressure": "hPa",
    }


def test_csv() -> None:
    """Where everything is text, as in CSV, numbers need no coercion, and an asset may be a number."""
    frame = events().drop("deviceId").with_columns(unit=pl.lit(5)).select(pl.all().cast(pl.String))
    contract = compile_contract([("v1.yaml", infer(frame, "events"))])
    assert (contract.asset, contract.column("unit").type) == ("unit", "string")
    assert not any(column.coerce for column in contract.columns)
    assert contract.column("fuel_flow_kg_s").type == "number"
    assert contract.column("last_boot_time").format == "epoch_ms"


@pytest.mark.parametrize(
    ("values", "form", "zone"),
    [
        (["2026-01-01T00:00:00Z"], "iso", None),
        (["2026-01-01 00:00:00"], "iso", "UTC"),
        ([1_767_225_600], "epoch_s", None),
        ([1_767_225_600.25], "epoch_s", None),
        ([1_767_225_600_000], "epoch_ms", None),
        ([1_767_225_600_000_000], "epoch_us", None),
        ([1_767_225_600_000_000_000], "epoch_ns", None),
    ],
)
def test_forms_of_time(values: list[object], form: str, zone: str | None) -> None:
    """The form of an instant is told from the size of the number, or from the text."""
    draft = infer(pl.DataFrame({"device": ["a"], "time": values}), "events")
    column = compile_contract([("v1.yaml", draft)]).column("time")
    assert (column.type, column.format, column.zone) == ("timestamp", form, zone)


def test_an_entity() -> None:
    """Without assets or times the stream is one of records, with the best key there is."""
    draft = infer(pl.DataFrame({"name": ["x", "y"], "launch_id": ["a", "b"], "zip": ["01234", "99999"]}), "launches")
    contract = compile_contract([("v1.yaml", draft)])
    assert (contract.kind, contract.key, contract.column("zip").type) == ("entity", ("launch_id",), "string")


def test_every_guess_says_why() -> None:
    """What is not plain from the data carries a reason on its line."""
    for line in infer(events(), "events").splitlines():
        guessed = re.search(
            r"hotfire\.(kind|asset|time|unit|format|coerce|zone)|logicalTypeOptions|quality:|primaryKey:", line
        )
        assert not guessed or "# guess: " in line, line


def test_nothing_to_guess_from() -> None:
    """A sample without rows is a user's mistake."""
    with pytest.raises(UserError, match="no rows"):
        infer(pl.DataFrame({"a": []}), "events")


scalars = {
    pl.String: st.text(max_size=6) | st.sampled_from(["1", "2.5", "x", "2026-01-01T00:00:00Z", "true", "007", "a: #b"]),
    pl.Float64: st.floats(allow_nan=False, allow_infinity=False),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Boolean: st.booleans(),
}
names = st.text(min_size=1, max_size=8) | st.sampled_from(
    [
        "device_id",
        "time",
        "ts",
        "id",
        "row_no",
        "a.b",
        "A B",
        "a_b",
        "time_ns",
        "temp (degC)",
        "humidity",
        "hf_x",
        "unit",
    ]
)


@st.composite
def samples(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, 25))
    columns = {"always": pl.Series(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))}
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        dtype = draw(st.sampled_from(list(scalars)))
        few = draw(st.lists(scalars[dtype], min_size=1, max_size=3)) if draw(st.booleans()) else None
        values = st.sampled_from(few) if few else scalars[dtype]
        columns[name] = pl.Series(draw(st.lists(values | st.none(), min_size=rows, max_size=rows)), dtype=dtype)
    return pl.DataFrame(columns)


@settings(max_examples=60)
@given(samples())
def test_any_sample_gives_a_contract(frame: pl.DataFrame) -> None:
    """Whatever the sample, the draft passes lint and compiles; it accepts the rows whose identity is complete."""
    draft = infer(frame, "anything")
    assert [one for one in lint([("v1.yaml", draft)]) if one.level == "error"] == [], draft
    contract = compile_contract([("v1.yaml", draft)])
    identity = [contract.column(name).path for name in (contract.asset, contract.time, *contract.key) if name]
    complete = frame.filter(pl.all_horizontal(pl.col(path).is_not_null() for path in identity))
    assert complete.height == 0 or accepted(contract, complete) >= 0.99, (
        draft,
        json.dumps(complete.to_dicts(), default=str),
    )
