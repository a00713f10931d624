"""Pipelines and their updates, from the list of the Pipelines API: no pipeline is asked for by itself."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.databricks import pipelines
from exporter.databricks.pipelines import ENDS, STATES, UPDATE_STATES, Answer, Ended, Pipeline, Pipelines
from exporter.metric import Sample, counter, gauge, info, stateset
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import PIPELINES

EVERY = 60.0
# Databricks refuses more.
PAGE_SIZE = 100

_PIPELINE = ("workspace", "pipeline_id")

INFO = info(
    "databricks_pipeline_info",
    "A pipeline, with its name and the cluster it runs on, empty while it has none (pipelines/list).",
    (*_PIPELINE, "name", "cluster_id"),
)
STATE = stateset(
    "databricks_pipeline_state", "How far a pipeline is, 1 for the present state (pipelines/list, state).", _PIPELINE
)
HEALTHY = gauge(
    "databricks_pipeline_healthy",
    "Whether a pipeline is healthy, 1 for yes; absent where it does not tell (pipelines/list, health).",
    _PIPELINE,
    unit="",
)
UPDATE_STATE = stateset(
    "databricks_pipeline_update_state",
    "How far a pipeline's newest update is, 1 for the present state; absent before the first one"
    " (pipelines/list, latest_updates.state).",
    _PIPELINE,
)
UPDATE_STARTED = gauge(
    "databricks_pipeline_update_start_timestamp_seconds",
    "When a pipeline's newest update was started (pipelines/list, latest_updates.creation_time).",
    _PIPELINE,
    unit="seconds",
)
UPDATES = counter(
    "databricks_pipeline_updates_total",
    "Updates that ended since the pipeline was first seen, each once, by state: completed, failed, canceled"
    " (pipelines/list, latest_updates.state).",
    (*_PIPELINE, "state"),
)
_AT = "up to a look late; of one that had ended before the pipeline was first seen, when it was started"
LAST_SUCCESS = gauge(
    "databricks_pipeline_last_success_timestamp_seconds",
    f"When an update last completed, {_AT} (pipelines/list, latest_updates).",
    _PIPELINE,
)
LAST_FAILURE = gauge(
    "databricks_pipeline_last_failure_timestamp_seconds",
    f"When an update last failed, {_AT} (pipelines/list, latest_updates).",
    _PIPELINE,
)
METRICS = (INFO, STATE, HEALTHY, UPDATE_STATE, UPDATE_STARTED, UPDATES, LAST_SUCCESS, LAST_FAILURE)


def fetch(asked: Asked) -> Pipelines:
    """All pipelines, and what ended since the last look; raises SourceError."""
    parameters = {"max_results": PAGE_SIZE}
    pages = asked.workspace.pages(PIPELINES, Answer, "statuses", asked.deadline, parameters=parameters)
    listed = {one.pipeline_id: one for page in pages for one in page.items}
    return pipelines.folded(asked.before, asked.settings.name, listed, asked.now)


def samples(record: Pipelines) -> Iterator[Sample]:
    """All that is to be seen of each pipeline, by id; the ends of updates from 0 on."""
    for one in record.pipelines:
        yield from _samples(one, record.ended[one.pipeline_id], record.workspace)


def _samples(one: Pipeline, ended: Ended, workspace: str) -> Iterator[Sample]:
    labels = {"workspace": workspace, "pipeline_id": one.pipeline_id}
    yield INFO(1, **labels, name=one.name, cluster_id=one.cluster_id)
    for state in STATES:
        yield STATE(int(state == one.state), **labels, state=state)
    if one.update_state:
        for state in UPDATE_STATES:
            yield UPDATE_STATE(int(state == one.update_state), **labels, state=state)
    for state in ENDS:
        yield UPDATES(ended.counts.get(state, 0), **labels, state=state)
    for metric, value in (
        (HEALTHY, one.healthy),
        (UPDATE_STARTED, one.update_started),
        (LAST_SUCCESS, ended.last.get("completed")),
        (LAST_FAILURE, ended.last.get("failed")),
    ):
        if value is not None:
            yield metric(value, **labels)


POLLED = Polled(Collector("pipelines", METRICS, samples), EVERY, fetch, pipelines.encoded, pipelines.decoded)
