"""The launches of a web API on loopback: 200 of them, nothing new, a few new and corrected ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from hotfire.testing.launches import later, made_up, write

HOTFIRE = [sys.executable, "-m", "hotfire"]
BASELINE = [sys.executable, str(Path(__file__).parent / "inputs" / "baseline_httpx.py")]
ADDRESS = "address"
"""The file in the benchmark's folder that says where the replica listens."""


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """A replica of the API in a process of its own; it shows `now` or `later`, as it is told."""
    now = made_up(200)
    write(now, folder / "now")
    write(later(now), folder / "later")
    command = [sys.executable, "-m", "hotfire.testing.replica", str(folder / "now")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        (folder / ADDRESS).write_text(server.stdout.readline().strip(), encoding="utf-8")
        try:
            yield
        finally:
            server.terminate()


def ours(*before: str) -> Callable[[Path], Sequence[str]]:
    """One job of hotfire, in a workspace in which there was one for each state named `before` the last."""

    def command(folder: Path) -> Sequence[str]:
        place, address = folder / "ws-launches", _address(folder)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([*HOTFIRE, "init", str(place), "--template", "launches"], check=True, stdout=subprocess.DEVNULL)
        settings = place / "hotfire.toml"
        settings.write_text(settings.read_text("utf-8").replace("https://api.spacexdata.com", address), "utf-8")
        return _prepared(folder, before, [*HOTFIRE, "--workspace", str(place), "ingest", "launches", "--json"])

    return command


def theirs(*before: str) -> Callable[[Path], Sequence[str]]:
    """The same of the script."""

    def command(folder: Path) -> Sequence[str]:
        for file in folder.glob("launches.db*"):
            file.unlink()
        return _prepared(folder, before, [*BASELINE, _address(folder), str(folder / "launches.db")])

    return command


def _prepared(folder: Path, states: Sequence[str], command: Sequence[str]) -> Sequence[str]:
    for state in states[:-1]:
        _show(folder, state)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _show(folder, states[-1])
    return command


def _show(folder: Path, state: str) -> None:
    asked = Request(f"{_address(folder)}/replica/step", json.dumps({"folder": str(folder / state)}).encode())  # noqa: S310 - our own
    with urlopen(asked) as answer:  # noqa: S310 - as above
        assert answer.status == 204


def _address(folder: Path) -> str:
    return (folder / ADDRESS).read_text("utf-8")
