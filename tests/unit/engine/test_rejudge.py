"""Revisions of the ledger of conditions: what is judged anew, what is taken over, and what has come since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.engine.feed import narrowed, of_past
from hotfire.engine.rejudge import Rejudged, entries, previous, reach_of, reach_text, rejudged
from hotfire.engine.rulesets import ruleset
from hotfire.rows import LIVE
from hotfire.store.operational import OperationalStore
from hotfire.store.revisions import Revision
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("x", "number"),
    ),
    asset="a",
    time="t",
    hash="1",
)
SECOND = 10**9
Told = tuple[str, str, int, int | None]


def rules(high: float, extra: str = "") -> str:
    lines = [
        "stream: s",
        "version: 1",
        "rules:",
        f"  - {{name: high, detector: expression, when: x > {high}, channel: x}}",
    ]
    return "\n".join([*lines, *([f"  - {{{extra}}}"] if extra else [])])


def rows(times: range, asset: str = "A") -> list[Any]:
    """A saw: 0 to 9 every ten seconds."""
    return [{"a": asset, "t": t, "x": t % 10} for t in times]


@pytest.fixture
def stand() -> Iterator[Stand]:
    with scratch() as folder:
        yield Stand(folder, CONTRACT, rules={"rules/a.yaml": rules(6)})


def anew(stand: Stand, text: str, since: int | None = None, until: int | None = None) -> Rejudged:
    """Judge a stand's past by other rules, and write that down."""
    own = ruleset(CONTRACT, {"rules/a.yaml": [text]})
    narrow = narrowed(CONTRACT, [own])
    bounds = (None if since is None else since * SECOND, None if until is None else until * SECOND)
    with closing(stand.store()) as store:
        number, before = previous(store, "s")
        present = [one.storage for one in CONTRACT.columns]
        fed = of_past(narrow, store, stand.lake(store), lake_only=False, present=present)
        came = rejudged(narrow, own, fed, before, bounds)
        one = Revision("s", number + 1, "1", own.hash, *bounds, reach_text(came.reach), "job", stand.clock.now_ns())
        store.revisions.add(one, came.after)
    return came


def told(stand: Stand, revision: int) -> list[Told]:
    with closing(stand.store()) as store:
        return seconds(entries(store, "s", revision))


def seconds(some: Any) -> list[Told]:
    found = []
    for one in some:
        held = one.condition
        returned = None if held.returned_at_ns is None else held.returned_at_ns // SECOND
        found.append((held.rule, held.asset, held.raised_at_ns // SECOND, returned))
    return sorted(found)


def test_all_of_it_is_judged_anew(stand: Stand) -> None:
    """The new revision is what the new rules find; the first stays, and each condition knows its batch."""
    stand.run(ListSource(rows(range(25)), 4))
    came = anew(stand, rules(3))
    assert told(stand, 1) == [("high", "A", 7, 10), ("high", "A", 17, 20)]
    assert told(stand, 2) == [("high", "A", 4, 10), ("high", "A", 14, 20), ("high", "A", 24, None)]
    assert [(one.shard, one.batch_seq) for one in came.after] == [(LIVE, 2), (LIVE, 4), (LIVE, 7)]
    assert (came.difference.summary, came.rows) == ("+1 / -0", 25)
    assert dict(came.reach) == {(LIVE, "A"): 24 * SECOND}


def test_a_condition_that_spans_an_edge_is_told_by_both(stand: Stand) -> None:
    """Within the stretch today's rules say whether it holds, outside of it the revision before."""
    stand.run(ListSource(rows(range(40)), 7))
    anew(stand, rules(3), since=8, until=25)
    assert told(stand, 2) == [
        ("high", "A", 7, 10),  # begun by the old rules, gone on with by the new ones
        ("high", "A", 14, 20),
        ("high", "A", 24, 25),  # the old rules know nothing of it: it ends where they are in force again
        ("high", "A", 27, 30),
        ("high", "A", 37, None),
    ]


def test_what_came_after_a_revision_is_the_engines(stand: Stand) -> None:
    """The next revision takes over the last one as far as that reaches, by asset, and what the engine found since."""
    sent = [*rows(range(15)), *rows(range(9), "B")]
    stand.run(ListSource(sent, 6))
    anew(stand, rules(3))
    assert told(stand, 2) == [("high", "A", 4, 10), ("high", "A", 14, None), ("high", "B", 4, None)]
    stand.run(ListSource([*sent, *rows(range(15, 39)), *rows(range(9, 19), "B"), *rows(range(9), "C")], 5))
    with closing(stand.store()) as store:
        assert seconds(previous(store, "s")[1]) == [
            ("high", "A", 4, 10),
            ("high", "A", 14, 14),  # up to the last row that the revision judged; the engine knows nothing of it
            ("high", "A", 17, 20),
            ("high", "A", 27, 30),
            ("high", "A", 37, None),
            ("high", "B", 4, 10),  # holds by both where one takes over from the other
            ("high", "B", 17, None),
            ("high", "C", 7, None),
        ]
    came = anew(stand, rules(8), since=25)
    assert [one for one in seconds(came.after) if one[1] == "A"] == [
        *(("high", "A", 4, 10), ("high", "A", 14, 14), ("high", "A", 17, 20)),
        ("high", "A", 29, 30),
    ]


def test_a_revision_may_hold_nothing(stand: Stand) -> None:
    """Rules that find nothing leave an empty revision, and the next one has another number."""
    stand.run(ListSource(rows(range(15)), 6))
    anew(stand, rules(100))
    came = anew(stand, rules(6))
    assert (told(stand, 2), came.before) == ([], ())
    assert told(stand, 3) == told(stand, 1)
    with closing(stand.store()) as store:
        kept = store.query("revisions", stream="s")
        assert kept.select("revision", "conditions").rows() == [(2, 0), (3, 1)]


def test_conditions_as_of_an_instant(stand: Stand) -> None:
    """The revision that was the newest then: before any, the engine's own."""
    stand.run(ListSource(rows(range(15)), 6))
    stand.clock.sleep(10)
    first_ns = stand.clock.now_ns()
    anew(stand, rules(3))

    def as_of(store: OperationalStore, instant_ns: int) -> Sequence[Any]:
        page = store.query("conditions_as_of", stream="s", as_of=instant_ns, after=0, page=100)
        return page.select("revision", "raised_at_ns").rows()

    with closing(stand.store()) as store:
        assert as_of(store, first_ns - 1) == [(1, 7 * SECOND)]
        assert as_of(store, first_ns) == [(2, 4 * SECOND), (2, 14 * SECOND)]


def test_backfills_are_accounts_of_their_own(stand: Stand) -> None:
    """What a backfill after a revision brings in is the engine's, however old it is."""
    stand.run(ListSource(rows(range(4000, 4010)), 6))
    anew(stand, rules(3))
    stand.backfill(lambda: ListSource(rows(range(10)), 6))
    with closing(stand.store()) as store:
        assert seconds(previous(store, "s")[1]) == [("high", "A", 7, None), ("high", "A", 4004, None)]
    assert seconds(anew(stand, rules(3)).after) == [("high", "A", 4, None), ("high", "A", 4004, None)]


def test_reach_is_kept_as_text() -> None:
    """By shard and asset, whatever they are called."""
    reach = {(LIVE, "A"): 7, ("backfill/1", 'é "x"'): -(2**63)}
    assert dict(reach_of(reach_text(reach))) == reach


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    """A stand over either kind of store."""
    url = request.getfixturevalue("new_store_url")() if request.param == "postgresql" else ""
    return Stand(tmp_path, CONTRACT, rules={"rules/a.yaml": rules(6)}, url=url)


def test_the_same_revision_counts_once(either: Stand) -> None:
    """Written again, because no answer came to its commit, it stays as it is, and so where another job was first."""
    either.run(ListSource(rows(range(25)), 4))
    came = anew(either, rules(3))
    with closing(either.store()) as store:
        again = Revision("s", 2, "1", "", None, None, "[]", "other", 7)
        assert not store.revisions.add(again, came.after)
        assert store.revisions.add(replace(again, job_id="job"), came.after)
        assert store.query("revisions", stream="s")["job_id"].to_list() == ["job"]
    assert told(either, 2) == seconds(came.after)
    assert len(told(either, 2)) == 3
