"""What a driver's facts say: its metrics, declared beside their readings; pure, and without memory."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from exporter.metric import Metric, counter, gauge, info
from exporter.streaming.facts import Facts
from exporter.streaming.signals import Key

APP = ("app",)

INFO = info(
    "spark_driver_info",
    "Ids and versions of an application's driver (listener facts, Databricks usage tags).",
    (
        *APP,
        "app_id",
        "name",
        "spark_version",
        "scala_version",
        "java_version",
        "listener_version",
        "master",
        "scheduler_mode",
        "workspace",
        "cluster_id",
        "job_id",
        "job_run_id",
    ),
)
REACHABLE = gauge(
    "spark_driver_reachable", "Whether the driver answered the exporter's last call (listener bridge).", APP, unit=""
)
LAST_CONTACT = gauge(
    "spark_driver_last_contact_timestamp_seconds", "When the driver last answered the exporter (listener bridge).", APP
)
JVM_START = gauge("spark_driver_jvm_start_timestamp_seconds", "When the driver's JVM started (RuntimeMXBean StartTime).", APP)
MEMORY_USED = gauge(
    "spark_driver_jvm_memory_used_bytes", "Memory in use by area: heap, nonheap (MemoryMXBean used).", (*APP, "area")
)
MEMORY_COMMITTED = gauge(
    "spark_driver_jvm_memory_committed_bytes", "Memory that the JVM holds (MemoryMXBean committed).", (*APP, "area")
)
MEMORY_MAX = gauge(
    "spark_driver_jvm_memory_max_bytes", "The area's bound, left out where there is none (MemoryMXBean max).", (*APP, "area")
)
THREADS = gauge("spark_driver_jvm_threads", "Live threads of the driver (ThreadMXBean ThreadCount).", APP)
PROCESSORS = gauge(
    "spark_driver_jvm_processors", "Processors that the driver's JVM may use (Runtime availableProcessors).", APP
)
CPU_SECONDS = counter(
    "spark_driver_jvm_cpu_seconds_total", "CPU time of the driver's process (OperatingSystemMXBean ProcessCpuTime).", APP
)
GC_SECONDS = counter(
    "spark_driver_gc_seconds_total", "Time in garbage collection (GarbageCollectorMXBean CollectionTime).", (*APP, "collector")
)
GC_COLLECTIONS = counter(
    "spark_driver_gc_collections_total", "Garbage collections (GarbageCollectorMXBean CollectionCount).", (*APP, "collector")
)
SHUFFLE_PARTITIONS = gauge(
    "spark_driver_default_shuffle_partitions", "Configured shuffle partitions (spark.sql.shuffle.partitions).", APP
)
BUS_SIZE = gauge(
    "spark_listener_bus_queue_size",
    "Events that wait in a queue of Spark's listener bus (LiveListenerBus metrics).",
    (*APP, "queue"),
    unit="",
)
BUS_DROPPED = counter(
    "spark_listener_bus_dropped_events_total",
    "Events that Spark's listener bus dropped because a queue was full (LiveListenerBus numDroppedEvents).",
    (*APP, "queue"),
)
CAPABILITY = gauge(
    "spark_listener_capability",
    "Whether this driver lets our listener do what its name says (listener facts).",
    (*APP, "name"),
    unit="",
)
LISTENER_EVENTS = counter(
    "spark_listener_events_total", "Events of streams that our listener was handed (listener facts).", APP
)
LISTENER_DROPPED = counter(
    "spark_listener_dropped_events_total",
    "Events that our listener let go: its queue was full, its ring was full, or they were not serialisable (listener facts).",
    (*APP, "cause"),
)
LISTENER_CPU = counter(
    "spark_listener_cpu_seconds_total", "CPU time of our listener's callbacks and threads (ThreadMXBean ThreadCpuTime).", APP
)
LISTENER_WORST = gauge(
    "spark_listener_longest_callback_seconds", "Longest that our listener held Spark's bus (listener facts).", APP
)
LISTENER_RING_BYTES = gauge("spark_listener_ring_bytes", "Size of the events that our listener holds (listener facts).", APP)
LISTENER_RING_EVENTS = gauge("spark_listener_ring_events", "Events that our listener holds (listener facts).", APP)
EVENTS_FOLDED = counter(
    "spark_streaming_events_folded_total",
    "Events of streams that the exporter read and counted, each once (listener ring).",
    APP,
)
EVENTS_LOST = counter(
    "spark_streaming_events_lost_total",
    "Events of streams that never reached the exporter: gaps in their numbers (listener ring).",
    APP,
)
EVENTS_UNREADABLE = counter(
    "spark_streaming_events_unreadable_total",
    "Events of streams that the exporter could not read (StreamingQueryListener events).",
    APP,
)

# In page order.
METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
BY_NAME = {metric.name: metric for metric in METRICS}

# What the exporter itself counts of an application, shown at 0 from its first sight on.
BORN_AT_ZERO: tuple[Key, ...] = ((EVENTS_FOLDED.name,), (EVENTS_LOST.name,), (EVENTS_UNREADABLE.name,))


class Databricks(NamedTuple):
    """Where on Databricks a driver runs; empty texts elsewhere. Ids are Databricks' own."""

    workspace: str = ""
    cluster_id: str = ""
    cluster_name: str = ""
    job_id: str = ""
    job_name: str = ""
    job_run_id: str = ""


def databricks(facts: Facts) -> Databricks:
    """The place from the usage tags in Spark's configuration; `clusterAllTags` is a JSON list of `key` and `value`.

    A job cluster's tag `RunName` is the job's name (clusters API, default_tags).
    """
    tags = {key: value for key, value in (facts.databricks or {}).items() if value}
    all_tags = _all_tags(tags.get("clusterUsageTags.clusterAllTags", ""))
    job_id = tags.get("job.id") or all_tags.get("JobId", "")
    return Databricks(
        workspace=tags.get("clusterUsageTags.clusterOwnerOrgId") or tags.get("clusterUsageTags.orgId", ""),
        cluster_id=tags.get("clusterUsageTags.clusterId") or all_tags.get("ClusterId", ""),
        cluster_name=tags.get("clusterUsageTags.clusterName") or all_tags.get("ClusterName", ""),
        job_id=job_id,
        job_name=all_tags.get("RunName", "") if job_id else "",
        job_run_id=tags.get("job.runId") or tags.get("job.parentRunId", ""),
    )


def run_page(facts: Facts) -> str:
    """The address of the Databricks run's page; empty where workspace, job and run are not all known.

    What a driver says becomes a link that people follow, so only a host's name and numbers get into it.
    """
    host = (facts.databricks or {}).get("workspaceUrl") or ""
    place = databricks(facts)
    if not _HOST.fullmatch(host) or not _ID.fullmatch(place.job_id) or not _ID.fullmatch(place.job_run_id):
        return ""
    workspace = f"?o={place.workspace}" if _ID.fullmatch(place.workspace) else ""
    return f"https://{host}/{workspace}#job/{place.job_id}/run/{place.job_run_id}"


def app_name(facts: Facts, app_id: str) -> str:
    """What an application is called: as configured, else by its job or cluster, else by `spark.app.name`.

    On Databricks `spark.app.name` is the same on every cluster, so there it comes last.
    """
    place = databricks(facts)
    app = facts.app
    names = (app.configured_name if app else None, place.job_name, place.cluster_name, app.name if app else None, app_id)
    return next(name for name in names if name)


def totals(facts: Facts) -> dict[Key, float]:
    """What the JVM has counted since it started, in base units."""
    found: dict[Key, float | None] = {}
    if facts.jvm is not None:
        found[(CPU_SECONDS.name,)] = _scaled(facts.jvm.cpu_nanos, 1e9)
        for collector in facts.jvm.gc or ():
            found[GC_SECONDS.name, collector.name or ""] = _scaled(collector.millis, 1e3)
            found[GC_COLLECTIONS.name, collector.name or ""] = collector.count
    for queue in facts.bus or ():
        found[BUS_DROPPED.name, queue.queue or ""] = queue.dropped
    if facts.listener is not None:
        found[(LISTENER_EVENTS.name,)] = facts.listener.events
        found[LISTENER_DROPPED.name, "queue_full"] = facts.listener.queue_dropped
        found[LISTENER_DROPPED.name, "ring_full"] = facts.listener.ring_dropped
        found[LISTENER_DROPPED.name, "not_serialisable"] = facts.listener.failed
        found[(LISTENER_CPU.name,)] = _scaled(facts.listener.cpu_nanos, 1e9)
    return _known(found)


def gauges(facts: Facts) -> dict[Key, float]:
    """What the driver is like now, in base units."""
    found: dict[Key, float | None] = {}
    if facts.jvm is not None:
        jvm = facts.jvm
        found[(JVM_START.name,)] = _scaled(jvm.start_ms, 1e3)
        found[MEMORY_USED.name, "heap"] = jvm.heap_used_bytes
        found[MEMORY_USED.name, "nonheap"] = jvm.non_heap_used_bytes
        found[MEMORY_COMMITTED.name, "heap"] = jvm.heap_committed_bytes
        found[MEMORY_COMMITTED.name, "nonheap"] = jvm.non_heap_committed_bytes
        found[MEMORY_MAX.name, "heap"] = jvm.heap_max_bytes
        found[(THREADS.name,)] = jvm.threads
        found[(PROCESSORS.name,)] = jvm.processors
    if facts.spark is not None:
        found[(SHUFFLE_PARTITIONS.name,)] = facts.spark.shuffle_partitions
    for queue in facts.bus or ():
        found[BUS_SIZE.name, queue.queue or ""] = queue.size
    for name, works in (facts.capabilities or {}).items():
        found[CAPABILITY.name, name] = None if works is None else int(works)
    if facts.listener is not None:
        found[(LISTENER_WORST.name,)] = _scaled(facts.listener.worst_callback_nanos, 1e9)
        found[(LISTENER_RING_BYTES.name,)] = facts.listener.ring_bytes
        found[(LISTENER_RING_EVENTS.name,)] = facts.listener.ring_events
    return _known(found)


_HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9][a-z0-9-]{0,62}){1,9}", re.ASCII)
_ID = re.compile(r"[0-9]{1,20}")


def _all_tags(text: str) -> dict[str, str]:
    try:
        return {str(tag["key"]): str(tag["value"]) for tag in json.loads(text)}
    except (ValueError, TypeError, KeyError):
        return {}


def _scaled(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _known(found: dict[Key, float | None]) -> dict[Key, float]:
    return {key: value for key, value in found.items() if value is not None and value >= 0}
