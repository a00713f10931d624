"""Runs and their tasks as documents, and the endpoints below /api/2.2/jobs/runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.demo.workspace.answers import pages
from exporter.demo.workspace.answers.jobs import schedule, task_settings
from exporter.demo.workspace.answers.requests import Document, Request, given, invalid
from exporter.demo.workspace.world import clusters, jobs, tasks
from exporter.demo.workspace.world.clusters import Cluster
from exporter.demo.workspace.world.endings import ENDINGS, SKIPS, Ending
from exporter.demo.workspace.world.run_index import LATEST, Asked
from exporter.demo.workspace.world.runs import PENDING, QUEUED, RUNNING, TERMINATED, TERMINATING, Attempt, Run
from exporter.demo.workspace.world.tasks import TaskRun
from exporter.demo.workspace.world.world import World

BY_END = "order_by_end"
MOST_RUNS = 25
ARRAY_PAGE = 100


def listing(world: World, request: Request) -> Document:
    """GET runs/list: the latest start first or, by the other of the two documented orders, the latest end first."""
    active, completed = request.boolean("active_only"), request.boolean("completed_only")
    if active and completed:
        raise invalid("active_only and completed_only cannot both be true.")
    run_type = request.text("run_type")
    if run_type not in {None, "JOB_RUN", "SUBMIT_RUN", "WORKFLOW_RUN"}:
        raise invalid(f"Invalid run_type: {run_type}")
    limit = request.limit("limit", 20, MOST_RUNS, least=0)
    start_to = request.integer("start_time_to")
    asked = Asked(
        request.integer("job_id"),
        True if active else False if completed else None,
        request.integer("start_time_from") or 0,
        LATEST[0] if start_to is None else start_to,
    )
    text = request.text("page_token")
    last = pages.position(text)
    before = (int(last[0]), int(last[1]) + (pages.SHIFTING in request.odd)) if last else LATEST
    found = (world.runs.by_end if BY_END in request.odd else world.runs.by_start)(asked, world.now_ms, before)
    matching = (([*key], run) for key, run in found if run_type in {None, run.run_type})
    taken, following = pages.cut(request, matching, limit, text)
    expand = request.boolean("expand_tasks")
    document: Document = {"runs": [_listed(world, run, expand=expand) for run in taken]} if taken else {}
    return pages.paged({**document, "has_more": bool(following)}, following)


def one(world: World, request: Request) -> Document:
    """GET runs/get: a run, or one of its tasks' runs by its own id; arrays come in pages of 100."""
    run, task = _found(world, request)
    if task:
        return _task_as_run(world, run, task)
    now = world.now_ms
    seen = tasks.seen(run, now)
    history = _history(run, now, seen) if request.boolean("include_history") else None
    part, following = pages.window(request, max(len(seen), len(history or ())))
    document = {**_run(world, run), "tasks": [_task(world, run, one) for one in seen[part]]}
    if history is not None:
        document["repair_history"] = history[part]
    return pages.paged(document, following)


def output(world: World, request: Request) -> Document:
    """GET runs/get-output: what one task's run left, the first line of its error among it."""
    run, task = _found(world, request)
    if task is None:
        seen = tasks.seen(run, world.now_ms)
        if len(run.job.tasks) > 1 or not seen:
            raise invalid(f"Run {run.run_id} has several tasks: ask for the output of one of them by its own run_id.")
        task = seen[-1]
    over = task.ended <= world.now_ms
    error = task.error if over else None
    return given(
        {
            "metadata": _task_as_run(world, run, task),
            "error": error,
            "error_trace": error and f"{error}\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n",
            "notebook_output": {"result": "done", "truncated": False} if over and not error else {},
        }
    )


def _found(world: World, request: Request) -> tuple[Run, TaskRun | None]:
    run_id = request.required("run_id")
    found = world.runs.get(run_id)
    if found is None:
        raise invalid(f"Run {run_id} does not exist.")
    run, place = found
    if not place:
        return run, None
    for task in tasks.seen(run, world.now_ms):
        if task.run_id == run_id:
            return run, task
    raise invalid(f"Run {run_id} does not exist.")


def _listed(world: World, run: Run, *, expand: bool) -> Document:
    document = _run(world, run)
    if expand:
        seen = tasks.seen(run, world.now_ms)
        document["tasks"] = [_task(world, run, task) for task in seen[:ARRAY_PAGE]]
        document["repair_history"] = _history(run, world.now_ms, seen)[:ARRAY_PAGE]
        document["has_more"] = len(seen) > ARRAY_PAGE
    return document


def _run(world: World, run: Run) -> Document:
    now, job = world.now_ms, run.job
    so_far = run.so_far(now)
    newest = so_far[-1]
    over = newest.phase(now) == TERMINATED
    original = so_far[0]
    single = len(job.tasks) == 1
    return given(
        {
            "job_id": job.job_id,
            "run_id": run.run_id,
            "job_run_id": run.run_id,
            "number_in_job": run.number_in_job,
            "original_attempt_run_id": run.original_attempt_run_id or run.run_id,
            "attempt_number": run.retry,
            "creator_user_name": "someone@example.com",
            "run_name": job.name,
            "run_page_url": f"https://workspace.example.com/?o=1#job/{job.job_id}/run/{run.run_id}",
            "run_type": run.run_type,
            "format": "SINGLE_TASK" if job.legacy else "MULTI_TASK",
            "trigger": run.trigger,
            "trigger_info": {"run_id": run.started_by} if run.started_by else None,
            "schedule": schedule(job),
            "job_clusters": _job_clusters(job),
            "state": state(newest, now, single=single),
            "status": status(newest, now),
            "start_time": run.began,
            # A run that is not over has no end or the end 0: Databricks does both.
            "end_time": newest.ended if over else None if run.run_type == "SUBMIT_RUN" else 0,
            "queue_duration": original.queue or None,
            "setup_duration": original.setup if single and now >= original.executing else 0,
            "execution_duration": original.execution if single and now >= original.terminating else 0,
            "cleanup_duration": original.cleanup if single and now >= original.ended else 0,
            "run_duration": sum(one.ended - one.began for one in so_far) if over else None,
            "cluster_instance": _cluster_instance(world, run) if single and now >= original.executing else None,
            "cluster_spec": {"existing_cluster_id": _shared(world, job)} if job.compute == jobs.ALL_PURPOSE else None,
        }
    )


def state(attempt: Attempt, now: int, *, single: bool) -> Document:
    """The older vocabulary; the failed run of one task is TERMINATED in it, that of several an INTERNAL_ERROR."""
    phase, end = attempt.phase(now), ENDINGS[attempt.ending]
    if phase == TERMINATED:
        life_cycle = "TERMINATED" if single and end.outcome == "failed" else end.life_cycle
        canceled = end.outcome in {"canceled", "timedout"}
        return given(
            {
                "life_cycle_state": life_cycle,
                "result_state": end.result,
                "state_message": end.message,
                "user_cancelled_or_timedout": canceled,
            }
        )
    reason = "Queued: the job has as many active runs as it may have." if phase == QUEUED else None
    return given(
        {"life_cycle_state": phase, "state_message": "", "user_cancelled_or_timedout": False, "queue_reason": reason},
    )


def status(attempt: Attempt, now: int) -> Document:
    """The newer vocabulary; how it ends is told from its termination on."""
    phase = attempt.phase(now)
    queue = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": "The job has as many active runs as it may have."}
    return given(
        {
            "state": phase,
            "queue_details": queue if phase == QUEUED else None,
            "termination_details": _details(ENDINGS[attempt.ending]) if phase in {TERMINATING, TERMINATED} else None,
        }
    )


def _details(end: Ending) -> Document:
    return {"code": end.code, "type": end.type, "message": end.message}


def _history(run: Run, now: int, seen: Sequence[TaskRun]) -> list[Document]:
    single = len(run.job.tasks) == 1
    return [
        given(
            {
                "type": "REPAIR" if index else "ORIGINAL",
                "id": run.repair_id(index),
                "start_time": attempt.began,
                "end_time": attempt.ended if attempt.phase(now) == TERMINATED else 0,
                "state": state(attempt, now, single=single),
                "status": status(attempt, now),
                "task_run_ids": [task.run_id for task in seen if task.attempt == index],
            }
        )
        for index, attempt in enumerate(run.so_far(now))
    ]


def _task(world: World, run: Run, task: TaskRun) -> Document:
    now = world.now_ms
    over = now >= task.ended
    return given(
        {
            **task_settings(run.job, task.task),
            "run_id": task.run_id,
            "attempt_number": task.number,
            "start_time": task.began if now >= task.began else 0,
            "end_time": task.ended if over else 0,
            "setup_duration": task.executing - task.began if now >= task.executing else 0,
            "execution_duration": task.ended - task.executing if over else 0,
            "cleanup_duration": 0,
            "queue_duration": run.attempts[task.attempt].queue or None,
            "run_duration": task.ended - task.began if over else None,
            "run_page_url": f"https://workspace.example.com/?o=1#job/{run.job.job_id}/run/{task.run_id}",
            "cluster_instance": _cluster_instance(world, run) if task.ran and now >= task.executing else None,
            "existing_cluster_id": _shared(world, run.job) if run.job.compute == jobs.ALL_PURPOSE else None,
            "for_each_task": _for_each(task, now) if task.task.iterations else None,
            **_task_state(task, now),
        }
    )


def _task_state(task: TaskRun, now: int) -> Document:
    if now >= task.ended:
        old = {"life_cycle_state": "TERMINATED", "result_state": task.result, "state_message": task.error or ""}
        details = {"code": task.code, "type": task.type, "message": task.error or ""}
        return {"state": old, "status": {"state": TERMINATED, "termination_details": details}}
    phase = "BLOCKED" if now < task.began else PENDING if now < task.executing else RUNNING
    return {"state": {"life_cycle_state": phase, "state_message": ""}, "status": {"state": phase}}


def _task_as_run(world: World, run: Run, task: TaskRun) -> Document:
    told = _task(world, run, task)
    own: tuple[str, ...] = (
        "run_id",
        "attempt_number",
        "start_time",
        "end_time",
        "setup_duration",
        "execution_duration",
        "cleanup_duration",
    )
    own += ("queue_duration", "run_duration", "run_page_url", "cluster_instance", "state", "status", "task_key")
    whole = _run(world, run)
    shared = ("job_id", "number_in_job", "creator_user_name", "run_type", "format", "trigger", "run_name", "schedule")
    document = {name: whole[name] for name in shared if name in whole} | {name: told[name] for name in own if name in told}
    document |= {"job_run_id": run.run_id, "parent_run_id": run.run_id, "original_attempt_run_id": task.run_id, "tasks": [told]}
    if task.task.iterations and world.now_ms >= task.executing:
        document["iterations"] = [_iteration(told, number) for number in range(task.task.iterations)]
    return document


def _iteration(told: Document, number: int) -> Document:
    left_out = {"for_each_task", "depends_on"}
    return {**{name: value for name, value in told.items() if name not in left_out}, "task_key": f"{told['task_key']}_{number}"}


def _for_each(task: TaskRun, now: int) -> Document:
    total = task.task.iterations
    length = max(task.ended - task.executing, 1)
    done = 0 if not task.ran or now < task.executing else min(total, total * (now - task.executing) // length)
    failed = int(task.result == tasks.FAILED and done == total)
    counts: dict[str, Any] = {
        "active_iterations": min(total - done, 4) if task.executing <= now < task.ended else 0,
        "completed_iterations": done,
        "failed_iterations": failed,
        "scheduled_iterations": total,
        "succeeded_iterations": done - failed,
        "total_iterations": total,
    }
    inner = {"task_key": f"{task.task.key}_iteration", "notebook_task": {"notebook_path": "/Jobs/region"}}
    return {"inputs": '["a", "b"]', "concurrency": 4, "task": inner, "stats": {"task_run_stats": counts}}


def _job_clusters(job: jobs.Job) -> list[Document] | None:
    if job.compute != jobs.JOB_CLUSTER:
        return None
    spec = {"spark_version": clusters.RUNTIMES[0], "node_type_id": "m5d.large", "num_workers": 2}
    return [{"job_cluster_key": "main", "new_cluster": spec}]


def _cluster_instance(world: World, run: Run) -> Document | None:
    if run.attempts[0].ending in SKIPS or run.job.compute == jobs.SERVERLESS:
        return None
    cluster = world.clusters.get(_shared(world, run.job)) if run.job.compute == jobs.ALL_PURPOSE else clusters.for_run(run)
    return None if cluster is None else {"cluster_id": cluster.cluster_id, "spark_context_id": str(spark_context(cluster))}


def spark_context(cluster: Cluster) -> int:
    """Another one after each start, and larger than a float holds."""
    return 4_000_000_000_000_000_000 + sum(map(ord, cluster.cluster_id)) * 1_000_003 + cluster.starts


def _shared(world: World, job: jobs.Job) -> str:
    return world.shared[job.job_id % len(world.shared)]
