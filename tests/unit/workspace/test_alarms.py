"""Alarms as people ask for them: in order, by what they are called, with what others did; and what they do about them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from hotfire.clock import iso
from hotfire.errors import UserError
from hotfire.findings import About, Change, Condition
from hotfire.testing.clocks import ManualClock
from hotfire.workspace.alarm_actions import WAIT_S, Came, Meant, Wish, act, called, meant, person, unacknowledged
from hotfire.workspace.alarms import Listed, by_id, document, listed, shown, whole_document
from hotfire.workspace.settings import load
from hotfire.workspace.templates import create
from hotfire.workspace.wiring import Workspace

STREAM = "engine_telemetry"
S = 10**9
_numbers = count()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def workspace(tmp_path: Path, clock: ManualClock) -> Iterator[Workspace]:
    """A stand without rows."""
    create("engines", tmp_path / "ws")
    with Workspace(load(tmp_path / "ws", {}, {}), clock) as opened:
        opened.store.own()
        yield opened


def point(asset: str = "TRE-001", rule: str = "hot", channel: str = "") -> tuple[str, str, str]:
    return rule, asset, channel


def happens(
    workspace: Workspace,
    at_s: int,
    of: tuple[str, str, str] = ("hot", "TRE-001", ""),
    severity: str = "warning",
    *,
    what: str = "raised",
    since_s: int | None = None,
) -> None:
    """A condition changes at an event time; no row says so."""
    raised_ns, at_ns = S * (at_s if since_s is None else since_s), S * at_s
    level = None if what == "returned" else severity
    one = Condition(*of, 1, level, severity, raised_ns, at_ns if level is None else None, 1.5, 1.0, "!")
    change = Change(what, at_ns, one, About(runbook="https://wiki.example", owner="mia"))  # type: ignore[arg-type]
    workspace.store.alarms.observe(STREAM, f"{next(_numbers)}", change)
    workspace.store.act(STREAM)


def alarms(workspace: Workspace, *, over: bool = False) -> list[Listed]:
    return listed(workspace, [STREAM], over=over)


def done(workspace: Workspace, name: str, what: str, **more: object) -> Came:
    """What came of one action."""
    (came,) = act(workspace, [meant(workspace, name)], Wish(what, "mia", "because", **more))  # type: ignore[arg-type]
    return came


def test_the_worst_come_first_and_then_the_oldest(workspace: Workspace) -> None:
    """By severity, then by when they were raised; what never was comes last of its severity."""
    happens(workspace, 30, point("a"))
    happens(workspace, 20, point("b"), "critical")
    happens(workspace, 10, point("c"))
    happens(workspace, 40, point("d"), "severe")
    happens(workspace, 50, point("e"), "watch")
    act(workspace, [Meant(STREAM, ("hot", "f", ""), by_point=True)], Wish("suppress", "mia", "x"))
    assert [one.alarm.asset for one in alarms(workspace)] == ["d", "b", "c", "a", "e", "f"]


def test_those_that_are_over_are_listed_on_demand(workspace: Workspace) -> None:
    """Returned and acknowledged; with all that there is to know, and no note that does not hold any more."""
    happens(workspace, 10)
    done(workspace, "hot@TRE-001", "ack")
    happens(workspace, 20, what="returned", since_s=10)
    assert alarms(workspace) == []
    (over,) = alarms(workspace, over=True)
    assert (over.state, over.is_open) == ("NORMAL", False)
    assert over.acknowledgement is not None
    assert document(over) | {"alarm_id": "", "acknowledgement": {}} == {
        "alarm_id": "",
        "rule": "hot",
        "asset": "TRE-001",
        "channel": None,
        "state": "NORMAL",
        "severity": "warning",
        "raised_at": iso(10 * S),
        "returned_at": iso(20 * S),
        "value": 1.5,
        "message": "!",
        "stream": STREAM,
        "limit": 1.0,
        "active": False,
        "acknowledged": True,
        "latched": False,
        "count": 1,
        "cause": None,
        "runbook": "https://wiki.example",
        "owner": "mia",
        "acknowledgement": {},
        "inhibition": None,
    }


def test_an_acknowledgement_is_shown_as_long_as_it_holds(workspace: Workspace, clock: ManualClock) -> None:
    """Who it was, and when; not after the alarm became worse."""
    happens(workspace, 10)
    clock.sleep(5)
    done(workspace, "hot@TRE-001", "ack")
    (held,) = alarms(workspace)
    assert held.acknowledgement is not None
    note = held.acknowledgement
    assert (note.who, note.comment, note.at_ns) == ("mia", "because", clock.now_ns())
    happens(workspace, 20, severity="critical", what="worse", since_s=10)
    (worse,) = alarms(workspace)
    assert (worse.state, worse.acknowledgement) == ("UNACK_ALARM", None)


def test_silence_is_shown_with_its_end(workspace: Workspace, clock: ManualClock) -> None:
    """What, until when, by whom and why; it asks for no attention."""
    happens(workspace, 10)
    until_ns = clock.now_ns() + 60 * S
    came = done(workspace, "hot@TRE-001", "shelve", until_ns=until_ns)
    (one,) = alarms(workspace)
    assert (came.status, came.state, one.is_open) == ("done", "SHELVED", False)
    said = document(one)["inhibition"]
    assert said == {
        "by": "shelved",
        "until": iso(until_ns),
        "who": "mia",
        "at": iso(clock.now_ns()),
        "comment": "because",
    }


def test_one_alarm_with_everything_that_happened(workspace: Workspace) -> None:
    """Both times of each event, and what is asked for and not done yet."""
    happens(workspace, 10)
    with Workspace(workspace.settings, workspace.clock) as elsewhere:
        (came,) = act(elsewhere, [meant(elsewhere, "hot@TRE-001")], Wish("ack", "noa"))
        assert (came.status, came.state) == ("pending", "UNACK_ALARM")
    whole = whole_document(shown(workspace, called(workspace, "hot@TRE-001")))
    assert [(one["what"], one["at"], one["who"]) for one in whole["events"]] == [("TRIGGERED", iso(10 * S), "hotfire")]
    assert [(one["action"], one["who"]) for one in whole["asked"]] == [("ack", "noa")]
    assert workspace.store.act(STREAM) == 1
    assert whole_document(shown(workspace, called(workspace, "hot@TRE-001")))["asked"] == []


def test_an_owner_has_five_seconds(workspace: Workspace, clock: ManualClock) -> None:
    """Then the answer is that it was asked for; nothing is taken back."""
    happens(workspace, 10)
    with Workspace(workspace.settings, clock) as elsewhere:
        before_ns = clock.now_ns()
        act(elsewhere, [meant(elsewhere, "hot@TRE-001")], Wish("ack", "noa"))
    assert WAIT_S <= (clock.now_ns() - before_ns) / S < WAIT_S + 1


def test_an_id_may_be_as_short_as_it_is_the_only_one(workspace: Workspace) -> None:
    """One digit where there is one alarm; with more alarms as many as it takes."""
    happens(workspace, 10)
    (one,) = alarms(workspace)
    assert by_id(workspace, one.alarm.alarm_id[:1]) == one.alarm
    for number in range(20, 60):
        happens(workspace, number, point(f"asset {number}"))
    ids = [one.alarm.alarm_id for one in alarms(workspace)]
    shared = next(first for first in "0123456789abcdef" if sum(name.startswith(first) for name in ids) > 1)
    with pytest.raises(UserError, match=f"Several alarms begin with {shared}"):
        by_id(workspace, shared)
    for text in ("", "0123456789abc", "A", "%", "0' or 1"):
        with pytest.raises(UserError):
            by_id(workspace, text)
    assert [by_id(workspace, name).alarm_id for name in ids] == ids


@pytest.mark.parametrize("asset", ["TRE-001", "cell/3", "a@b", "x/hot", "10:30", "a b"])
def test_assets_may_be_called_as_they_like(workspace: Workspace, asset: str) -> None:
    """The first `@` ends the rule, and a `/` belongs to the asset where such an asset is there."""
    happens(workspace, 10, point(asset, channel="temperature"))
    happens(workspace, 10, point(f"{asset}2", channel="temperature"))
    for name in (f"hot@{asset}", f"hot@{asset}/temperature"):
        assert meant(workspace, name).point == ("hot", asset, "temperature")


def test_several_channels_have_to_be_told_apart(workspace: Workspace) -> None:
    """By the channel, or by the id."""
    happens(workspace, 10, point(channel="temperature"))
    happens(workspace, 20, point(channel="fuel_flow"))
    with pytest.raises(UserError, match="hot@TRE-001/fuel_flow, hot@TRE-001/temperature"):
        meant(workspace, "hot@TRE-001")
    assert meant(workspace, "hot@TRE-001/fuel_flow").point == ("hot", "TRE-001", "fuel_flow")


def test_the_newest_of_several_lives_is_meant(workspace: Workspace) -> None:
    """A condition that is raised long after the last one returned is another alarm beside it."""
    happens(workspace, 10)
    happens(workspace, 20, what="returned", since_s=10)
    happens(workspace, 5000)
    assert [one.state for one in alarms(workspace)] == ["RTN_UNACK", "UNACK_ALARM"]
    assert called(workspace, "hot@TRE-001").raised_at_ns == 5000 * S


def test_all_that_wait_for_somebody(workspace: Workspace) -> None:
    """Not acknowledged and not silent, of the rules and assets asked for."""
    for asset in ("a", "b", "c", "d"):
        happens(workspace, 10, point(asset))
    done(workspace, "hot@b", "ack")
    done(workspace, "hot@c", "suppress")
    happens(workspace, 10, point("a", "cold"))
    found = [one.point[:2] for one in unacknowledged(workspace, [STREAM], "*", "*")]
    assert sorted(found) == [("cold", "a"), ("hot", "a"), ("hot", "d")]
    assert [one.point[1] for one in unacknowledged(workspace, [STREAM], "h*", "[a-c]")] == ["a"]


def test_many_at_once_are_judged_one_by_one(workspace: Workspace) -> None:
    """Each has its own answer and its own event; what somebody else was quicker with is refused."""
    for number in range(40):
        happens(workspace, 10, point(f"asset {number:02}"))
    wanted = unacknowledged(workspace, [STREAM], "*", "*")
    quicker = done(workspace, "hot@asset 07", "ack").meant.alarm_id
    came = act(workspace, wanted, Wish("ack", "noa", "all of them"))
    assert [one.meant for one in came] == wanted
    assert {one.why for one in came} == {"", "It is acknowledged already."}
    assert [one.meant.alarm_id for one in came if one.status == "refused"] == [quicker]
    notes = {one.alarm.alarm_id: one.acknowledgement for one in alarms(workspace)}
    assert {one.alarm.alarm_id: one.state for one in came if one.alarm} == dict.fromkeys(notes, "ACK_ALARM")
    said = [(name == quicker, note.who, note.comment) for name, note in notes.items() if note]
    assert sorted(said) == [(False, "noa", "all of them")] * 39 + [(True, "mia", "because")]


def test_nothing_to_do_is_done(workspace: Workspace) -> None:
    """No alarm waits, and nothing is asked for."""
    assert act(workspace, [], Wish("ack", "noa")) == []


@pytest.mark.parametrize("what", ["ack", "shelve", "suppress", "reset", "out_of_service"])
def test_what_is_over_is_left_alone(workspace: Workspace, what: str) -> None:
    """Named by its id nothing is done to it, nor is another one begun in its place."""
    happens(workspace, 10)
    alarm_id = done(workspace, "hot@TRE-001", "ack").meant.alarm_id
    happens(workspace, 20, what="returned", since_s=10)
    until_ns = workspace.clock.now_ns() + S if what == "shelve" else None
    came = done(workspace, alarm_id, what, until_ns=until_ns)
    assert (came.status, came.state) == ("refused", "NORMAL")
    assert came.why.startswith("It is over")
    assert len(alarms(workspace, over=True)) == 1


def test_people_have_names() -> None:
    """Their own, or that of the user of the machine; never that of the program."""
    assert person("mia") == "mia"
    assert person(None)
    for name in ("", "  ", "hotfire"):
        with pytest.raises(UserError, match="name of a person"):
            person(name)
