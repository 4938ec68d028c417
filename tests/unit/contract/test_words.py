"""The words that SQL keeps for itself, as DuckDB itself tells them."""

from __future__ import annotations

import duckdb

from hotfire.contract.words import SQL_WORDS

BARE = ("select max({0}) as y from t", "select x, {0} from t", "select t.{0} as y from t order by {0}")


def readable(connection: duckdb.DuckDBPyConnection, word: str) -> bool:
    """Whether statements can name a column of that name, bare, and mean it."""
    connection.execute(f'create or replace table t as select 7 as "{word}", 1 as x')
    try:
        return all(7 in connection.execute(one.format(word)).fetchone() for one in BARE)
    except duckdb.Error:
        return False


def test_every_awkward_word_is_known() -> None:
    """Whatever keyword DuckDB cannot read bare as a column is in the list; ordinary names of channels are not."""
    with duckdb.connect() as connection:
        words = [word for (word,) in connection.execute("select keyword_name from duckdb_keywords()").fetchall()]
        awkward = {word for word in words if not readable(connection, word)}
    assert {"at", "order", "group", "end", "left"} <= awkward
    assert awkward <= SQL_WORDS
    assert not SQL_WORDS & {"time", "timestamp", "value", "name", "unit", "row", "position", "temperature", "date"}
