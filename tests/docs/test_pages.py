"""The pages people read first: what they tell to type exists, and what they link to is there."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from hotfire.cli import hotfire

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def typed(text: str) -> list[list[str]]:
    """Every `hotfire` command of a page: after a prompt, or in backquotes; without its comment."""
    found = re.findall(r"^\$ (hotfire .*)$", text, re.MULTILINE) + re.findall(r"`(hotfire [^`]+)`", text)
    return [shlex.split(command, comments=True)[1:] for command in found]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words after its name."""
    command: click.Command = hotfire
    words = words[2:] if words[:1] == ["-C"] else words
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(click.Context(command), words[0])
        assert below, f"no command `{words[0]}`"
        command, words = below, words[1:]
    return command, words


@pages
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pages
def test_make_targets_exist(page: Path) -> None:
    """Every `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ )make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
    assert named <= targets


@pages
def test_commands_can_be_typed(page: Path) -> None:
    """Every command that a page shows exists, with each option that it shows."""
    for words in typed(page.read_text("utf-8")):
        command, rest = command_of(words)
        options = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
        used = {word.partition("=")[0] for word in rest if word.startswith("--")} - {"--help"}
        assert used <= options, f"{shlex.join(words)}: unknown {used - options}"


def test_the_readme_lists_every_command() -> None:
    """The table of commands is the list of commands."""
    listed = re.findall(r"^\| `hotfire ([a-z]+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(hotfire.list_commands(click.Context(hotfire)))


def test_the_readme_gives_the_two_commands() -> None:
    """`make demo` and `make test` stand in the README's first block."""
    assert re.findall(r"^\$ make (\w+)", README.split("```")[1], re.MULTILINE) == ["demo", "test"]


def test_the_changelog_has_this_version() -> None:
    """The version of the package has an entry."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\n## {version} " in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_generated_pages_are_fresh() -> None:
    """What is generated of the pages says what the program says now (else: `make docs`)."""
    for name, page in runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"].items():
        assert (ROOT / "docs" / name).read_text("utf-8") == page()
