"""`hotfire backup`: store, lake, contracts and settings of one moment, in a folder, while an engine goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, counted, equation
from hotfire.cli.workspace import settings_of

if TYPE_CHECKING:
    from hotfire.ledger.balance import Balance
    from hotfire.workspace.backup import Saved


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def backup(folder: Path) -> Answer:
    """Write a backup into a new folder: the store, the lake and what they need, of one moment.

    An engine may go on meanwhile. Not in it: what was pushed and waits for its commit, and the files that are read.
    """
    from hotfire.workspace.backup import back_up
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings_of()) as workspace:
        saved, found = back_up(workspace, folder.absolute())
    return Answer(document(folder, saved, found), _lines(folder, saved, found), exit_code(found))


def document(folder: Path, saved: Saved, found: Sequence[Balance]) -> dict[str, Any]:
    """What a backup holds, and how it was counted again."""
    streams = [
        {
            "stream": one.stream,
            "shards": dict(saved.streams[one.stream]),
            "received": one.totals["received"] + one.pending,
            "stored": one.totals["stored"],
            "balanced": one.balanced,
            "differences": one.differences,
        }
        for one in found
    ]
    balanced = all(one.balanced for one in found)
    return {"folder": str(folder.absolute()), "made_at": saved.made_at, "balanced": balanced, "streams": streams}


def recounted(found: Sequence[Balance]) -> Iterator[str]:
    """The equation of each stream, and whether it holds."""
    width = max((len(one.stream) for one in found), default=0)
    for one in found:
        pending = f" + pending {one.pending:,}" if one.pending else ""
        totals = {**one.totals, "received": one.totals["received"] + one.pending}
        yield f"{one.stream.ljust(width)}  {equation(totals)}{pending}"
        yield from (click.style(f"  {difference}", fg="red") for difference in one.differences)
    wrong = sum(len(one.differences) for one in found)
    yield (
        click.style("balanced", fg="green")
        if not wrong
        else click.style(f"NOT balanced: {counted(wrong, 'difference')}", fg="red")
    )


def exit_code(found: Sequence[Balance]) -> int:
    """1 where anything differs."""
    return 0 if all(one.balanced for one in found) else 1


def _lines(folder: Path, saved: Saved, found: Sequence[Balance]) -> Iterator[str]:
    yield f"Saved {counted(len(found), 'stream')} as of {saved.made_at[:19]}Z in {folder}"
    yield from recounted(found)
    yield f"Next: in an empty folder, hotfire restore {folder}"
