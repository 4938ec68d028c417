"""A command that changes a workspace is a job: it has an id, a row in `hf_job`, and a logger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from hotfire.cli.output import terminal
from hotfire.clock import iso
from hotfire.errors import HotfireError

if TYPE_CHECKING:
    from hotfire.rows import Outcome
    from hotfire.workspace.wiring import Workspace

_QUIET_NS = 1_000_000_000
"""A job that is over sooner shows neither progress nor log lines: its answer says it all."""


class Job(Struct):
    """One execution of a command.

    Attributes:
        summary: what it has done so far; kept with the job when it ends, however it ends.
        idle: it found that there is nothing to do: it leaves no row.
    """

    workspace: Workspace
    job_id: str
    command: str
    stream: str
    started_ns: int
    rows: int = 0
    status: str = "failed"
    summary: dict[str, Any] = field(default_factory=dict)
    idle: bool = False
    _bar: Any = None
    _log: Any = None

    @property
    def seconds(self) -> float:
        """How long it has taken up to now."""
        return (self.workspace.clock.now_ns() - self.started_ns) / 1e9

    def watch(self, outcome: Outcome) -> None:
        """A batch was committed: on a terminal the bar moves, otherwise a log line says so."""
        self.rows += outcome.plan.span.rows
        if self.workspace.clock.now_ns() - self.started_ns < _QUIET_NS:
            return
        if terminal():
            self._advance()
        else:
            counts = outcome.counts
            self.log.info(
                "batch_committed",
                stream=self.stream,
                batch_seq=outcome.plan.batch_seq,
                rows=outcome.plan.span.rows,
                stored=counts.stored,
                duplicate=counts.duplicate,
                superseded=counts.superseded,
                quarantined=counts.quarantined,
            )

    @property
    def log(self) -> Any:
        """The job's logger, made when it is first needed."""
        if self._log is None:
            from hotfire.cli.logs import logger

            self._log = logger(self.job_id)
        return self._log

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advance(self) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(self.command)
            self._bar.start()
        rate = self.rows / self.seconds
        task = self._bar.task_ids[0]
        self._bar.update(task, description=f"{self.command} {self.stream}  {self.rows:,} rows  {rate:,.0f} rows/s")


@contextmanager
def job(workspace: Workspace, command: str, stream: str, *, owns: bool = True) -> Iterator[Job]:
    """Run the body as a job. However the body ends, the store knows it; only a killed process leaves it `running`.

    Args:
        owns: the store, and so exit 3 where another process does; False: it works beside that.
    """
    if owns:
        workspace.store.own()
        workspace.store.jobs.bury()
    started = workspace.clock.now_ns()
    stamp = iso(started)[:19].replace("-", "").replace(":", "")
    one = Job(workspace, f"{stamp}-{secrets.token_hex(3)}", command, stream, started)
    workspace.store.jobs.start(one.job_id, command, stream)
    try:
        yield one
        one.status = "done"
    except HotfireError as error:
        one.summary = {"error": error.what, "do": error.do, **one.summary}
        raise
    finally:
        one.close()
        with suppress(HotfireError):
            if one.idle and one.status == "done":
                workspace.store.jobs.forget(one.job_id)
            else:
                workspace.store.jobs.end(one.job_id, one.status, json.dumps(one.summary))
