"""Lint: everything compiling refuses, then units, limits out of reach and awkward names; never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.lint import lint
from hotfire.contract.odcs import compile_contract
from hotfire.errors import ContractError

ENGINES = (Path(__file__).parents[2] / "golden" / "contract" / "engine_telemetry.yaml").read_text("utf-8")


def remarks(old: str = "", new: str = "") -> list[tuple[int, str, str, str]]:
    """Line, level, message and suggestion of every remark on the contract in which `old` was replaced."""
    assert old in ENGINES
    return [
        (one.line, one.level, one.message, one.suggestion) for one in lint([("v1.yaml", ENGINES.replace(old, new, 1))])
    ]


def test_a_good_contract() -> None:
    """There is nothing to say about a contract that is well written."""
    assert lint([("v1.yaml", ENGINES)]) == []


@pytest.mark.parametrize(
    ("old", "new", "level", "message", "suggestion"),
    [
        ("value: bar", "value: Bar", "error", "there is no unit `Bar`", "`bar`"),
        ("high: 285", "high: 305", "error", "high of warning (305) does not lie below high of critical (300)", ""),
        ("warning: {high: 285}", "warning: {high: 285, low: 30}", "error", "low of warning (30) does not lie above", ""),
        ("low: 40", "low: 290", "error", "a low limit is not below a high limit", ""),
        ("low: 40", "low: forty", "error", "a limit of `critical` is not a number", ""),
        ("low: 40", "lo: 40", "error", "`critical` needs `low`, `high` or both", ""),
        ("critical: {high: 300", "critcal: {high: 300", "error", "no such setting `critcal`", "`critical`"),
        ("deadband: 2", "deadband: -2", "error", "`deadband` is not a number from 0", ""),
        ("min_violations: 3", "min_violations: 0", "error", "`min_violations` is not a count from 1", ""),
        ("min_violations: 3", "on_delay: 3", "error", "3 is not a duration", ""),
        ("min_violations: 3", "unit: degC", "error", "degC cannot be converted to bar", ""),
        ("phase in ('standby', 's", "phas in ('standby', 's", "error", "there is no column `phas`", "`phase`"),
        ("when: \"phase in", "whn: \"phase in", "error", "a context needs `when`", ""),
        ("critical: {high: 320}}]", "critcal: {high: 320}}]", "error", "no such severity `critcal`", "`critical`"),
        ("critical: {high: 320}", "critical: {high: 350}", "warning", "high 350 is never passed: readings end at 350", ""),
        ("low: 40", "low: -5", "warning", "low -5 is never passed: readings begin at 0", ""),
    ],
)  # fmt: skip
def test_units_and_limits(old: str, new: str, level: str, message: str, suggestion: str) -> None:
    """A unit that does not exist, and limits that contradict each other, are found at their line."""
    (line, found, said, suggested), *rest = remarks(old, new)
    changed = ENGINES.replace(old, new, 1)
    assert not rest
    assert (found, message in said, suggestion in suggested) == (level, True, True)
    assert abs(line - changed[: changed.index(new)].count("\n") - 1) <= 1


def test_limits_in_another_unit() -> None:
    """Limits may be written in another unit of the same thing, and are compared in the channel's."""
    old = "warning: {high: 285}\n              critical: {high: 300, low: 40}"
    new = "unit: kPa\n              warning: {high: 28500}\n              critical: {high: 40000, low: 4000}"
    assert [message for _, _, message, _ in remarks(old, new)] == ["high 400 is never passed: readings end at 350"]


def test_a_name_that_sql_keeps_for_itself() -> None:
    """A column called like an SQL word compiles; lint warns, and says how to live with it."""
    text = ENGINES.replace("name: note", "name: order")
    (found,) = lint([("v1.yaml", text)])
    assert (found.level, found.field, found.message) == ("warning", "order", "is an SQL word")
    assert "hotfire.path" in found.suggestion
    assert '"order"' in found.suggestion
    assert text.splitlines()[found.line - 1].count("name: order") == 1


def test_a_unit_that_changes_unseen() -> None:
    """A lens may not carry values over into another unit."""
    newer = ENGINES.replace("version: 1.0.0", "version: 2.0.0").replace("value: bar", "value: kPa").replace(
        "      - {property: hotfire.counter",
        "      - {property: hotfire.lens, value: {from: 1, when: seq is null}}\n      - {property: hotfire.counter",
    )  # fmt: skip
    found = lint([("v1.yaml", ENGINES), ("v2.yaml", newer)])
    assert [(one.file, one.message) for one in found] == [
        ("v2.yaml", "was bar in version 1, and the lens carries it over unchanged")
    ]


def test_all_errors_at_once() -> None:
    """Lint tells every error of a file, in order of lines; compiling tells one, the columns' own before what uses them."""
    text = ENGINES.replace("value: event_time", "value: event_tme").replace("minimum: 0", "minimum: zero")
    found = lint([("v1.yaml", text)])
    assert [one.field for one in found] == ["hotfire.time", "chamber_pressure.minimum"]
    with pytest.raises(ContractError, match="'zero' is not a number"):
        compile_contract([("v1.yaml", text)])


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, item in inner for one in paths(item, (*path, key)))]


WHOLE = yaml.safe_load(ENGINES)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def replaced(whole: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    first, *rest = path
    if isinstance(whole, list):
        return [replaced(item, tuple(rest), value) if place == first else item for place, item in enumerate(whole)]
    assert isinstance(whole, dict)
    return {key: replaced(item, tuple(rest), value) if key == first else item for key, item in whole.items()}


@given(st.sampled_from(paths(WHOLE)), json_like)
def test_any_value_anywhere(path: tuple[str | int, ...], value: object) -> None:
    """Whatever stands in any place of a contract, lint answers with remarks, and agrees with the compiler."""
    text = yaml.safe_dump(replaced(WHOLE, path, value))
    refused = any(one.level == "error" for one in lint([("v1.yaml", text)]))
    try:
        compile_contract([("v1.yaml", text)])
    except ContractError:
        assert refused


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            ["a: ", "- ", "{", "}", "[", "&x ", "*x", "\n", "  ", "!!int ", "'", '"', "? ", "|", "1", "schema: "]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_text(text: str) -> None:
    """Whatever the file holds, lint answers with remarks."""
    assert all(one.file == "v1.yaml" and one.line >= 1 for one in lint([("v1.yaml", text)]))
    assert lint([("v1.yaml", text)])


@pytest.mark.parametrize(
    "text",
    ["&a [*a]", "a: &a [1]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(3)), "[" * 3000, "a: " * 50, "\x00", "\ud800",
     "x: &x0 [1,1,1,1,1,1,1,1,1]\n" + "".join(f"y{n}: &x{n + 1} [{', '.join([f'*x{n}'] * 9)}]\n" for n in range(9))],
)  # fmt: skip
def test_hostile_yaml(text: str) -> None:
    """Endless nesting and aliases that multiply are refused in no time."""
    assert lint([("v1.yaml", text)])


def test_no_texts() -> None:
    """Without a file there is nothing to remark on, and nothing to compile."""
    assert lint([]) == []
    with pytest.raises(ContractError, match="there is no contract"):
        compile_contract([])
