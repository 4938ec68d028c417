"""SQL over one row: what it may call, three-valued logic, no failure on any row."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.expression import columns_of, compile_sql, judge_sql
from hotfire.errors import ContractError

SCHEMA: dict[str, pl.DataType] = {
    "i": pl.Int64(), "f": pl.Float64(), "s": pl.String(), "b": pl.Boolean(), "t": pl.Datetime("ns", "UTC"),
    "d": pl.Date(), "order": pl.Int64(), "location.lat": pl.Float64(),
}  # fmt: skip
ROWS = pl.DataFrame(
    {"i": [1, None, 3], "s": ["ab", None, ""], "location.lat": [1.5, 2.5, None], "b": [True, False, None]}
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("i > 1", [False, None, True]),
        ("i > 1 or b", [True, None, True]),
        ("i is not null and i > 1", [False, False, True]),
        ("i in (1, 2)", [True, None, False]),
        ("i not between 1 and 2", [False, None, True]),
        ("case when i > 1 then 'high' else 'low' end", ["low", "low", "high"]),
        ('"location.lat" > 2', [False, True, None]),
        ("length(s) - 3", [-1, None, -3]),
        ("strpos(s, 'b') - 3", [-1, -3, -3]),
        ("cast(s as int)", [None, None, None]),
        ("cast(i as int) * 4000000000", [4_000_000_000, None, 12_000_000_000]),
        ("coalesce(i, 0)", [1, 0, 3]),
        ("s like 'a%'", [True, None, False]),
        ("s = 'it''s sum(i)'", [False, None, False]),
    ],
)  # fmt: skip
def test_values(sql: str, expected: list[object]) -> None:
    """Expressions give one value a row; a comparison with null is null."""
    assert ROWS.select(compile_sql(sql, ROWS.columns).alias("value"))["value"].to_list() == expected


def test_columns_of() -> None:
    """The columns that an expression reads are named once each, by path where quoted."""
    assert columns_of("i > 1 and (f < i or \"location.lat\" is null) and s = 'b'") == {"i", "f", "location.lat", "s"}


@pytest.mark.parametrize(
    ("sql", "what", "do"),
    [
        ("preasure > 1", "there is no column `preasure`", ""),
        ("oder > 1", "there is no column `oder`", "did you mean `order`?"),
        ("I > 1", "there is no column `I`", "did you mean `i`?"),
        ("location > 1", "there is no column `location`", '"location.lat"'),
        ("sum(i) > 1", "no function `sum`", ""),
        ('"sum"(i) > 1', "no function", ""),
        ("lenght(s) > 1", "no function `lenght`", "did you mean `length`?"),
        ("row_number() over (order by i) > 1", "no function `row_number`", ""),
        ("now() > t", "no function `now`", ""),
        ("current_timestamp > t", "`current_timestamp` cannot stand", ""),
        ("i in (select 1)", "`select` cannot stand", ""),
        ("i::int", "`::` cannot stand", "cast(x as type)"),
        ("i > 1 -- why", "`--` cannot stand", ""),
        ("i isnull", "not one expression", "x is null"),
        ("i >", "not an SQL expression", ""),
        ("", "not an SQL expression", ""),
        ("s > 1", "cannot be evaluated", "single quotes"),
        ("t > '2026-01-01'", "cannot be evaluated", ""),
        ("power(i, i)", "cannot be evaluated", ""),
        ("regexp_like(s, '(')", "cannot be evaluated", ""),
        (" or ".join(["i = 1"] * 1000), "characters", "fewer"),
    ],
)
def test_refusals(sql: str, what: str, do: str) -> None:
    """What looks beyond its row, or could fail on one, is refused with a suggestion."""
    with pytest.raises(ContractError) as caught:
        judge_sql(sql, SCHEMA)
    assert what in caught.value.what
    assert do in caught.value.do


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["i", "f", "s", "(", ")", ",", "<", "and", "is", "null", "'x'", "1", "abs", "-"]), max_size=12
    ).map(" ".join)
)
def test_any_text_is_judged(sql: str) -> None:
    """Whatever is written, it is an expression or it is refused; nothing else is raised."""
    try:
        dtype = judge_sql(sql, SCHEMA)
    except ContractError:
        return
    assert isinstance(dtype, pl.DataType)


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1) | st.none(), st.text(max_size=5) | st.none()), min_size=1, max_size=8
    )
)
def test_rows_alone_and_together(rows: list[tuple[int | None, str | None]]) -> None:
    """An expression gives a row the same value alone as among others."""
    frame = pl.DataFrame(rows, schema={"i": pl.Int64, "s": pl.String}, orient="row")
    sql = "case when i % 7 > 2 then length(s) - i else cast(s as int) end"
    together = frame.select(compile_sql(sql).alias("value"))["value"].to_list()
    assert together == [frame[row].select(compile_sql(sql).alias("value")).item() for row in range(len(rows))]
