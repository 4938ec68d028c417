"""Budgets of size and habit. Raising a number here needs an ADR that says what hurt (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import subprocess
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
TREES = {path.relative_to(SRC): ast.parse(path.read_text("utf-8")) for path in sorted(SRC.rglob("*.py"))}
TESTS = {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.glob("tests/**/*.py"))}

VAGUE = {"util", "utils", "helper", "helpers", "common", "base", "core", "manager", "handler", "service", "misc"}
HEAVY = {"polars", "duckdb", "deltalake", "numpy", "pint", "open_data_contract_standard"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines(path: Path) -> list[str]:
    return (SRC / path).read_text("utf-8").splitlines()


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def functions() -> list[tuple[Path, Function]]:
    return [(path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, Function)]


def imported(tree: ast.AST) -> set[str]:
    """Every dotted name that a module imports, names in `from` imports included."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def loaded_by(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter holds after running the code."""
    report = f"{code}\nimport sys\nprint('loaded:', *sorted({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("loaded:")[2].split())


def test_modules_are_short() -> None:
    """No module has more than 500 lines, and at most five have more than 300."""
    sizes = {path: len(lines(path)) for path in TREES}
    assert not {path: size for path, size in sizes.items() if size > 500}
    assert len([path for path, size in sizes.items() if size > 300]) <= 5, sizes


def test_functions_are_short() -> None:
    """No function has more than 60 lines, and the median stays around 10."""
    assert not [(str(path), node.name, length(node)) for path, node in functions() if length(node) > 60]
    assert median(length(node) for _, node in functions()) <= 12


def test_comments_are_rare() -> None:
    """Comments take at most 8 % of the lines: they say why, the code says what."""
    total = sum(len(lines(path)) for path in TREES)
    comments = [
        token
        for path in TREES
        for token in tokenize.generate_tokens(io.StringIO((SRC / path).read_text("utf-8")).readline)
        if token.type == tokenize.COMMENT
    ]
    assert len(comments) <= 0.08 * total


def test_blind_excepts_are_counted() -> None:
    """At most three handlers catch everything: the supervisor of a stream, a request, a command."""
    blind = [
        (str(path), node.lineno)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or {"Exception", "BaseException"} & {ast.unparse(part) for part in ast.walk(node.type)})
    ]
    assert len(blind) <= 3, blind


def test_only_the_clock_reads_the_clock() -> None:
    """Python modules other than clock.py neither import `time` nor ask datetime what time it is."""
    asking = re.compile(r"\b(datetime|date|dt)\.(now|utcnow|today)\(")
    others = [path for path in TREES if path.name != "clock.py"]
    assert not [str(path) for path in others if "time" in {name.split(".")[0] for name in imported(TREES[path])}]
    assert not [str(path) for path in others if asking.search("\n".join(lines(path)))]


def test_sql_does_not_read_the_clock() -> None:
    """A statement takes its instants as parameters, so that a replay can give the same."""
    asking = re.compile(r"current_(timestamp|date|time)\b|\bnow\(\)|'now'", re.IGNORECASE)
    assert not [str(path) for path in SRC.rglob("*.sql") if asking.search(path.read_text("utf-8"))]


def test_nothing_is_left_unfinished() -> None:
    """What is committed works: no marks for later, nothing that only raises."""
    unfinished = re.compile(r"TODO|FIXME|XXX|NotImplementedError|pragma: no cover")
    assert not [
        f"{path}:{number}" for path in TREES for number, line in enumerate(lines(path), 1) if unfinished.search(line)
    ]


def test_names_are_nouns_of_the_domain() -> None:
    """No folder, module or class is named after what it could be anywhere."""
    folders = {part for path in (*TREES, *TESTS) for part in path.with_suffix("").parts}
    classes = {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    words = {name: set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_")) for name in folders | classes}
    assert not [name for name, parts in words.items() if parts & VAGUE]


def test_imports_have_no_cycle() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    modules = {dotted(path): tree for path, tree in TREES.items()}
    graph = {
        name: {found for found in imported(tree) if found in modules and not name.startswith(f"{found}.")} - {name}
        for name, tree in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring: read together they are the specification."""
    assert not [
        f"{path}::{node.name}"
        for path, tree in TESTS.items()
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]


def test_tests_use_real_parts() -> None:
    """No test imports a mock library or replaces an attribute of what it tests."""
    mocking = {path: {name.split(".")[0] for name in imported(tree)} for path, tree in TESTS.items()}
    assert not [str(path) for path, names in mocking.items() if names & {"unittest", "mock", "pytest_mock"}]
    assert not [
        f"{path}:{node.lineno}"
        for path, tree in TESTS.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "setattr" and ast.unparse(node.value) == "monkeypatch"
    ]


def test_the_makefile_fits_on_a_screen_or_two() -> None:
    """The Makefile has at most 80 lines, and every target a line of help."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert len(makefile.splitlines()) <= 80
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))


def test_importing_hotfire_is_light() -> None:
    """`import hotfire` loads no heavy library."""
    assert loaded_by("import hotfire") == set()


def test_help_is_light() -> None:
    """`hotfire --help` loads no heavy library: each command imports what it needs when it runs."""
    if importlib.util.find_spec("hotfire.cli"):
        ask = "import sys\nfrom hotfire.cli import main\nsys.argv = ['hotfire', '--help']\n"
        assert loaded_by(f"{ask}try: main()\nexcept SystemExit: pass") == set()
