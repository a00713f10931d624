"""Streaming queries of an application, from its view; shapes samples, counts nothing."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.metric import Buckets, Sample
from exporter.streaming import descriptions, metrics
from exporter.streaming.driver import Databricks, databricks
from exporter.streaming.state import Query
from exporter.streaming.view import AppView

# StreamingQuery.status messages (StreamExecution, ProgressReporter), by how they begin.
STATUSES = (
    ("Initializing", "initializing"),
    ("Getting offsets", "getting_offsets"),
    ("Writing offsets", "processing"),
    ("Processing", "processing"),
    ("No new data but cleaning", "cleaning_up_state"),
    ("Waiting for data", "waiting_for_data"),
    ("Waiting for next trigger", "waiting_for_trigger"),
    ("Stopped", "terminated"),
    ("Terminated", "terminated"),
)
STATES = (*dict.fromkeys(state for _, state in STATUSES), "other")


def samples(view: AppView) -> Iterator[Sample]:
    """Everything to be seen of the queries; of a driver that has long been silent only the times."""
    place = databricks(view.driver.facts)
    for query in view.queries:
        labels = {"app": query.app, "query": query.label}
        if query.last_signal is not None:
            yield metrics.LAST_SIGNAL(query.last_signal, **labels)
        if not view.fresh:
            continue
        yield from _gauges(query, view, place)
        for metric, values, value in _stored({**query.counters, **query.gauges}):
            yield Sample(metric, (query.app, query.label, *values), value)
        if query.durations:
            yield metrics.BATCH_DURATION(Buckets(query.durations, query.duration_sum), **labels)


def state(message: str) -> str:
    """The state that a status message stands for, one of STATES."""
    return next((state for beginning, state in STATUSES if message.startswith(beginning)), "other")


def _gauges(query: Query, view: AppView, place: Databricks) -> Iterator[Sample]:
    labels = {"app": query.app, "query": query.label}
    trigger = descriptions.trigger(query.trigger)
    spark = view.driver.facts.spark
    yield metrics.INFO(
        1,
        **labels,
        query_id=query.query_id,
        run_id=query.run_id,
        name=query.name or "",
        sink=query.sink,
        trigger=trigger.label,
        spark_version=(spark.version if spark else None) or "",
        workspace=place.workspace,
        cluster_id=place.cluster_id,
        job_id=place.job_id,
        job_run_id=place.job_run_id,
    )
    yield metrics.ACTIVE(int(query.active), **labels)
    if query.started_at is not None:
        yield metrics.START(query.started_at, **labels)
    if trigger.kind == "processing_time" and trigger.interval is not None:
        yield metrics.TRIGGER_INTERVAL(trigger.interval, **labels)
    for failure, at in sorted(query.last_failures.items()):
        yield metrics.LAST_FAILURE(at, **labels, **{"class": failure})
    present = next((one for one in view.driver.facts.queries or () if one.run_id == query.run_id), None)
    if query.active and present is not None and present.message:
        now = state(present.message)
        for each in STATES:
            yield metrics.STATUS(int(each == now), **labels, state=each)


def _stored(values: dict[tuple[str, ...], float]) -> Iterator[Sample]:
    """Samples of what the fold keeps by name; of a metric that this version no longer has, none."""
    for (name, *labels), value in values.items():
        if name in metrics.BY_NAME:
            yield Sample(metrics.BY_NAME[name], tuple(labels), value)


COLLECTOR = Collector("streaming", metrics.METRICS, samples)
