"""Backfills as they are written down: what was asked for, what was missing, and how far each has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from hotfire.errors import UserError
from hotfire.ledger.arrival import ledger
from hotfire.rows import BACKFILL, Backfill

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.engine.loop import Pace
    from hotfire.engine.missing import Survey
    from hotfire.store.operational import OperationalStore
    from hotfire.workspace.model import Settings

BATCH_ROWS = 20_000
"""Rows of a batch, at most: live may have to wait for one."""
_FEW_ROWS = 1_000
COUNTED = ("received", "stored", "duplicate", "superseded", "quarantined", "corrected", "late")


class Asked(Struct, frozen=True):
    """What a backfill was asked to bring in.

    Attributes:
        places: files, folders and patterns, as they were named.
        since_ns, until_ns: only rows with an event time in [since, until); None is open.
    """

    places: Sequence[str]
    since_ns: int | None = None
    until_ns: int | None = None


class Errand(Struct, frozen=True):
    """A backfill that `hotfire up` is to do.

    Attributes:
        rate: rows a second, at most; None: as many as there are.
    """

    backfill: Backfill
    places: Sequence[str]
    rate: int | None


def asked(
    settings: Settings, contract: Contract, places: Sequence[str], bounds: tuple[int | None, int | None]
) -> Asked:
    """What is asked for: the named places, wherever the process works that reads them, or those of the stream's settings.

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
    here = [str(Path(place).absolute()) for place in places]
    named = here or [settings.absolute(path) for path in settings.stream(stream).source.path if path != "-"]
    return Asked(named, *bounds)


def interrupted(store: OperationalStore, stream: str, wanted: Asked, *, handed: bool = False) -> Backfill | None:
    """The last backfill that was asked for the same and did not come to its end; None where there is none.

    Args:
        handed: only where `hotfire up` is to do it.
    """
    for row in reversed(store.query("backfills", stream=stream).rows(named=True)):
        spec = json.loads(row["spec"])
        if Asked(spec["places"], spec["since_ns"], spec["until_ns"]) == wanted:
            goes_on = row["state"] == "running" and (spec["handed"] or not handed)
            return _backfill(row["number"], spec) if goes_on else None
    return None


def begin(
    store: OperationalStore,
    stream: str,
    wanted: Asked,
    found: Survey,
    *,
    rate: int | None = None,
    handed: bool = False,
) -> Backfill:
    """Write a backfill down, which brings in what a survey found missing.

    Args:
        rate: rows a second, at most.
        handed: `hotfire up` is to do it, beside live.
    """
    intervals = [(one.since_ns, one.until_ns) for one in found.intervals]
    spec = {**asdict(wanted), "intervals": intervals, "rate": rate, "handed": handed}
    return _backfill(store.begin_backfill(stream, json.dumps(spec)), spec)


def errands(store: OperationalStore, stream: str) -> list[Errand]:
    """The backfills that were handed over and are not done, in order."""
    rows = store.query("backfills", stream=stream).rows(named=True)
    specs = [(row["number"], json.loads(row["spec"])) for row in rows if row["state"] == "running"]
    return [Errand(_backfill(number, spec), spec["places"], spec["rate"]) for number, spec in specs if spec["handed"]]


def brought(store: OperationalStore, stream: str, number: int) -> dict[str, int]:
    """What the batches of a backfill came to, by the ledger."""
    counts = dict.fromkeys(COUNTED, 0)
    for row in ledger(store, stream, BACKFILL):
        if json.loads(row["span"])["parts"][0]["place"]["key"].startswith(f"{number}/"):
            counts = {name: rows + row[name] for name, rows in counts.items()}
    return counts


def gentle(settings: Settings, rate: int | None) -> Settings:
    """The settings with batches so small that live need not wait for long, and a rate is kept from one to the next."""
    few = min(settings.engine.batch_rows, BATCH_ROWS, max(_FEW_ROWS, rate or BATCH_ROWS))
    return replace(settings, engine=replace(settings.engine, batch_rows=few))


def paced(clock: Clock, rate: int | None, received: Callable[[], int], stopped: Callable[[], bool]) -> Pace:
    """Go on until all is read or it is time to stop, with so many rows a second at most."""
    started_ns = clock.now_ns()

    def go_on(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
        while rate and not (idle or stopped()):
            early_ns = started_ns + received() * 1_000_000_000 // rate - clock.now_ns()
            if early_ns <= 0:
                break
            clock.sleep(min(early_ns / 1e9, 0.5))
        return not (idle or stopped())

    return go_on


def _backfill(number: int, spec: Mapping[str, Any]) -> Backfill:
    return Backfill(number, tuple((since, until) for since, until in spec["intervals"]))
