"""SQL expressions over the columns of one row: cross-field checks, lenses, the `when` of limits and rules.

The dialect is that of `polars.sql_expr`, narrowed to what judges each row by itself: no aggregates, no windows, no
clock, no subqueries. Logic is three-valued: a comparison with null is null, `null or true` is true. A row breaks a
check only where it is *false*; where it is null, the check has nothing to say. To insist on a value, write
`x is not null and x > 1`, or make the column required.

A cast that fails is null (`cast` means `try_cast`); `int` and `float` mean 64 bits; `length` and `strpos` are signed,
so that `length(s) - 3` may be negative. Columns are lower-case; dotted source fields stand in double quotes
(`"location.lat" is not null`), texts in single quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError

FUNCTIONS = frozenset(
    [
        "abs",
        "acos",
        "asin",
        "atan",
        "atan2",
        "cbrt",
        "ceil",
        "ceiling",
        "char_length",
        "character_length",
        "coalesce",
        "concat",
        "concat_ws",
        "cos",
        "date_part",
        "degrees",
        "div",
        "ends_with",
        "exp",
        "extract",
        "floor",
        "greatest",
        "if",
        "ifnull",
        "initcap",
        "least",
        "left",
        "length",
        "ln",
        "log10",
        "log1p",
        "log2",
        "lower",
        "ltrim",
        "mod",
        "nullif",
        "octet_length",
        "pi",
        "position",
        "pow",
        "power",
        "radians",
        "regexp_like",
        "replace",
        "right",
        "round",
        "rtrim",
        "sign",
        "sin",
        "split_part",
        "sqrt",
        "starts_with",
        "strftime",
        "strpos",
        "substr",
        "substring",
        "tan",
        "trim",
        "try_cast",
        "cast",
        "upper",
    ]
)
"""What an expression may call: each depends on its own row only."""

_UNSIGNED = {"length", "char_length", "character_length", "octet_length", "strpos", "position"}
_KEYWORDS = set("in and or not when then else case between like ilike is from by as xor".split())  # noqa: SIM905 - as above
_REFUSED = {
    "select",
    "over",
    "exists",
    "filter",
    "within",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
}
_WIDE = {"int": "bigint", "integer": "bigint", "float": "double", "real": "double"}
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*|--|/\*|::|\s+|.""", re.DOTALL)
_LONGEST = 2_000

_HARD: Mapping[type[pl.DataType], list[Any]] = {
    pl.String: ["", "x", "1", "ä,b.c", None],
    pl.Int64: [0, 1, -1, 2**63 - 1, None],
    pl.Float64: [0.0, 1.5, -1.0, 1e300, None],
    pl.Boolean: [True, False, True, False, None],
    pl.Datetime: [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)] * 2 + [None],
    pl.Date: [date(1970, 1, 1), date(2026, 2, 28), date(1, 1, 1), date(9999, 12, 31), None],
}


def columns_of(sql: str) -> set[str]:
    """The columns that an expression reads. Raises ContractError where it is not one."""
    return set(_parse(sql).meta.root_names())


def evaluated(frame: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    """The expression's values over a frame, one a row: the same bits for a row alone and in company.

    Polars computes a column that holds one value (in one row, or in many) by other instructions than the rest: it
    divides it by 1.8, but multiplies others by 1 / 1.8, and the last bits differ. So every column is given as an
    array, and a single row is computed twice.
    """
    columns = frame.get_columns()
    arrays = pl.DataFrame([one.new_from_index(0, 2) for one in columns] if frame.height == 1 else columns)
    values = arrays.select(expression).to_series()
    return values.new_from_index(0, frame.height) if len(values) == 1 else values.head(frame.height)


def compile_sql(sql: str, columns: Collection[str] | None = None) -> pl.Expr:
    """An expression over columns, one value a row (a constant gives one value in all).

    Args:
        sql: the expression, at most 2,000 characters.
        columns: the columns there are; None leaves unknown ones to be found when it is evaluated.

    Raises:
        ContractError: bad syntax, a function that needs more than its row, an unknown column.
    """
    expression = _parse(sql)
    for name in expression.meta.root_names() if columns is not None else ():
        if columns is not None and name not in columns:
            raise ContractError(f"there is no column `{name}`", _unknown(name, columns))
    return expression


def judge_sql(sql: str, schema: Mapping[str, pl.DataType]) -> pl.DataType:
    """The type of an expression's values, tried on hard ones: it must not fail whatever a row holds.

    Raises:
        ContractError: as `compile_sql`, and where types do not fit each other or values make it fail.
    """
    expression = compile_sql(sql, schema)
    used = {name: schema[name] for name in expression.meta.root_names()}
    rows = {name: pl.Series(_HARD[dtype.base_type()]).cast(dtype) for name, dtype in used.items()}
    frame = pl.DataFrame(rows or {"": [None]})
    try:
        values = frame.select(expression.alias("value"))["value"]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        hint = "compare like with like: texts in single quotes, numbers without, times as `timestamp_column > other`"
        raise ContractError(f"`{sql}` cannot be evaluated: {_first_line(error)}", hint) from error
    return values.dtype


def _parse(sql: str) -> pl.Expr:
    if len(sql) > _LONGEST:
        raise ContractError(f"an expression of {len(sql):,} characters", f"write it in {_LONGEST:,} or fewer")
    try:
        expression = pl.sql_expr(_row_wise(sql))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        hint = "columns that are also SQL words, such as order, stand in double quotes"
        raise ContractError(f"`{sql}` is not an SQL expression: {_first_line(error)}", hint) from error
    if not expression.meta.eq(expression.meta.undo_aliases()):
        raise ContractError(f"`{sql}` is not one expression: it ends in a name", "write `x is null`, not `x isnull`")
    return expression


def _row_wise(sql: str) -> str:
    """The expression in the form that is evaluated; raises ContractError where it looks beyond its row."""
    tokens: list[str] = _TOKEN.findall(sql)
    words = [token.lower() for token in tokens]
    kept = [index for index, token in enumerate(tokens) if not token.isspace()]
    after: dict[int, str] = {}
    opened: list[str] = []
    for place, index in enumerate(kept):
        token = words[index]
        ahead = words[kept[place + 1]] if place + 1 < len(kept) else ""
        behind = words[kept[place - 1]] if place else ""
        if token in _REFUSED or token in ("--", "/*", ";", "::"):
            hint = "write cast(x as type)" if token == "::" else "an expression sees one row, and no comments"
            raise ContractError(f"`{tokens[index]}` cannot stand in an expression", hint)
        if token == "(":
            opened.append(behind)
        elif token == ")" and opened:
            after[index] = " as bigint)" if opened.pop() in _UNSIGNED else ""
        elif behind == "as" and token in _WIDE:
            tokens[index] = _WIDE[token]
        elif ahead == "(" and re.match(r"[a-z_\"`]", token) and token not in _KEYWORDS and behind != "as":
            tokens[index] = _called(token)
    return "".join(token + after.get(index, "") for index, token in enumerate(tokens))


def _called(name: str) -> str:
    if name not in FUNCTIONS:
        raise ContractError(f"there is no function `{name}` that judges one row", did_you_mean(name, sorted(FUNCTIONS)))
    if name in _UNSIGNED:
        return f"try_cast({name}"
    return "try_cast" if name == "cast" else name


def _unknown(name: str, columns: Collection[str]) -> str:
    dotted = [column for column in columns if column.startswith(f"{name}.")]
    if dotted:
        return f'write it in double quotes: "{dotted[0]}"'
    if name.lower() in columns:
        return f"did you mean `{name.lower()}`?"
    return did_you_mean(name, columns) or "texts stand in single quotes, columns bare or in double quotes"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
