"""Tasks of jobs, from the record of their runs; shapes samples, asks nobody.

Of a job 100 tasks are told, of a workspace 5,000; one-time runs, whose tasks anybody may name, tell none.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.databricks import runs
from exporter.databricks.endings import TaskTotals
from exporter.databricks.job_runs import JobRuns
from exporter.metric import Sample, counter

TASK = ("workspace", "job_id", "task_key")
BORN_AT_ZERO = dict.fromkeys(("success", "failed"), 0)

OUTCOMES = counter(
    "databricks_task_runs_total",
    "Tasks that ended, each once an attempt of its run, however often it was retried, by outcome"
    " (runs/list tasks.status.termination_details).",
    (*TASK, "outcome"),
)
ATTEMPTS = counter(
    "databricks_task_attempts_total",
    "Attempts at tasks that were begun, retries among them (runs/list tasks.attempt_number).",
    TASK,
)
SECONDS = counter(
    "databricks_task_duration_seconds_total",
    "Time that the last attempts at tasks took (runs/list tasks.start_time, tasks.end_time).",
    TASK,
)
PHASES = counter(
    "databricks_task_phase_seconds_total",
    "Time that all attempts at tasks took, by phase: queue, setup, execution, cleanup (runs/list tasks.*_duration).",
    (*TASK, "phase"),
)
CRITICAL = counter(
    "databricks_task_critical_path_total",
    "Attempts of runs whose time was made by this task and others in a line (runs/list tasks.depends_on).",
    TASK,
)
ROOT_FAILURES = counter(
    "databricks_task_root_failures_total",
    "Failures of tasks that waited for none that had failed (runs/list tasks.depends_on).",
    TASK,
)
ITERATIONS = counter(
    "databricks_task_iterations_total",
    "Iterations of for-each tasks by outcome: succeeded, failed (runs/list tasks.for_each_task.stats).",
    (*TASK, "outcome"),
)
DROPPED = counter(
    "databricks_tasks_dropped_total",
    "Tasks that ended and are told nowhere, because others are too many (exporter).",
    ("workspace",),
)
METRICS = (OUTCOMES, ATTEMPTS, SECONDS, PHASES, CRITICAL, ROOT_FAILURES, ITERATIONS, DROPPED)


def samples(record: JobRuns) -> Iterator[Sample]:
    """Every task that has ended, in the order in which jobs and their tasks were first seen; without jobs that are gone."""
    for job_id, job in record.state.jobs.items():
        if job_id in record.hidden:
            continue
        for key, totals in job.tasks.items():
            yield from _samples(totals, workspace=record.workspace, job_id=runs.job_label(job_id), task_key=key)
    yield DROPPED(record.state.tasks_dropped, workspace=record.workspace)


def _samples(totals: TaskTotals, **labels: str) -> Iterator[Sample]:
    for outcome, count in {**BORN_AT_ZERO, **totals.outcomes}.items():
        yield OUTCOMES(count, **labels, outcome=outcome)
    yield ATTEMPTS(totals.attempts, **labels)
    yield SECONDS(totals.seconds, **labels)
    for phase, seconds in totals.phases.items():
        yield PHASES(seconds, **labels, phase=phase)
    yield CRITICAL(totals.critical, **labels)
    yield ROOT_FAILURES(totals.root_failures, **labels)
    for outcome, count in totals.iterations.items():
        yield ITERATIONS(count, **labels, outcome=outcome)


COLLECTOR = Collector("tasks", METRICS, samples)
