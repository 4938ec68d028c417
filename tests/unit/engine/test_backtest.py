"""What a backtest counts, what it reads, how it is compared and scored, and what it shows of a trip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.alarm.compare import difference
from hotfire.contract.model import Column, Contract
from hotfire.engine.backtest import Backtest, Coverage, backtest
from hotfire.engine.feed import Fed, Recent, narrowed, of_past, of_source, within
from hotfire.engine.labels import read_labels, score
from hotfire.engine.rulesets import ruleset
from hotfire.engine.traces import AFTER, BEFORE, Traces
from hotfire.errors import UserError
from hotfire.findings import Condition
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("x", "number", unit="bar", limits={"critical": {"high": 90}}),
        Column("y", "number"),
        Column("z", "number"),
        Column("mode", "string"),
    ),
    asset="a",
    time="t",
    hash="1",
)
SECOND = 10**9
HOUR_S = 3600


def rules(*lines: str) -> Any:
    text = "\n".join(["stream: s", "version: 1", "rules:", *(f"  - {{{line}}}" for line in lines)])
    return ruleset(CONTRACT, {"rules/a.yaml": [text]})


HIGH = rules("name: high, detector: expression, when: y > 5, channel: y")


def row(t: int, **values: Any) -> dict[str, Any]:
    return {"a": "A", "t": t, "x": 1, "y": 1, **values}


def run(items: list[Any], ruleset: Any = HIGH, batch: int = 1000) -> Backtest:
    narrow = narrowed(CONTRACT, [ruleset])
    return backtest(narrow, [ruleset], of_source(CONTRACT, narrow, ListSource(items, batch), ManualClock()))[0]


def condition(since: int, until: int | None, severity: str = "warning", **more: Any) -> Condition:
    values = {"rule": "high", "asset": "A", "channel": "y", "number": 1, "level": None, **more}
    returned = None if until is None else until * SECOND
    return Condition(**values, severity=severity, raised_at_ns=since * SECOND, returned_at_ns=returned)


def test_only_columns_that_rules_name_are_read() -> None:
    """Channels, conditions, contexts and messages name them; asset and time are always there."""
    every = rules(
        "name: high, detector: expression, when: y > 5, while: mode = 'on'",
        "name: said, detector: limit, channel: y, critical: {high: 9}, message: '{asset} at {z}'",
    )
    assert [one.name for one in narrowed(CONTRACT, [every]).columns] == ["a", "t", "x", "y", "z", "mode"]
    assert [one.name for one in narrowed(CONTRACT, [HIGH]).columns] == ["a", "t", "x", "y"]
    without = replace(HIGH, editions=(replace(HIGH.editions[0], detectors=HIGH.editions[0].detectors[1:]),))
    assert [one.name for one in narrowed(CONTRACT, [without]).columns] == ["a", "t", "y"]


def test_what_is_found_is_told_with_its_rate() -> None:
    """Conditions by when they were raised, counts of every rule, and an hour's rate of two hours."""
    came = run([row(10 * t, y=9 * (t % 60 == 7), x=100 * (t == 100)) for t in range(721)])
    assert [(one.rule, one.raised_at_ns // SECOND) for one in came.conditions[:3]] == [
        *(("high", 70 + 600 * number) for number in (0, 1)),
        ("x.limit", 1000),
    ]
    assert came.by_rule == {"x.limit": 1, "high": 12}
    assert (came.rows, came.hours, came.asset_hours, came.per_hour) == (721, 2.0, 2.0, 6.5)
    assert came.of("x.limit")[0].value == 100


def test_pauses_are_not_hours() -> None:
    """Two runs of half an hour a day apart are an hour, wherever batches end; of two assets at once two asset hours."""
    times = [*range(0, 1801, 60), *range(86_400, 88_201, 60)]
    items = [row(t, a=asset) for t in times for asset in "AB"]
    for batch in (1, 7, 1000):
        came = run(items, batch=batch)
        assert (came.hours, came.asset_hours) == (1.0, 2.0)
    assert run([row(5)]).per_hour is None


def test_what_reaches_no_rule_is_counted() -> None:
    """Late rows are rows; what the contract rejects, and copies, are not."""
    came = run([row(1), row(9), row(5, y=9), row(9), row(9, y=9), {"a": "A", "t": "soon"}, b"{"])
    assert (came.rows, came.late, came.left_out, came.conditions) == (3, 1, 4, ())


def test_bounds_leave_marks_as_they_are() -> None:
    """Only rows of the time that is asked for are judged; a row that was late by others stays late."""
    narrow = narrowed(CONTRACT, [HIGH])
    fed = of_source(CONTRACT, narrow, ListSource([row(1), row(50), row(20, y=9), row(60, y=9)]), ManualClock())
    came = backtest(narrow, [HIGH], within(fed, narrow, 10 * SECOND, 60 * SECOND))[0]
    assert (came.rows, came.late, came.conditions) == (2, 1, ())


@pytest.fixture
def bench() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.mark.parametrize("lake_only", [False, True])
def test_a_column_that_is_new_is_empty_in_history(bench: Path, lake_only: bool) -> None:  # noqa: FBT001 - a parameter
    """The contract as it is written now may have columns that stored rows lack: rules on them find nothing there."""
    older = replace(CONTRACT, columns=CONTRACT.columns[:4])
    stand = Stand(bench, older, lake_only=lake_only)
    stand.run(ListSource([row(t, y=9 * (t == 5)) for t in range(9)], 4))
    every = rules("name: high, detector: expression, when: y > 5 and z is null")
    narrow = narrowed(CONTRACT, [every])
    with closing(stand.store()) as store, store.steady():
        present = [one.storage for one in older.columns]
        fed = of_past(narrow, store, stand.lake(store), lake_only=lake_only, present=present)
        (came,) = backtest(narrow, [every], fed)
    assert [(one.rule, one.raised_at_ns) for one in came.conditions] == [("high", 5 * SECOND)]
    assert came.rows == 9


def test_conditions_that_overlap_are_the_same() -> None:
    """A pair overlaps, ends included; each has one other, and another severity is told apart."""
    old = [condition(10, 20), condition(30, 35), condition(40, 41), condition(60, None)]
    new = [condition(20, 25), condition(31, 45), condition(50, 55), condition(70, 80, "critical")]
    came = difference(old, new)
    assert [one.raised_at_ns // SECOND for one in came.added] == [50]
    assert [one.raised_at_ns // SECOND for one in came.removed] == [40]
    assert [(before.severity, one.severity) for before, one in came.changed] == [("warning", "critical")]
    assert came.summary == "+1 / -1, 1 of another severity"
    assert difference(old, [replace(one, asset="B") for one in old]).summary == "+4 / -4"


LABELS = """[
{"asset": "A", "channel": "y", "fault": "spike", "since": "1970-01-01T00:01:00Z", "until": "1970-01-01T00:01:10Z"},
{"asset": "A", "channel": "x", "fault": "spike", "since": "1970-01-01T00:01:00Z", "until": "1970-01-01T00:01:10Z"},
{"asset": "A", "channel": null, "fault": "dropout", "since": "1970-01-01T00:05:00Z", "until": "1970-01-01T00:05:00Z"},
{"asset": "B", "channel": "y", "fault": "spike", "since": "1970-01-01T00:01:00Z", "until": "1970-01-01T00:01:10Z"},
{"asset": "A", "channel": null, "fault": "duplicate", "since": "1970-01-01T00:01:00Z", "until": "1970-01-01T00:01:10Z"},
{"asset": "A", "channel": "y", "fault": "out", "line": 7, "since": "1970-01-01T00:01:00Z", "until": "1970-01-01T00:01:00Z"}
]"""


def test_faults_are_found_event_by_event() -> None:
    """A fault is found by what is raised for it up to 15 s after it, of its channel where both name one; lines do not count."""
    faults = read_labels("labels.json", LABELS)
    assert [one.kind for one in faults] == ["spike", "spike", "dropout", "spike"]
    found = [
        condition(59, 61, number=1),  # before the fault: no alarm for it, but no false one either
        condition(63, 64, number=2),
        condition(85, 90, number=3),
        condition(315, 316, number=4),
        condition(400, None, number=5),
        condition(30, 40, asset="B"),
    ]
    came = score(found, 2.0, faults)
    assert [(one.kind, one.labelled, one.found, one.delays_s) for one in came.by_kind] == [
        ("dropout", 1, 1, (15.0,)),
        ("spike", 3, 1, (3.0,)),
    ]
    assert [(one.asset, one.channel) for one in came.missed] == [("A", "x"), ("B", "y")]
    assert [one.raised_at_ns // SECOND for one in came.false_alarms] == [400, 30]
    assert came.false_per_asset_hour == 1.0
    assert [(one.recall, one.median_s, one.greatest_s) for one in came.by_kind][1] == (1 / 3, 3.0, 3.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not JSON"),
        ("{}", "no list of labels"),
        ("[7]", "label 1 lacks asset, fault, since, until"),
        ('[{"asset": "A", "fault": "f", "since": "1970-01-01T00:00:00Z"}]', "label 1 lacks until"),
        ('[{"asset": "A", "fault": "f", "since": "today", "until": ""}]', "'today' is no instant with a zone"),
    ],
)
def test_labels_that_cannot_be_used_are_named(text: str, said: str) -> None:
    """What is wrong, in which label, and how one looks."""
    with pytest.raises(UserError, match="labels") as wrong:
        read_labels("labels.json", text)
    assert said in wrong.value.what
    assert "fuel_system_failure" in wrong.value.do


@pytest.mark.parametrize("batch", [1, 5, 30, 1000])
def test_the_readings_around_a_trip_are_kept(batch: int) -> None:
    """So many before the row that raised a condition and so many after it, wherever batches end."""
    items = [row(t, a=asset, y=9 if 60 <= t < 70 else t / 100) for t in range(100) for asset in "AB"]
    narrow = narrowed(CONTRACT, [HIGH])
    traces = Traces.of(narrow, [HIGH])
    fed = of_source(CONTRACT, narrow, ListSource(items, batch), ManualClock())
    (came,) = backtest(narrow, [HIGH], fed, traces)
    assert [one.asset for one in came.conditions] == ["A", "B"]
    for one in came.conditions:
        trace = traces.around(one)
        assert trace is not None
        assert (trace.channel, trace.trip, len(trace.values)) == ("y", BEFORE, BEFORE + 1 + AFTER)
        assert trace.values == [9 if 60 <= t < 70 else t / 100 for t in range(60 - BEFORE, 61 + AFTER)]


def test_a_rule_without_a_channel_shows_what_it_reads() -> None:
    """The first number in its condition; near the beginning there is less before the trip."""
    every = rules("name: high, detector: expression, when: mode is null and x > 5")
    narrow = narrowed(CONTRACT, [every])
    traces = Traces.of(narrow, [every])
    items = [row(t, x=[1, None, 9, 9][t]) for t in range(4)]
    (came,) = backtest(narrow, [every], of_source(CONTRACT, narrow, ListSource(items), ManualClock()), traces)
    trace = traces.around(came.conditions[0])
    assert trace is not None
    assert (trace.channel, trace.unit, trace.trip, trace.values) == ("x", "bar", 2, [1, None, 9, 9])


def test_what_is_held_of_files_is_bounded() -> None:
    """Rows are let go of once no copy of them can reach a rule: of 700,000 rows of a day a quarter of an hour is held."""
    narrow = narrowed(CONTRACT, [HIGH])
    rows = pl.DataFrame({"t_ns": range(700_000)}).select(
        pl.col("t_ns").cast(pl.UInt32).alias("row_no"),
        pl.lit("A").alias("a"),
        pl.col("t_ns") * SECOND // 10,
        pl.lit(1.0).alias("x"),
        pl.lit(1.0).alias("y"),
    )
    recent = Recent(narrow, 900 * SECOND)
    recent.keep(rows, pl.DataFrame({"asset": ["A"], "clock_ns": [70_000 * SECOND]}))
    assert recent.rows == 9_000
    assert recent.find(rows.select("a", "t_ns")).height == 9_000


def test_coverage_of_a_backfill_counts_its_late_rows() -> None:
    """Rows that live would have called late are covered time of the backfill that brought them in."""
    rows = pl.DataFrame(
        {"row_no": [0, 1], "late": [True, True], "a": ["A", "A"], "t_ns": [0, 1800 * SECOND]},
        schema_overrides={"row_no": pl.UInt32},
    )
    one = Coverage(CONTRACT)
    one.take(Fed(rows, "backfill/1"))
    assert (one.hours, one.asset_hours, dict(one.reach)) == (0.5, 0.5, {("backfill/1", "A"): 1800 * SECOND})
