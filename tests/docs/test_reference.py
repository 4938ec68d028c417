"""The reference names what the program knows: nothing is missing, nothing is made up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from hotfire import errors
from hotfire.alarm.model import ActionName, AlarmState
from hotfire.alarm.notices import TOLD
from hotfire.clock import SystemClock
from hotfire.contract import columns, expression, limits, schema
from hotfire.contract.model import Type
from hotfire.lake.trouble import ADVICE
from hotfire.store import postgresql_trouble, sqlite_connection
from hotfire.store.sqlite import SqliteStore
from hotfire.workspace.keys import CHOICES, KEYS, REST
from hotfire.workspace.settings import load

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "hotfire"
REFUSALS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.Refused)}

CONTRACT = (DOCS / "reference" / "contract.md").read_text("utf-8")
SETTINGS = (DOCS / "reference" / "settings.md").read_text("utf-8")
ALARMS = (DOCS / "concepts" / "alarms.md").read_text("utf-8")
TABLES = (DOCS / "reference" / "tables.md").read_text("utf-8")


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next one of any level."""
    return re.split(r"^#+ ", page.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """Every name in backquotes in the first column of a text's tables, in order."""
    return [
        name for cell in re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE) for name in re.findall("`([^`]+)`", cell)
    ]


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("Settings of the stream", {f"hotfire.{name}" for name in schema.SETTINGS} | {"from", "when", "set"}),
        ("Settings of a column", {f"hotfire.{name}" for name in columns.SETTINGS}),
        ("Limits", set(limits.KEYS)),
    ],
)
def test_the_contract_page_has_every_setting(title: str, known: set[str]) -> None:
    """A setting that a contract may have stands in the table of its section, and no other does."""
    assert set(first_cells(section(CONTRACT, title))) == known


def test_the_contract_page_has_every_type_and_option() -> None:
    """The types of columns and what can be asked of their values are all there."""
    named = first_cells(section(CONTRACT, "Fields of a property"))
    assert {*get_args(Type)} <= {*named}
    assert {name for names in columns._OPTIONS.values() for name in names} <= {*named}  # noqa: SLF001 - what the reader allows is what the page has to say


def test_the_contract_page_has_every_function() -> None:
    """The list below `Expressions` is the list of what an expression may call."""
    listed = section(CONTRACT, "Expressions").strip().rpartition("\n\n")[2]
    assert set(re.findall(r"`([a-z_0-9]+)`", listed)) == expression.FUNCTIONS


def test_the_contract_page_has_every_check() -> None:
    """Each kind of check that the program names stands in the table of checks, and no other does."""
    code = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    of_columns = re.findall(r'f"\{[a-z_.]+\}\.(type|time|required|range|pattern|values|length|ahead|[a-z]+)"', code)
    whole = re.findall(r'"((?:row|key)\.[a-z]+)"', code)
    known = {f"<column>.{kind}" for kind in of_columns if kind in CHECK_KINDS} | {*whole}
    assert set(first_cells(section(CONTRACT, "Checks"))) == known


CHECK_KINDS = {"type", "time", "required", "range", "pattern", "values", "length", "ahead"}


def test_the_settings_page_has_every_setting(tmp_path: Path) -> None:
    """Every setting is listed with its kind and its default."""
    (tmp_path / "hotfire.toml").touch()
    around = {"streams.s.source.clock.column": "n", "streams.s.source.clock.start": "2026-01-01T00:00:00Z"}
    around |= {"notify.s.kind": "log", "maintenance.1.since": "2026-01-01T00Z", "maintenance.1.until": "2026-01-02T00Z"}
    defaults = load(tmp_path, {}, around)
    api = {f"streams.s.source.{name}": "rest" for name in ("kind", "base_url", "list")}
    asked = load(tmp_path, {}, api).stream("s").source.rest
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \|", SETTINGS, re.MULTILINE)
    kinds = {".".join(key): "text" if kind == "secret" else kind for key, kind in KEYS.items()}
    assert {name: kind for name, kind, _ in rows} == kinds
    for name, _, shown in rows:
        last = name.rpartition(".")[2]
        value = getattr(asked, last) if last in REST else value_of(defaults, name)
        if shown.startswith("`"):
            assert shown.strip("`") == said(value), name
        elif shown not in ("the folder's name", "must be given", "see below"):
            assert not value, name


def value_of(settings: Any, name: str) -> Any:
    """The value of a setting by its dotted name; below a mapping with names of people's choice, the mapping."""
    value = settings
    for step in name.removeprefix("workspace.").split("."):
        if step != "*":
            value = getattr(value, step)
        elif isinstance(value, tuple):
            (value,) = value
        else:
            value = value.get("s", value)
    return value


def said(value: Any) -> str:
    """A value as the page writes it."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("key", CHOICES, ids=".".join)
def test_the_settings_page_has_every_choice(key: tuple[str, ...]) -> None:
    """Where a setting allows a few words only, its row has them all."""
    (row,) = re.findall(rf"^\| `{re.escape('.'.join(key))}` .*$", SETTINGS, re.MULTILINE)
    row = SETTINGS.partition("\nEvents are ")[2].partition("\n\n")[0] if "see below" in row else row
    assert {f"`{choice}`" for choice in CHOICES[key]} <= set(re.findall(r"`[^`]+`", row))


def test_the_settings_page_says_of_what_people_are_told() -> None:
    """The events that a target is told of where nothing is set are those before the words that say so."""
    named = SETTINGS.partition("\nEvents are ")[2].partition("where nothing is set")[0]
    assert tuple(re.findall(r"`([A-Z_]+)`", named)) == TOLD


def test_the_tables_page_has_every_column(tmp_path: Path) -> None:
    """Each of hotfire's own tables is described, column by column, in the order in which it has them."""
    store = SqliteStore(tmp_path / "hotfire.db", SystemClock())
    try:
        made = {name: store.table(name).columns for name in store.tables()}  # type: ignore[union-attr]
    finally:
        store.close()
    described = {
        name: first_cells(section(TABLES, name)) for name in re.findall(r"^### (hf_\w+)$", TABLES, re.MULTILINE)
    }
    assert described == made


@pytest.mark.parametrize(("title", "known"), [("States", AlarmState), ("What people do", ActionName)])
def test_the_page_about_alarms_has_every_state_and_action(title: str, known: Any) -> None:
    """Each is explained, and no other."""
    assert set(first_cells(section(ALARMS, title))) == set(get_args(known))


def refusals() -> Iterator[str]:
    """The fixed words of every message that ends in exit code 3."""
    for causes in (sqlite_connection._CAUSES, sqlite_connection._OUTAGES):  # noqa: SLF001 - the tables of messages themselves
        yield from (trouble for trouble, _ in causes.values())
    for told in (postgresql_trouble._CONNECTING, postgresql_trouble._CLASSES):  # noqa: SLF001 - and of PostgreSQL's
        yield from (trouble for _, trouble, _ in told.values())
    yield from (trouble for _, trouble, _ in ADVICE)
    for path in SOURCE.rglob("*.py"):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in REFUSALS
                and node.args
            ):
                said = node.args[0]
                parts = said.values if isinstance(said, ast.JoinedStr) else [said]
                yield from (str(part.value) for part in parts if isinstance(part, ast.Constant))


def test_every_refusal_has_a_way_out() -> None:
    """The page about refusals shows the words of every message that the program can refuse with."""
    page = (DOCS / "how-to" / "when-hotfire-refuses.md").read_text("utf-8")
    words = {text.strip(" .:,") for text in refusals()}
    assert len(words) > 25
    assert not [text for text in sorted(words) if text not in page]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_named_tests_exist(page: Path) -> None:
    """A page that says how something is tested names tests that are there."""
    for path, name in re.findall(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`", page.read_text("utf-8")):
        assert (ROOT / path).is_file(), path
        assert f"def {name}(" in (ROOT / path).read_text("utf-8") or not name, f"{path}::{name}"


def test_every_setting_of_a_contract_is_shown_at_work() -> None:
    """Each setting stands in a contract that some page writes out and uses."""
    pages = [page.read_text("utf-8") for page in DOCS.rglob("*.md")]
    shown = "".join(
        block for page in pages for block in re.findall(r"^```yaml \S+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    )
    assert not [name for name in (*schema.SETTINGS, *columns.SETTINGS) if f"property: hotfire.{name}" not in shown]
