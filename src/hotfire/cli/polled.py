"""What `hotfire ingest` says of entities, and of streams that a web API feeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hotfire.cli.output import counted
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.cli.tally import Tally
    from hotfire.workspace.model import StreamSettings
    from hotfire.workspace.wiring import Workspace


def check_reconcile(stream: StreamSettings, places: Sequence[str], *, reconcile: bool) -> None:
    """Only what a web API has can be compared with what is stored. UserError else."""
    if reconcile and (stream.source.rest is None or places):
        raise UserError(f"{stream.name} is not read from a web API.", "--reconcile is for streams of kind rest.")


def versions(tally: Tally) -> dict[str, int]:
    """What became of the records of an entity."""
    numbers = tally.numbers()
    updated = numbers["stored"] - tally.inserted - tally.deleted
    return {
        "inserted": tally.inserted,
        "updated": updated,
        "unchanged": numbers["duplicate"],
        "deleted": tally.deleted,
    }


def asked(workspace: Workspace, tally: Tally) -> dict[str, Any]:
    """How a web API was asked; empty where none was."""
    source = workspace.asked
    if source is None:
        return {}
    looked = source.looked
    document = {"plan": looked.plan, "api_calls": source.calls, "early_exit": looked.rows == 0 and tally.counts is None}
    return document | ({"why": looked.why} if looked.why else {})


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    if document.get("inserted", 0) or document.get("updated", 0) or document.get("deleted", 0):
        gone = f", {document['deleted']:,} deleted" if document["deleted"] else ""
        yield f"  {document['inserted']:,} inserted, {document['updated']:,} updated, {document['unchanged']:,} unchanged{gone}"
    if "plan" in document:
        nothing = ": nothing new" if document["early_exit"] else ""
        yield f"  {document['plan']}, {counted(document['api_calls'], 'API call')}{nothing}"
    if document.get("why"):
        yield f"  {document['why']} So everything was listed."
