"""Events of clusters that run streams, from their logs: a request a cluster, so only of those that are worth one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from exporter.collector import Collector
from exporter.databricks import cluster_events
from exporter.databricks.cluster_events import DIRECTIONS, TROUBLES, ClusterEvents, Event, Subject
from exporter.databricks.clusters import Clusters
from exporter.errors import Reason, SourceError
from exporter.metric import Sample, counter, gauge
from exporter.polled import Asked, Polled
from exporter.sources.databricks import Parameters
from exporter.sources.databricks_endpoints import CLUSTER_EVENTS

EVERY = 60.0
MAX_CLUSTERS_A_LOOK = 30
MAX_PAGES_A_LOOK = 10
"""Of one cluster's log; the rest of it is read when it is asked for the next time."""

_SUBJECT = ("workspace", "cluster_id", "job_id")

EVENTS = counter(
    "databricks_cluster_events_total",
    "Events of a cluster, or of all clusters of a continuous job, by type and cause (clusters/events).",
    (*_SUBJECT, "type", "cause"),
)
RESIZES = counter(
    "databricks_cluster_resizes_total",
    "Resizes up and down, from the workers it has to those it shall have (clusters/events, RESIZING).",
    (*_SUBJECT, "direction"),
)
INIT_SCRIPTS = gauge(
    "databricks_cluster_init_scripts_seconds",
    "How long init scripts took when they last ran (clusters/events, INIT_SCRIPTS_STARTED to INIT_SCRIPTS_FINISHED).",
    _SUBJECT,
)
METRICS = (EVENTS, RESIZES, INIT_SCRIPTS)

_ZEROS = {(kind, ""): 0 for kind in TROUBLES}
# What concerns the one cluster that was asked for, and not all.
_ITS_OWN = (Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.BAD_ANSWER)


def fetch(asked: Asked) -> ClusterEvents:
    """What the logs tell that are due; raises SourceError."""
    before = asked.before or ClusterEvents(asked.settings.name, asked.now)
    listed = asked.others.get("clusters")
    if not isinstance(listed, Clusters):
        # Without a list every cluster would seem to be gone.
        return before
    clusters = cluster_events.watched(listed.clusters, asked.others.get("jobs"), asked.settings.event_clusters)
    told: dict[str, Sequence[Event] | None] = {}
    for cluster_id in cluster_events.due(before, clusters, asked.now)[:MAX_CLUSTERS_A_LOOK]:
        try:
            told[cluster_id] = _log(asked, cluster_id, cluster_events.start(before, cluster_id, clusters.get(cluster_id)))
        except SourceError as error:
            if error.reason in _ITS_OWN:
                told[cluster_id] = None
            elif not told:
                raise
            else:
                break
    return cluster_events.folded(before, clusters, told, asked.now)


def samples(record: ClusterEvents) -> Iterator[Sample]:
    """Subjects in the order in which they were first seen; troubles and resizes from 0 on."""
    counted: dict[Subject, dict[tuple[str, str], int]] = {subject: dict(_ZEROS) for subject in record.subjects}
    for (cluster_id, job_id, kind, cause), count in record.events.items():
        counted[cluster_id, job_id][kind, cause] = count
    for (cluster_id, job_id), events in counted.items():
        labels = {"workspace": record.workspace, "cluster_id": cluster_id, "job_id": job_id}
        for (kind, cause), count in sorted(events.items()):
            yield EVENTS(count, **labels, type=kind, cause=cause)
        for direction in DIRECTIONS:
            yield RESIZES(record.resizes.get((cluster_id, job_id, direction), 0), **labels, direction=direction)
        if (seconds := record.init_scripts.get((cluster_id, job_id))) is not None:
            yield INIT_SCRIPTS(seconds, **labels)


def _log(asked: Asked, cluster_id: str, start: int) -> Sequence[Event]:
    parameters: Parameters = {"cluster_id": cluster_id, "start_time": start, "order": "ASC", "page_size": 500}
    pages = asked.workspace.pages(CLUSTER_EVENTS, Event, "events", asked.deadline, parameters=parameters)
    return [event for page in islice(pages, MAX_PAGES_A_LOOK) for event in page.items]


POLLED = Polled(Collector("cluster_events", METRICS, samples), EVERY, fetch, cluster_events.encoded, cluster_events.decoded)
