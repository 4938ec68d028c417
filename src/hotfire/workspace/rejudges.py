"""Judging a stream's past anew: the parts of a workspace that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.engine.feed import narrowed, of_past
from hotfire.engine.rejudge import Rejudged, previous, reach_text, rejudged
from hotfire.errors import UserError
from hotfire.store.revisions import Revision
from hotfire.workspace.rules import Rules

if TYPE_CHECKING:
    from hotfire.workspace.wiring import Workspace


def rejudge_stream(
    workspace: Workspace, stream: str, job_id: str, since_ns: int | None, until_ns: int | None
) -> tuple[Revision, Rejudged]:
    """Judge a stream's past by the rules and the contract of today, and write that as a new revision.

    Raises:
        UserError: the stream holds entities.
        OwnedElsewhere: another process is writing to the store.
    """
    store = workspace.store
    store.own()
    contract = workspace.prepare(stream)
    if contract.kind == "entity":
        raise UserError(f"{stream} holds entities; rules are about telemetry.", "Name another stream.")
    ruleset = Rules(workspace.settings.folder, contract, store).current
    narrow = narrowed(contract, [ruleset])
    only = workspace.settings.stream(stream).lake_only
    with store.steady():
        number, before = previous(store, stream)
        present = [one.storage for one in contract.columns]
        fed = of_past(narrow, store, workspace.lake, lake_only=only, present=present)
        came = rejudged(narrow, ruleset, fed, before, (since_ns, until_ns))
    bounds = (since_ns, until_ns, reach_text(came.reach))
    revision = Revision(stream, number + 1, contract.hash, ruleset.hash, *bounds, job_id, workspace.clock.now_ns())
    store.revisions.add(revision, came.after)
    return revision, came
