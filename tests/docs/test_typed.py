"""The README's tour and the pages of docs, typed as they stand: in a scratch folder, page by page.

A block of kind `console` holds commands behind `$ ` and what they answer; one whose first line names a file after its
kind (`yaml contracts/rig/v1.yaml`) is written to that file. Every command must end with exit code 0; pages that show a
refusal say `; echo "exit $?"`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("tutorial.md")), *sorted(DOCS.glob("how-to/*.md")), *sorted(DOCS.glob("concepts/*.md"))]
EXAMPLES = sorted({*ROOT.glob("examples/*.sh"), *ROOT.glob("examples/*.py")} - {*ROOT.glob("examples/prefect_*")})
"""Those that need nothing else; `tests/e2e/test_prefect.py` runs the others."""
README = (ROOT / "README.md").read_text("utf-8")
TOUR = README.partition("\n## A tour\n")[2].partition("\n## ")[0]

VOLATILE = [
    (r"^\{\"job_id\": .*\n", ""),  # log lines, which a slow machine brings forth
    (r"\b\d+\.\d s$", "N s"),  # how long it took
    (r"\b(received|since|as of|until|entered) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\1 T"),
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"[\d.,]+ GB free", "N GB free"),
]
"""What differs from run to run, and what stands for it on both sides of the comparison."""

Step = tuple[str, str]
"""A command and the output shown for it ("" where none is), or a file's name after `>` and its content."""


def steps(text: str) -> Iterator[Step]:
    """Everything that a page tells to type or to save, in order."""
    for kind, name, body in re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if name:
            yield f">{name}", body
        elif kind == "console":
            for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, output = step.partition("\n")
                yield command, output


def masked(output: str) -> str:
    """The output without what differs from run to run, and without spaces at the ends of lines."""
    for volatile, stands in VOLATILE:
        output = re.sub(volatile, stands, output, flags=re.MULTILINE)
    return "\n".join(line.rstrip() for line in output.rstrip().split("\n"))


def pattern(shown: str) -> str:
    """A regular expression for the output that is shown; a line `...` stands for any lines."""
    return "\n".join(r"(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in masked(shown).split("\n"))


class Terminal:
    """Types commands one after another; `cd` holds from one to the next."""

    def __init__(self, home: Path) -> None:
        self.folder, self._home, self._where = home, home, home / ".where"
        bytecode = Path(tempfile.gettempdir()) / f"hotfire-bytecode-{os.getuid()}"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {"PATH": path, "HOME": str(home), "PYTHONPYCACHEPREFIX": str(bytecode), "LC_ALL": "C.UTF-8"}

    def type(self, command: str) -> tuple[int, str]:
        """One command's exit code, and what it says on both streams, as if the folder were `/home/mia`."""
        line = f"{command}\ncode=$?; pwd > '{self._where}'; exit $code"
        run = subprocess.run(
            ["bash", "-c", line],  # noqa: S607 - whichever bash this machine has
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.folder = Path(self._where.read_text("utf-8").strip())
        return run.returncode, run.stdout.replace(str(self._home), "/home/mia")


def type_all(text: str, home: Path) -> int:
    """Type a page; the number of commands. Fails at the first that answers otherwise than it shows."""
    terminal, typed = Terminal(home), 0
    for command, shown in steps(text):
        if command.startswith(">"):
            file = terminal.folder / command[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(shown, "utf-8")
            continue
        code, output = terminal.type(command)
        typed += 1
        assert code == 0, f"$ {command}\n{output}"
        if shown and not re.fullmatch(pattern(shown), masked(output)):
            assert masked(output) == masked(shown), f"$ {command}"
            pytest.fail(f"$ {command}\nanswers\n{output}")
    return typed


def test_the_tour_can_be_taken(tmp_path: Path) -> None:
    """Every command of the README's tour works in the order given, and answers what the README shows."""
    assert type_all(TOUR, tmp_path) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_can_be_typed(page: Path, tmp_path: Path) -> None:
    """Every command of the page works in the order given, and answers what the page shows."""
    typed = type_all(page.read_text("utf-8"), tmp_path)
    assert typed or page.parent.name == "concepts", "a tutorial or how-to without a command"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    """The example works in an empty folder, and prints what its comment `Prints:` says."""
    runner = "bash" if example.suffix == ".sh" else "python"
    code, output = Terminal(tmp_path).type(f"{runner} {example}")
    promised = re.search(r"^# Prints: (.*)$", example.read_text("utf-8"), re.MULTILINE)
    assert code == 0, output
    assert promised
    assert promised[1] in output.splitlines()
