"""What people are told of alarms: once for one cause, never so that it becomes untrue, and never what is silent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.alarm.life import after_action, after_change, inhibited
from hotfire.alarm.model import Action, Alarm, AlarmEvent, Refusal
from hotfire.alarm.news import ONE_CAUSE_NS, cause_of, tells, untold
from hotfire.findings import About, Change, Condition

S = 10**9
NOW = 1_000 * S


def change(what: Any, at_s: int, severity: str = "warning", *, latch: bool = False) -> Change:
    level = None if what == "returned" else severity
    condition = Condition("r", "TRE-003", "pressure", 1, level, severity, at_s * S, at_s * S if level is None else None)
    return Change(what, at_s * S, condition, About(latch=latch))


def told(*steps: Change | str) -> list[str]:
    """What people are told of in a life of changes and actions."""
    before: Alarm | None = None
    heard = []
    for step in steps:
        if isinstance(step, Change):
            alarm, events = after_change(before, "engines", step, NOW)
        else:
            action = Action(step, "", step, "mia", "because", NOW, 2 * NOW if step == "shelve" else None)  # type: ignore[arg-type]
            point = ("engines", "r", "TRE-003", "pressure")
            taken = after_action(before, action, NOW) if before else inhibited(*point, action, NOW)
            assert not isinstance(taken, Refusal), taken
            alarm, events = taken
        heard += [event.what for event in events if tells(event, before)]
        before = alarm
    return heard


RAISED, RETURNED = change("raised", 5), change("returned", 6)
LATCHED, UNLATCHED = change("raised", 5, latch=True), change("returned", 6, latch=True)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([RAISED, RETURNED, "ack"], ["TRIGGERED", "RTN", "CLEARED"]),
        ([RAISED, "ack", RETURNED], ["TRIGGERED", "CLEARED"]),
        ([RAISED, "ack", change("worse", 6, "critical")], ["TRIGGERED", "SEVERITY_INCREASED"]),
        ([LATCHED, "ack", UNLATCHED, "reset"], ["TRIGGERED", "RTN", "CLEARED"]),
        ([LATCHED, UNLATCHED, "ack", LATCHED], ["TRIGGERED", "RTN", "TRIGGERED"]),
        ([LATCHED, UNLATCHED, "reset", "ack"], ["TRIGGERED", "RTN", "CLEARED"]),
    ],
)
def test_people_are_told_what_asks_something_of_them_and_when_it_is_over(steps: list[Any], expected: list[str]) -> None:
    """Not of what people did themselves; one notice where an alarm returns and is cleared at once."""
    assert told(*steps) == expected


def test_an_alarm_that_comes_and_goes_is_told_of_three_times() -> None:
    """Raised, returned, raised again: from then on it waits in silence, and what was told last stays true."""
    assert told(*[RAISED, RETURNED] * 500, "ack") == ["TRIGGERED", "RTN", "TRIGGERED", "CLEARED"]


def test_coming_and_going_hides_nothing_that_is_worse() -> None:
    """A worse severity is told, whether it comes while the alarm is active or with the next raise."""
    chatter = [RAISED, RETURNED] * 5
    assert told(*chatter, change("raised", 7, "critical"))[-1] == "TRIGGERED"
    assert len(told(*chatter, change("raised", 7, "critical"))) == 4
    assert told(*chatter, RAISED, change("worse", 7, "critical"))[-1] == "SEVERITY_INCREASED"


def test_whoever_has_taken_note_is_told_when_it_comes_again() -> None:
    """An acknowledged, latched alarm that is raised is told of, however often it came and went before."""
    chatter = [LATCHED, UNLATCHED] * 5
    assert told(*chatter, "ack", LATCHED) == ["TRIGGERED", "RTN", "TRIGGERED", "TRIGGERED"]


@pytest.mark.parametrize("begin", ["shelve", "suppress", "out_of_service"])
def test_silence_is_silent(begin: str) -> None:
    """Whatever rows do meanwhile, and whoever began it; also where the alarm began with it."""
    worse = change("worse", 7, "severe")
    assert told(RAISED, begin, worse, RETURNED, RAISED, "ack", RETURNED) == ["TRIGGERED"]
    assert told(begin, RAISED, worse, RETURNED) == []


def test_what_is_heard_again_is_told() -> None:
    """Where it asks for an acknowledgement; not where it has one."""
    assert told(RAISED, "shelve", "unshelve") == ["TRIGGERED", "UNSHELVED"]
    assert told("suppress", RAISED, "unsuppress") == ["UNSUPPRESSED"]
    assert told(LATCHED, "out_of_service", UNLATCHED, "return") == ["TRIGGERED", "RETURNED_TO_SERVICE"]
    assert told(RAISED, "ack", "shelve", "unshelve") == ["TRIGGERED"]


def test_what_nobody_was_told_of_ends_untold() -> None:
    """An alarm that came and went in silence; one that was told of is told to be over."""
    assert told("suppress", RAISED, RETURNED, "unsuppress") == []
    assert told("suppress", "unsuppress") == []
    assert told(RAISED, "shelve", RETURNED, "unshelve") == ["TRIGGERED", "CLEARED"]


def test_a_return_that_was_told_does_not_stay_the_last_word() -> None:
    """An alarm that returned, was silent, and is raised again is told of, however often it was raised in silence."""
    again = ["shelve", LATCHED, UNLATCHED, "unshelve", LATCHED]
    assert told(LATCHED, UNLATCHED, *again) == ["TRIGGERED", "RTN", "UNSHELVED", "TRIGGERED"]


def alarm(name: str, at_s: int = 100, channel: str = "pressure", **fields: Any) -> Alarm:
    """An active alarm that people were told of when it was raised."""
    beginning = {"alarm_id": name, "stream": "engines", "rule": name, "asset": "TRE-003", "severity": "critical"}
    times = {"raised_at_ns": at_s * S, "opened_at_ns": NOW, "told": "raised", "told_at_ns": at_s * S}
    return Alarm(**{**beginning, **times, "channel": channel, **fields})


def triggered(one: Alarm) -> AlarmEvent:
    return AlarmEvent(one.alarm_id, "TRIGGERED", one.told_at_ns, NOW, "hotfire", "", one.severity, "UNACK_ALARM")


def cause(one: Alarm, *others: Alarm) -> str:
    found = cause_of(triggered(one), one, others)
    return found.alarm_id if found else ""


NO_DATA = About(detector="no_data")
OFFLINE = alarm("offline", channel="", about=NO_DATA)


def test_a_silent_asset_is_the_cause_of_its_silent_channels() -> None:
    """For as long as it is silent, told or shelved; not when it is back, and not another asset's."""
    channel = alarm("temperature", 100 + 3_600, "temperature", about=NO_DATA, severity="severe")
    assert cause(channel, OFFLINE) == "offline"
    assert cause(channel, replace(OFFLINE, inhibited_by="shelved", told="", told_at_ns=None)) == "offline"
    assert cause(channel, replace(OFFLINE, active=False)) == ""
    assert cause(channel, replace(OFFLINE, asset="TRE-004")) == ""
    assert cause(channel, replace(OFFLINE, stream="dyno")) == ""
    assert cause(replace(channel, about=About(detector="limit")), OFFLINE) == ""


def test_that_a_whole_asset_is_silent_is_always_told() -> None:
    """Even right after another alarm of it."""
    assert cause(alarm("offline", 101, "", about=NO_DATA), alarm("spike")) == ""
    assert cause(alarm("starved", 101, ""), alarm("spike")) == "spike"


@pytest.mark.parametrize(
    ("at_s", "severity", "expected"),
    [
        (100, "critical", "spike"),
        (160, "critical", "spike"),
        (161, "critical", ""),
        (99, "critical", ""),
        (101, "warning", "spike"),
        (101, "severe", ""),
    ],
)
def test_alarms_of_one_asset_within_a_minute_have_one_cause(at_s: int, severity: str, expected: str) -> None:
    """The one that was told before, if it is as severe; what is worse is told by itself."""
    assert ONE_CAUSE_NS == 60 * S
    assert cause(alarm("hot", at_s, "temperature", severity=severity), alarm("spike")) == expected
    assert cause(alarm("hot", at_s, "temperature", severity=severity), alarm("spike", asset="TRE-004")) == ""


def test_the_first_that_was_told_is_the_cause() -> None:
    """However the others are given; an alarm is never its own cause."""
    first, second, third = alarm("c", 98), alarm("b", 99), alarm("a", 100)
    assert cause(third, second, first, third) == cause(third, first, second) == "c"
    assert cause(third, third) == ""


def test_a_slow_cascade_is_told_once_a_window() -> None:
    """What people were not told of is no cause of others: each minute at least somebody hears."""
    seen: list[Alarm] = []
    heard = []
    for number in range(10):
        one = alarm(f"{number}", 100 + 25 * number)
        found = cause_of(triggered(one), one, seen)
        seen.append(untold(one, None, found) if found else one)
        heard += [] if found else [number]
    assert heard == [0, 3, 6, 9]


def test_other_events_have_no_cause() -> None:
    """What becomes worse, returns or is over is told by itself; without an event time only silence is a cause."""
    one = alarm("hot", 101)
    assert cause_of(replace(triggered(one), what="SEVERITY_INCREASED"), one, [alarm("spike")]) is None
    assert cause_of(replace(triggered(one), at_ns=None), one, [alarm("spike")]) is None


def test_what_has_a_cause_stays_untold_to_its_end() -> None:
    """Neither its return nor its end is told; raised again, it is judged anew."""
    begun, (event,) = after_change(None, "engines", RAISED, NOW)
    assert begun
    assert tells(event, None)
    quiet = untold(begun, None, alarm("spike"))
    assert (quiet.told, quiet.told_at_ns, quiet.cause) == ("", None, "spike")
    returned, (event,) = after_change(quiet, "engines", RETURNED, NOW)
    assert returned
    assert not tells(event, quiet)
    again, (event,) = after_change(returned, "engines", RAISED, NOW)
    assert tells(event, returned)
    assert again
    assert (again.told, again.cause) == ("raised", "")


def test_what_people_know_stays_where_one_event_is_untold() -> None:
    """An alarm that was told of before is told to be over, even where its second raise had a cause."""
    begun, _ = after_change(None, "engines", RAISED, NOW)
    returned, _ = after_change(begun, "engines", RETURNED, NOW)
    again, _ = after_change(returned, "engines", change("raised", 7), NOW)
    assert again
    quiet = untold(again, returned, alarm("spike"))
    assert (quiet.told, quiet.told_at_ns) == ("returned", 5 * S)
    over = AlarmEvent(quiet.alarm_id, "CLEARED", None, NOW, "mia", "", "warning", "NORMAL")
    assert tells(over, quiet)
