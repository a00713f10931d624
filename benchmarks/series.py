"""Made-up series, the same ones for our page and for prometheus_client, so that both do the same work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from exporter import catalogue
from exporter.collector import Collector
from exporter.metric import Metric, Sample, gauge
from exporter.snapshot import Snapshot, View

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily


class Shape(NamedTuple):
    """How many of each; a target's families hold a series a query."""

    targets: int
    families: int
    queries: int

    @property
    def series(self) -> int:
        """All of them."""
        return self.targets * self.families * self.queries


LARGE = Shape(50, 20, 100)
# Beside what a page says of the exporter itself: 10 KB in all.
SMALL = Shape(1, 5, 26)


def collector(shape: Shape) -> Collector:
    """Makes series of records, which are a target's number and a value; once a process, for it puts them in the catalogue."""
    families = _families(shape)
    catalogue.METRICS = (*catalogue.METRICS, *families)

    def samples(record: tuple[int, float]) -> Iterator[Sample]:
        target, value = record
        for family in families:
            for query in range(shape.queries):
                yield Sample(family, (f"app{target}", f"query{query}", "0"), value + query)

    return Collector("bench", families, samples)


def view(made: Collector, values: Iterable[float]) -> View:
    """What a store would hold where each target says its value."""
    snapshots = {f"bench/{target}": Snapshot((target, value), (made,), 9e18) for target, value in enumerate(values)}
    return View(snapshots, {}, ready=True)


def registry(shape: Shape, values: Sequence[float]) -> CollectorRegistry:
    """The same series for prometheus_client, as an exporter of its own would hand them over."""
    from prometheus_client import CollectorRegistry

    found = CollectorRegistry()
    found.register(_Client(shape, values))
    return found


class _Client:
    def __init__(self, shape: Shape, values: Sequence[float]) -> None:
        self._shape, self._values = shape, values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        from prometheus_client.core import GaugeMetricFamily

        for metric in _families(self._shape):
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for target, value in enumerate(self._values):
                for query in range(self._shape.queries):
                    family.add_metric((f"app{target}", f"query{query}", "0"), value + query)
            yield family


def _families(shape: Shape) -> tuple[Metric, ...]:
    labels = ("app", "query", "source")
    return tuple(gauge(f"bench_{number}_rows", "Made up (benchmark).", labels) for number in range(shape.families))
