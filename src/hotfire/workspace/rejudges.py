"""Judging a stream's past anew: the parts of a workspace that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.engine.feed import narrowed, of_past
from hotfire.engine.rejudge import Rejudged, previous, reach_text, rejudged
from hotfire.errors import OwnedElsewhere, Refused, UserError
from hotfire.store.revisions import Revision
from hotfire.workspace.rules import Rules
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.contract.model import Contract


def rejudge_stream(
    workspace: Workspace, stream: str, job_id: str, since_ns: int | None, until_ns: int | None
) -> tuple[Revision, Rejudged]:
    """Judge a stream's past by the rules and the contract of today, and write that as a new revision.

    Another process may own the store, and go on: nobody else writes revisions of what is past.

    Raises:
        UserError: the stream holds entities.
        Refused: another process goes on by an older contract, or has judged the same past meanwhile.
    """
    store, contract = workspace.store, _contract(workspace, stream)
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
    if not store.revisions.add(revision, came.after):
        raise Refused(f"Another rejudge of {stream} has ended first, as revision {number + 1}.", "Run it again.")
    return revision, came


def _contract(workspace: Workspace, stream: str) -> Contract:
    """The contract of today, taken into use where no other process is at work."""
    contract = workspace.contract(stream)
    if contract.kind == "entity":
        raise UserError(f"{stream} holds entities; rules are about telemetry.", "Name another stream.")
    try:
        with Workspace(workspace.settings, workspace.clock) as hands:
            hands.store.own()
            return hands.prepare(stream)
    except OwnedElsewhere:
        if workspace.contract_in_use(stream).hash == contract.hash:
            return contract
    raise Refused(
        f"The contract of {stream} has changed, and the process that owns the store goes on by the one before.",
        "Stop `hotfire up` and start it again, which takes the change into use; or take the change back.",
    )
