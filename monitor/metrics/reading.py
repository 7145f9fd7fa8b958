"""What a part of the exporter reads: values of metrics of the catalogue."""

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from monitor.metrics.catalogue import METRICS, PREFIX

DURATION_BUCKETS = (10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)
"""Seconds."""


class Reading(NamedTuple):
    """One value of the metric `name`; the labels in the catalogue's order."""

    name: str
    labels: tuple[str, ...]
    value: float


class Distribution:
    """Durations, counted into buckets as they come."""

    def __init__(self) -> None:
        self._counts = [0] * (len(DURATION_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        place = sum(seconds > bound for bound in DURATION_BUCKETS)
        self._counts[place] += 1
        self._sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound, and how many lie at or below it."""
        bounds = [*(f"{bound:g}" for bound in DURATION_BUCKETS), "+Inf"]
        return [(bound, sum(self._counts[: i + 1])) for i, bound in enumerate(bounds)]

    @property
    def sum(self) -> float:
        return self._sum


class Spread(NamedTuple):
    """The distribution behind a histogram of the catalogue."""

    name: str
    labels: tuple[str, ...]
    distribution: Distribution


def families(readings: Iterable[Reading | Spread]) -> list[Metric]:
    """The readings as Prometheus' families, each once, in the catalogue's order."""
    found: dict[str, list[Reading | Spread]] = {}
    for reading in readings:
        found.setdefault(reading.name, []).append(reading)
    return [_family(name, found[name]) for name in METRICS if name in found]


def _family(name: str, readings: list[Reading | Spread]) -> Metric:
    metric = METRICS[name]
    kinds = {
        "gauge": GaugeMetricFamily,
        "counter": CounterMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    family = kinds[metric.kind](f"{PREFIX}{name}", metric.help, labels=metric.labels)
    for reading in readings:
        if isinstance(reading, Spread):
            spread = reading.distribution
            family.add_metric(reading.labels, buckets=spread.buckets(), sum_value=spread.sum)
        else:
            family.add_metric(reading.labels, reading.value)
    return family
