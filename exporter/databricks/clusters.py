"""What answers of the Clusters API say of the clusters of a workspace, and of those that ended; pure.

The list is asked for those that live alone, for Databricks would list the dead of 30 days too: a cluster that is gone from
it is asked for by itself, until it has told why it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from exporter.databricks import runtimes
from exporter.databricks.runs import Int64
from exporter.databricks.words import OTHER, known
from exporter.errors import Reason

# TERMINATED is missing: that is what the list is not asked for.
LIVING = ("PENDING", "RUNNING", "RESTARTING", "RESIZING", "TERMINATING", "ERROR", "UNKNOWN")
TERMINATED = "TERMINATED"
STATES = (*(state.lower() for state in LIVING), OTHER)
SOURCES = ("ui", "api", "job", "models", "pipeline", "pipeline_maintenance", "sql")
# Clusters that Databricks makes and names itself, with an id in the name.
GENERATED = ("job", "pipeline", "pipeline_maintenance")
SECURITY_MODES = (
    "data_security_mode_auto",
    "data_security_mode_dedicated",
    "data_security_mode_standard",
    "legacy_passthrough",
    "legacy_single_user",
    "legacy_single_user_standard",
    "legacy_table_acl",
    "none",
    "single_user",
    "user_isolation",
)
TYPES = ("success", "client_error", "cloud_failure", "service_fault")
# Codes that have a series of their own, each with the type that it mostly comes with; of some 190 that Databricks knows.
CODES = {
    "job_finished": "success",
    "inactivity": "success",
    "user_request": "success",
    "workspace_update": "success",
    "cloud_provider_launch_failure": "cloud_failure",
    "cloud_provider_resource_stockout": "cloud_failure",
    "cloud_provider_shutdown": "cloud_failure",
    "spot_instance_termination": "cloud_failure",
    "aws_insufficient_instance_capacity_failure": "cloud_failure",
    "azure_quota_exceeded_exception": "cloud_failure",
    "gcp_insufficient_capacity": "cloud_failure",
    "gcp_quota_exceeded": "cloud_failure",
    "communication_lost": "cloud_failure",
    "instance_unreachable": "cloud_failure",
    "driver_eviction": "cloud_failure",
    "driver_out_of_disk": "client_error",
    "driver_out_of_memory": "client_error",
    "driver_unreachable": "service_fault",
    "driver_unresponsive": "client_error",
    "driver_unhealthy": "client_error",
    "driver_launch_timeout": "service_fault",
    "init_script_failure": "client_error",
    "global_init_script_failure": "client_error",
    "instance_pool_cluster_failure": "client_error",
    "instance_pool_max_capacity_reached": "client_error",
    "invalid_argument": "client_error",
    "spark_error": "client_error",
    "spark_startup_failure": "service_fault",
    "bootstrap_timeout": "cloud_failure",
    "control_plane_request_failure": "cloud_failure",
    "storage_download_failure": "cloud_failure",
    "metastore_component_unhealthy": "service_fault",
    "request_throttled": "service_fault",
    "subnet_exhausted_failure": "client_error",
    "secret_resolution_error": "client_error",
    "internal_error": "service_fault",
}
MEBIBYTE = 1024 * 1024
MAX_TRIES = 10
"""How often a cluster that is gone from the list is asked why it ended, once a look, before it is let go."""
REMEMBERED_SECONDS = 30 * 86_400.0
MAX_REMEMBERED = 1_000

# Such a cluster will tell no more tomorrow. Of one that is deleted Databricks says no more than that the request is bad.
_NEVER = (Reason.FORBIDDEN, Reason.NOT_FOUND)
_Cores = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Autoscale(msgspec.Struct, frozen=True):
    min_workers: Int64 | None = None
    max_workers: Int64 | None = None


class Node(msgspec.Struct, frozen=True):
    """A machine of a cluster, of which nothing is read: it is counted."""


class TerminationReason(msgspec.Struct, frozen=True):
    """Why a cluster terminated; it has parameters too, which hold texts, names and addresses."""

    type: str | None = None
    code: str | None = None


class LogStatus(msgspec.Struct, frozen=True):
    last_attempted: Int64 | None = None
    last_exception: str | None = None


class Tags(msgspec.Struct, frozen=True, rename="pascal"):
    """Of the tags that Databricks sets, the job that a cluster was made for."""

    job_id: str | None = None


class Driver(msgspec.Struct, frozen=True):
    """Of the node that the driver runs on its address alone, which stands on no page."""

    private_ip: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A cluster as clusters/list and clusters/get tell it; `driver_healthy` and `last_activity_time` stand in no document."""

    cluster_id: str
    cluster_name: str | None = None
    cluster_source: str | None = None
    state: str | None = None
    spark_version: str | None = None
    driver_node_type_id: str | None = None
    node_type_id: str | None = None
    policy_id: str | None = None
    data_security_mode: str | None = None
    num_workers: Int64 | None = None
    autoscale: Autoscale | None = None
    executors: tuple[Node, ...] | None = None
    cluster_cores: _Cores | None = None
    cluster_memory_mb: Int64 | None = None
    driver_healthy: bool | None = None
    start_time: Int64 | None = None
    last_restarted_time: Int64 | None = None
    last_activity_time: Int64 | None = None
    terminated_time: Int64 | None = None
    termination_reason: TerminationReason | None = None
    cluster_log_status: LogStatus | None = None
    default_tags: Tags | None = None
    driver: Driver | None = None


class Cluster(msgspec.Struct, frozen=True):
    """A cluster that lives; times in seconds since 1970, None for never, words in small letters.

    `name` is empty where Databricks made it up, `job_id` where the cluster was made for no job. `target_workers` are those
    that it shall have; `min_workers` and `max_workers` are there where it scales by itself. `supported` says whether its
    runtime is; None where that is not known. `log_failing` is None where no logs are delivered.
    """

    cluster_id: str
    state: str
    name: str = ""
    source: str = ""
    spark_version: str = ""
    runtime: str = ""
    supported: bool | None = None
    driver_node_type: str = ""
    node_type: str = ""
    policy_id: str = ""
    data_security_mode: str = ""
    job_id: str = ""
    driver_private_ip: str = ""
    workers: int = 0
    target_workers: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    cores: float | None = None
    memory_bytes: int | None = None
    driver_healthy: bool | None = None
    started: float | None = None
    restarted: float | None = None
    last_activity: float | None = None
    log_attempted: float | None = None
    log_failing: bool | None = None

    @property
    def generated(self) -> bool:
        """Whether Databricks made it for a job or a pipeline, and it is gone for good with it."""
        return self.source in GENERATED or bool(self.job_id)


class Clusters(msgspec.Struct, frozen=True):
    """The clusters of a workspace that can be seen, those that people made first; and what is counted of those that ended.

    `leavers` are clusters whose end is not told yet, by id, each with how often it was asked in vain.
    `terminations` counts by (type, code); `last_terminations` are times by id, of clusters that people made. `untold` counts
    the ends of which Databricks would not tell.
    """

    workspace: str
    clusters: tuple[Cluster, ...] = ()
    leavers: dict[str, int] = {}
    terminations: dict[tuple[str, str], int] = {}
    last_terminations: dict[str, float] = {}
    untold: int = 0

    @property
    def visible(self) -> int:
        """How many clusters that live can be seen."""
        return len(self.clusters)


def seconds(milliseconds: int | None) -> float | None:
    """A time of Databricks in seconds since 1970; zero, like absent, means never."""
    return milliseconds / 1000 if milliseconds and milliseconds > 0 else None


def gone(before: Clusters | None, listed: Mapping[str, Answer]) -> tuple[str, ...]:
    """Ids of the clusters to ask why they ended, those first that were asked the least."""
    tries = _leavers(before) if before else {}
    return tuple(sorted((one for one in tries if one not in listed), key=tries.__getitem__))


def folded(before: Clusters, listed: Mapping[str, Answer], told: Mapping[str, Answer | Reason], now: float) -> Clusters:
    """The next record, at `now` in seconds since 1970.

    `listed` is the whole list by id; `told` is what came of asking some of those that `gone` named: an answer, or why not.
    """
    answers = [answer for answer in told.values() if isinstance(answer, Answer)]
    ended = {answer.cluster_id: answer for answer in answers if answer.state == TERMINATED}
    # A page of the list can miss one that lives.
    alive = {**{answer.cluster_id: answer for answer in answers if answer.state != TERMINATED}, **listed}
    waiting = {one: tries + (one in told) for one, tries in _leavers(before).items() if one not in alive and one not in ended}
    leavers = {one: tries for one, tries in waiting.items() if tries < MAX_TRIES and told.get(one) not in _NEVER}
    # One that was started anew before it was asked has forgotten why it ended.
    untold = len(waiting) - len(leavers) + len(before.leavers.keys() & listed.keys())
    terminations = dict(before.terminations)
    last_terminations = dict(before.last_terminations)
    for answer in ended.values():
        kind = _kind(answer.termination_reason)
        terminations[kind] = terminations.get(kind, 0) + 1
        if not cluster(answer, now).generated:
            last_terminations[answer.cluster_id] = seconds(answer.terminated_time) or now
    return Clusters(
        workspace=before.workspace,
        clusters=tuple(sorted((cluster(answer, now) for answer in alive.values()), key=_order)),
        leavers=leavers,
        terminations=terminations,
        last_terminations=_newest(last_terminations, now),
        untold=before.untold + untold,
    )


def cluster(answer: Answer, now: float) -> Cluster:
    """What an answer says of a cluster; `now`, in seconds since 1970, decides whether its runtime is still supported."""
    source = known(answer.cluster_source, SOURCES)
    job_id = (answer.default_tags.job_id if answer.default_tags else None) or ""
    release = runtimes.runtime(answer.spark_version or "")
    autoscale, log = answer.autoscale or Autoscale(), answer.cluster_log_status
    return Cluster(
        cluster_id=answer.cluster_id,
        state=known(answer.state, STATES) or OTHER,
        name="" if source in GENERATED or job_id else answer.cluster_name or "",
        source=source,
        spark_version=answer.spark_version or "",
        runtime=release.version if release else "",
        supported=runtimes.is_supported(release, now),
        driver_node_type=answer.driver_node_type_id or "",
        node_type=answer.node_type_id or "",
        policy_id=answer.policy_id or "",
        data_security_mode=known(answer.data_security_mode, SECURITY_MODES),
        job_id=job_id,
        driver_private_ip=(answer.driver.private_ip if answer.driver else None) or "",
        workers=len(answer.executors or ()),
        target_workers=answer.num_workers,
        min_workers=autoscale.min_workers,
        max_workers=autoscale.max_workers,
        cores=answer.cluster_cores,
        memory_bytes=None if answer.cluster_memory_mb is None else answer.cluster_memory_mb * MEBIBYTE,
        driver_healthy=answer.driver_healthy,
        started=seconds(answer.start_time),
        restarted=seconds(answer.last_restarted_time),
        last_activity=seconds(answer.last_activity_time),
        log_attempted=seconds(log.last_attempted) if log else None,
        log_failing=bool(log.last_exception) if log else None,
    )


def encoded(record: Clusters) -> bytes:
    """A record as bytes, for a storage."""
    return msgspec.msgpack.encode(record)


def decoded(stored: bytes) -> Clusters:
    """The record that was stored; raises ValueError for what is none."""
    return msgspec.msgpack.decode(stored, type=Clusters)


def _kind(reason: TerminationReason | None) -> tuple[str, str]:
    reason = reason or TerminationReason()
    return known(reason.type, TYPES) or OTHER, known(reason.code, CODES) or OTHER


def _leavers(before: Clusters) -> dict[str, int]:
    return {**dict.fromkeys((one.cluster_id for one in before.clusters), 0), **before.leavers}


def _order(one: Cluster) -> tuple[bool, float, str]:
    """Those that come and go the most stand last, where a page that is full leaves out."""
    return one.generated, one.started or 0.0, one.cluster_id


def _newest(times: Mapping[str, float], now: float) -> dict[str, float]:
    recent = [(at, one) for one, at in times.items() if now - at < REMEMBERED_SECONDS]
    return {one: at for at, one in sorted(recent, reverse=True)[:MAX_REMEMBERED]}
