"""What `doctor` says of spools: rows that were pushed, and what came through pipes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hotfire.rows import LIVE, Place, Plan
from hotfire.source.spool.segments import key_of, listing, troubles, written
from hotfire.source.stdin import kept

if TYPE_CHECKING:
    from hotfire.workspace.watchers import Seen
    from hotfire.workspace.wiring import Workspace


def spools_seen(workspace: Workspace, *, idle: bool) -> Iterator[Seen]:
    """Whether what was pushed is whole, and goes on to its stream; whether pipes have left anything.

    Args:
        idle: no other process is at work: it may be about to begin with what came through a pipe.
    """
    for folder in sorted(one for one in pushed(workspace).glob("*") if one.is_dir()):
        yield _pushed(workspace, folder)
    if idle and (left := forgotten_pipes(workspace)):
        size = sum(one.stat().st_size for one in left)
        detail = (
            f"{len(left):,} file{'s' * (len(left) > 1)} ({size:,} bytes) of runs that were killed before they began"
        )
        yield "spool.pipes", True, f"{detail}; `hotfire doctor --repair` removes them", ""


def pushed(workspace: Workspace) -> Path:
    """The folder of what was pushed, a folder each stream."""
    return workspace.settings.data / "spool" / "http"


def forgotten_pipes(workspace: Workspace) -> list[Path]:
    """Files of what came through pipes that no stream goes on with. Only the owner of the store can tell."""
    found = {one.name: one for one in kept(workspace.settings.data / "spool")}
    for place in _places(workspace) if found else ():
        name = Path(place.facts["path"]).name if place.facts.get("pipe") else ""
        if name in found and place.offset < place.facts.get("packed", (0, found[name].stat().st_size))[1]:
            del found[name]
    return list(found.values())


def _pushed(workspace: Workspace, folder: Path) -> Seen:
    name, stream, found = f"spool/{folder.name}", folder.name, troubles(folder)
    if found:
        one = found[0]
        more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
        do = "Look at the disk. What is damaged is quarantined whole; its senders were told that it is safe: ask them again."
        return name, False, f"{one.path}, byte {one.at:,}: {one.what} ({one.size:,} bytes){more}", do
    waiting = _waiting(workspace, folder)
    if stream not in workspace.settings.streams and waiting:
        do = f"Add [streams.{stream}.source] to hotfire.toml, with its contract, and ingest it; or delete {folder}."
        return name, False, f"{waiting:,} bytes were pushed to a stream that is no longer there", do
    detail = f"{waiting:,} bytes wait for the next `hotfire up` or `hotfire ingest`" if waiting else "nothing waits"
    return name, True, detail, ""


def _waiting(workspace: Workspace, folder: Path) -> int:
    """How many bytes of a spool are not committed."""
    segments = listing(folder)
    if not segments:
        return 0
    places = workspace.store.query("places", stream=folder.name, shard=LIVE).select("place", "at_offset").rows()
    read = [at for key, at in places if key.partition(".")[0] == key_of(segments[-1].marker)]
    return max(0, written(folder) - int(max([segments[0].base, *read])))


def _places(workspace: Workspace) -> Iterator[Place]:
    """Where reading of any stream goes on, and what is planned."""
    store = workspace.store
    for stream in store.query("streams")["stream"]:
        for shard in store.query("shards", stream=stream)["shard"]:
            yield from store.places(stream, shard)
        for text in store.query("unfinished_plans", stream=stream)["plan"]:
            yield from (part.place for part in msgspec.json.decode(text, type=Plan).span.parts)
