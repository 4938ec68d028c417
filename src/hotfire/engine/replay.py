"""Replay: what is stored and quarantined goes through the engine again, as it arrived, into a shadow ledger.

Nothing is checked again: the verdict on every row is ready made of what the store says. Everything after it is the engine
as it runs live, over a store of its own: deduplication, clocks, late marks, versions. Where batches end means nothing, so
small ones are taken together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from hotfire.engine.flow import Flow
from hotfire.engine.loop import run
from hotfire.engine.past import ARRIVAL, Page, Past, Recorded
from hotfire.ledger.digest import digest
from hotfire.rows import Counts, Outcome

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.protocols import Store


class Replayed(Struct, frozen=True):
    """What came of a replay.

    Attributes:
        digest: of the shadow ledger.
        live: of the stream itself; empty where only a part was replayed: that is compared row by row.
        upto: the last batch of each shard that was replayed.
        difference: the first row or asset that came out otherwise, and how; None where none did.
    """

    digest: str
    live: str
    counts: Counts
    upto: Mapping[str, int]
    difference: Mapping[str, Any] | None

    @property
    def equal(self) -> bool:
        """Whether the shadow ledger is the stream's."""
        return self.difference is None and self.live in {"", self.digest}


def replay(recorded: Recorded, shadow: Store, clock: Clock, replay_id: str) -> Replayed:
    """Take a stream through the engine again.

    Args:
        shadow: a store of its own, in which the stream's tables are made and empty.
    """
    contract, pages = recorded.contract, Past(recorded)
    flow = Flow(contract, pages, shadow, None, clock, replay_id, pages.reread, lambda _: contract, judge=pages.judge)
    differences: list[Mapping[str, Any]] = []

    def compare(outcome: Outcome) -> None:
        page = pages.committed(outcome)
        if not differences:
            differences.extend(_difference(recorded, page, outcome))

    counts = run(flow, compare)
    shards = recorded.store.query("shards", stream=contract.stream).select("shard", "committed_seq").rows()
    live = ""
    if recorded.whole:
        live = digest(contract, recorded.store, recorded.lake, lake_only=recorded.lake_only)
        differences.extend(_other_assets(contract, recorded.store, shadow))
    return Replayed(digest(contract, shadow, None), live, counts, dict(shards), next(iter(differences), None))


def _difference(recorded: Recorded, page: Page, outcome: Outcome) -> Iterator[Mapping[str, Any]]:
    """The first row of a page that was not stored again as it is stored. Marks depend on what came before a part."""
    names = [name for name in page.rows.columns if name not in {"shard", "at", *ARRIVAL}]
    if not recorded.whole:
        names = [name for name in names if name != "late"]
    stored = page.rows.select("at", *names).sort("at")
    again = outcome.rows.select(pl.col("row_no").alias("at"), *names).sort("at")
    if stored.equals(again):
        return
    pairs = stored.join(again.with_columns(again=True), on="at", how="left", suffix="__again", maintain_order="left")
    other = [pl.col(name).ne_missing(pl.col(f"{name}__again")) for name in names]
    at = pairs.filter(pl.any_horizontal(pl.col("again").is_null(), *other))["at"][0]
    row = pairs.row(by_predicate=pl.col("at") == at, named=True)
    came = page.rows.row(by_predicate=pl.col("at") == at, named=True)
    found = {"shard": page.shard, **{name: came[name] for name in ARRIVAL}}
    faults = {fault.check for one in outcome.rejected if one.row_no == at for fault in one.faults}
    if row["again"] is None:
        yield {**found, "what": f"is stored; again it is {', '.join(sorted(faults)) or 'a duplicate'}"}
    else:
        changed = [name for name in names if row[name] != row[f"{name}__again"]]
        yield {**found, "what": "; ".join(f"{one} is {row[one]}, again {row[f'{one}__again']}" for one in changed)}


def _other_assets(contract: Contract, store: Store, shadow: Store) -> Iterator[Mapping[str, Any]]:
    """The first asset whose clock, counter, gaps or number of rows came out otherwise."""
    names = ["asset", "clock_ns", "counter", "gaps", "stored"]
    stands, again = ({row[0]: row for row in one.assets(contract).select(names).rows()} for one in (store, shadow))
    for asset in sorted(stands.keys() | again.keys()):
        if stands.get(asset) != again.get(asset):
            yield {"asset": asset, "what": f"{names[1:]} is {stands.get(asset)}, again {again.get(asset)}"}
            return
