"""The first commands of a new user, and the checks that anyone can repeat with data of their own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_a_file_becomes_trusted_tables_exactly_once(run: Run, make: Any, fleet: Path) -> None:
    """Every record gets the fate that is known of it; a copy under another name stores nothing; all counts agree."""
    counts, checks = make.truth(1000)
    make.write(fleet / "EVENTS.jsonl", make.dirty(1000))
    make.write(fleet / "COPY.jsonl", make.dirty(1000))
    first = run("ingest", "events", "--from", "EVENTS.jsonl", "--json", cwd=fleet)
    assert first.code == 0
    assert {name: first.document[name] for name in counts} == counts
    assert (first.document["stream"], first.document["status"]) == ("events", "done")
    assert {"job_id", "corrected", "late", "seconds"} <= first.document.keys()
    again = run("ingest", "events", "--from", "COPY.jsonl", "--json", cwd=fleet).document
    assert again["stored"] == 0
    assert again["duplicate"] == counts["duplicate"] + counts["stored"]
    assert again["quarantined"] == counts["quarantined"]
    balance = run("balance", "--json", cwd=fleet)
    assert (balance.code, balance.document["balanced"]) == (0, True)
    events = next(one for one in balance.document["streams"] if one["stream"] == "events")
    assert (events["received"], events["stored"], events["pending"]) == (2000, counts["stored"], 0)
    stats = run("quarantine", "stats", "--json", cwd=fleet).document
    assert stats["total"] == 2 * counts["quarantined"]
    assert stats["checks"] == {check: 2 * number for check, number in checks.items()}
    for statement in ("select count(*) as n from events", "select count(*) as n from lake.events"):
        found = run("sql", statement, "--json", cwd=fleet)
        assert found.document == [{"n": counts["stored"]}]


def test_the_digest_does_not_tell_how_rows_arrived(run: Run, make: Any, tmp_path: Path) -> None:
    """The same rows in one file and in two, in batches of 7 and whole, have the same digest; another row changes it."""
    lines = make.dirty(200)
    digests = []
    for name, options in (("one", []), ("two", ["--batch-rows", "7"])):
        assert run("init", name, "--template", "fleet", cwd=tmp_path).code == 0
        folder = tmp_path / name
        places = [make.write(folder / "a.jsonl", lines[:90]), make.write(folder / "b.jsonl", lines[90:])]
        if name == "one":
            places = [make.write(folder / "all.jsonl", lines)]
        assert run("ingest", "events", "--from", *places, *options, cwd=folder).code == 0
        digests.append(run("digest", "--json", cwd=folder).document)
    assert digests[0] == digests[1]
    make.write(tmp_path / "one" / "more.jsonl", [json.dumps(make.event(5000)).encode()])
    assert run("ingest", "events", "--from", "more.jsonl", cwd=tmp_path / "one").code == 0
    more = run("digest", "--json", cwd=tmp_path / "one").document
    assert more["digest"] != digests[0]["digest"]
    assert more["streams"]["boxes"] == digests[0]["streams"]["boxes"]


def test_the_summary_is_the_conservation_equation(run: Run, make: Any, fleet: Path) -> None:
    """For people: the equation, each check with its number, an example and its place, and what to type next."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    lines = run("ingest", "events", "--from", "events.jsonl", cwd=fleet).out.splitlines()
    assert lines[0].startswith("received 100 = stored 93 + duplicate 2 + quarantined 5      ")
    assert lines[0].endswith(" s")
    assert lines[1].split() == ["2", "temperature.range", "300.0", "above", "80", "degC", "events.jsonl:11"]
    assert any(line.split() == ["1", "temperature.type", '"21.7"', "events.jsonl:21"] for line in lines)
    assert any(line.split() == ["1", "humidity.required", "missing", "events.jsonl:31"] for line in lines)
    assert lines[-1] == "Next: hotfire quarantine show 1"


def test_reading_goes_on_where_it_left_off(run: Run, make: Any, fleet: Path) -> None:
    """Running again takes only what is new, and says so where nothing is."""
    lines = make.dirty(200)
    incoming = make.write(fleet / "incoming" / "a.jsonl", lines[:100])
    assert run("ingest", "events", cwd=fleet).out.startswith("received 100 = ")
    nothing = run("ingest", "events", cwd=fleet)
    assert nothing.out.startswith("received 0 = stored 0  ")
    assert "Nothing new since " in nothing.out
    make.write(incoming, lines[:150])
    assert run("ingest", "events", "--json", cwd=fleet).document["received"] == 50
    make.write(fleet / "incoming" / "b.jsonl", lines[150:])
    assert run("ingest", "events", "--json", cwd=fleet).document["received"] == 50
    assert run("balance", "--reread", cwd=fleet).code == 0


def test_standard_input_is_a_place(run: Run, make: Any, fleet: Path) -> None:
    """`--from -` reads standard input, whole."""
    done = run("ingest", "events", "--from", "-", "--json", cwd=fleet, stdin=b"\n".join(make.dirty(100)))
    assert (done.code, done.document["received"], done.document["stored"]) == (0, 100, 93)
    again = run("ingest", "events", "--from", "/dev/stdin", "--json", cwd=fleet, stdin=b"\n".join(make.dirty(100)))
    fates = {name: again.document[name] for name in ("received", "stored", "duplicate", "quarantined")}
    assert fates == {"received": 100, "stored": 0, "duplicate": 95, "quarantined": 5}
    assert run("ingest", "events", "--from", "-", cwd=fleet).out.startswith("received 0 = stored 0  ")
    assert list((fleet / "data").glob("spool/*")) == []
    assert run("balance", cwd=fleet).code == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="process substitution is bash's")
def test_a_process_is_a_place(make: Any, fleet: Path) -> None:
    """`--from <(command)` reads what the command writes."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    words = (
        f"{make.hotfire} ingest events --json --from <(head -n 60 events.jsonl) <(tail -n 40 events.jsonl) /dev/null"
    )
    done = subprocess.run([shutil.which("bash") or "", "-c", words], cwd=fleet, capture_output=True, check=True)
    assert json.loads(done.stdout)["received"] == 100
    assert list((fleet / "data").glob("spool/*")) == []


def test_a_dry_run_changes_nothing(run: Run, make: Any, fleet: Path) -> None:
    """It tells what would become of every record, and leaves tables, positions and lake as they were."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    dry = run("ingest", "events", "--from", "events.jsonl", "--dry-run", "--json", cwd=fleet).document
    assert (dry["received"], dry["stored"], dry["dry_run"]) == (100, 93, True)
    assert run("balance", "--json", cwd=fleet).document["streams"][1]["received"] == 0
    assert run("ingest", "events", "--from", "events.jsonl", "--json", cwd=fleet).document["stored"] == 93


def test_the_published_turbofan_files_come_in(run: Run, tmp_path: Path) -> None:
    """The template `dyno` takes the C-MAPSS files as they are published."""
    if not (DATA / "cmapss" / "train_FD001.txt").exists():
        pytest.skip("the C-MAPSS files are not at ../shared/data")
    assert run("init", "d", "--template", "dyno", cwd=tmp_path).code == 0
    file = DATA / "cmapss" / "train_FD001.txt"
    done = run("ingest", "dyno_telemetry", "--from", file, "--json", cwd=tmp_path / "d")
    rows = len(file.read_bytes().splitlines())
    assert (done.code, done.document["received"], done.document["stored"]) == (0, rows, rows)
    assert run("balance", cwd=tmp_path / "d").code == 0


def test_simulated_burns_are_judged_as_their_labels_say(run: Run, tmp_path: Path) -> None:
    """What the simulator spoilt is what quarantine holds, check by check; the same seed gives the same bytes."""
    assert run("init", "stand", "--template", "engines", cwd=tmp_path).code == 0
    stand = tmp_path / "stand"
    words = ["simulate", "engine_telemetry", "--hours", "0.2", "--seed", "7", "--labels", "labels.json"]
    made = run(*words, "--to", "incoming/burn.csv", "--json", cwd=stand).document
    done = run("ingest", "engine_telemetry", "--json", cwd=stand).document
    assert done["received"] == made["rows"]
    labels = json.loads((stand / "labels.json").read_text())
    spoilt = [label["check"] for label in labels if label.get("fate") == "quarantined"]
    assert done["checks"] == {check: spoilt.count(check) for check in done["checks"]}
    assert done["quarantined"] == len(spoilt)
    assert done["duplicate"] == sum(label.get("fate") == "duplicate" for label in labels)
    run(*words, "--to", "again.csv", cwd=stand)
    assert (stand / "again.csv").read_bytes() == (stand / "incoming" / "burn.csv").read_bytes()


def test_the_demo_shows_everything(run: Run, tmp_path: Path) -> None:
    """It ingests, explains, balances and asks, and says what to type next, with the path."""
    shown = run("demo", "--once", "--dir", "first look", cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert "received 53,961 = stored " in shown.out
    assert "^^^" in shown.out
    assert "\nbalanced\n" in shown.out
    assert "chamber_pressure [bar]" in shown.out
    assert "cd 'first look'" in shown.out
    assert "  or: " not in shown.out
    again = run("demo", "--once", "--dir", "other", "--json", cwd=tmp_path).document
    assert again["balance"]["balanced"]
    assert again["ingest_again"]["stored"] == 0


@pytest.mark.parametrize("template", ["engines", "dyno", "fleet", None])
def test_every_template_is_sound(run: Run, tmp_path: Path, template: str | None) -> None:
    """A new workspace has nothing to lint, is balanced before any data, and its steps are said."""
    made = run("init", "ws", *(["--template", template] if template else []), cwd=tmp_path)
    assert made.code == 0
    assert "cd ws" in made.out
    ws = tmp_path / "ws"
    assert run("contract", "lint", "--json", cwd=ws).document["remarks"] == []
    assert run("balance", "--json", cwd=ws).document["balanced"] is True
    assert len(run("digest", "--json", cwd=ws).document["digest"]) == 64
    assert run("quarantine", "stats", "--json", cwd=ws).document["total"] == 0
    assert run("doctor", cwd=ws).code == 0


def test_a_drafted_contract_takes_its_own_data(run: Run, make: Any, tmp_path: Path) -> None:
    """`contract infer` prints YAML that lints clean and under which the file it came from is stored."""
    assert run("init", "ws", cwd=tmp_path).code == 0
    ws = tmp_path / "ws"
    make.write(ws / "readings.jsonl", [json.dumps(make.event(number)).encode() for number in range(200)])
    draft = run("contract", "infer", "readings.jsonl", "--stream", "readings", cwd=ws)
    assert (draft.code, draft.out.startswith("apiVersion: v3.1.0\n")) == (0, True)
    make.write(ws / "contracts" / "readings" / "v1.yaml", draft.out.encode().splitlines())
    assert run("contract", "lint", cwd=ws).code == 0
    done = run("ingest", "readings", "--from", "readings.jsonl", "--json", cwd=ws).document
    assert done["received"] == 200
    assert done["stored"] >= 198


def test_a_saved_draft_says_what_comes_next(run: Run, make: Any, tmp_path: Path) -> None:
    """`--save` writes it where the stream is looked for, and never over another; the steps it tells work as typed."""
    assert run("init", "ws", cwd=tmp_path).code == 0
    ws = tmp_path / "ws"
    make.write(ws / "My Readings.jsonl", [json.dumps(make.event(number)).encode() for number in range(100)])
    saved = run("contract", "infer", "My Readings.jsonl", "--save", cwd=ws)
    assert (saved.code, (ws / "contracts" / "my_readings" / "v1.yaml").is_file()) == (0, True)
    for line in saved.out.splitlines():
        if line.startswith("  hotfire "):
            assert run(*shlex.split(line)[1:], cwd=ws).code == 0, line
    assert "received 100 = stored 100" in run("ingest", "my_readings", "--from", "My Readings.jsonl", cwd=ws).out
    again = run("contract", "infer", "My Readings.jsonl", "--save", cwd=ws)
    assert (again.code, "is there already" in again.err) == (2, True)
    assert "cannot be a stream's name" in run("contract", "infer", "My Readings.jsonl", "--stream", "My", cwd=ws).err


def test_a_log_without_asset_and_clock_becomes_telemetry(run: Run, tmp_path: Path) -> None:
    """What the draft asks to put into hotfire.toml, put there as it stands, makes the next draft one of telemetry."""
    assert run("init", "ws", cwd=tmp_path).code == 0
    ws = tmp_path / "ws"
    (ws / "burn.csv").write_text("t,thrust_N\n" + "".join(f"{at * 0.5},{at % 7}\n" for at in range(120)))
    first = run("contract", "infer", "burn.csv", cwd=ws).out
    assert "value: entity" in first
    with (ws / "hotfire.toml").open("a") as settings:
        settings.writelines(f"{line[6:]}\n" for line in first.splitlines() if line.startswith("#     "))
    assert run("contract", "infer", "burn.csv", "--save", cwd=ws).code == 0
    assert run("contract", "lint", cwd=ws).out == "burn: nothing to mend\n"
    assert run("ingest", "burn", "--from", "burn.csv", "--json", cwd=ws).document["stored"] == 120
    newest = "select asset, event_time, thrust_n from burn order by event_time desc limit 1"
    assert run("sql", newest, "--json", cwd=ws).document == [
        {"asset": "pump-1", "event_time": "2026-01-01T00:00:59.5Z", "thrust_n": 0.0}
    ]


@pytest.mark.parametrize(
    ("name", "kind", "stored"),
    [
        ("skab/valve1/0.csv", "entity", 1147),
        ("iot/raw_data_small.json", "telemetry", 5),
        ("spacex/launches.json", "entity", 193),
        ("cmapss/test_FD001.txt", "entity", 13_096),
        ("nab/data/realAWSCloudwatch/ec2_network_in_257a54.csv", "entity", 4032),
    ],
)
def test_published_files_are_drafted_and_stored_whole(
    run: Run, tmp_path: Path, name: str, kind: str, stored: int
) -> None:
    """Of data that nobody made for hotfire, the draft lints clean and stores every row."""
    if not (DATA / name).is_file():
        pytest.skip(f"there is no {name} beside the repository")
    assert run("init", "ws", cwd=tmp_path).code == 0
    ws = tmp_path / "ws"
    draft = run("contract", "infer", DATA / name, "--stream", "s", "--save", "--json", cwd=ws).document
    assert f"value: {kind}}}" in draft["contract"]
    assert run("contract", "lint", "--json", cwd=ws).document["remarks"] == []
    done = run("ingest", "s", "--from", DATA / name, "--json", cwd=ws).document
    assert (done["received"], done["stored"]) == (stored, stored)
