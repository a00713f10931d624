"""Flows and expectations of pipelines, from their logs of events: a request a pipeline that runs, or did a moment ago.

Databricks may keep events of the level METRICS out of the API; what it does not tell is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from exporter.collector import Collector
from exporter.databricks import pipeline_events
from exporter.databricks.pipeline_events import FLOW_STATES, LEVELS, Event, Flow, Log, PipelineEvents, Told
from exporter.databricks.pipelines import Pipelines
from exporter.errors import Reason, SourceError
from exporter.metric import Sample, counter, gauge, stateset
from exporter.polled import Asked, Polled
from exporter.sources.databricks import Parameters
from exporter.sources.databricks_endpoints import PIPELINE_EVENTS

EVERY = 60.0
MAX_PIPELINES_A_LOOK = 60
MAX_PAGES_A_LOOK = 10
"""Of one pipeline's log; the rest of it is read when it is asked for the next time."""
# Databricks refuses more.
PAGE_SIZE = 1_000

_PIPELINE = ("workspace", "pipeline_id")
_FLOW = (*_PIPELINE, "flow")

EVENTS = counter(
    "databricks_pipeline_events_total", "Events of a pipeline, by level (pipelines/events, level).", (*_PIPELINE, "level")
)
FLOW_STATE = stateset(
    "databricks_pipeline_flow_state",
    "How far a flow is, 1 for the present state; absent where its update is over and it did not tell its own end"
    " (pipelines/events, flow_progress.status).",
    _FLOW,
)
FLOW_LAST_EVENT = gauge(
    "databricks_pipeline_flow_last_event_timestamp_seconds",
    "When a flow last told how far it is (pipelines/events, flow_progress).",
    _FLOW,
)
BACKLOG_BYTES = gauge(
    "databricks_pipeline_flow_backlog_bytes",
    "Bytes that a flow had yet to read when it last told (pipelines/events, flow_progress.metrics.backlog_bytes).",
    _FLOW,
)
BACKLOG_RECORDS = gauge(
    "databricks_pipeline_flow_backlog_records",
    "Records that a flow had yet to read when it last told (pipelines/events, flow_progress.metrics.backlog_records).",
    _FLOW,
    unit="",
)
BACKLOG_FILES = gauge(
    "databricks_pipeline_flow_backlog_files",
    "Files that a flow had yet to read when it last told (pipelines/events, flow_progress.metrics.backlog_files).",
    _FLOW,
)
OUTPUT_ROWS = counter(
    "databricks_pipeline_flow_output_rows_total",
    "Rows that a flow wrote (pipelines/events, flow_progress.metrics.num_output_rows).",
    _FLOW,
)
UPSERTED_ROWS = counter(
    "databricks_pipeline_flow_upserted_rows_total",
    "Rows that a flow inserted or updated in its target (pipelines/events, flow_progress.metrics.num_upserted_rows).",
    _FLOW,
)
DELETED_ROWS = counter(
    "databricks_pipeline_flow_deleted_rows_total",
    "Rows that a flow deleted from its target (pipelines/events, flow_progress.metrics.num_deleted_rows).",
    _FLOW,
)
DROPPED_RECORDS = counter(
    "databricks_pipeline_flow_dropped_records_total",
    "Records that a flow dropped because of an expectation (pipelines/events, flow_progress.data_quality.dropped_records).",
    _FLOW,
)
EXPECTATIONS = counter(
    "databricks_pipeline_expectation_records_total",
    "Records that were held against an expectation, by result: passed, failed"
    " (pipelines/events, flow_progress.data_quality.expectations).",
    (*_PIPELINE, "dataset", "expectation", "result"),
)
UNREADABLE = counter(
    "databricks_pipeline_events_unreadable_total",
    "Events of pipelines whose details can't be read (pipelines/events, details).",
    ("workspace",),
)
DROPPED = counter(
    "databricks_pipeline_flows_dropped_total",
    "Times that a flow or an expectation told of itself and is told nowhere, because others are too many (exporter).",
    ("workspace",),
)
METRICS = (
    EVENTS,
    FLOW_STATE,
    FLOW_LAST_EVENT,
    BACKLOG_BYTES,
    BACKLOG_RECORDS,
    BACKLOG_FILES,
    OUTPUT_ROWS,
    UPSERTED_ROWS,
    DELETED_ROWS,
    DROPPED_RECORDS,
    EXPECTATIONS,
    UNREADABLE,
    DROPPED,
)

# What concerns the one pipeline that was asked for, and not all.
_ITS_OWN = (Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.BAD_ANSWER)


def fetch(asked: Asked) -> PipelineEvents:
    """What the logs tell that are due; raises SourceError, also where none of them can be read."""
    before = asked.before or PipelineEvents(asked.settings.name, asked.now)
    listed = asked.others.get("pipelines")
    if not isinstance(listed, Pipelines):
        # Without a list every pipeline would seem to be gone.
        return before
    told: dict[str, Told | None] = {}
    failure = None
    for pipeline_id in pipeline_events.due(before, listed.pipelines, asked.now)[:MAX_PIPELINES_A_LOOK]:
        try:
            told[pipeline_id] = _log(asked, pipeline_id, pipeline_events.start(before, pipeline_id))
        except SourceError as error:
            failure = error
            if error.reason not in _ITS_OWN:
                break
            told[pipeline_id] = None
    if failure and all(log is None for log in told.values()):
        raise failure
    return pipeline_events.folded(before, listed, told, asked.now)


def samples(record: PipelineEvents) -> Iterator[Sample]:
    """The pipelines that are listed, by id, the events of all known levels from 0 on."""
    for pipeline_id, log in record.logs.items():
        if log.listed:
            yield from _samples(log, workspace=record.workspace, pipeline_id=pipeline_id)
    yield UNREADABLE(record.unreadable, workspace=record.workspace)
    yield DROPPED(record.dropped, workspace=record.workspace)


def _samples(log: Log, **labels: str) -> Iterator[Sample]:
    for level, count in {**dict.fromkeys(LEVELS, 0), **log.levels}.items():
        yield EVENTS(count, **labels, level=level)
    for name, flow in log.flows.items():
        yield from _flow(flow, **labels, flow=name)
    for (dataset, expectation), checked in log.expectations.items():
        names = {**labels, "dataset": dataset, "expectation": expectation}
        yield EXPECTATIONS(checked.passed, **names, result="passed")
        yield EXPECTATIONS(checked.failed, **names, result="failed")


def _flow(flow: Flow, /, **labels: str) -> Iterator[Sample]:
    if flow.state:
        for state in FLOW_STATES:
            yield FLOW_STATE(int(state == flow.state), **labels, state=state)
    yield FLOW_LAST_EVENT(flow.at, **labels)
    for metric, backlog in (
        (BACKLOG_BYTES, flow.backlog_bytes),
        (BACKLOG_RECORDS, flow.backlog_records),
        (BACKLOG_FILES, flow.backlog_files),
    ):
        if backlog is not None:
            yield metric(backlog, **labels)
    yield OUTPUT_ROWS(flow.output_rows, **labels)
    yield UPSERTED_ROWS(flow.upserted_rows, **labels)
    yield DELETED_ROWS(flow.deleted_rows, **labels)
    yield DROPPED_RECORDS(flow.dropped_records, **labels)


def _log(asked: Asked, pipeline_id: str, start: datetime) -> Told:
    """The log from there on, as far as it can be read now; raises SourceError where nothing of it can."""
    parameters: Parameters = {
        "filter": f"timestamp >= '{start.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}'",
        "order_by": "timestamp asc",
        "max_results": PAGE_SIZE,
    }
    ids = {"pipeline_id": pipeline_id}
    events: list[Event] = []
    for _ in range(MAX_PAGES_A_LOOK):
        pages = asked.workspace.pages(PIPELINE_EVENTS, Event, "events", asked.deadline, ids=ids, parameters=parameters)
        try:
            page = next(pages)
        except SourceError:
            if not events:
                raise
            break
        events += page.items
        if not page.next_token:
            return Told(events)
        # Databricks refuses a token that comes with a filter, so the client may not follow it by itself.
        parameters = {"page_token": page.next_token, "max_results": PAGE_SIZE}
    return Told(events, more=True)


POLLED = Polled(Collector("pipeline_events", METRICS, samples), EVERY, fetch, pipeline_events.encoded, pipeline_events.decoded)
