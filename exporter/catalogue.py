"""Every metric on the page, in page order."""

from __future__ import annotations

from exporter import collectors, health, probe_health
from exporter.metric import Metric

METRICS: tuple[Metric, ...] = (
    *(metric for collector in collectors.ALL for metric in collector.metrics),
    *health.METRICS,
    *probe_health.METRICS,
)
