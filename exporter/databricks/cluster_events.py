"""What clusters' logs of events say, each event counted once; pure.

A job's cluster has another id at each start, so what it tells is counted for the job; else for the cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from exporter.databricks.clusters import Cluster
from exporter.databricks.jobs import CONTINUOUS, Jobs, trigger
from exporter.databricks.runs import Int64
from exporter.databricks.words import OTHER, known

# Those that tell of trouble: they stand at 0 from a subject's first sight on.
TROUBLES = (
    "driver_not_responding",
    "driver_unavailable",
    "nodes_lost",
    "node_blacklisted",
    "add_nodes_failed",
    "autoscaling_failed",
    "spark_exception",
    "metastore_down",
    "dbfs_down",
    "failed_to_expand_disk",
    "did_not_expand_disk",
    "uc_volume_misconfigured",
)
TYPES = (
    *TROUBLES,
    "automatic_cluster_update",
    "autoscaling_backoff",
    "autoscaling_stats_report",
    "cluster_migrated",
    "creating",
    "decommission_ended",
    "decommission_started",
    "deferred_policy_enforcement_failed",
    "deferred_policy_enforcement_scheduled",
    "driver_healthy",
    "edited",
    "expanded_disk",
    "init_scripts_finished",
    "init_scripts_started",
    "node_excluded_decommissioned",
    "pinned",
    "resizing",
    "restarting",
    "running",
    "starting",
    "terminating",
    "unpinned",
    "upsize_completed",
)
CAUSES = ("autorecovery", "autoscale", "autoscale_v2", "dbr_autoscale", "replace_bad_nodes", "user_request")
DIRECTIONS = ("up", "down")
GONE = "gone"
"""In the place of a cluster's state: it is no longer among those that live, and was asked for the last time."""

ASKED_SECONDS = 300.0
"""How long the log of a cluster whose state stays the same is left alone."""
OVERLAP_MS = 120_000
"""How far a log is read again, for events that are written late."""
FIRST_SECONDS = 86_400.0
"""How far before the beginning of counting a log is read for the first time, for what is told of the last start."""
MAX_TRIES = 10
"""How often the log of a cluster that is gone is asked for in vain."""
REMEMBERED_SECONDS = 30 * 86_400.0
MAX_REMEMBERED = 1_000

_T = TypeVar("_T")
# A cluster's id, or a job's: the other one is empty.
Subject: TypeAlias = tuple[str, str]
# Timestamp in milliseconds, type, cause.
Key: TypeAlias = tuple[int, str, str]


class Details(msgspec.Struct, frozen=True):
    """Of an event's details those that are no text of users."""

    cause: str | None = None
    current_num_workers: Int64 | None = None
    target_num_workers: Int64 | None = None


class Event(msgspec.Struct, frozen=True):
    """An event as clusters/events tells it; `timestamp` is milliseconds since 1970."""

    timestamp: Int64
    type: str | None = None
    details: Details | None = None


class Read(msgspec.Struct, frozen=True):
    """How far a cluster's log was read: at the time `asked`, the cluster then in `state`, up to the timestamp `newest`.

    `recent` are the events that will be told again, for they lie within OVERLAP_MS of the newest. `init_started` is the
    timestamp of init scripts that are not finished, `failed` how often it was asked in vain since it was read.
    """

    subject: Subject
    state: str = ""
    asked: float = 0.0
    newest: int = 0
    recent: tuple[Key, ...] = ()
    init_started: int | None = None
    failed: int = 0


class ClusterEvents(msgspec.Struct, frozen=True):
    """What is counted since `since`, seconds since 1970: events by subject, type and cause, resizes by subject and direction.

    `subjects` were last seen at these times; `init_scripts` is how long the last ones took, in seconds. `reads` go by
    cluster's id.
    """

    workspace: str
    since: float
    subjects: dict[Subject, float] = {}
    events: dict[tuple[str, str, str, str], int] = {}
    resizes: dict[tuple[str, str, str], int] = {}
    init_scripts: dict[Subject, float] = {}
    reads: dict[str, Read] = {}


def watched(clusters: Collection[Cluster], jobs: Jobs | None, named: Collection[str]) -> dict[str, Cluster]:
    """The clusters whose logs are read, by id: those of continuous jobs, and those that `named` holds the name or id of."""
    continuous = {str(job_id) for job_id, job in jobs.jobs.items() if trigger(job) == CONTINUOUS} if jobs else set()
    return {
        one.cluster_id: one
        for one in clusters
        if (one.job_id and one.job_id in continuous) or one.cluster_id in named or (one.name and one.name in named)
    }


def due(before: ClusterEvents, clusters: Mapping[str, Cluster], now: float) -> tuple[str, ...]:
    """Ids of the clusters to ask now, those first that were asked the longest ago.

    That is one in another state than before, one that is gone, and each again after ASKED_SECONDS.
    """
    reads = before.reads
    asked = {one: reads[one].asked if one in reads else 0.0 for one in (*clusters, *reads)}
    return tuple(one for one in sorted(asked, key=asked.__getitem__) if _is_due(reads.get(one), clusters.get(one), now))


def start(before: ClusterEvents, cluster_id: str, cluster: Cluster | None) -> int:
    """The timestamp, in milliseconds, from which a cluster's log is to be read."""
    read = before.reads.get(cluster_id)
    if read and read.newest:
        return max(0, read.newest - OVERLAP_MS)
    begun = max((cluster.restarted or 0.0, cluster.started or 0.0)) if cluster else 0.0
    return max(0, int(max(begun, before.since - FIRST_SECONDS) * 1000) - OVERLAP_MS)


def folded(
    before: ClusterEvents, clusters: Mapping[str, Cluster], told: Mapping[str, Sequence[Event] | None], now: float
) -> ClusterEvents:
    """The next record, at `now` in seconds since 1970.

    `told` are the logs of those that were asked, from `start` on; None of one that would not tell.
    """
    subjects = {**before.subjects, **{_subject(one): now for one in clusters.values()}}
    events, resizes = dict(before.events), dict(before.resizes)
    init_scripts, reads = dict(before.init_scripts), dict(before.reads)
    for cluster_id, log in told.items():
        cluster = clusters.get(cluster_id)
        read = before.reads.get(cluster_id) or Read(_subject(cluster) if cluster else (cluster_id, ""))
        read, new = _caught_up(read, log or ())
        for event in new:
            kind, cause = _words(event)
            read, seconds = _timed(read, kind, event.timestamp)
            if seconds is not None:
                init_scripts[read.subject] = seconds
            if event.timestamp < before.since * 1000:
                continue
            key = (*read.subject, kind, cause)
            events[key] = events.get(key, 0) + 1
            if direction := _direction(kind, event.details):
                resize = (*read.subject, direction)
                resizes[resize] = resizes.get(resize, 0) + 1
        reads[cluster_id] = _asked(read, cluster, now, failed=log is None)
    kept = _newest(subjects, now)
    return ClusterEvents(
        workspace=before.workspace,
        since=before.since,
        subjects=kept,
        events={key: count for key, count in events.items() if key[:2] in kept},
        resizes={key: count for key, count in resizes.items() if key[:2] in kept},
        init_scripts={subject: seconds for subject, seconds in init_scripts.items() if subject in kept},
        reads={one: reads[one] for one in _newest({one: read.asked for one, read in reads.items()}, now)},
    )


def encoded(record: ClusterEvents) -> bytes:
    """A record as bytes, for a storage."""
    return msgspec.msgpack.encode(record)


def decoded(stored: bytes) -> ClusterEvents:
    """The record that was stored; raises ValueError for what is none."""
    return msgspec.msgpack.decode(stored, type=ClusterEvents)


def _subject(cluster: Cluster) -> Subject:
    return ("", cluster.job_id) if cluster.job_id else (cluster.cluster_id, "")


def _asked(read: Read, cluster: Cluster | None, now: float, *, failed: bool) -> Read:
    """A log that was asked for; of one that is gone the end is worth more than one try, though it may be deleted."""
    failures = read.failed + 1 if failed else 0
    gone = read.state if 0 < failures < MAX_TRIES else GONE
    return msgspec.structs.replace(read, state=cluster.state if cluster else gone, asked=now, failed=failures)


def _is_due(read: Read | None, cluster: Cluster | None, now: float) -> bool:
    if read is None:
        return True
    if cluster is None:
        return read.state != GONE
    return read.state != cluster.state or now - read.asked >= ASKED_SECONDS


def _words(event: Event) -> tuple[str, str]:
    cause = event.details.cause if event.details else None
    return known(event.type, TYPES) or OTHER, known(cause, CAUSES)


def _caught_up(read: Read, log: Sequence[Event]) -> tuple[Read, list[Event]]:
    """How far the log is read now, and those of its events that were not read before, in order of time."""
    keys = Counter((event.timestamp, *_words(event)) for event in log)
    before = Counter(read.recent)
    left = before.copy()
    newest = max((read.newest, *(timestamp for timestamp, _, _ in keys)))
    new = []
    for event in sorted(log, key=lambda one: one.timestamp):
        key = (event.timestamp, *_words(event))
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(event)
    # What an answer leaves out this time may be back in the next.
    recent = tuple(sorted(key for key in (keys | before).elements() if key[0] >= newest - OVERLAP_MS))
    return msgspec.structs.replace(read, newest=newest, recent=recent), new


def _timed(read: Read, kind: str, timestamp: int) -> tuple[Read, float | None]:
    """Where this event ends init scripts, how long they took, in seconds."""
    if kind == "init_scripts_started":
        return msgspec.structs.replace(read, init_started=timestamp), None
    if kind == "init_scripts_finished" and read.init_started is not None:
        return msgspec.structs.replace(read, init_started=None), (timestamp - read.init_started) / 1000
    return read, None


def _direction(kind: str, details: Details | None) -> str:
    """Where a resize goes to; empty for what is none, or does not tell."""
    if kind != "resizing" or details is None or details.target_num_workers is None or details.current_num_workers is None:
        return ""
    change = details.target_num_workers - details.current_num_workers
    return DIRECTIONS[0] if change > 0 else DIRECTIONS[1] if change < 0 else ""


def _newest(times: Mapping[_T, float], now: float) -> dict[_T, float]:
    """Those of the last days, in the order in which they came, and no more than can be remembered."""
    fresh = sorted((one for one, at in times.items() if now - at < REMEMBERED_SECONDS), key=times.__getitem__, reverse=True)
    kept = set(fresh[:MAX_REMEMBERED])
    return {one: at for one, at in times.items() if one in kept}
