"""Every ending and every start counts once, whatever the order of listings, the pauses between looks, and restarts."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.databricks import endings
from exporter.databricks.endings import (
    LAG,
    REACH,
    Active,
    Job,
    Observation,
    Open,
    Plan,
    State,
    Swept,
    Window,
    active,
    counts,
    decoded,
    encoded,
    failures_to_explain,
    fold,
    left,
    plan,
    queued,
)
from exporter.databricks.runs import Run
from exporter.errors import StorageError
from exporter.metric import Buckets

BEGINNING = 1_767_225_600.0
HOUR, DAY = 3600.0, 86400.0
ORDERS, SUBMITTED = 7, 0


def told(**fields: Any) -> Run:
    """A run as Databricks tells it, numbers as texts."""
    return msgspec.json.decode(json.dumps(fields), type=Run, strict=False)


def milliseconds(at: float) -> str:
    return str(round(at * 1000))


def over(outcome: str) -> dict[str, Any]:
    """The status of what ended like this."""
    codes = {"success": ("SUCCESS", "SUCCESS"), "failed": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR")}
    code, kind = codes.get(outcome, ("USER_CANCELED", "CLIENT_ERROR"))
    return {"state": "TERMINATED", "termination_details": {"code": code, "type": kind}}


def ended(run_id: int, began: float, at: float, outcome: str = "success", job: int = ORDERS, **fields: Any) -> Run:
    """A run that ended once."""
    times = {"start_time": milliseconds(began), "end_time": milliseconds(at)}
    return told(run_id=str(run_id), job_id=str(job), trigger="PERIODIC", status=over(outcome), **times, **fields)


def going(run_id: int, began: float, job: int = ORDERS, state: str = "RUNNING", **status: Any) -> Run:
    """A run that goes on."""
    return told(
        run_id=run_id,
        job_id=job,
        start_time=milliseconds(began),
        end_time=0,
        trigger="ONE_TIME",
        status={"state": state, **status},
    )


def item(repair_id: int | None, began: float, at: float | None, outcome: str) -> dict[str, Any]:
    """One line of a run's history; without an end it goes on."""
    kind = {"type": "REPAIR", "id": repair_id} if repair_id else {"type": "ORIGINAL"}
    times = {"start_time": milliseconds(began), "end_time": milliseconds(at) if at else "0"}
    return {**kind, **times, "status": over(outcome) if at else {"state": "RUNNING"}}


def repaired(run_id: int, *history: tuple[int | None, float, float | None, str], job: int = ORDERS) -> Run:
    """A run with its history, told by its newest item."""
    at, outcome = history[-1][2:]
    status = over(outcome) if at else {"state": "RUNNING"}
    times = {"start_time": milliseconds(history[0][1]), "end_time": milliseconds(at) if at else "0"}
    items = [item(*one) for one in history]
    return told(run_id=run_id, job_id=job, trigger="PERIODIC", status=status, repair_history=items, **times)


def look(at: float, *completed: Run, active: Iterable[Run] = (), **rest: Any) -> Observation:
    return Observation(at, tuple(active), completed, **rest)


@pytest.fixture
def state() -> State:
    return State(since=BEGINNING)


def counted(state: State, job: int = ORDERS) -> dict[tuple[str, str], int]:
    return state.jobs[job].endings


def test_first_sight_zeroes(state: State) -> None:
    """From a job's first sight on, also in a list of jobs alone, its outcomes stand at 0."""
    state = fold(state, look(BEGINNING, jobs=(ORDERS,)))

    assert counts(state.jobs[ORDERS]) == {
        ("success", "original"): 0,
        ("success", "repair"): 0,
        ("failed", "original"): 0,
        ("failed", "repair"): 0,
        ("canceled", "original"): 0,
        ("canceled", "repair"): 0,
    }


def test_before_our_time(state: State) -> None:
    """What ended before the exporter first ran adds nothing; its times are told all the same."""
    state = fold(
        state,
        look(
            BEGINNING + 60,
            ended(1, BEGINNING - 300, BEGINNING - 200, "failed"),
            ended(2, BEGINNING - 100, BEGINNING),
        ),
    )

    assert state.jobs == {
        ORDERS: Job(BEGINNING + 60, last_end=BEGINNING, last_success=BEGINNING, last_failures={"user_code": BEGINNING - 200})
    }


def test_counts_once(state: State) -> None:
    """The same look again changes nothing, and a run that stands in several places counts once."""
    run = ended(1, BEGINNING + 1, BEGINNING + 30, "failed")
    one = look(
        BEGINNING + 60,
        run,
        run,
        active=[going(1, BEGINNING + 1), going(2, BEGINNING + 5)],
        fetched=[run],
        unanswered=frozenset({2}),
        gone=frozenset({9}),
        swept=Swept(plan(state, BEGINNING).window, (run,), whole=True),
    )

    state = fold(state, one)

    assert counted(state) == {("failed", "original"): 1}
    assert state.jobs[ORDERS].starts == {"one_time": 2}
    assert list(state.open) == [2]
    assert fold(state, one) == state


def test_the_state_before_stays(state: State) -> None:
    """A fold leaves the state it began with as it was."""
    before = fold(state, look(BEGINNING + 60, ended(1, BEGINNING + 1, BEGINNING + 30), active=[going(2, BEGINNING + 2)]))
    frozen = encoded(before)
    fold(
        before, look(BEGINNING + 90, ended(2, BEGINNING + 2, BEGINNING + 80, "failed"), ended(3, BEGINNING + 3, BEGINNING + 70))
    )

    assert encoded(before) == frozen


def test_repair_alone(state: State) -> None:
    """Of a run that failed before the first look and was repaired after it, the repair alone counts."""
    run = repaired(1, (None, BEGINNING - 300, BEGINNING - 200, "failed"), (11, BEGINNING + 10, BEGINNING + 50, "success"))

    state = fold(state, look(BEGINNING + 60, run))

    assert counted(state) == {("success", "repair"): 1}
    assert state.jobs[ORDERS].starts == {}


def test_repair_between_looks(state: State) -> None:
    """A repair that began and ended between two looks does not hide the ending before it, nor the one after."""
    first = (None, BEGINNING + 1, BEGINNING + 20, "failed")
    second, third = (11, BEGINNING + 25, BEGINNING + 30, "failed"), (12, BEGINNING + 40, None, "")
    state = fold(state, look(BEGINNING + 60, active=[repaired(1, first, second, third)]))

    assert counted(state) == {("failed", "original"): 1, ("failed", "repair"): 1}

    state = fold(state, look(BEGINNING + 90, repaired(1, first, second, (12, BEGINNING + 40, BEGINNING + 80, "success"))))

    assert counted(state) == {("failed", "original"): 1, ("failed", "repair"): 1, ("success", "repair"): 1}
    assert state.open == {}


def test_history_comes_late(state: State) -> None:
    """A run that was counted without a history is not counted again when one tells its original by another millisecond."""
    state = fold(state, look(BEGINNING + 60, ended(1, BEGINNING + 1, BEGINNING + 30, "failed")))
    run = repaired(1, (None, BEGINNING + 1, BEGINNING + 30.004, "failed"), (11, BEGINNING + 70, BEGINNING + 80, "success"))

    state = fold(state, look(BEGINNING + 90, run))

    assert counted(state) == {("failed", "original"): 1, ("success", "repair"): 1}


def test_submitted_runs_go_together(state: State) -> None:
    """Runs of no saved job count as one, for each has a job id of its own; their tasks are not told."""
    task = {"task_key": "main", "start_time": milliseconds(BEGINNING + 1), "end_time": milliseconds(BEGINNING + 2)}
    one = ended(1, BEGINNING + 1, BEGINNING + 2, job=991, run_type="SUBMIT_RUN", tasks=[{**task, "status": over("success")}])
    two = ended(2, BEGINNING + 1, BEGINNING + 2, job=992, run_type="SUBMIT_RUN")

    state = fold(state, look(BEGINNING + 60, one, two))

    assert list(state.jobs) == [SUBMITTED]
    assert counted(state, SUBMITTED) == {("success", "original"): 2}
    assert state.jobs[SUBMITTED].tasks == {}


def test_active_runs_by_state(state: State) -> None:
    """Active runs by state with the start of the oldest, however old; queued ones by what they wait for."""
    state = fold(
        state,
        look(
            BEGINNING + 60,
            active=[
                going(1, BEGINNING - 90 * DAY),
                going(2, BEGINNING),
                going(3, BEGINNING, state="QUEUED", queue_details={"code": "MAX_CONCURRENT_RUNS_REACHED"}),
                going(4, BEGINNING, state="QUEUED", queue_details={"code": "SOMETHING_NEW"}),
            ],
        ),
    )

    assert active(state) == {
        (ORDERS, "running"): Active(2, BEGINNING - 90 * DAY),
        (ORDERS, "queued"): Active(2, BEGINNING),
    }
    assert queued(state) == {(ORDERS, "max_concurrent_runs_reached"): 1, (ORDERS, "other"): 1}

    state = fold(state, look(BEGINNING + 90, active=[going(2, BEGINNING)]))

    assert active(state) == {(ORDERS, "running"): Active(1, BEGINNING)}
    assert queued(state) == {}


def test_left_runs_are_asked_for(state: State) -> None:
    """A run that left the active list is asked for until its end is known; one that was asked in vain waits behind."""
    old = [going(run_id, BEGINNING - 30 * DAY) for run_id in (1, 2, 3, 4)]
    state = fold(state, look(BEGINNING + 60, active=old[:2]))
    state = fold(state, look(BEGINNING + 90, active=old[2:]))
    nothing: tuple[Run, ...] = ()

    assert left(state, old[2:], nothing, most=20) == (1, 2)
    assert left(state, nothing, old[3:], most=2) == (1, 2)
    assert left(state, old[2:], old[:1], most=20) == (2,)

    state = fold(state, look(BEGINNING + 120, active=old[3:], unanswered=frozenset({1, 2})))

    assert left(state, old[3:], nothing, most=1) == (3,)

    failed = ended(1, BEGINNING - 30 * DAY, BEGINNING + 70, "failed")
    state = fold(state, look(BEGINNING + 150, active=old[2:], fetched=[failed], gone=frozenset({2})))

    assert left(state, old[2:], nothing, most=20) == ()
    assert counted(state) == {("failed", "original"): 1}
    assert state.vanished == 1


def test_durations(state: State) -> None:
    """Each ending is timed, an original and a repair by their own times, and by phase."""
    single = ended(1, BEGINNING, BEGINNING + 95, setup_duration=25_000, execution_duration=70_000, queue_duration=None)
    state = fold(state, look(BEGINNING + 200, single))

    assert {phase: histogram.sum for phase, histogram in state.jobs[ORDERS].durations.items()} == {
        "whole": 95,
        "queue": 0,
        "setup": 25,
        "execution": 70,
        "cleanup": 0,
    }

    # It was queued as a whole; its tasks tell the other phases.
    times = {"start_time": milliseconds(BEGINNING + 8), "end_time": milliseconds(BEGINNING + 20)}
    task = {"task_key": "main", **times, "queue_duration": 2000, "execution_duration": 10_000, "status": over("success")}
    several = ended(3, BEGINNING, BEGINNING + 20, job=8, queue_duration=5000, execution_duration=0, tasks=[task])
    state = fold(state, look(BEGINNING + 200, several))

    assert {phase: histogram.sum for phase, histogram in state.jobs[8].durations.items()} == {
        "whole": 20,
        "queue": 5,
        "setup": 0,
        "execution": 10,
        "cleanup": 0,
    }

    again = repaired(2, (None, BEGINNING, BEGINNING + 4, "failed"), (11, BEGINNING + 50, BEGINNING + 80, "success"))
    state = fold(state, look(BEGINNING + 200, again))

    assert state.jobs[ORDERS].durations["whole"] == Buckets((1, 1, 0, 1, *[0] * 10), 129.0)


def test_tasks_are_counted(state: State) -> None:
    """A task's outcomes, attempts, phases, critical paths, root failures and iterations add up, an attempt of the run at a time."""

    def task(run_id: int, key: str, began: float, at: float, outcome: str, attempt: int = 0, **fields: Any) -> dict[str, Any]:
        times = {"start_time": milliseconds(BEGINNING + began), "end_time": milliseconds(BEGINNING + at)}
        own = {"run_id": run_id, "task_key": key, "attempt_number": attempt, "execution_duration": round((at - began) * 1000)}
        return {**own, **times, "status": over(outcome), **fields}

    stats = {"stats": {"task_run_stats": {"succeeded_iterations": 9, "failed_iterations": 1}}}
    first = [task(21, "read", 0, 10, "success", for_each_task=stats), task(22, "write", 10, 20, "failed")]
    first += [task(23, "write", 22, 30, "failed", 1)]
    second = [task(24, "write", 50, 60, "success", 2)]
    for one in (*first, *second):
        one["depends_on"] = [{"task_key": "read"}] if one["task_key"] == "write" else []
    history = [
        {**item(None, BEGINNING, BEGINNING + 31, "failed"), "task_run_ids": [21, 22, 23]},
        {**item(11, BEGINNING + 50, BEGINNING + 60, "success"), "task_run_ids": [24]},
    ]
    run = ended(1, BEGINNING, BEGINNING + 60, repair_history=history, tasks=[*first, *second])

    state = fold(state, look(BEGINNING + 90, run))

    rest = {"queue": 0.0, "setup": 0.0, "cleanup": 0.0}
    assert msgspec.to_builtins(state.jobs[ORDERS].tasks) == {
        "read": {
            "outcomes": {"success": 1},
            "attempts": 1,
            "seconds": 10.0,
            "phases": {**rest, "execution": 10.0},
            "iterations": {"succeeded": 9, "failed": 1},
            "critical": 1,
            "root_failures": 0,
        },
        "write": {
            "outcomes": {"failed": 1, "success": 1},
            "attempts": 3,
            "seconds": 18.0,
            "phases": {**rest, "execution": 28.0},
            "iterations": {},
            "critical": 2,
            "root_failures": 1,
        },
    }


def test_class_by_text(state: State) -> None:
    """A failure that would be counted is asked about once, by its root; what the text tells goes before the code."""
    tasks = [
        {"run_id": 21, "task_key": "read", "end_time": milliseconds(BEGINNING + 5), "status": over("failed")},
        {"run_id": 22, "task_key": "write", "end_time": milliseconds(BEGINNING + 5), "status": over("failed")},
    ]
    tasks[1]["depends_on"] = [{"task_key": "read"}]
    failed = ended(1, BEGINNING + 1, BEGINNING + 5, "failed", tasks=tasks)
    runs = (failed, ended(2, BEGINNING - 9, BEGINNING - 5, "failed"), ended(3, BEGINNING + 1, BEGINNING + 5))

    assert failures_to_explain(state, runs) == {(1, 0): (21,)}

    state = fold(state, look(BEGINNING + 60, *runs[::2], class_by_text={(1, 0): "oom"}))
    state = fold(state, look(BEGINNING + 90, *runs[::2]))

    assert state.jobs[ORDERS].last_failures == {"oom": BEGINNING + 5}
    assert failures_to_explain(state, runs) == {}


def test_plan_reaches_back(state: State) -> None:
    """The next look asks for what started since the last one, less a margin; after a long pause the sweep does the rest."""
    window = Window(BEGINNING, int((BEGINNING - 7 * DAY) * 1000), int((BEGINNING - 7 * DAY + HOUR) * 1000), 4)

    assert plan(state, BEGINNING) == Plan(int((BEGINNING - LAG) * 1000), window)

    state = fold(state, look(BEGINNING + 60))

    assert plan(state, BEGINNING + HOUR) == Plan(int((BEGINNING + 60 - LAG) * 1000), window)
    assert plan(state, BEGINNING + 9 * DAY).start_time_from == int((BEGINNING + 9 * DAY - REACH - LAG) * 1000)
    # A clock that was set back asks for what is new by the clock as it is.
    assert plan(state, BEGINNING - HOUR).start_time_from == int((BEGINNING - HOUR - LAG) * 1000)


def test_sweep_goes_on(state: State) -> None:
    """A window that was read whole is followed by the next, wider one; one that was not is tried narrower, then with more pages."""
    first = plan(state, BEGINNING, look_back=HOUR * 3).window
    state = fold(state, look(BEGINNING, swept=Swept(first, (), whole=True)), look_back=HOUR * 3)
    second = plan(state, BEGINNING, look_back=HOUR * 3).window
    start = int((BEGINNING - 3 * HOUR) * 1000)

    assert first == Window(BEGINNING, start, start + 3_600_000, 4)
    assert second == Window(BEGINNING, start + 3_600_000, start + 3 * 3_600_000, 4)

    for _ in range(12):
        window = plan(state, BEGINNING, look_back=HOUR * 3).window
        state = fold(state, look(BEGINNING, swept=Swept(window, (), whole=False)), look_back=HOUR * 3)

    # Still 1.757 s wide: half of that is less than the least.
    assert plan(state, BEGINNING, look_back=HOUR * 3).window == Window(BEGINNING, start + 3_600_000, start + 3_601_757, 4)

    for _ in range(2):
        window = plan(state, BEGINNING, look_back=HOUR * 3).window
        state = fold(state, look(BEGINNING, swept=Swept(window, (), whole=False)), look_back=HOUR * 3)

    assert plan(state, BEGINNING, look_back=HOUR * 3).window == Window(BEGINNING, start + 3_600_000, start + 3_601_757, 16)

    for _ in range(9):
        window = plan(state, BEGINNING, look_back=HOUR * 3).window
        state = fold(state, look(BEGINNING, swept=Swept(window, (), whole=False)), look_back=HOUR * 3)

    assert plan(state, BEGINNING, look_back=HOUR * 3).window.pages == 64


def test_width_follows_the_runs(state: State) -> None:
    """A window that held nearly all that fits is followed by a narrower one, so that few are read in vain."""
    runs = [ended(run_id, BEGINNING - 7 * DAY + 1, BEGINNING - 6 * DAY) for run_id in range(1, 101)]
    state = fold(state, look(BEGINNING, swept=Swept(plan(state, BEGINNING).window, runs, whole=True)))

    window = plan(state, BEGINNING).window

    assert window.start_time_to - window.start_time_from == 3_600_000 * 0.7


def test_sweep_of_another_time(state: State) -> None:
    """A window that is not the one that was planned counts what it holds, and moves no sweep."""
    window = plan(state, BEGINNING).window._replace(start_time_to=int(BEGINNING * 1000))

    swept = fold(state, look(BEGINNING + 9, swept=Swept(window, (ended(1, BEGINNING + 1, BEGINNING + 2),), whole=True)))

    assert (swept.swept_to_ms, swept.cycle, swept.complete_to) == (0, 0, 0)
    assert counted(swept) == {("success", "original"): 1}


def whole_cycle(state: State, at: float, *runs: Run, **rest: Any) -> State:
    """Sweeps until a cycle is complete, all runs in each window."""
    while True:
        window = plan(state, at).window
        state = fold(state, look(at, swept=Swept(window, runs, whole=True), **rest))
        if window.start_time_to == int(window.cycle * 1000):
            return state


def test_keys_are_forgotten(state: State) -> None:
    """Once a cycle has read all there is, keys of endings before it are forgotten, and those are not counted again."""
    early, late = ended(1, BEGINNING + 1, BEGINNING + 60), ended(2, BEGINNING + 1, BEGINNING + DAY)
    state = whole_cycle(state, BEGINNING + DAY, early, late)
    state = whole_cycle(state, BEGINNING + DAY + 60, early, late)
    state = whole_cycle(state, BEGINNING + DAY + 90, early, late)

    assert state.complete_to == BEGINNING + DAY - LAG
    assert list(state.ended) == [(2, 0)]
    assert state.started == {}
    assert counted(state) == {("success", "original"): 2}
    assert state.jobs[ORDERS].starts == {"periodic": 2}


def test_open_run_holds_the_sweep(state: State) -> None:
    """While the end of a run that left the active list is not known, nothing after it was last seen is taken as complete."""
    month = BEGINNING - 30 * DAY
    state = fold(state, look(BEGINNING + HOUR, active=[going(1, month)]))
    later = ended(2, BEGINNING + DAY, BEGINNING + 2 * DAY)
    for at in (DAY, 2 * DAY, 3 * DAY):
        state = whole_cycle(state, BEGINNING + at, later)

    assert state.complete_to == BEGINNING + HOUR - LAG

    state = fold(state, look(BEGINNING + 3 * DAY, fetched=[ended(1, month, BEGINNING + HOUR + 1, "failed")]))

    assert counted(state) == {("success", "original"): 1, ("failed", "original"): 1}


def test_told_again_with_another_time(state: State) -> None:
    """An ending that was counted and lies before all that is complete is not counted again when it is told a little later."""
    failed = ended(1, BEGINNING + 1, BEGINNING + DAY - LAG, "failed")
    last = ended(2, BEGINNING + 1, BEGINNING + DAY)
    for at in (DAY, DAY + 60):
        state = whole_cycle(state, BEGINNING + at, failed, last)

    assert state.complete_to == BEGINNING + DAY - LAG

    history = repaired(1, (None, BEGINNING + 1, BEGINNING + DAY - LAG + 5, "failed"), (11, BEGINNING + DAY, None, ""))
    state = fold(state, look(BEGINNING + DAY + 90, active=[history]))

    assert counted(state) == {("failed", "original"): 1, ("success", "original"): 1}


def test_pause_longer_than_the_look_back(state: State) -> None:
    """After a pause of a month the sweep reaches back to all that has begun since the last look was complete."""
    for at in (HOUR, HOUR + 60):
        state = whole_cycle(state, BEGINNING + at, ended(1, BEGINNING + 1, BEGINNING + HOUR))
    lost = ended(2, BEGINNING + 2 * HOUR, BEGINNING + 3 * HOUR, "failed")
    now = BEGINNING + 30 * DAY
    for _ in range(60):
        window = plan(state, now).window
        held = (lost,) if window.start_time_from <= lost.start_time <= window.start_time_to else ()  # type: ignore[operator]
        state = fold(state, look(now, swept=Swept(window, held, whole=True)))

    assert counted(state) == {("success", "original"): 1, ("failed", "original"): 1}


def test_clock_ahead(state: State) -> None:
    """A clock that ran a year ahead for a while makes nothing complete that Databricks has not told yet."""
    state = whole_cycle(state, BEGINNING + HOUR, ended(1, BEGINNING + 1, BEGINNING + 60))
    for _ in range(2):
        state = whole_cycle(state, BEGINNING + 365 * DAY)

    state = fold(state, look(BEGINNING + 2 * HOUR, ended(2, BEGINNING + HOUR, BEGINNING + 1.5 * HOUR)))

    assert counted(state) == {("success", "original"): 2}


def test_jobs_are_capped(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the cap the job that was not seen for longest goes, of those seen together a new one; its counts are told as forgotten."""
    monkeypatch.setattr(endings, "MAX_JOBS", 2)
    state = fold(
        state,
        look(BEGINNING + 60, ended(1, BEGINNING + 1, BEGINNING + 2, job=1), ended(2, BEGINNING + 1, BEGINNING + 2, job=2)),
    )
    state = fold(state, look(BEGINNING + 90, jobs=(2, 3)))

    assert sorted(state.jobs) == [2, 3]
    assert state.endings_forgotten == 1

    state = fold(state, look(BEGINNING + 120, jobs=(2, 3, 4)))

    assert sorted(state.jobs) == [2, 3]
    assert state.endings_forgotten == 1


def test_tasks_are_capped(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over either cap no new task is told; what was dropped is counted, and known tasks go on."""
    monkeypatch.setattr(endings, "MAX_TASKS_OF_JOB", 2)
    monkeypatch.setattr(endings, "MAX_TASKS", 3)

    def run(run_id: int, job: int, *keys: str) -> Run:
        times = {"start_time": milliseconds(BEGINNING + 1), "end_time": milliseconds(BEGINNING + 2)}
        tasks = [{"task_key": key, **times, "status": over("success")} for key in keys]
        return ended(run_id, BEGINNING + 1, BEGINNING + 2, job=job, tasks=tasks)

    state = fold(state, look(BEGINNING + 60, run(1, 1, "a", "b", "c"), run(2, 2, "a", "b"), run(3, 1, "a")))

    assert {job: {key: task.attempts for key, task in one.tasks.items()} for job, one in state.jobs.items()} == {
        1: {"a": 2, "b": 1},
        2: {"a": 1},
    }
    assert state.tasks_dropped == 2


def test_open_runs_and_keys_are_capped(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over their caps the open run that was missed for longest and the oldest keys go; nothing is counted twice for it."""
    monkeypatch.setattr(endings, "MAX_OPEN", 2)
    monkeypatch.setattr(endings, "MAX_KEYS", 2)
    state = fold(state, look(BEGINNING + 60, active=[going(9, BEGINNING - 1)]))
    runs = [ended(run_id, BEGINNING + run_id, BEGINNING + 10 + run_id) for run_id in (1, 2, 3)]
    state = fold(state, look(BEGINNING + 90, *runs, active=[going(7, BEGINNING - 1), going(8, BEGINNING - 1)]))

    assert sorted(state.open) == [7, 8]
    assert sorted(state.ended) == [(2, 0), (3, 0)]

    state = fold(state, look(BEGINNING + 120, *runs))

    assert counted(state) == {("success", "original"): 3}


def test_stored_and_read_again(state: State) -> None:
    """A state is read as it was written; another version and what is no state are refused."""
    run = repaired(1, (None, BEGINNING + 1, BEGINNING + 20, "failed"), (11, BEGINNING + 25, BEGINNING + 30, "success"))
    state = fold(state, look(BEGINNING + 60, run, active=[going(2, BEGINNING + 5, state="QUEUED")]))

    assert decoded(encoded(state)) == state
    with pytest.raises(ValueError, match=r"^state of job runs of version 99, 1 is understood$"):
        decoded(encoded(msgspec.structs.replace(state, version=99)))
    with pytest.raises(ValueError, match=r"^no state of job runs: Input data was truncated$"):
        decoded(encoded(state)[:50])
    with pytest.raises(StorageError, match=r"^state of job runs that can't be written: "):
        encoded(msgspec.structs.replace(state, open={2**70: Open(1, None, "running", None, 0.0)}))


# A world that knows nothing of the fold: what happens in it stands in its ledger.


@dataclass
class Attempt:
    repair_id: int | None
    began: float
    at: float
    outcome: str


@dataclass
class Happening:
    """A run and its attempts, one after the other; later ones are repairs."""

    run_id: int
    job: int
    attempts: list[Attempt]

    def seen(self, now: float, *, history: bool) -> Run:
        begun = [one for one in self.attempts if one.began <= now]
        items = [(one.repair_id, one.began, one.at if one.at <= now else None, one.outcome) for one in begun]
        if history or len(items) > 1:
            return repaired(self.run_id, *items, job=self.job)
        _, began, at, outcome = items[0]
        return ended(self.run_id, began, at, outcome, job=self.job) if at else going(self.run_id, began, self.job)

    def is_active(self, now: float) -> bool:
        return any(one.began <= now < one.at for one in self.attempts)


@dataclass
class World:
    """A workspace with days of runs: some take weeks, some are repaired, often between two looks."""

    draw: random.Random
    looked_back: float
    until: float
    happenings: list[Happening] = field(default_factory=list)

    def fill(self, number: int) -> None:
        for run_id in range(1, number + 1):
            began = self.draw.uniform(BEGINNING - 2 * self.looked_back, self.until)
            length = self.draw.choice((0.0, 5.0, 50.0, 2000.0, HOUR * 9, 3 * self.looked_back))
            attempts = [Attempt(None, began, began + self.draw.uniform(0.5, 1) * length, self.outcome())]
            while self.draw.random() < 0.5:
                at = attempts[-1].at + self.draw.choice((1.0, 700.0, HOUR))
                if at > began + self.looked_back / 2:
                    break  # what is repaired so late may be found by its active repair alone
                repair = len(self.happenings) * 100 + len(attempts)
                attempts.append(Attempt(repair, at, at + self.draw.choice((0.5, 300.0, HOUR)), self.outcome()))
            self.happenings.append(Happening(run_id, self.draw.choice((1, 2, 3)), attempts))

    def outcome(self) -> str:
        return self.draw.choice(("success", "failed", "canceled"))

    def listed(self, now: float, *, active: bool, begin: float = 0.0, end: float = 1e12) -> list[Run]:
        """As a listing: by the order of the day, some of them twice."""
        found = [
            one for one in self.happenings if begin <= one.attempts[0].began <= min(end, now) and one.is_active(now) is active
        ]
        self.draw.shuffle(found)
        again = found[: self.draw.choice((0, 0, 2))]
        return [one.seen(now, history=self.draw.random() < 0.5) for one in (*found, *again)]

    def ledger(self) -> tuple[Counter[tuple[int, str, str]], Counter[int]]:
        """Endings by job, outcome and attempt, and starts by job, of all that happened after the beginning."""
        endings = Counter(
            (one.job, attempt.outcome, "repair" if attempt.repair_id else "original")
            for one in self.happenings
            for attempt in one.attempts
            if round(attempt.at * 1000) / 1000 > BEGINNING
        )
        return endings, Counter(one.job for one in self.happenings if round(one.attempts[0].began * 1000) / 1000 > BEGINNING)


@dataclass
class Follower:
    """Looks at a world as the exporter will: some pages a window, some runs one by one, and what fails is tried later."""

    world: World
    state: State = field(default_factory=lambda: State(since=BEGINNING))
    looks: list[Observation] = field(default_factory=list)

    def look(self, now: float, *, luck: float = 1.0) -> None:
        world, back = self.world, self.world.looked_back
        start_time_from, window = plan(self.state, now, look_back=back)
        active = world.listed(now, active=True)
        completed = world.listed(now, active=False, begin=start_time_from / 1000)
        asked = left(self.state, active, completed, most=3)
        answered = [run_id for run_id in asked if world.draw.random() < luck]
        swept = None
        if world.draw.random() < luck:
            runs = world.listed(now, active=False, begin=window.start_time_from / 1000, end=window.start_time_to / 1000)
            most = window.pages * 2
            swept = Swept(window, runs[:most], whole=len(runs) <= most)
        by_id = {one.run_id: one for one in world.happenings}
        fetched = [by_id[run_id].seen(now, history=True) for run_id in answered]
        observation = Observation(now, active, completed, fetched, swept, unanswered=frozenset(asked) - frozenset(answered))
        self.looks.append(observation)
        self.state = fold(self.state, observation, look_back=back)

    def counted(self) -> tuple[Counter[tuple[int, str, str]], Counter[int]]:
        return totals(self.state)


def totals(state: State) -> tuple[Counter[tuple[int, str, str]], Counter[int]]:
    endings = {(job, *key): count for job, one in state.jobs.items() for key, count in one.endings.items()}
    starts = {job: sum(one.starts.values()) for job, one in state.jobs.items() if one.starts}
    return Counter(endings), Counter(starts)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((DAY, 3 * DAY)))
def test_the_ledger_is_counted(seed: int, looked_back: float) -> None:
    """Whatever happens, in whatever order it is told, with pauses, failures and restarts: what is counted is the ledger."""
    draw = random.Random(seed)
    world = World(draw, looked_back, until=BEGINNING + 4 * DAY)
    world.fill(draw.choice((3, 40)))
    follower = Follower(world)
    now = BEGINNING
    follower.look(now)
    stored = encoded(follower.state)
    while now < world.until:
        now += draw.choice((300.0, 1800.0, 1800.0, looked_back / 5))
        follower.look(now, luck=0.7)
        if draw.random() < 0.1:
            follower.state = decoded(stored)  # killed before the newest state was stored
        stored = encoded(follower.state)
    # All that began comes to its end, and the sweep has its time.
    now = max(attempt.at for one in world.happenings for attempt in one.attempts) + 1
    for _ in range(150):
        follower.look(now)
        now += 60.0

    assert follower.counted() == world.ledger()
    assert not follower.state.open


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_order_and_split_do_not_matter(seed: int) -> None:
    """The same answers, torn apart and shuffled, count the same."""
    draw = random.Random(seed)
    world = World(draw, 3 * DAY, until=BEGINNING + DAY)
    world.fill(20)
    follower = Follower(world)
    for step in range(30):
        follower.look(BEGINNING + step * HOUR)
    pieces = []
    for seen in follower.looks:
        runs = [*seen.active, *seen.completed, *seen.fetched, *(seen.swept.runs if seen.swept else ())]
        draw.shuffle(runs)
        cut = draw.randint(0, len(runs))
        pieces += [look(seen.at, *runs[:cut]), look(seen.at, active=runs[cut:])]
    draw.shuffle(pieces)
    state = State(since=BEGINNING)
    for piece in pieces:
        state = decoded(encoded(fold(state, piece)))

    assert totals(state) == follower.counted()


def test_keys_stay_few() -> None:
    """After each cycle of a sweep, keys of the last cycles alone are kept, however many runs there were."""
    world = World(random.Random(1), DAY, until=BEGINNING + 4 * DAY)
    world.fill(500)
    follower = Follower(world)
    for step in range(4 * 48):
        follower.look(BEGINNING + step * HOUR / 2)

    assert sum(one.attempts[0].at > BEGINNING for one in world.happenings) > 350
    assert len(follower.state.ended) < 150
    assert len(follower.state.started) < 150
