"""The jobs of a store: executions of commands that may change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions


class Jobs:
    """A row each, from the beginning of a job.

    Args:
        run: the store's transactions.
    """

    def __init__(self, connection: Connection, run: Transactions, clock: Clock) -> None:
        self._connection, self._run, self._clock = connection, run, clock

    def start(self, job_id: str, command: str, stream: str) -> None:
        """Write down that a job has begun."""
        self._write(
            "INSERT INTO hf_job VALUES (?, ?, ?, 'running', ?, NULL, NULL) ON CONFLICT DO NOTHING",
            [job_id, command, stream, self._clock.now_ns()],
        )

    def bury(self) -> None:
        """Write down that jobs still called running were killed: only the owner of the store may know that."""
        self._write(
            "UPDATE hf_job SET status = 'failed', ended_at_ns = ?, summary = '{\"error\": \"killed\"}' "
            "WHERE status = 'running'",
            [self._clock.now_ns()],
        )

    def end(self, job_id: str, status: str, summary: str) -> None:
        """Write down how a job has ended: `done` or `failed`, with its summary as JSON. Gives up what it left open."""
        self._write(
            "UPDATE hf_job SET status = ?, ended_at_ns = ?, summary = ? WHERE job_id = ?",
            [status, self._clock.now_ns(), summary, job_id],
        )

    def forget(self, job_id: str) -> None:
        """A job that found nothing to do leaves no row."""
        self._write("DELETE FROM hf_job WHERE job_id = ?", [job_id])

    def _write(self, sql: str, parameters: Sequence[Any]) -> None:
        self._run.writing(lambda: self._connection.query(sql, parameters))
