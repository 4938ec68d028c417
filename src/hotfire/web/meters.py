"""What the web server counts of itself, and how full the spools are, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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
