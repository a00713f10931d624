"""How much of everything a simulated workspace holds."""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True)
class Sizes:
    """Numbers of objects; `every_minutes` (a divisor of 60) is how often most cron jobs run, so it sets the runs of a day."""

    cron_jobs: int = 24
    every_minutes: int = 15
    continuous_jobs: int = 4
    file_arrival_jobs: int = 2
    paused_jobs: int = 2
    submitted_runs_a_day: int = 24
    wide_job_tasks: int = 130
    clusters: int = 5
    pipelines: int = 4
    warehouses: int = 3
    pools: int = 2
    history_hours: float = 6.0
