"""Both vocabularies of the Jobs API mean what they say, and what is new in them breaks nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.databricks import runs
from exporter.databricks.runs import (
    FAILURE_CLASSES,
    FAILURES,
    NO_JOB,
    OUTCOMES,
    STATES,
    TRIGGERS,
    Ending,
    Run,
    TaskRun,
    endings,
    job,
    job_label,
    outcome,
    queue_reason,
    state,
    tasks,
    trigger,
)

AT = 1_767_225_600_000


def told(**fields: Any) -> Run:
    return msgspec.json.decode(json.dumps({"run_id": 1, **fields}), type=Run, strict=False)


def ended(code: str | None = None, kind: str | None = None, life_cycle: str | None = None, result: str | None = None) -> Run:
    """A run that is over, in the one vocabulary, the other, or both."""
    status = {"state": "TERMINATED", "termination_details": {"code": code, "type": kind}} if code else None
    old = {"life_cycle_state": life_cycle, "result_state": result} if life_cycle else None
    return told(start_time=AT, end_time=AT + 5000, status=status, state=old)


@pytest.mark.parametrize(
    ("run", "expected", "failure"),
    [
        (ended("SUCCESS", "SUCCESS", "TERMINATED", "SUCCESS"), "success", None),
        (ended(None, None, "TERMINATED", "SUCCESS"), "success", None),
        (ended("SUCCESS_WITH_FAILURES", "SUCCESS"), "success_with_failures", None),
        # A run one of whose tasks failed: the older vocabulary calls that an internal error.
        (ended("RUN_EXECUTION_ERROR", "CLIENT_ERROR", "INTERNAL_ERROR", "FAILED"), "failed", "user_code"),
        (ended(None, None, "INTERNAL_ERROR", "FAILED"), "failed", "unknown"),
        (ended("INTERNAL_ERROR", "INTERNAL_ERROR", "INTERNAL_ERROR", "FAILED"), "internal_error", "internal"),
        (ended(None, None, "INTERNAL_ERROR"), "internal_error", "internal"),
        (ended("CLOUD_FAILURE", "CLOUD_FAILURE"), "failed", "cloud"),
        (ended("CLUSTER_TERMINATED_BY_USER", "CLIENT_ERROR"), "failed", "canceled"),
        (ended("USER_CANCELED", "CLIENT_ERROR", "TERMINATED", "CANCELED"), "canceled", None),
        (ended("CANCELED", "INTERNAL_ERROR"), "canceled", None),
        # Details that only the older vocabulary has.
        (ended("CANCELED", "CLIENT_ERROR", "TERMINATED", "TIMEDOUT"), "timed_out", "timeout"),
        (ended("RUN_EXECUTION_ERROR", "CLIENT_ERROR", "TERMINATED", "UPSTREAM_FAILED"), "upstream_failed", "upstream"),
        (ended("CANCELED", "CLIENT_ERROR", "TERMINATED", "UPSTREAM_CANCELED"), "upstream_canceled", None),
        (ended("SKIPPED", "CLIENT_ERROR", "TERMINATED", "EXCLUDED"), "excluded", None),
        (ended("DISABLED", "CLIENT_ERROR", "TERMINATED", "DISABLED"), "disabled", None),
        # They disagree: the newer one is believed.
        (ended("SUCCESS", "SUCCESS", "TERMINATED", "TIMEDOUT"), "success", None),
        (ended("SUCCESS", "SUCCESS", "TERMINATED", "FAILED"), "success", None),
        (ended("SKIPPED", "CLIENT_ERROR", "SKIPPED"), "skipped", None),
        (ended(None, None, "SKIPPED"), "skipped", None),
        (ended("MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR", "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"), "skipped", None),
        (ended("MAX_JOB_QUEUE_SIZE_EXCEEDED", "CLIENT_ERROR"), "skipped", None),
        # New words: the older vocabulary decides, else nothing does.
        (ended("BRAND_NEW", "CLOUD_FAILURE", "TERMINATED", "FAILED"), "failed", "cloud"),
        (ended("BRAND_NEW", "CLIENT_ERROR", "TERMINATED", "FAILED"), "failed", "unknown"),
        (ended("BRAND_NEW", "BRAND_NEW", "TERMINATED", "BRAND_NEW"), "other", None),
    ],
)
def test_outcome(run: Run, expected: str, failure: str | None) -> None:
    """What a run tells of its end is one of a closed set of outcomes, and a failure has a class."""
    assert outcome(run) == expected
    assert endings(run) == (Ending(1, 0, AT / 1000, AT / 1000 + 5, expected, failure),)


CODES = (
    "BREAKING_CHANGE",
    "BUDGET_POLICY_LIMIT_EXCEEDED",
    "CLOUD_FAILURE",
    "CLUSTER_ERROR",
    "CLUSTER_REQUEST_LIMIT_EXCEEDED",
    "CLUSTER_TERMINATED_BY_USER",
    "DRIVER_ERROR",
    "FEATURE_DISABLED",
    "INTERNAL_ERROR",
    "INVALID_CLUSTER_REQUEST",
    "INVALID_RUN_CONFIGURATION",
    "LIBRARY_INSTALLATION_ERROR",
    "MAX_SPARK_CONTEXTS_EXCEEDED",
    "REPOSITORY_CHECKOUT_FAILED",
    "RESOURCE_NOT_FOUND",
    "RUN_EXECUTION_ERROR",
    "STORAGE_ACCESS_ERROR",
    "UNAUTHORIZED_ERROR",
    "WORKSPACE_RUN_LIMIT_EXCEEDED",
)


@pytest.mark.parametrize("code", CODES)
def test_codes_of_failures(code: str) -> None:
    """Each of Databricks' codes for what went wrong is a failure whose class is known."""
    (ending,) = endings(ended(code, "CLIENT_ERROR"))

    assert ending.outcome in FAILURES
    assert ending.failure in {*FAILURE_CLASSES} - {"unknown"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": {"state": "RUNNING"}}, "running"),
        ({"status": {"state": "QUEUED"}, "state": {"life_cycle_state": "PENDING"}}, "queued"),
        ({"state": {"life_cycle_state": "WAITING_FOR_RETRY"}}, "waiting"),
        ({"status": {"state": "TERMINATING"}, "end_time": 0}, "terminating"),
        ({"status": {"state": "TERMINATED"}}, None),
        ({"state": {"life_cycle_state": "INTERNAL_ERROR"}}, None),
        ({"state": {"life_cycle_state": "SKIPPED"}}, None),
        ({"status": {"state": "BRAND_NEW"}, "state": {"life_cycle_state": "BLOCKED"}}, "blocked"),
        ({"status": {"state": "BRAND_NEW"}, "end_time": "0"}, "other"),
        ({"status": {"state": "BRAND_NEW"}, "end_time": str(AT)}, None),
        ({}, "other"),
    ],
)
def test_state(fields: dict[str, Any], expected: str | None) -> None:
    """How far a run is, in either vocabulary; of a new word an end that is told decides."""
    assert state(told(**fields)) == expected


def test_not_told_whole() -> None:
    """A run that is over and tells no end yet has no ending, but a skipped one ends where it starts."""
    over = {"state": "TERMINATED", "termination_details": {"code": "RUN_EXECUTION_ERROR"}}

    assert endings(told(start_time=AT, end_time=0, status=over)) == ()
    assert endings(told(start_time=AT, end_time=0, state={"life_cycle_state": "SKIPPED"})) == (
        Ending(1, 0, AT / 1000, AT / 1000, "skipped", None),
    )
    assert endings(told(end_time=AT, status=over)) == (Ending(1, 0, AT / 1000, AT / 1000, "failed", "user_code"),)


def test_history() -> None:
    """Each item of the history that has ended is an ending, also while the run goes on; broken items cost themselves."""
    failed = {"state": "TERMINATED", "termination_details": {"code": "DRIVER_ERROR"}}
    run = told(
        start_time=str(AT),
        status={"state": "RUNNING"},
        repair_history=[
            None,
            {"type": "ORIGINAL", "id": 5, "start_time": str(AT), "end_time": str(AT + 5000), "status": failed},
            {
                "type": "REPAIR",
                "id": "77",
                "start_time": AT + 6000,
                "end_time": AT + 7000,
                "state": {"life_cycle_state": "TERMINATED", "result_state": "CANCELED"},
            },
            {"type": "REPAIR", "id": "78", "start_time": AT + 8000, "end_time": 0, "status": {"state": "RUNNING"}},
        ],
    )

    assert endings(run) == (
        Ending(1, 0, AT / 1000, AT / 1000 + 5, "failed", "driver"),
        Ending(1, 77, AT / 1000 + 6, AT / 1000 + 7, "canceled", None),
    )


def test_tasks_of_an_attempt() -> None:
    """An attempt's tasks are those that its item names, else those that began in its time; all where there is one attempt."""
    one, two, three = ({"run_id": run_id, "start_time": AT + run_id * 1000} for run_id in (1, 2, 3))
    first, second = (
        {"type": "ORIGINAL", "start_time": AT, "end_time": AT + 2500},
        {"type": "REPAIR", "id": 77, "start_time": AT + 3000, "end_time": AT + 9000},
    )

    def ids(history: list[dict[str, Any]], repair_id: int) -> list[int | None]:
        return [task.run_id for task in tasks(told(tasks=[one, None, two, three], repair_history=history), repair_id)]

    assert ids([], 0) == [1, 2, 3]
    assert ids([first], 0) == [1, 2, 3]
    assert ids([first, second], 0) == [1, 2]
    assert ids([first, second], 77) == [3]
    assert ids([{**first, "task_run_ids": ["1"]}, {**second, "task_run_ids": ["2", "3"]}], 77) == [2, 3]


def test_labels() -> None:
    """Triggers, reasons to queue and jobs are bounded: what is new is `other`, and runs of no saved job share one label."""
    queued = {"state": "QUEUED", "queue_details": {"code": "ACTIVE_RUNS_LIMIT_REACHED"}}

    assert [trigger(told(trigger=word)) for word in ("PERIODIC", "JOB_COMPLETION", "BRAND_NEW", None)] == [
        "periodic",
        "job_completion",
        "other",
        "other",
    ]
    assert queue_reason(told(status=queued)) == "active_runs_limit_reached"
    assert queue_reason(told(state={"life_cycle_state": "QUEUED"})) == "other"
    assert queue_reason(told(status={**queued, "state": "RUNNING"})) is None
    assert [job(told(job_id="55", run_type=kind)) for kind in ("JOB_RUN", "SUBMIT_RUN", "WORKFLOW_RUN", None)] == [55, 0, 0, 55]
    assert job(told()) == NO_JOB
    assert [job_label(55), job_label(NO_JOB)] == ["55", "submit"]


WORDS = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.sampled_from([*CODES, *runs._CODES, *runs._RESULTS, "RUNNING", "QUEUED", "SKIPPED", "TERMINATED"]),
)
NUMBERS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@given(WORDS, WORDS, WORDS, WORDS, NUMBERS, NUMBERS)
def test_anything(
    one: str | None, two: str | None, three: str | None, four: str | None, begin: int | None, end: int | None
) -> None:
    """Whatever is told, all that is made of it is in the closed sets."""
    run = told(
        status={"state": one, "termination_details": {"code": two, "type": three}, "queue_details": {"code": four}},
        state={"life_cycle_state": three, "result_state": four},
        start_time=begin,
        end_time=end,
        trigger=one,
    )

    assert outcome(run) in OUTCOMES
    assert state(run) in {*STATES, None}
    assert trigger(run) in TRIGGERS
    assert queue_reason(run) in {*runs.QUEUE_REASONS, None}
    assert all(ending.failure in {*FAILURE_CLASSES, None} for ending in endings(run))


def test_null_and_missing_are_one() -> None:
    """A task run may leave out, or tell as null, all that it has."""
    assert msgspec.json.decode(b'{"depends_on": null, "status": null, "run_id": null}', type=TaskRun, strict=False) == TaskRun()
