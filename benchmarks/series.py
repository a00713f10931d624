"""Made-up series, the same ones for our page and for prometheus_client, so that both do the same work.

The texts of labels are there before a page is made, as they are in what a real exporter has learned.
"""

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

    apps, queries = _labels(shape)

    def samples(record: tuple[int, float]) -> Iterator[Sample]:
        app, value = apps[record[0]], record[1]
        for family in families:
            for number, query in enumerate(queries):
                yield Sample(family, (app, query, "0"), value + number)

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
        self._apps, self._queries = _labels(shape)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        from prometheus_client.core import GaugeMetricFamily

        for metric in _families(self._shape):
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for app, value in zip(self._apps, self._values, strict=True):
                for number, query in enumerate(self._queries):
                    family.add_metric((app, query, "0"), value + number)
            yield family


def _labels(shape: Shape) -> tuple[list[str], list[str]]:
    return [f"app{number}" for number in range(shape.targets)], [f"query{number}" for number in range(shape.queries)]


def _families(shape: Shape) -> tuple[Metric, ...]:
    labels = ("app", "query", "source")
    return tuple(gauge(f"bench_{number}_rows", "Made up (benchmark).", labels) for number in range(shape.families))
