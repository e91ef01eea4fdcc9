"""Metrics as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from include.metrics.definitions import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from include.metrics.samples import Sample

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_FAMILIES: Final = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}


class _Kept(Collector):
    """Samples that are there already."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its samples, in the order in which they are defined."""
        grouped: dict[str, list[Sample]] = {}
        for sample in self._samples:
            grouped.setdefault(sample[0], []).append(sample)
        for name, definition in BY_NAME.items():
            family = _FAMILIES[definition.type](name, definition.help, labels=definition.labels)
            for _, labels, value in grouped.get(name, ()):
                family.add_metric(labels, float(value))
            yield family


def text(samples: Iterable[Sample]) -> bytes:
    """Return samples in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Kept(list(samples)))
    return generate_latest(registry)
