"""What an operator counts: growths by kind and outcome, who waits, seconds, memory. No names."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import ProcessCollector as Process

TEXT = "text/plain; version=0.0.4; charset=utf-8"

OF_A_STEP = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
OF_A_GROWTH = (0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """The counters of one studio."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Process(registry=self.registry)  # memory, processor seconds, open files
        self._calls = Counter(
            "nar_calls", "Calls of the API", ["endpoint", "outcome"], registry=self.registry
        )
        self._growths = Counter(
            "nar_growths",
            "Growths by who asked and how they ended",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self._steps = Histogram(
            "nar_step_seconds",
            "Seconds of one decoding step",
            buckets=OF_A_STEP,
            registry=self.registry,
        )
        self._seconds = Histogram(
            "nar_growth_seconds",
            "Seconds of a whole growth, without waiting",
            buckets=OF_A_GROWTH,
            registry=self.registry,
        )

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """A number that is looked at whenever somebody asks."""
        Gauge(name, told, registry=self.registry).set_function(value)

    def call(self, endpoint: str, outcome: str) -> None:
        """A call of the API has ended."""
        self._calls.labels(endpoint, outcome).inc()

    def growth(self, kind: str, outcome: str) -> None:
        """A growth has ended, or was refused."""
        self._growths.labels(kind, outcome).inc()

    def step(self, seconds: float) -> None:
        """A decoding step was made."""
        self._steps.observe(seconds)

    def grown(self, seconds: float) -> None:
        """A growth was finished."""
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' form."""
        return generate_latest(self.registry)
