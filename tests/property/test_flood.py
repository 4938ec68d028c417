"""Laws of floods: whatever is pending, no notice is lost, none is told twice, and there is an end to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotfire.alarm.flood import AT_MOST, WINDOW_NS, Pending, Sent, digested
from hotfire.alarm.notices import Notice, envelope
from hotfire.findings import SEVERITIES
from hotfire.testing.outbox import ListOutbox

NOW_NS = 1_780_315_440_000_000_000
SECOND_NS = 1_000_000_000

severities = st.sampled_from(SEVERITIES)
arrivals = st.lists(st.tuples(st.integers(0, 3600), severities), max_size=80)
history = st.lists(
    st.builds(
        Sent, st.text("abc", min_size=1, max_size=2), st.integers(-1500, 1500), severities, summary=st.booleans()
    ),
    max_size=30,
)


def notice(number: int, created_s: int, severity: str) -> Notice:
    data = {"alarm_id": f"a{number // 2}", "rule": f"r{number % 3}", "asset": "x", "severity": severity}
    body = envelope(f"k{number}", f"/w/{number % 2}", "TRIGGERED", "2026-06-01T00:00:00Z", data)
    return Notice(f"k{number}", "ops", f"a{number // 2}", "TRIGGERED", severity, body, NOW_NS + created_s * SECOND_NS)


@given(arrivals, history, st.integers(0, 4000))
def test_in_one_pass_no_notice_is_told_twice(arrived: list[tuple[int, str]], recent: list[Sent], after_s: int) -> None:
    """What is sent is pending, each key in one thing at most; what is not sent was held back by a flood."""
    pending = [Pending(notice(number, *one)) for number, one in enumerate(arrived)]
    told = [Sent(one.key, NOW_NS + one.at_ns * SECOND_NS, one.severity, one.summary) for one in recent]
    found = digested(pending, told, NOW_NS + after_s * SECOND_NS)
    covered = [key for one in found for key in one.covers]
    keys = {one.notice.key for one in pending}
    assert len(covered) == len(set(covered))
    assert set(covered) <= keys
    assert set(covered) == keys or len(pending) + len(told) > AT_MOST
    assert all(one.notice.key in one.covers or one.notice.what == "SUMMARY" for one in found)


@given(arrivals)
def test_every_notice_is_told_once_and_no_target_is_flooded(arrived: list[tuple[int, str]]) -> None:
    """Looked at every second, all are told in the end; never more than 10, a worse one and a summary in 10 minutes."""
    notices = [notice(number, *one) for number, one in enumerate(arrived)]
    outbox, sent, now_ns = ListOutbox(), list[tuple[int, bool]](), NOW_NS
    covered: list[str] = []
    due = sorted(notices, key=lambda one: one.created_at_ns)
    while due or outbox.pending("ops", now_ns, 1):
        while due and due[0].created_at_ns <= now_ns:
            outbox.put([due.pop(0)])
        recent = outbox.sent("ops", now_ns - WINDOW_NS)
        for one in digested(outbox.pending("ops", now_ns, 1000), recent, now_ns):
            outbox.done(one.covers, one.notice.key, now_ns)
            sent.append((now_ns, one.notice.what == "SUMMARY"))
            covered += one.covers
        now_ns += 10 * SECOND_NS
        assert now_ns < NOW_NS + 7200 * SECOND_NS
    assert sorted(covered) == sorted(one.key for one in notices)
    for at_ns, _ in sent:
        window = [summary for other_ns, summary in sent if at_ns <= other_ns < at_ns + WINDOW_NS]
        assert window.count(True) <= 1
        assert window.count(False) <= AT_MOST + len(SEVERITIES) - 1
