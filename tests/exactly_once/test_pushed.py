"""Pushed rows: what was acknowledged is stored once, whichever process died when."""

from __future__ import annotations

import http.client
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hotfire.contract.model import Contract
from hotfire.source.spool.frames import Damage, Frame
from hotfire.source.spool.segments import listing, troubles
from hotfire.source.spool.source import SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Stand

EFFECTS = {"store.open", "store.plan", "store.commit", "lake.append", "source.acknowledge"}
LIMITS = SpoolLimits(segment_bytes=1500)


def pushed(folder: Path, lines: list[bytes], seed: int) -> None:
    """Fill a spool with requests of uneven size, and damage one of them."""
    chance, at = random.Random(seed), 0
    with closing(Spool(folder, ManualClock(), LIMITS)) as spool:
        while at < len(lines):
            size = chance.choice([1, 1, 2, 17])
            done = spool.append(b"\n".join(lines[at : at + size]))
            assert done is not None
            done.result(10)
            at += size
    path = listing(folder)[1].path
    path.write_bytes(path.read_bytes().replace(b'"engine"', b'"enginE"', 1))


def through(stand: Stand, folder: Path, fuse: Fuse | None = None) -> None:
    """One process over the spool, from its start to its end or death."""
    with closing(Spool(folder, ManualClock(), LIMITS)) as spool:
        stand.run(SpoolSource(spool, SpoolSettings(batch_rows=14)), fuse)


def test_a_crash_at_any_step_changes_nothing(bench: Path, burns: Contract, make: Callable[..., Path]) -> None:
    """Digest, fates and the lake's rows equal those of an undisturbed run, while segments are let go of on the way."""
    lines = make(bench / "burns.jsonl", 60).read_bytes().splitlines()
    pushed(bench / "pushed", lines, 5)
    shutil.copytree(bench / "pushed", bench / "calm" / "spool")
    fuse, calm = Fuse(), Stand(bench / "calm", burns)
    through(calm, bench / "calm" / "spool", fuse)
    came = calm.came()
    damaged = [fates for fates in came.fates.values() if fates == ("open", "row.parse")]
    assert (came.totals["received"], len(damaged)) == (len(came.fates), 1)
    assert len(listing(bench / "calm" / "spool")) == 1 < len(listing(bench / "pushed"))
    moments = {(point, call, False) for point, call in fuse.trace if point.split(".")[0] != "records"}
    moments |= {(point, call, True) for point, call in fuse.trace if point in EFFECTS}
    for number, (point, call, after) in enumerate(sorted(moments)):
        stand, folder = Stand(bench / f"{number}", burns), bench / f"{number}" / "spool"
        shutil.copytree(bench / "pushed", folder)
        with pytest.raises(Crash):
            through(stand, folder, Fuse(point, call, after))
        through(stand, folder)
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.balance().differences == []
        assert len(listing(folder)) == 1


SERVER = """
import signal, sys
from pathlib import Path
from hotfire.clock import SystemClock
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.web.app import app
from hotfire.web.server import serve
server = serve(app({"events": Spool(Path(sys.argv[1]), SystemClock(), SpoolLimits(segment_bytes=60_000))}))
print(server.port, flush=True)
signal.pause()
"""


class Client:
    """Pushes payloads that are all different until the server is gone, and remembers which were acknowledged."""

    def __init__(self, name: str, port: int) -> None:
        self._name, self._port = name, port
        self.sent: list[bytes] = []
        self.acknowledged: list[bytes] = []
        self._thread = threading.Thread(target=self._push)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _push(self) -> None:
        chance = random.Random(self._name)
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            try:
                for number in range(100_000):
                    body = f"{self._name}/{number} ".encode() + b"x" * chance.choice([1, 100, 9000])
                    self.sent.append(body)
                    connection.request("POST", "/api/v1/ingest/events", body)
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 202
                    self.acknowledged.append(body)
            except (OSError, http.client.HTTPException):
                return


def test_a_killed_server_keeps_what_it_acknowledged(bench: Path) -> None:
    """Kill -9 at random instants of pushing: every payload with a 202 is in the spool once, none is there in part."""
    folder, chance = bench / "spool", random.Random(3)
    clients: list[Client] = []
    for life in range(8):
        with subprocess.Popen([sys.executable, "-c", SERVER, folder], stdout=subprocess.PIPE) as server:
            assert server.stdout
            port = int(server.stdout.readline())
            born = [Client(f"{life}-{number}", port) for number in range(4)]
            while not all(client.acknowledged for client in born):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.2))
            server.send_signal(signal.SIGKILL)
            server.wait()
            for client in born:
                client.join()
            clients += born
            assert troubles(folder) == []
    found: list[bytes] = []
    with closing(Spool(folder, ManualClock())) as spool:
        at = 0
        while items := spool.read(at, 1 << 20):
            assert not [item for item in items if isinstance(item, Damage)]
            found += [item.payload for item in items if isinstance(item, Frame)]
            at = items[-1].end
    counted = Counter(found)
    assert set(counted.values()) == {1}
    assert {body for client in clients for body in client.acknowledged} <= counted.keys()
    assert counted.keys() <= {body for client in clients for body in client.sent}
    assert len(listing(folder)) > 1
