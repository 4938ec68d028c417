"""Old rows leave the store while batches come: killed at any step, nothing is lost, and rows that come again are known."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotfire.contract.model import Contract
from hotfire.errors import LakeUnusable
from hotfire.rows import LIVE
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import END, Crash, ListSource
from hotfire.testing.stand import Stand, scratch

MINUTE_NS = 60_000_000_000
NOW_NS = 1_780_272_000_000_000_000
EFFECTS = {"store.plan", "store.commit", "store.clear", "lake.append"}


def record(number: int, **changed: Any) -> dict[str, Any]:
    """A sound record of one of three engines: each has one every 4 minutes, the last now."""
    at = NOW_NS - (150 - number) // 3 * 4 * MINUTE_NS
    engine = f"TRE-{number % 3 + 1:03}"
    return {"engine": engine, "at": at, "seq": number // 3, "pressure": 200 + number / 7, "flow": 90.5, **changed}


def dirty(seed: int, rows: int = 150) -> list[dict[str, Any]]:
    """Sound records among repeated, conflicting, late, corrected and rejected ones."""
    chance, sent = random.Random(seed), list[dict[str, Any]]()
    for number in range(rows):
        old = chance.choice(sent) if sent else record(number)
        late = record(number)["at"] - chance.randrange(1, 200) * MINUTE_NS - 1
        some = [record(number, at=late), record(number, pressure=999.0), record(number, flow=-1.0), old]
        sent.append(chance.choice([*[record(number)] * 6, *some, {**old, "pressure": 1.25}]))
    return sent


def held(stand: Stand) -> tuple[int, int]:
    """How many rows the store holds, and how many it has let go of."""
    with closing(stand.store()) as store:
        gone = store.query("cleared", stream=stand.contract.stream)["cleared"].sum()
        return sum(rows.height for _, rows in store.batches(stand.contract, LIVE, 0)), int(gone or 0)


def test_a_crash_at_any_step_loses_nothing(bench: Path, burns: Contract) -> None:
    """Digest, fates, clocks and the lake equal those of a run that keeps every row; balance holds; old rows are gone."""
    items, chance = dirty(1), random.Random(2)

    def source() -> ListSource:
        return ListSource(items, 30)

    whole = Stand(bench / "whole", burns)
    whole.run(source())
    calm, fuse = Stand(bench / "calm", burns, retention_ns=60 * MINUTE_NS), Fuse()
    calm.run(source(), fuse)
    came, arrival = whole.came(), whole.arrival()
    assert calm.came() == came
    rows, gone = held(calm)
    assert gone > 50
    assert rows + gone == came.totals["stored"]
    points = [
        (point, call, after) for point, call in fuse.trace for after in (False, True) if not after or point in EFFECTS
    ]
    cleared = [one for one in points if one[0] == "store.clear"]
    assert len(cleared) >= 2
    for number, (point, call, after) in enumerate(sorted({*chance.sample(points, 20), *cleared})):
        stand = Stand(bench / f"{number}", burns, retention_ns=60 * MINUTE_NS)
        again, times, later = chance.choice(points)
        for one in (Fuse(point, call, after), Fuse(again, times, later), Fuse(), Fuse()):
            try:
                stand.run(source(), one)
            except Crash:
                assert stand.balance().differences == []
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.arrival() == arrival
        assert stand.balance(source()).differences == []
        assert held(stand) == (rows, gone)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), cut=st.integers(20, 120), minutes=st.integers(0, 150))
def test_rows_that_come_again_are_known(burns: Contract, seed: int, cut: int, minutes: int) -> None:
    """Sent anew after retention, every row has the fate it has where nothing was cleared: duplicate, conflict or stored."""
    items = dirty(seed)
    again = [*items, *(one for row in items for one in (row, {**row, "pressure": 2.5}))]
    steps = [part for at in range(0, len(again), cut) for part in (END, *again[at : at + cut])]
    with scratch() as folder:
        fates = []
        for name, retention_ns in (("whole", None), ("short", minutes * MINUTE_NS)):
            stand = Stand(folder / name, burns, retention_ns=retention_ns)
            source = ListSource(steps, 40)
            received = sum(stand.run(source).received for _ in range(steps.count(END) + 1))
            assert received == len(again)
            assert stand.balance(source).differences == []
            fates.append((stand.came(), stand.arrival()))
        assert fates[0] == fates[1]
        assert held(Stand(folder / "short", burns))[1] > 0


def test_a_crash_while_rows_leave_postgresql_loses_nothing(
    bench: Path, burns: Contract, new_store_url: Callable[[], str]
) -> None:
    """Before and after the transaction that clears rows."""
    items = dirty(3)
    calm = Stand(bench / "calm", burns)
    calm.run(ListSource(items, 30))
    came = calm.came()
    for after in (False, True):
        stand = Stand(bench / f"{after}", burns, url=new_store_url(), retention_ns=60 * MINUTE_NS)
        source = ListSource(items, 30)
        with pytest.raises(Crash):
            stand.run(source, Fuse("store.clear", 1, after))
        assert stand.balance().differences == []
        stand.run(source)
        assert stand.came() == came
        assert stand.balance(source).differences == []
        assert held(stand)[1] > 50


def test_a_lake_that_lost_cleared_rows_is_refused(bench: Path, burns: Contract) -> None:
    """A lost lake is not made anew from a store that no longer has every row: that would hide the loss."""
    stand = Stand(bench / "data", burns, retention_ns=60 * MINUTE_NS)
    stand.run(ListSource([record(number) for number in range(150)], 60))
    (bench / "data" / "lake" / "burns").rename(bench / "lost")
    with pytest.raises(LakeUnusable, match="retention has taken rows of batches up to 2"):
        stand.run(ListSource([record(number) for number in range(150)], 60))
    assert any("rows in the lake: 0" in one for one in stand.balance().differences)
    assert not (bench / "data" / "lake" / "burns").exists()


def test_each_asset_keeps_its_last_quarter_of_an_hour(bench: Path, burns: Contract) -> None:
    """However short the retention and however long an asset has been silent."""
    silent = [record(number, at=NOW_NS - (1000 - number) * MINUTE_NS) for number in range(0, 60, 3)]
    stand = Stand(bench / "data", burns, retention_ns=0)
    stand.run(ListSource([*silent, *(record(number) for number in range(1, 150, 3))]))
    with closing(stand.store()) as store:
        kept = next(rows for _, rows in store.batches(burns, LIVE, 0))
    ages = {engine: rows["at_ns"].max() - rows["at_ns"].min() for (engine,), rows in kept.group_by("engine")}
    assert ages == {"TRE-001": 15 * MINUTE_NS, "TRE-002": 12 * MINUTE_NS}
