"""Where going on would not be safe nothing is done, it is said why, and there is a way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hotfire.contract.model import Contract
from hotfire.errors import LakeUnusable, SourceChanged
from hotfire.rows import LIVE
from hotfire.source.files import FileSource
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Stand

NAMES = ["burns.csv", "burns.jsonl", "burns.parquet"]
YAML = Path(__file__).with_name("burns.yaml")


def shrunk(path: Path, make: Callable[..., Path]) -> None:
    """Half of its records."""
    make(path, rows=20)


def rewritten(path: Path, make: Callable[..., Path]) -> None:
    """Other records from the first on."""
    make(path, seed=9)


def altered_within(path: Path, make: Callable[..., Path]) -> None:
    """One value of the last record, and neither the number of records nor the first 4096 bytes."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        last = pl.int_range(pl.len()) == frame.height - 1
        frame.with_columns(flow=pl.when(last).then(12.5).otherwise("flow")).write_parquet(path, row_group_size=16)
    else:
        data = path.read_bytes()
        at = data.rindex(b"90.5")
        path.write_bytes(data[:at] + b"8" + data[at + 1 :])


def gone(path: Path, make: Callable[..., Path]) -> None:
    """The file is deleted."""
    path.unlink()


@pytest.mark.parametrize("change", [shrunk, rewritten, altered_within, gone])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_changed_under_its_plan_stops_the_run(
    bench: Path,
    burns: Contract,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    name: str,
    change: Callable[[Path, Callable[..., Path]], None],
) -> None:
    """The planned span cannot be read as it was planned: nothing is done, and the file put back is gone on with."""
    path, stand = make(bench / name, rows=400), Stand(bench / "data", burns)
    calm = Stand(bench / "calm", burns)
    calm.run(open_files(path, batch_rows=150))
    with pytest.raises(Crash):
        stand.run(open_files(path, batch_rows=150), Fuse("store.commit", 3))
    kept = Path(shutil.copy2(path, bench / "kept"))
    before = stand.came()
    change(path, make)
    for _ in range(2):
        with pytest.raises(SourceChanged) as refused:
            stand.run(open_files(path, batch_rows=150))
        assert name in refused.value.what
        assert refused.value.do
        assert (stand.came(), stand.balance().pending) == (before, 100)
    kept.replace(path)
    stand.run(open_files(path, batch_rows=150))
    assert stand.came() == calm.came()


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_plan_frees_the_stream(
    bench: Path, burns: Contract, make: Callable[..., Path], open_files: Callable[..., FileSource], name: str
) -> None:
    """A plan had no effects: without it the stream goes on with the file as it is now, and everything balances."""
    path, stand = make(bench / name, rows=100), Stand(bench / "data", burns)
    with pytest.raises(Crash):
        stand.run(open_files(path, batch_rows=60), Fuse("store.commit"))
    make(path, rows=80, seed=5)
    with pytest.raises(SourceChanged):
        stand.run(open_files(path))
    with_plan = stand.store()
    with_plan.drop_plan("burns", LIVE)
    with_plan.close()
    assert stand.run(open_files(path)).received == 80
    found = stand.balance(open_files(path))
    assert (found.differences, found.unread, found.pending) == ([], [], 0)


def test_a_store_older_than_its_lake_is_refused(
    bench: Path, burns: Contract, make: Callable[..., Path], open_files: Callable[..., FileSource]
) -> None:
    """Restored from a backup, the store would give batch numbers a second time: refused before anything is done."""
    path, stand = make(bench / "burns.jsonl", rows=60), Stand(bench / "data", burns)
    stand.run(open_files(path, batch_rows=30))
    backup = shutil.copytree(bench / "data", bench / "backup", ignore=shutil.ignore_patterns("lake"))
    make(path, rows=60)
    with path.open("ab") as file:
        file.write(path.read_bytes())
    stand.run(open_files(path, batch_rows=30))
    for file in backup.iterdir():
        shutil.copy2(file, bench / "data" / file.name)
    for other in (bench / "data").glob("hotfire.db-*"):
        if not (backup / other.name).exists():
            other.unlink()
    before = stand.came()
    with pytest.raises(LakeUnusable, match="older than the lake"):
        stand.run(open_files(path))
    assert stand.came() == before


@dataclass(frozen=True)
class Answered:
    """What a command came to."""

    code: int
    document: dict[str, Any]
    said: str


def hotfire(folder: Path, *arguments: str) -> Answered:
    run = subprocess.run(
        [sys.executable, "-m", "hotfire", *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=False
    )
    return Answered(run.returncode, json.loads(run.stdout), run.stdout + run.stderr)


@pytest.fixture
def workspace(bench: Path) -> Path:
    folder = bench / "ws"
    (folder / "contracts" / "burns").mkdir(parents=True)
    shutil.copy(YAML, folder / "contracts" / "burns" / "v1.yaml")
    (folder / "hotfire.toml").write_text('[workspace]\nname = "burns"\n\n[streams.burns.source]\nkind = "files"\n')
    return folder


def test_a_second_process_is_told_who_owns_the_workspace(workspace: Path, make: Callable[..., Path]) -> None:
    """It exits 3 and names the owner's pid; the owner is not disturbed, and afterwards the other may write."""
    path = make(workspace / "burns.csv", rows=30)
    data = path.read_bytes()
    argv = [sys.executable, "-m", "hotfire", "ingest", "burns", "--from", "-", "--json"]
    owner = subprocess.Popen(argv, cwd=workspace, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdin
    owner.stdin.write(data)
    owner.stdin.flush()
    lock = workspace / "data" / "hotfire.db.lock"
    while owner.poll() is None and not (lock.exists() and lock.read_text()):
        os.sched_yield()
    refused = hotfire(workspace, "ingest", "burns", "--from", str(path))
    assert (refused.code, f"pid {owner.pid}" in refused.said) == (3, True), refused.said
    out, _ = owner.communicate()
    assert json.loads(out)["received"] == 30
    assert hotfire(workspace, "ingest", "burns", "--from", str(path)).document["received"] == 30
