"""A stream of mixed versions gives the rows that each version gives alone, whatever its contract lets a field be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.check import judge
from hotfire.contract.lens import upgrade
from hotfire.contract.model import Column, Contract, Lens, Type, wire
from hotfire.protocols import Records
from hotfire.rows import Part, Place, Verdict
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines
from hotfire.source.formats.parquet import ParquetRows
from hotfire.source.formats.table import Table

FIELDS = ("id", "v", "seq", "level", "hum", "humidity", "at")
TYPES: tuple[Type, ...] = ("string", "integer", "number", "boolean")
Record = tuple[Any, ...]


def contract(older: Type, newer: Type, when: str) -> Contract:
    """`level` changes its type, `hum` its name, `at` its form; `seq` stays, `half` is computed."""
    same = (Column("id", "string", required=True), Column("v", "integer"), Column("seq", "integer"))
    first = Contract(
        "s",
        "1.0.0",
        "entity",
        (*same, Column("level", older), Column("hum", "number", minimum=0), Column("at", "timestamp")),
        key=("id",),
    )
    columns = (
        *same,
        Column("level", newer),
        Column("humidity", "number", maximum=100, out_of_range="null"),
        Column("at", "timestamp", format="epoch_s"),
        Column("half", "number"),
    )
    lens = Lens(1, when, {"humidity": "hum", "half": "hum / 3", "level": _converted(older, newer)})
    return replace(first, version="2.0.0", columns=columns, lens=lens, older=(first,))


def _converted(older: Type, newer: Type) -> str:
    if (older, newer) == ("string", "boolean"):
        return "level = 'true'"
    return (
        f"cast(level as { {'string': 'text', 'integer': 'bigint', 'number': 'double', 'boolean': 'boolean'}[newer] })"
    )


LEVELS = st.sampled_from([None, 5, -3, 5.5, 0.1, "5", "5.5", "x", "", True, False, 2**53 + 1])
OLDER = st.tuples(
    LEVELS, st.sampled_from([None, 1, 40.5, -1, 200, 1e300]), st.sampled_from(["1970-01-01T00:00:07Z", "soon"])
)
NEWER = st.tuples(LEVELS, st.sampled_from([None, 1, 40.5, 101]), st.sampled_from([7, 7.25, "soon", None]))
STREAMS = st.lists(
    st.one_of(OLDER.map(lambda one: (1, *one)), NEWER.map(lambda one: (2, *one))), min_size=1, max_size=12
)


def record(number: int, v: int, level: Any, humidity: Any, at: Any) -> Record:
    hum, humid = (humidity, None) if v == 1 else (None, humidity)
    return (str(number), v, number, level, hum, humid, at)


def as_json(records: Sequence[Record]) -> Records:
    lines = [msgspec.json.encode({k: v for k, v in zip(FIELDS, one, strict=True) if v is not None}) for one in records]
    data = b"".join(line + b"\n" for line in lines)
    return JsonLines().records([Chunk(Part(Place("p", "p"), len(data), len(lines) + 1, len(lines)), data)])


def as_csv(records: Sequence[Record]) -> Records:
    lines = [",".join("" if cell is None else str(cell).lower() for cell in one).encode() for one in records]
    data = b"".join(line + b"\n" for line in lines)
    return Table(FIELDS).records([Chunk(Part(Place("p", "p"), len(data), len(lines) + 1, len(lines)), data)])


def as_parquet(records: Sequence[Record]) -> Records:
    """Parquet columns have one type: whole numbers, of both versions."""
    names = {name: pl.String if name == "id" else pl.Int64 for name in FIELDS}
    frame = pl.DataFrame(records, schema=names, orient="row", strict=False)
    return ParquetRows(Part(Place("p", "p"), len(records), len(records) + 1, len(records)), frame)


def verdict(rules: Contract, records: Records) -> Verdict:
    return judge(rules, records.decode(wire(rules)), 0)


def faults(found: Verdict, row_no: int) -> list[tuple[str, str | None]]:
    return [(fault.check, fault.value) for fault in found.rejected.get(row_no, ())]


WHENS = st.sampled_from(["v = 1", "hum is not null"])
FORMS = st.sampled_from([as_json, as_csv])


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), WHENS, FORMS, STREAMS)
@settings(max_examples=80)
def test_a_mixed_stream_gives_what_each_record_gives_alone(
    older: Type, newer: Type, when: str, form: Any, stream: list[tuple[Any, ...]]
) -> None:
    """Rows to the bit, faults with their values, corrections: the same in any company."""
    rules = contract(older, newer, when)
    records = [record(number, *one) for number, one in enumerate(stream)]
    mixed = verdict(rules, form(records))
    for row_no, one in enumerate(records):
        alone = verdict(rules, form([one]))
        assert faults(mixed, row_no) == faults(alone, 0)
        assert mixed.rows.filter(row_no=row_no).drop("row_no").rows() == alone.rows.drop("row_no").rows()
        own = [replace(correction, row_no=0) for correction in mixed.corrections if correction.row_no == row_no]
        assert own == alone.corrections


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), FORMS, STREAMS)
@settings(max_examples=150)
def test_older_rows_are_read_by_the_older_contract(
    older: Type, newer: Type, form: Any, stream: list[tuple[Any, ...]]
) -> None:
    """A row of version 1 that its own contract accepts is stored as that row, put through the lens."""
    rules = contract(older, newer, "v = 1")
    first = rules.older[0]
    records = [record(number, *one) for number, one in enumerate(stream)]
    mixed = verdict(rules, form(records))
    accepted = verdict(first, form([one for one in records if one[1] == 1])).rows
    columns = [column.storage for column in first.columns]
    converted = upgrade(rules, 1, accepted.select(columns))
    limited = converted.with_columns(humidity=pl.when(pl.col("humidity") <= 100).then("humidity"))
    expected = {row[0]: row for row in limited.rows()}
    found = {row[0]: row for row in mixed.rows.select(limited.columns).rows() if row[1] == 1}
    assert {key: found.get(key) for key in expected} == expected


@given(st.sampled_from(["integer", "number"]), st.sampled_from(["integer", "number"]), STREAMS)
@settings(max_examples=50)
def test_parquet_columns_serve_both_versions(older: Type, newer: Type, stream: list[tuple[Any, ...]]) -> None:
    """A column of whole numbers is a whole number to one version and a number to the other."""
    rules = contract(older, newer, "v = 1")
    whole = [(v, 5, 40, None if v == 1 else 7) for v, *_ in stream]
    found = verdict(rules, as_parquet([record(number, *one) for number, one in enumerate(whole)]))
    assert found.rejected == {}
    kind = {"integer": int, "number": float}[newer]
    assert {type(level) for level in found.rows["level"]} == {kind}
