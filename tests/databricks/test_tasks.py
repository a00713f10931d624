"""The critical path explains every second of a run, and blame falls on those who failed first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.databricks.runs import (
    Dependency,
    ForEachStats,
    ForEachTask,
    IterationStats,
    OldState,
    Status,
    TaskRun,
    TerminationDetails,
)
from exporter.databricks.tasks import CriticalPath, Step, Task, critical_path, path_phases, read_tasks

NOTHING = (0.0, 0.0, 0.0, 0.0)
SUCCESS = Status("TERMINATED", TerminationDetails("SUCCESS", "SUCCESS"))
FAILED = Status("TERMINATED", TerminationDetails("RUN_EXECUTION_ERROR", "CLIENT_ERROR"))
RUNNING = Status("RUNNING")


def task(key: str, began: int, ended: int, *after: str, status: Status = SUCCESS, **fields: Any) -> TaskRun:
    """A task that ran between two seconds of 1970; those that end at 0 go on."""
    depends_on = tuple(Dependency(other) for other in after)
    return TaskRun(task_key=key, start_time=began * 1000, end_time=ended * 1000, depends_on=depends_on, status=status, **fields)


UPSTREAM = OldState("TERMINATED", "UPSTREAM_FAILED")


def test_critical_path() -> None:
    """From the task that ended last, back to the dependency that ended last; waiting and retries before each."""
    path = critical_path(
        [
            task("read", 12, 30),
            task("lookup", 12, 20),
            task("join", 33, 40, "read", "lookup", status=FAILED, attempt_number=0),
            task("join", 45, 70, "read", "lookup", attempt_number=1),
            task("report", 71, 80, "join"),
            task("audit", 30, 79, "read"),
        ],
        10,
        82,
    )

    assert path == CriticalPath(
        (Step("read", 2, 0, 18, NOTHING), Step("join", 8, 7, 25, NOTHING), Step("report", 1, 0, 9, NOTHING)),
        2,
    )


def test_tasks_that_never_ran() -> None:
    """A task that never ran leads from one step to another, and is none itself."""
    path = critical_path(
        [
            task("read", 10, 30, status=FAILED),
            task("write", 31, 31, "read", status=FAILED, state=UPSTREAM),
            task("tell", 32, 40, "write"),
            task("last", 40, 40, "tell", status=FAILED, state=UPSTREAM),
        ],
        10,
        40,
    )

    assert path == CriticalPath((Step("read", 0, 0, 20, NOTHING), Step("tell", 2, 0, 8, NOTHING)), 0)


def test_order_of_attempts() -> None:
    """The last attempt is the one with the highest number, wherever it stands; attempts that overlap fill no more than the gap."""
    path = critical_path([task("a", 16, 20, attempt_number=2), task("a", 11, 15), task("a", 11, 16, attempt_number=1)], 10, 20)

    assert path == CriticalPath((Step("a", 0, 6, 4, NOTHING),), 0)


def test_ends_together() -> None:
    """Of tasks that end together the path ends with one that ran."""
    path = critical_path([task("b", 10, 30), task("a", 10, 40), task("z", 40, 40, "b", status=FAILED, state=UPSTREAM)], 10, 40)

    assert path == CriticalPath((Step("a", 0, 0, 30, NOTHING),), 0)


def test_did_not_hold_back() -> None:
    """A dependency that went on while the task ran already (run_if) is not on its path."""
    path = critical_path([task("slow", 10, 50), task("quick", 10, 20), task("any", 22, 60, "slow", "quick")], 10, 60)

    assert [step.key for step in path.steps] == ["quick", "any"]


def test_phases_along_the_path() -> None:
    """Phases are those of last attempts along the path, in seconds."""
    path = critical_path(
        [
            task("read", 1, 31, setup_duration=20_000, execution_duration=9_000, cleanup_duration=1_000),
            task("beside", 1, 4, setup_duration=1_000, execution_duration=2_000),
            task("write", 31, 36, "read", status=FAILED, execution_duration=5_000, attempt_number=0),
            task("write", 36, 46, "read", queue_duration=500, execution_duration=9_500, attempt_number=1),
        ],
        1,
        46,
    )

    assert path_phases(path) == {"queue": 0.5, "setup": 20.0, "execution": 18.5, "cleanup": 1.0}


def test_read_tasks() -> None:
    """Each task by its last attempt; the root failure is the one that waited for no failed one; what goes on is left out."""
    stats = ForEachTask(ForEachStats(IterationStats(succeeded_iterations=8, failed_iterations=2)))
    all_tasks = [
        task("each", 10, 20, "read", for_each_task=stats, status=FAILED, run_id=3),
        task("read", 1, 4, status=FAILED, attempt_number=0, run_id=1, execution_duration=3000),
        task("read", 5, 9, attempt_number=1, run_id=2, execution_duration=4000, setup_duration=-5),
        task("write", 0, 20, "each", status=FAILED, state=UPSTREAM),
        task("notify", 20, 21, "write", status=FAILED),
        task("going", 12, 0, "read", status=RUNNING),
    ]

    tasks = read_tasks(all_tasks, critical_path(all_tasks, 1, 21))

    none = {"queue": 0.0, "setup": 0.0, "execution": 0.0, "cleanup": 0.0}
    assert tasks == (
        Task("each", 3, "failed", 1, 10.0, none, {"succeeded": 8, "failed": 2}, root_failure=True, critical=True),
        Task("notify", None, "failed", 1, 1.0, none, {}, root_failure=False, critical=True),
        Task("read", 2, "success", 2, 4.0, {**none, "execution": 7.0}, {}, root_failure=False, critical=True),
        Task("write", None, "upstream_failed", 0, 0.0, none, {}, root_failure=False, critical=False),
    )


def test_iterations_that_lie() -> None:
    """A count of iterations below 0 or beyond all reason does not spoil the sum."""
    stats = ForEachTask(ForEachStats(IterationStats(succeeded_iterations=2**62, failed_iterations=-3)))

    (each,) = read_tasks([task("each", 1, 2, for_each_task=stats)], CriticalPath((), 0))

    assert each.iterations == {"succeeded": 1_000_000, "failed": 0}


def test_tasks_in_a_circle() -> None:
    """Tasks that wait for one another end the path instead of going round."""
    path = critical_path([task("a", 5, 5, "b"), task("b", 5, 5, "a"), task("c", 5, 9, "a", "c")], 5, 9)

    assert path == CriticalPath((Step("c", 0, 0, 4, NOTHING),), 0)


def test_no_tasks() -> None:
    """An attempt that tells no tasks is all rest."""
    assert critical_path([], 10, 25) == CriticalPath((), 15)
    assert read_tasks([], CriticalPath((), 15)) == ()


GAPS = st.integers(0, 5)


@st.composite
def finished_runs(draw: st.DrawFn) -> tuple[list[TaskRun], int]:
    """Task runs of an attempt that began at 100, and its end; each task begins after all that it waits for, some after retries."""
    ends: dict[str, int] = {}
    made: list[TaskRun] = []
    for number in range(draw(st.integers(1, 8))):
        after = draw(st.lists(st.sampled_from(sorted(ends)), max_size=3, unique=True)) if ends else []
        at = max((ends[key] for key in after), default=100)
        for attempt in range(draw(st.integers(1, 3))):
            began = at + draw(GAPS)
            at = began + draw(GAPS)
            made.append(task(f"t{number}", began, at, *after, attempt_number=attempt))
        ends[f"t{number}"] = at
    return draw(st.permutations(made)), max(ends.values()) + draw(GAPS)


@given(finished_runs())
def test_path_is_the_whole_time(run: tuple[list[TaskRun], int]) -> None:
    """Waiting, retries and running along the path, and the rest, are every second of the attempt, and none is below 0."""
    task_runs, ended = run

    path = critical_path(task_runs, 100, ended)

    parts = [part for step in path.steps for part in (step.waited, step.retried, step.ran)] + [path.rest]
    assert sum(parts) == ended - 100
    assert min(parts) >= 0


@given(
    st.lists(
        st.builds(
            task,
            st.sampled_from("abc"),
            st.integers(-9, 9),
            st.integers(-9, 9),
            st.sampled_from("abc"),
            status=st.sampled_from([SUCCESS, FAILED, RUNNING]),
        ),
        max_size=6,
    )
)
def test_times_that_lie(task_runs: list[TaskRun]) -> None:
    """Whatever times are told, no part of a path is below 0."""
    path = critical_path(task_runs, 0, 5)

    assert min([part for step in path.steps for part in (step.waited, step.retried, step.ran)] + [path.rest]) >= 0
    assert all(one.seconds >= 0 for one in read_tasks(task_runs, path))
