"""The transition table, row by row: what becomes of an alarm, and what people are refused."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from hotfire.alarm.machine import ROWS, Signal, Status, act, follow, state_name
from hotfire.alarm.model import ActionName, AlarmState, EventName, Inhibition, Refusal

SIGNALS, ACTIONS = get_args(Signal), get_args(ActionName)
STATUSES = [Status(*one) for one in product((False, True), (False, True), (False, True), get_args(Inhibition))]


def lived(*steps: str) -> tuple[Status, list[str]]:
    """The status and events of a life: what rows and people do, one after another, none of it refused."""
    status, events = Status(), []
    for step in steps:
        taken = follow(status, step) if step in SIGNALS else act(status, step)  # type: ignore[arg-type]
        assert not isinstance(taken, Refusal), f"{step}: {taken}"
        status, came = taken
        events += came
    return status, events


def state(*steps: str) -> str:
    return state_name(lived(*steps)[0])


def why_not(action: str, *steps: str) -> str:
    """Why an action is not taken after a life."""
    taken = act(lived(*steps)[0], action)  # type: ignore[arg-type]
    assert isinstance(taken, Refusal)
    return taken.why


LATCHED = ("raised", "latches")
SILENCES = {
    "shelve": ("unshelve", "SHELVED"),
    "suppress": ("unsuppress", "SUPPRESSED_BY_DESIGN"),
    "out_of_service": ("return", "OUT_OF_SERVICE"),
}
"""Three ways to keep an alarm silent: how each ends, and the state meanwhile."""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "NORMAL"),
        (["raised"], "UNACK_ALARM"),
        (["raised", "ack"], "ACK_ALARM"),
        (["raised", "ack", "worse"], "UNACK_ALARM"),
        (["raised", "returned"], "RTN_UNACK"),
        (["raised", "returned", "raised"], "UNACK_ALARM"),
        (["raised", "returned", "ack"], "NORMAL"),
        (["raised", "ack", "returned"], "NORMAL"),
        (["raised", "ack", "returned", "raised"], "UNACK_ALARM"),
    ],
)
def test_an_alarm_that_does_not_latch(steps: list[str], expected: str) -> None:
    """It is over when it has returned and was acknowledged, in either order; what is worse, or new, is acknowledged anew."""
    assert state(*steps) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "UNACK_ALARM"),
        (["ack"], "ACK_ALARM"),
        (["returned"], "LATCH_UNACK"),
        (["returned", "ack"], "LATCH_ACK"),
        (["ack", "returned"], "LATCH_ACK"),
        (["returned", "ack", "raised"], "UNACK_ALARM"),
        (["returned", "reset"], "RTN_UNACK"),
        (["returned", "reset", "ack"], "NORMAL"),
        (["returned", "ack", "reset"], "NORMAL"),
        (["returned", "reset", "raised", "latches", "returned"], "LATCH_UNACK"),
    ],
)
def test_an_alarm_that_latches(steps: list[str], expected: str) -> None:
    """It is over when, besides, a person has reset it; raised again, it latches again."""
    assert state(*LATCHED, *steps) == expected


@pytest.mark.parametrize("begin", SILENCES)
@pytest.mark.parametrize("life", [[], ["raised"], ["raised", "ack"], ["raised", "returned"], [*LATCHED, "returned"]])
def test_silence_can_begin_at_any_time(begin: str, life: list[str]) -> None:
    """Whether the alarm is raised or not, its state has the name of the silence."""
    assert state(*life, begin) == SILENCES[begin][1]


@pytest.mark.parametrize("begin", SILENCES)
@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (["begin", "end"], "NORMAL"),
        (["begin", "raised", "end"], "UNACK_ALARM"),
        (["raised", "begin", "end"], "UNACK_ALARM"),
        (["raised", "ack", "begin", "end"], "ACK_ALARM"),
        (["raised", "begin", "ack", "end"], "ACK_ALARM"),
        (["raised", "ack", "begin", "worse", "end"], "UNACK_ALARM"),
        (["raised", "ack", "begin", "returned", "end"], "NORMAL"),
        (["raised", "begin", "returned", "end"], "NORMAL"),
        (["raised", "returned", "begin", "end"], "NORMAL"),
        (["raised", "ack", "begin", "returned", "raised", "end"], "UNACK_ALARM"),
        ([*LATCHED, "begin", "returned", "end"], "LATCH_UNACK"),
        ([*LATCHED, "ack", "begin", "returned", "end"], "LATCH_ACK"),
        ([*LATCHED, "begin", "returned", "reset", "end"], "NORMAL"),
    ],
)
def test_when_silence_ends_the_alarm_is_what_it_has_become(begin: str, life: list[str], expected: str) -> None:
    """It went on following its condition: what returned is over, unless it latches; what holds is heard again."""
    assert state(*({"begin": begin, "end": SILENCES[begin][0]}.get(step, step) for step in life)) == expected


@pytest.mark.parametrize("begin", SILENCES)
def test_a_life_never_ends_in_silence(begin: str) -> None:
    """Returned, acknowledged and reset, the alarm is still there until the silence ends: then it is cleared."""
    end, name = SILENCES[begin]
    life = [*LATCHED, "ack", begin, "returned", "reset"]
    assert state(*life) == name
    assert "CLEARED" not in lived(*life)[1]
    assert lived(*life, end)[1][-1] == "CLEARED"


@pytest.mark.parametrize("begin", SILENCES)
def test_silence_cannot_end_twice(begin: str) -> None:
    """The end of one that does not last is refused."""
    end, _ = SILENCES[begin]
    assert why_not(end, "raised").startswith("It is not ")
    assert why_not(end, "raised", begin, end).startswith("It is not ")


def test_a_shelve_can_be_given_another_end() -> None:
    """Shelving what is shelved is no mistake; the others begin once."""
    assert state("raised", "shelve", "shelve") == "SHELVED"
    assert why_not("suppress", "suppress") == "It is suppressed already."
    assert why_not("out_of_service", "out_of_service") == "It is out of service already."


def test_what_keeps_silent_longer_takes_over() -> None:
    """A shelve gives way to suppression, both give way to being out of service, and not the other way round."""
    assert state("raised", "shelve", "suppress") == "SUPPRESSED_BY_DESIGN"
    assert state("raised", "shelve", "out_of_service") == "OUT_OF_SERVICE"
    assert state("raised", "suppress", "out_of_service") == "OUT_OF_SERVICE"
    assert why_not("shelve", "raised", "suppress") == "It is silent already, and longer than a shelve would keep it so."
    assert why_not("shelve", "raised", "out_of_service") == why_not("shelve", "raised", "suppress")
    assert why_not("suppress", "raised", "out_of_service") == "It is out of service: return it to service first."


def test_an_acknowledgement_is_given_once() -> None:
    """A second one is refused, as is one of an alarm that is silent and was never raised."""
    assert why_not("ack", "raised", "ack") == "It is acknowledged already."
    assert why_not("ack", *LATCHED, "returned", "ack") == "It is acknowledged already."
    assert why_not("ack", "shelve") == "There is nothing to acknowledge: its condition does not hold."


def test_only_what_has_returned_and_latches_is_reset() -> None:
    """An active alarm is not reset, latched or not, nor is one that does not latch."""
    holds = "Its condition still holds: it can be reset once that has returned."
    assert why_not("reset", *LATCHED) == holds
    assert why_not("reset", *LATCHED, "ack") == holds
    assert why_not("reset", "raised") == holds
    assert why_not("reset", "raised", "returned") == "There is nothing to reset: it is not latched."


def test_every_step_is_recorded_by_its_name() -> None:
    """A long life reads as the list of its events; what changes nothing records nothing."""
    _, events = lived(
        *("raised", "raised", "latches", "ack", "worse", "shelve", "returned", "returned", "worse", "unshelve"),
        *("suppress", "unsuppress", "out_of_service", "return", "reset", "ack"),
    )
    assert events == [
        *("TRIGGERED", "ACKNOWLEDGED", "SEVERITY_INCREASED", "SHELVED", "RTN", "UNSHELVED"),
        *("SUPPRESSED", "UNSUPPRESSED", "OUT_OF_SERVICE", "RETURNED_TO_SERVICE", "RESET", "ACKNOWLEDGED", "CLEARED"),
    ]


def test_every_action_has_an_answer_whatever_the_status() -> None:
    """Of all statuses and actions each is taken, with one event, or refused, with a sentence."""
    for status, action in product(STATUSES, ACTIONS):
        taken = act(status, action)
        if isinstance(taken, Refusal):
            assert taken.why[0].isupper()
            assert taken.why.endswith(".")
        else:
            assert len([event for event in taken[1] if event != "CLEARED"]) == 1


def test_rows_follow_the_condition_whatever_people_have_done() -> None:
    """What rows say decides alone whether an alarm is active, and never makes it silent or heard."""
    for status in STATUSES:
        for signal in SIGNALS:
            after, _ = follow(status, signal)
            assert after.active == {"raised": True, "returned": False}.get(signal, status.active)
            assert after.inhibited_by == status.inhibited_by
        for action in ACTIONS:
            taken = act(status, action)
            assert isinstance(taken, Refusal) or taken[0].active == status.active


def test_every_row_of_the_table_is_needed() -> None:
    """Each row is the first that fits for some status, and every state and every event comes about."""
    used = [next((row for row in ROWS if row.fits(*one)), None) for one in product(STATUSES, (*SIGNALS, *ACTIONS))]
    assert [row for row in ROWS if row not in used] == []
    assert {state_name(status) for status in STATUSES} == set(get_args(AlarmState))
    assert {row.event for row in ROWS if row.event} | {"CLEARED"} == set(get_args(EventName))
