"""Our metrics for the prometheus_client registry of an application that has one: what it asks for is made from the view."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as ClientFamily

from exporter import catalogue, exposition, health
from exporter.exposition import Families
from exporter.health import Life, Rendering
from exporter.metric import Buckets, Metric, Sample
from exporter.snapshot import View

log = structlog.get_logger()


class CustomCollector:
    """What a registry's `register` takes; safe to use from any thread.

    It tells what our own page tells, within the same caps, without `process_*` and `python_*`: the application has its own.
    """

    def __init__(self, view: Callable[[], View], clock: Callable[[], float]) -> None:
        self._view = view
        self._clock = clock
        self._renders = itertools.count(1)

    def describe(self) -> list[ClientFamily]:
        """Every family there may be, without samples: a registry refuses what it has already, and asks nobody for it."""
        return [_family(metric, ()) for metric in catalogue.METRICS]

    def collect(self) -> list[ClientFamily]:
        """The families of now, in page order; a fault of ours in one target is logged, and costs that target alone."""
        view, now = self._view(), self._clock()
        targets: list[Families] = []
        told: dict[Metric, list[Sample]] = defaultdict(list)
        failed = 0
        for name, snapshot in view.snapshots.items():
            if now >= snapshot.expires:
                continue
            try:
                samples = [sample for collector in snapshot.collectors for sample in collector.samples(snapshot.record)]
                # Written for nobody: what our own page refuses would end the application's.
                found = exposition.families(samples, catalogue.METRICS)
                for metric, family in found.items():
                    exposition.refuse_twins(metric, family, targets)
            except Exception:
                log.exception("snapshot not rendered", target=name)
                failed += 1
                continue
            targets.append(found)
            for sample in samples:
                told[sample.metric].append(sample)
        parts, dropped = exposition.bounded(targets, catalogue.METRICS)
        kept = {metric: told[metric][: sum(len(family.series) for family in its)] for metric, its in parts.items()}
        rendering = Rendering(dropped, failed, next(self._renders), exposition.lines(parts), None)
        for sample in health.samples(view, rendering, Life()):
            kept.setdefault(sample.metric, []).append(sample)
        return [_family(metric, kept[metric]) for metric in catalogue.METRICS if metric in kept]


def _family(metric: Metric, samples: Iterable[Sample]) -> ClientFamily:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for _, labels, value in samples:
            if isinstance(value, Buckets):
                histogram.add_metric(labels, _cumulated(metric, value), value.sum)
        return histogram
    family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )
    for _, labels, value in samples:
        if not isinstance(value, Buckets):
            family.add_metric(labels, value)
    return family


def _cumulated(metric: Metric, value: Buckets) -> list[tuple[str, float]]:
    bounds = [str(float(bound)) for bound in metric.buckets]
    return list(zip((*bounds, exposition.number(math.inf)), itertools.accumulate(value.counts), strict=True))
