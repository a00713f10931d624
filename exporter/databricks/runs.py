"""What an answer of the Jobs API says of a run: how far it is, which of its attempts ended, and how; pure.

Databricks tells a state twice: in `status`, and in the older `state`. This module alone knows both vocabularies: `status`
is believed, `state` fills in what it does not tell.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

import msgspec

# What Databricks calls int64; a larger number is a fault, and could not be stored.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

OTHER = "other"
NO_JOB = 0
"""In the place of a job's id: runs of no saved job (SUBMIT_RUN, WORKFLOW_RUN), whose job ids are made for one run alone."""
ORIGINAL = 0
"""In the place of a repair's id: the run as it was first started."""


class TerminationDetails(msgspec.Struct, frozen=True):
    code: str | None = None
    type: str | None = None


class QueueDetails(msgspec.Struct, frozen=True):
    code: str | None = None


class Status(msgspec.Struct, frozen=True):
    state: str | None = None
    termination_details: TerminationDetails | None = None
    queue_details: QueueDetails | None = None


class OldState(msgspec.Struct, frozen=True):
    life_cycle_state: str | None = None
    result_state: str | None = None


class Dependency(msgspec.Struct, frozen=True):
    task_key: str | None = None


class IterationStats(msgspec.Struct, frozen=True):
    succeeded_iterations: Int64 | None = None
    failed_iterations: Int64 | None = None


class ForEachStats(msgspec.Struct, frozen=True):
    task_run_stats: IterationStats | None = None


class ForEachTask(msgspec.Struct, frozen=True):
    stats: ForEachStats | None = None


class TaskRun(msgspec.Struct, frozen=True):
    """One attempt at one task of a run; times are milliseconds since 1970, durations milliseconds."""

    run_id: Int64 | None = None
    task_key: str = ""
    attempt_number: Int64 | None = None
    start_time: Int64 | None = None
    end_time: Int64 | None = None
    queue_duration: Int64 | None = None
    setup_duration: Int64 | None = None
    execution_duration: Int64 | None = None
    cleanup_duration: Int64 | None = None
    depends_on: tuple[Dependency | None, ...] | None = None
    for_each_task: ForEachTask | None = None
    status: Status | None = None
    state: OldState | None = None


class RepairHistoryItem(msgspec.Struct, frozen=True):
    """The original attempt of a run, or one repair of it; times are milliseconds since 1970."""

    id: Int64 | None = None
    type: str | None = None
    start_time: Int64 | None = None
    end_time: Int64 | None = None
    task_run_ids: tuple[Int64 | None, ...] | None = None
    status: Status | None = None
    state: OldState | None = None


class Run(msgspec.Struct, frozen=True):
    """A run as runs/list and runs/get tell it; times are milliseconds since 1970, durations milliseconds.

    To be asked for with its history (expand_tasks, include_history): without one, a run that was repaired looks like
    one that ended once, and late. Numbers may come as texts: to be decoded with `strict=False`.
    """

    run_id: Int64
    job_id: Int64 | None = None
    run_type: str | None = None
    trigger: str | None = None
    start_time: Int64 | None = None
    end_time: Int64 | None = None
    queue_duration: Int64 | None = None
    setup_duration: Int64 | None = None
    execution_duration: Int64 | None = None
    cleanup_duration: Int64 | None = None
    status: Status | None = None
    state: OldState | None = None
    repair_history: tuple[RepairHistoryItem | None, ...] | None = None
    tasks: tuple[TaskRun | None, ...] | None = None


Attempt: TypeAlias = Run | RepairHistoryItem | TaskRun


class Ending(NamedTuple):
    """One attempt of a run that ended: the original, or a repair; from `began` to `at`, seconds since 1970.

    `failure` is the class of the failure, None where it is none.
    """

    run_id: int
    repair_id: int
    began: float
    at: float
    outcome: str
    failure: str | None


_CODES = {
    "SUCCESS": "success",
    "SUCCESS_WITH_FAILURES": "success_with_failures",
    "USER_CANCELED": "canceled",
    "CANCELED": "canceled",
    "SKIPPED": "skipped",
    "MAX_CONCURRENT_RUNS_EXCEEDED": "skipped",
    "MAX_JOB_QUEUE_SIZE_EXCEEDED": "skipped",
    "DISABLED": "disabled",
    "INTERNAL_ERROR": "internal_error",
}
_RESULTS = {
    "SUCCESS": "success",
    "SUCCESS_WITH_FAILURES": "success_with_failures",
    "FAILED": "failed",
    "TIMEDOUT": "timed_out",
    "CANCELED": "canceled",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "skipped",
    "EXCLUDED": "excluded",
    "UPSTREAM_FAILED": "upstream_failed",
    "UPSTREAM_CANCELED": "upstream_canceled",
    "DISABLED": "disabled",
}
# Where a run could not be started or went wrong: the class of the failure by code.
_FAILURES = {
    "BREAKING_CHANGE": "expected_restart",
    "BUDGET_POLICY_LIMIT_EXCEEDED": "quota",
    "CLOUD_FAILURE": "cloud",
    "CLUSTER_ERROR": "cluster",
    "CLUSTER_REQUEST_LIMIT_EXCEEDED": "throttling",
    "CLUSTER_TERMINATED_BY_USER": "canceled",
    "DRIVER_ERROR": "driver",
    "FEATURE_DISABLED": "config",
    "INVALID_CLUSTER_REQUEST": "config",
    "INVALID_RUN_CONFIGURATION": "config",
    "LIBRARY_INSTALLATION_ERROR": "library",
    "MAX_SPARK_CONTEXTS_EXCEEDED": "throttling",
    "REPOSITORY_CHECKOUT_FAILED": "repository",
    "RESOURCE_NOT_FOUND": "not_found",
    "RUN_EXECUTION_ERROR": "user_code",
    "STORAGE_ACCESS_ERROR": "storage",
    "UNAUTHORIZED_ERROR": "auth",
    "WORKSPACE_RUN_LIMIT_EXCEEDED": "throttling",
}
_FAILURES_OF_OUTCOMES = {"timed_out": "timeout", "internal_error": "internal", "upstream_failed": "upstream"}
_FAILURES_OF_TYPES = {"CLOUD_FAILURE": "cloud", "INTERNAL_ERROR": "internal"}

OUTCOMES = tuple(sorted({*_CODES.values(), *_RESULTS.values(), OTHER}))
"""How an attempt, of a run or a task, can end."""
SUCCESSES = frozenset({"success", "success_with_failures"})
FAILURES = frozenset({"failed", "timed_out", "internal_error", "upstream_failed"})
FAILURE_CLASSES = tuple(
    sorted({*_FAILURES.values(), *_FAILURES_OF_OUTCOMES.values(), *_FAILURES_OF_TYPES.values(), "unknown"}),
)
"""What `Ending.failure` can be by code and type alone."""
# What only the older vocabulary tells apart: `status` calls it canceled, skipped or failed.
_FINER = frozenset({"timed_out", "excluded", "upstream_failed", "upstream_canceled", "disabled"})

_STATES = {word: word.lower() for word in ("BLOCKED", "PENDING", "QUEUED", "RUNNING", "TERMINATING", "WAITING")}
_LIFE_CYCLES = {**_STATES, "WAITING_FOR_RETRY": "waiting"}
_OVER = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})
STATES = (*sorted(_STATES.values()), OTHER)
"""How far an attempt can be that has not ended."""
_TRIGGERS = {
    word: word.lower()
    for word in (
        "CONTINUOUS",
        "CONTINUOUS_RESTART",
        "FILE_ARRIVAL",
        "JOB_COMPLETION",
        "MODEL",
        "ONE_TIME",
        "PERIODIC",
        "RETRY",
        "RUN_JOB_TASK",
        "TABLE",
    )
}
TRIGGERS = (*_TRIGGERS.values(), OTHER)
"""What can have started a run."""
_QUEUE_REASONS = {
    word: word.lower()
    for word in ("ACTIVE_RUNS_LIMIT_REACHED", "ACTIVE_RUN_JOB_TASKS_LIMIT_REACHED", "MAX_CONCURRENT_RUNS_REACHED")
}
QUEUE_REASONS = (*_QUEUE_REASONS.values(), OTHER)
"""What a run can wait for in the queue."""


def job(run: Run) -> int:
    """The id of the saved job that a run belongs to, else NO_JOB."""
    return NO_JOB if run.run_type in ("SUBMIT_RUN", "WORKFLOW_RUN") else run.job_id or NO_JOB


def job_label(job: int) -> str:
    """A job's id as a label; `submit` for all runs of no saved job together."""
    return str(job) if job != NO_JOB else "submit"


def trigger(run: Run) -> str:
    """What started a run: one of TRIGGERS."""
    return _TRIGGERS.get(run.trigger or "", OTHER)


def queue_reason(attempt: Attempt) -> str | None:
    """What a queued attempt waits for, one of QUEUE_REASONS; None where it is not queued."""
    if state(attempt) != "queued":
        return None
    details = attempt.status.queue_details if attempt.status is not None else None
    return _QUEUE_REASONS.get((details.code if details is not None else None) or "", OTHER)


def state(attempt: Attempt) -> str | None:
    """How far an attempt is that has not ended, one of STATES; None once it is over.

    A word that is not known says nothing: then an end that is told decides.
    """
    told = attempt.status.state if attempt.status is not None else None
    if told == "TERMINATED":
        return None
    if told in _STATES:
        return _STATES[told]
    old = attempt.state.life_cycle_state if attempt.state is not None else None
    if old in _OVER:
        return None
    if old in _LIFE_CYCLES:
        return _LIFE_CYCLES[old]
    return None if attempt.end_time else OTHER


def outcome(attempt: Attempt) -> str:
    """How an attempt that is over has ended: one of OUTCOMES."""
    details = _details(attempt)
    old = attempt.state if attempt.state is not None else OldState()
    result = _RESULTS.get(old.result_state or "", "skipped" if old.life_cycle_state == "SKIPPED" else "")
    told = _CODES.get(details.code or "") or ("failed" if details.code in _FAILURES else "")
    if told and not (result in _FINER and told not in SUCCESSES):
        return told
    return result or ("internal_error" if old.life_cycle_state == "INTERNAL_ERROR" else OTHER)


def endings(run: Run) -> tuple[Ending, ...]:
    """Every attempt of a run that has ended, as its history tells it, else the run itself as its original.

    The history counts even while the run is active again: a repair may begin and end between two looks.
    """
    history = [item for item in run.repair_history or () if item is not None]
    attempts: list[tuple[int, Attempt]] = [(_repair(item), item) for item in history] or [(ORIGINAL, run)]
    return tuple(
        Ending(run.run_id, repair_id, started_at(attempt) or at, at, how, _failure(attempt, how))
        for repair_id, attempt in attempts
        if state(attempt) is None
        for how in (outcome(attempt),)
        for at in (_ended_at(attempt, how),)
        if at is not None
    )


def tasks(run: Run, repair_id: int) -> tuple[TaskRun, ...]:
    """The task runs of one attempt: those that its item in the history names, else those that began in its time.

    A listing tells the first 100 task runs of a run, no more.
    """
    all_tasks = tuple(task for task in run.tasks or () if task is not None)
    items = {_repair(item): item for item in run.repair_history or () if item is not None}
    if repair_id not in items:
        return all_tasks
    if (named := items[repair_id].task_run_ids) is not None:
        return tuple(task for task in all_tasks if task.run_id in named)
    if len(items) == 1:
        return all_tasks
    low, high = items[repair_id].start_time or 0, items[repair_id].end_time or 0
    return tuple(task for task in all_tasks if low <= (task.start_time or 0) <= high)


def started_at(attempt: Attempt) -> float | None:
    """When an attempt began, seconds since 1970; None where that is not told."""
    return _seconds(attempt.start_time)


def _failure(attempt: Attempt, how: str) -> str | None:
    if how not in FAILURES:
        return None
    details = _details(attempt)
    # The outcome is finer than the code: a run that ran out of time is told as canceled.
    if how in _FAILURES_OF_OUTCOMES:
        return _FAILURES_OF_OUTCOMES[how]
    return _FAILURES.get(details.code or "") or _FAILURES_OF_TYPES.get(details.type or "", "unknown")


def _details(attempt: Attempt) -> TerminationDetails:
    details = attempt.status.termination_details if attempt.status is not None else None
    return details if details is not None else TerminationDetails()


def _repair(item: RepairHistoryItem) -> int:
    return ORIGINAL if item.type == "ORIGINAL" else item.id or ORIGINAL


def _ended_at(attempt: Attempt, how: str) -> float | None:
    # What was skipped never ran, and may tell its start alone. Whatever else tells no end is not told whole yet.
    return _seconds(attempt.end_time) or (started_at(attempt) if how == "skipped" else None)


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None
