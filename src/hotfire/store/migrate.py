"""Numbered migrations of hotfire's own tables. A file `NNNN_name.sql` in `migrations/` is applied once, in order.

They are written in SQLite's words; `dialect.py` says what these become elsewhere.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hotfire.errors import StoreUnusable

if TYPE_CHECKING:
    from hotfire.store.connection import Connection


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """(number, SQL) of every migration, ascending."""
    folder = files("hotfire.store").joinpath("migrations")
    found = sorted((file.name, file.read_text()) for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple((int(name.split("_")[0]), text) for name, text in found)


def migrate(connection: Connection, upto: int | None = None) -> None:
    """Bring the store to the newest schema, or to number `upto`; refuses a store of a newer program."""
    present, newest = connection.schema_number(), migrations()[-1][0]
    if present > newest:
        raise StoreUnusable(
            f"The store {connection.name} has schema {present}; this hotfire knows {newest}.",
            "It was written by a newer hotfire: upgrade this one.",
        )
    if present < (upto or newest):
        _apply(connection, upto or newest)
    connection.rollback()


def _apply(connection: Connection, upto: int) -> None:
    """The migrations that another process has not made meanwhile, all or none of them."""
    connection.alone()
    present = connection.schema_number()
    texts = [connection.dialect.translated(text) for number, text in migrations() if present < number <= upto]
    for statement in (one for text in texts for one in text.split(";\n") if one.strip()):
        connection.query(statement)
    if present < upto:
        connection.set_schema_number(upto)
    connection.commit()
