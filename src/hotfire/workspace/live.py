"""The streams of a workspace, each going on by itself in this process, with a store connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hotfire.engine.supervise import Live, Standing
from hotfire.workspace.rules import RulesFiles
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from threading import Lock

    from hotfire.engine.flow import Flow
    from hotfire.engine.supervise import Wait
    from hotfire.errors import UserError
    from hotfire.rows import Outcome
    from hotfire.source.spool.writer import Spool


class Listener(Struct, frozen=True):
    """Who is told how streams are doing.

    Attributes:
        told: of every batch, after its commit, on the stream's own thread.
        stood: of every change of a stream's standing.
        broken: of rules of a stream that have changed and cannot be used: those before hold on.
    """

    told: Callable[[Outcome], None]
    stood: Callable[[str, Standing], None]
    broken: Callable[[str, UserError], None]


def live_streams(
    workspace: Workspace, job_id: str, spools: Mapping[str, Spool], locks: Mapping[str, Lock], listener: Listener
) -> dict[str, Live]:
    """Every stream of a workspace, not yet begun.

    Args:
        workspace: owns the store, for as long as the streams go on.
        spools: what is pushed, by stream.
        locks: of each stream, for what else brings rows to it in this process.
    """
    folder, clock = workspace.settings.folder, workspace.clock
    return {
        stream: Live(
            stream,
            partial(_opened, workspace, stream, job_id, spools, lock),
            clock.now_ns,
            listener.told,
            listener.stood,
            RulesFiles(folder, stream, clock, partial(listener.broken, stream)).renewed,
        )
        for stream, lock in locks.items()
    }


def _opened(
    workspace: Workspace, stream: str, job_id: str, spools: Mapping[str, Spool], lock: Lock
) -> AbstractContextManager[tuple[Flow, Wait]]:
    @contextmanager
    def parts() -> Iterator[tuple[Flow, Wait]]:
        with Workspace(workspace.settings, workspace.clock, spools=spools) as own:
            flow, source = own.ingest_flow(own.prepare(stream), job_id, follow=True)
            yield replace(flow, lock=lock), source.wait

    return parts()
