"""Write rows of a text table into SQLite with ADBC, unchecked: what storing alone costs.

    python baseline_adbc.py TABLE.csv DATABASE
"""

from __future__ import annotations

import sys
from pathlib import Path

import adbc_driver_sqlite.dbapi
import polars as pl

ROWS = 100_000


def main(table: Path, database: Path) -> None:
    """Batches of 100,000 rows, each a durable transaction."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    rows = pl.read_csv(table)
    with adbc_driver_sqlite.dbapi.connect(str(database), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
    with adbc_driver_sqlite.dbapi.connect(str(database)) as connection, connection.cursor() as cursor:
        for start in range(0, rows.height, ROWS):
            cursor.adbc_ingest("rows", rows.slice(start, ROWS), mode="create_append")
            connection.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
