"""What faults and corrections show is what the source wrote, in every format, and never a word of Python's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from hotfire.contract.check import judge
from hotfire.contract.model import Check, Column, Contract, Lens, wire
from hotfire.rows import Decoded, Verdict
from hotfire.source.files import FileSettings, FileSource
from hotfire.source.formats.reading import Counter, Wanted
from hotfire.testing.clocks import ManualClock

NOON_NS = 1_780_315_200_000_000_000
RULES = Contract(
    "s",
    "1.0.0",
    "telemetry",
    (
        Column("a", "string", pattern="[A-Z]+"),
        Column("t", "timestamp", format="epoch_s"),
        Column("n", "integer", path="in.n", maximum=5, values=(1, 2, 3)),
        Column("x", "number", maximum=5, out_of_range="clamp"),
        Column("y", "number", out_of_range="null"),
        Column("on", "boolean", coerce=True),
    ),
    asset="a",
    time="t",
    checks=(Check("on_has_x", "not on or x <> 4"),),
)
JSON = """\
{"a": "A", "t": 1780000000, "in": {"n": 1}, "x": 7.50, "y": 1e999, "on": "true"}
{"a": "A", "t": 1780000000, "in": {"n": 11}, "x": 2}
{"a": "A", "t": 5e9, "in": {"n": 1}}
{"a": "A", "t": 1e999, "in": {"n": 1}}
{"a": "b\\u0062", "t": 1780000000}
{"a": "A", "t": 1780000000, "x": 4.0, "on": true}
"""
TABLE = """\
a,t,in.n,x,y,on
A,1780000000,1,7.50,1e999,yes
A,1780000000,011,2,,
A,5e9,1,,,
A,1e999,1,,,
bb,1780000000,,,,
A,1780000000,,+4,,True
"""


def verdict(path: Path, content: str | pl.DataFrame, rules: Contract = RULES, wanted: Wanted | None = None) -> Verdict:
    if isinstance(content, str):
        path.write_text(content)
    else:
        content.write_parquet(path)
    with closing(FileSource([str(path)], FileSettings(wanted or Wanted()), ManualClock())) as source:
        source.poll({})  # the file is new: it has to settle
        read = source.poll({})
        assert read is not None
        assert source.problems == []
        return judge(rules, read.records.decode(wire(rules)), NOON_NS)


def shown(found: Verdict) -> tuple[list[tuple[str, str | None]], list[tuple[str, str, str | None]]]:
    faults = [(fault.check, fault.value) for broken in found.rejected.values() for fault in broken]
    return faults, sorted((one.check, one.raw, one.value) for one in found.corrections)


def test_json(tmp_path: Path) -> None:
    """Numbers are shown digit by digit as they stand in the record, also in nested objects and in checks."""
    assert shown(verdict(tmp_path / "a.jsonl", JSON)) == (
        [
            ("n.range", "11"),
            ("n.values", "11"),
            ("t.ahead", "5e9"),
            ("t.time", "1e999"),
            ("a.pattern", "bb"),
            ("on_has_x", "on=true, x=4.0"),
        ],
        [("on.type", '"true"', "true"), ("x.range", "7.50", "5.0"), ("y.range", "1e999", None)],
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables(tmp_path: Path, end: str) -> None:
    """The cells are shown as they stand in the line."""
    assert shown(verdict(tmp_path / "a.csv", TABLE.replace("\n", end))) == (
        [
            ("n.range", "011"),
            ("n.values", "011"),
            ("t.ahead", "5e9"),
            ("t.time", "1e999"),
            ("a.pattern", "bb"),
            ("on_has_x", "on=True, x=+4"),
        ],
        [("on.type", "yes", "true"), ("x.range", "7.50", "5.0"), ("y.range", "1e999", None)],
    )


def test_parquet(tmp_path: Path) -> None:
    """Typed values are shown as JSON has them."""
    frame = pl.DataFrame(
        {
            "a": ["A", "A", "A", "A"],
            "t": [1780000000, 1780000000, 5000000000, 1780000000],
            "in": [{"n": 1}, {"n": 11}, {"n": 1}, {"n": 1}],
            "x": [7.5, None, None, 4.0],
            "y": [float("inf"), None, None, None],
            "on": ["true", None, None, "true"],
        }
    )
    assert shown(verdict(tmp_path / "a.parquet", frame)) == (
        [("n.range", "11"), ("n.values", "11"), ("t.ahead", "5000000000"), ("on_has_x", "on=true, x=4.0")],
        [("on.type", "true", "true"), ("x.range", "7.5", "5.0"), ("y.range", "inf", None)],
    )
    odd = pl.DataFrame({"a": ["A"], "t": [1], "x": [True], "on": [[1, 2]]})
    assert shown(verdict(tmp_path / "b.parquet", odd))[0] == [("x.type", "true"), ("on.type", "[1,2]")]


def test_derived_fields_are_shown_as_they_are(tmp_path: Path) -> None:
    """What no source has written is shown in its canonical form, an instant in ISO 8601."""
    wanted = Wanted(clock=Counter("count", 10**18 * 2, 1.0, "t"), name_pattern="(?P<a>[a-z]+)")
    rules = Contract(
        "s", "1.0.0", "telemetry", (RULES.columns[0], Column("t", "timestamp"), RULES.columns[3]), "a", "t"
    )
    found = verdict(tmp_path / "low.csv", "count,x\n1,007\n", rules, wanted)
    assert shown(found)[0] == [("a.pattern", "low"), ("t.ahead", "2033-05-18T03:33:21Z")]


def test_each_version_has_its_own_fields(tmp_path: Path) -> None:
    """A record of an older version is looked up by that version's fields; what its lens computes, by no field."""
    older = Contract(
        "s", "1.0.0", "entity", (Column("k", "string"), Column("f", "number"), Column("v", "number", "vv"))
    )
    columns = (Column("k", "string"), Column("c", "number", maximum=80), Column("v", "number", maximum=80))
    newer = Contract("s", "2.0.0", "entity", columns, key=("k",), older=(older,))
    rules = Contract(
        **{**{name: getattr(newer, name) for name in newer.__slots__}, "lens": Lens(1, "f is not null", {"c": "f / 2"})}
    )
    lines = '{"k": "1", "f": 200.00, "vv": 9e1, "v": 1}\n{"k": "2", "c": 9.9e1, "v": 90.0, "vv": 1}\n'
    faults = shown(verdict(tmp_path / "a.jsonl", lines, rules))[0]
    assert faults == [("c.range", "100.0"), ("v.range", "9e1"), ("c.range", "9.9e1"), ("v.range", "90.0")]


def test_without_a_source_the_canonical_value_is_shown() -> None:
    """Decoded columns by themselves have no other."""
    columns = (Column("b", "boolean"), Column("x", "number", maximum=1.0))
    rules = Contract("s", "1.0.0", "entity", columns, checks=(Check("both", "b and x > 7"),))
    frame = pl.DataFrame({"row_no": [0], "b": [False], "x": [2.0]})
    assert shown(judge(rules, Decoded(frame, []), NOON_NS))[0] == [("x.range", "2.0"), ("both", "b=false, x=2.0")]
