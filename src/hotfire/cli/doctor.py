"""`hotfire doctor`: everything that can be wrong with a workspace, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from hotfire.cli.command import Command
from hotfire.cli.output import Answer
from hotfire.cli.workspace import settings_of
from hotfire.errors import HotfireError, SettingsError

if TYPE_CHECKING:
    from hotfire.workspace.doctor import Looked
    from hotfire.workspace.vitals import Vitals
    from hotfire.workspace.wiring import Workspace


@click.command(cls=Command)
@click.option(
    "--repair",
    is_flag=True,
    help="Drop plans that cannot be finished; bring lake and store together; make a lake that lost files anew.",
)
def doctor(*, repair: bool) -> Answer:
    """Check everything: settings, contracts, store, plans, lake, disk, owner. Exit 1 where something has to be done."""
    from hotfire.cli.jobs import job
    from hotfire.workspace.doctor import Looked, examine
    from hotfire.workspace.doctor import repair as mend
    from hotfire.workspace.vitals import Vitals
    from hotfire.workspace.wiring import Workspace

    try:
        settings = settings_of()
    except SettingsError as error:
        return _answer([Looked("settings", ok=False, detail=error.what, do=error.do)], [], [])
    mended: list[str] = []
    if repair:
        with Workspace(settings) as workspace, job(workspace, "doctor", "") as one:
            mended = list(mend(workspace, one.job_id))
            one.summary = {"repaired": mended}
    with Workspace(settings) as workspace:
        vitals = Vitals(workspace)
        checks = [Looked("settings", ok=True, detail=str(settings.folder)), *examine(workspace, vitals)]
        streams = list(_streams(workspace, vitals)) if all(one.ok for one in checks if one.name == "store") else []
    return _answer(checks, streams, mended, repair=repair)


def _streams(workspace: Workspace, vitals: Vitals) -> Iterator[dict[str, Any]]:
    path = workspace.settings.database
    made = path is None or path.exists()
    for stream in workspace.settings.streams:
        document: dict[str, Any] = {"stream": stream, "shards": []}
        for row in workspace.store.query("shards", stream=stream).rows(named=True) if made else ():
            try:
                marker = workspace.lake.marker(stream, row["shard"])
            except HotfireError:
                marker = None
            shown = {"shard": row["shard"], "committed_seq": row["committed_seq"], "lake_marker": marker}
            document["shards"].append(shown)
        yield {**document, **vitals.document(stream, made=made)}


def _answer(
    checks: Sequence[Looked], streams: Sequence[Mapping[str, Any]], mended: Sequence[str], *, repair: bool = False
) -> Answer:
    document: dict[str, Any] = {"streams": streams, "checks": [asdict(one) for one in checks]}
    if repair:
        document["repaired"] = mended
    return Answer(document, _lines(checks, mended), 0 if all(one.ok for one in checks) else 1)


def _lines(checks: Sequence[Looked], mended: Sequence[str]) -> Iterator[str]:
    yield from (f"repaired: {sentence}" for sentence in mended)
    width = max(len(one.name) for one in checks)
    for one in checks:
        mark = click.style("ok  ", fg="green") if one.ok else click.style("MEND", fg="red")
        yield f"{mark}  {one.name.ljust(width)}  {one.detail}"
        if one.do:
            yield f"      {' ' * width}  {one.do}"
    wrong = sum(not one.ok for one in checks)
    yield "Nothing to mend." if not wrong else f"{wrong} to mend."
