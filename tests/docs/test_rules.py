"""The page about rules has every key of every detector, and its examples find what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotfire.contract.odcs import compile_contract
from hotfire.detect.forms import COMMON, FORMS
from hotfire.detect.messages import OWN
from hotfire.detect.rules import FILE, compiled
from hotfire.testing.conditions import conditions_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "rules.md").read_text("utf-8")
TEMPLATE = ROOT / "src" / "hotfire" / "templates" / "engines" / "contracts" / "engine_telemetry" / "v1.yaml"
ENGINES = compile_contract([("v1.yaml", TEMPLATE.read_text("utf-8"))])


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def keys(text: str) -> list[str]:
    """Every name in backquotes in the first column of a text's table."""
    return [
        name for cell in re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE) for name in re.findall("`([^`]+)`", cell)
    ]


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("title", "known"),
    [("The file", FILE), ("Every rule", COMMON), *((name, form.keys) for name, form in FORMS.items())],
)
def test_every_key_is_described(title: str, known: tuple[str, ...]) -> None:
    """The table of a section has the keys that are read there, each once."""
    described = keys(section(title))
    assert sorted(described) == sorted(known)


def test_what_messages_fill_in_is_listed() -> None:
    """Each name that is not a column's stands on the page."""
    assert all(f"`{{{name}}}`" in section("Every rule") for name in OWN)


@pytest.mark.parametrize("detector", FORMS)
def test_the_example_finds_what_it_says(detector: str) -> None:
    """Each detector has an example: a rule, rows, and the conditions that come of them."""
    text = section(detector)
    ((rules,), (rows,), (expected,)) = (blocks(text, kind) for kind in ("yaml", "csv", "text"))
    file = f"stream: engine_telemetry\nversion: 1\nrules:\n{rules}"
    assert f"detector: {detector}\n" in rules
    assert conditions_of(ENGINES, file, rows, 2) == expected.splitlines()


def test_the_whole_file_is_one() -> None:
    """The file at the top of the page can be used as it stands."""
    ((_, text),) = re.findall(r"^```yaml (rules/\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [rule.name for rule in compiled("rules/engines.yaml", text, ENGINES).rules] == ["fuel_starvation"]
