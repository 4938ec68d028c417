"""`hotfire ingest`: a stream's source through the engine, once. Its summary is the conservation equation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.alarm import told_document, told_lines
from hotfire.cli.command import Command
from hotfire.cli.output import Answer, counted, equation, hint, marks, printable
from hotfire.cli.place import from_places, shown_place
from hotfire.cli.polled import asked, check_reconcile, versions
from hotfire.cli.polled import lines as polled_lines
from hotfire.cli.tally import Tally
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.findings import SEVERITIES

if TYPE_CHECKING:
    from threading import Event

    from hotfire.cli.jobs import Job
    from hotfire.contract.model import Contract
    from hotfire.engine.flow import Flow
    from hotfire.engine.loop import Pace
    from hotfire.errors import UserError
    from hotfire.notify.outbox import Standing
    from hotfire.rows import Fault, Outcome, Rejected
    from hotfire.source.several import Several
    from hotfire.workspace.rules import Rules
    from hotfire.workspace.wiring import Workspace

_SHOWN = 6
_LOOK_S = 0.25
_MARKED = {"id", "job_id", "kind", "batch_size", "updated_at"}


@click.command(cls=Command)
@click.argument("stream", shell_complete=complete_stream)
@from_places("Files, folders or patterns; `-` is standard input. Else the stream's source in hotfire.toml.")
@click.option("--follow", is_flag=True, help="Go on with new files and rows until Ctrl-C.")
@click.option("--reconcile", is_flag=True, help="Of a web API: compare everything, and find what is gone.")
@click.option("--dry-run", is_flag=True, help="Judge everything, change nothing.")
@click.option("--batch-rows", type=click.IntRange(1), help="Rows a batch, at most.")
def ingest(  # noqa: PLR0913 - one for each option
    stream: str,
    more: tuple[str, ...],
    places: tuple[str, ...],
    batch_rows: int | None,
    *,
    follow: bool,
    reconcile: bool,
    dry_run: bool,
) -> Answer:
    """Take a stream's records through its contract into the tables.

    Prints what became of every record. Running it again goes on where it left off.
    """
    from hotfire.cli.allocator import give_back
    from hotfire.cli.jobs import job
    from hotfire.cli.up import stopping
    from hotfire.engine.loop import once, run_opened
    from hotfire.engine.retention import retain
    from hotfire.ledger.cleared import rows_cleared
    from hotfire.rows import LIVE
    from hotfire.workspace.wiring import Workspace

    settings = settings_of({"engine.batch_rows": batch_rows} if batch_rows else {})
    check_reconcile(settings.stream(stream), [*places, *more], reconcile=reconcile)
    whole = Workspace(settings, dry_run=dry_run, reconcile=reconcile)
    with whole as workspace, job(workspace, "ingest", stream) as one:
        contract = workspace.prepare(stream)
        sources: list[Several] = []
        planned = workspace.store.query("unfinished_plans", stream=stream).rows(named=True)
        unfinished = [plan["batch_seq"] for plan in planned if plan["shard"] == LIVE]
        tally = Tally(unfinished, cleared=-rows_cleared(workspace.store, stream))

        def opened() -> Flow:
            flow, source = workspace.ingest_flow(contract, one.job_id, [*places, *more], follow=follow)
            sources.append(source)
            if (trouble := workspace.rules[stream].trouble) is not None:
                one.log.warning("rules_broken", stream=stream, error=trouble.what, do=trouble.do)
            return flow

        def watch(outcome: Outcome) -> None:
            tally.add(outcome)
            one.watch(outcome)

        if follow:
            give_back()
        with stopping() if follow else nullcontext() as stop, _telling(one) if follow else nullcontext():
            run_opened(opened, watch, go_on=_until(stop, sources) if stop else once)
        if not follow:
            retain(workspace.idle_flow(contract, one.job_id))
        tally.cleared += rows_cleared(workspace.store, stream)
        for problem in sources[-1].problems:
            one.log.warning("not_read", stream=stream, what=problem.what)
        told = {} if dry_run else _told(one)
        return _summary(one, contract, tally, sources[-1], told, dry_run=dry_run)


def _until(stop: Event, sources: Sequence[Several]) -> Pace:
    """Go on until it is time to stop, waiting for more where there is nothing."""

    def go_on(idle: bool) -> bool:  # noqa: FBT001 - the form of a Pace
        if idle and not stop.is_set():
            sources[-1].wait(_LOOK_S)
        return not stop.is_set()

    return go_on


def _telling(one: Job) -> AbstractContextManager[None]:
    """Notices are sent as they come, where anybody is to be told."""
    if not one.workspace.settings.notify:
        return nullcontext()
    from hotfire.workspace.rounds import telling

    return telling(one.workspace, one.log)


def _told(one: Job) -> Mapping[str, Standing]:
    """Send what is to be told of what has come; how each target was doing."""
    if not one.workspace.settings.notify:
        return {}
    from hotfire.workspace.rounds import tell

    return tell(one.workspace, lambda: one.log)


def _summary(
    one: Job, contract: Contract, tally: Tally, source: Several, told: Mapping[str, Standing], *, dry_run: bool
) -> Answer:
    problems, rules = source.problems, one.workspace.rules[one.stream]
    troubles = [*problems, *([rules.trouble] if rules.trouble else [])]
    status = "partial" if troubles else "done"
    document = {"stream": one.stream, "job_id": one.job_id, "status": status, **tally.numbers()}
    document |= versions(tally) if contract.kind == "entity" else {}
    document |= asked(one.workspace, one.stream, tally)
    document |= {"seconds": round(one.seconds, 3), "checks": tally.top()}
    if tally.raised:
        document["conditions"] = len(tally.raised)
    if tally.finished:
        document["finished"] = tally.finished
    if tally.cleared:
        document["cleared"] = tally.cleared
    if told:
        document["told"] = told_document(told)
    document |= _snapshot(one)
    if dry_run:
        document["dry_run"] = True
    if troubles:
        document["problems"] = [{"error": trouble.what, "do": trouble.do} for trouble in troubles]
    one.summary, one.idle = document, document.get("early_exit") is True and not tally.finished
    nothing = "" if document["received"] or problems or "plan" in document else _why_nothing(one.workspace, contract)
    lines = [*_lines(tally, document, problems), *_of_rules(rules), *([nothing] if nothing else [])]
    if dry_run:
        lines.append("Dry run: nothing was changed.")
    else:
        lines += _next(one.workspace, one.stream, tally)
    return Answer(document, lines, 2 if troubles else 0)


def _snapshot(one: Job) -> dict[str, Any]:
    """What the job has left of the stream's snapshot, where the stream has one: its newest row, or nothing."""
    from hotfire.clock import iso

    store = one.workspace.store
    if store.snapshots.of(one.stream) is None:
        return {}
    row = store.snapshots.last(one.stream, one.job_id)
    instants = {name for name, value in (row or {}).items() if name.endswith("_ns") and value is not None}
    shown = (
        {name.removesuffix("_ns"): iso(row[name]) if name in instants else row[name] for name in row} if row else None
    )
    return {"snapshot": shown}


def _lines(tally: Tally, document: Mapping[str, Any], problems: Sequence[UserError]) -> Iterator[str]:
    """The equation, what was quarantined and why, and what could not be read."""
    yield f"{equation(document)}      {document['seconds']:.1f} s"
    top = tally.top()
    rows = [(f"{number:,}", check, *_example(*tally.examples[check])) for check, number in list(top.items())[:_SHOWN]]
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(3)]
    for number, check, value, place in rows:
        yield f"  {number.rjust(widths[0])}  {check.ljust(widths[1])}    {value.ljust(widths[2])}    {place}"
    if len(top) > _SHOWN:
        yield f"      and {len(top) - _SHOWN} more checks: {hint('quarantine stats')}"
    yield from polled_lines(document)
    yield from marks(document)
    yield from (f"  {sentence}" for sentence in tally.finished)
    if tally.cleared:
        yield f"  {counted(tally.cleared, 'old row')} left the store; the lake keeps {'it' if tally.cleared == 1 else 'them'}"
    if document.get("snapshot"):
        shown = ((name, value) for name, value in document["snapshot"].items() if name not in _MARKED)
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown
        )
        yield f"  snapshot: {values}"
    if tally.raised:
        worst = max(tally.raised, key=SEVERITIES.index)
        see = "" if document.get("dry_run") else f": {hint('alarm list')}"
        yield f"  {counted(len(tally.raised), 'condition')} raised, the worst {worst}{see}"
    yield from (f"  {line}" for line in told_lines(document.get("told", ())))
    for problem in problems:
        yield f"Not read: {problem.what} {problem.do}".rstrip()


def _of_rules(rules: Rules) -> Iterator[str]:
    """What is wrong with the rules files, or not meant so."""
    if rules.trouble:
        yield f"Rules not taken: {rules.trouble.what} {rules.trouble.do}".rstrip()
        yield f"  those before them hold on; all that is wrong: {hint('contract lint')}"
    for one in rules.warnings:
        yield f"  look at {one.file}:{one.line}: {one.field}: {one.message}"


def _example(fault: Fault, row: Rejected) -> tuple[str, str]:
    """What is wrong in one record, and where it is."""
    value = "" if fault.value is None else printable(fault.value, 24)
    value = value if not value or value.startswith('"') else f'"{value}"'
    kind = fault.check.rpartition(".")[2]
    if kind in {"time", "parse", "encoding"} and fault.detail:
        value = printable(fault.detail, 40)
    elif kind == "required":
        value = "missing"
    elif kind == "range":
        value = f"{printable(fault.value or '', 24)} {fault.detail}".strip()
    return value or printable(fault.detail, 40), f"{shown_place(row.place)}:{row.line}"


def _why_nothing(workspace: Workspace, contract: Contract) -> str:
    from hotfire.clock import iso

    totals = workspace.store.query("last_commit", stream=contract.stream)["committed_at_ns"].item()
    if totals is None:
        return "The source holds no records yet."
    return f"Nothing new since {iso(totals)[:19]}Z: everything was read up to its end before."


def _next(workspace: Workspace, stream: str, tally: Tally) -> Iterator[str]:
    if tally.first:
        shard, batch_seq, row_no = tally.first
        rows = workspace.store.query("quarantine_of_batch", stream=stream, shard=shard, batch_seq=batch_seq)
        found = rows.filter(rows["row_no"] == row_no)["id"].to_list()
        if found:
            yield f"Next: {hint(f'quarantine show {found[0]}')}"
    elif tally.counts and tally.counts.stored:
        yield f"Next: {hint('balance')}"
