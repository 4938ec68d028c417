"""`hotfire backtest` and `hotfire rejudge`: rules tried on history, and the past judged anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from hotfire.findings import Condition

Run = Callable[..., Any]
Up = Callable[..., AbstractContextManager[Any]]

RULES = """stream: engine_telemetry
version: 3
author: mia
reason: trial
rules:
  - {name: starved, detector: expression, when: phase = 'steady' and fuel_flow < 70, for: 500 ms, severity: critical}
  - {name: warm, detector: limit, channel: temperature, warning: {high: 660}, critical: {high: 700}, for: 5 s}
"""
LOOSER = RULES.replace("version: 3", "version: 4").replace("high: 660", "high: 655").replace("< 70", "< 50")
LOOSER = LOOSER.replace("for: 5 s", "for: 1 s")
PUSHED = (
    b'{"engine_id": "TRE-001", "event_time": "2025-01-02T00:00:00Z", "seq": 9999999, "phase": "steady", '
    b'"chamber_pressure": 200, "fuel_flow": 95, "temperature": 600, "performance_score": 90}'
)
POINT = ("rule", "asset", "channel", "severity", "raised_at", "returned_at", "value", "limit", "message")


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of engines with an hour of theirs, faults and all, beside it; nothing is ingested."""
    folder = tmp_path_factory.mktemp("engines")
    assert run("init", "ws", "--template", "engines", cwd=folder).code == 0
    words = ("--to", "../burn.csv", "--labels", "../labels.json", "--seed", "11")
    assert run("simulate", "engine_telemetry", *words, cwd=folder / "ws").code == 0
    (folder / "new.yaml").write_text(LOOSER)
    (folder / "old.yaml").write_text(RULES)
    return folder


@pytest.fixture
def engines(made: Path, tmp_path: Path, run: Run) -> Path:
    """A workspace with RULES in it, and the hour ingested."""
    assert run("init", "ws", "--template", "engines", cwd=tmp_path).code == 0
    for other in (tmp_path / "ws" / "rules").glob("*.yaml"):
        other.unlink()
    (tmp_path / "ws" / "rules").mkdir(exist_ok=True)
    (tmp_path / "ws" / "rules" / "trial.yaml").write_text(RULES)
    assert run("ingest", "engine_telemetry", "--from", str(made / "burn.csv"), cwd=tmp_path / "ws").code == 0
    return tmp_path / "ws"


def conditions(run: Run, ws: Path, revision: int = 1) -> list[dict[str, Any]]:
    """The conditions in the store, as a backtest writes them."""
    every = run(
        "sql", "select * from hf_condition order by raised_at_ns, asset, rule, channel", "--json", cwd=ws
    ).document
    rows = [row for row in every if row["revision"] == revision]
    for row in rows:
        row |= {"channel": row["channel"] or None, "limit": row["limit_value"]}
    return rows


def test_it_finds_what_an_ingest_finds(run: Run, made: Path, engines: Path) -> None:
    """Over the file, and over the history in the store, to the last bit; and nothing is written."""
    live = conditions(run, engines)
    before = run("digest", "--json", cwd=engines).document
    history = run("backtest", "rules/trial.yaml", "--json", cwd=engines)
    files = run("backtest", "rules/trial.yaml", "--from", str(made / "burn.csv"), "--json", cwd=engines)
    assert (history.code, files.code) == (0, 0)
    assert history.document["conditions"] == files.document["conditions"]
    assert len(live) == len(files.document["conditions"]) > 10
    for stored, found in zip(live, files.document["conditions"], strict=True):
        assert found.keys() == {*POINT}
        assert [found[name] for name in ("rule", "asset", "channel", "severity", "value", "limit", "message")] == [
            stored[name] for name in ("rule", "asset", "channel", "severity", "value", "limit", "message")
        ]
    assert run("digest", "--json", cwd=engines).document == before
    counts = {name: one["conditions"] for name, one in files.document["by_rule"].items()}
    assert sum(counts.values()) == len(live)
    assert {"starved", "warm", "temperature.limit"} <= counts.keys()
    assert files.document["per_hour"] == pytest.approx(len(live) / files.document["hours"], abs=1e-5)
    assert (files.document["stream"], files.document["version"]) == ("engine_telemetry", 3)


def test_another_version_is_held_against_it(run: Run, made: Path) -> None:
    """Which conditions are new and which are gone; more new ones than allowed are exit code 1."""
    words = ("backtest", "../new.yaml", "--from", "../burn.csv", "--against", "../old.yaml")
    ran = run(*words, "--max-new", "0", "--json", cwd=made / "ws")
    against = ran.document["against"]
    assert ran.code == 1
    assert against["summary"].startswith(f"v3 -> v4: +{len(against['added'])} / -{len(against['removed'])}")
    assert "warm" in {one["rule"] for one in against["added"]} <= {"warm", "starved"}
    assert {one["rule"] for one in against["removed"]} <= {"warm", "starved"}
    assert run(*words, "--max-new", str(len(against["added"])), cwd=made / "ws").code == 0
    same = run(
        "backtest",
        "../old.yaml",
        "--from",
        "../burn.csv",
        "--against",
        "../old.yaml",
        "--max-new",
        "0",
        cwd=made / "ws",
    )
    assert (same.code, "v3 -> v3: +0 / -0" in same.out) == (0, True)
    assert run("backtest", "../old.yaml", "--from", "../burn.csv", "--max-new", "3", cwd=made / "ws").code == 1


def test_people_see_counts_and_trips(run: Run, made: Path) -> None:
    """A line a rule with its rate, what is new, and the channel around each trip, marked."""
    ran = run("backtest", "../new.yaml", "--from", "../burn.csv", "--against", "../old.yaml", cwd=made / "ws")
    assert ran.code == 0
    assert "rule" in ran.out
    assert "per hour" in ran.out
    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("+ "))
    drawn = lines[at + 1].split()[0]
    assert len(drawn) == 41
    assert drawn.index("|") == 27
    assert {*drawn} <= {*"▁▂▃▄▅▆▇█|·"}
    assert "temperature" in lines[at + 1]
    assert "degC" in lines[at + 1]


def test_labelled_faults_are_scored(run: Run, made: Path) -> None:
    """Recall and delay by kind; faults of lines do not count; the contract's limits alone find what they are for."""
    labels = json.loads((made / "labels.json").read_text())
    ran = run(
        "backtest", "../old.yaml", "--from", "../burn.csv", "--labels", "../labels.json", "--json", cwd=made / "ws"
    )
    scored = ran.document["labels"]
    kinds = {one["fault"] for one in labels if "line" not in one}
    assert scored["by_kind"].keys() == kinds
    assert "duplicate" not in kinds
    spikes = scored["by_kind"]["pressure_spike"]
    assert (spikes["labelled"], spikes["found"], spikes["recall"]) == (spikes["labelled"], spikes["labelled"], 1.0)
    assert 0 <= spikes["delay_s"]["p50"] <= spikes["delay_s"]["max"] <= 15
    assert scored["false_alarms"] >= 0
    lacking = {kind: one["labelled"] - one["found"] for kind, one in scored["by_kind"].items()}
    assert {kind: [one["fault"] for one in scored["missed"]].count(kind) for kind in kinds} == lacking
    assert all(one in [{name: label[name] for name in one} for label in labels] for one in scored["missed"])
    shown = run("backtest", "../old.yaml", "--from", "../burn.csv", "--labels", "../labels.json", cwd=made / "ws").out
    assert "pressure_spike" in shown
    assert "false alarm" in shown
    assert f"missed: {scored['missed'][0]['since']}  {scored['missed'][0]['asset']}" in shown
    early = ("--labels", "../labels.json", "--until", "2025-01-01T00:00:01Z", "--json")
    none = run("backtest", "../old.yaml", "--from", "../burn.csv", *early, cwd=made / "ws").document
    assert none["labels"]["by_kind"] == {}


def test_bounds_and_limits_can_be_left_out(run: Run, made: Path) -> None:
    """Only rows of a time, and only the rules of the file."""
    words = ("backtest", "../old.yaml", "--from", "../burn.csv", "--json")
    whole = run(*words, cwd=made / "ws").document
    bare = run(*words, "--no-limits", cwd=made / "ws").document
    assert bare["by_rule"].keys() == {"starved", "warm"}
    assert bare["conditions"] == [one for one in whole["conditions"] if one["rule"] in {"starved", "warm"}]
    since, until = "2025-01-01T00:10:00Z", "2025-01-01T00:30:00Z"
    part = run(*words, "--since", since, "--until", until, cwd=made / "ws").document
    assert part["hours"] == pytest.approx(1199 / 3600, abs=1e-4)
    assert all(since <= one["raised_at"] < until for one in part["conditions"])
    assert part["conditions"]


def test_standard_input_is_a_place(run: Run, made: Path) -> None:
    """`--from -` reads what comes through a pipe, and leaves nothing behind."""
    piped = run(
        "backtest", "../old.yaml", "--from", "-", "--json", cwd=made / "ws", stdin=(made / "burn.csv").read_bytes()
    )
    named = run("backtest", "../old.yaml", "--from", "../burn.csv", "--json", cwd=made / "ws")
    assert piped.document["conditions"] == named.document["conditions"]
    assert not (made / "ws" / "data" / "hotfire.db").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["../old.yaml"], "has no history yet"),
        (["../nowhere.yaml"], "cannot be read"),
        (["../old.yaml", "--stream", "engines"], "There is no stream 'engines'"),
        (["../broken.yaml"], "broken.yaml:4"),
        (["../old.yaml", "--from", "../burn.csv", "--labels", "../old.yaml"], "is not JSON"),
        (["../old.yaml", "--from", "nowhere.csv"], "nowhere.csv"),
        (["../old.yaml", "--since", "yesterday"], "no instant with a zone"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_explained(run: Run, made: Path, words: list[str], said: str) -> None:
    """Exit code 2, and what is wrong."""
    broken = "stream: engine_telemetry\nversion: 1\nrules:\n  - {name: a, detector: limt, channel: temperature}\n"
    (made / "broken.yaml").write_text(broken)
    ran = run("backtest", *words, cwd=made / "ws")
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_file_that_cannot_be_read_is_told(run: Run, made: Path, tmp_path: Path) -> None:
    """The others are tried; exit code 2, and which one it was."""
    (tmp_path / "bad.csv.gz").write_bytes(b"\x1f\x8b\x08 this is no gzip")
    words = ("backtest", "../old.yaml", "--from", "../burn.csv", "--from", str(tmp_path / "bad.csv.gz"), "--json")
    ran = run(*words, cwd=made / "ws")
    assert (ran.code, len(ran.document["problems"])) == (2, 1)
    assert ran.document["conditions"]


def test_the_past_is_judged_anew(run: Run, made: Path, engines: Path) -> None:
    """A revision beside the first, by the rules of today; digest and alarms stay, and so do the conditions that were."""
    live, digest = conditions(run, engines), run("digest", "--json", cwd=engines).document
    alarms = run("alarm", "list", "--all", "--json", cwd=engines).document
    same = run("rejudge", "engine_telemetry", "--json", cwd=engines).document
    assert (same["revision"], same["before"], same["after"]) == (2, len(live), len(live))
    assert (same["added"], same["removed"], same["changed"]) == ([], [], [])
    drop = ("id", "revision")
    plain = [{name: value for name, value in one.items() if name not in drop} for one in live]
    again = [{name: value for name, value in one.items() if name not in drop} for one in conditions(run, engines, 2)]
    assert again == plain
    (engines / "rules" / "trial.yaml").write_text(LOOSER)
    ran = run("rejudge", "engine_telemetry", "--json", cwd=engines)
    tried = run("backtest", "rules/trial.yaml", "--json", cwd=engines).document["conditions"]
    assert ran.code == 0
    assert (ran.document["revision"], ran.document["before"]) == (3, len(live))
    assert ran.document["after"] == len(live) + len(ran.document["added"]) - len(ran.document["removed"]) == len(tried)
    assert [one["message"] for one in conditions(run, engines, 3)] == [one["message"] for one in tried]
    assert conditions(run, engines) == live
    assert run("digest", "--json", cwd=engines).document == digest
    assert run("alarm", "list", "--all", "--json", cwd=engines).document == alarms
    job = run(
        "sql", "select command, status, summary from hf_job where command = 'rejudge' order by 1", "--json", cwd=engines
    )
    assert [one["status"] for one in job.document] == ["done", "done"]


def test_a_stretch_of_the_past_is_judged_anew(run: Run, engines: Path) -> None:
    """From `since` to `until` today's rules hold; before and after, what the revision before says."""
    live = conditions(run, engines)
    (engines / "rules" / "trial.yaml").write_text(LOOSER)
    since, until = "2025-01-01T00:20:00Z", "2025-01-01T00:40:00Z"
    ran = run("rejudge", "engine_telemetry", "--since", since, "--until", until, cwd=engines)
    assert ran.code == 0
    assert "revision 2" in ran.out
    after = conditions(run, engines, 2)
    tried = run("backtest", "rules/trial.yaml", "--json", cwd=engines).document["conditions"]
    edges = (1735690800000000000, 1735692000000000000)
    inside = [one for one in after if edges[0] <= one["raised_at_ns"] < edges[1]]
    assert [one["message"] for one in inside] == [one["message"] for one in tried if since <= one["raised_at"] < until]
    apart = [
        [one["message"] for one in some if not edges[0] <= one["raised_at_ns"] < edges[1]] for some in (live, after)
    ]
    assert apart[0] == apart[1]
    kept = run(
        "sql", "select revision, since_ns, until_ns, conditions from hf_revision", "--json", cwd=engines
    ).document
    assert kept == [{"revision": 2, "since_ns": edges[0], "until_ns": edges[1], "conditions": len(after)}]


def test_the_past_is_judged_anew_beside_up(run: Run, up: Up, engines: Path) -> None:
    """As without it; rows that come meanwhile are taken. A contract that only the next start takes up is refused."""
    contract = engines / "contracts" / "engine_telemetry" / "v1.yaml"
    live, text = conditions(run, engines), contract.read_text("utf-8")
    with up(engines) as one:
        one.until(lambda: one.stream("engine_telemetry")["state"] == "running")
        (engines / "rules" / "trial.yaml").write_text(LOOSER)
        ran = run("rejudge", "engine_telemetry", "--json", cwd=engines)
        assert (ran.code, ran.document["revision"], ran.document["before"]) == (0, 2, len(live)), ran.out + ran.err
        assert one.push(PUSHED, "engine_telemetry").status_code == 202
        one.until(lambda: one.stream("engine_telemetry")["stored"] == 1)
        contract.write_text(text.replace("version: 1.0.0", "version: 1.1.0", 1), "utf-8")
        refused = run("rejudge", "engine_telemetry", cwd=engines)
        assert (refused.code, "goes on by the one before" in refused.err) == (3, True), refused.err
        contract.write_text(text, "utf-8")
    again = run("rejudge", "engine_telemetry", "--json", cwd=engines).document
    assert (again["revision"], again["added"], again["removed"]) == (3, [], [])
    assert again["rows"] == ran.document["rows"] + 1
    assert run("balance", cwd=engines).code == 0


SITES = """apiVersion: v3.1.0
kind: DataContract
id: sites
version: 1.0.0
status: active
schema:
  - name: sites
    logicalType: object
    customProperties: [{property: hotfire.kind, value: entity}]
    properties:
      - {name: site, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
"""


def test_what_cannot_be_judged_anew_is_explained(run: Run, fleet: Path) -> None:
    """A time that ends before it begins, a stream without event times, a stream that is not there."""
    (fleet / "contracts" / "sites").mkdir()
    (fleet / "contracts" / "sites" / "v1.yaml").write_text(SITES)
    words = ("--since", "2025-01-02T00:00:00Z", "--until", "2025-01-01T00:00:00Z")
    for asked, said in (
        (("events", *words), "There is no time"),
        (("sites",), "holds entities"),
        (("nothing",), "There is no stream"),
    ):
        ran = run("rejudge", *asked, cwd=fleet)
        assert (ran.code, said in ran.err) == (2, True), ran.err
    (fleet / "rules").mkdir(exist_ok=True)
    (fleet / "rules" / "b.yaml").write_text("stream: sites\nversion: 1\nrules: []\n")
    ran = run("backtest", "rules/b.yaml", cwd=fleet)
    assert (ran.code, "holds entities" in ran.err) == (2, True)


def test_the_values_of_a_condition_are_all_told() -> None:
    """What the JSON of a condition has is what a condition is, but for its number and its level now."""
    names = {name.removesuffix("_ns") for name in Condition.__slots__}
    assert {*POINT} == names - {"number", "level"}
