"""Alarms as folds: which alarm a change of a condition belongs to, what an action does to it, what the wall clock does."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hotfire.alarm.life import after_action, after_change, alarm_id, expired, inhibited, is_over, state_of
from hotfire.alarm.model import HOTFIRE, Action, Alarm, AlarmEvent, Refusal
from hotfire.findings import About, Change, Condition

S = 10**9
NOW = 1_000 * S
POINT = ("pressure.limit", "TRE-003", "pressure")


def change(what: Any, at_s: int, severity: str = "warning", **about: Any) -> Change:
    """A change of the one condition of these tests: its value is its time in seconds."""
    level = None if what == "returned" else severity
    returned_at_ns = at_s * S if what == "returned" else None
    condition = Condition(
        *POINT, 1, level, severity, at_s * S, returned_at_ns, value=float(at_s), limit=300.0, message=f"at {at_s}"
    )
    return Change(what, at_s * S, condition, About(**about))


def action(what: Any, comment: str = "on it", *, until_s: int | None = None) -> Action:
    return Action(f"do {what}", "", what, "mia", comment, NOW, None if until_s is None else until_s * S)


def lived(*steps: Change | Action, now_ns: int = NOW) -> tuple[Alarm, list[AlarmEvent]]:
    """The alarm that changes and actions leave, and all its events; nothing is refused."""
    alarm: Alarm | None = None
    events: list[AlarmEvent] = []
    for step in steps:
        if isinstance(step, Change):
            alarm, came = after_change(alarm, "engines", step, now_ns)
        else:
            taken = after_action(alarm, step, now_ns) if alarm else inhibited("engines", *POINT, step, now_ns)
            assert not isinstance(taken, Refusal), taken
            alarm, came = taken
        events += came
    assert alarm is not None
    return alarm, events


def refused(alarm: Alarm, step: Action, now_ns: int = NOW) -> str:
    taken = after_action(alarm, step, now_ns)
    assert isinstance(taken, Refusal)
    return taken.why


def test_a_condition_that_is_raised_begins_an_alarm() -> None:
    """It shows what the condition shows, and its event has both times."""
    about = About(latch=False, runbook="https://wiki.example/p", owner="mia", detector="limit")
    alarm, events = lived(change("raised", 5, runbook=about.runbook, owner=about.owner, detector=about.detector))
    name = alarm_id("engines", *POINT, 5 * S)
    assert alarm == Alarm(
        *(name, "engines", *POINT, "warning", 5 * S, NOW),
        value=5.0,
        limit=300.0,
        message="at 5",
        about=about,
        told="raised",
        told_at_ns=5 * S,
    )
    assert events == [AlarmEvent(name, "TRIGGERED", 5 * S, NOW, HOTFIRE, "", "warning", "UNACK_ALARM")]


def test_the_name_of_an_alarm_never_changes() -> None:
    """It is made of stream, rule, asset, channel and the instant alone, and no two of them can be mistaken."""
    text = '["engines","pressure.limit","TRE-003","pressure",5000000000]'
    assert alarm_id("engines", *POINT, 5 * S) == hashlib.sha256(text.encode()).hexdigest()[:12] == "69da0a78acba"
    assert alarm_id("a", "b", "c", "d1", 2) != alarm_id("a", "b", "c", "d", 12)
    assert alarm_id("a", "b,c", "d", "e", 1) != alarm_id("a", "b", "c,d", "e", 1)


def test_a_return_without_an_alarm_changes_nothing() -> None:
    """Nor does one of an alarm that is over, or a condition that becomes milder."""
    over, _ = lived(change("raised", 5), action("ack"), change("returned", 6))
    active, _ = lived(change("raised", 5))
    assert after_change(None, "engines", change("returned", 6), NOW) == (None, ())
    assert after_change(over, "engines", change("returned", 7), NOW) == (over, ())
    assert after_change(active, "engines", change("milder", 7, "watch"), NOW) == (active, ())


def test_what_comes_again_unacknowledged_is_the_same_alarm() -> None:
    """It is counted; it keeps its beginning and what it showed first."""
    alarm, events = lived(change("raised", 5), change("returned", 6), change("raised", 7))
    assert (alarm.count, alarm.raised_at_ns, alarm.returned_at_ns, alarm.message) == (2, 5 * S, 6 * S, "at 5")
    assert [one.what for one in events] == ["TRIGGERED", "RTN", "TRIGGERED"]


def test_after_the_end_a_new_life_begins() -> None:
    """The next condition is another alarm, with another name."""
    first, _ = lived(change("raised", 5), action("ack"), change("returned", 6))
    assert is_over(first)
    second, _ = after_change(first, "engines", change("raised", 7), NOW)
    assert second is not None
    assert (second.alarm_id, second.count) == (alarm_id("engines", *POINT, 7 * S), 1)
    assert state_of(second) == "UNACK_ALARM"


def test_an_alarm_that_becomes_worse_shows_what_made_it_so() -> None:
    """The worse severity takes the acknowledgement back, with its value, limit and message."""
    alarm, events = lived(change("raised", 5), action("ack"), change("worse", 6, "critical"))
    assert (alarm.severity, alarm.value, alarm.message, state_of(alarm)) == ("critical", 6.0, "at 6", "UNACK_ALARM")
    assert (alarm.count, alarm.raised_at_ns, alarm.told_at_ns) == (1, 5 * S, 6 * S)
    assert events[-1].what == "SEVERITY_INCREASED"
    assert events[-1].severity == "critical"


def test_as_bad_as_it_was_before_is_no_news() -> None:
    """An acknowledged critical alarm that becomes a warning and critical again stays acknowledged."""
    alarm, events = lived(
        *(change("raised", 5, "critical"), action("ack"), change("milder", 6, "warning")),
        change("worse", 7, "critical"),
    )
    assert state_of(alarm) == "ACK_ALARM"
    assert len(events) == 2


def test_worse_when_it_comes_again() -> None:
    """An alarm that returned and is raised at a worse severity has that severity."""
    alarm, events = lived(change("raised", 5), change("returned", 6), change("raised", 7, "severe"))
    assert (alarm.severity, alarm.value, alarm.raised_at_ns) == ("severe", 7.0, 5 * S)
    assert (events[-1].what, events[-1].severity) == ("TRIGGERED", "severe")


def test_a_condition_that_holds_has_an_alarm() -> None:
    """Where one becomes worse or milder that no alarm knows of, an alarm begins."""
    for what in ("worse", "milder"):
        alarm, events = lived(change(what, 5, "critical"))
        assert state_of(alarm) == "UNACK_ALARM"
        assert [one.what for one in events] == ["TRIGGERED"]


def test_whoever_acts_is_recorded() -> None:
    """Name and comment, the wall clock, and no event time: no row brought it about."""
    alarm, events = lived(change("raised", 5), change("returned", 6), action("ack", "seen"))
    assert events[2:] == [
        AlarmEvent(alarm.alarm_id, "ACKNOWLEDGED", None, NOW, "mia", "seen", "warning", "NORMAL"),
        AlarmEvent(alarm.alarm_id, "CLEARED", None, NOW, "mia", "seen", "warning", "NORMAL"),
    ]


def test_a_return_that_ends_a_life_has_the_times_of_its_row() -> None:
    """Returned and cleared at one instant, by nobody in particular."""
    _, events = lived(change("raised", 5), action("ack"), change("returned", 6))
    assert [(one.what, one.at_ns, one.who) for one in events[2:]] == [
        *(("RTN", 6 * S, HOTFIRE), ("CLEARED", 6 * S, HOTFIRE))
    ]


def test_a_rule_that_latches() -> None:
    """The alarm waits for a person, who resets it; a rule that latches no more lets go of the next alarm only."""
    alarm, _ = lived(change("raised", 5, latch=True), action("ack"), change("returned", 6, latch=True))
    assert (alarm.latched, state_of(alarm)) == (True, "LATCH_ACK")
    over, events = lived(change("raised", 5, latch=True), action("ack"), change("returned", 6), action("reset"))
    assert is_over(over)
    assert [one.what for one in events[-2:]] == ["RESET", "CLEARED"]


def test_nothing_is_done_to_what_is_over() -> None:
    """Every action is refused, with a sentence."""
    over, _ = lived(change("raised", 5), action("ack"), change("returned", 6))
    for what in ("ack", "shelve", "unshelve", "suppress", "unsuppress", "out_of_service", "return", "reset"):
        assert refused(over, action(what, until_s=2_000)).startswith("It is over")


@pytest.mark.parametrize("what", ["shelve", "suppress", "out_of_service"])
def test_silence_needs_a_reason(what: str) -> None:
    """Blank space is none."""
    alarm, _ = lived(change("raised", 5))
    assert refused(alarm, action(what, " ", until_s=2_000)) == "Silence needs a reason: others will ask for it."


def test_a_shelve_needs_an_end_to_come() -> None:
    """None, the past and the present are refused."""
    alarm, _ = lived(change("raised", 5))
    for until_s in (None, 999, 1_000):
        assert refused(alarm, action("shelve", until_s=until_s)) == "A shelve needs an end that is still to come."
    shelved, _ = lived(change("raised", 5), action("shelve", until_s=1_001), action("ack"))
    assert shelved.inhibited_until_ns == 1_001 * S


def test_a_shelve_ends_by_the_wall_clock() -> None:
    """Not a nanosecond before its end; by an action that is always the same, whenever it is asked for."""
    alarm, _ = lived(change("raised", 5), action("shelve", until_s=1_100))
    assert expired(alarm, 1_100 * S - 1) is None
    end = expired(alarm, 1_100 * S)
    assert end is not None
    assert expired(alarm, 9_000 * S) == end
    assert (end.what, end.who, end.asked_at_ns) == ("unshelve", HOTFIRE, 1_100 * S)
    taken = after_action(alarm, end, 1_100 * S)
    assert not isinstance(taken, Refusal)
    after, (event,) = taken
    assert (state_of(after), after.inhibited_until_ns, event.what) == ("UNACK_ALARM", None, "UNSHELVED")
    assert expired(after, 9_000 * S) is None


def test_an_end_that_was_moved_is_not_the_old_one() -> None:
    """What the wall clock asked for comes too late where somebody has given the shelve another end."""
    alarm, _ = lived(change("raised", 5), action("shelve", until_s=1_100))
    end = expired(alarm, 1_100 * S)
    longer, _ = lived(change("raised", 5), action("shelve", until_s=1_100), action("shelve", until_s=1_200))
    assert end is not None
    assert refused(longer, end) == "It was shelved anew meanwhile, until another instant."
    assert longer.inhibited_until_ns == 1_200 * S
    assert state_of(lived(change("raised", 5), action("shelve", until_s=1_200), action("unshelve"))[0]) == "UNACK_ALARM"


def test_what_lasts_longer_has_no_end_of_a_shelve() -> None:
    """Suppressed or out of service, an alarm does not come back when the shelve before it would have ended."""
    for what in ("suppress", "out_of_service"):
        alarm, _ = lived(change("raised", 5), action("shelve", until_s=1_100), action(what))
        assert alarm.inhibited_until_ns is None
        assert expired(alarm, 9_000 * S) is None


def test_a_rule_can_be_silent_before_it_finds_anything() -> None:
    """It has an alarm that was never raised; raised later, the alarm has that beginning, and stays silent."""
    quiet, events = lived(action("suppress"))
    assert (quiet.count, quiet.raised_at_ns, quiet.active, state_of(quiet)) == (0, None, False, "SUPPRESSED_BY_DESIGN")
    assert quiet.alarm_id == alarm_id("engines", *POINT, NOW)
    assert [(one.what, one.who) for one in events] == [("SUPPRESSED", "mia")]
    raised, _ = lived(action("suppress"), change("raised", 5, "critical"))
    assert (raised.count, raised.raised_at_ns, raised.severity, raised.message) == (1, 5 * S, "critical", "at 5")
    assert (raised.alarm_id, state_of(raised)) == (quiet.alarm_id, "SUPPRESSED_BY_DESIGN")
    heard, _ = lived(action("suppress"), change("raised", 5), action("unsuppress"))
    assert state_of(heard) == "UNACK_ALARM"


def test_silence_that_nothing_came_of_is_over_when_it_ends() -> None:
    """Such an alarm is cleared, without ever having been raised."""
    over, events = lived(action("out_of_service"), action("return"))
    assert is_over(over)
    assert [one.what for one in events] == ["OUT_OF_SERVICE", "RETURNED_TO_SERVICE", "CLEARED"]


def test_where_nothing_is_open_only_silence_can_begin() -> None:
    """Everything else is refused as of any alarm; a shelve needs its reason and end here, too."""
    for what in ("ack", "unshelve", "unsuppress", "return", "reset"):
        assert isinstance(inhibited("engines", *POINT, action(what), NOW), Refusal)
    assert isinstance(inhibited("engines", *POINT, action("shelve"), NOW), Refusal)
    assert isinstance(inhibited("engines", *POINT, action("suppress", ""), NOW), Refusal)
