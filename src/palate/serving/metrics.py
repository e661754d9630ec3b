"""What the server counts, for Prometheus. One registry an application; labels come from closed sets."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("palate_requests", "Requests answered.", ("route", "status"), registry=self.registry)
        self._seconds = Histogram(
            "palate_request_seconds",
            "Seconds to answer a request.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._rows = Counter(
            "palate_rows", "Rows of events, items and users taken in.", ("sort", "status"), registry=self.registry
        )
        self.items = Counter("palate_recommended_items", "Items recommended.", registry=self.registry)
        self.degraded = Counter("palate_degraded_answers", "Answers given by a fallback.", registry=self.registry)
        self._engine = Gauge("palate_engine_info", "The engine that answers.", ("version",), registry=self.registry)
        self._waiting = Gauge("palate_log_waiting_rows", "Rows that wait for the event log.", registry=self.registry)
        self._known: dict[tuple[str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route`` is a path template, never a path somebody made up."""
        key = (route, status)
        counter = self._known.get(key)
        if counter is None:
            counter = self._known[key] = self._requests.labels(route, str(status))
            self._timed.setdefault(route, self._seconds.labels(route))
        counter.inc()
        self._timed[route].observe(seconds)

    def rows(self, sort: str, status: str) -> None:
        """Count a row taken in or refused."""
        self._rows.labels(sort, status).inc()

    def watch(self, version: str, waiting: Callable[[], float]) -> None:
        """Report the engine and the queue of the log."""
        self._engine.labels(version).set(1)
        self._waiting.set_function(waiting)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
