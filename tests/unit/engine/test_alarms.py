"""Alarms in the engine: what rows and people bring about, and that people change nothing in what rows say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.alarm.model import Action
from hotfire.contract.model import Column, Contract
from hotfire.testing.clocks import ManualClock
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

SECOND = 1_000_000_000
START_NS = 1_780_272_000_000_000_000
FILES = sorted((Path(__file__).parents[2] / "golden" / "life").glob("*.txt"))
CONTRACT = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("asset", "string", required=True),
        Column("at", "timestamp", required=True, format="epoch_ns"),
        Column("x", "number"),
    ),
    asset="asset",
    time="at",
    hash="1",
)
RULES = "stream: s\nversion: 1\nrules:\n  - {name: tried, detector: limit, channel: x, warning: {high: 10}}\n"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with scratch() as folder:
        yield Stand(folder, CONTRACT, ManualClock(START_NS), rules={"rules/a.yaml": RULES})


def rows(*values: tuple[float, float], asset: str = "A") -> list[dict[str, Any]]:
    """Rows of seconds and x."""
    return [{"asset": asset, "at": START_NS + int(second * SECOND), "x": x} for second, x in values]


def table(stand: Stand, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of one of hotfire's own tables, in their order."""
    with closing(stand.store()) as store:
        found = store.table(name)
        assert found is not None
        return found.select(columns).rows()


def test_what_flutters_is_one_alarm(stand: Stand) -> None:
    """Ten minutes around its limit at 10 Hz: 3,000 conditions, one alarm."""
    stand.clock.sleep(3600)
    stand.run(ListSource(rows(*((number / 10, 10.1 if number % 2 else 9.9) for number in range(6000))), 997))
    assert table(stand, "hf_alarm", "state") == [("UNACK_ALARM",)]
    assert len(table(stand, "hf_condition", "number")) == 3000


def test_a_level_shift_is_one_alarm(stand: Stand) -> None:
    """It is raised once, and stays."""
    stand.clock.sleep(3600)
    stand.run(ListSource(rows(*((number, 5.0 if number < 100 else 15.0) for number in range(1000))), 13))
    assert table(stand, "hf_alarm_event", "what") == [("TRIGGERED",)]


def test_a_condition_long_after_is_another_alarm(stand: Stand) -> None:
    """More than ten minutes after it returned; the first still waits for somebody."""
    stand.clock.sleep(3600)
    stand.run(ListSource(rows((0, 11.0), (1, 9.0), (700, 11.0), (701, 9.0), (702, 11.0)), 10))
    assert sorted(table(stand, "hf_alarm", "raised_at_ns", "state")) == [
        (START_NS, "RTN_UNACK"),
        (START_NS + 700 * SECOND, "UNACK_ALARM"),
    ]


def test_a_backfill_raises_no_alarm(stand: Stand) -> None:
    """What it brings in is history: it is in the ledger of conditions alone."""
    stand.backfill(lambda: ListSource(rows((0, 11.0), (1, 9.0)), 10))
    assert table(stand, "hf_alarm", "state") == []
    assert len(table(stand, "hf_condition", "number")) == 1


def test_people_change_nothing_in_what_rows_say(stand: Stand) -> None:
    """Digest and conditions are the same, whatever was acknowledged, shelved and suppressed in between."""
    values = [(float(number), 11.0 if number // 3 % 2 else 9.0) for number in range(60)]
    with scratch() as folder:
        quiet = Stand(folder, CONTRACT, ManualClock(START_NS), rules=stand.rules)
        quiet.run(ListSource(rows(*values), 7))
        source = ListSource(rows(*values), 7)
        for number in range(0, 60, 7):
            stand.run(ListSource(rows(*values[: number + 7]), 7))
            what = ("ack", "shelve", "unshelve", "suppress", "ack", "unsuppress", "reset", "out_of_service", "return")
            asked(stand, what[number // 7], "mia", "because")
        stand.run(source)
        assert stand.digest() == quiet.digest()
        assert stand.replay().equal
        assert table(stand, "hf_alarm_event", "what") != table(quiet, "hf_alarm_event", "what")


def test_an_action_waits_for_the_owner(stand: Stand) -> None:
    """It is taken with the next run of the engine, rows or not; the same one counts once."""
    stand.run(ListSource(rows((0, 11.0)), 10))
    with closing(stand.store()) as store:
        store.own()
        alarm_id = table(stand, "hf_alarm", "alarm_id")[0][0]
        action = Action("one", alarm_id, "ack", "mia", "seen", START_NS)
        store.alarms.ask("s", [(action, ())])
        store.alarms.ask("s", [(action, ())])
    assert table(stand, "hf_alarm_action", "state") == [("pending",)]
    stand.run(ListSource([], 10))
    assert table(stand, "hf_alarm_action", "state") == [("done",)]
    assert table(stand, "hf_alarm", "state") == [("ACK_ALARM",)]


def test_what_is_refused_says_why(stand: Stand) -> None:
    """Nothing happens to the alarm."""
    stand.run(ListSource(rows((0, 11.0)), 10))
    assert asked(stand, "unshelve", "mia", "") == "It is not shelved."
    assert table(stand, "hf_alarm_event", "what") == [("TRIGGERED",)]


def asked(stand: Stand, what: Any, who: str, comment: str, for_s: float = 60) -> str:
    """Ask for an action on the newest alarm that is open, and have it taken; why it is refused."""
    with closing(stand.store()) as store:
        store.own()
        found = store.table("hf_alarm")
        assert found is not None
        alarms = found.filter(is_over=0).sort("opened_at_ns")["alarm_id"]
        if not len(alarms):
            return "there is none"
        now_ns = stand.clock.now_ns()
        until_ns = now_ns + int(for_s * SECOND) if what == "shelve" else None
        action_id = f"{what} {who} {now_ns} {len(table(stand, 'hf_alarm_action', 'state'))}"
        action = Action(action_id, alarms[-1], what, who, comment, now_ns, until_ns)
        store.alarms.ask("s", [(action, ())])
        store.act("s")
        taken = store.table("hf_alarm_action")
        assert taken is not None
        return str(taken.filter(action_id=action_id)["refusal"].item())


@dataclass(frozen=True)
class Step:
    """A row, or what somebody does, at a second."""

    second: int
    x: float | None = None
    what: str = ""
    who: str = ""
    comment: str = ""
    for_s: float = 60


def steps(lines: str) -> Iterator[Step]:
    """The steps of a golden file."""
    for line in lines.splitlines():
        clock, _, rest = line.partition(" ")
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        second = hours * 3600 + minutes * 60 + seconds
        if found := re.fullmatch(r"(\w+)(?: for ([0-9]+))? by (\w+): (.*)", rest):
            yield Step(second, None, found[1], found[3], found[4], float(found[2] or 60))
        else:
            yield Step(second, float(rest))


def life(stand: Stand, taken: Sequence[Step]) -> Iterator[str]:
    """What happens to alarms, line by line."""
    came: list[dict[str, Any]] = []
    seen = 0
    for step in taken:
        stand.clock.sleep((START_NS + step.second * SECOND - stand.clock.now_ns()) / 1e9)
        refusal = ""
        if step.x is None:
            refusal = asked(stand, step.what, step.who, step.comment, step.for_s)
        else:
            came += rows((step.second, step.x))
        stand.run(ListSource(came, 1))
        clock = f"{step.second // 3600:02}:{step.second // 60 % 60:02}:{step.second % 60:02}"
        if refusal:
            yield f"{clock} {step.what} is refused: {refusal}"
        columns = ("recorded_at_ns", "number", "what", "state", "severity", "who", "comment")
        events = sorted(table(stand, "hf_alarm_event", *columns))
        for _, _, what, state, severity, who, comment in events[seen:]:
            yield f"{clock} {what:<18} {state:<12} {severity:<8} {who}{': ' if comment else ''}{comment}".rstrip()
        seen = len(events)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_life_is_as_it_is_written(stand: Stand, file: Path) -> None:
    """Rows and what people do bring these events. HOTFIRE_GOLDEN=write writes the files anew."""
    given, _, expected = file.read_text("utf-8").partition("# events\n")
    _, rules, written = (part.partition("\n")[2] for part in f"\n{given}".split("# "))
    found = "".join(f"{line}\n" for line in life(replace(stand, rules={"rules/a.yaml": rules}), list(steps(written))))
    if os.environ.get("HOTFIRE_GOLDEN") == "write":
        file.write_text(f"{given}# events\n{found}", "utf-8")
    assert found == expected
