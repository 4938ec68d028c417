"""`hotfire balance` and `hotfire digest`: the ledger's two proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import FATES, Answer, counted, equation, marks
from hotfire.cli.workspace import complete_stream, settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.ledger.balance import Balance
    from hotfire.workspace.model import Settings


NO_STREAM = "There is no stream yet: a stream is a folder in contracts/."


@click.command(cls=Command)
@click.argument("stream", required=False, shell_complete=complete_stream)
@click.option("--reread", is_flag=True, help="Read every source again, where it still can be, and compare.")
def balance(stream: str | None, *, reread: bool) -> Answer:
    """Prove that every received record has exactly one fate: counted again in store, quarantine and lake."""
    from hotfire.ledger.balance import balance as recount
    from hotfire.ledger.balance import markers
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    found = []
    with Workspace(settings) as workspace:
        names, store, lake = chosen(settings, stream), workspace.store, workspace.lake
        upto = {name: markers(name, store, lake) for name in names}
        with store.steady():
            for name in names:
                contract = workspace.contract_in_use(name)
                source = workspace.sources.rereading(contract) if reread else None
                only = settings.stream(name).lake_only
                found.append(recount(contract, store, lake, lake_only=only, source=source, upto=upto[name]))
    balanced = all(one.balanced for one in found)
    document = {"balanced": balanced, "streams": [_document(one) for one in found]}
    return Answer(document, _lines(found, balanced=balanced), 0 if balanced else 1)


@click.command(cls=Command)
@click.argument("stream", required=False, shell_complete=complete_stream)
@click.option("--replay", "replay_id", metavar="ID", help="Of the shadow ledger of a replay.")
def digest(stream: str | None, replay_id: str | None) -> Answer:
    """One hash over everything stored and quarantined: equal for equal rows, however they arrived."""
    from hotfire.ledger.digest import digest as of_stream
    from hotfire.ledger.digest import total
    from hotfire.workspace.wiring import Workspace

    settings = settings_of()
    digests: dict[str, str] = {}
    if replay_id:
        return _digest_of_replay(settings, stream, replay_id)
    with Workspace(settings) as workspace, workspace.store.steady():
        for name in chosen(settings, stream):
            only = settings.stream(name).lake_only
            digests[name] = of_stream(workspace.contract_in_use(name), workspace.store, workspace.lake, lake_only=only)
    whole = total(digests.items()) if len(digests) != 1 else next(iter(digests.values()))
    lines = [f"{one}  {name}" for name, one in digests.items()] or [NO_STREAM]
    return Answer({"digest": whole, "streams": digests}, [*lines, f"{whole}  (all)"] if len(digests) > 1 else lines)


def _digest_of_replay(settings: Settings, stream: str | None, replay_id: str) -> Answer:
    from hotfire.workspace.replays import digest_of
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings) as workspace:
        found = digest_of(workspace, replay_id)
    name, whole = found["stream"], found["digest"]
    if stream not in (None, name):
        raise UserError(f"{replay_id} is a replay of {name}, not of {stream}.")
    return Answer({"digest": whole, "streams": {name: whole}, "replay_id": replay_id}, [f"{whole}  {name}"])


def chosen(settings: Settings, stream: str | None) -> Sequence[str]:
    """The stream that was named, or all of the workspace. UserError where there is none of that name."""
    return [settings.stream(stream).name] if stream else list(settings.streams)


def _received(one: Balance) -> int:
    """Every record that reached hotfire, those included that wait for their commit."""
    return one.totals["received"] + one.pending


def _document(one: Balance) -> dict[str, Any]:
    counts = {fate: one.totals[fate] for fate in FATES}
    document = {"stream": one.stream, "received": _received(one), **counts, "pending": one.pending}
    document |= {"corrected": one.totals["corrected"], "late": one.totals["late"]}
    document |= {"cleared": one.cleared, "balanced": one.balanced, "differences": one.differences}
    return {**document, "unread": one.unread, "unread_batches": one.unread_batches} if one.unread else document


def _lines(found: Sequence[Balance], *, balanced: bool) -> Iterator[str]:
    width = max((len(one.stream) for one in found), default=0)
    for one in found:
        pending = f" + pending {one.pending:,}" if one.pending else ""
        totals = {**one.totals, "received": _received(one)}
        yield f"{one.stream.ljust(width)}  {equation(totals)}{pending}"
        yield from marks(one.totals)
        if one.cleared:
            yield f"  of the stored rows: {one.cleared:,} cleared from the store, kept in the lake"
        yield from (click.style(f"  {difference}", fg="red") for difference in one.differences)
        yield from (f"  {sentence}" for sentence in one.unread)
    if not found:
        yield NO_STREAM
    elif balanced:
        unread, batches = sum(one.unread_batches for one in found), sum(one.totals["batches"] for one in found)
        left_out = f", but for {unread:,} of {counted(batches, 'batch')} that could not be read again" if unread else ""
        yield click.style("balanced", fg="green") + left_out
    else:
        yield click.style(
            f"NOT balanced: {counted(sum(len(one.differences) for one in found), 'difference')}", fg="red"
        )
