"""What `hotfire ingest` says of entities, and of streams that a web API feeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hotfire.cli.output import counted, hint
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


def asked(workspace: Workspace, stream: str, tally: Tally) -> dict[str, Any]:
    """How a web API was asked, and whether it still changes; empty where none was asked."""
    from hotfire.clock import iso
    from hotfire.workspace.frozen import observe

    source = workspace.asked
    if source is None:
        return {}
    looked = source.looked
    document = {"plan": looked.plan, "api_calls": source.calls, "early_exit": looked.rows == 0 and tally.counts is None}
    if looked.why:
        document["why"] = looked.why
    found = None if workspace.dry_run else observe(workspace, stream)
    if found is not None:
        workspace.store.act(stream)
        if found.frozen_ns is not None:
            document |= {"frozen_since": iso(found.frozen_ns), "changed_at": iso(found.changed_ns)}
    return document


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
    if document.get("frozen_since"):
        yield f"  Frozen: the source has not changed since {document['changed_at'][:19]}Z: {hint('alarm list')}"
