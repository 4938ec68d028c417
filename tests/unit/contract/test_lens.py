"""Lenses, one form at a time: what becomes of an older version's row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.check import judge
from hotfire.contract.expression import compile_sql, evaluated
from hotfire.contract.lens import upgrade
from hotfire.contract.model import Column, Contract, Lens, wire
from hotfire.rows import Part, Place, Verdict
from hotfire.source.formats import Chunk
from hotfire.source.formats.json import JsonLines

ID = Column("id", "string", required=True)


def versions(*generations: tuple[Column, ...], when: str = "v < {}", **sets: Mapping[str, str]) -> Contract:
    """A contract with a version for each tuple of columns; `_2={...}` is what the lens of version 2 sets."""
    older: tuple[Contract, ...] = ()
    for number, columns in enumerate(generations, 1):
        lens = Lens(number - 1, when.format(number), sets.get(f"_{number}", {})) if older else None
        named = (ID, Column("v", "integer"), *columns)
        contract = Contract("s", f"{number}.0.0", "entity", named, key=("id",), lens=lens, older=older)
        older = (*older, contract)
    return older[-1]


def verdict(contract: Contract, *records: Mapping[str, Any]) -> Verdict:
    lines = [msgspec.json.encode({"id": str(number), **record}) for number, record in enumerate(records)]
    data = b"".join(line + b"\n" for line in lines)
    part = Part(Place("p", "p"), len(data), len(lines) + 1, len(lines))
    return judge(contract, JsonLines().records([Chunk(part, data)]).decode(wire(contract)), 0)


def stored(contract: Contract, *records: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The stored columns after `id` and `v`; no record may be rejected."""
    found = verdict(contract, *records)
    assert found.rejected == {}
    return [row[3:-2] for row in found.rows.rows()]


def test_a_field_may_be_renamed() -> None:
    """The older name's values stand in the new column."""
    contract = versions((Column("hum", "number"),), (Column("humidity", "number"),), _2={"humidity": "hum"})
    assert stored(contract, {"v": 1, "hum": 40}, {"v": 2, "humidity": 41}) == [(40.0,), (41.0,)]


def test_a_new_column_may_have_a_default_for_older_rows() -> None:
    """The default is for older rows only; a newer row without the value has none."""
    contract = versions((), (Column("mode", "string"),), _2={"mode": "'auto'"})
    assert stored(contract, {"v": 1}, {"v": 2}, {"v": 2, "mode": "off"}) == [("auto",), (None,), ("off",)]


def test_a_new_column_without_a_default_is_null_for_older_rows() -> None:
    """What the lens does not mention carries over by name; what the older version lacks is null."""
    contract = versions((Column("x", "number"),), (Column("x", "number"), Column("y", "number")))
    assert stored(contract, {"v": 1, "x": 1.5}, {"v": 2, "x": 2.5, "y": 3}) == [(1.5, None), (2.5, 3.0)]


def test_a_unit_may_change() -> None:
    """A formula converts the older rows' values."""
    contract = versions((Column("temp_f", "number"),), (Column("temp", "number"),), _2={"temp": "(temp_f - 32) / 1.8"})
    assert stored(contract, {"v": 1, "temp_f": 212}, {"v": 2, "temp": 21.5}) == [(100.0,), (21.5,)]


def test_a_field_may_be_split() -> None:
    """One text becomes two columns."""
    place = (Column("place", "string"),)
    parts = (Column("city", "string"), Column("country", "string"))
    sets = {"city": "split_part(place, '/', 1)", "country": "split_part(place, '/', 2)"}
    assert stored(versions(place, parts, _2=sets), {"v": 1, "place": "Oslo/NO"}) == [("Oslo", "NO")]


def test_a_version_may_be_told_by_the_fields_present() -> None:
    """Without a version field, the older name gives an older row away."""
    first, second = (Column("hum", "number"),), (Column("humidity", "number"),)
    contract = versions(first, second, when="hum is not null", _2={"humidity": "hum"})
    assert stored(contract, {"hum": 40}, {"humidity": 41}) == [(40.0,), (41.0,)]


def test_a_row_whose_version_is_unknown_is_of_the_newest() -> None:
    """`when` has to be true: null is not."""
    contract = versions((Column("x", "number"),), (Column("x", "number"), Column("y", "string")), _2={"y": "'old'"})
    assert stored(contract, {"x": 1}, {"v": 1, "x": 1}) == [(1.0, None), (1.0, "old")]


def test_versions_go_through_every_lens_between() -> None:
    """A row of version 1 goes through the lenses of versions 2 and 3, one of version 2 through the last."""
    contract = versions(
        (Column("a", "number"),),
        (Column("b", "number"),),
        (Column("c", "number"),),
        _2={"b": "a + 1"},
        _3={"c": "b * 10"},
    )
    assert stored(contract, {"v": 1, "a": 1}, {"v": 2, "b": 1}, {"v": 3, "c": 1}) == [(20.0,), (10.0,), (1.0,)]


FORMS = [
    ("number", "integer", 5, 5, 5.0, 5),
    ("integer", "number", 5, 5.5, 5, 5.5),
    ("integer", "number", 5, 5, 5, 5.0),
    ("string", "number", "5.5", 6.5, "5.5", 6.5),
    ("number", "string", 5.5, "6.5", 5.5, "6.5"),
    ("string", "boolean", "true", True, "true", True),
    ("boolean", "integer", True, 3, True, 3),
]


@pytest.mark.parametrize(("older", "newer", "first", "second", "first_stored", "second_stored"), FORMS)
def test_versions_may_write_one_field_in_two_forms(
    older: Any, newer: Any, first: Any, second: Any, first_stored: Any, second_stored: Any
) -> None:
    """Each row is read by its own version's form, also where the value would fit the other's as well."""
    contract = versions((Column("x", older),), (Column("y", newer, path="x"), Column("z", older)), _2={"z": "x"})
    found = stored(contract, {"v": 1, "x": first}, {"v": 2, "x": second})
    assert found == [(None, first_stored), (second_stored, None)]
    assert [tuple(map(type, row)) for row in found] == [
        (type(None), type(first_stored)),
        (type(second_stored), type(None)),
    ]


def test_versions_may_write_instants_in_two_forms() -> None:
    """Version 1 wrote texts, version 2 writes seconds: both are the same instant."""
    first = (Column("at", "timestamp"),)
    second = (Column("at", "timestamp", format="epoch_s"),)
    contract = versions(first, second)
    assert stored(contract, {"v": 1, "at": "1970-01-01T00:00:07Z"}, {"v": 2, "at": 7}) == [(7 * 10**9,)] * 2


@pytest.mark.parametrize(("v", "value"), [(1, 6.5), (2, "5.5")])
def test_a_form_of_another_version_is_a_wrong_type(v: int, value: Any) -> None:
    """A row may not borrow the other version's form."""
    contract = versions((Column("x", "string"),), (Column("x", "number"),), _2={"x": "cast(x as double)"})
    found = verdict(contract, {"v": v, "x": value})
    assert [fault.check for fault in found.rejected[0]] == ["x.type"]


def test_only_a_rows_own_version_finds_fault_with_it() -> None:
    """A newer row is not asked for the older version's instants, nor an older one for the newer's."""
    first, second = (Column("at", "timestamp"),), (Column("at", "string"),)
    contract = versions(first, second, _2={"at": "'then'"})
    assert stored(contract, {"v": 2, "at": "not an instant"}) == [("not an instant",)]


def test_what_is_required_of_a_computed_column_is_excused_by_its_source() -> None:
    """A broken value gives one fault, not a missing one as well."""
    required = Column("humidity", "number", required=True)
    contract = versions((Column("hum", "number"),), (required,), _2={"humidity": "hum"})
    found = verdict(contract, {"v": 1, "hum": "n/a"}, {"v": 1})
    assert {no: [fault.check for fault in faults] for no, faults in found.rejected.items()} == {
        0: ["hum.type"],
        1: ["humidity.required"],
    }


def test_stored_rows_go_through_the_same_lens() -> None:
    """Taking a new version up converts what is stored to what it would have been."""
    first = (Column("temp_f", "number"), Column("at", "timestamp", format="epoch_s"))
    second = (Column("temp", "number"), Column("at", "timestamp", format="epoch_s"), Column("mode", "string"))
    newer = versions(first, second, _2={"temp": "(temp_f - 32) / 1.8", "mode": "'auto'"})
    rows = [{"v": 1, "temp_f": value / 3, "at": value} for value in range(50)]
    before = verdict(newer.older[0], *rows).rows
    names = [column.storage for column in newer.older[0].columns]
    for part in (before, before.head(1), before.clear()):
        converted = upgrade(newer, 1, part.select(names))
        assert converted.rows() == verdict(newer, *rows).rows.select(converted.columns).head(part.height).rows()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), st.sampled_from(["x / 1.8", "x + 0.0", "-x", "x * 3 / 7"])
)
def test_an_expression_gives_a_row_the_same_bits_alone_and_in_company(values: list[float], sql: str) -> None:
    """Polars has other instructions for constant columns; no row may notice."""
    expression, together = compile_sql(sql), pl.DataFrame({"x": values})
    found = [value.hex() for value in evaluated(together, expression)]
    assert [evaluated(pl.DataFrame({"x": [value]}), expression).item().hex() for value in values] == found
    constant = pl.DataFrame({"n": [1, 2, 3]}).with_columns(x=pl.lit(values[0]))
    assert {value.hex() for value in evaluated(constant, expression)} == {found[0]}


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_a_constant_expression_gives_every_row_its_value(rows: int) -> None:
    """As many values as rows, also of none."""
    assert evaluated(pl.DataFrame({"x": [1.0] * rows}), compile_sql("'auto'")).to_list() == ["auto"] * rows


def test_an_older_versions_contract_is_the_same_alone() -> None:
    """What a contract says of an older row's type does not depend on the newer versions around it."""
    newer = versions((Column("x", "integer"),), (Column("x", "number"),))
    alone = replace(newer.older[0], older=())
    for value in (5, 5.5, "5"):
        assert (verdict(newer, {"v": 1, "x": value}).rejected == {}) == (
            verdict(alone, {"v": 1, "x": value}).rejected == {}
        )
