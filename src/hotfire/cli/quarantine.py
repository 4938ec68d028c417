"""`hotfire quarantine`: rejected rows, listed, shown, counted, replayed and discarded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.balance import chosen
from hotfire.cli.command import Command, Commands
from hotfire.cli.output import Answer, counted, equation, hint, printable, table
from hotfire.cli.place import shown_place
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from hotfire.rows import Fault, Outcome
    from hotfire.workspace.wiring import Workspace

_PAGE = 10_000
STATES = ("open", "repaired", "discarded")
HERE = "hotfire.cli.quarantine"


@click.command(
    cls=Commands,
    places={
        "list": (f"{HERE}:list_rows", "rejected rows, oldest first"),
        "show": ("hotfire.cli.quarantine_show:show", "one row, with a caret under each bad field"),
        "stats": (f"{HERE}:stats", "how many rows broke each check"),
        "replay": (f"{HERE}:replay", "judge them again, by today's contract"),
        "discard": (f"{HERE}:discard", "give rows up; a tombstone stays"),
    },
)
def quarantine() -> None:
    """Rejected rows: whole, with every check they broke and the place they came from."""


@click.command("list", cls=Command)
@click.option("--stream", default="", shell_complete=complete_stream, help="Only rows of this stream.")
@click.option("--check", default="", help="Only rows that broke this check.")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="open", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def list_rows(stream: str, check: str, state: str, limit: int) -> Answer:
    """Rejected rows, oldest first."""
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    if stream:
        settings.stream(stream)
    wanted = "" if state == "all" else state
    found: list[dict[str, Any]] = []
    checks: set[str] = set()
    with Workspace(settings) as workspace:
        for row, faults in _rows(workspace, stream, wanted):
            broken = {fault.check for fault in faults}
            checks |= broken
            if check in {"", *broken}:
                found.append(_listed(row, faults))
            if len(found) > limit:
                break
    more, found = len(found) > limit, found[:limit]
    lines = _list_lines(found, more=more) if found else _none(state, check, checks)
    return Answer({"rows": found, "more": more}, lines)


@click.command(cls=Command)
@click.argument("stream", required=False, shell_complete=complete_stream)
def stats(stream: str | None) -> Answer:
    """How many rows broke each check. A row counts once in the total, and once in each check it broke."""
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    streams = {}
    with Workspace(settings) as workspace:
        for name in chosen(settings, stream):
            streams[name] = _counted(workspace, name)
    checks = _merged([one["checks"] for one in streams.values()])
    total = sum(one["total"] for one in streams.values())
    document = {"total": total, "checks": checks, "streams": streams}
    return Answer(document, _stats_lines(total, checks, streams))


@click.command(cls=Command)
@click.argument("stream", required=False, shell_complete=complete_stream)
@click.option("--check", default="", help="Only rows that broke this check.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them; change nothing.")
def replay(stream: str | None, check: str, *, dry_run: bool) -> Answer:
    """Judge rejected rows again, by today's contract. Those that pass leave quarantine, the others stay."""
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    with Workspace(settings, dry_run=dry_run) as workspace:
        found = [_replayed(workspace, name, check) for name in chosen(settings, stream)]
    names = ("moved", "stored", "duplicate", "superseded", "still", "given_up")
    totals = {name: sum(one[name] for one in found) for name in names}
    document = found[0] if stream else {**totals, "checks": _merged([one["checks"] for one in found]), "streams": found}
    if dry_run:
        document = {**document, "dry_run": True}
    return Answer(document, _replay_lines(found, check, settings.engine.quarantine_tries, dry_run=dry_run))


@click.command(cls=Command)
@click.argument("quarantine_ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--stream", default="", shell_complete=complete_stream, help="Instead of IDs: every open row of it.")
@click.option("--check", default="", help="Instead of IDs: every open row that broke it.")
@click.option("--reason", required=True, help="Why; it is kept with the row.")
def discard(quarantine_ids: tuple[int, ...], stream: str, check: str, reason: str) -> Answer:
    """Give rows up. They are never replayed; a tombstone with the reason stays, and the row stays counted."""
    from hotfire.cli.jobs import job
    from hotfire.workspace.wiring import Workspace

    if not reason.strip():
        raise UserError("The reason is empty.", "Say why in a few words: --reason TEXT")
    if bool(quarantine_ids) == bool(stream or check):
        raise UserError("Which rows?", "Name them by ID, or all of them by --stream, --check or both.")
    settings = settings_of()
    if stream:
        settings.stream(stream)
    with Workspace(settings) as workspace, job(workspace, "quarantine discard", stream) as one:
        chosen_ids = quarantine_ids or [
            row["id"] for row, faults in _rows(workspace, stream, "open") if check in {"", *(f.check for f in faults)}
        ]
        done = sorted(workspace.store.discard(dict.fromkeys(chosen_ids), reason))
        left = sorted({*chosen_ids} - {*done})
        one.summary = {"discarded": done, "not_open": left, "reason": reason}
    lines = [f"discarded {counted(len(done), 'row')}: {reason}"] if done or not left else []
    lines += [f"row {number} is not open in quarantine" for number in left]
    return Answer(one.summary, lines, 2 if left else 0)


def _rows(workspace: Workspace, stream: str, state: str) -> Iterator[tuple[dict[str, Any], Sequence[Fault]]]:
    after = 0
    while True:
        page: pl.DataFrame = workspace.store.query(
            "quarantine_list", stream=stream, state=state, after=after, page=_PAGE
        )
        for row in page.rows(named=True):
            yield row, faults_of(row["faults"])
        if page.height < _PAGE:
            return
        after = page["id"][-1]


def faults_of(text: str) -> Sequence[Fault]:
    """The faults of a row in quarantine, as the store keeps them."""
    import msgspec

    from hotfire.rows import Fault

    return msgspec.json.decode(text, type=list[Fault])


def checks_of(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Faults as `--json` shows them."""
    return [{"check": fault.check, "value": fault.value, "detail": fault.detail} for fault in faults]


def _listed(row: Mapping[str, Any], faults: Sequence[Fault]) -> dict[str, Any]:
    names = ("id", "stream", "state", "place", "line", "batch_seq", "tries")
    return {**{name: row[name] for name in names}, "checks": checks_of(faults), "reason": row["reason"]}


def _none(state: str, check: str, checks: Iterable[str]) -> Iterator[str]:
    """Why a list is empty: nothing is there, or nothing that broke the check."""
    if not check or not checks:
        yield "Nothing is in quarantine." if state == "open" else f"No such rows ({state})."
        return
    near = difflib.get_close_matches(check, checks, n=1)
    meant = f"Did you mean {near[0]}?" if near else f"Checks that were broken: {', '.join(sorted(checks))}."
    yield f"No such row broke {check}. {meant}"


def _list_lines(found: Sequence[Mapping[str, Any]], *, more: bool) -> Iterator[str]:
    rows = []
    for one in found:
        first, others = one["checks"][0], len(one["checks"]) - 1
        checks = first["check"] + (f" (+{others})" if others else "")
        value = printable(first["value"], 30) if first["value"] is not None else printable(first["detail"], 30)
        place = f"{shown_place(one['place'])}:{one['line']}"
        rows.append((one["id"], one["stream"], checks, value, place, one["state"]))
    yield from table(("id", "stream", "check", "value", "place", "state"), rows)
    if more:
        yield f"... and more: --limit, or {hint('quarantine stats')}"
    number = found[0]["id"]
    yield f"Next: {hint(f'quarantine show {number}')}"


def _counted(workspace: Workspace, stream: str) -> dict[str, Any]:
    """One stream's open rows by check, and all its rows by state."""
    states = dict.fromkeys(STATES, 0)
    checks: dict[str, int] = {}
    for row, faults in _rows(workspace, stream, ""):
        states[row["state"]] += 1
        for check in {fault.check for fault in faults} if row["state"] == "open" else ():
            checks[check] = checks.get(check, 0) + 1
    return {"total": states["open"], "checks": _merged([checks]), "states": states}


def _merged(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for check, number in one.items():
            total[check] = total.get(check, 0) + number
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _stats_lines(total: int, checks: Mapping[str, int], streams: Mapping[str, Any]) -> Iterator[str]:
    yield f"{counted(total, 'row')} in quarantine" + (", by check (a row may have broken several):" if total else "")
    for name, one in streams.items():
        if len(streams) > 1 and one["total"]:
            yield f"{name}: {one['total']:,}"
        for check, number in one["checks"].items():
            yield f"{number:>8,}  {check}"
        gone = [f"{one['states'][state]:,} {state}" for state in ("repaired", "discarded") if one["states"][state]]
        if gone:
            yield f"          ({name}, earlier: {', '.join(gone)})"
    if checks:
        yield f"Next: {hint(f'quarantine list --check {next(iter(checks))}')}"


def _replayed(workspace: Workspace, stream: str, check: str) -> dict[str, Any]:
    from hotfire.cli.jobs import job
    from hotfire.engine.loop import run_opened

    moved = dict.fromkeys(("stored", "duplicate", "superseded"), 0)
    still: list[dict[str, int]] = []

    with job(workspace, "quarantine replay", stream) as one:

        def watch(outcome: Outcome) -> None:
            one.watch(outcome)
            for fate in outcome.repaired.values():
                moved[fate] += 1
            retried = outcome.retried.values()
            still.extend(dict.fromkeys((fault.check for fault in faults), 1) for faults in retried)

        contract = workspace.prepare(stream)
        run_opened(lambda: workspace.repair_flow(contract, one.job_id, check), watch, repair=True)
        tries = workspace.settings.engine.quarantine_tries
        given_up = int(workspace.store.query("quarantine_given_up", stream=stream, tries=tries)["rows"].item())
        one.summary = {"stream": stream, "moved": sum(moved.values()), **moved, "still": len(still)}
        one.summary |= {"given_up": given_up, "checks": _merged(still)}
    return one.summary


def _replay_lines(found: Sequence[Mapping[str, Any]], check: str, tries: int, *, dry_run: bool) -> Iterator[str]:
    width = max((len(one["stream"]) for one in found), default=0)
    for one in found:
        if not (one["moved"] or one["still"] or one["given_up"]):
            which = f"no row that broke {check}" if check else "nothing"
            yield f"{one['stream'].ljust(width)}  {which} is in quarantine"
            continue
        still = f", still in quarantine {one['still']:,}" if one["still"] else ""
        yield f"{one['stream'].ljust(width)}  {equation(one, 'moved')}{still}"
        for broken, number in one["checks"].items():
            yield f"{number:>8,}  {broken}"
        if one["given_up"]:
            yield f"  {one['given_up']:,} rows were tried {tries} times in vain and are left alone."
            yield f"  Discard them ({hint('quarantine discard ID --reason TEXT')}), or raise engine.quarantine_tries."
    if dry_run:
        yield "Dry run: nothing was changed."
