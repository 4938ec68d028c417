"""Words: what was probably meant by one that is not known, and those that SQL keeps for itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SQL_WORDS = frozenset(
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check
    collate collation column concurrently constraint create cross current_catalog current_date current_role
    current_time current_timestamp current_user default deferrable desc describe distinct do else end except exists
    false fetch for foreign freeze from full glob grant group having ilike in initially inner intersect interval
    into is isnull join lambda lateral leading left like limit localtime localtimestamp natural not notnull null
    offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional primary qualify
    references returning right select semi session_user show similar some summarize symmetric table tablesample then
    to trailing true union unique unpack unpivot user using values variadic verbose view when where window with
    """.split()  # noqa: SIM905 - a list would take a page
)
"""What DuckDB cannot read bare as a column, or takes for something else; with what PostgreSQL and Polars add to it.

A column called so has to stand in double quotes in every statement.
"""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A suggestion for a name that is not known: the nearest known one, or all of a few."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
