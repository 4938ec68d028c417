"""Which rows reach which rules: late ones, ones that wait, other rules from an instant on."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.contract.model import Column, Contract
from hotfire.engine.rulesets import entered, ruleset
from hotfire.engine.watch import Ruleset, Watch
from hotfire.errors import ContractError
from hotfire.findings import Watched
from hotfire.rows import Correction

SECOND = 1_000_000_000
CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("asset", "string", required=True),
        Column("at", "timestamp", required=True),
        Column("x", "number", limits={"critical": {"high": 10}}),
    ),
    asset="asset",
    time="at",
)


def rows(*given: tuple[str, float, float | None], late: bool = False) -> pl.DataFrame:
    """Rows of asset, seconds and x, as the engine hands them over."""
    frame = pl.DataFrame(given, schema={"asset": pl.String, "s": pl.Float64, "x": pl.Float64}, orient="row")
    at = (pl.col("s") * SECOND).cast(pl.Int64).alias("at_ns")
    frame = frame.with_row_index("row_no").with_columns(at, late=pl.lit(late))
    return frame.select("asset", "at_ns", "x", "row_no", "late").sort("asset", "at_ns", maintain_order=True)


def step(watch: Watch, frame: pl.DataFrame, rules: Ruleset | None = None, **more: Any) -> Watched:
    """One batch."""
    return watch.step(
        CONTRACT, rules or ruleset(CONTRACT, {}), frame, more.pop("corrections", []), shard="live", **more
    )


def text(version: int, when: str, valid_from: str = "") -> str:
    """A rules file with one rule."""
    since = f"valid_from: {valid_from}\n" if valid_from else ""
    return f"stream: s\nversion: {version}\n{since}rules:\n  - {{name: odd, detector: expression, when: {when}}}\n"


def levels(watched: Watched) -> list[tuple[str, float, str | None]]:
    """Asset, seconds and severity of what was found."""
    return [(one.asset, one.at_ns / SECOND, one.severity) for one in watched.findings]


def test_a_limit_raises_and_returns() -> None:
    """The condition is there from the row that breaks the limit to the first that keeps it."""
    watched = step(Watch(), rows(("A", 1, 9.0), ("A", 2, 11.0), ("B", 2, 5.0), ("A", 3, 10.0)))
    assert levels(watched) == [("A", 2.0, "critical"), ("A", 3.0, None)]
    assert [one.what for one in watched.changes] == ["raised", "returned"]
    assert watched.changes[1].condition.returned_at_ns == 3 * SECOND


def test_a_late_row_meets_bare_limits_only() -> None:
    """It is told of, and changes no condition."""
    watched = step(Watch(), rows(("A", 1, 11.0), ("A", 2, 1.0), late=True))
    assert [(one.kind, one.severity) for one in watched.findings] == [("late", "critical")]
    assert watched.changes == ()
    assert not watched.states


def test_an_impossible_reading_is_told_of() -> None:
    """What was corrected shows which value it was."""
    correction = Correction(0, "x", "x.range", "1e9", None)
    found = step(Watch(), rows(("A", 1, None)), corrections=[correction]).findings
    assert [(one.rule, one.kind, one.channel, one.message) for one in found] == [
        ("x.range", "range", "x", "A: x of 1e9 is not possible")
    ]


def test_what_is_remembered_goes_on_in_another_process() -> None:
    """An open condition is closed by a watch that was made of the states alone."""
    first = step(Watch(), rows(("A", 1, 11.0)))
    again = Watch([("live", asset, state) for asset, state in first.states.items()])
    assert [one.what for one in step(again, rows(("A", 2, 1.0))).changes] == ["returned"]


def test_shards_remember_for_themselves() -> None:
    """A backfill knows nothing of live's conditions."""
    watch = Watch()
    step(watch, rows(("A", 100, 11.0)))
    own = watch.step(CONTRACT, ruleset(CONTRACT, {}), rows(("A", 1, 12.0), late=True), [], shard="backfill/1")
    assert [(one.kind, one.severity) for one in own.findings] == [("level", "critical")]


def test_a_repaired_row_is_late_whatever_its_time() -> None:
    """It opens no condition, not even with the newest event time."""
    watched = step(Watch(), rows(("A", 5, 11.0)), repair=True)
    assert [one.kind for one in watched.findings] == ["late"]


def test_other_rules_hold_from_their_time_on() -> None:
    """Rows before `valid_from` meet the rules before."""
    first = entered(CONTRACT, {}, {"rules/a.yaml": text(1, "x > 5")})
    second = entered(CONTRACT, first.chains, {"rules/a.yaml": text(2, "x > 1", "1970-01-01T00:00:10Z")})
    found = step(Watch(), rows(("A", 8, 3.0), ("A", 9, 6.0), ("A", 11, 3.0), ("A", 12, 0.0)), second.ruleset)
    own = [(one.at_ns / SECOND, one.severity) for one in found.findings if one.rule == "odd"]
    assert own == [(9.0, "warning"), (11.0, "warning"), (12.0, None)]
    assert [one.what for one in found.changes if one.condition.rule == "odd"] == [
        *("raised", "returned", "raised", "returned")
    ]


def test_rules_without_a_time_replace_those_before() -> None:
    """What they remembered is forgotten, and their conditions end with the first row of the new ones."""
    watch = Watch()
    first = entered(CONTRACT, {}, {"rules/a.yaml": text(1, "x > 5")})
    second = entered(CONTRACT, first.chains, {"rules/a.yaml": text(2, "x > 7")})
    step(watch, rows(("A", 1, 6.0)), first.ruleset)
    changes = step(watch, rows(("A", 2, 6.0)), second.ruleset).changes
    assert [(one.what, one.at_ns) for one in changes] == [("returned", 2 * SECOND)]
    assert list(second.chains) == ["rules/a.yaml"]
    assert len(second.chains["rules/a.yaml"]) == 1


def test_other_words_change_nothing() -> None:
    """A new version with the same rules goes on with what they remember."""
    watch = Watch()
    first = entered(CONTRACT, {}, {"rules/a.yaml": text(1, "x > 5")})
    second = entered(CONTRACT, first.chains, {"rules/a.yaml": text(2, "x > 5") + "author: mia\n"})
    step(watch, rows(("A", 1, 6.0)), first.ruleset)
    assert step(watch, rows(("A", 2, 6.0)), second.ruleset).changes == ()


def test_a_name_is_one_rule() -> None:
    """Two files may not have rules of one name."""
    files = {"rules/a.yaml": text(1, "x > 5"), "rules/b.yaml": text(1, "x > 7")}
    with pytest.raises(ContractError, match=r"odd is in rules/a\.yaml, too"):
        entered(CONTRACT, {}, files)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 5))
def test_rows_that_wait_come_in_order(seed: int, number: int, reorder: int) -> None:
    """With `reorder`, rows in any order within that time give what they give in order, however they are cut."""
    chance = random.Random(seed)
    contract = Contract(**{**_fields(CONTRACT), "reorder_ns": reorder * SECOND})
    given_rows = [(chance.choice("AB"), float(second), chance.choice([5.0, 11.0, None])) for second in range(number)]
    mixed = sorted(given_rows, key=lambda row: row[1] + chance.uniform(0, reorder))
    end = [("A", 1000.0, 5.0), ("B", 1000.0, 5.0)]
    in_order = _conditions(CONTRACT, [[*given_rows, *end]])
    cuts = sorted(chance.sample(range(number + 1), min(2, number)))
    parts = [mixed[: cuts[0]], mixed[cuts[0] :]] if cuts else [mixed]
    assert _conditions(contract, [*parts, end, [("A", 2000.0, 5.0), ("B", 2000.0, 5.0)]]) == in_order


def _fields(contract: Contract) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in Contract.__slots__}


def _conditions(contract: Contract, parts: list[list[tuple[str, float, float | None]]]) -> set[tuple[Any, ...]]:
    states: dict[str, str] = {}
    found = set()
    for part in parts:
        watch = Watch([("live", asset, state) for asset, state in states.items()])
        came = watch.step(contract, ruleset(contract, {}), _marked(part), [], shard="live")
        states |= came.states
        found |= {(one.what, one.condition.asset, one.at_ns) for one in came.changes}
    return found


def _marked(part: list[tuple[str, float, float | None]]) -> pl.DataFrame:
    """Late marks as the engine gives them; detectors that wait do not look at them."""
    return rows(*part)
