"""What a probe's page tells of how the looks at its workspace went; pure, and nothing of the exporter as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from exporter import health
from exporter.health import Life, Rendering
from exporter.metric import Metric, Sample, gauge
from exporter.snapshot import View

SUCCESS = gauge(
    "lakehouse_exporter_probe_success",
    "Whether every collector has looked at the probed workspace, and its last look succeeded (exporter).",
    unit="",
)
METRICS: tuple[Metric, ...] = (SUCCESS,)
# What of the exporter's own metrics is told for each target, or of one page.
_OF_ONE_PAGE = (health.SUCCESS, health.DURATION, health.LAST_SUCCESS, health.FAILURES, health.DROPPED, health.UNRENDERED)
TOLD: tuple[Metric, ...] = (*METRICS, *_OF_ONE_PAGE)


def samples(view: View, rendering: Rendering, *, looked: bool) -> Iterator[Sample]:
    """What to tell beside the workspace's own series; `looked` is whether each of its collectors has looked once."""
    succeeded = looked and not rendering.failed and all(outcome.succeeded for outcome in view.outcomes.values())
    yield SUCCESS(int(succeeded))
    yield from (sample for sample in health.samples(view, rendering, Life()) if sample.metric in _OF_ONE_PAGE)
