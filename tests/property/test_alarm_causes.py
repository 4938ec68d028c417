"""The store finds causes and alarms without going through all that are open: as if it did."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.alarm.life import after_change, is_over
from hotfire.alarm.model import Alarm
from hotfire.alarm.news import cause_of, tells, untold
from hotfire.alarm.notices import Routing
from hotfire.findings import About, Change, Condition
from hotfire.store.alarms import follow
from hotfire.store.sqlite import SqliteStore
from hotfire.store.sqlite_connection import SqliteConnection
from hotfire.testing.clocks import ManualClock
from hotfire.testing.stand import scratch

STREAM, S = "s", 10**9
RULES = {"hot": "limit", "gone": "no_data", "mute": "no_data"}

changes = st.lists(
    st.tuples(
        st.sampled_from(["a", "a", "b"]),
        st.sampled_from([("hot", "x"), ("hot", "y"), ("gone", ""), ("mute", "x")]),
        st.sampled_from(["raised", "raised", "returned"]),
        st.sampled_from(["watch", "critical"]),
        st.sampled_from([0, 30, 60, 60, 61, 700]),
    ),
    min_size=5,
    max_size=30,
)


def made(drawn: Iterable[tuple[str, tuple[str, str], str, str, int]]) -> list[Change]:
    """Changes of conditions, in order of time."""
    found, at_s = [], 0
    for asset, (rule, channel), what, severity, later_s in drawn:
        at_s += later_s
        level = severity if what == "raised" else None
        one = Condition(rule, asset, channel, 1, level, severity, at_s * S, None if level else at_s * S)
        found.append(Change(what, at_s * S, one, About(detector=RULES[rule])))  # type: ignore[arg-type]
    return found


def plainly(some: Iterable[Change], now_ns: int) -> dict[str, Alarm]:
    """What becomes of alarms, each time by a look at every one of them."""
    alarms: dict[str, Alarm] = {}
    for change in some:
        one = change.condition
        are_open = [alarm for alarm in alarms.values() if not is_over(alarm)]
        own = [each for each in are_open if (each.rule, each.asset, each.channel) == (one.rule, one.asset, one.channel)]
        before = max(own, key=lambda each: (each.raised_at_ns or 0, each.alarm_id), default=None)
        after, events = after_change(before, STREAM, change, now_ns)
        if after is None or not (events or after is not before):
            continue
        known = before if before is not None and before.alarm_id == after.alarm_id else None
        for event in events:
            cause = cause_of(event, after, sorted(are_open, key=lambda each: each.alarm_id))
            if tells(event, known) and cause is not None:
                after = untold(after, known, cause)
        alarms[after.alarm_id] = after
    return alarms


@settings(max_examples=60, deadline=None)
@given(drawn=changes, cut=st.integers(0, 40))
def test_causes_are_as_if_every_alarm_was_looked_at(
    drawn: list[tuple[str, tuple[str, str], str, str, int]], cut: int
) -> None:
    """In one batch or two: the same alarms, with the same causes."""
    some, clock = made(drawn), ManualClock()
    with scratch() as folder, closing(SqliteStore(folder / "hotfire.db", clock)) as store:
        with closing(SqliteConnection(store.path)) as connection:
            for part in (some[:cut], some[cut:]):
                follow(connection, STREAM, part, Routing("", ()), (clock.now_ns(), clock.now_ns()))
                connection.commit()
        found = store.table("hf_alarm", ["alarm_id"])
        assert found is not None
        assert store.alarms.known(found["alarm_id"].to_list()) == plainly(some, clock.now_ns())
