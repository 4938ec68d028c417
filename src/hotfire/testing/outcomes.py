"""Plans, outcomes and rows to give to a store, and what it then holds. Shared by tests of anything that writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import polars as pl
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Column, Contract
from hotfire.protocols import Store
from hotfire.rows import LIVE, Counts, Fault, Outcome, Part, Place, Plan, Rejected, Span
from hotfire.testing.lake_suite import INT64, ROCKETS, rows_of

START_NS = 1_780_272_000_000_000_000
LAUNCHES = replace(
    ROCKETS, stream="launches", columns=(*ROCKETS.columns, Column("revision", "integer")), revision="revision"
)
"""Records whose newer version is told by a number."""

_streams = count()
_ASSETS = {"asset": pl.String, "clock_ns": pl.Int64, "counter": pl.Int64, "gaps": pl.Int64, "stored": pl.Int64}
_Row = Mapping[str, Any]


def named(contract: Contract) -> Contract:
    """The contract under a name of its own, so that examples do not meet."""
    stream = f"{contract.stream}_{next(_streams)}"
    return replace(contract, stream=stream, hash=f"hash of {stream}")


def plan_of(contract: Contract, batch_seq: int, rows: int = 0, shard: str = LIVE, *, repair: bool = False) -> Plan:
    """A plan of `rows` records that go on where the batch before ended."""
    start = 1000 * (batch_seq - 1)
    place = Place("place ä", "burns/1.csv", start, start + 1, {"deep": [1, None, {"ä": "\u2028"}], "ids": [1]})
    span = Span((Part(place, start + 1000, start + 1001, rows),))
    return Plan(contract.stream, shard, batch_seq, span, "ab" * 32, START_NS + batch_seq, contract.hash, repair)


def assets_of(*assets: tuple[str, int, int | None, int, int]) -> pl.DataFrame:
    """Assets with clock, counter, gaps and number of rows."""
    return pl.DataFrame(assets, schema=_ASSETS, orient="row")


def rejected(row_no: int, raw: bytes = b"{", check: str = "row.parse") -> Rejected:
    """A record on its way into quarantine."""
    fault = Fault(row_no, check, "{", "unexpected end")
    return Rejected(row_no, raw, (fault,), "burns/1.csv", 7, 3, {"reading": {"format": "jsonl"}})


def outcome_of(contract: Contract, batch_seq: int, rows: Iterable[_Row] = (), **more: Any) -> Outcome:
    """What a batch changes whose rows are all stored (but for `rejected`), with counts that add up."""
    kept = rows_of(contract, batch_seq, [dict(row) for row in rows], more.get("shard", LIVE))
    if contract.kind == "entity":
        kept = kept.with_columns(received_at_ns=pl.lit(START_NS + batch_seq))
    quarantined: list[Rejected] = more.get("rejected", [])
    beaten = int(kept["superseded"].sum()) if contract.kind == "entity" else 0
    counts = Counts(
        received=kept.height + len(quarantined),
        stored=kept.height - beaten,
        superseded=beaten,
        quarantined=len(quarantined),
    )
    plan = plan_of(contract, batch_seq, counts.received, more.get("shard", LIVE))
    assets = more.get("assets", assets_of() if contract.kind == "telemetry" else None)
    return Outcome(plan, "job-1", counts, kept, quarantined, more.get("corrections", []), assets)


def repair_of(contract: Contract, batch_seq: int, moved: Mapping[int, str], retried: Sequence[int] = ()) -> Outcome:
    """A repair that moves quarantine rows to new fates and tries others in vain. Nothing is stored."""
    plan = plan_of(contract, batch_seq, len(moved) + len(retried), repair=True)
    duplicates = sum(fate == "duplicate" for fate in moved.values())
    counts = Counts(moved=len(moved), duplicate=duplicates, superseded=len(moved) - duplicates)
    still = {one: (Fault(0, "x.range", "9", "above 8"),) for one in retried}
    return Outcome(plan, "job-2", counts, rows_of(contract, batch_seq, []), [], [], assets_of(), moved, still)


def held(store: Store, contract: Contract, shard: str = LIVE) -> pl.DataFrame:
    """Every stored row in the order of arrival."""
    return pl.concat([rows_of(contract, 0, []), *(rows for _, rows in store.batches(contract, shard, 0))])


def whole(store: Store, contract: Contract) -> dict[str, Any]:
    """Everything that the store says of a stream."""
    return {
        "rows": held(store, contract).rows(),
        "counts": store.counts(contract, LIVE).rows(),
        "assets": sorted(store.assets(contract).rows()),
        "shards": store.query("shards", stream=contract.stream).rows(),
        "places": sorted(store.query("places", stream=contract.stream, shard=LIVE).rows()),
        "plans": store.query("unfinished_plans", stream=contract.stream).rows(),
        "ledger": store.query("ledger", stream=contract.stream, shard=LIVE, after=0, page=100).rows(),
        "quarantine": store.query("quarantine_list", stream=contract.stream, state="", after=0, page=100).rows(),
    }


def values() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Values that are easily lost on the way: subnormals, ends of ranges, empty and exotic text, nulls."""
    floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: str(value) != "-0.0")
    edges = st.sampled_from([5e-324, -5e-324, 1e300, 1.7976931348623157e308, 0.1, 2.0**53 + 2, 0.0, 3.0])
    text = st.one_of(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        st.sampled_from(["", " ", "null", "🚀🚀", "a'b\"c\\", "\n", "\u202e", "1", "0001-01-01"]),
    )
    ends = st.one_of(INT64, st.sampled_from([-(2**63), 2**63 - 1, 0, 2**53 + 1]))
    row = st.fixed_dictionaries(
        {
            "device": text,
            "taken_ns": ends,
            "part": st.none() | ends,
            "value": st.none() | floats | edges,
            "note": st.none() | text,
            "is_on": st.none() | st.booleans(),
            "day": st.none() | st.dates(),
            "seen_ns": st.none() | ends,
            "late": st.booleans(),
            "corrected": st.booleans(),
            "unknown_fields": st.none() | text,
        }
    )
    return st.lists(row, max_size=8)


def reading(device: str, taken_ns: int = START_NS, **more: Any) -> dict[str, Any]:
    """One row of READINGS; what is not said is null."""
    return {"device": device, "taken_ns": taken_ns, **more}
