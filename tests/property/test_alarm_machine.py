"""Alarms against a model of ISA-18.2 that knows debts instead of states: who owes what before an alarm may go.

Rows and people do anything in any order. The model was written from the standard's words: an alarm that is annunciated owes
an acknowledgement, one that latches owes a reset, silence keeps it from being heard and from going.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hotfire.alarm.conditions import Point, after
from hotfire.alarm.life import after_action, after_change, expired, inhibited, is_over, state_of
from hotfire.alarm.model import Action, ActionName, Alarm, AlarmEvent, Refusal
from hotfire.alarm.news import tells
from hotfire.findings import SEVERITIES, About, Change, Condition, Finding

POINT: Point = ("pressure.limit", "TRE-003", "pressure")
SILENCE = {
    "shelve": ("unshelve", "SHELVED"),
    "suppress": ("unsuppress", "SUPPRESSED_BY_DESIGN"),
    "out_of_service": ("return", "OUT_OF_SERVICE"),
}
STRENGTH = ["", "shelve", "suppress", "out_of_service"]
severities = st.none() | st.sampled_from(SEVERITIES)


@dataclass
class Model:
    """What is known of one point: whether it is in alarm, what is owed, what keeps it silent."""

    latching: bool
    level: int = -1
    worst: int = -1
    owes_acknowledgement: bool = False
    owes_reset: bool = False
    silence: str = ""
    until_ns: int | None = None
    lives: int = 0
    raised: int = 0
    is_open: bool = False

    def rows_say(self, level: int) -> None:
        """The process is at a level now; -1 is normal."""
        was, self.level = self.level, level
        if level > -1 and was == -1:
            self.begin()
            self.raised += 1
            self.owes_acknowledgement = True
            self.owes_reset |= self.latching
        elif level > self.worst:
            self.owes_acknowledgement = True
        self.worst = max(self.worst, level)
        self.go_if_nothing_is_owed()

    def begin(self) -> None:
        if not self.is_open:
            self.is_open, self.worst, self.raised = True, -1, 0
            self.lives += 1

    def person_does(self, action: str, until_ns: int | None) -> bool:
        """Whether the action is taken."""
        if action in SILENCE:
            stronger = STRENGTH.index(action) > STRENGTH.index(self.silence)
            if not stronger and not action == self.silence == "shelve":
                return False
            self.begin()
            self.silence, self.until_ns = action, until_ns
            return True
        if not self.is_open:
            return False
        if action == "ack":
            taken, self.owes_acknowledgement = self.owes_acknowledgement, False
        elif action == "reset":
            taken = self.owes_reset and self.level == -1
            self.owes_reset &= not taken
        else:
            taken = bool(self.silence) and SILENCE[self.silence][0] == action
            if taken:
                self.silence, self.until_ns = "", None
                self.owes_acknowledgement &= self.level > -1 or self.owes_reset
        self.go_if_nothing_is_owed()
        return taken

    def go_if_nothing_is_owed(self) -> None:
        if self.level == -1 and not (self.owes_acknowledgement or self.owes_reset or self.silence):
            self.is_open = False

    def state(self) -> str:
        if not self.is_open:
            return "NORMAL"
        if self.silence:
            return SILENCE[self.silence][1]
        owing = "UNACK" if self.owes_acknowledgement else "ACK"
        if self.level > -1:
            return f"{owing}_ALARM"
        return f"LATCH_{owing}" if self.owes_reset else f"RTN_{owing}"


class Desk:
    """Keeps one point's alarms the way the store does, and notes all that happened and what people were told."""

    def __init__(self) -> None:
        self.alarm: Alarm | None = None
        self.alarms: dict[str, Alarm] = {}
        self.events: list[AlarmEvent] = []
        self.told: dict[str, list[AlarmEvent]] = {}
        self.steps: list[tuple[Change | Action, int]] = []

    def take(self, step: Change | Action, now_ns: int) -> bool:
        """A change or an action; whether it was taken."""
        self.steps.append((step, now_ns))
        before = self.alarm if self.alarm and not is_over(self.alarm) else None
        if isinstance(step, Change):
            came, events = after_change(before, "engines", step, now_ns)
        else:
            taken = after_action(before, step, now_ns) if before else inhibited("engines", *POINT, step, now_ns)
            if isinstance(taken, Refusal):
                return False
            came, events = taken
        self.events += events
        if came is not None:
            self.alarm = self.alarms[came.alarm_id] = came
            self.told.setdefault(came.alarm_id, []).extend(one for one in events if tells(one, before))
        return True

    def notices(self) -> int:
        """How often people were told something."""
        return sum(map(len, self.told.values()))


class AlarmLife(RuleBasedStateMachine):
    """Rows, people and the wall clock in any order."""

    @initialize(latching=st.booleans())
    def begin(self, latching: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        self.desk, self.model = Desk(), Model(latching)
        self.about = About(latch=latching)
        self.held: dict[Point, Condition] = {}
        self.findings: list[Finding] = []
        self.at_ns, self.now_ns = 0, 10**18
        self.asked = 0

    @rule(severity=severities, seconds=st.integers(1, 5))
    def rows(self, severity: str | None, seconds: int) -> None:
        """A detector says how it stands."""
        self.at_ns += seconds * 10**9
        found = Finding(*POINT, self.at_ns, severity, value=1.0, message=str(self.at_ns))
        self.findings.append(found)
        owed, worst, heard = self.model.owes_acknowledgement, self.model.worst, self.desk.notices()
        for change in after(self.held, [found], self.about):
            self.desk.take(change, self.now_ns)
        self.model.rows_say(-1 if severity is None else SEVERITIES.index(severity))
        if self.model.state() == "UNACK_ALARM" and (not owed or self.model.worst > worst):
            assert self.desk.notices() == heard + 1, "somebody has to take note, and does not know"

    @rule(
        what=st.sampled_from([*get_args(ActionName), "ack", "ack", "unshelve", "unsuppress", "return"]),
        minutes=st.integers(1, 3),
        who=st.sampled_from(["mia", "leo"]),
    )
    def person(self, what: Any, minutes: int, who: str) -> None:
        """Somebody does something, well said."""
        self.asked, self.now_ns = self.asked + 1, self.now_ns + 1
        until_ns = self.now_ns + minutes * 60 * 10**9 if what == "shelve" else None
        action = Action(f"{self.asked}", "", what, who, "because", self.now_ns, until_ns)
        assert self.desk.take(action, self.now_ns) == self.model.person_does(what, until_ns)

    @rule(what=st.sampled_from([*SILENCE]), minutes=st.integers(-1, 1))
    def person_without_a_reason(self, what: Any, minutes: int) -> None:
        """Silence without a reason, or a shelve that is past, changes nothing."""
        alarm, events = self.desk.alarm, len(self.desk.events)
        until_ns = self.now_ns + minutes * 60 * 10**9
        comment = "because" if what == "shelve" and minutes < 1 else ""
        assert not self.desk.take(Action("x", "", what, "leo", comment, self.now_ns, until_ns), self.now_ns)
        assert (self.desk.alarm, len(self.desk.events)) == (alarm, events)

    @rule(seconds=st.integers(1, 150))
    def time_passes(self, seconds: int) -> None:
        """The wall clock is looked at, and ends what has to end: then, and not earlier."""
        self.now_ns += seconds * 10**9
        end = expired(self.desk.alarm, self.now_ns) if self.desk.alarm else None
        due = self.model.until_ns is not None and self.model.until_ns <= self.now_ns
        assert (end is not None) == due
        if end is not None:
            assert self.desk.take(end, self.now_ns)
            assert self.model.person_does("unshelve", None)

    @invariant()
    def the_alarm_is_that_of_the_model(self) -> None:
        """State, severity, count and number of lives."""
        if not hasattr(self, "desk"):
            return
        alarm, model = self.desk.alarm, self.model
        assert len(self.desk.alarms) == model.lives
        if alarm is None:
            assert model.lives == 0
            return
        assert state_of(alarm) == model.state()
        assert is_over(alarm) == (not model.is_open)
        assert (alarm.acknowledged, alarm.latched) == (not model.owes_acknowledgement, model.owes_reset)
        assert alarm.count == model.raised
        assert alarm.severity == SEVERITIES[max(model.worst, 0)]
        assert alarm.inhibited_until_ns == model.until_ns
        assert self.desk.events[-1].state == model.state()

    @invariant()
    def the_alarm_follows_its_condition(self) -> None:
        """Whatever people did, it is active exactly while its condition holds."""
        if hasattr(self, "desk") and self.desk.alarm is not None and self.held:
            assert self.desk.alarm.active == (self.held[POINT].level is not None)

    @invariant()
    def what_people_were_told_last_is_true(self) -> None:
        """An alarm that waits for somebody was told of and not taken back; one that was told of is told to be over."""
        if not hasattr(self, "desk") or self.desk.alarm is None:
            return
        heard = [one.what for one in self.desk.told[self.desk.alarm.alarm_id]]
        assert all(
            one.state not in {name for _, name in SILENCE.values()} for told in self.desk.told.values() for one in told
        )
        if self.model.state() == "UNACK_ALARM":
            assert heard
            assert heard[-1] not in ("RTN", "CLEARED")
        if not self.model.is_open and heard:
            assert heard[-1] == "CLEARED"

    def teardown(self) -> None:
        """The same again gives the same alarms, names and events; without people the same conditions."""
        if not hasattr(self, "desk"):
            return
        again = Desk()
        for step, now_ns in self.desk.steps:
            again.take(step, now_ns)
        assert (again.alarms, again.events, again.told) == (self.desk.alarms, self.desk.events, self.desk.told)
        alone: dict[Point, Condition] = {}
        changes = after(alone, self.findings, self.about)
        assert alone == self.held
        assert changes == [step for step, _ in self.desk.steps if isinstance(step, Change)]


AlarmLife.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestAlarmLife = AlarmLife.TestCase


@given(latching=st.booleans(), times=st.integers(1, 1_000), levels=st.lists(st.sampled_from(SEVERITIES), min_size=1))
@example(latching=False, times=1_000, levels=["warning"])
@settings(max_examples=20)
def test_chatter_is_one_alarm(latching: bool, times: int, levels: list[str]) -> None:  # noqa: FBT001 - Hypothesis names it
    """However often it comes and goes unacknowledged: one alarm, told of a handful of times, and counted."""
    desk, held = Desk(), dict[Point, Condition]()
    for number in range(times):
        severity = levels[number % len(levels)]
        for at_ns, level in ((2 * number, severity), (2 * number + 1, None)):
            for change in after(held, [Finding(*POINT, at_ns, level)], About(latch=latching)):
                desk.take(change, 10**18)
    (alarm,) = desk.alarms.values()
    assert (alarm.count, alarm.raised_at_ns) == (times, 0)
    assert len(desk.told[alarm.alarm_id]) <= 3 + len(SEVERITIES) - 1
