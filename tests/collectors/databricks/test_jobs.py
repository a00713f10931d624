"""Jobs of a simulated workspace, and answers by hand: what a page tells of their settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from exporter.collectors.databricks import jobs as collector
from exporter.databricks.jobs import Job, Jobs, due, paused, thresholds, trigger
from exporter.databricks.schedules import Cron, Interval
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import SourceError
from tests.collectors.databricks.workspaces import NAME, looking, page

FEW = Sizes(cron_jobs=4, continuous_jobs=2, file_arrival_jobs=1, paused_jobs=1, submitted_runs_a_day=0, history_hours=0)
MANY = Sizes(cron_jobs=230, continuous_jobs=0, file_arrival_jobs=0, paused_jobs=0, submitted_runs_a_day=0, history_hours=0)
JOBS = "/api/2.2/jobs/list"


def job(**settings: Any) -> Job:
    """A job as jobs/list tells it, numbers as texts."""
    return msgspec.json.decode(json.dumps({"job_id": "7", "settings": settings}), type=Job, strict=False)


def shown(one: Job, tags: tuple[str, ...] = ()) -> Mapping[str, float]:
    """The page of one job, but for its names, by metric and the labels that are not the job's."""
    samples = collector.samples(Jobs(NAME, 0.0, {one.job_id: one}, tags))
    return {" ".join((sample.metric.name, *sample.labels[2:])): float(str(sample.value)) for sample in samples}


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page: jobs with schedules, continuous ones, one that waits for files, one that is paused, old and wide ones."""
    with looking(sizes=FEW) as one:
        record = one.look("jobs", collector.fetch)

    golden("databricks-jobs.prom", page(collector.METRICS, collector.samples(record)))


def test_all_pages_are_asked_for() -> None:
    """Every job is told once, the eldest first, though pages overlap; a page holds 100, and no call is made besides."""
    with looking(sizes=MANY) as one:
        one.there.faults(Fault(Kind.SHIFTING))
        record = one.look("jobs", collector.fetch)

        eldest_first = sorted(one.there.world.jobs.values(), key=lambda job: (job.created_ms, job.job_id))

        assert list(record.jobs) == [job.job_id for job in eldest_first]
        assert record.visible == 231
        assert one.asked(JOBS) == 3 == len(one.there.requests)


def test_whole_or_not_at_all() -> None:
    """A page that fails fails the look: half a list would let jobs vanish."""
    with looking(sizes=MANY) as one:
        one.there.faults(Fault(Kind.ENDLESS_PAGES))
        with pytest.raises(SourceError, match="page token for the second time"):
            one.look("jobs", collector.fetch)


def test_odd_answers() -> None:
    """Numbers as texts, fields and values that nobody knows, items that are none: every job that can be read is told."""
    with looking(sizes=FEW) as one:
        one.there.faults(*(Fault(kind) for kind in (Kind.STRINGS, Kind.UNKNOWN_FIELDS, Kind.UNKNOWN_VALUES, Kind.BROKEN_ITEMS)))
        record = one.look("jobs", collector.fetch)

        assert record.jobs.keys() == one.there.world.jobs.keys()
        assert one.workspace.usage().bad_items == {"jobs/list": 6}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "none"),
        ({"schedule": {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}}, "cron"),
        ({"continuous": {}}, "continuous"),
        ({"trigger": {"periodic": {"interval": 4, "unit": "HOURS"}}}, "periodic"),
        ({"trigger": {"file_arrival": {"url": "s3://landing/"}}}, "file_arrival"),
        ({"trigger": {"table_update": {"table_names": ["a"]}}}, "table"),
        ({"trigger": {"table": {"table_names": ["a"]}}}, "table"),
        ({"trigger": {"model": {}}}, "other"),
    ],
)
def test_what_starts_a_job(settings: dict[str, Any], kind: str) -> None:
    """Each kind of trigger has its word, and one that nobody knows yet is other."""
    assert trigger(job(**settings)) == kind


def test_due() -> None:
    """A schedule is due as its expression says, an interval every so many seconds, what is paused or else never."""
    cron = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}

    assert due(job(schedule=cron)) == Cron("0 0 5 * * ?", "UTC")
    assert due(job(schedule={**cron, "sql_condition": {"query": "q"}})) == Cron("0 0 5 * * ?", "UTC", conditional=True)
    assert due(job(schedule={**cron, "pause_status": "PAUSED"})) is None
    assert due(job(trigger={"periodic": {"interval": "2", "unit": "DAYS"}})) == Interval(2 * 86_400.0)
    assert due(job(trigger={"periodic": {"interval": 2, "unit": "MOONS"}})) is None
    assert due(job(trigger={"pause_status": "PAUSED", "periodic": {"interval": 2, "unit": "DAYS"}})) is None
    assert due(job(continuous={"pause_status": "UNPAUSED"})) is None
    assert paused(job(continuous={"pause_status": "PAUSED"}))


def test_limits_and_rules() -> None:
    """What has no bound is left out, retries without an end are infinite, the least of two thresholds is told, null is nothing."""
    one = job(
        name="orders",
        max_concurrent_runs=3,
        timeout_seconds=0,
        queue={"enabled": True},
        tags={"team": "core", "owner": "someone", "bare": None},
        tasks=[{"max_retries": 2}, {"max_retries": -1}, None],
        health={
            "rules": [
                {"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 600},
                {"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 300},
                {"metric": "STREAMING_BACKLOG_MOONS", "value": 1},
                None,
            ]
        },
    )

    assert thresholds(one) == {"run_duration_seconds": 300.0}
    assert shown(one, ("team", "bare", "missing")) == {
        "databricks_job_info orders none   ": 1,
        "databricks_job_tag_info team core": 1,
        "databricks_job_tag_info bare ": 1,
        "databricks_job_max_concurrent_runs": 3,
        "databricks_job_queue_enabled": 1,
        "databricks_job_tasks": 3,
        "databricks_job_task_max_retries": float("inf"),
        "databricks_job_health_threshold run_duration_seconds": 300,
    }


def test_old_format() -> None:
    """A job in the old format is one task, whose retries stand among the job's settings; a job of no settings tells nothing."""
    assert shown(job(format="SINGLE_TASK", max_retries=2, timeout_seconds=60)) == {
        "databricks_job_info  none   ": 1,
        "databricks_job_timeout_seconds": 60,
        "databricks_job_tasks": 1,
        "databricks_job_task_max_retries": 2,
    }
    assert shown(Job(7)) == {"databricks_job_info  none   ": 1}
