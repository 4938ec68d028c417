"""How records are written means nothing: files of every format, alone or mixed, in any batches, give the same rows."""

from __future__ import annotations

import gzip
import io
import os
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.contract.check import judge
from hotfire.contract.model import Check, Column, Contract, TimeFormat, Type, wire
from hotfire.source.files import FileSettings, FileSource
from hotfire.source.formats.reading import Wanted
from hotfire.testing.clocks import ManualClock
from hotfire.testing.stand import Came, Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_ns"),
        Column("n", "integer"),
        Column("x", "number", minimum=-5, maximum=100, out_of_range="clamp"),
        Column("y", "number", maximum=1e5),
        Column("on", "boolean"),
    ),
    asset="a",
    time="t",
    counter="n",
    checks=(Check("small_when_off", "on or y / 3 < 100"),),
    hash="1",
)
FORMATS = ("csv", "jsonl", "json", "parquet", "jsonl.gz")


def records(seed: int, rows: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    sent: list[dict[str, Any]] = []
    for number in range(rows):
        row = {
            "a": chance.choice("AB"),
            "t": 10**18 + number * 10**9 - chance.choice([0, 0, 5 * 10**9]),
            "n": number + chance.choice([0, 0, 3]),
            "x": chance.choice([None, 1.5, -0.0, 200.0, -1e300, number / 7]),
            "y": chance.choice([None, 0.1, 250.5, 1e6, 5e-324]),
            "on": chance.choice([None, True, False]),
        }
        sent.append(chance.choice([row, row, row, chance.choice(sent) if sent else row]))
    return sent


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    types = {"a": pl.String, "t": pl.Int64, "n": pl.Int64, "x": pl.Float64, "y": pl.Float64, "on": pl.Boolean}
    frame, lines = pl.DataFrame(rows, schema=types), b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    buffer = io.BytesIO()
    match path.name.partition(".")[2]:
        case "csv":
            frame.write_csv(buffer)
        case "parquet":
            frame.write_parquet(buffer, row_group_size=5)
        case "json":
            buffer.write(msgspec.json.encode(rows))
        case "jsonl":
            buffer.write(lines)
        case _:
            buffer.write(gzip.compress(lines))
    path.write_bytes(buffer.getvalue())
    os.utime(path, ns=(10**18, 10**18))


def came(rows: Sequence[dict[str, Any]], formats: Sequence[str], batch: int) -> Came:
    """What comes of the records, shared out in order over files of these formats."""
    share = -(-len(rows) // len(formats))
    with scratch() as folder:
        paths = [folder / f"{number}.{name}" for number, name in enumerate(formats)]
        for number, path in enumerate(paths):
            write(path, rows[number * share : (number + 1) * share])
        stand = Stand(folder, CONTRACT)
        with closing(
            FileSource([str(path) for path in paths], FileSettings(batch_rows=batch), ManualClock())
        ) as source:
            stand.run(source)
            assert source.problems == []
            assert stand.balance(source).differences == []
        return stand.came()


def told(one: Came) -> dict[str, Any]:
    """Everything but what quotes the source's own writing: digest and corrections hold raw bytes."""
    changed = [(row, column, check, value) for row, column, check, _, value in one.corrections]
    return {"totals": one.totals, "fates": one.fates, "assets": one.assets, "lake": one.lake, "changed": changed}


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_means_nothing(form: str) -> None:
    """The same records as files of each format: fates, clocks, gaps, corrections and rows to the bit."""
    rows = records(3, 120)
    expected = told(came(rows, ["jsonl"], 1000))
    assert {word for fate in expected["fates"].values() for word in fate} >= {
        "stored", "late", "corrected", "duplicate", "y.range", "small_when_off"
    }  # fmt: skip
    for batch in (13, 1000):
        assert told(came(rows, [form], batch)) == expected


@given(st.integers(0, 2**32), st.permutations(FORMATS), st.sampled_from([1, 4, 1000]))
@settings(max_examples=15)
def test_formats_may_be_mixed_in_one_stream(seed: int, formats: list[str], batch: int) -> None:
    """Files of all formats one after the other, in any batches, are as one file."""
    rows = records(seed, 25)
    assert told(came(rows, formats, batch)) == told(came(rows, ["jsonl"], 1000))


def epochs(path: Path, form: TimeFormat, *, coerce: bool = False) -> list[object]:
    """What each record of a file comes to as an epoch: its nanoseconds, or the checks it breaks."""
    columns = (Column("a", "string"), Column("t", "timestamp", format=form, coerce=coerce))
    contract = Contract("s", "1.0.0", "entity", columns, key=("a",))
    os.utime(path, ns=(10**18, 10**18))
    with closing(FileSource([str(path)], FileSettings(), ManualClock())) as source:
        read = source.poll({})
        assert read is not None
        assert source.problems == []
        verdict = judge(contract, read.records.decode(wire(contract)), 0)
    stored = dict(verdict.rows.select("row_no", "t_ns").rows())
    broken = {no: [fault.check for fault in faults] for no, faults in verdict.rejected.items()}
    return [(stored | broken)[no] for no in range(len(stored) + len(broken))]


WRITTEN = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.integers(-(10**10), 10**10).flatmap(lambda whole: st.from_regex(rf"\A{whole}\.[0-9]{{1,20}}\Z")),
    st.floats(-1e19, 1e19).map(repr),
    st.from_regex(r"\A-?[1-9](\.[0-9]{1,20})?[eE][+-]?[0-9]{1,3}\Z"),
)


@settings(max_examples=40)
@given(st.lists(WRITTEN, min_size=1, max_size=12), st.sampled_from(["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]))
def test_an_epoch_is_the_same_instant_in_every_format(texts: list[str], form: TimeFormat) -> None:
    """A number's text in JSON and in a table, that text coerced, and its float64 in Parquet: one instant or fault."""
    with scratch() as folder:
        lines = "".join(f'{{"a": "{no}", "t": {text}}}\n' for no, text in enumerate(texts))
        quoted = "".join(f'{{"a": "{no}", "t": "{text}"}}\n' for no, text in enumerate(texts))
        table = "a;t\n" + "".join(f"{no};{text}\n" for no, text in enumerate(texts))
        for name, content in {"t.jsonl": lines, "q.jsonl": quoted, "t.csv": table}.items():
            (folder / name).write_text(content)
        pl.DataFrame({"a": list(map(str, range(len(texts)))), "t": texts}).write_parquet(folder / "q.parquet")
        expected = epochs(folder / "t.jsonl", form)
        assert epochs(folder / "t.csv", form) == expected
        assert epochs(folder / "q.jsonl", form, coerce=True) == expected
        assert epochs(folder / "q.parquet", form, coerce=True) == expected
        fractions = [text if "." in text or "e" in text.lower() else f"{text}.0" for text in texts]
        (folder / "f.csv").write_text("a;t\n" + "".join(f"{no};{text}\n" for no, text in enumerate(fractions)))
        floats = pl.Series("t", list(map(float, texts)), dtype=pl.Float64)
        pl.DataFrame([pl.Series("a", list(map(str, range(len(texts))))), floats]).write_parquet(folder / "f.parquet")
        assert epochs(folder / "f.csv", form) == epochs(folder / "f.parquet", form)


@settings(max_examples=40)
@given(st.lists(WRITTEN, min_size=1, max_size=12))
def test_what_is_shown_is_what_was_written(texts: list[str]) -> None:
    """A rejected number is quoted digit by digit, however it is written and whatever float64 it becomes."""
    contract = Contract(
        "s", "1.0.0", "entity", (Column("a", "string"), Column("x", "number", maximum=-1e400)), key=("a",)
    )
    with scratch() as folder:
        (folder / "x.jsonl").write_text("".join(f'{{"a": "{no}", "x":{text} }}\n' for no, text in enumerate(texts)))
        (folder / "x.csv").write_text("a,x\n" + "".join(f"{no},{text}\n" for no, text in enumerate(texts)))
        for name in ("x.jsonl", "x.csv"):
            os.utime(folder / name, ns=(10**18, 10**18))
            with closing(FileSource([str(folder / name)], FileSettings(), ManualClock())) as source:
                read = source.poll({})
                assert read is not None
                rejected = judge(contract, read.records.decode(wire(contract)), 0).rejected
            assert [fault.value for no in sorted(rejected) for fault in rejected[no]] == texts


SPELLED = st.one_of(
    WRITTEN,
    st.sampled_from(
        ["true", "FALSE", "Yes", "no", "1", "0", "1.0", "-0", "+7", "7.", ".5", "1e3", "9007199254740993.0"]
    ),
    st.sampled_from(["inf", "-Infinity", "NaN", "+nan", "1_0", "0x1", "on", "\u0661", "1 2", "--1", "9" * 25, "007"]),
    st.text("0123456789+-.eEinfyats \t\x0b\x1c\xa0\u3000", min_size=1, max_size=6),
).filter(str.strip)


@settings(max_examples=60)
@given(st.lists(SPELLED, min_size=1, max_size=20), st.sampled_from(["number", "integer", "boolean", "string"]))
def test_coercion_has_one_rule(texts: list[str], kind: Type) -> None:
    """A text coerced in JSON or Parquet, and a JSON number, is what a table's cell of that text is."""
    contract = Contract("s", "1.0.0", "entity", (Column("x", kind, coerce=True),))
    with scratch() as folder:
        pl.DataFrame({"x": texts}).write_csv(folder / "x.csv", quote_style="always")
        pl.DataFrame({"x": texts}).write_parquet(folder / "x.parquet")
        (folder / "x.jsonl").write_bytes(b"".join(msgspec.json.encode({"x": text}) + b"\n" for text in texts))
        found = []
        for name in ("x.csv", "x.parquet", "x.jsonl"):
            os.utime(folder / name, ns=(10**18, 10**18))
            with closing(
                FileSource([str(folder / name)], FileSettings(Wanted(delimiter=",")), ManualClock())
            ) as source:
                read = source.poll({})
                assert read is not None
                decoded = read.records.decode(wire(contract))
            found.append(([fault.row_no for fault in decoded.faults], repr(decoded.frame["x"].to_list())))
        assert found[0] == found[1] == found[2]
