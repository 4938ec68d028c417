"""Taking a new major version up, killed at any step: store and lake are of one version or the other, and then of the new."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract, Lens
from hotfire.engine.flow import Flow
from hotfire.engine.upgrade import Nothing, take_up
from hotfire.errors import ContractError
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash, ListSource
from hotfire.testing.stand import Stand

FIRST = Contract(
    stream="s",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("a", "string", required=True),
        Column("t", "timestamp", required=True, format="epoch_s"),
        Column("v", "integer"),
        Column("temp_f", "number", maximum=500),
    ),
    asset="a",
    time="t",
    hash="first",
)
SECOND = replace(
    FIRST,
    version="2.0.0",
    columns=(*FIRST.columns[:3], Column("temp", "number"), Column("mode", "string")),
    lens=Lens(1, "v = 1", {"temp": "(temp_f - 32) / 1.8", "mode": "'auto'"}),
    older=(FIRST,),
    hash="second",
)
OLDER: list[Any] = [{"a": "AB"[t % 2], "t": t, "v": 1, "temp_f": t / 3} for t in range(25)]
OLDER += [{"a": "A", "t": 3, "v": 1, "temp_f": 9.5}, {"a": "A", "t": 40, "v": 1, "temp_f": 900}, b"{", OLDER[0]]
NEWER: list[Any] = [{"a": "A", "t": t, "v": 2, "temp": t / 7} for t in range(41, 46)]


def upgraded(folder: Path, fuse: Fuse | None = None) -> Stand:
    """The stream in `folder`, under the newer version."""
    stand, fuse = Stand(folder, SECOND), fuse or Fuse()
    with closing(Stand(folder, FIRST).store()) as store:
        contracts = {FIRST.hash: FIRST, SECOND.hash: SECOND}
        source = ListSource(OLDER, 10)
        flow = Flow(
            SECOND,
            Nothing(),
            fuse.wrap("store", store),
            fuse.wrap("lake", stand.lake(store)),
            stand.clock,
            "upgrade",
            lambda plan: source.reread(plan.span),
            contracts.__getitem__,
        )
        take_up(flow, stand.texts)
    return stand


def begun(folder: Path, fuse: Fuse | None = None) -> None:
    """The stream under the older version, as far as the fuse lets it come."""
    try:
        Stand(folder, FIRST).run(ListSource(OLDER, 10), fuse)
    except Crash:
        assert fuse


def test_an_upgrade_gives_what_the_newer_version_would_have_stored(bench: Path) -> None:
    """Converted afterwards or on arrival: the same rows and the same digest; the arrival order stays."""
    begun(bench / "then")
    before = Stand(bench / "then", FIRST).arrival()
    then = upgraded(bench / "then")
    assert then.arrival() == before
    at_once = Stand(bench / "at once", SECOND)
    at_once.run(ListSource(OLDER, 10))
    assert then.came().lake == [row for row in at_once.came().lake if row[1] != 40 * 10**9]
    for stand in (then, at_once):
        stand.run(ListSource([*OLDER, *NEWER], 10))
        assert stand.balance().differences == []
    then.repair()
    assert then.came().lake == at_once.came().lake
    assert then.digest() == at_once.digest()


def test_an_upgrade_may_die_at_any_step(bench: Path) -> None:
    """Taken up again, it goes on with what is still of the older version; nothing is converted twice."""
    begun(bench / "calm")
    fuse = Fuse()
    came = upgraded(bench / "calm", fuse).came()
    assert {"store.rewrite", "lake.rewrite"} <= {point for point, _ in fuse.trace}
    moments = sorted({(*step, after) for step in fuse.trace for after in (False, True)})
    for number, (point, call, after) in enumerate(moments):
        folder = bench / f"{number}"
        begun(folder)
        with pytest.raises(Crash):
            upgraded(folder, Fuse(point, call, after))
        again = Fuse()
        stand = upgraded(folder, again)
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.balance().differences == []
        done = (point, after) == ("store.rewrite", True) or point.startswith("lake.rewrite")
        assert ("store.rewrite", 1) not in again.trace or not done


@pytest.mark.parametrize("moment", [("store.plan", 2, True), ("store.commit", 3, False), ("lake.append", 1, False)])
def test_an_upgrade_first_finishes_what_a_crash_left(bench: Path, moment: tuple[str, int, bool]) -> None:
    """An unfinished batch of the older version is committed under it, and the lake caught up, before anything is converted."""
    point, call, after = moment
    begun(bench / "crash", Fuse(point, call, after))
    stand = upgraded(bench / "crash")
    stand.run(ListSource([*OLDER, *NEWER], 10))
    begun(bench / "calm")
    calm = upgraded(bench / "calm")
    calm.run(ListSource([*OLDER, *NEWER], 10))
    for one in (stand, calm):
        one.repair()
    assert stand.came().lake == calm.came().lake
    assert stand.digest() == calm.digest()
    assert stand.balance().differences == []


def test_going_back_is_refused(bench: Path) -> None:
    """A store of version 2 is not touched by a contract of version 1."""
    begun(bench)
    stand = upgraded(bench)
    came = stand.came()
    with closing(stand.store()) as store:
        flow = Flow(
            FIRST, Nothing(), store, None, stand.clock, "j", lambda plan: Nothing().reread(plan.span), {}.__getitem__
        )
        with pytest.raises(ContractError, match="version 2"):
            take_up(flow, stand.texts)
    assert stand.came() == came
