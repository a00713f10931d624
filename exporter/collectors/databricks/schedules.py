"""Whether runs came when they were due, from the records of jobs and of their runs; asks no workspace, and classes nothing."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

import msgspec

from exporter.collector import Collector
from exporter.databricks import jobs, schedules
from exporter.databricks.job_runs import JobRuns
from exporter.databricks.jobs import Job, Jobs
from exporter.databricks.schedules import Class, JobRun, Watch
from exporter.errors import StorageError
from exporter.metric import Buckets, Sample, counter, gauge, histogram
from exporter.polled import Asked, Polled

EVERY = 60.0
VERSION = 1
MAX_JOBS = 5_000
# So long a run may be late before it is missing; no shorter than the jobs' list may be old, lest what was put off is missed.
GRACE = 600.0
CLASSES: tuple[Class, ...] = get_args(Class)
DELAYS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
GAPS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
JOB = ("workspace", "job_id")

DUE = counter(
    "databricks_schedule_due_total",
    "Times at which a run was due: on_time, late by more than 60 s, queued, skipped, or missing after 10 minutes"
    " (jobs/list settings.schedule, settings.trigger.periodic, runs/list start_time).",
    (*JOB, "class"),
)
DELAY = histogram(
    "databricks_schedule_delay_seconds",
    "How long after they were due runs started that were neither queued nor skipped (runs/list start_time).",
    DELAYS,
    JOB,
)
NEXT_DUE = gauge(
    "databricks_schedule_next_due_timestamp_seconds",
    "When the next run is due; absent where the schedule is paused (jobs/list settings.schedule, settings.trigger.periodic).",
    JOB,
)
UNREADABLE = gauge(
    "databricks_schedule_unreadable",
    "Always 1, for a schedule whose expression, time zone or interval can't be read, so that nothing is known of it"
    " (jobs/list settings.schedule).",
    JOB,
    unit="",
)
GAP = histogram(
    "databricks_job_continuous_gap_seconds",
    "How long a continuous job had no run, told when the next one has started (runs/list start_time, end_time).",
    GAPS,
    JOB,
)
METRICS = (DUE, NEXT_DUE, UNREADABLE, DELAY, GAP)


class Kept(msgspec.Struct, frozen=True):
    """What was counted of one job, and what is carried on; `gaps_from` is the `counted` of `schedules.gaps`."""

    watch: Watch | None = None
    counts: dict[Class, int] = {}
    delays: Buckets = Buckets((0,) * (len(DELAYS) + 1), 0.0)
    next_due: float | None = None
    unreadable: bool = False
    gaps: Buckets = Buckets((0,) * (len(GAPS) + 1), 0.0)
    gaps_from: float | None = None


class Schedules(msgspec.Struct, frozen=True):
    """The record: jobs that are due at times, or always; the eldest first."""

    workspace: str
    jobs: dict[int, Kept] = {}
    version: int = VERSION


def fetch(asked: Asked) -> Schedules:
    """The record after the newest look at the runs; as it was before where jobs or runs are not known."""
    before: Schedules = asked.before or Schedules(asked.settings.name)
    listed, runs = asked.others.get("jobs"), asked.others.get("job_runs")
    if listed is None or runs is None:
        return before
    return next_record(before, listed, runs)


def next_record(before: Schedules, listed: Jobs, runs: JobRuns) -> Schedules:
    """The record after `before`. A job that is no longer listed, or that nothing starts by itself, is let go."""
    # What no look has covered is not missing, and what the list may not know yet is none of its schedule.
    now = min(runs.state.last_look, listed.at + GRACE)
    timed = [job for job in listed.jobs.values() if jobs.trigger(job) in (jobs.CRON, jobs.PERIODIC, jobs.CONTINUOUS)]
    return Schedules(
        before.workspace,
        {
            job.job_id: _next(
                before.jobs.get(job.job_id, Kept()),
                job,
                tuple(runs.recent.get(job.job_id, {}).values()),
                now,
                runs.seen_since,
            )
            for job in timed[:MAX_JOBS]
        },
    )


def samples(record: Schedules) -> Iterator[Sample]:
    """What is known of each schedule, and of each continuous job."""
    for job_id, kept in record.jobs.items():
        labels = {"workspace": record.workspace, "job_id": str(job_id)}
        if kept.watch is not None or kept.counts:
            for name in CLASSES:
                yield DUE(kept.counts.get(name, 0), **labels, **{"class": name})
            yield DELAY(kept.delays, **labels)
        if kept.next_due is not None:
            yield NEXT_DUE(kept.next_due, **labels)
        if kept.unreadable:
            yield UNREADABLE(1, **labels)
        if kept.gaps_from is not None or any(kept.gaps.counts):
            yield GAP(kept.gaps, **labels)


def encoded(record: Schedules) -> bytes:
    """The record as bytes for a file; raises StorageError where it holds what no file can."""
    try:
        return msgspec.msgpack.encode(record)
    except (OverflowError, ValueError, TypeError) as error:
        raise StorageError(f"record of schedules that can't be written: {error}") from error


def decoded(stored: bytes) -> Schedules:
    """The record in `stored`; raises ValueError where it is none, or of another version."""
    try:
        record = msgspec.msgpack.decode(stored, type=Schedules)
    except msgspec.DecodeError as error:
        raise ValueError(f"no record of schedules: {error}") from error
    if record.version != VERSION:
        raise ValueError(f"record of schedules of version {record.version}, {VERSION} is understood")
    return record


def _next(kept: Kept, job: Job, recent: tuple[JobRun, ...], now: float, seen_since: float) -> Kept:
    if jobs.trigger(job) == jobs.CONTINUOUS:
        return _continuous(kept, job, recent, now)
    try:
        look = schedules.look(kept.watch, jobs.due(job), recent, now, seen_since=seen_since, grace=GRACE)
    except ValueError:
        return msgspec.structs.replace(kept, watch=None, next_due=None, unreadable=True)
    return msgspec.structs.replace(
        kept,
        watch=look.watch,
        counts=_added(kept.counts, look.counts),
        delays=_observed(kept.delays, DELAYS, look.delays),
        next_due=look.next_due,
        unreadable=False,
    )


def _continuous(kept: Kept, job: Job, recent: tuple[JobRun, ...], now: float) -> Kept:
    if jobs.paused(job):
        return msgspec.structs.replace(kept, gaps_from=None)
    told, gaps_from = schedules.gaps(recent, now if kept.gaps_from is None else kept.gaps_from)
    return msgspec.structs.replace(kept, gaps=_observed(kept.gaps, GAPS, told), gaps_from=gaps_from)


def _added(counts: Mapping[Class, int], adds: Mapping[Class, int]) -> dict[Class, int]:
    return {name: counts.get(name, 0) + adds.get(name, 0) for name in (*counts, *(new for new in adds if new not in counts))}


def _observed(before: Buckets, bounds: tuple[float, ...], values: Iterable[float]) -> Buckets:
    """The histogram with these values more."""
    counts, total = list(before.counts), before.sum
    for value in values:
        counts[bisect.bisect_left(bounds, value)] += 1
        total += value
    return Buckets(tuple(counts), total)


COLLECTOR = Collector("schedules", METRICS, samples)
POLLED = Polled(COLLECTOR, EVERY, fetch, encoded, decoded)
