"""The jobs of the workspace: drawn once from the seed, never changed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.schedules import ALL_DAYS, WORKDAYS, Daily, Every, Schedule
from exporter.demo.workspace.world.sizes import DAY, Sizes

CRON, CONTINUOUS, FILE_ARRIVAL, CHILD, SUBMITTED = "cron", "continuous", "file_arrival", "child", "submitted"
JOB_CLUSTER, SERVERLESS, ALL_PURPOSE = "job_cluster", "serverless", "all_purpose"
# By their numbers, so that the smallest workspaces have them too.
WIDE, LEGACY, SLOW_OF_8 = 1, 3, 5
# Of the runs of continuous jobs, at most and in seconds: some come down within minutes, others live for weeks.
LENGTHS = (600, 8 * 3600, 3 * 86_400, 30 * 86_400)
ZONES = ("UTC", "Europe/Berlin", "America/New_York")


@dataclass(frozen=True)
class Task:
    """One node of a job's graph; `iterations` makes it a for-each task."""

    key: str
    depends_on: tuple[str, ...] = ()
    run_if: str = "ALL_SUCCESS"
    max_retries: int = 0
    iterations: int = 0


@dataclass(frozen=True)
class Job:
    """What its settings say, and how its runs tend to go: a typical length in seconds and the share that ends badly."""

    job_id: int
    name: str
    kind: str
    tasks: tuple[Task, ...]
    created_ms: int
    compute: str
    typical_seconds: float
    bad_share: float
    schedule: Schedule | None = None
    paused: bool = False
    max_concurrent_runs: int = 1
    queue: bool = False
    timeout_seconds: int = 0
    health_seconds: int = 0
    legacy: bool = False
    child_id: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


def job_id(number: int) -> int:
    """The id of the job with this number; no two numbers below 10**15 share one."""
    return 100_000_000_000_000 + number * 7_654_321_987 % 899_999_999_999_983


def drawn(seed: int, sizes: Sizes, now_ms: int) -> list[Job]:
    """The jobs of a workspace: every kind there is, the wide one and the old-format one first among the cron jobs."""
    draw = random.Random(f"{seed}/jobs")
    kinds = [CRON] * sizes.cron_jobs + [CONTINUOUS] * sizes.continuous_jobs + [FILE_ARRIVAL] * sizes.file_arrival_jobs
    jobs = [_job(draw, number, kind, sizes, now_ms) for number, kind in enumerate(kinds, 1)]
    jobs += [_paused(draw, len(jobs) + number, sizes, now_ms) for number in range(1, sizes.paused_jobs + 1)]
    if sizes.cron_jobs > 1:
        # The second cron job's runs start a run of a job that nothing else starts.
        child = Job(
            job_id(len(jobs) + 1), "reload lookup tables", CHILD, (Task("reload"),), now_ms - 90 * DAY, SERVERLESS, 40, 0.1
        )
        jobs = [*jobs, child]
        jobs[1] = replace(jobs[1], child_id=child.job_id)
    return jobs


def submitted(number: int, now_ms: int) -> Job:
    """What a one-time run brings along in the place of a saved job: an id that no list of jobs shows."""
    return Job(
        job_id(10_000_000 + number),
        f"adhoc {number}",
        SUBMITTED,
        (Task("main"),),
        now_ms,
        SERVERLESS,
        120,
        0.2,
        max_concurrent_runs=9,
    )


def _job(draw: random.Random, number: int, kind: str, sizes: Sizes, now_ms: int) -> Job:
    subject = draw.choice(("orders", "clicks", "billing", "sensors", "ledger", "stock", "events", "claims"))
    verb = draw.choice(("ingest", "publish", "merge", "export", "rebuild", "check"))
    continuous = kind == CONTINUOUS
    schedule = _schedule(draw, number, sizes) if kind == CRON else None
    period = 86_400 if isinstance(schedule, Daily) else sizes.every_minutes * 60
    # A few jobs take longer than their period: they queue, or their runs are skipped.
    slow = kind == CRON and number % 8 == SLOW_OF_8
    typical = period * 1.3 if slow else min(period * draw.uniform(0.1, 0.5), 3600.0)
    if continuous:
        typical = LENGTHS[number % len(LENGTHS)]
    wide, legacy = kind == CRON and number == WIDE, kind == CRON and number == LEGACY
    tasks = _wide(sizes.wide_job_tasks) if wide else (Task("main", max_retries=1),) if legacy else _tasks(draw)
    return Job(
        job_id=job_id(number),
        name=f"{verb} {subject} {number}",
        kind=kind,
        tasks=tasks,
        created_ms=now_ms - draw.randrange(40, 400) * DAY,
        compute=draw.choice((JOB_CLUSTER, SERVERLESS, ALL_PURPOSE) if sizes.clusters else (JOB_CLUSTER, SERVERLESS)),
        typical_seconds=typical,
        bad_share=draw.choice((0.0, 0.02, 0.05, 0.1, 0.5) if not continuous else (0.3, 0.9)),
        schedule=schedule,
        max_concurrent_runs=1 if continuous else draw.choice((1, 1, 1, 3)),
        queue=not continuous and (number == SLOW_OF_8 or chance(draw, 0.5)),
        timeout_seconds=int(typical * 1.6) if not continuous and chance(draw, 0.3) else 0,
        health_seconds=int(typical * 1.2) if chance(draw, 0.3) else 0,
        legacy=legacy,
        tags={"team": draw.choice(("core", "growth", "finance")), "env": draw.choice(("prod", "test"))},
    )


def _schedule(draw: random.Random, number: int, sizes: Sizes) -> Schedule:
    zone = draw.choice(ZONES)
    if number % 6 == 0:
        weekdays = WORKDAYS if chance(draw, 0.5) else ALL_DAYS
        return Daily(draw.randrange(4, 23), draw.randrange(60), zone, weekdays)
    return Every(sizes.every_minutes, draw.randrange(sizes.every_minutes), zone)


def _paused(draw: random.Random, number: int, sizes: Sizes, now_ms: int) -> Job:
    job = _job(draw, number, CRON, sizes, now_ms)
    return replace(job, paused=True, tasks=(Task("main"),), legacy=False)


def _tasks(draw: random.Random) -> tuple[Task, ...]:
    """A single task, a line, or a fan that is joined, published, and swept up whatever came before."""
    shape = draw.choice(("single", "line", "for_each", "fan"))
    if shape == "single":
        return (Task("main", max_retries=draw.randrange(3)),)
    if shape == "line":
        return (Task("extract"), Task("load", ("extract",), max_retries=2), Task("report", ("load",)))
    sources = tuple(f"ingest_{letter}" for letter in "abcdef"[: draw.randrange(2, 7)])
    fan = tuple(Task(key, max_retries=draw.randrange(2)) for key in sources)
    joined = Task("each_region", sources, iterations=12) if shape == "for_each" else Task("join", sources, "NONE_FAILED")
    return (*fan, joined, Task("publish", (joined.key,)), Task("sweep", ("publish",), "ALL_DONE"))


def _wide(tasks: int) -> tuple[Task, ...]:
    first = Task("prepare")
    parts = tuple(Task(f"part_{number:03}", ("prepare",), max_retries=number % 2) for number in range(max(tasks - 2, 1)))
    return (first, *parts, Task("collect", tuple(part.key for part in parts), "ALL_DONE"))
