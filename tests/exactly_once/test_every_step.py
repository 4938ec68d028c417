"""A crash before and after every single call that a run makes, and again in the run after it: nothing is different."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from hotfire.contract.model import Contract
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.sources import Crash
from hotfire.testing.stand import Came, Stand

EFFECTS = {"store.open", "store.plan", "store.commit", "lake.append", "source.acknowledge"}
REPEATED = {"records.where", "records.raw"}
Moment = tuple[str, int, bool]


def moments(trace: list[tuple[str, int]]) -> list[Moment]:
    """Before every call, and after those that change anything. The raw bytes of rejected records are one step."""
    before = [(point, call, False) for point, call in trace if call == 1 or point not in REPEATED]
    return sorted({*before, *((point, call, True) for point, call in trace if point in EFFECTS)})


def survive(stand: Stand, source: Callable[[], FileSource], *fuses: Fuse) -> int:
    """Run until a run comes through, each with the next fuse; how many died."""
    deaths = 0
    for fuse in (*fuses, Fuse()):
        try:
            stand.run(source(), fuse)
        except Crash:
            deaths += 1
    stand.run(source())
    return deaths


@pytest.mark.parametrize(
    ("name", "lake_only"),
    [("burns.csv", False), ("burns.jsonl", True), ("burns.parquet", False)],
    ids=["csv-store", "jsonl-lake_only", "parquet-store"],
)
def test_a_crash_at_any_step_changes_nothing(
    bench: Path,
    burns: Contract,
    make: Callable[..., Path],
    open_files: Callable[..., FileSource],
    name: str,
    lake_only: bool,  # noqa: FBT001
) -> None:
    """After a restart, digest, fates, clocks, corrections and the lake's rows equal those of an undisturbed run."""
    path, chance = make(bench / name), random.Random(name)
    fuse = Fuse()
    calm = Stand(bench / "calm", burns, lake_only=lake_only)
    calm.run(open_files(path), fuse)
    came, arrival = calm.came(), calm.arrival()
    assert_is_a_worthy_mix(came)
    steps = moments(fuse.trace)
    for number, (point, call, after) in enumerate(steps):
        stand = Stand(bench / f"{number}", burns, lake_only=lake_only)
        again, times, later = chance.choice(steps)
        assert survive(stand, lambda: open_files(path), Fuse(point, call, after), Fuse(again, times, later)) >= 1
        assert (point, call, after, stand.came()) == (point, call, after, came)
        assert stand.arrival() == arrival
        found = stand.balance(open_files(path))
        assert (found.differences, found.unread, found.pending) == ([], [], 0)


def test_a_crash_while_standard_input_is_taken(bench: Path, burns: Contract, make: Callable[..., Path]) -> None:
    """The same bytes piped again after a crash at any step: all is as if it had not happened, and nothing is kept."""
    data, fuse = make(bench / "burns.jsonl").read_bytes(), Fuse()

    def piped(stand: Stand) -> FileSource:
        settings = FileSettings(batch_rows=14, spool=stand.folder / "spool")
        return FileSource(["-"], settings, ManualClock(), BytesIO(data))

    calm = Stand(bench / "calm", burns)
    with closing(piped(calm)) as source:
        calm.run(source, fuse)
    came = calm.came()
    assert_is_a_worthy_mix(came)
    dead: list[FileSource] = []
    for number, (point, call, after) in enumerate(moments(fuse.trace)):
        stand = Stand(bench / f"{number}", burns)
        dead.append(piped(stand))
        with pytest.raises(Crash):
            stand.run(dead[-1], Fuse(point, call, after))
        left = {path.name for path in (stand.folder / "spool").glob("*")}
        with closing(piped(stand)) as source:
            stand.run(source)
        assert (point, call, after, stand.came()) == (point, call, after, came)
        planned = any(point == "store.plan" for point, _ in fuse.trace[: fuse.trace.index((point, call))])
        assert not planned or left
        assert not planned or not list((stand.folder / "spool").iterdir())
    for source in dead:
        source.close()


def assert_is_a_worthy_mix(came: Came) -> None:
    """The records show every fate and mark, or the comparison would show little."""
    seen = {word for fate in came.fates.values() for word in fate}
    assert {"stored", "late", "corrected", "duplicate", "key.conflict", "flow.range", "at.ahead"} <= seen
    assert any(gaps for _, _, _, gaps, _ in came.assets)
    assert len(came.lake) == came.totals["stored"]
