"""Endings of runs are counted exactly by an exporter that is killed again and again: against the simulated workspace's ledger.

SEED, which stands in the test's name, sets what happens in the workspace and when the exporter dies.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from exporter.databricks.endings import State
from exporter.databricks.job_runs import decoded
from exporter.databricks.runs import NO_JOB, ORIGINAL
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world.sizes import Sizes
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
BEGIN = 1_767_600_000.0
SPEED = 600.0
KILLS = 6
SIZES = Sizes(cron_jobs=60, every_minutes=5, wide_job_tasks=20, clusters=0, pipelines=0, warehouses=0, pools=0)


@pytest.mark.parametrize("seed", [SEED])
def test_kills(seed: int, tmp_path: Path) -> None:
    """After six kills, four hours of runs later, each ending that is known is counted once, and none that ended before."""
    draw, file = random.Random(seed), tmp_path / "prod.job_runs.state"
    wall = time.time()
    with simulated(seed, SIZES, begin=BEGIN, speed=SPEED, clock=time.time) as workspace:
        command = [
            sys.executable,
            "-m",
            "tests.e2e.polling_process",
            workspace.url,
            str(tmp_path),
            str(BEGIN),
            str(wall),
            str(SPEED),
        ]
        looks = 0
        for _ in range(KILLS):
            with subprocess.Popen(command) as exporter:
                before = file.stat().st_mtime_ns if file.exists() else 0
                eventually(lambda: file.exists() and file.stat().st_mtime_ns != before, "it has stored a look", within=30)  # noqa: B023
                looks += 1
                time.sleep(draw.uniform(0.0, 4.0))  # the moment of a death is what is random here
                exporter.kill()
        state = decoded(file.read_bytes()).state
        assert looks == KILLS
        assert counted(state) == in_ledger(workspace, state)
        assert starts(state) == started(workspace, state)
        assert sum(counted(state).values()) > 500
        assert {attempt for _, _, attempt in counted(state)} == {"original", "repair"}


def job_of(workspace: Workspace, job_id: int) -> int:
    """Runs of no saved job stand together."""
    return job_id if job_id in workspace.world.jobs else NO_JOB


def in_ledger(workspace: Workspace, state: State) -> Counter[tuple[int, str, str]]:
    """The ledger's endings after the first look that a look has found, or must have."""
    return Counter(
        (job_of(workspace, one.job_id), str(one.outcome).replace("timedout", "timed_out"), one.kind)
        for one in workspace.ledger.endings(0, workspace.world.now_ms)
        if one.time_ms / 1000 > state.since
        and (one.time_ms / 1000 <= state.complete_to or (one.run_id, one.repair_id or ORIGINAL) in state.ended)
    )


def started(workspace: Workspace, state: State) -> Counter[tuple[int, str]]:
    """The ledger's starts, likewise."""
    return Counter(
        (job_of(workspace, one.job_id), one.trigger.lower())
        for one in workspace.ledger.starts()
        if one.kind == "original"
        and one.time_ms / 1000 > state.since
        and (one.time_ms / 1000 <= state.complete_to or one.run_id in state.started)
    )


def counted(state: State) -> Counter[tuple[int, str, str]]:
    return Counter({(job_id, *key): count for job_id, job in state.jobs.items() for key, count in job.endings.items() if count})


def starts(state: State) -> Counter[tuple[int, str]]:
    return Counter(
        {(job_id, trigger): count for job_id, job in state.jobs.items() for trigger, count in job.starts.items() if count}
    )
