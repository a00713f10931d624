"""The proof: over a day of a simulated workspace, really asked, what is counted is what its ledger holds.

By itself it looks every few minutes at 2,000 runs. `RUNS=20000 pytest tests/e2e/test_runs_of_a_day.py`
looks every minute at as many as it says; SEED, which a failure tells, sets what happens.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import pytest

from exporter.collectors.databricks import job_runs as collector
from exporter.collectors.databricks import jobs
from exporter.databricks.endings import State
from exporter.databricks.job_runs import JobRuns, decoded, encoded
from exporter.databricks.runs import FAILURES, NO_JOB, ORIGINAL
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.ledger import Entry
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import SourceError
from tests.collectors.databricks.workspaces import Looking, looking

pytestmark = pytest.mark.e2e

RUNS = int(os.environ.get("RUNS", "2000"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
# Seconds between two looks, and how often one fails or the exporter begins anew.
PAUSES = (60.0,) if "RUNS" in os.environ else (60.0, 600.0, 1800.0)
FAILING, KILLED = 0.1, 0.03
DAY = 86_400.0
# A cycle of the sweep, however many runs there are, takes fewer.
MOST_LOOKS = 300 + RUNS // 20
ORDERS = {"by start": (), "by end": (Fault(Kind.ORDER_BY_END),)}
# Listings that lose or repeat an item, pages of fewer runs than were asked for.
ODD = (Kind.SMALL_PAGES, Kind.SHIFTING, Kind.VANISHING, Kind.EMPTY_TOKEN, Kind.STRINGS)
GET = "/api/2.2/jobs/runs/get"


def sizes(runs: int) -> Sizes:
    """A workspace of about so many runs a day: two thirds by schedules of 15 minutes, and by one-time runs."""
    return Sizes(
        cron_jobs=runs // 130, submitted_runs_a_day=runs // 4, wide_job_tasks=20, clusters=0, pipelines=0, warehouses=0, pools=0
    )


def look(one: Looking, seconds: float = 0.0) -> JobRuns:
    record: JobRuns = one.look("job_runs", collector.fetch, seconds)
    return record


def told(one: Looking, entry: Entry) -> int:
    """The job that an entry counts for: runs of no saved job stand together."""
    return entry.job_id if entry.job_id in one.there.world.jobs else NO_JOB


def endings(one: Looking, state: State) -> Counter[tuple[int, str, str]]:
    """What the ledger holds of endings that the state must have counted: up to when it is complete, and of later times known keys."""
    return Counter(
        (told(one, entry), {"timedout": "timed_out"}.get(str(entry.outcome), str(entry.outcome)), entry.kind)
        for entry in one.there.ledger.endings(0, one.there.world.now_ms)
        if state.since < entry.time_ms / 1000
        and (entry.time_ms / 1000 <= state.complete_to or (entry.run_id, entry.repair_id or ORIGINAL) in state.ended)
    )


def starts(one: Looking, state: State) -> Counter[tuple[int, str]]:
    """What the ledger holds of starts that the state must have counted."""
    return Counter(
        (told(one, entry), entry.trigger.lower())
        for entry in one.there.ledger.starts()
        if entry.kind == "original"
        and state.since < entry.time_ms / 1000
        and (entry.time_ms / 1000 <= state.complete_to or entry.run_id in state.started)
    )


def counted(state: State, what: str) -> Counter[tuple[int | str, ...]]:
    """What the state counted, by job and what it says of each."""
    totals: Counter[tuple[int | str, ...]] = Counter()
    for job_id, job in state.jobs.items():
        found: Iterable[tuple[tuple[str, ...], int]] = (
            job.endings.items() if what == "endings" else (((trigger,), count) for trigger, count in job.starts.items())
        )
        totals.update({(job_id, *key): count for key, count in found})
    return totals


def faults(draw: random.Random) -> list[Fault]:
    """What is odd at one look; now and then nobody may list, or nobody may see a single run."""
    found = [Fault(kind) for kind in ODD if draw.random() < 0.05]
    if draw.random() < FAILING:
        found.append(Fault(Kind.STATUS, "403", (draw.choice((GET, "")),), times=1))
    return found


@pytest.mark.parametrize("seed", [SEED])
@pytest.mark.parametrize("order", ORDERS)
def test_the_ledger_is_counted(order: str, seed: int) -> None:
    """In either order of the listings, some of them odd, some looks failing, and after kills: each counts once."""
    draw = random.Random(seed)
    with looking(seed, sizes(RUNS)) as one:
        one.look("jobs", jobs.fetch)
        record = look(one)
        stored = encoded(record)
        end = one.there.now() + DAY
        while one.there.now() < end:
            one.there.faults(*ORDERS[order], *faults(draw))
            with suppress(SourceError):
                record = look(one, draw.choice(PAUSES))
            if draw.random() < KILLED:
                # Before this look was stored, or after it.
                one.records["job_runs"] = decoded(draw.choice((stored, encoded(record))))
            stored = encoded(one.records["job_runs"])
        one.there.faults(*ORDERS[order])
        # What the newest looks have not found yet, a sweep's cycle finds; the ledger is held against what is known by then.
        for _ in range(MOST_LOOKS):
            if record.state.complete_to >= end - DAY / 4:
                break
            record = look(one, 60.0)
        state = record.state
        counts = endings(one, state)

        assert state.complete_to >= end - DAY / 4
        assert counted(state, "endings") == counts
        assert counted(state, "starts") == starts(one, state)
        assert sum(record.failures.values()) == sum(count for (_, how, _), count in counts.items() if how in FAILURES)
        assert sum(counts.values()) > 0.5 * RUNS
        assert {kind for _, _, kind in counts} == {"original", "repair"}
