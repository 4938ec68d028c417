"""Whether a web API still changes. One that answers, but never changes, is a state that people see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hotfire.clock import iso
from hotfire.findings import About, Change, Condition
from hotfire.rows import LIVE, Place
from hotfire.source.rest import KEY
from hotfire.workspace.alarms import open_alarms

if TYPE_CHECKING:
    from hotfire.workspace.wiring import Workspace

RULE = "source.frozen"
"""What the alarm's rule is called; its asset is the stream."""


class Standing(Struct, frozen=True):
    """How a stream's web API is doing, by its last good look.

    Attributes:
        checked_ns: when that was.
        changed_ns: when it last changed: by its first list, as that says itself; after that, by what was stored.
        frozen_ns: since when it should have changed again; None: it still may.
        missing: so many stored records were not listed when everything was last compared, too many to be deleted.
    """

    checked_ns: int
    changed_ns: int
    frozen_ns: int | None
    missing: int


def standing(workspace: Workspace, stream: str) -> Standing | None:
    """How the web API of a stream is doing; None where it has none, or nothing ever came of it."""
    rest = workspace.settings.stream(stream).source.rest
    if rest is None:
        return None
    from hotfire.source.rest.source import state_of  # here, for most streams ask nobody

    key, places = f"{KEY}{rest.list}", workspace.store.query("places", stream=stream, shard=LIVE)
    facts = [facts for place, facts in places.select("place", "facts").rows() if place == key]
    if not facts:
        return None
    state = state_of(Place(key, "", facts=msgspec.json.decode(facts[0])))
    if state.initial_ns is None:
        return None
    stored_ns = workspace.store.query("last_change", stream=stream, after=state.initial_ns)["received_at_ns"].item()
    changed_ns = stored_ns or (state.initial_ns if state.since_ns is None else min(state.since_ns, state.initial_ns))
    frozen_ns = changed_ns + rest.cadence_ns
    return Standing(state.checked_ns, changed_ns, frozen_ns if state.checked_ns > frozen_ns else None, state.missing)


def changes(workspace: Workspace, stream: str, found: Standing) -> Iterator[tuple[str, Change]]:
    """What that means for the alarm: raised where the source is frozen, returned where it no longer is; with a name each."""
    about = About(detector="frozen")
    if found.frozen_ns is not None:
        message = f"{stream}: its source answers, but has not changed since {iso(found.changed_ns)}"
        held = Condition(RULE, stream, "", 1, "warning", "warning", found.frozen_ns, message=message)
        yield f"{RULE} {stream} {found.frozen_ns}", Change("raised", found.checked_ns, held, about)
        return
    for alarm in open_alarms(workspace, stream):
        if alarm.rule == RULE and alarm.active:
            raised_ns = alarm.raised_at_ns or found.changed_ns
            over = Condition(RULE, stream, "", 1, None, alarm.severity, raised_ns, found.changed_ns)
            yield f"{RULE} {stream} over {raised_ns}", Change("returned", found.changed_ns, over, about)


def observe(workspace: Workspace, stream: str) -> Standing | None:
    """Look, and ask for the alarm where it is due; the stream's owner has still to take that."""
    found = standing(workspace, stream)
    if found is not None:
        for name, change in changes(workspace, stream, found):
            workspace.store.alarms.observe(stream, name, change)
    return found
