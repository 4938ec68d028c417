"""Telemetry and records from files to trusted tables, exactly once. In a notebook: `hotfire.read(...)`."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which is not worth its time here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from os import PathLike

    import polars as pl

__all__ = ["read"]


def read(
    workspace: str | PathLike[str],
    stream: str,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """A stream's stored rows, in order of arrival, as a Polars frame.

    Every instant `x` of the contract comes twice: `x` as Datetime in UTC, and `x_ns`, its exact int64 nanoseconds.

    Args:
        workspace: the workspace's folder, or one inside it.
        stream: its name.
        since: only rows whose event time is not before this instant (ISO 8601 with zone, or an aware datetime).
        until: only rows whose event time is before this instant.
        columns: only these, by the contract's names or as they are stored; all, and the bookkeeping, if None.

    Raises:
        UserError: there is no such workspace, stream or column, or an instant has no zone.

    Example:
        >>> import hotfire
        >>> hotfire.read("stand", "engine_telemetry", since="2026-03-01T00:00:00Z", columns=["engine_id", "temperature"])
        ... # doctest: +SKIP
    """
    from hotfire.workspace import reading

    return reading.read(workspace, stream, since, until, columns)
