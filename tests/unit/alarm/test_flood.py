"""Many notices to one target: ten, and a summary."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from hotfire.alarm.flood import GATHER_NS, WINDOW_NS, Pending, Sent, digested
from hotfire.alarm.notices import Notice, envelope

NOW_NS = 1_780_315_440_000_000_000
"""2026-06-01T12:04:00Z"""
LATER_NS = NOW_NS + GATHER_NS


def notice(
    number: int, severity: str = "warning", rule: str = "pressure.limit", what: str = "TRIGGERED", source: str = "/w/s"
) -> Notice:
    data = {"alarm_id": f"a{number}", "rule": rule, "asset": f"TRE-{number % 3}", "severity": severity}
    key = f"k{number:04d}{what}"
    body = envelope(key, source, what, "2026-06-01T12:04:00Z", data)
    return Notice(key, "ops", f"a{number}", what, severity, body, NOW_NS + number)


def pending(count: int, first: int = 0) -> list[Pending]:
    return [Pending(notice(number)) for number in range(first, first + count)]


def sent(count: int, at_ns: int = NOW_NS, severity: str = "warning") -> list[Sent]:
    return [Sent(f"s{number}", at_ns, severity, summary=False) for number in range(count)]


def test_a_few_go_one_by_one() -> None:
    """Up to ten, in the order in which they were made, each under its own key."""
    found = digested(list(reversed(pending(10))), [], NOW_NS)
    assert [one.notice for one in found] == [one.notice for one in pending(10)]
    assert [one.covers for one in found] == [(one.notice.key,) for one in found]


def test_the_rest_of_a_flood_goes_in_one_summary() -> None:
    """Of 47 ten go by themselves at once, and 37 together once others had time to join them."""
    flood = [*pending(40), *(Pending(notice(number, rule="flow.stuck")) for number in range(40, 47))]
    first = digested(flood, [], NOW_NS + 100)
    assert [len(one.covers) for one in first] == [1] * 10
    left = flood[10:]
    assert digested(left, sent(10), NOW_NS + GATHER_NS - 1) == []
    (summary,) = digested(left, sent(10), LATER_NS + 10)
    assert summary.covers == tuple(one.notice.key for one in left)
    data = json.loads(summary.notice.body)["data"]
    assert data["message"] == "37 more alarms since 2026-06-01 12:04 UTC: 30 x pressure.limit, 7 x flow.stuck"
    assert (data["notices"], data["alarms"], data["events"]) == (37, 37, {"TRIGGERED": 37})
    assert data["rules"] == {"pressure.limit": 30, "flow.stuck": 7}
    assert sum(data["assets"].values()) == 37
    assert len(data["alarm_ids"]) == 37


def test_a_summary_is_a_cloud_event_of_its_own() -> None:
    """From the stream of all, or from the workspace; never from none; the same key for the same notices."""
    left = pending(3)
    (summary,) = digested(left, sent(10), LATER_NS + 10)
    event = json.loads(summary.notice.body)
    assert (event["source"], event["type"], event["id"]) == ("/w/s", "hotfire.alarm.summary", summary.notice.key)
    (again,) = digested(list(reversed(left)), sent(10), LATER_NS + 99)
    assert again == summary
    mixed = [*left, Pending(notice(9, source="/w/t"))]
    (other,) = digested(mixed, sent(10), LATER_NS + 10)
    assert json.loads(other.notice.body)["source"] == "/w"
    assert other.notice.key != summary.notice.key


def test_an_alarm_counts_once() -> None:
    """Raised and cleared within the same flood it is one alarm and two notices."""
    left = [Pending(notice(1)), Pending(notice(1, what="CLEARED"))]
    (summary,) = digested(left, sent(10), LATER_NS + 10)
    data = json.loads(summary.notice.body)["data"]
    assert data["message"] == "1 more alarm since 2026-06-01 12:04 UTC: 1 x pressure.limit"
    assert (data["notices"], data["events"]) == (2, {"TRIGGERED": 1, "CLEARED": 1})


def test_there_is_one_summary_in_ten_minutes() -> None:
    """While the flood goes on the rest waits; when the window is over, single notices have room again, too."""
    summary = Sent("sum", NOW_NS, "warning", summary=True)
    left = pending(30)
    assert digested(left, [*sent(10), summary], NOW_NS + WINDOW_NS - 1) == []
    assert [len(one.covers) for one in digested(left, [*sent(10), summary], NOW_NS + WINDOW_NS)] == [1] * 10 + [20]


def test_the_worst_go_first() -> None:
    """Where not all have room, severity decides, and then age."""
    mixed = [*pending(20), Pending(notice(30, "severe")), Pending(notice(31, "critical"))]
    alone = [one.notice.alarm_id for one in digested(mixed, [], NOW_NS) if len(one.covers) == 1]
    assert alone == [*(f"a{number}" for number in range(8)), "a30", "a31"]


def test_worse_than_anything_told_never_waits() -> None:
    """A flood of warnings does not hide the first critical alarm; the second one belongs to the flood."""
    left = [*pending(3), Pending(notice(7, "critical")), Pending(notice(8, "critical"))]
    (first,) = digested(left, sent(10), NOW_NS + 10)
    assert first.covers == (notice(7, "critical").key,)
    told = [*sent(10), Sent("c", NOW_NS, "critical", summary=False)]
    assert digested([one for one in left if one.notice.key not in first.covers], told, NOW_NS + 10) == []


@pytest.mark.parametrize("at_ns", [NOW_NS - WINDOW_NS, NOW_NS + 1])
def test_a_clock_that_was_set_back_holds_nothing_up(at_ns: int) -> None:
    """What was sent long ago, or in a future that has been taken back, takes no room."""
    assert len(digested(pending(10), sent(10, at_ns), NOW_NS)) == 10
    future = [replace(one, notice=replace(one.notice, created_at_ns=NOW_NS + WINDOW_NS)) for one in pending(3)]
    assert [len(one.covers) for one in digested(future, sent(10), NOW_NS)] == [3]


def test_tries_are_those_of_the_worst() -> None:
    """A summary waits as long as the notice in it that failed most often."""
    left = [replace(one, tries=number) for number, one in enumerate(pending(3))]
    assert [one.tries for one in digested(left, [], NOW_NS)] == [0, 1, 2]
    assert [one.tries for one in digested(left, sent(10), LATER_NS + 10)] == [2]


def test_many_rules_are_counted_and_not_all_named() -> None:
    """The sentence stays one that can be read."""
    left = [Pending(notice(number, rule=f"r{number:02d}")) for number in range(12)]
    (summary,) = digested(left, sent(10), LATER_NS + 100)
    message = json.loads(summary.notice.body)["data"]["message"]
    assert message.endswith("1 x r07 and 4 more rules")
