"""Runs: each is planned whole at its start, repairs and ending included; what is seen of it is a function of the time."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from exporter.demo.workspace.world import endings, ids
from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.endings import ENDINGS, REFUSALS, SKIPS
from exporter.demo.workspace.world.jobs import CONTINUOUS, SERVERLESS, SUBMITTED, Job
from exporter.demo.workspace.world.sizes import SECOND

QUEUED, PENDING, RUNNING, TERMINATING, TERMINATED = "QUEUED", "PENDING", "RUNNING", "TERMINATING", "TERMINATED"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The original, or one repair, of a run: when it begins, and how long each of its phases takes; all in milliseconds."""

    began: int
    queue: int
    setup: int
    execution: int
    cleanup: int
    ending: str

    @property
    def executing(self) -> int:
        return self.began + self.queue + self.setup

    @property
    def terminating(self) -> int:
        return self.executing + self.execution

    @property
    def ended(self) -> int:
        return self.terminating + self.cleanup

    def phase(self, at: int) -> str:
        """The state at a time from its beginning on, in the words of a run's status."""
        if at >= self.ended:
            return TERMINATED
        if at >= self.terminating:
            return TERMINATING
        if at >= self.executing:
            return RUNNING
        return PENDING if at >= self.began + self.queue else QUEUED


@dataclass(frozen=True, slots=True)
class Run:
    """A run and all that will become of it; `number` counts the runs of the workspace, `number_in_job` those of its job."""

    number: int
    number_in_job: int
    job: Job
    trigger: str
    attempts: tuple[Attempt, ...]
    retry: int = 0
    original_attempt_run_id: int | None = None
    started_by: int | None = None

    @property
    def run_id(self) -> int:
        return ids.run_id(self.number)

    @property
    def began(self) -> int:
        return self.attempts[0].began

    @property
    def run_type(self) -> str:
        return "SUBMIT_RUN" if self.job.kind == SUBMITTED else "JOB_RUN"

    def repair_id(self, index: int) -> int | None:
        """The id of the attempt at this index; the original has none."""
        return ids.run_id(self.number, ids.REPAIRS + index) if index else None

    def so_far(self, at: int) -> tuple[Attempt, ...]:
        """The attempts that have begun by then, the original at least."""
        return tuple(attempt for attempt in self.attempts if attempt.began <= at) or self.attempts[:1]


def attempt(job: Job, began: int, queue: int, execution: int, ending: str) -> Attempt:
    """An attempt whose other phases fit its job and its ending: a skipped one has none, a refused one never executes."""
    if ending in SKIPS:
        return Attempt(began, 0, 0, 0, 0, ending)
    setup = 3 * SECOND if job.compute == SERVERLESS else 95 * SECOND
    if ending in REFUSALS:
        return Attempt(began, queue, setup, 0, SECOND, ending)
    return Attempt(began, queue, setup, execution, 2 * SECOND, ending)


def planned(draw: random.Random, job: Job, began: int, free: int) -> tuple[Attempt, ...]:
    """The attempts of a run that starts at `began`, where the job may run one more from `free` on (both milliseconds)."""
    queue = max(free - began, 0)
    if queue and not job.queue:
        return (attempt(job, began, 0, 0, "max_concurrent"),)
    if queue > job.typical_seconds * 3 * SECOND:
        return (attempt(job, began, 0, 0, "max_queue"),)
    execution = _execution(draw, job)
    ending = endings.drawn(draw, job.bad_share)
    # Whether a run failed or succeeded with failures is told by its last task, one that runs whatever came before.
    if ending == "success_with_failures" and job.tasks[-1].run_if != "ALL_DONE":
        ending = "failed"
    if ending in {"failed", "canceled_user", "canceled", "driver_error"}:
        execution = int(execution * draw.random()) + SECOND
    if job.timeout_seconds and execution > job.timeout_seconds * SECOND:
        execution, ending = job.timeout_seconds * SECOND, "timedout"
    attempts = [attempt(job, began, queue, execution, ending)]
    while _repaired(draw, job, attempts[-1]):
        # Some repairs take a few seconds: between two polls they begin and end.
        short = chance(draw, 0.5)
        execution = draw.randrange(2, 20) * SECOND if short else _execution(draw, job)
        began = attempts[-1].ended + draw.randrange(5, 1800) * SECOND
        repair = attempt(job, began, 0, execution, "success" if chance(draw, 0.7) else "failed")
        attempts.append(replace(repair, setup=SECOND, cleanup=SECOND) if short else repair)
    return tuple(attempts)


def _repaired(draw: random.Random, job: Job, last: Attempt) -> bool:
    if job.kind == CONTINUOUS or job.legacy or ENDINGS[last.ending].outcome != "failed":
        return False
    return chance(draw, 0.35)


def _execution(draw: random.Random, job: Job) -> int:
    if job.kind == CONTINUOUS:
        return int(job.typical_seconds * draw.uniform(0.2, 1.0) * SECOND)
    return max(int(job.typical_seconds * draw.lognormvariate(0, 0.35) * SECOND), SECOND)
