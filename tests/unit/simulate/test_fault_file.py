"""Fault files: read strictly, every mistake named with its line."""

from __future__ import annotations

from textwrap import dedent

import pytest

from hotfire.errors import UserError
from hotfire.simulate.burns import KINDS
from hotfire.simulate.engines import LINES
from hotfire.simulate.fault_file import plan
from hotfire.simulate.faults import DEFAULT_SHARES, Catalogue, Given, Plan, Window
from hotfire.simulate.model import FaultFile

SECOND_NS = 1_000_000_000
ENGINES = Catalogue(KINDS, LINES, ["TRE-001", "TRE-002"], DEFAULT_SHARES)


def read(text: str) -> Plan:
    return plan(FaultFile("f.yaml", dedent(text)), ENGINES)


def test_words_stand_for_plans() -> None:
    """`none` is nothing at all, `default` lets the simulator choose and spoils about one line in a hundred."""
    assert plan("none", ENGINES) == Plan()
    default = plan("default", ENGINES)
    assert default.random
    assert 0.005 < sum(window.size for window in default.lines) < 0.015
    with pytest.raises(UserError, match="'some' is no set of faults"):
        plan("some", ENGINES)


def test_a_fault_of_readings_says_what_happens_when() -> None:
    """What is left out is the middle of what is usual for the fault; times are seconds or have units."""
    found = read(
        """
        faults:
          - {kind: pressure_spike, asset: TRE-001, at: 5}
          - {kind: drift, asset: TRE-002, at: 1.5 min, for: 500 ms, channel: fuel_flow, size: 3}
        """
    )
    assert found.given == (
        Given("pressure_spike", "TRE-001", 5 * SECOND_NS, 17 * SECOND_NS // 2, "chamber_pressure", 107.5),
        Given("drift", "TRE-002", 90 * SECOND_NS, SECOND_NS // 2, "fuel_flow", 3.0),
    )
    assert not found.lines
    assert not found.random


def test_what_befalls_lines_may_be_bounded() -> None:
    """By asset and time, or not at all; a delay lasts for a while, and `late` has a time for its size."""
    found = read(
        """
        faults:
          - {kind: duplicate}
          - {kind: truncated, asset: TRE-002, at: 1 min, for: 30, size: 0.5}
          - {kind: late, at: 10, size: 2 min}
          - {kind: outage, at: 20, for: 5}
        """
    )
    assert found.lines == (
        Window("duplicate", 0.005),
        Window("truncated", 0.5, "TRE-002", 60 * SECOND_NS, 30 * SECOND_NS),
        Window("late", 120 * SECOND_NS, None, 10 * SECOND_NS, 10 * SECOND_NS),
        Window("outage", 0, None, 20 * SECOND_NS, 5 * SECOND_NS),
    )


def test_malformed_stands_for_every_way_to_be_that() -> None:
    """The share is divided among them."""
    found = read("faults: [{kind: malformed, size: 0.4, at: 1 s}]")
    assert {window.kind: window.size for window in found.lines} == dict.fromkeys(
        ("not_a_number", "missing_zone", "truncated", "wrong_fields"), 0.1
    )
    assert {window.at_ns for window in found.lines} == {SECOND_NS}


def test_json_is_yaml() -> None:
    """A fault file may be written as JSON."""
    assert read('{"faults": [{"kind": "duplicate", "size": 0.1}]}').lines == (Window("duplicate", 0.1),)


@pytest.mark.parametrize(
    ("text", "what", "do"),
    [
        ("faults: [", "f.yaml:1: not YAML", "mend the YAML"),
        ("fault: []", "f.yaml:1: a fault file has a list `faults`", "write `faults:`"),
        ("- {kind: dropout}", "a fault file has a list `faults`", ""),
        ("faults: []\nlabel: x", "f.yaml:2: label: `label` is not known", ""),
        ("faults:\n- dropout", "f.yaml:2: fault 1: no mapping", "write `kind: ...`"),
        ("faults:\n- {at: 1}", "f.yaml:2: fault 1: kind: is missing", ""),
        ("faults:\n- {kind: duplicate}\n- kind: duplicat", "f.yaml:3: fault 2: kind: 'duplicat'", "`duplicate`?"),
        ("faults:\n- {kind: v2}", "'v2' is not known", ""),
        ("faults:\n- kind: dropout\n  asset: TRE-01\n  at: 1", "f.yaml:3: fault 1: asset: 'TRE-01'", "`TRE-001`?"),
        ("faults:\n- {kind: dropout, at: 1}", "fault 1: asset: is missing", ""),
        ("faults:\n- {kind: dropout, asset: TRE-001}", "fault 1: at: is missing", ""),
        ("faults:\n- {kind: late}", "fault 1: at: is missing", ""),
        ("faults:\n- {kind: outage, at: 1, size: 3}", "fault 1: size: an outage has none", "leave it out"),
        ("faults:\n- {kind: duplicate, channel: x}", "`duplicate` concerns lines", "leave it out"),
        ("faults:\n- {kind: duplicate, when: 1}", "`when` is not known", ""),
        ("faults:\n- {kind: duplicate, size: 1.5}", "fault 1: size: 1.5 is not a number from 0 to 1", ""),
        ("faults:\n- {kind: duplicate, size: true}", "True is not a number", ""),
        ("faults:\n- {kind: duplicate, at: 5 parsecs}", "'5 parsecs' is not a duration", "`5 min`"),
        ("faults:\n- {kind: duplicate, at: -5}", "fault 1: at: -5 is no time", "write seconds"),
        (
            "faults:\n- {kind: dropout, asset: TRE-001, at: 1, channel: temperature}",
            "'temperature' is not",
            "event_time",
        ),
        ("faults:\n- {kind: drift, asset: TRE-001, at: 1, size: -1}", "size: -1 is not a number from 0", ""),
    ],
)
def test_a_mistake_is_named(text: str, what: str, do: str) -> None:
    """The message says file, line and fault, and what was meant."""
    with pytest.raises(UserError) as caught:
        plan(FaultFile("f.yaml", text), ENGINES)
    assert what in caught.value.what
    assert do in caught.value.do
