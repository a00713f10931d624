"""What the tasks of one attempt of a run tell: final attempts, time by phase, the critical path, who failed first; pure.

The critical path is walked back from the task that ended last; before each task comes the dependency that ended last
before it began. Along it, waiting, failed attempts and running sum to the time of the whole attempt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.databricks.runs import FAILURES, TaskRun, outcome, started_at, state

QUEUE = "queue"
PHASES = (QUEUE, "setup", "execution", "cleanup")
SUCCEEDED, FAILED = "succeeded", "failed"
# Far above what a for-each task may have; their sum must still be a number that can be stored.
MAX_ITERATIONS = 1_000_000


class Task(NamedTuple):
    """One task of an attempt, as its last attempt left it.

    `attempts` counts those that were begun; `phases` are seconds by PHASES over all of them. `iterations` of a for-each
    task are counted by `succeeded` and `failed`. `root_failure`: it failed, and nothing that it waited for had failed.
    """

    key: str
    run_id: int | None
    outcome: str
    attempts: int
    seconds: float
    phases: Mapping[str, float]
    iterations: Mapping[str, int]
    root_failure: bool
    critical: bool


class Step(NamedTuple):
    """One task of the critical path, in seconds: it waited, failed attempts took their time, then the last one ran.

    `phases` are what the last attempt tells of itself, in the order of PHASES.
    """

    key: str
    waited: float
    retried: float
    ran: float
    phases: tuple[float, ...]


class CriticalPath(NamedTuple):
    """The steps in the order of time, and the seconds from the end of the last one to the end of the attempt."""

    steps: tuple[Step, ...]
    rest: float


def read_tasks(task_runs: Sequence[TaskRun], path: CriticalPath) -> tuple[Task, ...]:
    """The tasks of an attempt that has this critical path, in the order of their keys.

    Tasks that have not ended, as far as was told, are left out.
    """
    final = _final(task_runs)
    attempts: dict[str, list[TaskRun]] = defaultdict(list)
    for one in task_runs:
        attempts[one.task_key].append(one)
    outcomes = {key: outcome(task) for key, task in final.items()}
    critical = {step.key for step in path.steps}
    return tuple(
        Task(
            key,
            task.run_id,
            outcomes[key],
            sum(bool(one.start_time) for one in attempts[key]),
            _ran(task),
            _by_phase(_phases(one) for one in attempts[key]),
            _iterations(task),
            outcomes[key] in FAILURES and not any(outcomes.get(other) in FAILURES for other in _dependencies(task)),
            key in critical,
        )
        for key, task in sorted(final.items())
    )


def critical_path(task_runs: Sequence[TaskRun], began: float, ended: float) -> CriticalPath:
    """The chain of tasks that made an attempt last from `began` to `ended` (seconds since 1970) as long as it did.

    Tasks that never ran lead from one step to another, but are none. Where the times tell the truth, all seconds of the
    path sum to `ended - began`; no part is ever below 0.
    """
    final = _final(task_runs)
    path: list[TaskRun] = []
    task = max(final.values(), key=_order, default=None)
    seen: set[str] = set()
    while task is not None:
        seen.add(task.task_key)
        if _ran(task) > 0:
            path.append(task)
        # One that went on while the task ran already (run_if) did not hold it back.
        latest = (task.start_time if _ran(task) > 0 else task.end_time) or 0
        before = (final[key] for key in _dependencies(task) if key in final and key not in seen)
        task = max((one for one in before if (one.end_time or 0) <= latest), key=_order, default=None)
    steps = []
    reached = began
    for task in reversed(path):
        start, end = (task.start_time or 0) / 1000, (task.end_time or 0) / 1000
        gap = max(0.0, start - reached)
        earlier = [one for one in task_runs if one.task_key == task.task_key and one is not task]
        retried = min(gap, sum(_ran(one) for one in earlier if (one.start_time or 0) / 1000 >= reached))
        steps.append(Step(task.task_key, gap - retried, retried, end - start, _phases(task)))
        reached = max(reached, end)
    return CriticalPath(tuple(steps), max(0.0, ended - reached))


def path_phases(path: CriticalPath) -> dict[str, float]:
    """Seconds by PHASES along the critical path: what a run of several tasks does not tell itself."""
    return _by_phase(step.phases for step in path.steps)


def _final(task_runs: Sequence[TaskRun]) -> dict[str, TaskRun]:
    """The last attempt at each task, where it is over."""
    final: dict[str, TaskRun] = {}
    for one in sorted(task_runs, key=lambda one: (one.attempt_number or 0, one.start_time or 0)):
        final[one.task_key] = one
    return {key: one for key, one in final.items() if state(one) is None}


def _order(task: TaskRun) -> tuple[int, bool, str]:
    # Of tasks that end together, one that ran: the others only learned that they need not.
    return (task.end_time or 0, _ran(task) > 0, task.task_key)


def _ran(task: TaskRun) -> float:
    began = started_at(task)
    return max(0.0, (task.end_time or 0) / 1000 - began) if began is not None else 0.0


def _phases(task: TaskRun) -> tuple[float, ...]:
    told = (task.queue_duration, task.setup_duration, task.execution_duration, task.cleanup_duration)
    return tuple(max(0, duration or 0) / 1000 for duration in told)


def _by_phase(each: Iterable[tuple[float, ...]]) -> dict[str, float]:
    return dict(zip(PHASES, map(sum, zip((0.0,) * len(PHASES), *each, strict=True)), strict=True))


def _dependencies(task: TaskRun) -> list[str]:
    return [one.task_key for one in task.depends_on or () if one is not None and one.task_key]


def _iterations(task: TaskRun) -> dict[str, int]:
    stats = task.for_each_task.stats if task.for_each_task is not None else None
    counts = stats.task_run_stats if stats is not None else None
    if counts is None:
        return {}
    told = {SUCCEEDED: counts.succeeded_iterations, FAILED: counts.failed_iterations}
    return {how: min(max(0, count or 0), MAX_ITERATIONS) for how, count in told.items()}
