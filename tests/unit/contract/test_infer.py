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


def csv(text: str) -> pl.DataFrame:
    """A table as its reader gives it: every cell a text, empty ones null."""
    head, *rows = [line.split(",") for line in text.strip().splitlines()]
    return pl.DataFrame({name: [row[at] or None for row in rows] for at, name in enumerate(head)}, strict=False)


def readings(count: int, *, first: int = 0) -> pl.DataFrame:
    """What two pumps log, one after the other each second: counters that go on, a gauge, a meter, a mode."""
    random, rows = Random(first), []
    for at in range(first, first + count):
        seconds, pump = divmod(at, 2)
        when = (START + timedelta(seconds=seconds)).isoformat()[:-6] + "Z"
        rows.append(
            f"P-{pump},{when},{seconds + 1000 * pump},{random.gauss(4, 0.2):.3f},{seconds * 0.25:.2f},{seconds % 3}"
        )
    return csv("pump_id,time,sample_no,outlet_pressure_bar,energy_kwh,mode\n" + "\n".join(rows))


@pytest.mark.parametrize("rows", [10, 20, 99, 1000])
def test_a_dirty_value_does_not_make_a_text_of_numbers(rows: int) -> None:
    """One value in ten, three in all, or 1 % may be dirt; the draft says so and names one."""
    most = max(min(3, rows // 10), rows // 100 // 3)
    for bad, kind in ((most, "number"), (most + 1, "string")):
        values = ["n/a"] * bad + [f"{at}.5" for at in range(rows - bad)]
        frame = pl.DataFrame(
            {"pump": ["a"] * rows, "flow": values, "at": [f"{START + timedelta(seconds=s)}" for s in range(rows)]}
        )
        draft = infer(frame, "pumps")
        assert compile_contract([("v1.yaml", draft)]).column("flow").type == kind
        assert (f'but for {bad} of {rows:,}, such as "n/a"' in draft) is (kind == "number")


def test_dirt_in_a_code_makes_it_a_text() -> None:
    """`A-17` among numbers is no dirt where the name says that they are codes."""
    frame = pl.DataFrame({"id": [f"{at}x" for at in range(30)], "part_no": ["A-17", *map(str, range(29))]})
    assert compile_contract([("v1.yaml", infer(frame, "parts"))]).column("part_no").type == "string"


def test_a_missing_identity_is_dirt_too() -> None:
    """A row without its asset does not make records of telemetry: the row goes into quarantine."""
    frame = readings(100).with_columns(pl.when(pl.int_range(100) == 7).then(None).otherwise("pump_id").alias("x"))
    frame = frame.with_columns(pump_id=pl.when(pl.int_range(100) == 7).then(None).otherwise(pl.col("pump_id"))).drop(
        "x"
    )
    assert compile_contract([("v1.yaml", infer(frame, "pumps"))]).asset == "pump_id"


def test_counters_have_no_end() -> None:
    """What counts or accumulates has no greatest value: tomorrow's rows are accepted as they are."""
    contract = compile_contract([("v1.yaml", infer(readings(400), "pumps"))])
    assert contract.counter == "sample_no"
    assert contract.column("sample_no").maximum is None
    assert (contract.column("energy_kwh").minimum, contract.column("energy_kwh").maximum) == (0, None)
    tomorrow = judge(contract, decoded(contract, readings(400, first=172_800)), 2**62)
    assert (tomorrow.rows.height, tomorrow.rejected, tomorrow.corrections) == (400, {}, [])


def test_a_counter_may_start_again() -> None:
    """A reset, a gap and a row sent again leave a counter a counter; noise does not make one."""
    frame = readings(600)
    again = pl.concat([frame[:300], frame[250:252], frame[310:], frame[:200]])
    assert compile_contract([("v1.yaml", infer(again, "pumps"))]).counter == "sample_no"
    noise = frame.with_columns(sample_no=pl.col("outlet_pressure_bar").str.slice(2, 3))
    assert compile_contract([("v1.yaml", infer(noise, "pumps"))]).counter is None


@pytest.mark.parametrize(
    ("values", "minimum", "maximum"),
    [
        ([20.0 + at % 10 for at in range(200)], 0, 50),
        ([9999.0] + [20.0 + at % 10 for at in range(400)], 0, 50),
        ([-999.0] * 2 + [20.0 + at % 10 for at in range(400)], 0, 50),
        ([20.0 + at % 10 for at in range(397)] + [300.0, 410.0, 520.0], 0, 1100),
        ([float(at % 50 == 0) for at in range(200)], 0, 1),
        ([21.6] * 200, None, None),
        ([20.0 + at % 10 for at in range(99)], None, None),
    ],
    ids=["wide", "a mark", "marks", "spikes", "flags", "constant", "few"],
)
def test_ranges_leave_room(values: list[float], minimum: float | None, maximum: float | None) -> None:
    """A range is the sample's and as much again; marks of missing readings stay out of it, spikes do not."""
    seconds = [f"{START + timedelta(seconds=at)}" for at in range(len(values))]
    frame = pl.DataFrame({"pump": ["a"] * len(values), "time": seconds, "level": values})
    column = compile_contract([("v1.yaml", infer(frame, "pumps"))]).column("level")
    assert (column.minimum, column.maximum) == (minimum, maximum)


def test_zero_is_the_least_only_where_it_is() -> None:
    """A pressure does not go below zero; a temperature may, down to the absolute zero."""
    frame = readings(400).with_columns(oven_temp=pl.col("outlet_pressure_bar").cast(pl.Float64) * 100 - 350)
    frame = frame.with_columns(pl.all().cast(pl.String))
    contract = compile_contract([("v1.yaml", infer(frame, "pumps"))])
    assert contract.column("outlet_pressure_bar").minimum == 1
    assert contract.column("oven_temp").minimum < 0
    hot = frame.with_columns(oven_temp=(pl.col("outlet_pressure_bar").cast(pl.Float64) * 300).cast(pl.String))
    assert compile_contract([("v1.yaml", infer(hot, "pumps"))]).column("oven_temp").minimum > -273.15 - 1


@pytest.mark.parametrize(
    ("columns", "asset"),
    [
        ("engine_rpm,time,engine_id", "engine_id"),
        ("sensor_type,time,sensor", "sensor"),
        ("unit,time,tag", "tag"),
        ("device_model,time,device_serial", "device_serial"),
        ("time,motor_no,motor_temp", "motor_no"),
    ],
)
def test_the_asset_is_what_is_observed(columns: str, asset: str) -> None:
    """Not every name with an engine in it names an engine, and a unit may be one of measurement."""
    made = {
        "unit": ["bar", "degC"],
        "tag": ["P1", "T1"],
        "time": [f"{START + timedelta(seconds=s)}" for s in range(40)],
    }
    frame = pl.DataFrame({one: (made.get(one, ["3", "5"]) * 40)[:40] for one in columns.split(",")})
    assert compile_contract([("v1.yaml", infer(frame, "readings"))]).asset == asset


def test_rows_of_one_reading_each_are_told_apart_by_channel() -> None:
    """In the long form asset and time repeat; the channel belongs to the key, and no row is a conflict."""
    rows = [
        f"d1,{(START + timedelta(seconds=at // 3)).isoformat()},{('flow', 'level', 'speed')[at % 3]},{at}.5"
        for at in range(300)
    ]
    contract = compile_contract([("v1.yaml", infer(csv("device,time,channel,value\n" + "\n".join(rows)), "long"))])
    assert (contract.asset, contract.time, contract.key) == ("device", "time", ("channel",))


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("value,timestamp\n1,2026-01-01T00:00:00Z\n1,2026-01-01T00:00:01Z", ("timestamp",)),
        ("set,cycle,x\n1,1,a\n1,2,a\n2,1,a\n2,2,b", ("set", "cycle")),
        ("a,b,part_id\nx,1,p1\ny,1,p2\nz,2,p3", ("part_id",)),
        ("thrust,t\n" + "\n".join(f"7,{at * 0.5}" for at in range(60)), ("t",)),
    ],
)
def test_records_have_a_key_that_tells_them_apart(table: str, key: tuple[str, ...]) -> None:
    """A column with a value of its own in each row, wherever it stands, else the fewest together."""
    assert compile_contract([("v1.yaml", infer(csv(table), "records"))]).key == key


def test_rows_that_cannot_be_told_apart_are_told() -> None:
    """A recording without a clock would be stored once a value: the draft begins with a warning, how many and why."""
    draft = infer(pl.DataFrame({"force_lbf": [str(at % 7) for at in range(1000)]}), "burn")
    assert draft.startswith("# WARNING: 993 of 1,000 rows have the same force_lbf as an earlier row.\n")
    assert "taken for duplicates" in draft
    assert compile_contract([("v1.yaml", draft)]).key == ("force_lbf",)
    assert "WARNING" not in infer(readings(400), "pumps")


def test_what_the_file_does_not_say_is_asked_for() -> None:
    """Readings without an asset, or with seconds since the start: the draft says what to put into hotfire.toml."""
    log = infer(csv("t,thrust\n" + "\n".join(f"{at * 0.5},{at % 7}" for at in range(60))), "burn")
    assert "[streams.burn.source.derive]" in log
    assert '    column = "t"' in log
    timed = infer(readings(40).drop("pump_id").unique("time", maintain_order=True), "burn")
    assert "asset = \"'pump-1'\"" in timed
    assert "source.clock" not in timed
    assert not infer(pl.DataFrame({"id": ["a", "b"], "made_at": ["2026-01-01T00:00:00Z"] * 2}), "parts").startswith("#")


def test_names_are_ones_that_can_be_asked_for() -> None:
    """Columns called like SQL words get another name; units in names are not torn apart."""
    frame = pl.DataFrame({"id": ["a", "b"], "order": [1, 2], "thrust.sea_level.kN": [7, 9], "end": ["x", None]})
    contract = compile_contract([("v1.yaml", infer(frame, "parts"))])
    assert [column.name for column in contract.columns] == ["id", "source_order", "thrust_sea_level_kn", "source_end"]
    assert [column.unit for column in contract.columns] == [None, None, "kN", None]
    assert lint([("v1.yaml", infer(frame, "parts"))]) == []


def test_codes_are_not_the_only_texts() -> None:
    """Words that come again are an enumeration; names with numbers in them are those seen so far."""
    frame = readings(400).with_columns(
        state=pl.Series(["run", "stop"] * 200), box=pl.Series(["box-01", "box-02"] * 200), mode=pl.lit("auto")
    )
    contract = compile_contract([("v1.yaml", infer(frame, "pumps"))])
    assert [contract.column(name).values for name in ("state", "box", "mode")] == [("run", "stop"), (), ()]


def test_numbers_as_readers_take_them() -> None:
    """Spaces around them and NaN for a missing reading leave numbers numbers, in text sources; `007` stays a code."""
    frame = pl.DataFrame(
        {"id": ["a", "b", "c", "d"], "flow": [" 1.5", "NaN", "2.5 ", "nan"], "zip": ["007", "008", "9", "9"]}
    )
    contract = compile_contract([("v1.yaml", infer(frame, "parts"))])
    assert [contract.column(name).type for name in ("flow", "zip")] == ["number", "string"]
    assert compile_contract([("v1.yaml", infer(frame, "parts", textual=False))]).column("flow").type == "string"


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
    """Whatever the sample, the draft passes lint and compiles; it accepts complete rows, but for a few with dirt."""
    draft = infer(frame, "anything")
    assert lint([("v1.yaml", draft)]) == [], draft
    contract = compile_contract([("v1.yaml", draft)])
    identity = [contract.column(name).path for name in (contract.asset, contract.time, *contract.key) if name]
    complete = frame.filter(pl.all_horizontal(pl.col(path).is_not_null() for path in identity))
    dirty = min(3, frame.height // 10) * frame.width
    assert complete.height == 0 or accepted(contract, complete) * complete.height >= 0.99 * complete.height - dirty, (
        draft,
        json.dumps(complete.to_dicts(), default=str),
    )
