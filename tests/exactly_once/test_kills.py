"""SIGKILL at random instants, HOTFIRE_CRASHES times in all (default 50): nothing is different afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hotfire.contract.model import Contract, dump
from hotfire.source.files import FileSource
from hotfire.testing.replica import replica
from hotfire.testing.stand import Stand
from hotfire.testing.web_api import flight, flights, write_workspace
from hotfire.workspace.contracts import contract_texts, load_contract

CRASHES = int(os.environ.get("HOTFIRE_CRASHES", "50"))
pytestmark = pytest.mark.crash

CONTRACT = Path(__file__).with_name("burns.yaml").read_text()
WIDER = CONTRACT.replace("maximum: 100}", "maximum: 100, minimum: -10}").replace(
    "minimum: 0, maximum: 100, ", "maximum: 100, "
)


class Zygote:
    """The process that forks and kills."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("zygote.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.kills = 0

    def order(self, **order: Any) -> int | None:
        """One child; its exit code, or None where it was killed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"delay_s": None, **order}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.kills += "killed" in answer
        return answer.get("code")

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout
        self._process.stdout.close()


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    one = Zygote()
    yield one
    one.close()


@pytest.fixture
def workspace(bench: Path) -> Callable[..., Path]:
    def made(name: str, url: str = "") -> Path:
        folder = bench / name
        (folder / "contracts" / "burns").mkdir(parents=True)
        (folder / "contracts" / "burns" / "v1.yaml").write_text(CONTRACT)
        store = f'[store]\nurl = "{url}"\n\n' if url else ""
        (folder / "hotfire.toml").write_text(f'{store}[streams.burns.source]\nkind = "files"\n')
        return folder

    return made


def on(folder: Path, **more: Any) -> Stand:
    """The engine over the data of a workspace, to look at what came of it."""
    texts = contract_texts(folder, "burns")
    return Stand(folder / "data", load_contract(folder, "burns"), texts=texts, **more)


def undisturbed(zygote: Zygote, **order: Any) -> float:
    """Run the command to its end; how many seconds it took."""
    begun = time.monotonic()
    assert zygote.order(**order) == 0, Path(order["out"]).read_text()
    return time.monotonic() - begun


def killed_until_done(zygote: Zygote, chance: random.Random, longest_s: float, **order: Any) -> None:
    """Start the command and kill it, again and again, until it comes through by itself."""
    while (code := zygote.order(delay_s=chance.uniform(0, longest_s), **order)) is None:
        longest_s *= 1.05  # a machine under load must come through as well
    assert code == 0, Path(order["out"]).read_text()


@dataclass(frozen=True)
class Bench:
    """What one kind of store takes: how to make a workspace's URL of it, and its share of the kills."""

    new_url: Callable[[], str]
    share: float


@pytest.fixture(params=["sqlite", "postgresql"])
def kept_in(request: pytest.FixtureRequest) -> Bench:
    if request.param == "sqlite":
        return Bench(str, 0.18)
    return Bench(request.getfixturevalue("new_store_url"), 0.05)


@pytest.mark.parametrize("name", ["burns.csv", "burns.jsonl", "burns.parquet"])
def test_an_ingest_killed_at_random_instants_changes_nothing(
    zygote: Zygote,
    workspace: Callable[..., Path],
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    kept_in: Bench,
    name: str,
) -> None:
    """Digest, fates by line, clocks, corrections and the lake equal those of a run that nobody disturbed."""
    calm = workspace("calm")
    path = make(calm.parent / name, 1200)
    argv = ["ingest", "burns", "--from", str(path), "--json", "--batch-rows", "20"]
    taken_s = undisturbed(zygote, do="command", argv=argv, folder=str(calm), out=str(calm / "out"))
    came, arrival = on(calm).came(), on(calm).arrival()
    assert came.totals["received"] == 1200
    number = 0
    while zygote.kills < CRASHES * kept_in.share:
        number += 1
        url = kept_in.new_url()
        chance, folder = random.Random(f"{name} {number}"), workspace(f"{number}", url)
        order = {"do": "command", "argv": argv, "folder": str(folder), "out": str(folder / "out")}
        killed_until_done(zygote, chance, 0.3 * taken_s, **order)
        print(f"seed {name} {number}: {zygote.kills} kills so far")  # noqa: T201 - pytest shows it where it fails
        assert on(folder, url=url).came() == came
        assert on(folder, url=url).arrival() == arrival
        found = on(folder, url=url).balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        shutil.rmtree(folder)


@pytest.mark.parametrize("lake_only", [False, True], ids=["store", "lake_only"])
def test_kills_while_the_lake_is_written_or_compacted_change_nothing(
    zygote: Zygote,
    bench: Path,
    burns: Contract,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    lake_only: bool,  # noqa: FBT001
) -> None:
    """Killed a moment after an append or a compaction began: the lake's rows, counts and arrival order are the same."""
    path, contract = make(bench / "burns.jsonl", 120), bench / "contract.json"
    contract.write_bytes(dump(burns))
    calm = Stand(bench / "calm", burns, lake_only=lake_only)
    calm.run(open_files(path, batch_rows=20))
    came, arrival = calm.came(), calm.arrival()
    order = {"do": "stand", "files": [str(path)], "contract": str(contract), "lake_only": lake_only, "batch_rows": 20}
    number = 0
    while zygote.kills < CRASHES * 0.08:
        number += 1
        chance, folder = random.Random(f"lake {lake_only} {number}"), bench / f"{number}"
        folder.mkdir()
        for _ in range(6):
            marks = [["lake.append", chance.randint(1, 3)], ["lake.maintain", 1]]
            here = {"folder": str(folder), "out": str(folder / "out"), "mark": chance.choice(marks)}
            code = zygote.order(delay_s=chance.uniform(0, 0.06), **order, **here)
            assert code in {None, 0}, (folder / "out").read_text()
        assert zygote.order(folder=str(folder), out=str(folder / "out"), **order) == 0, (folder / "out").read_text()
        stand = Stand(folder, burns, lake_only=lake_only)
        assert stand.came() == came
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        shutil.rmtree(folder)


def test_a_replay_killed_at_random_instants_changes_nothing(
    zygote: Zygote, workspace: Callable[..., Path], make: Callable[..., Path]
) -> None:
    """After a contract change quarantine is replayed: killed or not, the same rows move and the same ones stay."""
    fresh = workspace("fresh")
    path = make(fresh.parent / "burns.csv", 1200)
    argv = ["ingest", "burns", "--from", str(path), "--json"]
    undisturbed(zygote, do="command", argv=argv, folder=str(fresh), out=str(fresh / "out"))
    stored = on(fresh).came().totals["stored"]
    (fresh / "contracts" / "burns" / "v1.yaml").write_text(WIDER)
    replay = {"do": "command", "argv": ["quarantine", "replay", "burns", "--json"]}
    calm = fresh.parent / "calm"
    shutil.copytree(fresh, calm)
    taken_s = undisturbed(zygote, **replay, folder=str(calm), out=str(calm / "out"))
    came = on(calm).came()
    assert came.totals["stored"] > stored
    number = 0
    while zygote.kills < max(10, CRASHES * 0.05):
        number += 1
        chance, folder = random.Random(f"replay {number}"), fresh.parent / f"{number}"
        shutil.copytree(fresh, folder)
        killed_until_done(zygote, chance, taken_s, **replay, folder=str(folder), out=str(folder / "out"))
        assert on(folder).came() == came
        assert on(folder).balance().differences == []
        shutil.rmtree(folder)


def test_kills_while_old_rows_leave_the_store_change_nothing(
    zygote: Zygote, workspace: Callable[[str], Path], make: Callable[..., Path], open_files: Callable[..., FileSource]
) -> None:
    """With a retention: digest, fates and the lake equal those of a run that keeps every row, and old rows are gone."""
    calm = workspace("calm")
    path = make(calm.parent / "burns.jsonl", 600)
    first = json.loads(path.read_bytes().partition(b"\n")[0])["at"]
    spread = [json.loads(line) for line in path.read_bytes().splitlines()]
    path.write_text("".join(json.dumps({**row, "at": first + (row["at"] - first) * 60}) + "\n" for row in spread))
    argv = ["ingest", "burns", "--from", str(path), "--json", "--batch-rows", "30"]
    taken_s = undisturbed(zygote, do="command", argv=argv, folder=str(calm), out=str(calm / "out"))
    came, arrival = on(calm).came(), on(calm).arrival()
    number = 0
    while zygote.kills < max(10, CRASHES * 0.06):
        number += 1
        chance, folder = random.Random(f"retention {number}"), workspace(f"{number}")
        with (folder / "hotfire.toml").open("a") as settings:
            settings.write('[streams.burns]\nretention = "30 d"\n')
        order = {"do": "command", "argv": argv, "folder": str(folder), "out": str(folder / "out")}
        killed_until_done(zygote, chance, 1.2 * taken_s, **order)
        stand = on(folder, retention_ns=1)
        assert stand.came() == came
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        assert found.cleared > 100
        shutil.rmtree(folder)


def test_a_backfill_killed_at_random_instants_changes_nothing(
    zygote: Zygote,
    workspace: Callable[..., Path],
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    kept_in: Bench,
) -> None:
    """Killed while it looks for what is missing, or while it brings it in: asked for again it goes on, and ends the same."""
    fresh = workspace("fresh")
    path, ahead = make(fresh.parent / "burns.csv", 1200), fresh.parent / "ahead.jsonl"
    newest = {"at": 1_700_000_000_000_000_000 + 10**15, "flow": 1.0}
    ahead.write_text("".join(json.dumps({"engine": f"TRE-{one:03}", **newest}) + "\n" for one in (1, 2)))
    argv = ["backfill", "burns", "--from", str(path), "--json"]

    def prepared(name: str, url: str = "") -> dict[str, str]:
        folder = workspace(name, url)
        with (folder / "hotfire.toml").open("a") as settings:
            settings.write("\n[engine]\nbatch_rows = 20\n")
        here = {"folder": str(folder), "out": str(folder / "out")}
        undisturbed(zygote, do="command", argv=["ingest", "burns", "--from", str(ahead), "--json"], **here)
        return here

    calm = prepared("calm")
    taken_s = undisturbed(zygote, do="command", argv=argv, **calm)
    came, arrival = on(Path(calm["folder"])).came(), on(Path(calm["folder"])).arrival()
    assert came.totals["received"] == 1202
    number = 0
    while zygote.kills < max(4, CRASHES * kept_in.share / 5):
        number += 1
        url = kept_in.new_url()
        here = prepared(f"{number}", url)
        chance = random.Random(f"backfill {number}")
        killed_until_done(zygote, chance, 0.3 * taken_s, do="command", argv=argv, **here)
        stand = on(Path(here["folder"]), url=url)
        assert stand.came() == came
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path, ahead))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)
        assert stand.replay().difference is None
        shutil.rmtree(here["folder"])


def test_polls_of_a_web_api_killed_at_random_instants_change_nothing(
    zygote: Zygote, bench: Path, kept_in: Bench
) -> None:
    """The first list, what is newer, and a deletion: the digest is that of undisturbed polls, each change left a snapshot."""
    third = {"launches": [flight(0, success=False), *map(flight, [*range(1, 7), *range(8, 45)])]}
    story = [(flights(40), []), (flights(45), []), (third, ["--reconcile"])]
    with replica(flights(40)) as server:

        def polled(folder: Path, poll: Callable[..., object]) -> str:
            write_workspace(folder, server.url, kept_in.new_url() if folder.name != "calm" else "")
            for snapshot, words in story:
                server.step(snapshot)
                argv = ["ingest", "flights", "--batch-rows", "20", "--json", *words]
                poll(do="command", argv=argv, folder=str(folder), out=str(folder / "out"))
            argv = ["digest", "flights", "--json"]
            assert zygote.order(do="command", argv=argv, folder=str(folder), out=str(folder / "digest")) == 0
            argv = ["balance", "flights", "--reread", "--json"]
            assert zygote.order(do="command", argv=argv, folder=str(folder), out=str(folder / "balance")) == 0
            found = json.loads((folder / "balance").read_text())["streams"][0]
            assert (found["pending"], found["stored"], found.get("unread")) == (0, 50, None)
            argv = ["sql", "select batch_seq, stored = batch_size as same from hf_ledger left join totals on arrival = id where stored > 0 or id is not null", "--json"]  # fmt: skip
            assert zygote.order(do="command", argv=argv, folder=str(folder), out=str(folder / "totals")) == 0
            snapshots = json.loads((folder / "totals").read_text())
            assert [one["batch_seq"] for one in snapshots if one["same"]] == [one["batch_seq"] for one in snapshots]
            return str(json.loads((folder / "digest").read_text())["digest"])

        took: list[float] = []
        digest = polled(bench / "calm", lambda **order: took.append(undisturbed(zygote, **order)))
        number = 0
        while zygote.kills < CRASHES * kept_in.share / 8:
            number += 1
            chance, folder = random.Random(f"polls {number}"), bench / f"{number}"
            assert digest == polled(folder, lambda **order: killed_until_done(zygote, chance, max(took), **order))  # noqa: B023
            shutil.rmtree(folder)
