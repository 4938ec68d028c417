"""Notices for people: in words, and as log lines."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from hotfire.alarm.flood import GATHER_NS, Pending, Sent, digested
from hotfire.alarm.model import Alarm, AlarmEvent
from hotfire.alarm.notices import Happened, Notice, Route, Routing, notices
from hotfire.findings import About
from hotfire.notify.log import LogNotifier
from hotfire.notify.words import in_words, redacted

AT_NS = 1_780_272_000_000_000_000
"""2026-06-01T00:00:00Z"""
PLAIN = Alarm("a1", "s", "stuck_valve", "TRE-003", "", "warning", AT_NS, AT_NS)
FULL = Alarm(
    *("a1", "s", "chamber_pressure.limit", "TRE-003", "chamber_pressure", "critical", AT_NS, AT_NS),
    returned_at_ns=AT_NS + 5_000_000_000,
    value=310.25,
    limit=300.0,
    message="chamber pressure 310.25 above 300 bar",
    about=About(runbook="https://wiki.example/p", owner="propulsion"),
)


def told(alarm: Alarm, comment: str = "") -> Notice:
    event = AlarmEvent("a1", "SEVERITY_INCREASED", AT_NS, AT_NS, "mia", comment, alarm.severity, "UNACK_ALARM")
    (notice,) = notices(Happened(event, alarm, 1, AT_NS), Routing("w", (Route("ops"),)))
    return notice


def test_a_notice_in_words() -> None:
    """The line to know it by, and below it whatever is known."""
    words = in_words(told(FULL, "looking"))
    assert words.title == "[critical] TRE-003 chamber_pressure.limit: severity increased"
    assert words.text.split("\n") == [
        "chamber pressure 310.25 above 300 bar",
        "chamber_pressure 310.25 (limit 300)",
        "raised 2026-06-01T00:00:00Z, returned 2026-06-01T00:00:05Z",
        "mia: looking",
        "runbook: https://wiki.example/p",
        "owner: propulsion",
        "alarm_id: a1",
    ]


def test_what_is_not_known_is_not_said() -> None:
    """No empty lines, no null."""
    assert in_words(told(PLAIN)).text.split("\n") == ["raised 2026-06-01T00:00:00Z", "alarm_id: a1"]


def test_a_summary_in_words() -> None:
    """How many, since when, and of which rules."""
    sent = [Sent(f"{number}", AT_NS, "critical", summary=False) for number in range(10)]
    (summary,) = digested([Pending(told(FULL))], sent, AT_NS + GATHER_NS)
    title = "[critical] 1 more alarm since 2026-06-01 00:00 UTC: 1 x chamber_pressure.limit"
    assert in_words(summary.notice).title == title
    assert "hotfire alarm list" in in_words(summary.notice).text


def test_a_log_line_has_every_field() -> None:
    """A JSON object a line, with the notice's key and all of the alarm."""
    lines = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(lines), [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
    )
    notice = told(FULL)
    notifier = LogNotifier(logger)
    notifier.send(notice)
    notifier.close()
    said = {"event": "alarm", "level": "warning", "notice": notice.key, "target": "ops", "what": "SEVERITY_INCREASED"}
    assert json.loads(lines.getvalue()) == {**json.loads(notice.body)["data"], **said}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot POST /services/T0KEN/pass%20word?key=abcd", "Cannot POST /***/***/***?key=***"),
        ("pass word is wrong for T0KEN/s", "*** is wrong for ***/s"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_addresses_are_not_repeated(text: str, shown: str) -> None:
    """Whatever part of an address a message repeats, written either way; parts too short to be secrets stay."""
    assert redacted(text, "/services/T0KEN/pass%20word?key=abcd") == shown
