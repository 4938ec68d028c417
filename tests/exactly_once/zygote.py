"""Forks a process for every order and kills it: everything is imported once, so a death costs no start-up.

Orders come as JSON lines on standard input: `do` names what the child does, `delay_s` when it is killed with SIGKILL
(null: never), counted from its begin or, where `mark` is a point of a `Fuse`, from the `call`-th time it gets there.
The answer is {"killed": true} or {"code": exit code}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import hotfire.cli.backfill
import hotfire.cli.doctor
import hotfire.cli.ingest
import hotfire.cli.jobs
import hotfire.cli.quarantine
import hotfire.workspace.doctor  # noqa: F401 - what commands import when they run is imported before the fork
from hotfire.cli import main
from hotfire.contract.model import load
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.stand import Stand


def command(order: dict[str, Any], _: Fuse) -> int:
    """Run the installed command with `argv` in the workspace `folder`."""
    os.chdir(order["folder"])
    sys.argv = ["hotfire", *order["argv"]]
    return main()


def stand(order: dict[str, Any], fuse: Fuse) -> int:
    """Run the engine over `files`, then compact the lake."""
    contract = load(Path(order["contract"]).read_bytes())
    bench = Stand(Path(order["folder"]), contract, lake_only=order["lake_only"])
    with closing(FileSource(order["files"], FileSettings(batch_rows=order["batch_rows"]), ManualClock())) as source:
        bench.run(source, fuse)
    with closing(bench.store()) as store:
        fuse.wrap("lake", bench.lake(store)).maintain(contract.stream)
    return 0


DEEDS = {"command": command, "stand": stand}


def child(order: dict[str, Any], marks: int) -> None:
    """Do what was ordered, and end. Never returns."""
    silence = os.open(order.get("out", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(silence, stream)

    def watch(point: str, call: int) -> None:
        if [point, call] == order.get("mark"):
            os.write(marks, b"!")

    code = 70
    try:
        code = DEEDS[order["do"]](order, Fuse(watch=watch))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """One child from its begin to its end."""
    seen, marks = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(seen)
        child(order, marks)
    os.close(marks)
    reached = order.get("mark") is None or os.read(seen, 1) == b"!"
    if order["delay_s"] is not None and reached:
        time.sleep(order["delay_s"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(seen)
    return {"killed": True} if os.WIFSIGNALED(status) else {"code": os.WEXITSTATUS(status)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)  # noqa: T201 - the answer
