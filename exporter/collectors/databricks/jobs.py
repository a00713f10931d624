"""Jobs, from GET /api/2.2/jobs/list; asks for them and shapes samples, counts nothing."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.databricks import jobs
from exporter.databricks.jobs import Job, Jobs
from exporter.metric import Metric, Sample, gauge, info
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import JOBS

EVERY = 600.0
JOBS_OF_A_PAGE = 100
JOB = ("workspace", "job_id")

INFO = info(
    "databricks_job_info",
    "Names of a job, what starts it (cron, periodic, continuous, file_arrival, table, other, none), when, and where its code"
    " comes from (jobs/list settings).",
    (*JOB, "name", "trigger", "schedule", "timezone", "git_provider"),
)
TAG_INFO = info(
    "databricks_job_tag_info",
    "One of a job's tags that the settings of the exporter name (jobs/list settings.tags).",
    (*JOB, "tag", "value"),
)
PAUSED = gauge(
    "databricks_job_paused",
    "Whether what starts a job by itself is paused; absent where nothing does (jobs/list settings.*.pause_status).",
    JOB,
    unit="",
)
CREATED = gauge("databricks_job_created_timestamp_seconds", "When a job was made (jobs/list created_time).", JOB)
MAX_CONCURRENT_RUNS = gauge(
    "databricks_job_max_concurrent_runs",
    "How many runs a job may have at once; those that are queued are not among them (jobs/list settings.max_concurrent_runs).",
    JOB,
    unit="",
)
QUEUE_ENABLED = gauge(
    "databricks_job_queue_enabled",
    "Whether a run that may not start yet waits, and is not skipped (jobs/list settings.queue.enabled).",
    JOB,
    unit="",
)
TIMEOUT = gauge(
    "databricks_job_timeout_seconds",
    "How long a run may take; absent where it has no bound (jobs/list settings.timeout_seconds).",
    JOB,
)
TASKS = gauge(
    "databricks_job_tasks",
    "Tasks of a job; absent beyond 100, where the list stops (jobs/list settings.tasks).",
    JOB,
    unit="",
)
MAX_RETRIES = gauge(
    "databricks_job_task_max_retries",
    "Retries of the task, of the first 100, that has most of them; +Inf where they have no end"
    " (jobs/list settings.tasks.max_retries).",
    JOB,
    unit="",
)
HEALTH_THRESHOLD = gauge(
    "databricks_job_health_threshold",
    "What a health rule of a job warns above, in the unit that ends the name of what it watches"
    " (jobs/list settings.health.rules).",
    (*JOB, "watched"),
    unit="",
)
METRICS = (
    INFO,
    TAG_INFO,
    PAUSED,
    CREATED,
    MAX_CONCURRENT_RUNS,
    QUEUE_ENABLED,
    TIMEOUT,
    TASKS,
    MAX_RETRIES,
    HEALTH_THRESHOLD,
)


def fetch(asked: Asked) -> Jobs:
    """All jobs, whole or not at all; raises SourceError."""
    parameters = {"limit": JOBS_OF_A_PAGE, "expand_tasks": True}
    pages = asked.workspace.pages(JOBS, Job, "jobs", asked.deadline, parameters=parameters)
    found = {job.job_id: job for page in pages for job in page.items}
    # Where a page is full it is the newest jobs that are left out, and no old one's place changes.
    eldest_first = sorted(found.values(), key=lambda job: (job.created_time or 0, job.job_id))
    return Jobs(asked.settings.name, asked.now, {job.job_id: job for job in eldest_first}, asked.settings.tags)


def samples(record: Jobs) -> Iterator[Sample]:
    """What each job is set to; what it does not tell is left out."""
    for job in record.jobs.values():
        yield from _samples(job, {"workspace": record.workspace, "job_id": str(job.job_id)}, record.tags)


def _samples(job: Job, labels: dict[str, str], tags: tuple[str, ...]) -> Iterator[Sample]:
    its = jobs.settings(job)
    schedule, trigger = its.schedule, jobs.trigger(job)
    yield INFO(
        1,
        **labels,
        name=its.name or "",
        trigger=trigger,
        schedule=schedule.quartz_cron_expression if schedule is not None else "",
        timezone=schedule.timezone_id if schedule is not None else "",
        git_provider=(its.git_source.git_provider or "") if its.git_source is not None else "",
    )
    told = its.tags or {}
    for tag in tags:
        if tag in told:
            yield TAG_INFO(1, **labels, tag=tag, value=told[tag] or "")
    values: tuple[tuple[Metric, float | None], ...] = (
        (PAUSED, jobs.paused(job) if trigger != jobs.NONE else None),
        (CREATED, job.created_time / 1000 if job.created_time else None),
        (MAX_CONCURRENT_RUNS, its.max_concurrent_runs),
        (QUEUE_ENABLED, its.queue.enabled if its.queue is not None else None),
        (TIMEOUT, its.timeout_seconds or None),
        (TASKS, jobs.task_count(job)),
        (MAX_RETRIES, jobs.max_retries(job)),
    )
    for metric, value in values:
        if value is not None:
            yield metric(float(value), **labels)
    for watched, threshold in jobs.thresholds(job).items():
        yield HEALTH_THRESHOLD(threshold, **labels, watched=watched)


COLLECTOR = Collector("jobs", METRICS, samples)
POLLED = Polled(COLLECTOR, EVERY, fetch)
