"""The streams of a workspace, each going on by itself in this process, with a store connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hotfire.engine.supervise import Live, Standing
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from threading import Lock

    from hotfire.engine.flow import Flow
    from hotfire.engine.supervise import Wait
    from hotfire.rows import Outcome
    from hotfire.source.spool.writer import Spool


def live_streams(
    workspace: Workspace,
    job_id: str,
    spools: Mapping[str, Spool],
    told: Callable[[Outcome], None],
    stood: Callable[[str, Standing], None],
    locks: Mapping[str, Lock],
) -> dict[str, Live]:
    """Every stream of a workspace, not yet begun.

    Args:
        workspace: owns the store, for as long as the streams go on.
        spools: what is pushed, by stream.
        told: of every batch, after its commit, on the stream's own thread.
        stood: of every change of a stream's standing.
        locks: of each stream, for what else brings rows to it in this process.
    """
    return {
        stream: Live(
            stream,
            partial(_opened, workspace, stream, job_id, spools, lock),
            workspace.clock.now_ns,
            told,
            stood,
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
