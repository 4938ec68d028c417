"""`hotfire backfill`: rows that live has missed, brought in apart from it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.cli.command import Command
from hotfire.cli.instant import bound_ns
from hotfire.cli.output import FATES, Answer, counted, equation, hint, marks, table
from hotfire.cli.place import from_places
from hotfire.cli.tally import Tally
from hotfire.cli.workspace import complete_stream, settings_of

if TYPE_CHECKING:
    from hotfire.cli.jobs import Job
    from hotfire.contract.model import Contract
    from hotfire.engine.flow import Flow
    from hotfire.engine.missing import Survey
    from hotfire.rows import Backfill, Outcome
    from hotfire.source.files import FileSource
    from hotfire.workspace.backfills import Asked
    from hotfire.workspace.model import Settings
    from hotfire.workspace.wiring import Workspace

_LOOK_S, _OWN_S = 0.25, 10.0
_COUNTED = ("received", *FATES, "corrected", "late")


@click.command(cls=Command)
@click.argument("stream", shell_complete=complete_stream)
@from_places("Files, folders or patterns. Else the stream's source in hotfire.toml.")
@click.option("--since", metavar="ISO", help="Only rows from this event time on.")
@click.option("--until", metavar="ISO", help="Only rows before this event time.")
@click.option("--rate", type=click.IntRange(1), metavar="ROWS_S", help="At most so many rows a second.")
@click.option("--dry-run", is_flag=True, help="Print what is missing, change nothing.")
def backfill(
    stream: str,
    more: tuple[str, ...],
    places: tuple[str, ...],
    rate: int | None,
    *,
    dry_run: bool,
    **bounds: str | None,
) -> Answer:
    """Bring in what live has missed, apart from it.

    Prints first which intervals are missing, then takes the rows of those, as they are not too new: rows that are not
    15 minutes behind their asset's clock are left to live. Interrupted, the same command goes on where it left off.

    While `hotfire up` runs, it does the work beside live, and this command waits for it.
    """
    from hotfire.workspace.backfills import gentle

    settings = settings_of()
    settings.stream(stream)
    since_ns, until_ns = bound_ns("--since", bounds["since"]), bound_ns("--until", bounds["until"])
    one = _Run(gentle(settings, rate), stream, (*places, *more), (since_ns, until_ns), rate, dry_run)
    return Answer(one.document, one.lines(), one.exit_code)


class _Run(Struct):
    """One run of the command: it goes on while its lines are printed, for the first of them are not to wait."""

    settings: Settings
    stream: str
    places: tuple[str, ...]
    bounds: tuple[int | None, int | None]
    rate: int | None
    dry_run: bool
    found: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What came of it, when it is over."""
        for _ in self.lines():
            pass
        return self.found

    def exit_code(self) -> int:
        """0, or 2 where a place could not be read."""
        return 2 if "problems" in self.found else 0

    def lines(self) -> Iterator[str]:
        """What is missing; then what became of it."""
        from hotfire.cli.jobs import job
        from hotfire.engine.loop import run
        from hotfire.rows import BACKFILL
        from hotfire.workspace.backfills import asked, interrupted
        from hotfire.workspace.wiring import Workspace

        with Workspace(self.settings, dry_run=self.dry_run) as workspace:
            self.found |= {"stream": self.stream, "status": "done"}
            if _up_runs(workspace):
                yield from self._beside(workspace)
                return
            with job(workspace, "backfill", self.stream) as one:
                self.found["job_id"] = one.job_id
                contract = workspace.prepare(self.stream)
                wanted = asked(self.settings, contract, self.places, self.bounds)
                own = interrupted(workspace.store, self.stream, wanted)
                if own is None or self.dry_run:
                    own = yield from self._planned(workspace, contract, wanted)
                else:
                    yield f"Going on with backfill {own.number}, which was interrupted."
                if own is not None:
                    self.found["backfill"] = own.number
                    yield from self._taken(workspace, contract, own, one)
                elif not self.dry_run:
                    run(replace(workspace.idle_flow(contract, one.job_id), shard=BACKFILL), one.watch)
                self.found["seconds"] = round(one.seconds, 3)
                one.summary = self.found

    def _planned(
        self, workspace: Workspace, contract: Contract, wanted: Asked, *, handed: bool = False
    ) -> Generator[str, None, Backfill | None]:
        """Say what is missing; the backfill that brings it in, None where there is nothing to do."""
        from hotfire.engine.missing import survey
        from hotfire.workspace.backfills import begin

        flow, files = workspace.backfill_flow(contract, "survey", self.places)
        seen = survey(flow, wanted.since_ns, wanted.until_ns)
        self.found |= _missing(seen)
        yield from _intervals(seen)
        yield from _left(self.stream, seen.left)
        yield from self._problems(files)
        if self.dry_run:
            self.found["dry_run"] = True
            yield "Dry run: nothing was changed."
            return None
        if not seen.intervals:
            return None
        return begin(workspace.store, self.stream, wanted, seen, rate=self.rate, handed=handed)

    def _taken(self, workspace: Workspace, contract: Contract, own: Backfill, one: Job) -> Iterator[str]:
        from hotfire.engine.loop import run_opened
        from hotfire.workspace.backfills import paced

        tally = Tally()
        opened_files: list[FileSource] = []

        def opened() -> Flow:
            flow, files = workspace.backfill_flow(contract, one.job_id, self.places, own)
            opened_files.append(files)
            return flow

        def watch(outcome: Outcome) -> None:
            tally.add(outcome)
            one.watch(outcome)

        pace = paced(workspace.clock, self.rate, lambda: tally.numbers()["received"], lambda: False)
        run_opened(opened, watch, go_on=pace)
        workspace.store.end_backfill(self.stream, own.number)
        self.found |= {**tally.numbers(), "checks": tally.top()}
        yield f"{equation(self.found)}      {one.seconds:.1f} s"
        yield from (f"  {rows:,}  {check}" for check, rows in tally.top().items())
        yield from marks(self.found)
        yield from self._problems(opened_files[-1])
        yield f"Next: {hint('balance')}"

    def _beside(self, workspace: Workspace) -> Iterator[str]:
        """Hand over to `hotfire up`, and wait for it."""
        from hotfire.workspace.backfills import asked, brought, interrupted

        started_ns = workspace.clock.now_ns()
        contract = workspace.contract_in_use(self.stream)
        wanted = asked(self.settings, contract, self.places, self.bounds)
        own = interrupted(workspace.store, self.stream, wanted, handed=True)
        if own is None or self.dry_run:
            own = yield from self._planned(workspace, contract, wanted, handed=True)
        if own is None:
            return
        workspace.store.trouble_backfill(self.stream, own.number, "")
        self.found |= {"backfill": own.number, "handed_over": True}
        yield f"Handed over to hotfire up, as backfill {own.number}."
        _wait(workspace, self.stream, own.number)
        self.found |= brought(workspace.store, self.stream, own.number)
        self.found["seconds"] = round((workspace.clock.now_ns() - started_ns) / 1e9, 3)
        yield f"{equation(self.found)}      {self.found['seconds']:.1f} s"
        yield from marks(self.found)
        yield f"Next: {hint('balance')}"

    def _problems(self, files: FileSource) -> Iterator[str]:
        for problem in files.problems:
            self.found["status"] = "partial"
            self.found.setdefault("problems", []).append({"error": problem.what, "do": problem.do})
            yield f"Not read: {problem.what} {problem.do}".rstrip()


def _up_runs(workspace: Workspace) -> bool:
    """Whether `hotfire up` owns the store; else this process does now. OwnedElsewhere where another command does."""
    from hotfire.errors import OwnedElsewhere

    try:
        workspace.store.own()
    except OwnedElsewhere:
        jobs = workspace.store.query("jobs", page=99).rows(named=True)
        if not any((one["command"], one["status"]) == ("up", "running") for one in jobs):
            raise
        return True
    return False


def _wait(workspace: Workspace, stream: str, number: int) -> None:
    """Return when `hotfire up` has done a backfill. Refused where it cannot, or has ended."""
    from hotfire.errors import Refused

    look_ns = workspace.clock.now_ns()
    while True:
        row = workspace.store.query("backfill", stream=stream, number=number).row(0, named=True)
        if row["state"] == "done":
            return
        if row["error"]:
            raise Refused(
                f"hotfire up: {row['error']}", "It tries again; `hotfire backfill` with the same words waits."
            )
        workspace.clock.sleep(_LOOK_S)
        if workspace.clock.now_ns() - look_ns > _OWN_S * 1e9:
            look_ns = workspace.clock.now_ns()
            if not _up_runs(workspace):
                raise Refused("hotfire up has ended before the backfill did.", "The same command goes on with it.")


def _missing(seen: Survey) -> dict[str, Any]:
    from hotfire.clock import iso

    intervals = [
        {"since": iso(one.since_ns), "until": iso(one.until_ns), "rows": one.rows, "stored": one.stored, "missing": one.missing}
        for one in seen.intervals
    ]  # fmt: skip
    counts = {"rows": seen.rows, "missing": seen.missing, "left": seen.left}
    return {"intervals": intervals, **counts, **dict.fromkeys(_COUNTED, 0)}


def _intervals(seen: Survey) -> Iterator[str]:
    from hotfire.clock import iso

    if not seen.intervals:
        yield f"Nothing is missing of {counted(seen.rows, 'row')}."
    else:
        yield f"{seen.missing:,} of {counted(seen.rows, 'row')} missing, in {counted(len(seen.intervals), 'interval')}:"
        rows = [(iso(one.since_ns), iso(one.until_ns), one.rows, one.stored, one.missing) for one in seen.intervals]
        yield from table(("since", "until", "rows", "stored", "missing"), rows)


def _left(stream: str, left: int) -> Iterator[str]:
    if left:
        yield f"{counted(left, 'row')} left to live: not yet 15 minutes behind their asset's clock. If live will not bring"
        yield f"them: {hint(f'ingest {stream} --from PLACE')}"
