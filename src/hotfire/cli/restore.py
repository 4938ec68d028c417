"""`hotfire restore`: a backup put back into a folder that has no data yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotfire.cli.backup import document, exit_code, recounted
from hotfire.cli.command import Command
from hotfire.cli.output import Answer, counted, hint, named_workspace

if TYPE_CHECKING:
    from hotfire.workspace.restore import Restored


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(folder: Path) -> Answer:
    """Put a backup back into the working folder (or the one that --workspace names), which must have no data.

    Settings and contracts that are there already stay as they are. Every stream is counted again.
    """
    from hotfire.workspace.restore import restore as put_back

    target = named_workspace() or Path()
    done = put_back(folder.absolute(), target.absolute())
    answer = {**document(target, done.saved, done.balances), "files": list(done.files), "dropped": list(done.dropped)}
    return Answer(answer, _lines(target, done), exit_code(done.balances))


def _lines(target: Path, done: Restored) -> Iterator[str]:
    where = target.absolute()
    yield f"Restored {counted(len(done.balances), 'stream')} as of {done.saved.made_at[:19]}Z into {where}"
    yield from (f"  {sentence}" for sentence in done.dropped)
    yield from recounted(done.balances)
    yield f"Next: {hint('doctor')}"
