"""What a workspace was asked so far, and what may be asked still; asks nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exporter.collector import Collector
from exporter.metric import Sample, counter, gauge
from exporter.sources.databricks import Usage

_WORKSPACE = ("workspace",)

REQUESTS = counter(
    "lakehouse_exporter_requests_total",
    "Calls by status, or by the reason why there was no answer (the exporter's client).",
    (*_WORKSPACE, "endpoint", "code"),
)
UNREADABLE = counter(
    "lakehouse_exporter_unreadable_items_total",
    "Items of listings that could not be read, and so stand on no page (the exporter's client).",
    (*_WORKSPACE, "endpoint"),
)
THROTTLED = counter(
    "lakehouse_exporter_requests_throttled_seconds_total",
    "Time that calls waited because the workspace asked for it, with 429 or 503 (the exporter's client).",
    _WORKSPACE,
)
PACED = counter(
    "lakehouse_exporter_requests_paced_seconds_total",
    "Time that calls waited for the exporter's own budget of calls (the exporter's client).",
    _WORKSPACE,
)
BUDGET = gauge(
    "lakehouse_exporter_requests_budget",
    "Calls that may be made at once (the exporter's client; settings, burst and requests_per_second).",
    _WORKSPACE,
    unit="",
)
PAUSE = gauge(
    "lakehouse_exporter_requests_pause_seconds",
    "How long the workspace is left alone from now on, because it asked for it (the exporter's client).",
    _WORKSPACE,
)
METRICS = (REQUESTS, UNREADABLE, THROTTLED, PACED, BUDGET, PAUSE)


class RequestsRecord(NamedTuple):
    """A workspace's name, and its client's own account."""

    workspace: str
    usage: Usage


def samples(record: RequestsRecord) -> Iterator[Sample]:
    """The account of one workspace; an endpoint that was ever asked has its unreadable items at 0."""
    workspace, usage = record
    for (endpoint, code), count in sorted(usage.requests.items()):
        yield REQUESTS(count, workspace=workspace, endpoint=endpoint, code=code)
    for endpoint in sorted({endpoint for endpoint, _ in usage.requests}):
        yield UNREADABLE(usage.bad_items.get(endpoint, 0), workspace=workspace, endpoint=endpoint)
    yield THROTTLED(usage.throttled_seconds, workspace=workspace)
    yield PACED(usage.paced_seconds, workspace=workspace)
    yield BUDGET(usage.tokens, workspace=workspace)
    yield PAUSE(usage.pause_seconds, workspace=workspace)


COLLECTOR = Collector("requests", METRICS, samples)
