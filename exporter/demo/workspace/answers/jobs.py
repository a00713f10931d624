"""Jobs as documents, and the endpoints below /api/2.2/jobs that tell of jobs."""

from __future__ import annotations

from exporter.demo.workspace.answers import pages
from exporter.demo.workspace.answers.requests import Document, Request, given, invalid
from exporter.demo.workspace.world.jobs import CONTINUOUS, FILE_ARRIVAL, JOB_CLUSTER, Job, Task
from exporter.demo.workspace.world.world import World

ARRAY_PAGE = 100


def listing(world: World, request: Request) -> Document:
    """GET jobs/list: with `expand_tasks` the first 100 tasks of each."""
    limit = request.limit("limit", 20, 100)
    name = request.text("name")
    found = [job for job in world.jobs.values() if name is None or job.name.lower() == name.lower()]
    expand = request.boolean("expand_tasks")

    def told(job: Job) -> Document:
        document = _job(job)
        if expand and not job.legacy:
            document["settings"]["tasks"] = [task_settings(job, task) for task in job.tasks[:ARRAY_PAGE]]
            document["has_more"] = len(job.tasks) > ARRAY_PAGE
        return document

    document = pages.listed(request, "jobs", found, lambda job: [-job.created_ms, job.job_id], told, limit)
    return {**document, "has_more": bool(document.get("next_page_token"))}


def one(world: World, request: Request) -> Document:
    """GET jobs/get: tasks in pages of 100; on a page that has none left the array is empty."""
    job_id = request.required("job_id")
    if job_id not in world.jobs:
        raise invalid(f"Job {job_id} does not exist.")
    job = world.jobs[job_id]
    document = _job(job)
    if job.legacy:
        return document
    part, following = pages.window(request, len(job.tasks))
    document["settings"]["tasks"] = [task_settings(job, task) for task in job.tasks[part]]
    return pages.paged(document, following)


def schedule(job: Job) -> Document | None:
    """Its Quartz schedule, where it has one."""
    if job.schedule is None:
        return None
    paused = "PAUSED" if job.paused else "UNPAUSED"
    return {
        "quartz_cron_expression": job.schedule.expression,
        "timezone_id": job.schedule.zone,
        "pause_status": paused,
    }


def task_settings(job: Job, task: Task) -> Document:
    """One task as the job's settings hold it."""
    return given(
        {
            "task_key": task.key,
            "depends_on": [{"task_key": key} for key in task.depends_on] or None,
            "run_if": task.run_if,
            "max_retries": task.max_retries,
            "min_retry_interval_millis": 0,
            "retry_on_timeout": False,
            "timeout_seconds": 0,
            "job_cluster_key": "main" if job.compute == JOB_CLUSTER else None,
            "notebook_task": None if task.iterations else {"notebook_path": f"/Jobs/{task.key}", "source": "WORKSPACE"},
            "for_each_task": _for_each(task) if task.iterations else None,
        }
    )


def _for_each(task: Task) -> Document:
    inner = {"task_key": f"{task.key}_iteration", "notebook_task": {"notebook_path": "/Jobs/region"}}
    return {"inputs": '["a", "b"]', "concurrency": 4, "task": inner}


def _job(job: Job) -> Document:
    rule = {"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": job.health_seconds}
    pause_status = "PAUSED" if job.paused else "UNPAUSED"
    files = {"pause_status": pause_status, "file_arrival": {"url": "s3://landing/incoming/"}}
    settings = given(
        {
            "name": job.name,
            "format": "SINGLE_TASK" if job.legacy else "MULTI_TASK",
            "max_concurrent_runs": job.max_concurrent_runs,
            "timeout_seconds": job.timeout_seconds,
            "queue": {"enabled": job.queue},
            "tags": job.tags or None,
            "schedule": schedule(job),
            "continuous": {"pause_status": pause_status} if job.kind == CONTINUOUS else None,
            "trigger": files if job.kind == FILE_ARRIVAL else None,
            "health": {"rules": [rule]} if job.health_seconds else None,
            "email_notifications": {},
        }
    )
    return {
        "job_id": job.job_id,
        "created_time": job.created_ms,
        "creator_user_name": "someone@example.com",
        "settings": settings,
    }
