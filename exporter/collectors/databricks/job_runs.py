"""Runs of jobs, from GET /api/2.2/jobs/runs; asks for them and shapes samples. What counts is decided by the fold alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import msgspec
import structlog

from exporter.collector import Collector
from exporter.databricks import endings, job_runs, runs
from exporter.databricks.endings import BOUNDS, MAX_JOBS, WHOLE, Active, Job, Key, Observation, State, Swept, Window
from exporter.databricks.job_runs import JobRuns
from exporter.databricks.runs import Run
from exporter.databricks.tasks import PHASES
from exporter.errors import Reason, SourceError
from exporter.metric import Metric, Sample, counter, gauge, histogram
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import RUN, RUN_OUTPUT, RUNS
from exporter.streaming import failures

EVERY = 60.0
RUNS_OF_A_PAGE = 25
MAX_RUNS_ASKED = 50
MAX_OUTPUTS = 5
# Of these the code tells nothing more: the error's text may.
UNEXPLAINED = frozenset({"user_code", "unknown"})
JOB = ("workspace", "job_id")
WORKSPACE = ("workspace",)

log = structlog.get_logger()

ENDINGS = counter(
    "databricks_job_runs_total",
    "Endings of runs, the original attempt and each repair by itself, by outcome; one-time runs stand together as job submit"
    " (runs/list status.termination_details, repair_history).",
    (*JOB, "outcome", "attempt"),
)
STARTS = counter(
    "databricks_job_run_starts_total",
    "Starts of runs by what started them; repairs are none (runs/list start_time, trigger).",
    (*JOB, "trigger"),
)
FAILURES = counter(
    "databricks_job_failures_total",
    "Endings that failed, by class of failure: by the code, where that says little by the error's text"
    " (runs/list status.termination_details, runs/get-output error).",
    (*JOB, "class"),
)
DURATION = histogram(
    "databricks_job_run_duration_seconds",
    "How long attempts took, by phase: whole from start to end, the others along the critical path of their tasks"
    " (runs/list start_time, end_time, tasks).",
    BOUNDS,
    (*JOB, "phase"),
)
ACTIVE = gauge(
    "databricks_job_active_runs",
    "Runs that have not ended, by state; running stands at 0 where none is (runs/list status.state).",
    (*JOB, "state"),
    unit="",
)
OLDEST = gauge(
    "databricks_job_oldest_active_run_start_timestamp_seconds",
    "When the oldest of the runs in this state started (runs/list start_time).",
    (*JOB, "state"),
)
QUEUED = gauge(
    "databricks_job_queued_runs",
    "Runs in the queue by what they wait for (runs/list status.queue_details.code).",
    (*JOB, "reason"),
    unit="",
)
LAST_END = gauge(
    "databricks_job_last_end_timestamp_seconds", "When an attempt last ended; absent until one has (runs/list end_time).", JOB
)
LAST_SUCCESS = gauge(
    "databricks_job_last_success_timestamp_seconds",
    "When an attempt last succeeded, some tasks failing or none; absent until one has (runs/list end_time).",
    JOB,
)
LAST_FAILURE = gauge(
    "databricks_job_last_failure_timestamp_seconds",
    "When an attempt last failed, by class of failure (runs/list end_time, status.termination_details).",
    (*JOB, "class"),
)
RUNNING_TASKS = gauge(
    "databricks_running_tasks",
    "Tasks that run now in all jobs together, of each run the first 100, without for-each tasks and their iterations"
    " (runs/list tasks.status.state).",
    WORKSPACE,
    unit="",
)
MAX_RUNNING_TASKS = gauge(
    "databricks_running_tasks_max",
    "How many tasks may run at once in a workspace (Databricks' resource limits).",
    WORKSPACE,
    unit="",
)
COMPLETE_TO = gauge(
    "databricks_job_runs_complete_timestamp_seconds",
    "Up to when every ending is counted, the repairs of old runs too; absent until it is known (runs/list).",
    WORKSPACE,
)
VANISHED = counter(
    "databricks_job_runs_vanished_total", "Active runs that were gone before their end was told (runs/get).", WORKSPACE
)
FORGOTTEN = counter(
    "databricks_job_runs_forgotten_total",
    "Endings of jobs that are remembered no longer, because newer ones are too many (exporter).",
    WORKSPACE,
)
METRICS = (
    ENDINGS,
    STARTS,
    FAILURES,
    ACTIVE,
    OLDEST,
    QUEUED,
    LAST_END,
    LAST_SUCCESS,
    LAST_FAILURE,
    RUNNING_TASKS,
    MAX_RUNNING_TASKS,
    COMPLETE_TO,
    VANISHED,
    FORGOTTEN,
    DURATION,
)


class Output(msgspec.Struct, frozen=True):
    """What the run of a task left; the texts may quote data."""

    error: str | None = None
    error_trace: str | None = None


def fetch(asked: Asked) -> JobRuns:
    """The record after this look; raises SourceError where the active runs, or those that ended of late, could not be listed.

    What else fails is asked for again at the next look, and nothing counts as read that was not read whole.
    """
    before = asked.before or JobRuns(asked.settings.name, State(since=asked.now))
    state: State = before.state
    plan = endings.plan(state, asked.now)
    # The active ones first: what ends between the two calls is in the second listing.
    active = _listed(asked, {"active_only": True})
    completed = _listed(asked, {"completed_only": True, "start_time_from": plan.start_time_from})
    one_by_one = _one_by_one(asked, endings.left(state, active, completed, most=MAX_RUNS_ASKED))
    swept = _swept(asked, plan.window)
    told = (*active, *(swept.runs if swept else ()), *completed, *one_by_one.fetched)
    listed = asked.others.get("jobs")
    # More than are remembered would put each other out: then it is their runs alone that bring jobs in.
    saved = tuple(listed.jobs) if listed is not None and len(listed.jobs) <= MAX_JOBS else ()
    look = Observation(
        asked.now,
        active,
        completed,
        one_by_one.fetched,
        swept,
        one_by_one.gone,
        one_by_one.unanswered,
        saved,
        _classes_by_text(asked, state, told),
    )
    return job_runs.next_record(before, look, plan.start_time_from, listed)


def samples(record: JobRuns) -> Iterator[Sample]:
    """Jobs in the order in which they were first seen, so that a full page leaves out the newest; gone ones are not shown."""
    workspace, state = record.workspace, record.state
    shown = {job_id: job for job_id, job in state.jobs.items() if job_id not in record.hidden}
    for job_id, job in shown.items():
        yield from _of_job(job, _labels(workspace, job_id))
    for (job_id, failure), count in record.failures.items():
        if job_id in shown:
            yield FAILURES(count, **_labels(workspace, job_id), **{"class": failure})
    yield from _going_on(record, shown)
    if state.complete_to:
        yield COMPLETE_TO(state.complete_to, workspace=workspace)
    yield VANISHED(state.vanished, workspace=workspace)
    yield FORGOTTEN(state.endings_forgotten, workspace=workspace)
    # The whole time of all jobs, then phase after phase: where there is no room for all it is the phases that go.
    for phase in (WHOLE, *PHASES):
        for job_id, job in shown.items():
            if phase in job.durations:
                yield DURATION(job.durations[phase], **_labels(workspace, job_id), phase=phase)


def _going_on(record: JobRuns, shown: Iterable[int]) -> Iterator[Sample]:
    workspace, state = record.workspace, record.state
    active = {(job_id, "running"): Active(0, None) for job_id in shown} | endings.active(state)
    for (job_id, how), told in active.items():
        labels = {**_labels(workspace, job_id), "state": how}
        yield ACTIVE(told.runs, **labels)
        if told.oldest is not None:
            yield OLDEST(told.oldest, **labels)
    for (job_id, reason), count in endings.queued(state).items():
        yield QUEUED(count, **_labels(workspace, job_id), reason=reason)
    yield RUNNING_TASKS(record.running_tasks, workspace=workspace)
    yield MAX_RUNNING_TASKS(job_runs.MAX_TASKS, workspace=workspace)


def _of_job(job: Job, labels: Mapping[str, str]) -> Iterator[Sample]:
    for (outcome, attempt), count in endings.counts(job).items():
        yield ENDINGS(count, **labels, outcome=outcome, attempt=attempt)
    for trigger, count in job.starts.items():
        yield STARTS(count, **labels, trigger=trigger)
    times: tuple[tuple[Metric, float | None], ...] = ((LAST_END, job.last_end), (LAST_SUCCESS, job.last_success))
    for metric, at in times:
        if at is not None:
            yield metric(at, **labels)
    for failure, at in job.last_failures.items():
        yield LAST_FAILURE(at, **labels, **{"class": failure})


def _labels(workspace: str, job_id: int) -> dict[str, str]:
    return {"workspace": workspace, "job_id": runs.job_label(job_id)}


class _OneByOne(NamedTuple):
    """What runs/get answered: runs, ids that it does not know, ids that it gave no answer for."""

    fetched: tuple[Run, ...]
    gone: frozenset[int]
    unanswered: frozenset[int]


def _listed(asked: Asked, which: Mapping[str, bool | int]) -> tuple[Run, ...]:
    """A whole listing; raises SourceError. Without its history a run that was repaired looks like one that ended late."""
    parameters = {**which, "limit": RUNS_OF_A_PAGE, "expand_tasks": True}
    pages = asked.workspace.pages(RUNS, Run, "runs", asked.deadline, parameters=parameters)
    return tuple(run for page in pages for run in page.items)


def _swept(asked: Asked, window: Window) -> Swept | None:
    """The window's runs as far as its pages reach; None where one of them could not be had."""
    parameters = {
        "completed_only": True,
        "start_time_from": window.start_time_from,
        "start_time_to": window.start_time_to,
        "limit": RUNS_OF_A_PAGE,
        "expand_tasks": True,
    }
    pages = asked.workspace.pages(RUNS, Run, "runs", asked.deadline, parameters=parameters)
    try:
        read = list(islice(pages, window.pages))
    except SourceError as error:
        log.warning("runs are not swept", workspace=asked.settings.name, reason=error.reason.value, error=str(error))
        return None
    return Swept(window, tuple(run for page in read for run in page.items), whole=not read[-1].next_token)


def _one_by_one(asked: Asked, run_ids: Sequence[int]) -> _OneByOne:
    """What becomes of runs that have left the listings."""
    fetched: list[Run] = []
    gone: set[int] = set()
    unanswered: set[int] = set()
    for run_id in run_ids:
        try:
            parameters = {"run_id": run_id, "include_history": True}
            fetched.append(asked.workspace.get(RUN, Run, asked.deadline, parameters=parameters))
        except SourceError as error:
            (gone if _is_gone(error) else unanswered).add(run_id)
    return _OneByOne(tuple(fetched), frozenset(gone), frozenset(unanswered))


def _is_gone(error: SourceError) -> bool:
    """Whether a run is not known any more, which Databricks calls an invalid parameter."""
    unknown = error.reason is Reason.BAD_ANSWER and "INVALID_PARAMETER_VALUE" in str(error) and "does not exist" in str(error)
    return unknown or error.reason is Reason.NOT_FOUND


def _classes_by_text(asked: Asked, state: State, told: Sequence[Run]) -> dict[Key, str]:
    """Classes of the first failures whose code says little; each is asked for once, and what is over the budget is not.

    The text goes to the log, its first line and redacted, and nowhere else.
    """
    found = {}
    failed = job_runs.failed(state, told)
    unexplained = ((key, *rest) for key, rest in failed.items() if rest[1] in UNEXPLAINED and rest[2])
    for key, job, by_code, roots in islice(unexplained, MAX_OUTPUTS):
        with suppress(SourceError):
            output = asked.workspace.get(RUN_OUTPUT, Output, asked.deadline, parameters={"run_id": roots[0]})
            text = "\n".join(part for part in (output.error, output.error_trace) if part)
            by_text = failures.classify(text, None)
            found[key] = by_code if by_text == "unknown" else by_text
            log.warning(
                "job failed",
                workspace=asked.settings.name,
                job_id=runs.job_label(job),
                run_id=key[0],
                failure=found[key],
                error=failures.first_line(text),
            )
    return found


COLLECTOR = Collector("job_runs", METRICS, samples)
POLLED = Polled(COLLECTOR, EVERY, fetch, job_runs.encoded, job_runs.decoded)
