"""Rejudge: what today's rules say of a stream's past, as another revision of its ledger of conditions.

All of history is judged, so that what detectors remember is right wherever the stretch begins; of the stretch that is asked
for, the new account holds, outside of it the previous one (`alarm/splice.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec import Struct

from hotfire.alarm.compare import FOREVER_NS, Difference, difference
from hotfire.alarm.splice import BEGINNING_NS, Entry, revised, spliced
from hotfire.engine.backtest import Coverage, Evaluation
from hotfire.findings import Condition

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.feed import Fed
    from hotfire.engine.watch import Ruleset
    from hotfire.findings import Change
    from hotfire.protocols import Store

Reach = Mapping[tuple[str, str], int]
"""By shard and asset, the event time of the last row that was judged."""
_PAGE = 20_000


class Rejudged(Struct, frozen=True):
    """What today's rules say of the past.

    Attributes:
        before: the conditions that hold by the previous revision.
        after: those of the new one.
        rows: that were judged.
    """

    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    reach: Reach
    rows: int

    @property
    def difference(self) -> Difference:
        """From the previous revision to the new one."""
        return difference(*([one.condition for one in own] for own in (self.before, self.after)))


def rejudged(
    contract: Contract,
    ruleset: Ruleset,
    fed: Iterable[Fed],
    before: Iterable[Entry],
    bounds: tuple[int | None, int | None] = (None, None),
) -> Rejudged:
    """Judge history anew.

    Args:
        fed: all of it, with `batch_seq`.
        before: the previous revision.
        bounds: the event times [since, until) of which the new account holds; None is open.
    """
    one, coverage = Evaluation(contract, ruleset), Coverage(contract)
    batches: dict[tuple[str, str, str, str, int], int] = {}
    for some in fed:
        coverage.take(some)
        for change in one.take(some):
            held = change.condition
            key = (some.shard, held.rule, held.asset, held.channel, held.number)
            if key not in batches:
                batches[key] = _batch(contract, some, change)
    found = [Entry(key[0], batches[key], condition) for key, condition in one.found.items()]
    kept = tuple(before)
    return Rejudged(kept, tuple(revised(kept, found, *bounds)), dict(coverage.reach), coverage.rows)


def previous(store: Store, stream: str) -> tuple[int, list[Entry]]:
    """The newest revision's number, and its conditions; after where it reaches, what the engine has found since."""
    revisions = store.query("revisions", stream=stream)
    own = list(entries(store, stream, 1))
    if revisions.is_empty():
        return 1, own
    newest = revisions.row(-1, named=True)
    return newest["revision"], _gone_on(entries(store, stream, newest["revision"]), own, reach_of(newest["reach"]))


def entries(store: Store, stream: str, revision: int) -> Iterator[Entry]:
    """Every condition of one revision, in the order in which they were written."""
    after = 0
    while True:
        page = store.query("conditions", stream=stream, revision=revision, after=after, page=_PAGE)
        for row in page.rename({"limit_value": "limit"}).iter_rows(named=True):
            kept = {name: value for name, value in row.items() if name not in {"id", "shard", "batch_seq"}}
            yield Entry(row["shard"], row["batch_seq"], Condition(**kept))
        if page.height < _PAGE:
            return
        after = page["id"][-1]


def reach_text(reach: Reach) -> str:
    """A reach as it is kept."""
    return msgspec.json.encode([(*key, until_ns) for key, until_ns in sorted(reach.items())]).decode()


def reach_of(text: str) -> Reach:
    """A reach from its text."""
    found = msgspec.json.decode(text, type=list[tuple[str, str, int]])
    return {(shard, asset): until_ns for shard, asset, until_ns in found}


def _gone_on(newest: Iterable[Entry], engine: Iterable[Entry], reach: Reach) -> list[Entry]:
    """The account of a revision as far as it reaches, and the engine's own from there on.

    A condition of the engine that was raised before goes on only where it holds by the revision, too.
    """
    judged, own = _by_asset(newest), _by_asset(engine)
    found: list[Entry] = []
    for key in sorted(judged.keys() | own.keys()):
        edge_ns = reach[key] + 1 if key in reach else BEGINNING_NS
        holds = {one.point for one in judged.get(key, []) if one.condition.level is not None}
        since = [one for one in own.get(key, []) if one.condition.raised_at_ns >= edge_ns or one.point in holds]
        found += spliced([(BEGINNING_NS, edge_ns, judged.get(key, [])), (edge_ns, FOREVER_NS, since)])
    return found


def _by_asset(some: Iterable[Entry]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for one in some:
        found.setdefault((one.shard, one.condition.asset), []).append(one)
    return found


def _batch(contract: Contract, fed: Fed, change: Change) -> int:
    """The batch of the row that raised a condition; with rows that waited for their turn, of those that ended that."""
    asset, time = contract.identity[:2]
    own = (pl.col(asset) == change.condition.asset) & (pl.col(time) == change.condition.raised_at_ns)
    batches = fed.rows.select(pl.coalesce(pl.col("batch_seq").filter(own).max(), pl.col("batch_seq").max()))
    return int(batches.item())
