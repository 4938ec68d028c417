"""How a stream's newest rows came: how long they took, and whether the clocks of its assets are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import polars as pl
from msgspec.structs import astuple

from hotfire.contract.check import judge
from hotfire.contract.model import wire
from hotfire.errors import HotfireError
from hotfire.ledger.clocks import LONG_AGO_NS, Kind, judged
from hotfire.ledger.latency import Latency, Spread, latency, newest
from hotfire.rows import Place
from hotfire.source.formats.join import records_from_raw

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.workspace.wiring import Workspace

_NAMED = 3
"""So many assets are named, of more their number."""
_REJECTED = 5_000
_ANY_TIME_NS = 2**62
"""No row is ahead of this instant."""

_NOTHING = Latency(0, Spread(), Spread(), Spread())

CLOCKS: Mapping[Kind, tuple[str, str]] = {
    "never_set": ("clocks", "Set the clock of the logger, and check the time format in contracts/{stream}."),
    "hours": (
        "clocks.hours",
        "A local time is sent as UTC: have the logger send UTC, or say the zone: hotfire.zone in contracts/{stream}.",
    ),
    "leap_seconds": (
        "clocks.leap_seconds",
        "GPS time has no leap seconds: have the logger take them off, or set it to send UTC.",
    ),
    "drift": (
        "clocks.drift",
        "Let the logger set its clock by itself, with NTP or PTP, and see that it reaches its time server.",
    ),
}
"""By kind of trouble: the check's name, and what helps."""


class Seen(NamedTuple):
    """One check: what `doctor` says of it."""

    name: str
    ok: bool
    detail: str
    do: str = ""


class Vitals:
    """The newest rows of each stream, read once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._rows: dict[str, pl.DataFrame] = {}

    def latency(self, contract: Contract) -> Latency:
        """How long the newest live rows took; records without an event time tell nothing."""
        if contract.kind != "telemetry":
            return _NOTHING
        rows, lake = self._newest(contract), self._workspace.lake
        appended = {str(shard): lake.appended(contract.stream, str(shard)) for shard in rows["shard"].unique()}
        return latency(rows, appended)

    def document(self, stream: str, *, made: bool = True) -> dict[str, Any]:
        """How long the newest live rows of a stream took, in milliseconds, as JSON has it; null where none could tell.

        Args:
            made: whether there is a store yet.
        """
        one = _NOTHING
        with suppress(HotfireError):
            one = self.latency(self._workspace.contract_in_use(stream)) if made else one
        document: dict[str, Any] = dict(zip(("p50_ms", "p95_ms", "p99_ms"), astuple(one.committed), strict=True))
        for name, spread in (("received_to_committed_ms", one.processed), ("committed_to_lake_ms", one.followed)):
            document[name] = dict(zip(("p50", "p95", "p99"), astuple(spread), strict=True))
        return {**document, "live_rows": one.rows}

    def checks(self, contract: Contract) -> Iterator[Seen]:
        """How long rows take, where that can be told; and a check for each way in which a clock can be wrong."""
        one = self.latency(contract)
        if one.rows:
            lake = f"; to the lake {_spread(one.followed)}" if one.followed.p50_ms is not None else ""
            detail = f"from event to commit {_spread(one.committed)}{lake}, of {one.rows:,} live rows"
            yield Seen(f"latency/{contract.stream}", ok=True, detail=detail)
        yield from self.clocks(contract)

    def clocks(self, contract: Contract) -> Iterator[Seen]:
        """A check for each way in which a clock can be wrong."""
        if contract.kind != "telemetry":
            return
        stream, names = contract.stream, ["asset", "event_ns", "received_at_ns"]
        rows = pl.concat([self._newest(contract).select(names), self._ahead(contract).select(names)])
        live, found = judged(rows)
        unset = {one.asset for one in found if one.kind == "never_set"}
        assets = self._workspace.store.assets(contract)
        old = [name for name in assets.filter(assets["clock_ns"] < LONG_AGO_NS)["asset"] if name not in unset]
        counted = f"{assets.height:,} asset{'s' * (assets.height != 1)}"
        well = f"nothing amiss with {live:,} of {counted}" if live else "no rows came live: nothing can be told"
        for kind, (name, do) in CLOCKS.items():
            seen = [f"{one.asset} {one.seen}" for one in found if one.kind == kind]
            seen += [f"{asset} lives before 2000" for asset in old] if kind == "never_set" else []
            if seen:
                yield Seen(f"{name}/{stream}", ok=False, detail=_listed(seen, counted), do=do.format(stream=stream))
            else:
                yield Seen(f"{name}/{stream}", ok=True, detail=counted if kind == "never_set" else well)

    def _newest(self, contract: Contract) -> pl.DataFrame:
        if contract.stream not in self._rows:
            only = self._workspace.settings.stream(contract.stream).lake_only
            found = newest(contract, self._workspace.store, self._workspace.lake, lake_only=only)
            self._rows[contract.stream] = found
        return self._rows[contract.stream]

    def _ahead(self, contract: Contract) -> pl.DataFrame:
        """Rows that were rejected because they were ahead of their receipt, and are sound otherwise."""
        asset, time = contract.identity[:2]
        sign = f'%"{contract.time}.ahead"%'
        found = self._workspace.store.query("quarantine_ahead", stream=contract.stream, sign=sign, page=_REJECTED)
        raws = [(raw, msgspec.json.decode(facts), Place("", "")) for raw, facts in found.select("raw", "facts").rows()]
        rows = judge(contract, records_from_raw(raws).decode(wire(contract)), _ANY_TIME_NS).rows if raws else None
        if rows is None:
            return pl.DataFrame(schema={"asset": pl.String, "event_ns": pl.Int64, "received_at_ns": pl.Int64})
        received = found.select(pl.col("received_at_ns").cast(pl.Int64)).with_row_index("row_no")
        came = rows.select("row_no", pl.col(asset).alias("asset"), pl.col(time).alias("event_ns"))
        return came.join(received.with_columns(pl.col("row_no").cast(pl.UInt32)), on="row_no")


def _spread(one: Spread) -> str:
    return f"{_duration(one.p50_ms)}, 95 % {_duration(one.p95_ms)}, 99 % {_duration(one.p99_ms)}"


def _duration(ms: float | None) -> str:
    return "unknown" if ms is None else f"{ms:,.1f} ms" if ms < 1000 else f"{ms / 1000:,.1f} s"


def _listed(seen: Sequence[str], counted: str) -> str:
    more = f", and {len(seen) - _NAMED:,} more of {counted}" if len(seen) > _NAMED else f", of {counted}"
    return "; ".join(seen[:_NAMED]) + more
