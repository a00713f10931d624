"""Clusters: records that are folded from their events, and the scripts of what happens to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.runs import Run
from exporter.demo.workspace.world.sizes import DAY, HOUR, MINUTE, SECOND, Sizes

RUNTIMES = ("16.4.x-scala2.12", "15.4.x-scala2.12", "17.3.x-photon-scala2.13", "9.1.x-scala2.12", "7.3.x-scala2.12")
# How clusters end that nobody meant to end: type, code, parameters.
LOSSES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("CLOUD_FAILURE", "SPOT_INSTANCE_TERMINATION", {"aws_instance_state_reason": "Server.SpotInstanceTermination"}),
    ("CLOUD_FAILURE", "CLOUD_PROVIDER_RESOURCE_STOCKOUT", {"azure_error_code": "SkuNotAvailable"}),
    ("CLIENT_ERROR", "DRIVER_OUT_OF_MEMORY", {"databricks_error_message": "The driver ran out of memory."}),
    ("CLIENT_ERROR", "INIT_SCRIPT_FAILURE", {"instance_id": "i-0a1b2c3d", "databricks_error_message": "exit code 1"}),
    ("SERVICE_FAULT", "INTERNAL_ERROR", {}),
)


@dataclass(frozen=True)
class Reason:
    """Why a cluster terminated."""

    type: str
    code: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One line of a cluster's log, and what is true of the cluster from then on; times in epoch milliseconds."""

    at: int
    type: str
    state: str
    workers: int
    target: int
    cause: str | None = None
    reason: Reason | None = None
    message: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A cluster as its newest event left it; `least` and `most` workers differ where it scales by itself."""

    cluster_id: str
    name: str
    source: str
    runtime: str
    least: int
    most: int
    created: int
    spot: bool = False
    logs: bool = False
    pool_id: str | None = None
    run: Run | None = None
    state: str = "PENDING"
    workers: int = 0
    target: int = 0
    started: int = 0
    terminated: int = 0
    state_lost: int = 0
    driver_healthy: bool = True
    reason: Reason | None = None
    starts: int = 0

    @property
    def alive(self) -> bool:
        return self.state in {"RUNNING", "RESIZING"}


def after(cluster: Cluster, event: Event) -> Cluster:
    """The cluster as the event leaves it."""
    starts = event.type in {"CREATING", "STARTING"}
    ended = event.state == "TERMINATED"
    return replace(
        cluster,
        state=event.state,
        workers=event.workers,
        target=event.target,
        started=event.at if starts else cluster.started,
        terminated=0 if starts else event.at if ended and not cluster.terminated else cluster.terminated,
        state_lost=event.at if starts else cluster.state_lost,
        driver_healthy=event.type not in {"DRIVER_NOT_RESPONDING", "DRIVER_UNAVAILABLE"}
        and (cluster.driver_healthy or event.type in {"DRIVER_HEALTHY", "STARTING", "CREATING"}),
        reason=event.reason or (None if starts else cluster.reason),
        starts=cluster.starts + starts,
    )


def all_purpose(seed: int, sizes: Sizes, now_ms: int, pools: list[str]) -> list[Cluster]:
    """The clusters that people made: old and new runtimes, of a fixed size or scaling, on spot machines or not."""
    draw = random.Random(f"{seed}/clusters")
    found = []
    for number in range(sizes.clusters):
        least = draw.randrange(1, 4)
        found.append(
            Cluster(
                cluster_id=ids.cluster_id(draw),
                name=f"{draw.choice(('shared', 'analysts', 'streams', 'ml'))}-{number + 1}",
                source=draw.choice(("UI", "API")),
                runtime=RUNTIMES[number % len(RUNTIMES)],
                least=least,
                most=least + draw.choice((0, 6)),
                created=now_ms - draw.randrange(5, 200) * DAY,
                spot=number % 2 == 0,
                logs=number % 2 == 1,
                pool_id=pools[number % len(pools)] if pools and number % 3 == 0 else None,
            )
        )
    return found


def for_run(run: Run) -> Cluster:
    """The cluster that a job's run brings along."""
    draw = random.Random(run.run_id)
    return Cluster(
        cluster_id=ids.cluster_id(draw),
        name=f"job-{run.job.job_id}-run-{run.run_id}-main",
        source="JOB",
        runtime=RUNTIMES[run.job.job_id % 3],
        least=2,
        most=2 + 4 * (run.job.job_id % 2),
        created=run.attempts[0].began + run.attempts[0].queue,
        spot=run.job.job_id % 3 == 0,
        run=run,
    )


def life_of_job_cluster(cluster: Cluster, run: Run) -> Iterator[Event]:
    """From the run's setup to its end, then gone for good; a repair works on it without any more events."""
    original = run.attempts[0]
    size = cluster.least
    yield Event(cluster.created, "CREATING", "PENDING", 0, size)
    if original.ending in {"cloud_failure", "invalid_cluster", "library", "cluster_limit"}:
        loss = LOSSES[1] if original.ending == "cloud_failure" else LOSSES[3]
        yield from _ended(original.terminating, 0, Reason(*loss))
        return
    yield Event(original.executing, "RUNNING", "RUNNING", size, size)
    if original.ending == "cluster_error":
        yield Event(original.terminating, "NODES_LOST", "RUNNING", size - 1, size, message="Spot machines were taken away.")
        yield from _ended(original.terminating, size - 1, Reason(*LOSSES[0]))
        return
    if original.ending == "driver_error":
        yield Event(original.terminating, "DRIVER_UNAVAILABLE", "RUNNING", size, size)
    yield from _ended(original.ended, size, Reason("SUCCESS", "JOB_FINISHED"))


def life_of_all_purpose(draw: random.Random, cluster: Cluster, at: int) -> Iterator[Event]:
    """Without end: started, used, resized, struck, terminated, started again."""
    first = True
    while True:
        size = cluster.least
        yield Event(
            at, "CREATING" if first else "STARTING", "PENDING", 0, size, message=None if first else "someone@example.com"
        )
        first = False
        at += draw.randrange(60, 300) * SECOND
        yield Event(at, "RUNNING", "RUNNING", size, size)
        stop = at + int(draw.uniform(1, 9) * HOUR)
        reason = Reason("SUCCESS", "INACTIVITY", {"inactivity_duration_min": "60"})
        if chance(draw, 0.1):
            reason = Reason("SUCCESS", "USER_REQUEST", {"username": "someone@example.com"})
        elif chance(draw, 0.2):
            reason = Reason(*draw.choice(LOSSES))
        while True:
            at += int(draw.expovariate(1 / (40 * MINUTE))) + 2 * MINUTE
            if at >= stop:
                break
            for event in _incident(draw, cluster, at, size):
                size, at = event.workers, event.at
                yield event
        yield from _ended(at, size, reason)
        at += int(draw.uniform(0.2, 6) * HOUR)


def _incident(draw: random.Random, cluster: Cluster, at: int, size: int) -> Iterator[Event]:
    kind = draw.choices(("resize", "loss", "driver", "other"), weights=(50, 20, 15, 15))[0]
    if kind == "resize":
        target = draw.randrange(cluster.least, cluster.most + 1)
        if target == size:
            return
        yield Event(at, "RESIZING", "RESIZING", size, target, cause=draw.choice(("AUTOSCALE", "AUTOSCALE_V2", "USER_REQUEST")))
        took = at + draw.randrange(20, 200) * SECOND
        yield Event(took, "UPSIZE_COMPLETED" if target > size else "RUNNING", "RUNNING", target, target)
    elif kind == "loss":
        lost = "Spot machines were taken away." if cluster.spot else "A machine stopped answering."
        yield Event(at, "NODES_LOST", "RUNNING", size - 1, size, message=lost)
        yield Event(at + 5 * SECOND, "RESIZING", "RESIZING", size - 1, size, cause="AUTORECOVERY")
        yield Event(at + 90 * SECOND, "UPSIZE_COMPLETED", "RUNNING", size, size)
    elif kind == "driver":
        yield Event(at, "DRIVER_NOT_RESPONDING", "RUNNING", size, size, message="The driver is up but does not answer: GC?")
        yield Event(at + draw.randrange(30, 400) * SECOND, "DRIVER_HEALTHY", "RUNNING", size, size)
    else:
        yield Event(
            at, draw.choice(("AUTOSCALING_STATS_REPORT", "DID_NOT_EXPAND_DISK", "METASTORE_DOWN")), "RUNNING", size, size
        )


def _ended(at: int, workers: int, reason: Reason) -> Iterator[Event]:
    yield Event(at, "TERMINATING", "TERMINATING", workers, 0, reason=reason)
    # Databricks tells the end of a termination by the cluster's state alone: this event is in no log.
    yield Event(at + 10 * SECOND, "", "TERMINATED", 0, 0)
