"""Fault files: read strictly, every mistake named."""

from __future__ import annotations

from typing import Any

import pytest

from hotfire.errors import UserError
from hotfire.simulate.burns import KINDS
from hotfire.simulate.faults import DEFAULT_DIRTY, Given, Plan, plan

SPIKE = {"kind": "pressure_spike", "asset": "TRE-001", "at_s": 5}


def read(faults: Any) -> Plan:
    return plan(faults, KINDS, ["TRE-001", "TRE-002"])


def test_words_stand_for_plans() -> None:
    """`none` is nothing at all, `default` lets the simulator choose and spoils about one line in a hundred."""
    assert read("none") == Plan()
    assert read("default") == Plan(random=True, dirty=DEFAULT_DIRTY)
    assert 0.005 < sum(DEFAULT_DIRTY.values()) < 0.015


def test_a_file_says_what_happens_when() -> None:
    """What is left out is the middle of what is usual for the fault."""
    found = read(
        {
            "fault": [SPIKE, {**SPIKE, "kind": "stuck_sensor", "for_s": 9, "channel": "fuel_flow"}],
            "dirty": {"truncated": 0.1},
        }
    )
    assert found.given[0] == Given("pressure_spike", "TRE-001", 5.0, 8.5, "chamber_pressure", 107.5)
    assert (found.given[1].for_s, found.given[1].channel) == (9.0, "fuel_flow")
    assert found.dirty == {"truncated": 0.1}
    assert not found.random


@pytest.mark.parametrize(
    ("faults", "what", "do"),
    [
        ("some", "'some' is no set of faults", "none, default"),
        ({"faults": []}, "the fault file: 'faults' is not known", "Did you mean fault?"),
        ({"fault": {}}, "`fault` is a list", ""),
        ({"fault": ["x"]}, "fault 1 is no table", ""),
        ({"fault": [SPIKE, {"kind": "dropout", "asset": "TRE-001"}]}, "fault 2 has no `at_s`", ""),
        (
            {"fault": [{**SPIKE, "kind": "presure_spike"}]},
            "'presure_spike' is not known",
            "Did you mean pressure_spike?",
        ),
        ({"fault": [{**SPIKE, "asset": "TRE-009"}]}, "'TRE-009' is not known", "TRE-00"),
        ({"fault": [{**SPIKE, "channel": "fuel_flow"}]}, "'fuel_flow' is not known", "chamber_pressure"),
        ({"fault": [{**SPIKE, "at_s": "5"}]}, "fault 1: at_s is '5', not a number", ""),
        ({"fault": [{**SPIKE, "at_s": -1}]}, "at_s is -1", ""),
        ({"fault": [{**SPIKE, "size": True}]}, "size is True", ""),
        ({"dirty": {"truncate": 0.1}}, "'truncate' is not known", "Did you mean truncated?"),
        ({"dirty": {"truncated": 1.5}}, "dirty.truncated is 1.5", ""),
        ({"dirty": {"truncated": 0.6, "duplicate": 0.6}}, "more than 1", ""),
    ],
)
def test_a_mistake_is_named(faults: Any, what: str, do: str) -> None:
    """The message says which fault or share it is, and what was meant."""
    with pytest.raises(UserError) as caught:
        read(faults)
    assert what in caught.value.what
    assert do in caught.value.do
