"""What the web server counts of itself, and how full the spools are, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hotfire.rows import Outcome
from hotfire.source.spool.writer import Spool


class Meters:
    """Counters of requests and of what they brought."""

    def __init__(self, registry: CollectorRegistry) -> None:
        label = ["stream"]
        self._answered = Counter(
            "hotfire_ingest_answered_requests", "Pushes answered, by status code.", [*label, "code"], registry=registry
        )
        self._bytes = Counter(
            "hotfire_ingest_accepted_bytes", "Bytes pushed and acknowledged, decompressed.", label, registry=registry
        )
        self._lines = Counter(
            "hotfire_ingest_accepted_lines", "Lines pushed and acknowledged.", label, registry=registry
        )

    def answered(self, stream: str, code: int) -> None:
        """Count one answer; `stream` is empty where there is no such stream."""
        self._answered.labels(stream, code).inc()

    def accepted(self, stream: str, size: int, lines: int) -> None:
        """Count what was acknowledged."""
        self._bytes.labels(stream).inc(size)
        self._lines.labels(stream).inc(lines)


class EngineMeters:
    """What became of rows, and how long it took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        fates = {
            "received": "Source records taken.",
            "stored": "Rows stored.",
            "duplicate": "Rows that were stored already.",
            "superseded": "Entity versions older than the stored one.",
            "quarantined": "Rows that broke a check.",
            "corrected": "Stored rows with a corrected value.",
            "late": "Stored rows behind their asset's clock.",
        }
        label = ["stream"]
        self._fates = {
            fate: Counter(f"hotfire_rows_{fate}", text, label, registry=registry) for fate, text in fates.items()
        }
        self._batches = Counter("hotfire_batches_committed", "Batches committed.", label, registry=registry)
        self._outages = Counter("hotfire_outages_met", "Outages that a stream waited for.", label, registry=registry)
        self._raised = Counter(
            "hotfire_conditions_raised", "Conditions raised.", ["stream", "severity"], registry=registry
        )
        self._seconds = Histogram(
            "hotfire_batch_commit_seconds", "From receipt to commit.", label, registry=registry, buckets=_SECONDS
        )
        self._lag = Histogram(
            "hotfire_event_commit_seconds",
            "From a batch's newest event to its commit.",
            label,
            registry=registry,
            buckets=_SECONDS,
        )
        self._newest = Gauge(
            "hotfire_event_newest_seconds", "The newest event time, since 1970.", label, registry=registry
        )
        self._checked = Gauge(
            "hotfire_source_checked_seconds", "When a web API last answered, since 1970.", label, registry=registry
        )
        self._changed = Gauge(
            "hotfire_source_changed_seconds", "When a web API last changed, since 1970.", label, registry=registry
        )
        self._frozen = Gauge(
            "hotfire_source_frozen_state", "1 where a web API answers and never changes.", label, registry=registry
        )
        self._running = Gauge("hotfire_stream_running_state", "1 where a stream runs.", label, registry=registry)

    def committed(self, outcome: Outcome, committed_at_ns: int, newest_ns: int | None) -> None:
        """Count one batch.

        Args:
            newest_ns: its newest event time; None where it has none.
        """
        stream, counts = outcome.plan.stream, outcome.counts
        for fate, counter in self._fates.items():
            counter.labels(stream).inc(getattr(counts, fate))
        self._batches.labels(stream).inc()
        self._seconds.labels(stream).observe((committed_at_ns - outcome.plan.received_at_ns) / 1e9)
        for change in outcome.watched.changes:
            if change.what == "raised":
                self._raised.labels(stream, change.condition.severity).inc()
        if newest_ns is not None:
            self._lag.labels(stream).observe(max(0.0, (committed_at_ns - newest_ns) / 1e9))
            self._newest.labels(stream).set(newest_ns / 1e9)

    def asked(self, stream: str, checked_ns: int, changed_ns: int, *, frozen: bool) -> None:
        """A web API has been looked at."""
        self._checked.labels(stream).set(checked_ns / 1e9)
        self._changed.labels(stream).set(changed_ns / 1e9)
        self._frozen.labels(stream).set(int(frozen))

    def standing(self, stream: str, *, running: bool, failed: bool) -> None:
        """A stream has come into another state."""
        self._running.labels(stream).set(int(running))
        if failed:
            self._outages.labels(stream).inc()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class SpoolMeters(Collector):
    """How full the spools are, looked at when it is asked for."""

    def __init__(self, spools: Mapping[str, Spool]) -> None:
        self._spools = spools

    def collect(self) -> Iterator[Metric]:
        """One sample a stream of each metric."""
        disk = GaugeMetricFamily("hotfire_spool_disk_bytes", "Bytes of the spool on disk.", labels=["stream"])
        waiting = GaugeMetricFamily("hotfire_spool_waiting_bytes", "Bytes not committed yet.", labels=["stream"])
        written = CounterMetricFamily("hotfire_spool_written_payloads", "Requests made durable.", labels=["stream"])
        synced = CounterMetricFamily("hotfire_spool_synced_groups", "Fsyncs that did so.", labels=["stream"])
        for name, spool in self._spools.items():
            state = spool.state
            disk.add_metric([name], state.disk_bytes)
            waiting.add_metric([name], state.waiting_bytes)
            written.add_metric([name], state.payloads)
            synced.add_metric([name], state.syncs)
        return iter((disk, waiting, written, synced))
