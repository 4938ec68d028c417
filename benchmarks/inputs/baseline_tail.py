"""Follow a growing file of JSON events into SQLite, unchecked: what being live costs at least.

    python baseline_tail.py EVENTS.jsonl DATABASE

Polls every 5 ms; every poll's rows are a transaction, each with the instant of its commit beside its own.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

POLL_S = 0.005


def main(events: Path, database: Path) -> None:
    """Until it is stopped."""
    store = sqlite3.connect(database)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = NORMAL")
    store.execute("CREATE TABLE events (batch INTEGER, event_id TEXT, device_id TEXT, timestamp TEXT, body TEXT)")
    store.execute("CREATE TABLE batches (batch INTEGER, committed_at_ns INTEGER)")
    batch, rest = 0, b""
    with events.open("rb") as file:
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            if not lines:
                time.sleep(POLL_S)
                continue
            batch += 1
            rows = [json.loads(line) for line in lines]
            fields = ("event_id", "device_id", "timestamp")
            values = [(batch, *(row[name] for name in fields), str(line)) for row, line in zip(rows, lines, strict=True)]
            store.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", values)
            store.commit()
            store.execute("INSERT INTO batches VALUES (?, ?)", (batch, time.time_ns()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
