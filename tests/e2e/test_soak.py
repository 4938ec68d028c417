"""A workspace that is kept going for a while: memory and files stay bounded, nothing is lost. `make soak` takes an hour."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

SECONDS = float(os.environ.get("HOTFIRE_SOAK_S", "15"))
RATE = 1000
PER_REQUEST = 50
SETTLED = 1 / 3
"""After this part of the time everything has been used once: from there on memory is compared."""
GROWTH = 1.05 if SECONDS >= 3600 else 1.3
FILES = 400
"""More files than this are in the lake at no time."""


def resident_mb(pid: int) -> float:
    """What a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def rows(make: Any, first: int) -> bytes:
    """Events of this moment, a fresh asset clock each."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    events = (make.event(number, timestamp=now) for number in range(first, first + PER_REQUEST))
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc: Linux only")
def test_memory_and_files_stay_bounded(
    fleet: Path, up: Callable[..., AbstractContextManager[Any]], run: Callable[..., Any], make: Any
) -> None:
    """1,000 rows a second: all of them kept once, memory as after the first third, files compacted, old rows let go of."""
    with up(fleet, HOTFIRE_STREAMS__EVENTS__RETENTION="16 min") as server:
        start, sent, memory, files = time.monotonic(), 0, [], []
        while (passed := time.monotonic() - start) < SECONDS:
            assert server.push(rows(make, sent)).status_code == 202
            sent += PER_REQUEST
            memory.append((passed, resident_mb(server.process.pid)))
            files.append(sum(1 for _ in (fleet / "data" / "lake").rglob("*.parquet")))
            time.sleep(max(0.0, sent / RATE - (time.monotonic() - start)))
        server.until(lambda: server.stream("events")["received"] == sent, 60)
        assert server.stop()[0] == 0
    early = max(mb for passed, mb in memory if passed <= SECONDS * SETTLED)
    late = max(mb for passed, mb in memory if passed > SECONDS * SETTLED)
    sys.stderr.write(
        f"memory {early:.0f} MB, later {late:.0f} MB; at most {max(files)} files in the lake; {sent:,} rows\n"
    )
    assert late <= early * GROWTH
    assert max(files) <= FILES
    (counted,) = run("balance", "events", "--json", cwd=fleet).document["streams"]
    assert (counted["balanced"], counted["received"], counted["stored"]) == (True, sent, sent)
