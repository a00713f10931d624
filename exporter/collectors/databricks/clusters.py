"""Clusters that live, and why others ended, from the Clusters API; counts nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.collector import Collector
from exporter.databricks import clusters
from exporter.databricks.clusters import CODES, LIVING, STATES, TYPES, Answer, Cluster, Clusters
from exporter.databricks.words import OTHER
from exporter.errors import Reason, SourceError
from exporter.metric import Sample, counter, gauge, info, stateset
from exporter.polled import Asked, Polled
from exporter.sources.databricks import Parameters
from exporter.sources.databricks_endpoints import CLUSTER, CLUSTERS

EVERY = 60.0
MAX_ENDS_A_LOOK = 50
"""How many clusters are asked in one look why they ended; the others wait for the next."""

_LISTED: Parameters = {"filter_by.cluster_states": LIVING, "page_size": 100}
_CLUSTER = ("workspace", "cluster_id")

INFO = info(
    "databricks_cluster_info",
    "A cluster that lives, with what it is made of; the name is empty where Databricks made it up (clusters/list).",
    (
        *_CLUSTER,
        "name",
        "source",
        "spark_version",
        "runtime",
        "driver_node_type",
        "node_type",
        "policy_id",
        "data_security_mode",
        "job_id",
    ),
)
STATE = stateset("databricks_cluster_state", "How far a cluster is, 1 for the present state (clusters/list, state).", _CLUSTER)
WORKERS = gauge("databricks_cluster_workers", "Workers that a cluster has (clusters/list, executors).", _CLUSTER, unit="")
TARGET_WORKERS = gauge(
    "databricks_cluster_target_workers",
    "Workers that a cluster shall have; absent where it scales and does not tell (clusters/list, num_workers).",
    _CLUSTER,
    unit="",
)
MIN_WORKERS = gauge(
    "databricks_cluster_autoscale_min_workers",
    "Fewest workers of a cluster that scales by itself (clusters/list, autoscale.min_workers).",
    _CLUSTER,
    unit="",
)
MAX_WORKERS = gauge(
    "databricks_cluster_autoscale_max_workers",
    "Most workers of a cluster that scales by itself (clusters/list, autoscale.max_workers).",
    _CLUSTER,
    unit="",
)
CORES = gauge(
    "databricks_cluster_cores", "Cores of a cluster, its driver's too (clusters/list, cluster_cores).", _CLUSTER, unit=""
)
MEMORY = gauge(
    "databricks_cluster_memory_bytes", "Memory of a cluster, its driver's too (clusters/list, cluster_memory_mb).", _CLUSTER
)
DRIVER_HEALTHY = gauge(
    "databricks_cluster_driver_healthy",
    "Whether Databricks holds the cluster's driver to be healthy (clusters/list, driver_healthy).",
    _CLUSTER,
    unit="",
)
START = gauge(
    "databricks_cluster_start_timestamp_seconds", "When a cluster was asked for (clusters/list, start_time).", _CLUSTER
)
LAST_RESTART = gauge(
    "databricks_cluster_last_restart_timestamp_seconds",
    "When a cluster was last started or restarted (clusters/list, last_restarted_time).",
    _CLUSTER,
)
LAST_ACTIVITY = gauge(
    "databricks_cluster_last_activity_timestamp_seconds",
    "When something last ran on a cluster (clusters/list, last_activity_time).",
    _CLUSTER,
)
SUPPORTED = gauge(
    "databricks_cluster_runtime_supported",
    "Whether the cluster's runtime is still supported; absent where that is not known (clusters/list, spark_version).",
    _CLUSTER,
    unit="",
)
LOG_ATTEMPT = gauge(
    "databricks_cluster_log_delivery_last_attempt_timestamp_seconds",
    "When it was last tried to deliver a cluster's logs (clusters/list, cluster_log_status.last_attempted).",
    _CLUSTER,
)
LOG_FAILING = gauge(
    "databricks_cluster_log_delivery_failing",
    "Whether the last delivery of a cluster's logs failed (clusters/list, cluster_log_status.last_exception).",
    _CLUSTER,
    unit="",
)
TERMINATIONS = counter(
    "databricks_cluster_terminations_total",
    "Ends of clusters that were seen alive, by type and the commoner codes (clusters/get, termination_reason).",
    ("workspace", "type", "code"),
)
UNTOLD = counter(
    "databricks_cluster_terminations_untold_total",
    "Clusters that are gone, and Databricks would not tell why: deleted, started anew or out of sight (clusters/get).",
    ("workspace",),
)
LAST_TERMINATION = gauge(
    "databricks_cluster_last_termination_timestamp_seconds",
    "When a cluster that people made last ended, for 30 days (clusters/get, terminated_time).",
    _CLUSTER,
)
METRICS = (
    INFO,
    STATE,
    WORKERS,
    TARGET_WORKERS,
    MIN_WORKERS,
    MAX_WORKERS,
    CORES,
    MEMORY,
    DRIVER_HEALTHY,
    START,
    LAST_RESTART,
    LAST_ACTIVITY,
    SUPPORTED,
    LOG_ATTEMPT,
    LOG_FAILING,
    TERMINATIONS,
    UNTOLD,
    LAST_TERMINATION,
)
# What concerns the one cluster that was asked for, and not all.
_ITS_OWN = (Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.BAD_ANSWER)
# At 0 from the first look on, so that the first end of its kind is an increase.
_KINDS = (*((kind, code) for code, kind in CODES.items()), *((kind, OTHER) for kind in (*TYPES, OTHER)))


def fetch(asked: Asked) -> Clusters:
    """All clusters that live, and what those tell that lived a look ago; raises SourceError."""
    listed: dict[str, Answer] = {}
    for page in asked.workspace.pages(CLUSTERS, Answer, "clusters", asked.deadline, parameters=_LISTED):
        listed.update((answer.cluster_id, answer) for answer in page.items)
    told = _told(asked, clusters.gone(asked.before, listed)[:MAX_ENDS_A_LOOK])
    return clusters.folded(asked.before or Clusters(asked.settings.name), listed, told, asked.now)


def samples(record: Clusters) -> Iterator[Sample]:
    """All that is to be seen of each cluster, then what is counted of those that ended."""
    for cluster in record.clusters:
        yield from _cluster(cluster, {"workspace": record.workspace, "cluster_id": cluster.cluster_id})
    for kind, code in dict.fromkeys((*_KINDS, *sorted(record.terminations))):
        yield TERMINATIONS(record.terminations.get((kind, code), 0), workspace=record.workspace, type=kind, code=code)
    yield UNTOLD(record.untold, workspace=record.workspace)
    for cluster_id, at in record.last_terminations.items():
        yield LAST_TERMINATION(at, workspace=record.workspace, cluster_id=cluster_id)


def _told(asked: Asked, ids: Sequence[str]) -> dict[str, Answer | Reason]:
    """What these clusters answer, or why they do not; those are left out that would not be answered either."""
    told: dict[str, Answer | Reason] = {}
    for cluster_id in ids:
        try:
            told[cluster_id] = asked.workspace.get(CLUSTER, Answer, asked.deadline, parameters={"cluster_id": cluster_id})
        except SourceError as error:
            told[cluster_id] = error.reason
            if error.reason not in _ITS_OWN:
                break
    return told


def _cluster(cluster: Cluster, labels: Mapping[str, str]) -> Iterator[Sample]:
    yield INFO(
        1,
        **labels,
        name=cluster.name,
        source=cluster.source,
        spark_version=cluster.spark_version,
        runtime=cluster.runtime,
        driver_node_type=cluster.driver_node_type,
        node_type=cluster.node_type,
        policy_id=cluster.policy_id,
        data_security_mode=cluster.data_security_mode,
        job_id=cluster.job_id,
    )
    for state in STATES:
        yield STATE(int(state == cluster.state), **labels, state=state)
    values = (
        (WORKERS, cluster.workers),
        (TARGET_WORKERS, cluster.target_workers),
        (MIN_WORKERS, cluster.min_workers),
        (MAX_WORKERS, cluster.max_workers),
        (CORES, cluster.cores),
        (MEMORY, cluster.memory_bytes),
        (DRIVER_HEALTHY, cluster.driver_healthy),
        (START, cluster.started),
        (LAST_RESTART, cluster.restarted),
        (LAST_ACTIVITY, cluster.last_activity),
        (SUPPORTED, cluster.supported),
        (LOG_ATTEMPT, cluster.log_attempted),
        (LOG_FAILING, cluster.log_failing),
    )
    for metric, value in values:
        if value is not None:
            yield metric(float(value), **labels)


POLLED = Polled(Collector("clusters", METRICS, samples), EVERY, fetch, clusters.encoded, clusters.decoded)
