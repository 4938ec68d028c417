"""Which backfills a stream has begun, and which of them was interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hotfire.errors import UserError
from hotfire.rows import Backfill

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.missing import Survey
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What a backfill was asked to bring in.

    Attributes:
        places: files, folders and patterns, as they were named.
        since_ns, until_ns: only rows with an event time in [since, until); None is open.
    """

    places: Sequence[str]
    since_ns: int | None = None
    until_ns: int | None = None


def asked(
    settings: Settings, contract: Contract, places: Sequence[str], bounds: tuple[int | None, int | None]
) -> Asked:
    """What is asked for: the named places, or those of the stream's settings.

    Raises:
        UserError: the stream has no event times, or a place can be read only once.
    """
    stream = contract.stream
    if contract.time is None:
        raise UserError(
            f"{stream} holds entities, which have no event time: nothing of them can be too late.",
            f"hotfire ingest {stream} takes older versions, too: they are superseded.",
        )
    if "-" in places:
        raise UserError("A backfill reads its places twice: standard input comes only once.", "Save it to a file.")
    named = list(places) or [settings.absolute(path) for path in settings.stream(stream).source.path if path != "-"]
    return Asked(named, *bounds)


def interrupted(store: OperationalStore, stream: str, wanted: Asked) -> Backfill | None:
    """The last backfill that was asked for the same and did not come to its end; None where there is none."""
    for row in reversed(store.query("backfills", stream=stream).rows(named=True)):
        spec = json.loads(row["spec"])
        intervals = tuple((since, until) for since, until in spec.pop("intervals"))
        if spec == asdict(wanted):
            return Backfill(row["number"], intervals) if row["state"] == "running" else None
    return None


def begin(store: OperationalStore, stream: str, wanted: Asked, found: Survey) -> Backfill:
    """Write a backfill down, which brings in what a survey found missing."""
    intervals = tuple((one.since_ns, one.until_ns) for one in found.intervals)
    number = store.begin_backfill(stream, json.dumps({**asdict(wanted), "intervals": intervals}))
    return Backfill(number, intervals)
