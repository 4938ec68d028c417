"""A replay gives the ledger that live has, whatever has happened to the stream before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Check, Column, Contract, Lens
from hotfire.engine.flow import Flow
from hotfire.engine.upgrade import Nothing, take_up
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand, scratch

READINGS = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("device", "string", required=True),
        Column("at", "timestamp", required=True, format="epoch_s"),
        Column("part", "integer"),
        Column("count", "integer"),
        Column("temp_f", "number", maximum=100, limits={"warning": {"high": 80}, "min_violations": 2}),
        Column("level", "number", maximum=50, out_of_range="clamp", limits={"critical": {"high": 40}, "deadband": 3}),
    ),
    asset="device",
    time="at",
    key=("part",),
    counter="count",
    checks=(Check("level_below_temp", "level <= temp_f or temp_f is null"),),
    hash="readings 1.0",
)
WIDER = replace(
    READINGS,
    version="1.1.0",
    columns=(
        *READINGS.columns[:4],
        Column("temp_f", "number", maximum=200),
        *READINGS.columns[5:],
        Column("note", "string"),
    ),
    hash="readings 1.1",
)
SECOND = replace(
    WIDER,
    version="2.0.0",
    columns=(*WIDER.columns[:4], Column("temp", "number"), Column("note", "string")),
    checks=(),
    lens=Lens(1, "temp is null", {"temp": "(temp_f - 32) / 1.8"}),
    older=(WIDER,),
    hash="readings 2.0",
)
PLACES = replace(
    READINGS,
    stream="places",
    kind="entity",
    columns=tuple(column for column in READINGS.columns if column.name != "at"),
    asset=None,
    time=None,
    counter=None,
    key=("device", "part"),
    hash="places 1.0",
)


def as_entity(contract: Contract, revision: str | None) -> Contract:
    """The same columns as an entity, with versions by `count` or by arrival."""
    columns = tuple(column for column in contract.columns if column.name != "at")
    older = tuple(as_entity(one, revision) for one in contract.older)
    own = {"kind": "entity", "asset": None, "time": None, "counter": None, "key": ("device", "part")}
    return replace(contract, **own, columns=columns, revision=revision, older=older, hash=f"{contract.hash} {revision}")


KINDS: dict[str, tuple[Contract, Contract, Contract]] = {
    "telemetry": (READINGS, WIDER, SECOND),
    **{
        f"entity by {revision or 'arrival'}": tuple(as_entity(one, revision) for one in (READINGS, WIDER, SECOND))  # type: ignore[misc]
        for revision in (None, "count")
    },
}


@dataclass
class Past:
    """What happens to a stream, step by step."""

    stand: Stand
    versions: Sequence[Contract]
    sent: list[dict[str, Any] | bytes] = field(default_factory=list)

    def send(self, chance: random.Random) -> None:
        for _ in range(chance.randrange(1, 25)):
            row = {
                "device": f"d{chance.randrange(3)}",
                "at": 1000 + len(self.sent) // 2 - chance.choice([0, 0, 0, 7, 400, 2000]),
                "part": 1 if self.stand.contract.kind == "entity" else chance.choice([None, None, 1]),
                "count": len(self.sent) // 3 + chance.choice([0, 0, 0, 5, -3]),
                "temp_f": chance.choice([60.5, 61, 150, 250]),
                "level": chance.choice([1, 2, 70, 65]),
                **chance.choice([{}, {}, {"note": "x"}, {"temp": 7.25}, {"extra": 1}]),
            }
            bad = chance.choice([{**row, "device": None}, {**row, "at": "soon", "count": "many"}, b'{"device":'])
            old = self.sent[-1] if self.sent and isinstance(self.sent[-1], dict) else row
            changed = {**old, "level": chance.choice([1, 2])}
            self.sent.append(chance.choice([row, row, row, row, changed, changed, *self.sent[-9:], bad]))
        self.stand.run(ListSource(self.sent, chance.choice([1, 4, 100])))

    def repair(self, chance: random.Random) -> None:
        self.stand.repair(tries=3, batch=chance.choice([1, 2, 100]))

    def discard(self, chance: random.Random) -> None:
        with closing(self.stand.store()) as store:
            ids = store.query("quarantine_list", stream="", state="open", after=0, page=1000)["id"].to_list()
            chosen = chance.sample(ids, len(ids) // 2)
            assert store.discard(chosen, "not ours") == {*chosen}

    def change(self, _: random.Random) -> None:
        """The next version of the contract comes into use."""
        newer = self.versions[min(self.versions.index(self.stand.contract) + 1, 2)]
        if newer.older and not self.stand.contract.older:
            with closing(self.stand.store()) as store:
                take_up(self._idle(newer, store), self.stand.texts)
        self.stand.contract = newer

    def restart(self, _: random.Random) -> None:
        """The lake is compacted."""
        with closing(self.stand.store()) as store:
            self.stand.lake(store).maintain(self.stand.contract.stream)

    def _idle(self, contract: Contract, store: Any) -> Flow:
        known = {one.hash: one for one in self.versions}
        nothing = Nothing()
        parts = (contract, nothing, store, self.stand.lake(store), self.stand.clock, "job")
        return Flow(*parts, lambda plan: nothing.reread(plan.span), known.__getitem__, lake_only=self.stand.lake_only)


STEPS = ("send", "send", "repair", "discard", "change", "restart")


def lived(folder: Path, kind: str, seed: int, steps: Sequence[str], *, lake_only: bool = False) -> Stand:
    """A stream to which all of that has happened."""
    chance, versions = random.Random(seed), KINDS[kind]
    past = Past(Stand(folder, versions[0], lake_only=lake_only), versions)
    past.stand.known |= {one.hash: one for one in versions}
    for step in ("send", *steps):
        getattr(past, step)(chance)
    return past.stand


@given(st.sampled_from([*KINDS]), st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), max_size=7))
@example("entity by arrival", 3, ["send", "change", "change", "send", "repair"])
@example("entity by count", 3, ["send", "change", "repair", "change", "send"])
@example("entity by arrival", 8, ["send", "change", "repair"])
@example("telemetry", 5, ["change", "repair", "send", "discard", "send", "change", "send"])
@settings(max_examples=12)
def test_a_replay_gives_the_ledger_that_live_has(kind: str, seed: int, steps: list[str]) -> None:
    """Duplicates, conflicts, late and repaired rows, discarded ones, versions of records and of the contract."""
    with scratch() as folder:
        stand = lived(folder, kind, seed, steps)
        came = stand.came()
        again = stand.replay()
        assert again.difference is None
        assert again.digest == again.live == came.digest
        assert stand.came() == came
        fates = ("stored", "superseded", "late", "corrected")
        assert {name: getattr(again.counts, name) for name in fates} == {name: came.totals[name] for name in fates}
