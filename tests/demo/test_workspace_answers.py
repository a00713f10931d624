"""exporter/demo/workspace/answers: each endpoint tells what Databricks' fields allow, and refuses what it would refuse."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world.endings import ENDINGS
from exporter.demo.workspace.world.run_index import Asked
from exporter.demo.workspace.world.sizes import DAY, HOUR, Sizes
from tests.demo.workspace_client import (
    CLUSTER,
    CLUSTERS,
    EVENTS,
    FIELDS,
    JOB,
    JOBS,
    ME,
    OUTPUT,
    PIPELINES,
    POOLS,
    QUIET,
    RUN,
    RUNS,
    WAREHOUSES,
    asked,
    listed,
    pages,
    posted,
    strangers,
    told,
    workspace,
)


@pytest.fixture(scope="module")
def one() -> Workspace:
    """A small workspace after a quarter of a day."""
    made = workspace(1)
    made.advance(6 * 3600)
    return made


@pytest.mark.parametrize(
    ("path", "query", "type"),
    [
        (JOBS, {"expand_tasks": "true", "limit": 100}, "jobs.ListJobsResponse"),
        (RUNS, {"expand_tasks": "true"}, "jobs.ListRunsResponse"),
        (RUNS, {"active_only": "true"}, "jobs.ListRunsResponse"),
        (CLUSTERS, {}, "compute.ListClustersResponse"),
        (PIPELINES, {}, "pipelines.ListPipelinesResponse"),
        (WAREHOUSES, {}, "sql.ListWarehousesResponse"),
        (POOLS, {}, "compute.ListInstancePools"),
        ("/api/2.1/clusters/spark-versions", {}, "compute.GetSparkVersionsResponse"),
    ],
)
def test_lists(one: Workspace, path: str, query: dict[str, Any], type: str) -> None:
    """All pages of a list have the documented fields, types and values, and there is something in them."""
    found = list(pages(one, path, **query))

    assert [stranger for page in found for stranger in strangers(page, type)] == []
    assert any(isinstance(value, list) and value for page in found for value in page.values())


def test_objects(one: Workspace) -> None:
    """Each single job, run, task's run, output, cluster, pipeline and update has the documented fields."""
    found = list(objects(one))

    assert [(kind, stranger) for kind, document in found for stranger in strangers(document, kind)] == []
    assert {kind for kind, _ in found} == {
        *("jobs.BaseJob", "jobs.Run", "jobs.RunOutput", "compute.ClusterDetails", "compute.GetEventsResponse"),
        *("pipelines.GetPipelineResponse", "pipelines.ListPipelineEventsResponse"),
        *("pipelines.ListUpdatesResponse", "pipelines.UpdateInfo"),
    }


def objects(one: Workspace) -> Iterator[tuple[str, Any]]:
    """Each with the type that it should be of; of the runs every third."""
    for job in listed(one, JOBS, "jobs"):
        yield "jobs.BaseJob", told(one, JOB, job_id=job["job_id"])
    for run in listed(one, RUNS, "runs")[::3]:
        whole = told(one, RUN, run_id=run["run_id"], include_history="true")
        yield "jobs.Run", whole
        for task in whole["tasks"][:3]:
            yield "jobs.Run", told(one, RUN, run_id=task["run_id"])
            yield "jobs.RunOutput", told(one, OUTPUT, run_id=task["run_id"])
    for cluster in listed(one, CLUSTERS, "clusters"):
        yield "compute.ClusterDetails", told(one, CLUSTER, cluster_id=cluster["cluster_id"])
        yield "compute.GetEventsResponse", posted(one, EVENTS, {"cluster_id": cluster["cluster_id"]})[1]
    for status in listed(one, PIPELINES, "statuses"):
        path = f"{PIPELINES}/{status['pipeline_id']}"
        yield "pipelines.GetPipelineResponse", told(one, path)
        yield "pipelines.ListPipelineEventsResponse", told(one, f"{path}/events", max_results=1000)
        updates = told(one, f"{path}/updates")
        yield "pipelines.ListUpdatesResponse", updates
        newest = updates["updates"][0]["update_id"]
        yield "pipelines.UpdateInfo", told(one, f"{path}/updates/{newest}")["update"]


def test_me(one: Workspace) -> None:
    """The user has the documented fields, in SCIM's spelling, and its answer tells the workspace's id."""
    reply = one.reply("GET", ME, {"authorization": "Bearer dapi-simulated"}, b"")
    fields = {
        "".join([first, *map(str.title, rest)])
        for first, *rest in (name.split("_") for name in FIELDS["dataclasses"]["iam.User"])
    }

    assert set(json.loads(reply.body)) <= fields
    assert reply.headers["X-Databricks-Org-Id"] == "7405607613001234"


def test_strangers() -> None:
    """The check against the table sees a field that nobody knows, a wrong type, and a value that is in no enum."""
    document = {"runs": [{"run_id": "7", "mine": 1, "state": {"life_cycle_state": "DREAMING"}, "trigger": "PERIODIC"}]}

    assert list(strangers(document, "jobs.ListRunsResponse")) == [
        ".runs[0].run_id: '7' is no int",
        ".runs[0].mine: jobs.BaseRun has no such field",
        ".runs[0].state.life_cycle_state: 'DREAMING' is no jobs.RunLifeCycleState",
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending(ending: str) -> None:
    """Every way to end is told in both vocabularies, on the run and in its history."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)), ending, 600.0)
    one.advance(2 * 3600)
    found = told(one, RUN, run_id=run.run_id, include_history="true")
    end = ENDINGS[ending]

    assert found["status"]["state"] == "TERMINATED"
    assert found["status"]["termination_details"]["code"] == end.code
    assert found["state"]["life_cycle_state"] == end.life_cycle
    assert found["state"].get("result_state") == end.result
    assert found["repair_history"][0]["status"] == found["status"]
    assert list(strangers(found, "jobs.Run")) == []


def test_all_codes() -> None:
    """The endings are those of all 26 termination codes that the SDK knows."""
    assert len({end.code for end in ENDINGS.values()}) == 26


def test_life_of_run() -> None:
    """A run is pending, runs, terminates, and is over; its code is told from its termination on, its result at its end."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)), "failed", 60.0)
    original = run.attempts[0]
    seen = []
    for at in (original.began, original.executing, original.terminating, original.ended):
        one.advance((at - one.world.now_ms) / 1000)
        found = told(one, RUN, run_id=run.run_id)
        code = found["status"].get("termination_details", {}).get("code")
        seen.append((found["status"]["state"], found["state"]["life_cycle_state"], found["state"].get("result_state"), code))

    assert seen == [
        ("PENDING", "PENDING", None, None),
        ("RUNNING", "RUNNING", None, None),
        ("TERMINATING", "TERMINATING", None, "RUN_EXECUTION_ERROR"),
        ("TERMINATED", "INTERNAL_ERROR", "FAILED", "RUN_EXECUTION_ERROR"),
    ]
    assert found["end_time"] == original.ended


def test_queued() -> None:
    """A run that waits for its job's other runs is queued, says why, and tells afterwards how long."""
    one = workspace(1)
    one.advance(6 * 3600)
    queued = next(run for _, run in one.world.runs.by_start(Asked(), one.world.now_ms) if run.attempts[0].queue)
    late = workspace(1)
    late.advance((queued.began - late.world.now_ms) / 1000 + 1)
    found = told(late, RUN, run_id=queued.run_id)

    assert (found["status"]["state"], found["state"]["life_cycle_state"]) == ("QUEUED", "QUEUED")
    assert found["status"]["queue_details"]["code"] == "MAX_CONCURRENT_RUNS_REACHED"
    assert told(one, RUN, run_id=queued.run_id)["queue_duration"] == queued.attempts[0].queue


def test_repair() -> None:
    """A repair keeps the run's id, makes it active again, moves its end, and adds to its history; run_duration is of all."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)), "failed", 60.0, [(30.0, 10.0, "success")])
    original, repair = run.attempts
    one.advance((original.ended - one.world.now_ms) / 1000)
    failed = told(one, RUN, run_id=run.run_id, include_history="true")
    one.advance(31)
    active = [found["run_id"] for found in listed(one, RUNS, "runs", active_only="true")]
    one.advance(3600)
    whole = told(one, RUN, run_id=run.run_id, include_history="true")

    assert (failed["state"]["result_state"], failed["end_time"], len(failed["repair_history"])) == ("FAILED", original.ended, 1)
    assert run.run_id in active
    assert (whole["state"]["result_state"], whole["end_time"]) == ("SUCCESS", repair.ended)
    assert whole["run_duration"] == original.ended - original.began + repair.ended - repair.began
    assert [(item["type"], item.get("id"), item["end_time"]) for item in whole["repair_history"]] == [
        ("ORIGINAL", None, original.ended),
        ("REPAIR", run.repair_id(1), repair.ended),
    ]
    assert whole["repair_history"][1]["task_run_ids"]


def test_repaired_tasks() -> None:
    """A repair runs what did not succeed, and all of it where all did; its tasks go on counting their attempts."""
    one = workspace(0, QUIET)
    job_id = next(iter(one.world.jobs))
    runs = [one.start(job_id, ending, 60.0, [(1.0, 60.0, "success")]) for ending in ("success", "invalid_cluster", "failed")]
    one.advance(3600)
    found = [[task for page in pages(one, RUN, run_id=run.run_id) for task in page["tasks"]] for run in runs]
    again = [len({task["task_key"] for task in tasks if task["attempt_number"] > 0}) for tasks in found]

    assert again[:2] == [130, 130]
    assert 2 <= again[2] < 130
    assert len({task["run_id"] for tasks in found for task in tasks}) == sum(map(len, found))


@pytest.mark.parametrize(
    ("ending", "first", "middle", "last"),
    [
        ("success", "SUCCESS", "SUCCESS", "SUCCESS"),
        ("success_with_failures", "FAILED", "UPSTREAM_FAILED", "SUCCESS"),
        ("cloud_failure", "FAILED", "UPSTREAM_FAILED", "UPSTREAM_FAILED"),
        ("disabled", "DISABLED", "DISABLED", "DISABLED"),
    ],
)
def test_blame(ending: str, first: str, middle: str, last: str) -> None:
    """What depends on a failed task does not run, save a task that runs whatever came before, which tells how the run ends."""
    one = workspace(0, QUIET)
    run = one.start(next(iter(one.world.jobs)), ending)
    failed = one.start(next(iter(one.world.jobs)), "failed")
    one.advance(3600)

    def results(run_id: int) -> dict[str, str]:
        tasks = [task for page in pages(one, RUN, run_id=run_id) for task in page["tasks"]]
        return {task["task_key"]: task["state"]["result_state"] for task in tasks}

    told_of = results(run.run_id)
    assert (told_of["prepare"], told_of["part_077"], told_of["collect"]) == (first, middle, last)
    assert results(failed.run_id)["collect"] == "FAILED"


def test_wide() -> None:
    """A job and a run of 130 tasks come in pages of 100; lists show the first 100 and say that there are more."""
    one = workspace(0, QUIET)
    job_id = next(iter(one.world.jobs))
    run = one.start(job_id)
    one.advance(3600)
    (job,) = [job for job in listed(one, JOBS, "jobs", expand_tasks="true") if job["job_id"] == job_id]
    listed_run = next(found for found in listed(one, RUNS, "runs", expand_tasks="true") if found["run_id"] == run.run_id)
    keys = [[task["task_key"] for task in page["settings"]["tasks"]] for page in pages(one, JOB, job_id=job_id)]
    runs = [task["task_key"] for page in pages(one, RUN, run_id=run.run_id) for task in page["tasks"]]

    assert (len(job["settings"]["tasks"]), job["has_more"]) == (100, True)
    assert (len(listed_run["tasks"]), listed_run["has_more"]) == (100, True)
    assert [len(page) for page in keys] == [100, 30]
    assert set(runs) == {key for page in keys for key in page}


def test_tasks(one: Workspace) -> None:
    """Every run that is over has a task for each of its job's, ends no earlier than they do, and failed where its last one did."""
    for run in listed(one, RUNS, "runs", completed_only="true"):
        tasks = [task for page in pages(one, RUN, run_id=run["run_id"]) for task in page["tasks"]]
        newest = {task["task_key"]: task for task in tasks}
        result = run["state"].get("result_state")
        if run["state"]["life_cycle_state"] == "SKIPPED":
            assert not tasks
            continue
        results = {task["state"]["result_state"] for task in newest.values()}
        assert max(task["end_time"] for task in tasks) <= run["end_time"]
        assert (results == {"SUCCESS"}) == (result == "SUCCESS"), (result, results)


def test_output(one: Workspace) -> None:
    """The output of a failed task begins with its error; that of a run of several tasks is refused."""
    failed = [run for run in listed(one, RUNS, "runs", expand_tasks="true") if run["state"].get("result_state") == "FAILED"]
    several = next(run for run in failed if len({task["task_key"] for task in run["tasks"]}) > 1)
    task = next(task for task in several["tasks"] if task["state"].get("result_state") == "FAILED")
    output = told(one, OUTPUT, run_id=task["run_id"])

    assert output["error"] == task["state"]["state_message"] != ""
    assert output["error_trace"].startswith(output["error"])
    assert asked(one, OUTPUT, run_id=several["run_id"])[0] == 400


def test_schedules(one: Workspace) -> None:
    """A scheduled job's runs begin within two minutes after its fires; a paused job has none."""
    jobs = {job["job_id"]: job["settings"] for job in listed(one, JOBS, "jobs")}
    for run in listed(one, RUNS, "runs"):
        schedule = jobs.get(run["job_id"], {}).get("schedule")
        if run["trigger"] == "PERIODIC":
            first, period = schedule["quartz_cron_expression"].split()[1].partition("/")[::2]
            after = (run["start_time"] // 1000 - int(first) * 60) % ((int(period) * 60) if period else 3600)
            assert after < 120, schedule
            assert schedule["pause_status"] == "UNPAUSED"


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        (RUNS, {"limit": 27}, "Invalid limit 27 - it has to be no more than 25"),
        (RUNS, {"limit": -1}, "Invalid limit -1 - it has to be no less than 0"),
        (RUNS, {"limit": "ten"}, "Parameter limit is no integer: ten"),
        (RUNS, {"active_only": "true", "completed_only": "true"}, "active_only and completed_only cannot both be true."),
        (RUNS, {"active_only": "True"}, "Parameter active_only is neither true nor false: True"),
        (RUNS, {"page_token": "mine"}, "Invalid page token: mine"),
        (RUNS, {"run_type": "ANY"}, "Invalid run_type: ANY"),
        (RUN, {}, "Missing required field: run_id"),
        (RUN, {"run_id": 7}, "Run 7 does not exist."),
        (OUTPUT, {"run_id": 7}, "Run 7 does not exist."),
        (JOBS, {"limit": 0}, "Invalid limit 0 - it has to be no less than 1"),
        (JOBS, {"limit": 101}, "Invalid limit 101 - it has to be no more than 100"),
        (JOB, {"job_id": 7}, "Job 7 does not exist."),
        (CLUSTER, {"cluster_id": "x"}, "Cluster x does not exist."),
        (PIPELINES, {"max_results": 101}, "Invalid max_results 101 - it has to be no more than 100"),
        (PIPELINES, {"filter": "state = 'IDLE'"}, "Invalid filter: state = 'IDLE'"),
    ],
)
def test_refused(one: Workspace, path: str, query: dict[str, Any], message: str) -> None:
    """Wrong parameters and missing objects are answered 400, with a code and a message."""
    assert asked(one, path, **query) == (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message})


def test_no_such_path(one: Workspace) -> None:
    """What only writes, or is not there, is no endpoint; a missing pipeline is 404."""
    assert posted(one, "/api/2.2/jobs/run-now", {"job_id": 1}) == (
        404,
        {"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found for 'POST /api/2.2/jobs/run-now'"},
    )
    assert asked(one, f"{PIPELINES}/nobody") == (
        404,
        {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "The specified pipeline nobody was not found."},
    )


@pytest.mark.parametrize("order", [(), (Fault(Kind.ORDER_BY_END),)])
def test_run_filters(one: Workspace, order: tuple[Fault, ...]) -> None:
    """runs/list tells active, completed, of one job, of one type, started in a window: each what all runs say of themselves."""
    one.faults(*order)
    runs = listed(one, RUNS, "runs")
    job_id, times = runs[3]["job_id"], sorted(run["start_time"] for run in runs)
    low, high = times[len(times) // 3], times[len(times) // 2]

    def ids(**query: Any) -> list[int]:
        return [run["run_id"] for run in listed(one, RUNS, "runs", **query)]

    def those(keep: Any) -> list[int]:
        return [run["run_id"] for run in runs if keep(run)]

    assert ids(active_only="true") == those(lambda run: run["status"]["state"] != "TERMINATED") != []
    assert ids(completed_only="true") == those(lambda run: run["status"]["state"] == "TERMINATED") != []
    assert ids(job_id=job_id) == those(lambda run: run["job_id"] == job_id) != []
    assert ids(run_type="SUBMIT_RUN") == those(lambda run: run["run_type"] == "SUBMIT_RUN") != []
    assert ids(start_time_from=low, start_time_to=high) == those(lambda run: low <= run["start_time"] <= high) != []
    one.faults()


@pytest.mark.parametrize("order", [(), (Fault(Kind.ORDER_BY_END),)])
def test_window_is_inclusive(order: tuple[Fault, ...]) -> None:
    """A run that starts and ends at the very edges of the window is in it, and a millisecond beside it is not."""
    one = workspace(0, QUIET)
    one.faults(*order)
    run = one.start(next(iter(one.world.jobs)), "skipped")
    one.advance(60)

    def found(low: int, high: int) -> list[int]:
        return [
            run["run_id"] for run in listed(one, RUNS, "runs", start_time_from=run.began + low, start_time_to=run.began + high)
        ]

    assert found(0, 0) == [run.run_id]
    assert found(1, 9) == found(-9, -1) == []


def test_cluster_filters(one: Workspace) -> None:
    """clusters/list filters by states and sources with repeated keys, and sorts by name."""
    clusters = listed(one, CLUSTERS, "clusters")
    states = ["RUNNING", "TERMINATING"]
    some = listed(one, CLUSTERS, "clusters", **{"filter_by.cluster_states": states, "filter_by.cluster_sources": ["UI", "API"]})
    named = listed(one, CLUSTERS, "clusters", **{"sort_by.field": "CLUSTER_NAME", "sort_by.direction": "DESC"})

    wanted = {one["cluster_id"] for one in clusters if one["state"] in states and one["cluster_source"] in {"UI", "API"}}
    assert {one["cluster_id"] for one in some} == wanted != set()
    assert [one["cluster_name"] for one in named] == sorted((one["cluster_name"] for one in clusters), reverse=True)


def test_cluster_states() -> None:
    """A cluster tells when and why it ended as long as it is down, and of its size and driver as long as it lives."""
    one = workspace(1)
    one.advance(3 * 86400)
    clusters = listed(one, CLUSTERS, "clusters")
    restarted = [cluster for cluster in clusters if cluster["state"] == "RUNNING" and cluster["cluster_source"] != "JOB"]
    for cluster in clusters:
        down, alive = cluster["state"] == "TERMINATED", cluster["state"] in {"RUNNING", "RESIZING"}
        assert ("terminated_time" in cluster) == down, cluster["state"]
        assert ("termination_reason" in cluster) == (down or cluster["state"] == "TERMINATING")
        assert ("executors" in cluster) == ("driver_healthy" in cluster) == ("cluster_memory_mb" in cluster) == alive
    assert any(len(one.world.cluster_events[cluster["cluster_id"]]) > 10 for cluster in restarted)


def test_jobs_by_name(one: Workspace) -> None:
    """jobs/list finds a job by its whole name in any case, and no other."""
    job = listed(one, JOBS, "jobs")[1]
    name = job["settings"]["name"]

    assert [found["job_id"] for found in told(one, JOBS, name=name.upper())["jobs"]] == [job["job_id"]]
    assert told(one, JOBS, name=name[:-1])["jobs"] == []


def test_clusters_kept() -> None:
    """A job cluster that ended is listed for 30 days, readable for 60, and then does not exist."""
    one = workspace(1, Sizes(4, 60, 0, 0, 0, 0, 3, 2, 0, 0, 0, 24.0))
    cluster = next(
        one for one in listed(one, CLUSTERS, "clusters") if one["state"] == "TERMINATED" and one["cluster_source"] == "JOB"
    )
    cluster_id, ended = cluster["cluster_id"], cluster["terminated_time"]

    def seen() -> tuple[bool, int]:
        listed_ids = {one["cluster_id"] for one in listed(one, CLUSTERS, "clusters")}
        return cluster_id in listed_ids, asked(one, CLUSTER, cluster_id=cluster_id)[0]

    assert cluster["termination_reason"]["type"] == "SUCCESS"
    one.advance((ended + 30 * DAY - HOUR) / 1000 - one.now())
    assert seen() == (True, 200)
    one.advance(7200)
    assert seen() == (False, 200)
    one.advance(30 * 86400)
    assert seen() == (False, 400)


def test_cluster_events(one: Workspace) -> None:
    """Events page by token and by the older next_page alike, filtered by time and type, in both orders."""
    cluster_id = max(one.world.shared, key=lambda shared: len(one.world.cluster_events[shared]))

    def newer(**body: Any) -> list[Any]:
        found, token = [], ""
        while True:
            _, page = posted(
                one, EVENTS, {"cluster_id": cluster_id, "page_size": 3, **body, **({"page_token": token} if token else {})}
            )
            found += page["events"]
            if not (token := page.get("next_page_token")):
                return found

    def older(**body: Any) -> list[Any]:
        found: list[Any] = []
        asking: Any = {"cluster_id": cluster_id, "limit": 3, **body}
        while asking:
            _, page = posted(one, EVENTS, asking)
            found, asking = found + page["events"], page.get("next_page")
        return found

    falling = newer()
    since = falling[4]["timestamp"]

    assert len(falling) > 6
    assert [event["timestamp"] for event in falling] == sorted((event["timestamp"] for event in falling), reverse=True)
    assert falling == older()
    assert newer(order="ASC") == older(order="ASC") == falling[::-1]
    assert newer(start_time=since) == [event for event in falling if event["timestamp"] >= since]
    assert newer(event_types=["RUNNING"]) == [event for event in falling if event["type"] == "RUNNING"]
    assert posted(one, EVENTS, {"cluster_id": cluster_id, "page_size": 501})[0] == 400


def test_pipeline_events(one: Workspace) -> None:
    """Events are filtered by level, time and id, paged in both orders; a token goes with max_results alone."""
    path = f"{PIPELINES}/{next(iter(one.world.pipelines))}/events"
    falling = listed_by_token(one, path, max_results=100)
    since = falling[20]["timestamp"]

    assert listed_by_token(one, path, max_results=70, order_by="timestamp asc") == falling[::-1]
    assert listed_by_token(one, path, max_results=9, filter=f"level in ('INFO', 'ERROR') AND timestamp > '{since}'") == [
        event for event in falling if event["level"] in {"INFO", "ERROR"} and event["timestamp"] > since
    ]
    assert listed_by_token(one, path, max_results=9, filter=f"id='{falling[3]['id']}'") == [falling[3]]
    assert asked(one, path, filter="event_type = 'flow_progress'")[0] == 400
    token = told(one, path, max_results=5)["next_page_token"]
    assert asked(one, path, page_token=token, order_by="timestamp asc")[0] == 400


def listed_by_token(one: Workspace, path: str, *, max_results: int, **query: Any) -> list[Any]:
    page = told(one, path, max_results=max_results, **query)
    found: list[Any] = page["events"]
    while token := page.get("next_page_token"):
        page = told(one, path, max_results=max_results, page_token=token)
        found += page["events"]
    return found


def test_expectations(one: Workspace) -> None:
    """Progress of a flow tells its backlog, what it dropped, and each expectation's rows as increments."""
    path = f"{PIPELINES}/{next(iter(one.world.pipelines))}/events"
    events = told(one, path, max_results=1000, filter="level = 'METRICS'")["events"]
    progress = events[0]["details"]["flow_progress"]
    first = progress["data_quality"]["expectations"][0]

    assert {event["event_type"] for event in events} == {"flow_progress"}
    assert set(progress["metrics"]) == {"num_output_rows", "backlog_bytes", "backlog_records"}
    assert first["passed_records"] + first["failed_records"] == progress["metrics"]["num_output_rows"]
    assert progress["data_quality"]["dropped_records"] == first["failed_records"]


def test_pipelines(one: Workspace) -> None:
    """Pipelines are filtered by name and sorted; their updates go down to the one that is named."""
    whole = listed(one, PIPELINES, "statuses")
    names = sorted(status["name"] for status in whole)
    busiest = max(whole, key=lambda status: len(status["latest_updates"]))
    path = f"{PIPELINES}/{busiest['pipeline_id']}/updates"
    updates = listed(one, path, "updates")

    found = listed(one, PIPELINES, "statuses", order_by="name desc", max_results=1)
    assert [status["name"] for status in found] == names[::-1]
    assert [status["name"] for status in listed(one, PIPELINES, "statuses", filter="name LIKE '%line 3'")] == [
        name for name in names if name.endswith("line 3")
    ]
    assert listed(one, PIPELINES, "statuses", filter="notebook='/x'") == []
    assert asked(one, PIPELINES, order_by="state")[0] == 400
    assert len(updates) > 2
    assert told(one, path, until_update_id=updates[1]["update_id"])["updates"] == updates[:2]
    assert asked(one, path, until_update_id="nobody")[0] == asked(one, f"{path}/nobody")[0] == 404
    assert [update["update_id"] for update in busiest["latest_updates"]] == [update["update_id"] for update in updates[:5]]


def test_for_each(one: Workspace) -> None:
    """A for-each task counts its iterations, and its own run has them all."""
    runs = listed(one, RUNS, "runs", expand_tasks="true", completed_only="true")
    tasks = [task for run in runs for task in run["tasks"] if "for_each_task" in task]
    task = next(task for task in tasks if task["state"]["result_state"] == "SUCCESS")
    counts = task["for_each_task"]["stats"]["task_run_stats"]
    iterations = told(one, RUN, run_id=task["run_id"])["iterations"]

    assert (counts["total_iterations"], counts["succeeded_iterations"], counts["active_iterations"]) == (12, 12, 0)
    assert [iteration["task_key"] for iteration in iterations] == [f"each_region_{number}" for number in range(12)]


def test_single_output() -> None:
    """A run of one task may be asked for its output by its own id."""
    one = workspace(1)
    job = next(job for job in one.world.jobs.values() if len(job.tasks) == 1 and not job.max_concurrent_runs > 1)
    run = one.start(job.job_id, "failed")
    one.advance(3600)
    output = told(one, OUTPUT, run_id=run.run_id)

    assert output["error"]
    assert output["metadata"]["job_run_id"] == run.run_id


def test_twice(one: Workspace) -> None:
    """A parameter that is no list may not be given twice."""
    assert asked(one, RUNS, limit=[1, 2]) == (
        400,
        {"error_code": "INVALID_PARAMETER_VALUE", "message": "Parameter limit is given 2 times."},
    )
