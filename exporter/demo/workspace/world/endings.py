"""The ways in which a run or a task can end, each in both vocabularies of Databricks: `status` and the older `state`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Ending:
    """`outcome` is the ledger's word; `life_cycle` and `result` are the old state's, `code` and `type` the new status's."""

    outcome: str
    life_cycle: str
    result: str | None
    code: str
    type: str
    message: str = ""


# A failed run tells the old state INTERNAL_ERROR while its new status is TERMINATED: Databricks does so, too.
def _failed(code: str, type: str, message: str) -> Ending:
    return Ending("failed", "INTERNAL_ERROR", "FAILED", code, type, message)


ENDINGS = {
    "success": Ending("success", "TERMINATED", "SUCCESS", "SUCCESS", "SUCCESS"),
    "success_with_failures": Ending(
        "success_with_failures", "TERMINATED", "SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES", "SUCCESS", "Some tasks failed."
    ),
    "failed": _failed("RUN_EXECUTION_ERROR", "CLIENT_ERROR", "A task of the run failed."),
    "timedout": Ending("timedout", "TERMINATED", "TIMEDOUT", "CANCELED", "CLIENT_ERROR", "The run passed its timeout."),
    "canceled_user": Ending("canceled", "TERMINATED", "CANCELED", "USER_CANCELED", "CLIENT_ERROR", "A user canceled the run."),
    "canceled": Ending("canceled", "TERMINATED", "CANCELED", "CANCELED", "INTERNAL_ERROR", "The platform canceled the run."),
    "skipped": Ending("skipped", "SKIPPED", None, "SKIPPED", "CLIENT_ERROR", "The run was skipped."),
    "max_concurrent": Ending(
        "skipped",
        "SKIPPED",
        "MAXIMUM_CONCURRENT_RUNS_REACHED",
        "MAX_CONCURRENT_RUNS_EXCEEDED",
        "CLIENT_ERROR",
        "The job already has as many active runs as it may have.",
    ),
    "max_queue": Ending(
        "skipped", "SKIPPED", None, "MAX_JOB_QUEUE_SIZE_EXCEEDED", "CLIENT_ERROR", "The queue of the job is full."
    ),
    "disabled": Ending("disabled", "TERMINATED", "DISABLED", "DISABLED", "CLIENT_ERROR", "All tasks are disabled."),
    "internal_error": Ending(
        "internal_error", "INTERNAL_ERROR", "FAILED", "INTERNAL_ERROR", "INTERNAL_ERROR", "The platform failed."
    ),
    "driver_error": _failed("DRIVER_ERROR", "CLIENT_ERROR", "The driver did not answer any more."),
    "cluster_error": _failed("CLUSTER_ERROR", "CLIENT_ERROR", "The cluster was lost."),
    "cloud_failure": _failed("CLOUD_FAILURE", "CLOUD_FAILURE", "The cloud gave no machine."),
    "invalid_cluster": _failed("INVALID_CLUSTER_REQUEST", "CLIENT_ERROR", "The cluster's definition is not valid."),
    "library": _failed("LIBRARY_INSTALLATION_ERROR", "CLIENT_ERROR", "A library could not be installed."),
    "repository": _failed("REPOSITORY_CHECKOUT_FAILED", "CLIENT_ERROR", "The repository could not be checked out."),
    "storage": _failed("STORAGE_ACCESS_ERROR", "CLIENT_ERROR", "The storage denied access."),
    "unauthorized": _failed("UNAUTHORIZED_ERROR", "CLIENT_ERROR", "The run's identity may not do this."),
    "not_found": _failed("RESOURCE_NOT_FOUND", "CLIENT_ERROR", "The notebook does not exist."),
    "configuration": _failed("INVALID_RUN_CONFIGURATION", "CLIENT_ERROR", "The run's parameters are not valid."),
    "workspace_limit": _failed("WORKSPACE_RUN_LIMIT_EXCEEDED", "CLIENT_ERROR", "The workspace runs as much as it may."),
    "cluster_limit": _failed("CLUSTER_REQUEST_LIMIT_EXCEEDED", "CLIENT_ERROR", "Too many clusters were asked for."),
    "contexts": _failed("MAX_SPARK_CONTEXTS_EXCEEDED", "CLIENT_ERROR", "The cluster holds as many contexts as it may."),
    "feature": _failed("FEATURE_DISABLED", "CLIENT_ERROR", "The feature is switched off in this workspace."),
    "budget": _failed("BUDGET_POLICY_LIMIT_EXCEEDED", "CLIENT_ERROR", "The budget is spent."),
    "breaking_change": _failed("BREAKING_CHANGE", "CLIENT_ERROR", "The source's schema changed."),
}
# Endings before anything ran: what is asked for is refused or can't be had.
REFUSALS: tuple[str, ...] = (
    "cloud_failure",
    "invalid_cluster",
    "library",
    "repository",
    "unauthorized",
    "not_found",
    "configuration",
)
REFUSALS += ("workspace_limit", "cluster_limit", "contexts", "feature", "budget", "internal_error", "disabled")
SKIPS = ("skipped", "max_concurrent", "max_queue")

_BAD = {
    "failed": 50,
    "success_with_failures": 6,
    "canceled_user": 8,
    "canceled": 3,
    "driver_error": 4,
    "cluster_error": 4,
    "storage": 3,
    "breaking_change": 2,
    "skipped": 2,
    **dict.fromkeys(REFUSALS, 1),
}
_BAD_NAMES, _BAD_WEIGHTS = list(_BAD), list(accumulate(_BAD.values()))


def drawn(draw: random.Random, bad_share: float) -> str:
    """The name of an ending: success, but in this share of cases one of the others."""
    if draw.random() >= bad_share:
        return "success"
    return draw.choices(_BAD_NAMES, cum_weights=_BAD_WEIGHTS)[0]
