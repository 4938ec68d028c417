"""What a person reads when a lake cannot be used: one sentence, what to do, no traceback of a library."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.errors import LakeUnusable
from hotfire.lake.delta import DeltaLake
from hotfire.testing.lake_suite import READINGS, batch, everything, rows_of

ELSEWHERE = replace(READINGS, stream="elsewhere")
LOG = "lake/readings/_delta_log"


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(tmp_path / "lake", "a")
    for seq in (1, 2):
        lake.append(READINGS, "live", seq, batch(seq))
    return lake


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system; skips where that is not allowed."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if not Path(command[0]).exists() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root: sudo make test")
        return folder

    yield mount
    subprocess.run(["/bin/umount", "-l", str(folder)], capture_output=True, check=False)


def unlink(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, 100)


@pytest.mark.parametrize("damage", [unlink, empty, cut])
def test_a_damaged_data_file_is_told(lake: DeltaLake, damage: Callable[[Path], None]) -> None:
    """Reading, counting and compacting say which table it is and what to do."""
    damage(Path(lake.files("readings")[0]))
    for use in (lambda: everything(lake), lambda: lake.counts("readings"), lambda: lake.maintain("readings")):
        with pytest.raises(LakeUnusable, match="/lake/readings ") as caught:
            use()
        assert "hotfire doctor" in caught.value.do
        assert "\n" not in caught.value.what
        assert len(caught.value.what) < 700


def test_a_damaged_file_harms_nothing_else(lake: DeltaLake) -> None:
    """Appending goes on, and what stands in other files is found."""
    Path(lake.files("readings")[0]).unlink()
    lake.append(READINGS, "live", 3, batch(3))
    assert lake.marker("readings", "live") == 3
    assert lake.stored(READINGS, batch(3)).height == 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("00000000000000000001.json", "{garbage"),
        ("00000000000000000001.json", None),
        ("00000000000000000000.json", None),
    ],
)
def test_a_damaged_log_is_told(lake: DeltaLake, tmp_path: Path, name: str, text: str | None) -> None:
    """A log with a hole, or with something else in it, is no table, and nothing is appended to it."""
    path = tmp_path / LOG / name
    path.unlink() if text is None else path.write_text(text)
    again = DeltaLake(tmp_path / "lake", "a")
    before = sorted((tmp_path / "lake").rglob("*.parquet"))
    for use in (
        lambda: again.marker("readings", "live"),
        lambda: again.append(READINGS, "live", 3, batch(3)),
        lambda: again.files("readings"),
        lambda: again.check("readings"),
    ):
        with pytest.raises(LakeUnusable, match="/lake/readings cannot be read as a table") as caught:
            use()
        assert caught.value.exit_code == 3
    assert sorted((tmp_path / "lake").rglob("*.parquet")) == before


def test_a_commit_that_a_power_cut_emptied_is_done_again(lake: DeltaLake, tmp_path: Path) -> None:
    """An empty last commit counts for nothing: its batches are appended once more."""
    os.truncate(tmp_path / LOG / "00000000000000000002.json", 0)
    again = DeltaLake(tmp_path / "lake", "a")
    assert again.marker("readings", "live") == 1
    again.append(READINGS, "live", 2, batch(2))
    assert everything(again).equals(pl.concat([batch(1), batch(2)]))


def test_a_full_disk_loses_nothing(mounted: Callable[[str], Path]) -> None:
    """The append is refused, what was there stays, and it succeeds once there is room."""
    folder = mounted("size=400k")
    lake = DeltaLake(folder / "lake", "a")
    lake.append(READINGS, "live", 1, batch(1))
    filler = folder / "filler"
    filler.write_bytes(b"x" * 250_000)
    values = [{"device": os.urandom(40).hex(), "taken_ns": at} for at in range(4_000)]
    large = rows_of(READINGS, 2, values)
    with pytest.raises(LakeUnusable, match="has no room left on its disk") as caught:
        lake.append(READINGS, "live", 2, large)
    assert "Free some space" in caught.value.do
    assert (lake.marker("readings", "live"), everything(lake).height) == (1, 10)
    assert len([*(folder / "lake").rglob("*.parquet")]) == 1
    filler.unlink()
    lake.append(READINGS, "live", 2, large)
    assert (lake.marker("readings", "live"), everything(lake).height) == (2, 4_010)


def test_a_read_only_folder_can_be_read(mounted: Callable[[str], Path]) -> None:
    """Writing is refused with what to do; reading goes on."""
    folder = mounted("size=4m")
    DeltaLake(folder / "lake", "a").append(READINGS, "live", 1, batch(1))
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(folder)], check=True)
    lake = DeltaLake(folder / "lake", "a")
    assert everything(lake).height == 10
    for use in (lambda: lake.append(READINGS, "live", 2, batch(2)), lambda: lake.evolve(ELSEWHERE)):
        with pytest.raises(LakeUnusable, match="cannot be written") as caught:
            use()
        assert "writable" in caught.value.do
