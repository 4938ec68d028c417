"""What a Delta lake in a folder does beyond what every lake does."""

from __future__ import annotations

import json
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import polars as pl
import pytest
from deltalake import DeltaTable
from msgspec.structs import replace

from hotfire.contract.model import Column
from hotfire.errors import ContractError, LakeUnusable
from hotfire.lake.delta import MAINTAIN_EVERY, DeltaLake
from hotfire.testing.lake_suite import READINGS, batch, everything, rows_of, same

OLD = 1_600_000_000


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(tmp_path / "lake", "a")


def test_other_tools_see_dates_and_instants(lake: DeltaLake) -> None:
    """A Delta reader that knows nothing of hotfire finds doubles, longs, UTC instants and one folder a date."""
    lake.append(READINGS, "live", 1, batch(1))
    table = DeltaTable(lake.files("readings")[0].partition("/event_date=")[0])
    types = {field.name: field.type.type for field in table.schema().fields}
    assert list(types)[:4] == ["device", "taken", "taken_ns", "part"]
    assert [types[name] for name in ("taken", "taken_ns", "value", "is_on", "day")] == [
        "timestamp",
        "long",
        "double",
        "boolean",
        "date",
    ]
    assert table.metadata().partition_columns == ["event_date"]
    assert table.transaction_version("a/readings/live") == 1


def test_statistics_name_what_readers_skip_by(lake: DeltaLake, tmp_path: Path) -> None:
    """The log keeps the least and greatest time and batch of each file, before and after compaction."""
    for seq in (1, 2):
        lake.append(READINGS, "live", seq, batch(seq))
    lake.maintain("readings")
    actions = pl.DataFrame(DeltaTable(tmp_path / "lake" / "readings").get_add_actions(flatten=True))
    whole = pl.concat([batch(1), batch(2)])
    known = actions.select("num_records", "min.taken_ns", "max.taken_ns", "min.batch_seq", "max.batch_seq").rows()
    assert known == [(20, whole["taken_ns"].min(), whole["taken_ns"].max(), 1, 2)]


def test_the_lake_says_when_it_has_many_files(lake: DeltaLake) -> None:
    """Once in so many versions, until it is maintained; whoever appends sees to it."""
    for seq in range(1, MAINTAIN_EVERY + 1):
        assert not lake.worn("readings")
        rows = [{"device": "d", "taken_ns": seq}] if seq <= 10 else []
        lake.append(READINGS, "live", seq, rows_of(READINGS, seq, rows))
    assert (lake.worn("readings"), lake.worn("others")) == (True, False)
    lake.maintain("readings")
    assert not lake.worn("readings")
    assert len(lake.files("readings")) == 1
    assert everything(lake)["batch_seq"].to_list() == list(range(1, 11))


def test_a_file_that_is_full_is_left_as_it_is(lake: DeltaLake) -> None:
    """Compacting after months reads no more than at first: what is small is made one file, beside the full one."""
    texts = [os.urandom(2048).hex() for _ in range(18_000)]
    large = [{"device": text, "taken_ns": OLD * 10**9 + at} for at, text in enumerate(texts)]
    lake.append(READINGS, "live", 1, rows_of(READINGS, 1, large))
    (full,) = lake.files("readings")
    for seq in (2, 3, 4):
        lake.append(READINGS, "live", seq, rows_of(READINGS, seq, large[:1]))
    assert lake.maintain("readings")["compacted"] == 3
    files = lake.files("readings")
    assert (len(files), full in files) == (2, True)
    assert lake.counts("readings")["rows"].to_list() == [18_000, 1, 1, 1]


def test_readers_and_appends_go_on_beside_maintenance(lake: DeltaLake) -> None:
    """Threads that read, append and maintain one table do not fail; each reader sees whole appends, and ever more."""
    lake.append(READINGS, "live", 1, batch(1))
    done = Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            files = lake.files("readings")
            seen.append(pl.scan_parquet(files).select(pl.len()).collect().item())
        return seen

    def maintain() -> int:
        compacted = 0
        while not done.is_set():
            compacted += lake.maintain("readings")["compacted"]
        return compacted

    with ThreadPoolExecutor(3) as threads:
        readers, caring = [threads.submit(read) for _ in range(2)], threads.submit(maintain)
        try:
            for seq in range(2, 40):
                lake.append(READINGS, "live", seq, batch(seq))
        finally:
            done.set()
        assert caring.result() > 2
        for reader in readers:
            seen = reader.result()
            assert seen == sorted(seen)
            assert not any(count % 10 for count in seen)
    assert lake.marker("readings", "live") == 39
    assert same(everything(lake), pl.concat([batch(seq) for seq in range(1, 40)]))


def test_maintenance_drops_what_nobody_can_read_any_more(lake: DeltaLake) -> None:
    """Files that no commit names go once they are old; new ones may belong to a commit on its way."""
    lake.append(READINGS, "live", 1, batch(1))
    named = Path(lake.files("readings")[0])
    stray, fresh = named.with_name("stray.parquet"), named.with_name("fresh.parquet")
    for path in (stray, fresh):
        path.write_bytes(named.read_bytes())
    for path in (stray, named):
        os.utime(path, (OLD, OLD))
    lake.maintain("readings")
    assert (stray.exists(), fresh.exists(), named.exists()) == (False, True, True)
    assert same(everything(lake), batch(1))


def test_compacted_files_stay_for_those_who_read_them(tmp_path: Path) -> None:
    """A reader that took the file list before a compaction can finish; without keeping, the files go."""
    for hours, left in ((1, True), (0, False)):
        lake = DeltaLake(tmp_path / str(hours), "a", keep_hours=hours)
        for seq in (1, 2):
            lake.append(READINGS, "live", seq, batch(seq))
        before = lake.files("readings")
        assert lake.maintain("readings")["compacted"] == 2
        assert all(Path(path).exists() for path in before) is left
        assert everything(lake).height == 20


def test_a_store_from_a_backup_takes_the_lake_back(lake: DeltaLake) -> None:
    """Retreating deletes the shard's later batches, and only those, and lets them be appended again."""
    for seq in (1, 2, 3):
        lake.append(READINGS, "live", seq, batch(seq))
    lake.append(READINGS, "p'0", 3, batch(3, shard="p'0"))
    assert lake.retreat("readings", "live", 1) == 20
    assert lake.retreat("readings", "live", 1) == 0
    again = DeltaLake(Path(lake.files("readings")[0]).parents[2], "a")
    assert [again.marker("readings", shard) for shard in ("live", "p'0")] == [1, 3]
    assert same(everything(again), pl.concat([batch(1), batch(3, shard="p'0")]))
    again.append(READINGS, "live", 2, batch(2))
    assert everything(again).height == 30


def test_a_retreat_before_the_first_row_is_one_too(lake: DeltaLake) -> None:
    """The marker goes back even where there are no rows to delete."""
    lake.append(READINGS, "live", 4, batch(4, rows=0))
    assert lake.retreat("readings", "live", 2) == 0
    assert lake.marker("readings", "live") == 2
    assert lake.retreat("nothing", "live", 2) == 0


def test_a_column_cannot_change_its_type(lake: DeltaLake) -> None:
    """Delta cannot widen: the contract needs a new column, and says so."""
    lake.append(READINGS, "live", 1, batch(1))
    changed = replace(READINGS, columns=(*READINGS.columns[:2], Column("part", "number"), *READINGS.columns[3:]))
    with pytest.raises(ContractError, match=r"readings\.part is double by contract .* but the lake has it as long"):
        lake.evolve(changed)


def test_evolving_makes_the_table(lake: DeltaLake) -> None:
    """A table is there before its first row, so that a query finds its columns."""
    assert "value" in lake.empty(READINGS).columns
    lake.evolve(READINGS)
    assert lake.major("readings") == 1
    wider = replace(READINGS, columns=(*READINGS.columns, Column("flow", "number")))
    lake.evolve(wider)
    assert lake.empty(READINGS).schema["flow"] == pl.Float64
    assert lake.empty(READINGS).is_empty()


def test_files_are_checked_against_the_log(lake: DeltaLake) -> None:
    """A file that is gone or has another size is named; a sound table has no problems."""
    for seq in (1, 2):
        lake.append(READINGS, "live", seq, batch(seq))
    assert lake.check("readings").is_empty()
    assert lake.check("nothing").is_empty()
    second, first = lake.files("readings")
    size = Path(second).stat().st_size
    Path(first).unlink()
    os.truncate(second, 100)
    assert lake.check("readings").sort("first").rows() == [
        (f"{first} is missing.", 1, 1),
        (f"{second} has 100 bytes; the log says {size:,}.", 2, 2),
    ]


def test_a_table_can_be_set_aside(lake: DeltaLake, tmp_path: Path) -> None:
    """Its folder is moved, whole; the next append makes a new table, and the lake follows from the first batch."""
    lake.append(READINGS, "live", 1, batch(1))
    aside = lake.set_aside("readings", "today")
    assert aside.name == "readings.broken-today"
    assert (lake.marker("readings", "live"), list(lake.files("readings"))) == (0, [])
    lake.append(READINGS, "live", 1, batch(1))
    assert same(everything(lake), batch(1))
    with pytest.raises(LakeUnusable, match="no folder that could be moved"):
        DeltaLake(tmp_path.as_uri(), "a").set_aside("readings", "today")


def test_files_under_a_url_are_checked_too(tmp_path: Path) -> None:
    """Without a folder to look at, the Delta library audits."""
    lake = DeltaLake(tmp_path.as_uri(), "a")
    lake.append(READINGS, "live", 1, batch(1))
    assert lake.check("readings").is_empty()
    assert lake.check("nothing").is_empty()
    path = lake.files("readings")[0]
    Path(path.removeprefix("file://")).unlink()
    assert lake.check("readings")["problem"].to_list() == [f"{path} is missing."]


@pytest.mark.parametrize("name", ["with space", "ünï/çode", "[a-b]", "st*r", "que?ry", "h#sh", "quo'te"])
def test_folders_have_names_that_people_give(tmp_path: Path, name: str) -> None:
    """No letter of a folder's name is taken for a pattern or an address."""
    lake = DeltaLake(tmp_path / name, "a")
    for seq in (1, 2):
        lake.append(READINGS, "live", seq, batch(seq))
    lake.maintain("readings")
    assert lake.check("readings").is_empty()
    assert same(everything(DeltaLake(tmp_path / name, "a")), pl.concat([batch(1), batch(2)]))
    assert lake.counts("readings").height == 2


@pytest.mark.parametrize("name", ["50%20", "back\\slash"])
def test_folders_that_delta_would_miss_are_refused(tmp_path: Path, name: str) -> None:
    """The Delta library writes such a folder's table somewhere else, so hotfire does not begin."""
    with pytest.raises(LakeUnusable, match="has a % or a backslash"):
        DeltaLake(tmp_path / name, "a")


def test_appends_are_on_disk_before_they_count(lake: DeltaLake, tmp_path: Path) -> None:
    """Every data file that the log names was complete before the log named it: it is older than its commit."""
    for seq in range(1, 4):
        lake.append(READINGS, "live", seq, batch(seq))
    log = sorted((tmp_path / "lake" / "readings" / "_delta_log").glob("*.json"))
    for commit in log:
        added = [json.loads(line)["add"] for line in commit.read_text().splitlines() if "add" in json.loads(line)]
        for action in added:
            data = (tmp_path / "lake" / "readings" / action["path"]).stat()
            assert stat.S_ISREG(data.st_mode)
            assert data.st_mtime_ns <= commit.stat().st_mtime_ns
            assert data.st_size == action["size"]


def test_a_saved_table_is_of_its_own(lake: DeltaLake, tmp_path: Path) -> None:
    """It has the same rows up to a batch, and neither compaction nor deletion of the original reaches it."""
    for seq in (1, 2, 3):
        lake.append(READINGS, "live", seq, batch(seq))
    lake.save("readings", tmp_path / "all", {"live": 3})
    lake.save("readings", tmp_path / "less", {"live": 2})
    lake.save("others", tmp_path / "all", {"live": 3})
    assert not (tmp_path / "all" / "others").exists()
    shutil.rmtree(tmp_path / "lake")
    for name, upto in (("all", 3), ("less", 2)):
        saved = DeltaLake(tmp_path / name, "a")
        assert saved.marker("readings", "live") == upto
        assert same(everything(saved), pl.concat([batch(seq) for seq in range(1, upto + 1)]))
        assert saved.major("readings") == 1
        saved.append(READINGS, "live", upto + 1, batch(upto + 1))
        assert saved.counts("readings")["batch_seq"].to_list() == list(range(1, upto + 2))
        assert saved.check("readings").is_empty()
