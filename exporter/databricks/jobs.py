"""What an answer of jobs/list says of a job: what starts it, whether that is paused, and what it may take; pure.

A job in the old format of one task holds that task's settings among its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from exporter.databricks.runs import OTHER, Int64
from exporter.databricks.schedules import Cron, Interval

CRON, PERIODIC, CONTINUOUS, FILE_ARRIVAL, TABLE, NONE = "cron", "periodic", "continuous", "file_arrival", "table", "none"
TRIGGERS = (CRON, PERIODIC, CONTINUOUS, FILE_ARRIVAL, TABLE, OTHER, NONE)
"""What starts a job by itself."""

HEALTH_METRICS = (
    "run_duration_seconds",
    "streaming_backlog_bytes",
    "streaming_backlog_files",
    "streaming_backlog_records",
    "streaming_backlog_seconds",
)
"""What a health rule can watch. A threshold of anything else is a number without a unit, and left out."""

_PAUSED = "PAUSED"
_SECONDS_OF_UNITS = {"HOURS": 3600.0, "DAYS": 86400.0, "WEEKS": 7 * 86400.0}


class Schedule(msgspec.Struct, frozen=True):
    quartz_cron_expression: str = ""
    timezone_id: str = ""
    pause_status: str | None = None
    sql_condition: dict[str, Any] | None = None


class Continuous(msgspec.Struct, frozen=True):
    pause_status: str | None = None


class Periodic(msgspec.Struct, frozen=True):
    interval: Int64 | None = None
    unit: str | None = None


class Trigger(msgspec.Struct, frozen=True):
    pause_status: str | None = None
    periodic: Periodic | None = None
    file_arrival: dict[str, Any] | None = None
    table_update: dict[str, Any] | None = None
    table: dict[str, Any] | None = None


class GitSource(msgspec.Struct, frozen=True):
    git_provider: str | None = None


class Queue(msgspec.Struct, frozen=True):
    enabled: bool | None = None


class Rule(msgspec.Struct, frozen=True):
    metric: str | None = None
    value: float | None = None


class Health(msgspec.Struct, frozen=True):
    rules: tuple[Rule | None, ...] | None = None


class Task(msgspec.Struct, frozen=True):
    max_retries: Int64 | None = None


class Settings(msgspec.Struct, frozen=True):
    """What the job is set to; `timeout_seconds` 0 is none, `max_retries` -1 has no end."""

    name: str | None = None
    format: str | None = None
    max_concurrent_runs: Int64 | None = None
    max_retries: Int64 | None = None
    timeout_seconds: Int64 | None = None
    tags: dict[str, Any] | None = None
    schedule: Schedule | None = None
    continuous: Continuous | None = None
    trigger: Trigger | None = None
    git_source: GitSource | None = None
    queue: Queue | None = None
    health: Health | None = None
    tasks: tuple[Task | None, ...] | None = None


class Job(msgspec.Struct, frozen=True):
    """A job as jobs/list tells it, its first 100 tasks with it; `created_time` is milliseconds since 1970."""

    job_id: Int64
    created_time: Int64 | None = None
    has_more: bool | None = None
    settings: Settings | None = None


@dataclass(frozen=True)
class Jobs:
    """The record of the jobs that may be seen, as they were at `at` (seconds since 1970); the eldest first, by id.

    `tags` are those that are shown.
    """

    workspace: str
    at: float
    jobs: Mapping[int, Job]
    tags: tuple[str, ...] = ()

    @property
    def visible(self) -> int:
        return len(self.jobs)


def settings(job: Job) -> Settings:
    """The job's settings; all of them unknown where it tells none."""
    return job.settings if job.settings is not None else Settings()


def trigger(job: Job) -> str:
    """What starts a job by itself: one of TRIGGERS."""
    its = settings(job)
    if its.continuous is not None:
        return CONTINUOUS
    if its.schedule is not None:
        return CRON
    if its.trigger is None:
        return NONE
    if its.trigger.periodic is not None:
        return PERIODIC
    if its.trigger.file_arrival is not None:
        return FILE_ARRIVAL
    return OTHER if its.trigger.table_update is None and its.trigger.table is None else TABLE


def paused(job: Job) -> bool:
    """Whether what starts it by itself is paused; a job that nothing starts is not."""
    its = settings(job)
    return any(one is not None and one.pause_status == _PAUSED for one in (its.schedule, its.continuous, its.trigger))


def due(job: Job) -> Cron | Interval | None:
    """When its runs are due: None where it is paused, where its trigger knows no time, or has a unit that is not known."""
    its = settings(job)
    if paused(job):
        return None
    if its.schedule is not None:
        cron = its.schedule
        return Cron(cron.quartz_cron_expression, cron.timezone_id, conditional=cron.sql_condition is not None)
    periodic = its.trigger.periodic if its.trigger is not None else None
    seconds = _SECONDS_OF_UNITS.get(periodic.unit or "") if periodic is not None else None
    return Interval((periodic.interval or 0) * seconds) if periodic is not None and seconds is not None else None


def task_count(job: Job) -> int | None:
    """How many tasks it has, a for-each task being one; None where that is not told: beyond 100 the list stops."""
    its = settings(job)
    if job.has_more:
        return None
    return len(its.tasks) if its.tasks is not None else 1 if its.format == "SINGLE_TASK" else None


def max_retries(job: Job) -> float | None:
    """How often the task that is retried most often is tried again: infinite where that has no end, None where not told."""
    its = settings(job)
    told = [its.max_retries, *(task.max_retries for task in its.tasks or () if task is not None)]
    retries = [float("inf") if number < 0 else float(number) for number in told if number is not None]
    return max(retries, default=0.0 if its.tasks is not None else None)


def thresholds(job: Job) -> dict[str, float]:
    """The least threshold of its health rules, by what they watch: some of HEALTH_METRICS."""
    health = settings(job).health
    found: dict[str, float] = {}
    for rule in (health.rules if health is not None else None) or ():
        name = (rule.metric or "").lower() if rule is not None else ""
        if rule is not None and rule.value is not None and name in HEALTH_METRICS:
            found[name] = min(rule.value, found.get(name, rule.value))
    return found
