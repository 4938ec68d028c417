"""Alarm limits are refused where the contract is compiled, not only where somebody lints it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotfire.contract.limits import SEVERITIES
from hotfire.contract.odcs import compile_contract
from hotfire.errors import ContractError

ENGINES = (Path(__file__).parents[2] / "golden" / "contract" / "engine_telemetry.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "what", "do"),
    [
        ("critical: {high: 300", "critcal: {high: 300", "no such setting `critcal`", "did you mean `critical`?"),
        ("low: 40", "lo: 40", "`critical` needs `low`, `high` or both", "{low: 40, high: 300}"),
        ("low: 40", "low: forty", "a limit of `critical` is not a number", "without quotes"),
        ("low: 40", "low: 290", "a low limit is not below a high limit", "every reading would be an alarm"),
        ("high: 285", "high: 305", "high of warning (305) does not lie below high of critical (300)", "milder"),
        (
            "deadband: 2",
            "deadband: 130",
            "`deadband` (130) is half of what lies between low and high of critical",
            "keep",
        ),
        ("min_violations: 3", "min_violations: true", "`min_violations` is not a count from 1", "1 raises at once"),
        ("min_violations: 3", "off_delay: soon", "'soon' is not a duration", "`500 ms`"),
        ("min_violations: 3", "unit: degC", "degC cannot be converted to bar", ""),
        ("min_violations: 3", "unit: 7", "7 is not a unit", "quote it"),
        ("phase in ('standby', 's", "phas in ('standby', 's", "there is no column `phas`", "did you mean `phase`?"),
        ("critical: {high: 320}}]", "critcal: {high: 320}}]", "no such severity `critcal`", "`critical`"),
    ],
)
def test_nonsense_is_refused(old: str, new: str, what: str, do: str) -> None:
    """The error names file, line and field, says what is wrong, and what was probably meant."""
    changed = ENGINES.replace(old, new, 1)
    line = changed[: changed.index(new)].count("\n") + 1
    with pytest.raises(ContractError) as refused:
        compile_contract([("v1.yaml", changed)])
    said = refused.value
    assert (what in said.what, do in said.do) == (True, True), (said.what, said.do)
    assert said.what.startswith((f"v1.yaml:{line}: chamber_pressure.hotfire.limits", f"v1.yaml:{line - 1}: "))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_one_severity_is_enough(severity: str) -> None:
    """Limits of a single severity, and of one side only, are whole."""
    text = ENGINES.replace("warning: {high: 285}", f"{severity}: {{high: 285}}").replace(
        "critical: {high: 300, low: 40}", "off_delay: 2 s"
    )
    assert compile_contract([("v1.yaml", text)]).column("chamber_pressure").limits[severity] == {"high": 285}


def test_a_limit_out_of_reach_is_no_error() -> None:
    """A limit that no possible reading passes is something to look at, and the contract compiles."""
    text = ENGINES.replace("critical: {high: 320}", "critical: {high: 350}")
    assert compile_contract([("v1.yaml", text)]).column("chamber_pressure").limits["context"]
