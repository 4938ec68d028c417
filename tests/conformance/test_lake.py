"""Every lake passes the suite that ships with hotfire."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hotfire.lake.delta import DeltaLake
from hotfire.protocols import Lake
from hotfire.testing.lake_suite import LakeSuite


class TestDeltaLakeInAFolder(LakeSuite):
    """Delta tables in a folder."""

    @pytest.fixture
    def open_lake(self, tmp_path: Path) -> Callable[[str], Lake]:
        return lambda incarnation: DeltaLake(tmp_path / "a lake", incarnation)

    def litter(self, lake: Lake, stream: str) -> None:
        path = lake.files(stream)[0]
        shutil.copyfile(path, path.replace(".parquet", "-unfinished.parquet"))


class TestDeltaLakeUnderAUrl(LakeSuite):
    """Delta tables under a URL, written by the Delta library itself."""

    @pytest.fixture
    def open_lake(self, tmp_path: Path) -> Callable[[str], Lake]:
        return lambda incarnation: DeltaLake((tmp_path / "lake").as_uri(), incarnation)

    def litter(self, lake: Lake, stream: str) -> None:
        path = lake.files(stream)[0].removeprefix("file://")
        shutil.copyfile(path, path.replace(".parquet", "-unfinished.parquet"))
