"""The tasks of one run, told from its plan alone: who is to blame, who was retried, who never ran."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.endings import ENDINGS, REFUSALS, SKIPS
from exporter.demo.workspace.world.jobs import Task
from exporter.demo.workspace.world.runs import Attempt, Run

SUCCESS, FAILED, UPSTREAM_FAILED, UPSTREAM_CANCELED = "SUCCESS", "FAILED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED"
_DATA_LOSS = (
    "StreamingQueryException: [STREAM_FAILED] Query [id = 1f0a, runId = 77c2] terminated with exception: "
    "[KAFKA_DATA_LOSS.INITIAL_OFFSET_NOT_FOUND] Failed to find initial offset. SQLSTATE: 22000"
)
_EXECUTOR_LOST = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage 12.0 failed 4 times, most recent "
    "failure: ExecutorLostFailure (executor 7 exited caused by one of the running tasks) Reason: Command exited with code 137"
)
ERRORS = (
    _DATA_LOSS,
    _EXECUTOR_LOST,
    "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `sales`.`orders` cannot be found. SQLSTATE: 42P01",
    "java.lang.OutOfMemoryError: GC overhead limit exceeded",
    "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added by a concurrent update.",
    "SparkArithmeticException: [DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012",
    "ModuleNotFoundError: No module named 'pricing'",
    "ValueError: no price for the orders of batch 4711",
    "The spark driver has stopped unexpectedly and is restarting. Your notebook will be automatically reattached.",
    "com.databricks.sql.io.FileReadException: Error while reading file abfss:REDACTED_LOCAL_PART: AccessDenied",
)


@dataclass(frozen=True)
class TaskRun:
    """One attempt at a task: when it begins, executes and ends, in milliseconds; `attempt` is the index of the run's attempt.

    Before it begins it is BLOCKED; a task that never runs has no length. A retry can't be seen before it begins.
    """

    run_id: int
    task: Task
    attempt: int
    number: int
    began: int
    executing: int
    ended: int
    result: str
    code: str
    type: str

    @property
    def ran(self) -> bool:
        return self.result in {SUCCESS, FAILED, "TIMEDOUT", "CANCELED"}

    @property
    def error(self) -> str | None:
        """The first line of what a failed task says."""
        return ERRORS[self.run_id % len(ERRORS)] if self.result == FAILED else None


def seen(run: Run, at: int) -> list[TaskRun]:
    """The task runs that can be seen at a time, in the order in which they were made."""
    begun = [attempt.began <= at for attempt in run.attempts]
    first: set[tuple[int, str]] = set()
    found = []
    for one in planned(run):
        retry = (one.attempt, one.task.key) in first
        first.add((one.attempt, one.task.key))
        if begun[one.attempt] and (one.began <= at or not retry):
            found.append(one)
    return found


def planned(run: Run) -> list[TaskRun]:
    """All task runs that the run will have had."""
    found: list[TaskRun] = []
    left = run.job.tasks
    for index, attempt in enumerate(run.attempts):
        if attempt.ending in SKIPS:
            continue
        made = _attempt(run, index, attempt, left, found)
        found += made
        last = {one.task.key: one.result for one in made}
        # Who repairs what succeeded runs all of it again.
        left = tuple(task for task in left if last[task.key] != SUCCESS) or run.job.tasks
    return found


def _attempt(run: Run, index: int, attempt: Attempt, tasks: Sequence[Task], before: Sequence[TaskRun]) -> list[TaskRun]:
    draw = random.Random(run.run_id + index)
    results = _results(draw, attempt.ending, tasks)
    levels = _levels(tasks)
    depth = max(levels.values()) + 1
    tried = {one.task.key: one.number + 1 for one in before}
    places = iter(range(len(before) + 1, ids.REPAIRS))
    made: list[TaskRun] = []
    lasting: set[int] = set()
    for task in tasks:
        low, high = (attempt.executing + attempt.execution * edge // depth for edge in (levels[task.key], levels[task.key] + 1))
        if attempt.ending in REFUSALS:
            low = high = attempt.terminating
        # The first task of each level lasts as long as the level does, the others at most so long.
        if levels[task.key] in lasting:
            high -= draw.randrange((high - low) // 2 + 1)
        lasting.add(levels[task.key])
        result, *reason = results[task.key]
        number = tried.get(task.key, 0)
        for began, ended, failed in _tries(draw, task, low, high, result):
            told = (FAILED, "RUN_EXECUTION_ERROR", "CLIENT_ERROR") if failed else (result, *reason)
            # The first tasks share the run's setup; the others find the compute there.
            setup_from = attempt.began + attempt.queue if not levels[task.key] and began == low else began
            made.append(TaskRun(ids.run_id(run.number, next(places)), task, index, number, setup_from, began, ended, *told))
            number += 1
    return made


def _tries(draw: random.Random, task: Task, low: int, high: int, result: str) -> Iterator[tuple[int, int, bool]]:
    """From when to when each try of a task goes, and whether it is one that a retry follows."""
    if result not in {SUCCESS, FAILED}:
        yield (low, high, False) if result in {"TIMEDOUT", "CANCELED"} else (high, high, False)
        return
    retries = task.max_retries if result == FAILED else int(task.max_retries > 0 and chance(draw, 0.1))
    for number in range(retries + 1):
        began, ended = (low + (high - low) * edge // (retries + 1) for edge in (number, number + 1))
        yield began, ended, number < retries


def _results(draw: random.Random, ending: str, tasks: Sequence[Task]) -> Mapping[str, tuple[str, str, str]]:
    """By task its result, code and type: those to blame end as the run does, what depends on them does not run."""
    end = ENDINGS[ending]
    roots = {task.key for task in tasks if not set(task.depends_on) & {other.key for other in tasks}}
    if end.outcome == "success":
        blamed: set[str] = set()
    elif end.outcome == "disabled":
        blamed = {task.key for task in tasks}
    elif ending in REFUSALS:
        blamed = roots
    elif end.outcome == "success_with_failures":
        blamed = {tasks[0].key} if len(tasks) > 1 else set()
    else:
        # A run fails by its last tasks: one that runs whatever came before must fail itself.
        blamed = {draw.choice(tasks).key} | {task.key for task in tasks[-1:] if task.run_if == "ALL_DONE"}
    canceled = end.outcome in {"canceled", "timedout"}
    result = end.result if canceled or end.outcome == "disabled" else FAILED
    code = "RUN_EXECUTION_ERROR" if end.outcome == "success_with_failures" else end.code
    blame = "CLIENT_ERROR" if end.type == "SUCCESS" else end.type
    upstream = UPSTREAM_CANCELED if canceled else UPSTREAM_FAILED
    told: dict[str, tuple[str, str, str]] = {}
    for task in tasks:
        bad = any(told.get(key, (SUCCESS,))[0] != SUCCESS for key in task.depends_on)
        if task.key in blamed:
            told[task.key] = (result or FAILED, code, blame)
        elif bad and (task.run_if != "ALL_DONE" or ending in REFUSALS):
            told[task.key] = (upstream, code, blame)
        else:
            told[task.key] = (SUCCESS, "SUCCESS", "SUCCESS")
    return told


def _levels(tasks: Sequence[Task]) -> dict[str, int]:
    levels: dict[str, int] = {}
    for task in tasks:
        levels[task.key] = max((levels[key] + 1 for key in task.depends_on if key in levels), default=0)
    return levels
