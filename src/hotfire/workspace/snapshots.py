"""The snapshots of a workspace: `snapshots/<table>.sql`, each of one stream."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from hotfire.contract.model import STREAM_NAMES, is_stream_name
from hotfire.errors import UserError
from hotfire.store.snapshots import Snapshot, read_snapshot

if TYPE_CHECKING:
    from hotfire.workspace.model import Settings

FOLDER = "snapshots"


def snapshot_of(settings: Settings, stream: str) -> Snapshot | None:
    """The snapshot of a stream; None where it has none.

    Raises:
        UserError: a file is not well written, or of a stream that is none, or it is the second one of the stream.
    """
    found = [one for one in snapshots(settings) if one.stream == stream]
    if len(found) > 1:
        what = f"{found[0].file} and {found[1].file} are both of the stream {stream}."
        raise UserError(what, "A stream has one snapshot: put the columns of both into one file.")
    return found[0] if found else None


def snapshots(settings: Settings) -> list[Snapshot]:
    """All of them, in order of name; UserError where a file is not well written, or of a stream that is none."""
    found = []
    for path in sorted((settings.folder / FOLDER).glob("*.sql")):
        file, table = path.relative_to(settings.folder).as_posix(), path.stem
        if not is_stream_name(table) or any(table in {name, f"{name}_history"} for name in settings.streams):
            raise UserError(f"{file} cannot be a table's name.", f"Rename it: no stream's name; {STREAM_NAMES}.")
        try:
            one = read_snapshot(file, table, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read: {error}.") from None
        if one.stream not in settings.streams:
            near = difflib.get_close_matches(one.stream, settings.streams, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(settings.streams) or 'none'}."
            raise UserError(f"{file} is of the stream {one.stream!r}, which is none.", hint)
        found.append(one)
    return found
