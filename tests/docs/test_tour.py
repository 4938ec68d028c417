"""The README's tour, typed as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
TOUR = README.partition("\n## A tour\n")[2].partition("\n## ")[0]


def steps() -> list[tuple[list[str], str]]:
    """Each command of the tour, in order, with the output that is shown for it ("" where none is)."""
    blocks = re.findall(r"```console\n(.*?)```", TOUR, re.DOTALL)
    shown = [step.partition("\n") for block in blocks for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(shlex.split(command, comments=True), output) for command, _, output in shown]


def timeless(output: str) -> str:
    """The output without the seconds that it took."""
    return re.sub(r"\d+\.\d+ s$", "N s", output, flags=re.MULTILINE)


def test_the_tour_can_be_taken(tmp_path: Path) -> None:
    """Every command works in the order given, and answers what the README shows."""
    folder, taken = tmp_path, steps()
    assert len(taken) > 5
    for (program, *words), output in taken:
        if program == "cd":
            folder /= words[0]
            continue
        run = subprocess.run(
            [sys.executable, "-m", program, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{shlex.join(words)}: {run.stdout}{run.stderr}"
        assert not output or timeless(run.stdout) == timeless(output)
