"""Golden files: a rules file, rows, and the changes of conditions that come of them. The files are the specification."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotfire.contract.odcs import compile_contract
from hotfire.testing.conditions import conditions_of

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "src" / "hotfire" / "templates" / "engines" / "contracts" / "engine_telemetry" / "v1.yaml"
ENGINES = compile_contract([("v1.yaml", TEMPLATE.read_text("utf-8"))])
FILES = sorted((ROOT / "tests" / "golden" / "alarms").glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_rows_give_the_conditions(file: Path, size: int) -> None:
    """Batches of any size bring the same changes, in the same order. HOTFIRE_GOLDEN=write writes the files anew."""
    given, _, expected = file.read_text("utf-8").partition("# conditions\n")
    _, rules, rows = (part.partition("\n")[2] for part in f"\n{given}".split("# "))
    found = "".join(f"{line}\n" for line in conditions_of(ENGINES, rules, rows, size))
    if os.environ.get("HOTFIRE_GOLDEN") == "write":
        file.write_text(f"{given}# conditions\n{found}", "utf-8")
    assert found == expected


def test_there_are_files() -> None:
    """Each kind of limit and delay has a file of its own."""
    assert {"one_sided_limits", "context_limits", "deadband", "on_delay", "off_delay", "min_violations"} <= {
        file.stem for file in FILES
    }
