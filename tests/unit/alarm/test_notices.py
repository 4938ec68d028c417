"""Who is told of what: routes, the horizon, windows, and what a notice says."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.alarm.model import Alarm, AlarmEvent, EventName
from hotfire.alarm.notices import (
    PAGE_HORIZON_NS,
    TOLD,
    Happened,
    Maintenance,
    Route,
    Routing,
    instant,
    notices,
)
from hotfire.clock import iso
from hotfire.findings import SEVERITIES, About

AT_NS = 1_780_272_000_000_000_000
"""2026-06-01T00:00:00Z"""
MIN_NS = 60_000_000_000
ALARM = Alarm(
    alarm_id="a1",
    stream="engine_telemetry",
    rule="chamber_pressure.limit",
    asset="TRE-003",
    channel="chamber_pressure",
    severity="critical",
    raised_at_ns=AT_NS,
    opened_at_ns=AT_NS + 1_000_000_000,
    value=310.25,
    limit=300.0,
    message="chamber pressure 310.25 above 300 bar",
    about=About(runbook="https://wiki.example/pressure", owner="propulsion"),
)
EVERY: tuple[EventName, ...] = get_args(EventName)
ALL = Routing("engines", (Route("ops", what=EVERY),))


def event(what: EventName = "TRIGGERED", **changes: Any) -> AlarmEvent:
    plain = AlarmEvent("a1", what, AT_NS, AT_NS + 1_000_000_000, "hotfire", "", "critical", "UNACK_ALARM")
    return replace(plain, **changes)


def happened(what: EventName = "TRIGGERED", alarm: Alarm = ALARM, **changes: Any) -> Happened:
    of_event = {name: changes.pop(name) for name in ("at_ns", "state", "who", "comment") if name in changes}
    known = {"number": 1, "received_at_ns": AT_NS + 1_000_000_000, **changes}
    return Happened(event(what, **of_event), alarm, **known)


def told(one: Happened, routing: Routing = ALL) -> list[str]:
    return [notice.target for notice in notices(one, routing)]


def test_a_notice_is_a_cloud_event() -> None:
    """All that the specification asks for, and the alarm under the names of `hotfire alarm list --json`."""
    (notice,) = notices(happened(who="mia", comment="looking"), replace(ALL, workspace="my engines/1"))
    assert json.loads(notice.body) == {
        "specversion": "1.0",
        "id": notice.key,
        "source": "/hotfire/my%20engines%2F1/engine_telemetry",
        "type": "hotfire.alarm.triggered",
        "time": "2026-06-01T00:00:00Z",
        "subject": "TRE-003",
        "datacontenttype": "application/json",
        "data": {
            "alarm_id": "a1",
            "stream": "engine_telemetry",
            "rule": "chamber_pressure.limit",
            "asset": "TRE-003",
            "channel": "chamber_pressure",
            "state": "UNACK_ALARM",
            "severity": "critical",
            "raised_at": "2026-06-01T00:00:00Z",
            "returned_at": None,
            "value": 310.25,
            "limit": 300.0,
            "message": "chamber pressure 310.25 above 300 bar",
            "runbook": "https://wiki.example/pressure",
            "owner": "propulsion",
            "who": "mia",
            "comment": "looking",
        },
    }
    assert (notice.target, notice.alarm_id, notice.what, notice.severity) == ("ops", "a1", "TRIGGERED", "critical")
    assert notice.created_at_ns == AT_NS + 1_000_000_000


def test_the_key_belongs_to_event_and_target() -> None:
    """The same event and target give the same key, whenever it is made; each other one another."""
    routing = Routing("engines", (Route("ops"), Route("lab")))
    one = happened()
    again = replace(one, event=replace(one.event, recorded_at_ns=AT_NS + MIN_NS), received_at_ns=AT_NS + MIN_NS)
    first, second = ([notice.key for notice in notices(each, routing)] for each in (one, again))
    others = [
        notice.key
        for each in (
            replace(one, number=2),
            happened("SEVERITY_INCREASED"),
            happened(alarm=replace(ALARM, alarm_id="a2")),
        )
        for notice in notices(each, routing)
    ]
    assert first == second
    assert len({*first, *others}) == 8


@pytest.mark.parametrize(
    ("route", "matches"),
    [
        (Route("r"), True),
        (Route("r", min_severity="critical"), True),
        (Route("r", min_severity="severe"), False),
        (Route("r", streams=("dyno", "engine_*")), True),
        (Route("r", streams=("dyno",)), False),
        (Route("r", assets=("TRE-00[1-3]",)), True),
        (Route("r", assets=("tre-003",)), False),
        (Route("r", rules=("*.limit",)), True),
        (Route("r", rules=("*.stuck",)), False),
        (Route("r", what=("CLEARED",)), False),
        (Route("r", streams=()), False),
    ],
)
def test_a_route_is_a_filter(route: Route, matches: bool) -> None:  # noqa: FBT001 - a column of the table
    """By severity, stream, asset, rule and event; capitals count."""
    assert told(happened(), Routing("w", (route,))) == (["r"] if matches else [])


def test_severities_have_an_order() -> None:
    """A route is told of its least severity and of every worse one."""
    for least in SEVERITIES:
        heard = [one for one in SEVERITIES if told(happened(alarm=replace(ALARM, severity=one)), _from(least))]
        assert heard == list(SEVERITIES[SEVERITIES.index(least) :])


def _from(least: str) -> Routing:
    return Routing("w", (Route("r", min_severity=least),))


def test_the_past_pages_no_one() -> None:
    """What was received more than the horizon after it happened is told to nobody; up to it, everybody is."""
    for what in ("TRIGGERED", "SEVERITY_INCREASED", "CLEARED"):
        late = happened(what, received_at_ns=AT_NS + PAGE_HORIZON_NS + 1, told=("ops",))
        assert told(late) == []
        assert told(replace(late, received_at_ns=AT_NS + PAGE_HORIZON_NS)) == ["ops"]
        assert told(late, replace(ALL, page_horizon_ns=PAGE_HORIZON_NS + 1)) == ["ops"]


def test_actions_on_an_alarm_of_the_past_page_no_one() -> None:
    """Acknowledging what a backfill raised tells nobody, though it happens now; a silence noticed late does."""
    past = replace(ALARM, opened_at_ns=AT_NS + 100 * PAGE_HORIZON_NS)
    assert told(happened("CLEARED", past, at_ns=None, told=("ops",))) == []
    assert told(happened("UNSHELVED", past, at_ns=None)) == []
    assert told(happened("CLEARED", at_ns=None, told=("ops",))) == ["ops"]
    assert told(happened("TRIGGERED", past, at_ns=None)) == ["ops"]


@pytest.mark.parametrize("state", ["SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"])
def test_an_inhibited_alarm_is_silent(state: str) -> None:
    """Whatever happens to it, but for being inhibited itself."""
    inhibiting = {"SHELVED", "SUPPRESSED", "OUT_OF_SERVICE"}
    heard = {what for what in EVERY if told(happened(what, state=state, told=("ops",)))}
    assert heard == inhibiting


@pytest.mark.parametrize("what", ["UNSHELVED", "UNSUPPRESSED", "RETURNED_TO_SERVICE"])
def test_an_alarm_that_is_heard_again(what: EventName) -> None:
    """People are told when what was inhibited is still there, unless it has returned or somebody knows of it."""
    routing = Routing("w", (Route("ops"),))
    assert told(happened(what, at_ns=None), routing) == ["ops"]
    assert told(happened(what, replace(ALARM, active=False), at_ns=None), routing) == []
    assert told(happened(what, replace(ALARM, acknowledged=True), at_ns=None), routing) == []


def test_the_end_is_told_to_those_who_heard_the_beginning() -> None:
    """Who was never told of an alarm is not told that it is over, whatever else would match."""
    routing = Routing("w", (Route("ops"), Route("lab", min_severity="severe")))
    assert told(happened("CLEARED"), routing) == []
    assert told(happened("CLEARED", told={"ops"}), routing) == ["ops"]
    assert told(happened("CLEARED", told={"lab", "ops"}), routing) == ["ops", "lab"]


@pytest.mark.parametrize(
    ("window", "silent"),
    [
        (Maintenance(AT_NS, AT_NS + 1), True),
        (Maintenance(AT_NS + 1, AT_NS + MIN_NS), False),
        (Maintenance(AT_NS - MIN_NS, AT_NS), False),
        (Maintenance(AT_NS, AT_NS + 1, streams=("engine_*",), assets=("TRE-001", "TRE-003")), True),
        (Maintenance(AT_NS, AT_NS + 1, streams=("dyno",)), False),
        (Maintenance(AT_NS, AT_NS + 1, assets=("TRE-004",)), False),
    ],
)
def test_a_maintenance_window_is_silent(window: Maintenance, silent: bool) -> None:  # noqa: FBT001 - a column of the table
    """From its first instant to before its last, by the event's own time, for its streams and assets."""
    assert told(happened(), replace(ALL, maintenance=(window,))) == ([] if silent else ["ops"])


def test_what_people_do_in_a_window_goes_by_the_wall_clock() -> None:
    """An action has no event time: it happens when it is recorded."""
    acted = happened("CLEARED", at_ns=None, told=("ops",))
    window = Maintenance(AT_NS + 1_000_000_000, AT_NS + MIN_NS)
    assert told(acted, replace(ALL, maintenance=(window,))) == []
    assert told(acted, replace(ALL, maintenance=(replace(window, until_ns=AT_NS + 1_000_000_000),))) == ["ops"]


def test_the_defaults_are_the_events_that_call_for_somebody() -> None:
    """Acknowledgements, shelves and the like are told only where a route names them."""
    assert set(EVERY) - set(TOLD) == {"RTN", "ACKNOWLEDGED", "SHELVED", "SUPPRESSED", "OUT_OF_SERVICE", "RESET"}


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_instants_are_written_as_everywhere(at_ns: int) -> None:
    """As `clock.iso` writes them, which what is pure may not import."""
    assert instant(at_ns) == iso(at_ns)
