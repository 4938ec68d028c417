"""Rejected rows on the command line: listed, shown with a caret, counted, replayed after a mended contract, given up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def caret(shown: str) -> str:
    """What stands above the first line of carets."""
    lines = shown.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() and set(line.strip()) == {"^"})
    begin = lines[at].index("^")
    return lines[at - 1][begin : begin + lines[at].count("^")]


def numbers(listed: Any) -> list[int]:
    """The ids of listed rows."""
    return [row["id"] for row in listed["rows"]]


def test_the_list_can_be_narrowed(hotfire: Run) -> None:
    """By stream, check, state and number; each row says where it came from and what it broke."""
    everything = hotfire("quarantine", "list", "--json").document
    assert (len(everything["rows"]), everything["more"]) == (15, False)
    assert everything["rows"][0]["place"] == "../events.jsonl"
    assert everything["rows"][0]["line"] == 11
    broken = hotfire("quarantine", "list", "--check", "pressure.range", "--json").document
    assert [[check["check"] for check in row["checks"]] for row in broken["rows"]] == [
        ["temperature.range", "pressure.range"]
    ] * 3
    few = hotfire("quarantine", "list", "--limit", "4", "--json").document
    assert (numbers(few), few["more"]) == (numbers(everything)[:4], True)
    assert numbers(hotfire("quarantine", "list", "--state", "repaired", "--json").document) == []
    assert numbers(hotfire("quarantine", "list", "--stream", "boxes", "--json").document) == []
    assert "events.jsonl:11" in hotfire("quarantine", "list").out
    assert "Did you mean pressure.range?" in hotfire("quarantine", "list", "--check", "presure.range").out
    assert "Checks that were broken: humidity.required, " in hotfire("quarantine", "list", "--check", "x").out


def test_the_caret_stands_under_the_bad_value(hotfire: Run) -> None:
    """In JSON under the value of the field; under where reading stops in a line that is none."""
    shown = {row["checks"][0]["check"]: row["id"] for row in hotfire("quarantine", "list", "--json").document["rows"]}
    assert caret(hotfire("quarantine", "show", str(shown["temperature.type"])).out) == '"21.7"'
    both = hotfire("quarantine", "show", str(shown["temperature.range"]))
    assert caret(both.out) == "-99.5"
    assert "pressure.range  5.0  (below 900 hPa)" in both.out
    missing = hotfire("quarantine", "show", str(shown["humidity.required"])).out
    assert "^" not in missing
    cut = hotfire("quarantine", "show", str(shown["row.parse"]), "--json").document
    assert cut["checks"][0]["spans"][0][0] >= len(cut["raw"]) - 20
    assert cut["contract_version"] == "2.0.0"


def test_what_is_suggested_can_help(hotfire: Run) -> None:
    """A torn line needs its source, not another contract; what a contract rejects needs another contract."""
    shown = {row["checks"][0]["check"]: row["id"] for row in hotfire("quarantine", "list", "--json").document["rows"]}
    torn = hotfire("quarantine", "show", str(shown["row.parse"])).out
    assert "events.jsonl:261 can be had whole, ingest it from a new file" in torn
    assert f"hotfire quarantine discard {shown['row.parse']} --reason TEXT" in torn
    assert "mend contracts" not in torn
    assert "Next: mend contracts/events, then" in hotfire("quarantine", "show", str(shown["humidity.required"])).out


def test_a_raw_record_cannot_harm_a_terminal(run: Run, fleet: Path) -> None:
    """Control characters and bytes that are not UTF-8 are shown escaped; a long record only around the fault."""
    bad = b'{"event_id": "\x1b[31mred\xff", "device_id": "d", "padding": "' + b"x" * 5000 + b'"}'
    (fleet / "events.jsonl").write_bytes(bad + b"\n")
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    shown = run("quarantine", "show", "1", cwd=fleet).out
    assert "\x1b" not in shown
    assert "\\x1b[31mred\\xff" in shown
    assert max(map(len, shown.splitlines())) < 150
    assert caret(shown) == "\\xff"


def test_csv_carets_stand_under_the_column(run: Run, tmp_path: Path) -> None:
    """In a table the caret stands under the cell of the column by the order of the header, quotes or not."""
    assert run("init", "ws", "--template", "engines", cwd=tmp_path).code == 0
    header = "engine_id,event_time,seq,phase,chamber_pressure,fuel_flow,temperature,performance_score\n"
    rows = [
        '"TRE-001",2025-01-01T00:00:01Z,1,"steady",210,95,n/a,92\n',
        "TRE-001,2025-01-01T00:00:02Z,2,steady,210,95,640,92,7,8\n",
    ]
    rows += [
        "TRE-001,2025-01-01T00:00:03Z,3,standby,1,50,25,92\n",
        "TRE-001,2025-01-01T00:00:04,4,steady,210,95,640,92\n",
    ]
    (tmp_path / "ws" / "burn.csv").write_text(header + "".join(rows))
    assert run("ingest", "engine_telemetry", "--from", "burn.csv", cwd=tmp_path / "ws").code == 0
    shown = [run("quarantine", "show", str(number), cwd=tmp_path / "ws").out for number in (1, 2, 3, 4)]
    assert [caret(text) for text in (shown[0], shown[1], shown[3])] == ["n/a", "7,8", "2025-01-01T00:00:04"]
    lines = shown[2].splitlines()
    under = next(line for line in lines if line.strip().startswith("^"))
    record = lines[lines.index(under) - 1]
    assert [record[at] for at, letter in enumerate(under) if letter == "^"] == [*"standby", *"50"]


def test_a_mended_contract_lets_rows_out(run: Run, make: Any, fleet: Path) -> None:
    """The dry run says what would happen and changes nothing; the replay does it, once; totals stay the same."""
    make.write(fleet / "events.jsonl", make.dirty(200))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    for version in ("v1", "v2"):
        contract = fleet / "contracts" / "events" / f"{version}.yaml"
        contract.write_text(contract.read_text().replace("minimum: -40, maximum: 80", "minimum: -40, maximum: 400"))
    before = run("digest", "--json", cwd=fleet).document
    dry = run("quarantine", "replay", "events", "--dry-run", "--json", cwd=fleet).document
    told = {name: dry[name] for name in ("moved", "stored", "duplicate", "superseded", "still", "given_up")}
    assert told == {"moved": 2, "stored": 2, "duplicate": 0, "superseded": 0, "still": 8, "given_up": 0}
    assert dry["checks"]["temperature.range"] == 2
    assert run("digest", "--json", cwd=fleet).document == before
    done = run("quarantine", "replay", "events", "--json", cwd=fleet).document
    assert {name: done[name] for name in told} == told
    again = run("quarantine", "replay", "events", "--json", cwd=fleet).document
    assert (again["moved"], again["still"]) == (0, 8)
    none = run("quarantine", "replay", "events", "--check", "x", cwd=fleet).out
    assert none == "events  no row that broke x is in quarantine\n"
    balance = run("balance", "events", "--json", cwd=fleet).document
    assert balance["balanced"]
    assert [balance["streams"][0][name] for name in ("received", "stored", "quarantined")] == [200, 188, 8]
    assert run("quarantine", "stats", "--json", cwd=fleet).document["streams"]["events"]["states"]["repaired"] == 2


def test_rows_tried_in_vain_are_left_alone(run: Run, make: Any, fleet: Path) -> None:
    """After as many tries as the settings allow a row is no longer tried, and that is said."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    few = {"HOTFIRE_ENGINE__QUARANTINE_TRIES": "1"}
    assert run("quarantine", "replay", "events", "--json", cwd=fleet, **few).document["still"] == 5
    left = run("quarantine", "replay", "events", "--json", cwd=fleet, **few).document
    assert (left["still"], left["given_up"]) == (0, 5)
    assert "left alone" in run("quarantine", "replay", cwd=fleet, **few).out


def test_discarded_rows_stay_as_tombstones(run: Run, make: Any, fleet: Path) -> None:
    """A discarded row keeps its reason and its place in every count, and is never replayed."""
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    digest = run("digest", "--json", cwd=fleet).document
    done = run("quarantine", "discard", "1", "2", "77", "--reason", "test rig", "--json", cwd=fleet)
    assert (done.code, done.document["discarded"], done.document["not_open"]) == (2, [1, 2], [77])
    shown = run("quarantine", "show", "1", "--json", cwd=fleet).document
    assert (shown["state"], shown["reason"]) == ("discarded", "test rig")
    assert run("quarantine", "stats", "--json", cwd=fleet).document["total"] == 3
    assert run("quarantine", "replay", "events", "--json", cwd=fleet).document["still"] == 3
    assert run("digest", "--json", cwd=fleet).document == digest
    assert run("balance", "events", "--json", cwd=fleet).document["streams"][0]["quarantined"] == 5


def test_all_rows_of_a_check_can_be_discarded(run: Run, make: Any, fleet: Path) -> None:
    """Of a file in the wrong form nothing is read: `show` asks for the settings, and one command gives the rows up."""
    make.write(fleet / "wrong.jsonl", [b"event_id,device_id", b"e1,d1", b"e2,d2"])
    make.write(fleet / "events.jsonl", make.dirty(100))
    for name in ("wrong.jsonl", "events.jsonl"):
        assert run("ingest", "events", "--from", name, cwd=fleet).code == 0
    shown = run("quarantine", "show", "1", cwd=fleet).out
    assert "Nothing of its batch could be read. Is this a file for events" in shown
    command = next(line for line in shown.splitlines() if "quarantine discard" in line).partition("then hotfire ")[2]
    done = run(*command.split(), "--json", cwd=fleet).document
    assert (len(done["discarded"]), done["not_open"]) == (4, [])
    assert run("quarantine", "stats", "--json", cwd=fleet).document["total"] == 4
    assert run("balance", cwd=fleet).code == 0
    for words in ((), ("1", "--check", "row.parse")):
        refused = run("quarantine", "discard", *words, "--reason", "x", cwd=fleet)
        assert (refused.code, "Which rows?" in refused.err) == (2, True)


def test_a_row_counts_once_in_each_check_it_broke(hotfire: Run, make: Any) -> None:
    """`stats` counts a row once in the total, in its stream, and in every check it broke."""
    counts, checks = make.truth(300)
    stats = hotfire("quarantine", "stats", "--json").document
    assert (stats["total"], stats["checks"]) == (counts["quarantined"], checks)
    assert stats["streams"]["events"]["states"] == {"open": 15, "repaired": 0, "discarded": 0}
    assert json.loads(json.dumps(stats["streams"]["boxes"]["checks"])) == {}


def test_a_row_that_only_the_store_refuses_is_set_aside_and_replayed(fleet: Path, run: Run, make: Any) -> None:
    """A trigger of the database's own: its rows are in quarantine, a dry run ends, and without it they are stored."""
    assert run("ingest", "events", "--from", "-", cwd=fleet, stdin=b"").code == 0
    database = fleet / "data" / "hotfire.db"
    trigger = "create trigger t before insert on events when NEW.temperature > 27 begin select raise(abort, 'no'); end"
    lines = b"".join(json.dumps(make.event(number)).encode() + b"\n" for number in range(100))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(trigger)
    first = run("ingest", "events", "--from", "-", "--batch-rows", "30", "--json", cwd=fleet, stdin=lines).document
    assert (first["stored"], first["checks"]) == (80, {"row.store": 20})
    assert run("quarantine", "replay", "--dry-run", "--json", cwd=fleet).code == 0
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("drop trigger t")
    assert run("quarantine", "replay", "--json", cwd=fleet).code == 0
    assert run("sql", "select count(*) as n from lake.events", "--json", cwd=fleet).document == [{"n": 100}]
    assert run("balance", "--json", cwd=fleet).document["balanced"]
    assert not list((fleet / "data" / "spool").glob("stdin-*"))
