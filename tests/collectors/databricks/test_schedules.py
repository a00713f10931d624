"""Schedules of a simulated workspace: every due time is classed once, exactly as its runs came, across restarts."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from exporter.collectors.databricks import job_runs, jobs
from exporter.collectors.databricks import schedules as collector
from exporter.collectors.databricks.schedules import Kept, Schedules, decoded, encoded, next_record
from exporter.databricks import job_runs as record_of_runs
from exporter.databricks.endings import State
from exporter.databricks.job_runs import JobRuns
from exporter.databricks.jobs import Job, Jobs
from exporter.databricks.schedules import Cron, JobRun, Watch
from exporter.demo.workspace.world.endings import SKIPS
from exporter.demo.workspace.world.jobs import CONTINUOUS
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import StorageError
from tests.collectors.databricks.workspaces import NAME, Looking, looking, page, values

BUSY = Sizes(
    cron_jobs=10,
    every_minutes=5,
    continuous_jobs=2,
    file_arrival_jobs=0,
    submitted_runs_a_day=0,
    wide_job_tasks=4,
    clusters=0,
    pipelines=0,
    history_hours=1,
)
NOW = 1_800_000_000.0
ORDERS = 7
HOURLY = {"quartz_cron_expression": "0 0 * * * ?", "timezone_id": "UTC"}


def look(one: Looking, number: int) -> Schedules:
    """One look a minute; the jobs are listed every ten."""
    one.there.advance(60.0)
    if number % 10 == 0:
        one.look("jobs", jobs.fetch)
    one.look("job_runs", job_runs.fetch)
    record: Schedules = one.look("schedules", collector.fetch)
    return record


def as_it_came(one: Looking, since: float, until: float) -> dict[int, Counter[str]]:
    """What became of the due times between two times, as the world itself knows it."""
    found: dict[int, Counter[str]] = {}
    for job in one.there.world.jobs.values():
        if job.schedule is None or job.paused:
            continue
        runs = {
            entry.time_ms: one.there.world.runs.get(entry.run_id)
            for entry in one.there.ledger.starts()
            if (entry.job_id, entry.trigger, entry.kind) == (job.job_id, "PERIODIC", "original")
        }
        found[job.job_id] = Counter()
        due = job.schedule.after(int(since * 1000))
        while due <= until * 1000:
            following = job.schedule.after(due)
            start = next((start for start in sorted(runs) if due <= start < following), None)
            run = runs[start] if start is not None else None
            if start is None or run is None:
                how = "missing"
            elif run[0].attempts[0].ending in SKIPS:
                how = "skipped"
            elif run[0].attempts[0].queue:
                how = "queued"
            else:
                how = "late" if start - due > 60_000 else "on_time"
            found[job.job_id][how] += 1
            due = following
    return found


@pytest.fixture(scope="module")
def four_hours() -> Iterator[tuple[Looking, float]]:
    """Who looked at four hours of schedules, restarted now and then, and when the first look was."""
    draw = random.Random(1)
    with looking(3, BUSY) as one:
        look(one, 0)
        since = one.there.now()
        for number in range(1, 241):
            record = look(one, number)
            if draw.random() < 0.05:
                one.records["schedules"] = decoded(encoded(record))
                one.records["job_runs"] = record_of_runs.decoded(record_of_runs.encoded(one.records["job_runs"]))
        yield one, since


def test_due_times_are_classed_as_runs_came(four_hours: tuple[Looking, float], golden: Callable[[str, str], None]) -> None:
    """Each class of due times of each job is what happened, and no due time but the last ones is open."""
    one, since = four_hours
    record: Schedules = one.records["schedules"]
    settled = {job_id: kept.watch.settled for job_id, kept in record.jobs.items() if kept.watch is not None}
    expected = {job_id: as_it_came(one, since, until)[job_id] for job_id, until in settled.items()}

    assert {job_id: Counter(dict(record.jobs[job_id].counts)) for job_id in settled} == expected
    assert {name for counts in expected.values() for name in counts} == {"on_time", "late", "queued", "skipped"}
    assert min(until for job_id, until in settled.items() if expected[job_id].total() > 1) > one.there.now() - 960
    golden("databricks-schedules.prom", page(collector.METRICS, collector.samples(record)))


def test_gaps_of_continuous_jobs(four_hours: tuple[Looking, float]) -> None:
    """Each gap between two runs of a continuous job is told once, as long as the world made it."""
    one, since = four_hours
    gaps = values(collector.samples(one.records["schedules"]), collector.GAP)
    told, expected = {}, {}
    for job_id in (job.job_id for job in one.there.world.jobs.values() if job.kind == CONTINUOUS):
        told[job_id] = (sum(gaps[str(job_id),].counts), round(gaps[str(job_id),].sum, 3))
        starts = [entry.time_ms for entry in one.there.ledger.starts() if entry.job_id == job_id]
        endings = one.there.ledger.endings(int(since * 1000), one.there.world.now_ms)
        ends = [entry.time_ms for entry in endings if entry.job_id == job_id]
        lengths = [(min(later) - end) / 1000 for end in ends if (later := [start for start in starts if start >= end])]
        expected[job_id] = (len(lengths), round(sum(lengths), 3))

    assert told == expected
    assert sum(count for count, _ in told.values()) > 3


def job(job_id: int = ORDERS, **settings: Any) -> Job:
    return msgspec.json.decode(json.dumps({"job_id": job_id, "settings": settings}), type=Job)


def listed(*found: Job, at: float = NOW) -> Jobs:
    return Jobs(NAME, at, {one.job_id: one for one in found})


def runs(at: float, *recent: JobRun, seen_since: float = 0.0) -> JobRuns:
    return JobRuns(NAME, State(since=NOW, last_look=at), recent={ORDERS: dict(enumerate(recent))}, seen_since=seen_since)


def test_nothing_is_known_yet() -> None:
    """Before jobs and runs were looked at, a record is as it was before, stored or new."""
    before = Schedules(NAME, {ORDERS: Kept(counts={"missing": 3})})
    with looking() as one:
        assert one.look("schedules", collector.fetch) == Schedules(NAME)
        one.records["schedules"] = before
        assert one.look("schedules", collector.fetch, jobs=listed()) is before


def test_no_look_no_verdict() -> None:
    """What no look at the runs has covered is not missing, nor what was due after the jobs were last listed."""
    hourly = listed(job(schedule=HOURLY))
    first = next_record(Schedules(NAME), hourly, runs(NOW))
    silent = next_record(first, hourly, runs(NOW + 60))
    unlisted = next_record(first, hourly, runs(NOW + 5 * 3600))
    seen = next_record(first, listed(job(schedule=HOURLY), at=NOW + 5 * 3600), runs(NOW + 5 * 3600))

    assert [one.jobs[ORDERS].counts for one in (first, silent, unlisted, seen)] == [{}, {}, {}, {"missing": 4}]


def test_hours_that_nobody_saw() -> None:
    """Of a time whose runs were not seen whole, because nobody looked, nothing is missing."""
    later = NOW + 5 * 3600
    first = next_record(Schedules(NAME), listed(job(schedule=HOURLY)), runs(NOW))
    record = next_record(first, listed(job(schedule=HOURLY), at=later), runs(later, seen_since=later - 2 * 3600))

    assert record.jobs[ORDERS].counts == {"missing": 2}


def test_paused_gone_and_back() -> None:
    """A pause ends what is due and keeps what was counted; a job that is gone, or that nothing starts, is let go."""
    kept = Kept(Watch(Cron("0 0 * * * ?", "UTC"), NOW - 10), {"late": 2}, next_due=NOW + 10)
    before = Schedules(NAME, {ORDERS: kept})
    paused = next_record(before, listed(job(schedule={**HOURLY, "pause_status": "PAUSED"})), runs(NOW))

    assert paused.jobs == {ORDERS: msgspec.structs.replace(kept, watch=None, next_due=None)}
    assert values(collector.samples(paused), collector.DUE)[str(ORDERS), "late"] == 2
    assert not values(collector.samples(paused), collector.NEXT_DUE)
    assert next_record(before, listed(job(trigger={"file_arrival": {}})), runs(NOW)).jobs == {}
    assert next_record(before, listed(), runs(NOW)).jobs == {}


def test_schedule_that_can_not_be_read() -> None:
    """An expression that nobody understands is told, costs no other job, and is forgotten once it is mended."""
    broken = listed(job(schedule={**HOURLY, "quartz_cron_expression": "every now and then"}), job(8, schedule=HOURLY))
    record = next_record(Schedules(NAME), listed(job(schedule=HOURLY)), runs(NOW))
    record = next_record(record, broken, runs(NOW))
    mended = next_record(record, listed(job(schedule=HOURLY)), runs(NOW))

    assert values(collector.samples(record), collector.UNREADABLE) == {(str(ORDERS),): 1}
    assert set(values(collector.samples(record), collector.NEXT_DUE)) == {("8",)}
    assert not values(collector.samples(mended), collector.UNREADABLE)


def test_paused_continuous_job() -> None:
    """The time in which a continuous job is paused is no gap."""

    def run(start: float, end: float | None = None) -> JobRun:
        return JobRun(NOW + start, "continuous", end=None if end is None else NOW + end)

    on, off = listed(job(continuous={})), listed(job(continuous={"pause_status": "PAUSED"}))
    record = next_record(Schedules(NAME), on, runs(NOW + 10, run(0)))
    record = next_record(record, on, runs(NOW + 60, run(0, 20), run(50)))
    record = next_record(record, off, runs(NOW + 120, run(0, 20), run(50, 100)))
    record = next_record(record, on, runs(NOW + 500, run(0, 20), run(50, 100), run(490)))

    assert values(collector.samples(record), collector.GAP)[str(ORDERS),].sum == 30.0


def test_stored_and_read_again() -> None:
    """A record is as it was after it was stored; what is no record, or of another version, is refused."""
    record = Schedules(NAME, {ORDERS: Kept(Watch(Cron("0 0 * * * ?", "UTC"), NOW), {"late": 2}, next_due=NOW, gaps_from=NOW)})

    assert decoded(encoded(record)) == record
    with pytest.raises(ValueError, match=r"^record of schedules of version 99, 1 is understood$"):
        decoded(encoded(msgspec.structs.replace(record, version=99)))
    with pytest.raises(ValueError, match=r"^no record of schedules: Input data was truncated$"):
        decoded(encoded(record)[:20])
    with pytest.raises(StorageError, match=r"^record of schedules that can't be written: "):
        encoded(Schedules(NAME, {2**70: Kept()}))
