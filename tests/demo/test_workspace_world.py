"""exporter/demo/workspace/world and ledger.py: what happens is written down, the same for the same seed, and quickly made."""

import io
import json
from typing import Any

import pytest

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.ledger import Entry, Ledger
from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.run_index import Asked
from exporter.demo.workspace.world.schedules import WORKDAYS, Daily, Every
from exporter.demo.workspace.world.sizes import DAY, HOUR, MINUTE, Sizes
from exporter.demo.workspace.world.world import BEGIN, World
from tests.demo.workspace_client import QUIET, RUN, RUNS, SMALL, by, listed, told, workspace

Found = tuple[int, int, str, int | None, str, int]


def read(one: Workspace, path_query: dict[str, Any]) -> set[Found]:
    """All endings that a patient reader finds: every run that is listed, with its history."""
    found: set[Found] = set()
    for run in listed(one, RUNS, "runs", **path_query):
        whole = told(one, RUN, run_id=run["run_id"], include_history="true")
        for item in whole["repair_history"]:
            if item["status"]["state"] == "TERMINATED":
                code = item["status"]["termination_details"]["code"]
                found.add((run["job_id"], run["run_id"], item["type"].lower(), item.get("id"), code, item["end_time"]))
    return found


def entered(one: Workspace) -> list[Found]:
    """All endings in the ledger that have come."""
    entries = one.ledger.endings(0, one.world.now_ms)
    return [(e.job_id, e.run_id, e.kind, e.repair_id, str(e.code), e.time_ms) for e in entries]


@pytest.mark.parametrize("order", [(), (Fault(Kind.ORDER_BY_END),)])
def test_ledger(order: tuple[Fault, ...]) -> None:
    """What the ledger holds is what a patient reader finds, by either order of the list, to the last repair."""
    one = workspace(2)
    one.advance(6 * 3600)
    with by(one, *order):
        found = read(one, {})

    assert len(entered(one)) == len(found) > 200
    assert set(entered(one)) == found
    assert {ending[2] for ending in found} == {"original", "repair"}


def test_before_it_is_seen() -> None:
    """Whenever an answer tells how a run ends, the ledger has it already; and each run that is listed has its start there."""
    one = workspace(3)
    for _ in range(60):
        one.advance(17)
        endings = {(entry.run_id, entry.code) for entry in one.ledger.endings(0, 1 << 62)}
        starts = {entry.run_id for entry in one.ledger.starts()}
        for run in told(one, RUNS, limit=25)["runs"]:
            assert run["run_id"] in starts
            if details := run["status"].get("termination_details"):
                assert (run["run_id"], details["code"]) in endings


def test_repair_between_polls() -> None:
    """A repair that begins and ends between two looks stands in the ledger, and in the run's history."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)), "failed", 5.0, [(2.0, 3.0, "failed"), (2.0, 3.0, "success")])
    one.advance(3600)

    assert [(e.kind, e.repair_id, e.outcome) for e in one.ledger.endings(0, one.world.now_ms) if e.run_id == run.run_id] == [
        ("original", None, "failed"),
        ("repair", run.repair_id(1), "failed"),
        ("repair", run.repair_id(2), "success"),
    ]
    assert set(entered(one)) == read(one, {})


def test_file() -> None:
    """The ledger's file has each entry as a line of JSON, all of them there after each step of time."""
    file = io.StringIO()
    world = World(4, SMALL, BEGIN, Ledger(file))
    world.advance(3600)

    assert [Entry(**json.loads(line)) for line in file.getvalue().splitlines()] == world.ledger.entries != []


def test_seed() -> None:
    """The same seed makes the same world, however its time is cut; another seed makes another."""
    at_once, in_steps, other = World(5, SMALL), World(5, SMALL), World(6, SMALL)
    at_once.advance(7200)
    other.advance(7200)
    for _ in range(7200 * 4):
        in_steps.advance(0.25)

    assert in_steps.now_ms == at_once.now_ms
    assert in_steps.ledger.entries == at_once.ledger.entries != other.ledger.entries
    assert (in_steps.clusters, in_steps.cluster_events) == (at_once.clusters, at_once.cluster_events)
    assert (in_steps.pipelines, in_steps.warehouses, in_steps.pools) == (at_once.pipelines, at_once.warehouses, at_once.pools)


def test_small_steps() -> None:
    """Steps of less than a millisecond add up."""
    world = World(5, QUIET)
    for _ in range(2000):
        world.advance(0.0005)

    assert world.now_ms == world.begin_ms + 1000


def test_variety() -> None:
    """A day has every outcome and trigger, repairs and their failures, runs of weeks, and job clusters that broke."""
    world = World(7, Sizes(cron_jobs=60))
    world.advance(86400)
    endings = list(world.ledger.endings(0, world.now_ms))
    oldest = min(run.began for _, run in world.runs.by_start(Asked(active=True), world.now_ms))

    assert {(e.kind, e.outcome) for e in endings} >= {
        *(
            ("original", outcome)
            for outcome in ("success", "success_with_failures", "failed", "timedout", "canceled", "skipped")
        ),
        *(("original", outcome) for outcome in ("disabled", "internal_error")),
        *(("repair", outcome) for outcome in ("success", "failed")),
    }
    assert {entry.trigger for entry in world.ledger.starts()} >= {
        *("PERIODIC", "ONE_TIME", "RUN_JOB_TASK", "FILE_ARRIVAL", "TABLE", "CONTINUOUS", "RETRY"),
    }
    assert world.now_ms - oldest > 7 * DAY
    reasons = {cluster.reason.code for cluster in world.clusters.values() if cluster.reason}
    assert reasons >= {"JOB_FINISHED", "SPOT_INSTANCE_TERMINATION", "INACTIVITY"}
    events = {event.type for log in world.cluster_events.values() for event in log}
    assert events >= {"CREATING", "STARTING", "RUNNING", "RESIZING", "NODES_LOST", "DRIVER_NOT_RESPONDING", "TERMINATING"}


def test_concurrency() -> None:
    """Never do more originals of a job execute at one time than its max_concurrent_runs."""
    world = World(8, Sizes(cron_jobs=40))
    world.advance(6 * 3600)
    edges: dict[int, list[tuple[int, int]]] = {}
    for _, run in world.runs.by_start(Asked(), world.now_ms):
        original = run.attempts[0]
        if original.ended > original.began and run.trigger == "PERIODIC":
            edges.setdefault(run.job.job_id, []).extend([(original.began + original.queue, 1), (original.ended, -1)])
    for job_id, changes in edges.items():
        running = most = 0
        for _, change in sorted(changes):
            running += change
            most = max(most, running)
        assert most <= world.jobs[job_id].max_concurrent_runs


def test_kept_for_60_days() -> None:
    """A run is listed until 60 days after its end."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)))

    def seen() -> bool:
        return run.run_id in {found["run_id"] for found in listed(one, RUNS, "runs", start_time_to=run.began)}

    one.advance(60 * 86400)
    assert seen()
    one.advance(3600)
    assert not seen()


def test_ids() -> None:
    """The ids of runs and of their tasks are unique, and tell again whose they are."""
    given = {ids.run_id(number, place): (number, place) for number in (1, 2, 77_777_777) for place in range(ids.PLACES)}

    assert len(given) == 3 * ids.PLACES
    assert all(ids.run_place(run_id) == origin for run_id, origin in given.items())
    assert ids.run_place(0) == ids.run_place(-5) == ids.run_place(1 << 60) == (0, 0)


@pytest.mark.parametrize(
    ("schedule", "expression", "after", "fires"),
    [
        (Every(15, 7, "UTC"), "0 7/15 * * * ?", BEGIN, [7, 22, 37, 52, 67]),
        (Every(60, 5, "UTC"), "0 5 * * * ?", BEGIN, [5, 65, 125]),
        (Daily(6, 30, "UTC"), "0 30 6 * * ?", BEGIN, [390, 1830]),
        # 2026-01-05 is a Monday; Berlin is an hour ahead in winter.
        (Daily(6, 0, "Europe/Berlin", WORKDAYS), "0 0 6 ? * MON-FRI", BEGIN + 3 * 86400, [4620, 6060]),
        # The clocks of Berlin go forward on 2026-03-29: 6 o'clock comes an hour sooner in UTC.
        (Daily(6, 0, "Europe/Berlin"), "0 0 6 * * ?", BEGIN + 82 * 86400, [118380, 119760, 121200]),
    ],
)
def test_schedule(schedule: Every | Daily, expression: str, after: float, fires: list[int]) -> None:
    """A schedule fires at these minutes after the beginning, and says so in Quartz's writing."""
    at, found = int(after * 1000), []
    for _ in fires:
        at = schedule.after(at)
        found.append((at - int(BEGIN * 1000)) // MINUTE)

    assert schedule.expression == expression
    assert found == fires


def test_weekend() -> None:
    """What fires on workdays alone is silent from Friday's fire to Monday's."""
    friday = int((BEGIN + 4 * 86400) * 1000) + 7 * HOUR

    assert Daily(6, 0, "UTC", WORKDAYS).after(friday) == friday - HOUR + 3 * DAY
