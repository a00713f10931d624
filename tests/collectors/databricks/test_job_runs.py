"""Runs of a simulated workspace, looked at minute by minute: what a page tells of them, and what a failing part costs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from exporter.collectors.databricks import job_runs as collector
from exporter.collectors.databricks import jobs, tasks
from exporter.databricks.endings import Observation, Open, State
from exporter.databricks.job_runs import KEPT, JobRuns, decoded, encoded, next_record
from exporter.databricks.jobs import Job, Jobs
from exporter.databricks.runs import NO_JOB, Run
from exporter.databricks.schedules import JobRun
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import SourceError, StorageError
from exporter.metric import Metric
from exporter.polled import Asked
from exporter.sources.databricks import Workspace
from exporter.sources.databricks_endpoints import ENDPOINTS
from exporter.sources.http import Http
from tests.collectors.databricks.workspaces import NAME, SETTINGS, Looking, Token, looking, page, values
from tests.demo.workspace_client import QUIET
from tests.sources.http_server import Server, says

BUSY = Sizes(cron_jobs=6, every_minutes=10, continuous_jobs=2, submitted_runs_a_day=400, wide_job_tasks=5, history_hours=1)
LIST, GET, OUTPUT = "/api/2.2/jobs/runs/list", "/api/2.2/jobs/runs/get", "/api/2.2/jobs/runs/get-output"
NOW = 1_800_000_000.0
ORDERS = 7


def look(one: Looking, seconds: float = 60.0, **others: Any) -> JobRuns:
    record: JobRuns = one.look("job_runs", collector.fetch, seconds, **others)
    return record


def told(one: Looking, metric: Metric) -> Mapping[tuple[str, ...], Any]:
    """What the page tells of one metric, by its labels without the workspace."""
    return values(collector.samples(one.records["job_runs"]), metric)


def hand_made(one: Looking) -> int:
    """A job that nothing but the test starts."""
    return next(reversed(one.there.world.jobs))


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page after an hour of schedules, continuous jobs, repairs and one-time runs."""
    with looking(sizes=BUSY) as one:
        one.look("jobs", jobs.fetch)
        for _ in range(60):
            look(one)

    golden("databricks-job_runs.prom", page(collector.METRICS, collector.samples(one.records["job_runs"])))
    golden("databricks-tasks.prom", page(tasks.METRICS, tasks.samples(one.records["job_runs"])))


def test_first_failure_is_an_increase() -> None:
    """A job that is listed stands at 0 before it has ever run, and its failure is told with its class, its text in the log."""
    with looking(sizes=QUIET) as one:
        one.look("jobs", jobs.fetch)
        look(one)
        job = hand_made(one)
        before = told(one, collector.ENDINGS)[str(job), "failed", "original"]
        one.there.advance(1)
        run = one.there.start(job, "failed", 20.0)
        with capture_logs() as logged:
            look(one, 200.0)
            look(one)

        assert before == 0
        assert told(one, collector.ENDINGS)[str(job), "failed", "original"] == 1
        assert told(one, collector.STARTS) == {(str(job), "one_time"): 1}
        assert [list(told(one, metric).values()) for metric in (collector.FAILURES, collector.LAST_FAILURE)] == [
            [1],
            [run.attempts[0].ended / 1000],
        ]
        assert [(line["event"], line["run_id"], line["job_id"]) for line in logged] == [("job failed", run.run_id, str(job))]
        assert one.asked(OUTPUT) == 1


def test_text_tells_the_class() -> None:
    """Where the code says no more than that the code of a task failed, the error's text tells why: five texts a look."""
    with looking(sizes=QUIET) as one:
        look(one)
        for _ in range(8):
            one.there.start(hand_made(one), "failed", 20.0)
        one.there.start(hand_made(one), "library", 20.0)
        with capture_logs() as logged:
            look(one, 300.0)
        classes = {labels[1]: count for labels, count in told(one, collector.FAILURES).items()}

        assert one.asked(OUTPUT) == 5 == len(logged)
        assert sum(classes.values()) == 9
        assert classes["user_code"] >= 3
        assert classes["library"] >= 1


def test_text_that_is_not_answered() -> None:
    """A failure whose text can't be had is counted all the same, once, by its code."""
    with looking(sizes=QUIET) as one:
        look(one)
        one.there.start(hand_made(one), "failed", 20.0)
        one.there.faults(Fault(Kind.STATUS, "403", (OUTPUT,)))
        look(one, 300.0)
        look(one)

        assert told(one, collector.FAILURES) == {(str(hand_made(one)), "user_code"): 1}


def test_listing_that_fails() -> None:
    """A look without a whole listing is none, and the next one finds what it missed."""
    with looking(sizes=QUIET) as one:
        before = look(one)
        one.there.start(hand_made(one), "success", 20.0)
        one.there.faults(Fault(Kind.STATUS, "403", (LIST,), times=1))
        with pytest.raises(SourceError):
            look(one, 300.0)

        assert one.records["job_runs"] is before
        look(one)
        assert told(one, collector.ENDINGS)[str(hand_made(one)), "success", "original"] == 1


def test_sweep_that_fails() -> None:
    """What was listed before the sweep failed is counted, and the sweep stands where it stood."""
    ended = {"run_id": 1, "job_id": ORDERS, "start_time": int(NOW * 1000) + 1, "end_time": int(NOW * 1000) + 2, "status": OVER}
    refused = says({"error_code": "PERMISSION_DENIED", "message": "no"}, "403 Forbidden")
    with Server(says({}), says({"runs": [ended]}), refused) as server, capture_logs() as logged:
        workspace = Workspace(Http("workspace prod", server.url, ENDPOINTS), Token(), threading.Event())
        found = collector.fetch(Asked(workspace, SETTINGS, None, {}, NOW, time.monotonic() + 10))
        workspace.close()

    assert found.state.jobs[ORDERS].last_end == NOW + 0.002
    assert found.state.swept_to_ms == 0
    assert [(line["event"], line["reason"]) for line in logged] == [("runs are not swept", "forbidden")]


def test_run_that_is_not_answered() -> None:
    """A run of weeks that ended is asked for by itself, again until it is answered, and costs nothing else."""
    with looking(sizes=QUIET) as one:
        job = hand_made(one)
        one.there.start(job, "failed", 3 * 86_400.0)
        look(one, 3 * 86_400.0 - 60)
        one.there.start(job, "success", 5.0)
        one.there.faults(Fault(Kind.STATUS, "403", (GET,)))
        look(one, 700.0)

        assert told(one, collector.ENDINGS)[str(job), "success", "original"] == 1
        assert told(one, collector.ENDINGS)[str(job), "failed", "original"] == 0
        one.there.faults()
        look(one)
        assert told(one, collector.ENDINGS)[str(job), "failed", "original"] == 1


def test_run_that_is_gone() -> None:
    """A run that Databricks does not know any more is counted as vanished, and not asked for again."""
    with looking(sizes=QUIET) as one:
        record = look(one)
        lost = Open(ORDERS, NOW, "running", None, record.state.last_look)
        one.records["job_runs"] = msgspec.structs.replace(record, state=msgspec.structs.replace(record.state, open={5: lost}))
        look(one)
        look(one)

        assert told(one, collector.VANISHED) == {(): 1}
        assert one.asked(GET) == 1


def test_active_runs() -> None:
    """Active runs by state, since when the oldest has been there, what queued ones wait for; a job without any has 0."""
    with looking(sizes=BUSY) as one:
        one.look("jobs", jobs.fetch)
        for _ in range(30):
            look(one)
            if told(one, collector.QUEUED):
                break
        active = told(one, collector.ACTIVE)
        queued = told(one, collector.QUEUED)

        assert {reason for _, reason in queued} == {"max_concurrent_runs_reached"}
        assert {active[job, "queued"] for job, _ in queued} == set(queued.values())
        assert {int(job) for job, state in active if state == "running" and job != "submit"} == one.there.world.jobs.keys()
        assert {key for key, count in active.items() if count} == set(told(one, collector.OLDEST))
        assert told(one, collector.RUNNING_TASKS)[()] > 0


def run(run_id: int = 1, job: int = ORDERS, trigger: str = "PERIODIC", **fields: Any) -> Run:
    """A run by hand, times in seconds after NOW."""
    for name in ("start_time", "end_time"):
        if name in fields:
            fields[name] = int((NOW + fields[name]) * 1000)
    return msgspec.json.decode(json.dumps({"run_id": run_id, "job_id": job, "trigger": trigger, **fields}), type=Run)


OVER = {"state": "TERMINATED", "termination_details": {"code": "SUCCESS", "type": "SUCCESS"}}
FAILED = {"state": "TERMINATED", "termination_details": {"code": "DRIVER_ERROR", "type": "CLIENT_ERROR"}}
RUNNING = {"state": "RUNNING"}


def record(*looks: Observation, before: JobRuns | None = None, listed: Jobs | None = None) -> JobRuns:
    """The record after these looks, each of which asked for what ended since the one before, and 10 minutes more."""
    found = before or JobRuns(NAME, State(since=NOW))
    for one in looks:
        found = next_record(found, one, int(((found.state.last_look or NOW) - 600) * 1000), listed)
    return found


def test_runs_for_schedules() -> None:
    """Runs of schedules and continuous jobs are kept with their ends, others not; the end is believed."""
    ended = run(1, start_time=10, end_time=20, queue_duration=5, status=OVER)
    found = record(
        Observation(
            NOW + 60,
            (
                run(1, start_time=10, status=RUNNING),
                run(2, start_time=50, trigger="CONTINUOUS", status=RUNNING),
                run(3, start_time=50, status={"state": "QUEUED"}),
            ),
            (
                ended,
                run(4, start_time=30, trigger="ONE_TIME", status=OVER, end_time=40),
                run(5, start_time=31, end_time=31, status={**OVER, "termination_details": {"code": "SKIPPED"}}),
            ),
        ),
        Observation(NOW + 61, (run(1, start_time=10, status=RUNNING),), ()),
    )

    assert found.recent == {
        ORDERS: {
            1: JobRun(NOW + 10, "periodic", queued=True, end=NOW + 20),
            2: JobRun(NOW + 50, "continuous"),
            3: JobRun(NOW + 50, "periodic", queued=True),
            5: JobRun(NOW + 31, "periodic", skipped=True, end=NOW + 31),
        }
    }
    assert found.seen_since == NOW - 600


def test_old_runs_are_let_go() -> None:
    """What ended long ago is let go, but not a job's newest run, after which a gap may begin, nor one that goes on."""
    first = Observation(
        NOW + 60,
        (run(3, start_time=2, job=8, status=RUNNING), run(4, start_time=3, job=8, status=RUNNING)),
        (run(1, start_time=1, end_time=20, status=OVER), run(2, start_time=2, end_time=20, status=OVER)),
    )
    still = (run(3, start_time=2, job=8, status=RUNNING),)
    over = run(4, start_time=3, end_time=30, job=8, status=OVER)
    found = record(first, Observation(NOW + KEPT + 100, still, (), fetched=(over,)))

    assert {job: set(its) for job, its in found.recent.items()} == {ORDERS: {2}, 8: {3, 4}}
    assert found.seen_since == NOW + 100


def test_run_that_vanished_goes_on_nowhere() -> None:
    """A run that is gone before its end was told does not keep a schedule waiting for it."""
    first = Observation(NOW + 60, (run(1, start_time=10, status=RUNNING),), ())
    found = record(first, Observation(NOW + 120, (), (), gone=frozenset({1})))

    assert found.recent == {}


def test_running_tasks() -> None:
    """Tasks count that run, in all jobs together; one that only starts others does not."""
    several = [{"status": RUNNING}, {"status": {"state": "PENDING"}}, {"status": RUNNING, "for_each_task": {}}, None]
    active = (run(1, tasks=several, status=RUNNING), run(2, job=8, tasks=several, status=RUNNING), run(3, status=RUNNING))

    assert record(Observation(NOW + 60, active, ())).running_tasks == 2


def test_failures_of_forgotten_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failures of a job that is remembered no longer go with it."""
    monkeypatch.setattr("exporter.databricks.endings.MAX_JOBS", 1)
    failed = run(1, start_time=10, end_time=20, status=FAILED)
    found = record(Observation(NOW + 60, (), (failed,)), Observation(NOW + 120, (run(2, job=8, status=RUNNING),), ()))

    assert list(found.state.jobs) == [8]
    assert found.failures == {}


def test_seen_since_after_a_pause() -> None:
    """After a pause too long to catch up, runs are known from where the listing began."""
    found = next_record(record(Observation(NOW + 60, (), ())), Observation(NOW + 5000, (), ()), int((NOW + 4000) * 1000), None)

    assert found.seen_since == NOW + 4000


def test_too_many_recent_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many runs the oldest are let go, and it is known that from there on they are all."""
    monkeypatch.setattr("exporter.databricks.job_runs.MAX_RECENT", 2)
    many = [run(number, start_time=number, end_time=20, status=OVER) for number in range(1, 6)]
    found = record(Observation(NOW + 60, (), many))

    assert set(found.recent[ORDERS]) == {4, 5}
    assert found.seen_since == NOW + 4


def test_jobs_that_are_gone() -> None:
    """A job that a new list of jobs does not hold is not shown, unless it runs; one that came after the list is."""
    listed = Jobs(NAME, NOW, {1: Job(1), 2: Job(2)})
    active = (run(9, job=3, start_time=5, status=RUNNING), run(8, NO_JOB, run_type="SUBMIT_RUN", start_time=5, status=RUNNING))
    first = record(Observation(NOW + 60, active, (), jobs=(1, 2)), listed=listed)
    second = record(
        Observation(NOW + 120, active, (run(4, job=4, start_time=90, end_time=100, status=FAILED),), jobs=(1, 2)),
        before=first,
        listed=listed,
    )
    third = record(Observation(NOW + 660, active, (), jobs=(2,)), before=second, listed=Jobs(NAME, NOW + 600, {2: Job(2)}))

    def shown(one: JobRuns) -> set[str]:
        return {labels[0] for labels in values(collector.samples(one), collector.ENDINGS)}

    assert [shown(one) for one in (first, second, third)] == [
        {"1", "2", "3", "submit"},
        {"1", "2", "3", "4", "submit"},
        {"2", "3", "submit"},
    ]
    assert {labels[0] for labels in values(collector.samples(third), collector.ACTIVE)} == {"2", "3", "submit"}
    assert [bool(values(collector.samples(one), collector.FAILURES)) for one in (second, third)] == [True, False]
    assert record(Observation(NOW + 720, active, (), jobs=(2,)), before=third).hidden == {1, 4}


def test_more_jobs_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more jobs are saved than are remembered, their runs alone bring jobs in."""
    monkeypatch.setattr(collector, "MAX_JOBS", 1)
    with looking(sizes=QUIET) as one:
        one.look("jobs", jobs.fetch)

        assert look(one).state.jobs == {}


def test_stored_and_read_again() -> None:
    """A record is as it was after it was stored; what is no record, or of another version, is refused."""
    with looking(sizes=BUSY) as one:
        for _ in range(5):
            found = look(one)

    assert decoded(encoded(found)) == found
    with pytest.raises(ValueError, match=r"^record of job runs of version 99, 1 is understood$"):
        decoded(encoded(msgspec.structs.replace(found, version=99)))
    with pytest.raises(ValueError, match=r"^state of job runs of version 99, 1 is understood$"):
        decoded(encoded(msgspec.structs.replace(found, state=msgspec.structs.replace(found.state, version=99))))
    with pytest.raises(ValueError, match=r"^no record of job runs: Input data was truncated$"):
        decoded(encoded(found)[:50])
    with pytest.raises(StorageError, match=r"^record of job runs that can't be written: "):
        encoded(msgspec.structs.replace(found, recent={2**70: {}}))


def test_tasks_of_jobs_that_are_gone() -> None:
    """The tasks of a job that is gone are not shown, and one whose name is not told yet stands at 0 of what it never had."""
    with looking(sizes=QUIET) as one:
        look(one)
        one.there.start(hand_made(one), "success", 5.0)
        found = look(one, 300.0)
        outcomes = values(tasks.samples(found), tasks.OUTCOMES)
        hidden = msgspec.structs.replace(found, hidden=frozenset({hand_made(one)}))

        assert {outcome: count for (_, _, outcome), count in outcomes.items()} == {"success": 1, "failed": 0}
        assert values(tasks.samples(hidden), tasks.OUTCOMES) == {}
        assert values(tasks.samples(hidden), tasks.DROPPED) == {(): 0}
