"""Which workspace a command works in, and `hotfire init`, which makes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, named_workspace
from hotfire.errors import HotfireError
from hotfire.workspace.templates import TEMPLATES, create

if TYPE_CHECKING:
    from hotfire.workspace.model import Settings


def settings_of(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of the workspace that `--workspace` names, or the one around the working folder."""
    from hotfire.workspace.settings import current

    return current(overrides, named_workspace())


def complete_stream(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's signature
    """Streams whose name begins like what was typed; none where there is no workspace."""
    try:
        with ctx.scope(cleanup=False):
            streams = settings_of().streams
    except HotfireError:
        return []
    return [name for name in streams if name.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--template", type=click.Choice(list(TEMPLATES)), help="A reference workspace; else an empty one.")
def init(folder: Path, template: str | None) -> Answer:
    """Make a workspace: a folder with settings and a contract for each stream."""
    from hotfire.workspace.contracts import load_contract
    from hotfire.workspace.settings import load

    files = create(template, folder)
    settings = load(folder, {}, {})
    for stream in settings.streams:
        load_contract(settings.folder, stream)  # compiled now, so that the first ingest need not
    document = {"workspace": str(folder.absolute()), "template": template, "files": files}
    return Answer(document, _made(folder, template, files))


def _made(folder: Path, template: str | None, files: list[str]) -> Iterator[str]:
    yield f"Made the workspace {folder} with {len(files)} files."
    yield "Next:"
    if folder.absolute() != Path.cwd():
        yield f"  cd {folder}"
    yield from (f"  {line}" for line in _FIRST_STEPS[template])


_FIRST_STEPS: Mapping[str | None, tuple[str, ...]] = {
    "engines": (
        "hotfire simulate engine_telemetry --to incoming/burn-1.csv",
        "hotfire ingest engine_telemetry",
        "hotfire balance",
    ),
    "launches": (
        "hotfire ingest launches",
        'hotfire sql "select * from launch_aggregations"',
        "hotfire sql success_by_year",
    ),
    "dyno": ("hotfire ingest dyno_telemetry --from train_FD001.txt", "hotfire balance"),
    "fleet": ("hotfire ingest events --from events.jsonl", "hotfire quarantine stats", "hotfire balance"),
    None: (
        "hotfire contract infer FILE --stream NAME --save     # a draft, in contracts/NAME/v1.yaml: read it",
        "hotfire contract lint",
        "hotfire ingest NAME --from FILE",
    ),
}
