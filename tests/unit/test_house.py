"""The house itself: the lock holds what the project asks for, and the wheel holds what the project has."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_satisfies_every_requirement() -> None:
    """Whatever pyproject.toml asks for is locked, in a version that it allows (else: `make lock`)."""
    extras = PROJECT["project"].get("optional-dependencies", {}).values()
    groups = PROJECT["dependency-groups"].values()
    asked = [PROJECT["project"]["dependencies"], [*PROJECT["build-system"]["requires"]], *extras, *groups]
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK, re.MULTILINE))
    wanted = [Requirement(text) for texts in asked for text in texts]
    assert not [str(one) for one in wanted if locked.get(normal(one.name), "") not in one.specifier]


def test_the_lock_has_hashes_and_no_addresses() -> None:
    """Every locked package has its hashes, and nothing says where to download it."""
    packages = re.findall(r"^[a-z0-9-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9-]+==", LOCK, re.MULTILINE)) > 0
    assert not re.search(r"://|--(extra-)?index-url|--find-links", LOCK)


def test_the_wheel_ships_everything_in_the_package(tmp_path: Path) -> None:
    """SQL, templates and the typing marker are in the wheel beside the modules."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        shipped = set(wheel.namelist())
    package = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(ROOT / "src").as_posix() for path in package} <= shipped
