"""Two accounts of the past become one that says at every instant what the account says that is in force there."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hotfire.alarm.splice import Entry, revised
from hotfire.findings import SEVERITIES, Condition

LAST = 60


@st.composite
def accounts(draw: st.DrawFn) -> list[Entry]:
    """Conditions of a few points; those of one point follow each other, and the last may be open."""
    entries = []
    for rule, shard in (("a", "live"), ("b", "live"), ("a", "backfill/1")):
        instants = sorted(draw(st.lists(st.integers(0, LAST), max_size=6, unique=True)))
        for number, at in enumerate(range(0, len(instants), 2), 1):
            returned = instants[at + 1] if at + 1 < len(instants) else None
            severity = draw(st.sampled_from(SEVERITIES))
            level = severity if returned is None else None
            one = Condition(rule, "A", "x", number, level, severity, instants[at], returned, float(at))
            entries.append(Entry(shard, number, one))
    return entries


def holding(entries: Sequence[Entry], point: tuple[str, ...], at: int) -> list[Condition]:
    return [
        one.condition
        for one in entries
        if one.point == point
        and one.condition.raised_at_ns <= at
        and (one.condition.returned_at_ns is None or at < one.condition.returned_at_ns)
    ]


bounds = st.none() | st.integers(0, LAST)


@given(accounts(), accounts(), bounds, bounds)
def test_each_instant_is_told_by_the_account_in_force(
    old: list[Entry], new: list[Entry], since: int | None, until: int | None
) -> None:
    """Whether a rule is true of an asset is what the new account says within the bounds, and the old one outside."""
    if since is not None and until is not None and since > until:
        since, until = until, since
    came = revised(old, new, since, until)
    for point in {one.point for one in (*old, *new)}:
        for at in range(LAST + 2):
            in_force = new if (since is None or since <= at) and (until is None or at < until) else old
            told, held = holding(in_force, point, at), holding(came, point, at)
            assert len(held) == len(told)
            if told:
                assert SEVERITIES.index(held[0].severity) >= SEVERITIES.index(told[0].severity)


@given(accounts(), accounts(), bounds, bounds)
def test_the_result_is_an_account(old: list[Entry], new: list[Entry], since: int | None, until: int | None) -> None:
    """Conditions of a point are numbered through and follow each other; what is open has a level, and nothing else has."""
    if since is not None and until is not None and since > until:
        since, until = until, since
    points: dict[tuple[str, ...], list[Condition]] = {}
    for one in revised(old, new, since, until):
        points.setdefault(one.point, []).append(one.condition)
    for own in points.values():
        assert [one.number for one in own] == list(range(1, len(own) + 1))
        assert all((one.level is None) == (one.returned_at_ns is not None) for one in own)
        ends = [one.returned_at_ns for one in own]
        assert all(end is not None and end <= after.raised_at_ns for end, after in zip(ends, own[1:], strict=False))


@given(accounts(), accounts())
def test_nothing_or_everything_is_taken_over(old: list[Entry], new: list[Entry]) -> None:
    """Without bounds the new account stands as it is; of an empty stretch, the old one."""
    assert sorted(revised(old, new, None, None), key=repr) == sorted(new, key=repr)
    assert sorted(revised(old, new, LAST + 1, LAST + 1), key=repr) == sorted(old, key=repr)


@given(accounts(), st.integers(0, LAST), st.integers(0, LAST))
def test_an_account_spliced_with_itself_is_itself(entries: list[Entry], since: int, until: int) -> None:
    """Where both say the same, every condition that is cut at an edge is made whole again."""
    assert sorted(revised(entries, entries, min(since, until), max(since, until)), key=repr) == sorted(
        entries, key=repr
    )
