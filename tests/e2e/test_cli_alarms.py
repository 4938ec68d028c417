"""Alarms as people live with them: faults in, listed, acknowledged, shelved, suppressed, explained; and beside `hotfire up`."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotfire.testing.receiver import Reply, receiver

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]

STREAM = "engine_telemetry"
ITEM = ["alarm_id", "rule", "asset", "channel", "state", "severity", "raised_at", "returned_at", "value", "message"]
SEVERITIES = ["severe", "critical", "distress", "warning", "watch"]
RULES = """stream: engine_telemetry
version: {version}
author: {author}
reason: {reason}
{more}rules:
  - name: hot
    detector: limit
    channel: temperature
    critical: {{high: {limit}}}
    latch: {latch}
    message: "{{asset}} is {{value}} degC hot"
    runbook: https://wiki.example/hot
    owner: propulsion
"""


def row(second: int, temperature: float, asset: str = "TRE-001", day: int = 1) -> str:
    """A reading in a burn."""
    at = f"2025-01-{day:02d}T00:{second // 60:02d}:{second % 60:02d}Z"
    return f"{asset},{at},{day * 10_000 + second},steady,200,95,{temperature},90"


HEADER = "engine_id,event_time,seq,phase,chamber_pressure,fuel_flow,temperature,performance_score"
HOT = [row(second, 900.0 if 10 <= second < 20 else 600.0) for second in range(30)]


def rules(ws: Path, version: int = 1, *, limit: float = 800, latch: str = "false", more: str = "", **who: str) -> None:
    """The stand's only rule of its own."""
    who = {"author": "mia", "reason": "engines melt", **who}
    (ws / "rules" / "engines.yaml").write_text(
        RULES.format(version=version, limit=limit, latch=latch, more=more, **who), "utf-8"
    )


def take(run: Run, ws: Path, name: str, lines: list[str]) -> dict[str, Any]:
    """Ingest readings from a new file."""
    (ws / f"{name}.csv").write_text("\n".join([HEADER, *lines, ""]), "utf-8")
    ran = run("ingest", STREAM, "--from", f"{name}.csv", "--json", cwd=ws)
    assert (ran.code, ran.document["quarantined"]) == (0, 0), ran.out + ran.err
    found: dict[str, Any] = ran.document
    return found


def tell(ws: Path, url: str) -> None:
    """Have somebody told of alarms."""
    settings = ws / "hotfire.toml"
    more = f'\n[[notify]]\nname = "ops"\nkind = "webhook"\nurl = "{url}"\n'
    settings.write_text(settings.read_text("utf-8") + more, "utf-8")


def now(second: int, temperature: float) -> str:
    """A reading of this minute."""
    at = datetime.now().astimezone() + timedelta(seconds=second - 30)
    return f"TRE-004,{at.isoformat(timespec='milliseconds')},{second},steady,200,95,{temperature},90"


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A stand on which every kind of fault has happened, and nobody has done anything about it yet; only to be looked at."""
    folder = tmp_path_factory.mktemp("faults")
    assert run("init", "ws", "--template", "engines", cwd=folder).code == 0
    made = ("simulate", STREAM, "--to", "../faults.csv", "--hours", "1", "--seed", "11")
    assert run(*made, cwd=folder / "ws").code == 0
    assert run("ingest", STREAM, "--from", "../faults.csv", cwd=folder / "ws").code == 0
    return folder / "ws"


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A stand with one rule, on which one engine was too hot for 10 s."""
    folder = tmp_path_factory.mktemp("hot")
    assert run("init", "ws", "--template", "engines", cwd=folder).code == 0
    ws = folder / "ws"
    rules(ws)
    contract = ws / "contracts" / STREAM / "v1.yaml"
    mild = contract.read_text("utf-8").replace("{high: 780}", "{high: 1400}").replace("{high: 700}", "{high: 1300}")
    contract.write_text(mild, "utf-8")
    take(run, ws, "hot", HOT)
    return ws


@pytest.fixture
def stand(tmp_path: Path, hot: Path) -> Path:
    """A copy of it, for tests that change something."""
    shutil.copytree(hot, tmp_path / "ws")
    return tmp_path / "ws"


def alarms(run: Run, ws: Path, *words: str) -> list[dict[str, Any]]:
    ran = run("alarm", "list", *words, "--json", cwd=ws)
    assert ran.code == 0, ran.out
    found: list[dict[str, Any]] = ran.document
    return found


def the_one(run: Run, ws: Path) -> dict[str, Any]:
    """The only alarm of `hot`."""
    (found,) = [one for one in alarms(run, ws, "--all") if one["rule"] == "hot"]
    return found


def test_the_list_is_what_other_programs_expect(run: Run, faults: Path) -> None:
    """A list of objects with these names first, in their types; the worst first, equally bad ones in order of time."""
    found = alarms(run, faults)
    assert len(found) > 10
    assert all(list(one)[: len(ITEM)] == ITEM for one in found)
    places = [(SEVERITIES.index(one["severity"]), one["raised_at"]) for one in found]
    assert places == sorted(places)
    for one in found:
        assert isinstance(one["value"], float | None)
        assert datetime.fromisoformat(one["raised_at"]).utcoffset() is not None
        assert one["channel"] is None or isinstance(one["channel"], str)
        assert one["asset"] in one["message"]
    assert [one for one in found if one["channel"] is None and one["rule"] == "dropout"]
    assert alarms(run, faults, "--all") == found


def test_people_see_a_table(run: Run, faults: Path) -> None:
    """A line an alarm, how many wait, and what to do next."""
    ran = run("alarm", "list", cwd=faults)
    found = alarms(run, faults)
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(found)]] == [one["alarm_id"] for one in found]
    assert lines[-2:] == [
        f"{len(found)} alarms, {len(found)} not acknowledged",
        f"Next: hotfire why {found[0]['alarm_id']}",
    ]


def test_one_alarm_shows_its_whole_life(run: Run, stand: Path) -> None:
    """By the beginning of its id: events with both times, and who; runbook and owner; what to do next."""
    one = the_one(run, stand)
    ran = run("alarm", "show", one["alarm_id"][:6], "--json", cwd=stand)
    shown = ran.document
    assert {name: shown[name] for name in ITEM} == {name: one[name] for name in ITEM}
    assert (shown["runbook"], shown["owner"], shown["limit"]) == ("https://wiki.example/hot", "propulsion", 800)
    assert [(each["what"], each["at"], each["who"]) for each in shown["events"]] == [
        ("TRIGGERED", "2025-01-01T00:00:10Z", "hotfire"),
        ("RTN", "2025-01-01T00:00:20Z", "hotfire"),
    ]
    assert all(each["recorded_at"] > "2026" for each in shown["events"])
    text = run("alarm", "show", "hot@TRE-001", cwd=stand).out
    assert "TRE-001 is 900 degC hot" in text
    assert f"Next: hotfire alarm ack {one['alarm_id']}" in text
    assert f"  or: hotfire why {one['alarm_id']}" in text


def test_an_acknowledgement_ends_what_has_returned(run: Run, stand: Path) -> None:
    """Once; the second is refused with a sentence and exit 1, and the alarm keeps who it was, and what they said."""
    alarm_id = the_one(run, stand)["alarm_id"]
    ran = run("alarm", "ack", alarm_id, "--by", "mia", "--comment", "cooled down", "--json", cwd=stand)
    assert ran.code == 0
    assert list(ran.document.items())[:5] == [
        ("alarm_id", alarm_id),
        ("state", "NORMAL"),
        ("action", "ack"),
        ("status", "done"),
        ("why", ""),
    ]
    again = run("alarm", "ack", alarm_id, "--by", "noa", "--json", cwd=stand)
    assert (again.code, again.document["status"], again.document["state"]) == (1, "refused", "NORMAL")
    assert again.document["why"].startswith("It is over")
    assert alarms(run, stand) == []
    over = the_one(run, stand)
    assert over["acknowledgement"]["who"] == "mia"
    shown = run("alarm", "show", alarm_id, cwd=stand).out
    assert "cooled down" in shown
    assert "noa" not in shown


def test_all_that_wait_are_acknowledged_at_once(run: Run, stand: Path) -> None:
    """Only of the rules and assets asked for; a list of what came of each."""
    take(run, stand, "more", [row(s, 900, asset) for asset in ("TRE-002", "TRE-003") for s in range(30)])
    assert run("alarm", "ack", "--all", "--rule", "cold*", "--json", cwd=stand).document == []
    ran = run("alarm", "ack", "--all", "--asset", "TRE-00[12]", "--rule", "h*", "--by", "mia", "--json", cwd=stand)
    assert (ran.code, {one["asset"]: one["status"] for one in ran.document}) == (
        0,
        {"TRE-001": "done", "TRE-002": "done"},
    )
    states = {one["asset"]: one["state"] for one in alarms(run, stand, "--all")}
    assert states == {"TRE-001": "NORMAL", "TRE-002": "ACK_ALARM", "TRE-003": "UNACK_ALARM"}


def test_who_acts_is_this_user_where_nobody_says(run: Run, stand: Path) -> None:
    """An acknowledgement without --by has the name of the user of the machine."""
    run("alarm", "ack", the_one(run, stand)["alarm_id"], cwd=stand)
    who = the_one(run, stand)["acknowledgement"]["who"]
    assert who
    assert who != "hotfire"


def test_a_shelve_ends_by_itself(run: Run, stand: Path) -> None:
    """Shelved for 1 s: silent with its reason, then heard again by the next look, and `hotfire` ended it at its time."""
    take(run, stand, "still", [row(second, 900) for second in range(100, 110)])
    alarm_id = next(one["alarm_id"] for one in alarms(run, stand) if one["active"])
    ran = run("alarm", "shelve", alarm_id, "--for", "1s", "--by", "mia", "--reason", "new valve", "--json", cwd=stand)
    assert (ran.code, ran.document["state"]) == (0, "SHELVED")
    shelved = next(one for one in alarms(run, stand) if one["alarm_id"] == alarm_id)
    assert (shelved["inhibition"]["by"], shelved["inhibition"]["who"]) == ("shelved", "mia")
    assert shelved["inhibition"]["until"]
    assert "shelved by mia until" in run("alarm", "list", cwd=stand).out
    time.sleep(1)
    looked = run("sentinel", "--json", cwd=stand)
    assert looked.document["acted"] == 1
    shown = run("alarm", "show", alarm_id, "--json", cwd=stand).document
    assert (shown["state"], shown["inhibition"]) == ("UNACK_ALARM", None)
    assert [(one["what"], one["who"]) for one in shown["events"]][-2:] == [("SHELVED", "mia"), ("UNSHELVED", "hotfire")]


def test_a_shelve_is_not_for_ever(run: Run, stand: Path) -> None:
    """A day at most, unless the settings say otherwise; lengths are written as people do."""
    alarm_id = the_one(run, stand)["alarm_id"]
    shelve = ("alarm", "shelve", alarm_id, "--by", "mia", "--reason", "x", "--for")
    assert "at most 24 h" in run(*shelve, "25h", cwd=stand).err
    assert "length of time" in run(*shelve, "a while", cwd=stand).err
    assert run(*shelve, "0s", cwd=stand).code == 2
    for lasts in ("15m", "15 min", "2h"):
        assert run(*shelve, lasts, cwd=stand).code == 0
    longer = run(*shelve, "25h", "--json", cwd=stand)
    assert longer.code == 2
    settings = stand / "hotfire.toml"
    settings.write_text(settings.read_text("utf-8") + '\n[alarms]\nmax_shelve = "30 d"\n', "utf-8")
    assert run(*shelve, "25h", cwd=stand).code == 0
    assert run("alarm", "unshelve", alarm_id, cwd=stand).code == 0


def test_what_is_suppressed_before_it_happens_stays_silent(run: Run, stand: Path) -> None:
    """A rule of an asset without an open alarm: raised later, it is silent and no round counts it, until that is lifted."""
    run("alarm", "ack", "--all", cwd=stand)
    ran = run("alarm", "suppress", "hot@TRE-001", "--by", "mia", "--reason", "no engine", "--json", cwd=stand)
    assert (ran.document["status"], ran.document["state"]) == ("done", "SUPPRESSED_BY_DESIGN")
    (silent,) = alarms(run, stand)
    assert (silent["raised_at"], silent["value"], silent["count"]) == (None, None, 0)
    take(run, stand, "again", [row(second, 900) for second in range(200, 210)])
    (silent,) = alarms(run, stand)
    assert (silent["state"], silent["active"], silent["severity"]) == ("SUPPRESSED_BY_DESIGN", True, "critical")
    assert run("sentinel", cwd=stand).code == 0
    lifted = run("alarm", "unsuppress", "hot@TRE-001/temperature", "--json", cwd=stand).document
    assert (lifted["alarm_id"], lifted["state"]) == (silent["alarm_id"], "UNACK_ALARM")
    assert run("sentinel", cwd=stand).code == 1


def test_out_of_service_and_back(run: Run, stand: Path) -> None:
    """It takes the place of a suppression, and ends by `return` alone."""
    name = ("hot@TRE-001", "--by", "mia")
    assert run("alarm", "suppress", *name, "--reason", "x", cwd=stand).code == 0
    assert run("alarm", "out-of-service", *name, "--reason", "recabling", cwd=stand).code == 0
    refused = run("alarm", "unsuppress", *name, "--json", cwd=stand)
    assert (refused.code, refused.document["why"]) == (1, "It is not suppressed.")
    back = run("alarm", "return", *name, "--json", cwd=stand).document
    assert (back["action"], back["status"], back["state"]) == ("return", "done", "NORMAL")


def test_a_latched_alarm_waits_for_its_reset(run: Run, tmp_path: Path, stand: Path) -> None:
    """Acknowledged and returned it is still there; reset, it is over."""
    rules(stand, 2, latch="true")
    take(run, stand, "latched", [row(second, 900 if second < 310 else 600) for second in range(300, 320)])
    newest = max(alarms(run, stand), key=lambda one: one["raised_at"])
    assert newest["state"] == "LATCH_UNACK"
    assert run("alarm", "ack", newest["alarm_id"], "--json", cwd=stand).document["state"] == "LATCH_ACK"
    assert "Next: hotfire alarm reset" in run("alarm", "show", newest["alarm_id"], cwd=stand).out
    assert run("alarm", "reset", newest["alarm_id"], "--json", cwd=stand).document["state"] == "NORMAL"


def test_the_sentinel_says_by_its_exit_code_whether_to_look(run: Run, faults: Path, stand: Path) -> None:
    """1 while an alarm of that severity is open, 0 once all are taken care of; milder ones are counted."""
    found = alarms(run, faults)
    critical = [one["alarm_id"] for one in found if one["severity"] == "critical"]
    looked = run("sentinel", "--min-severity", "critical", "--json", cwd=faults)
    assert looked.code == 1
    assert [one["alarm_id"] for one in looked.document["alarms"]] == critical
    assert looked.document["milder"] == len(found) - len(critical) > 0
    assert run("sentinel", "--min-severity", "severe", cwd=faults).code == 0
    assert run("sentinel", "--json", cwd=stand).code == 1
    run("alarm", "ack", "--all", cwd=stand)
    quiet = run("sentinel", "--json", cwd=stand)
    assert (quiet.code, quiet.document["alarms"]) == (0, [])


def test_notices_go_out_before_a_command_ends(run: Run, stand: Path) -> None:
    """What ingest raises, and what an acknowledgement ends: each once. Where nothing is to be told nothing is said."""
    with receiver() as server:
        tell(stand, server.url)
        assert "told" not in take(run, stand, "cold", [now(0, 600)])
        told = take(run, stand, "hot", [now(1, 900)])["told"]
        assert [(one["target"], one["sent"], one["error"]) for one in told] == [("ops", 1, "")]
        assert "told" not in take(run, stand, "back", [now(2, 600)])
        acknowledged = run("alarm", "ack", "hot@TRE-004", "--by", "mia", cwd=stand)
        assert acknowledged.out.splitlines()[-1] == "told ops of 1 notice"
        assert run("sentinel", "--json", cwd=stand).document["told"][0]["sent"] == 0
        said = [(one.event["type"], one.event["data"]["message"]) for one in server.requests]
    assert said == [(f"hotfire.alarm.{what}", "TRE-004 is 900 degC hot") for what in ("triggered", "cleared")]


def test_what_cannot_be_told_waits(run: Run, stand: Path) -> None:
    """The command says so in a line and is fine; the sentinel sends it once the target answers."""
    with receiver(Reply(503)) as server:
        tell(stand, server.url)
        (stand / "hot.csv").write_text("\n".join([HEADER, now(1, 900), ""]), "utf-8")
        ran = run("ingest", STREAM, "--from", "hot.csv", cwd=stand)
        assert ran.code == 0
        assert "  ops cannot be told yet: notify.ops answers 503" in ran.out
        assert "Its notices wait: hotfire sentinel tries again." in ran.out
        sent, deadline = 0, time.monotonic() + 30
        while not sent and time.monotonic() < deadline:
            sent = run("sentinel", "--json", cwd=stand).document["told"][0]["sent"]
        assert (sent, len(server.requests)) == (1, 2)


def test_what_is_refused_is_for_doctor(run: Run, stand: Path) -> None:
    """It is given up; doctor says so until the target takes something."""
    with receiver(Reply(404)) as server:
        tell(stand, server.url)
        told = take(run, stand, "hot", [now(1, 900)])["told"]
        assert [(one["sent"], one["given_up"]) for one in told] == [(0, 1)]
        looked = run("doctor", "--json", cwd=stand)
        seen = next(one for one in looked.document["checks"] if one["name"] == "notify/ops")
        assert (looked.code, seen["detail"]) == (1, "0 waiting, 1 given up")
        assert "answers 404" in seen["do"]
        take(run, stand, "hotter", [now(2, 600), now(3, 900)])
        run("alarm", "suppress", "hot@TRE-004", "--by", "mia", "--reason", "mended", cwd=stand)
        run("alarm", "unsuppress", "hot@TRE-004", "--by", "mia", cwd=stand)
        assert len(server.requests) > 1
        assert run("doctor", cwd=stand).code == 0


LOADED = """
import sys
from hotfire.cli import main
try:
    main()
finally:
    print("httpx" in sys.modules)
"""


def test_nobody_to_tell_costs_nothing(run: Run, stand: Path) -> None:
    """The libraries that speak to targets are not even loaded where no notice waits."""
    tell(stand, "http://127.0.0.1:9/")
    take(run, stand, "cold", [now(0, 600)])
    for name, values in (("colder", [now(1, 500)]), ("hot", [now(2, 900)])):
        (stand / f"{name}.csv").write_text("\n".join([HEADER, *values, ""]), "utf-8")
        typed = [sys.executable, "-c", LOADED, "ingest", STREAM, "--from", f"{name}.csv"]
        ran = subprocess.run(typed, cwd=stand, capture_output=True, text=True, timeout=120, check=False)
        assert ran.stdout.splitlines()[-1] == str(name == "hot"), ran.stdout + ran.stderr


def test_broken_rules_hold_up_no_data(run: Run, stand: Path) -> None:
    """Those before them watch what comes, exit code 2 says so until they are mended; a stream without rows takes none."""
    good = (stand / "rules" / "engines.yaml").read_text("utf-8")
    (stand / "rules" / "engines.yaml").write_text(good.replace("channel: temperature", "channel: temprature"), "utf-8")
    (stand / "hot.csv").write_text("\n".join([HEADER, row(0, 900, "TRE-005", day=9), ""]), "utf-8")
    words = ("ingest", STREAM, "--from", "hot.csv")
    ran = run(*words, "--json", cwd=stand)
    assert (ran.code, ran.document["status"], ran.document["stored"], ran.document["conditions"]) == (
        2,
        "partial",
        1,
        1,
    )
    assert ["temprature" in one["error"] for one in ran.document["problems"]] == [True]
    again = run(*words, cwd=stand)
    assert (again.code, "Rules not taken: rules/engines.yaml:8: hot.channel" in again.out) == (2, True), again.out
    for strict in (("rejudge", STREAM), ("backfill", STREAM, "--from", "hot.csv")):
        assert run(*strict, cwd=stand).code == 2
    shutil.rmtree(stand / "data")
    first = run(*words, cwd=stand)
    assert (first.code, "temprature" in first.err, first.out) == (2, True, "")
    (stand / "rules" / "engines.yaml").write_text(good, "utf-8")
    assert run(*words, cwd=stand).code == 0


def test_what_is_not_meant_so_is_shown(run: Run, stand: Path) -> None:
    """When the rules are entered, and then by doctor and by lint."""
    wide = RULES.replace("critical: {{high: {limit}}}", "critical: {{high: {limit}, low: 100}}\n    deadband: 5000")
    said = "rules/engines.yaml:10: hot.deadband: is half of the room between low and high"
    (stand / "rules" / "engines.yaml").write_text(
        wide.format(version=2, author="mia", reason="trial", more="", limit=800, latch="false"), "utf-8"
    )
    (stand / "cold.csv").write_text("\n".join([HEADER, row(0, 600, "TRE-005", day=9), ""]), "utf-8")
    shown = [said in run("ingest", STREAM, "--from", "cold.csv", cwd=stand).out for _ in range(2)]
    assert shown == [True, False]
    doctor = run("doctor", cwd=stand)
    assert (doctor.code, "1 warning: hotfire contract lint engine_telemetry" in doctor.out) == (0, True), doctor.out
    for words in ((), (STREAM,), ("rules/engines.yaml",)):
        lint = run("contract", "lint", *words, "--json", cwd=stand)
        assert (lint.code, [one["field"] for one in lint.document["remarks"]]) == (0, ["hot.deadband"]), lint.out
    assert run("contract", "lint", "contracts/engine_telemetry/v1.yaml", "--json", cwd=stand).document["remarks"] == []


def test_why_shows_the_rows_and_the_limit_in_force_then(run: Run, stand: Path) -> None:
    """The rule as it was when the rows came, and who had entered it; a later version changes nothing about that."""
    old = the_one(run, stand)
    rules(stand, 2, limit=700, author="noa", reason="too late", more="valid_from: 2025-01-02T00:00:00Z\n")
    take(run, stand, "next", [row(second, 750 if second > 5 else 600, day=3) for second in range(20)])
    new = max(alarms(run, stand), key=lambda one: one["raised_at"])
    before = run("why", old["alarm_id"], "--json", cwd=stand).document
    after = run("why", new["alarm_id"], "--around", "3s", "--json", cwd=stand).document
    said = [(one["version"]["version"], one["version"]["author"], one["limits"]) for one in (before, after)]
    assert said == [
        ("1", "mia", [{"severity": "critical", "low": None, "high": 800.0}]),
        ("2", "noa", [{"severity": "critical", "low": None, "high": 700.0}]),
    ]
    assert after["version"]["valid_from"] == "2025-01-02T00:00:00Z"
    assert before["version"]["valid_from"] is None
    assert [one["temperature"] for one in before["rows"]] == [600.0] * 10 + [900.0] * 10 + [600.0]
    assert [(one["at"], one["events"]) for one in before["rows"] if one["events"]] == [
        ("2025-01-01T00:00:10Z", ["TRIGGERED"]),
        ("2025-01-01T00:00:20Z", ["RTN"]),
    ]
    assert [one["at"][-3:-1] for one in after["rows"]] == [f"{second:02d}" for second in range(3, 10)]
    assert before["units"] == {"temperature": "degC"}
    assert before["batch"]["batch_seq"] == 1
    assert [one["raised_at"] for one in before["conditions"]] == ["2025-01-01T00:00:10Z"]
    assert [(one["at"], one["severity"]) for one in before["findings"]] == [
        ("2025-01-01T00:00:10Z", "critical"),
        ("2025-01-01T00:00:20Z", None),
    ]


def test_why_finds_rows_that_only_the_lake_has(run: Run, stand: Path) -> None:
    """Where retention has taken them out of the store, the answer is the same."""
    before = run("why", "hot@TRE-001", "--json", cwd=stand).document
    settings = stand / "hotfire.toml"
    settings.write_text(settings.read_text("utf-8") + f'\n[streams.{STREAM}]\nretention = "1 h"\n', "utf-8")
    take(run, stand, "later", [row(0, 600, day=9)])
    counted = run("sql", "select count(*) as n from ops.engine_telemetry", "--json", cwd=stand)
    assert counted.document == [{"n": 1}]
    after = run("why", "hot@TRE-001", "--json", cwd=stand).document
    assert len(before["rows"]) == 21
    assert after == before


def test_why_tells_people_the_same(run: Run, stand: Path) -> None:
    """Limit with its unit, who entered it and why, runbook, and a table in which the trip is marked."""
    text = run("why", "hot@TRE-001", cwd=stand).out
    assert "limit     critical high 800 [degC]" in text
    assert "from      rules/engines.yaml version 1 by mia: engines melt" in text
    assert "runbook   https://wiki.example/hot" in text
    marked = [line.split() for line in text.splitlines() if line.endswith("TRIGGERED")]
    assert marked == [["2025-01-01T00:00:10Z", "900", "TRIGGERED"]]


def test_why_knows_the_context_of_a_contract_s_limit(run: Run, stand: Path) -> None:
    """The limit of the context that the row was in, and the condition that says so."""
    lines = [row(second, 600, "TRE-005").replace("steady,200", "startup,330") for second in range(400, 410)]
    take(run, stand, "startup", lines)
    found = run("why", "chamber_pressure.limit@TRE-005", "--json", cwd=stand).document
    assert found["limits"] == [{"severity": "critical", "low": None, "high": 320.0}]
    assert found["context"] == "phase in ('standby', 'startup', 'shutdown')"
    assert (found["version"]["kind"], found["version"]["file"]) == ("contract", f"contracts/{STREAM}/v1.yaml")


def test_why_still_explains_a_line(run: Run, stand: Path) -> None:
    """FILE:LINE is as it was."""
    assert run("why", "hot.csv:3", "--json", cwd=stand).document["fate"] == "stored"


def test_the_report_counts_what_the_list_has(run: Run, faults: Path) -> None:
    """Every time that an alarm was raised, by severity, rule and asset; bounded by event time."""
    found, report = alarms(run, faults, "--all"), run("alarm", "report", "--json", cwd=faults).document
    assert report["alarms"] == sum(one["count"] for one in found) == sum(report["severities"].values())
    assert report["since"] == min(one["raised_at"] for one in found)
    assert report["per_hour"] == pytest.approx(report["alarms"] / report["hours"])
    assert {one["recommended"] for one in report["priorities"]} == {0.8, 0.15, 0.05}
    assert sum(one["alarms"] for one in report["top_assets"]) == report["alarms"]
    bounds = ("--since", "2025-01-01T00:10:00Z", "--until", "2025-01-01T00:20:00Z")
    part = run("alarm", "report", *bounds, "--json", cwd=faults).document
    assert 0 < part["alarms"] < report["alarms"]
    assert part["per_10_min"] == part["alarms"]
    assert "rate" in run("alarm", "report", *bounds, cwd=faults).out
    assert run("alarm", "report", "--since", bounds[3], "--until", bounds[1], cwd=faults).code == 2


def test_an_owner_that_does_not_answer_is_told_of(run: Run, stand: Path) -> None:
    """Asked and not done within 5 s: exit 3, nothing is lost, and who looks next does it."""
    alarm_id = the_one(run, stand)["alarm_id"]
    with (stand / "data" / "hotfire.db.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = run("alarm", "ack", alarm_id, "--by", "mia", "--json", cwd=stand)
        assert (ran.code, ran.document["status"], ran.document["state"]) == (3, "pending", "RTN_UNACK")
        assert run("alarm", "show", alarm_id, "--json", cwd=stand).document["asked"][0]["who"] == "mia"
        assert "acknowledged by" not in run("alarm", "list", cwd=stand).out
    assert run("sentinel", cwd=stand).code == 0
    assert the_one(run, stand)["state"] == "NORMAL"


def test_live_an_acknowledgement_is_taken_within_a_second(run: Run, stand: Path, up: Up) -> None:
    """While `hotfire up` owns the store, by the instants that are written down; idle as it is, or busy."""
    alarm_id = the_one(run, stand)["alarm_id"]
    with up(stand) as server:
        server.until(lambda: server.stream(STREAM)["state"] == "running")
        time.sleep(1)
        ran = run("alarm", "ack", alarm_id, "--by", "mia", "--json", cwd=stand)
        assert (ran.code, ran.document["status"], ran.document["state"]) == (0, "done", "NORMAL")
        for second in range(20):
            server.push(reading("TRE-002", second, 900), STREAM)
        server.until(lambda: len(alarms(run, stand)) == 1)
        shelved = run("alarm", "shelve", "hot@TRE-002", "--for", "2s", "--reason", "x", "--json", cwd=stand)
        assert (shelved.code, shelved.document["state"]) == (0, "SHELVED")
        assert run("sentinel", "--json", cwd=stand).document["acted"] is None
        server.until(lambda: alarms(run, stand)[0]["state"] == "UNACK_ALARM")
        assert server.stop()[0] == 0
    ack, shelve = asked(run, stand)
    took = {"ACKNOWLEDGED": ack["asked_at_ns"], "SHELVED": shelve["asked_at_ns"], "UNSHELVED": shelve["until_ns"]}
    recorded = run("sql", "select what, recorded_at_ns from hf_alarm_event", "--json", cwd=stand).document
    waits = {one["what"]: one["recorded_at_ns"] - took[one["what"]] for one in recorded if one["what"] in took}
    assert waits.keys() == took.keys()
    assert all(0 <= ns < 10**9 for ns in waits.values()), waits


def reading(asset: str, second: int, temperature: float) -> bytes:
    """A reading as it is pushed."""
    at = f"2025-01-01T00:00:{second:02d}Z"
    values = {"engine_id": asset, "event_time": at, "seq": second, "phase": "steady", "chamber_pressure": 200.0}
    values |= {"fuel_flow": 95.0, "temperature": temperature, "performance_score": 90.0}
    return json.dumps(values).encode() + b"\n"


def asked(run: Run, ws: Path) -> list[dict[str, Any]]:
    """What people asked for, in that order."""
    sql = "select action from hf_alarm_action where action is not null order by asked_at_ns"
    return [json.loads(one["action"]) for one in run("sql", sql, "--json", cwd=ws).document]
