"""What can be set about a web API."""

from __future__ import annotations

from msgspec import Struct

from hotfire.contract.duration import duration_ns
from hotfire.contract.size import size_bytes


class RestSettings(Struct, frozen=True):
    """Where a web API is, and what is asked of it. Durations and sizes as people write them.

    Attributes:
        base_url: what all paths are behind.
        list: the path that lists every record.
        latest: the path of the newest record; None: every poll lists.
        query: the path that finds records, asked by POST with `{"query": ..., "options": ...}`; None: what is newer is
            listed.
        since: the field that `query` filters on and the newest record is told by: an instant as ISO 8601.
        planned: a field that is true in records of what is still to come: their `since` says nothing yet.
        overlap: how far before the last record that was taken a query begins.
        reconcile: how often everything is listed and compared, deletions too.
        cadence: a source that does not change for longer is frozen.
        max_deleted: the greatest share of the stored records that one listing may delete.
        attempts: how often a request is sent at most.
        timeout: how long one request may take.
        max_response: how much one poll may bring.
    """

    base_url: str
    list: str
    latest: str | None = None
    query: str | None = None
    since: str | None = None
    planned: str | None = None
    overlap: str = "30 d"
    reconcile: str = "7 d"
    cadence: str = "30 d"
    max_deleted: float = 0.05
    attempts: int = 3
    timeout: str = "30 s"
    max_response: str = "64 MiB"

    @property
    def overlap_ns(self) -> int:
        """The overlap in nanoseconds."""
        return duration_ns(self.overlap)

    @property
    def reconcile_ns(self) -> int:
        """From one full comparison to the next, in nanoseconds."""
        return duration_ns(self.reconcile)

    @property
    def cadence_ns(self) -> int:
        """The expected cadence in nanoseconds."""
        return duration_ns(self.cadence)

    @property
    def timeout_s(self) -> float:
        """The time-out of one request in seconds."""
        return duration_ns(self.timeout) / 1e9

    @property
    def max_bytes(self) -> int:
        """The most that one poll may bring, in bytes."""
        return size_bytes(self.max_response)
