"""Clusters and their events as documents, and the endpoints below /api/2.1/clusters."""

from __future__ import annotations

from typing import Any

from exporter.demo.workspace.answers import pages
from exporter.demo.workspace.answers.requests import Document, Request, given, invalid
from exporter.demo.workspace.answers.runs import spark_context
from exporter.demo.workspace.world.clusters import RUNTIMES, Cluster, Event, Reason
from exporter.demo.workspace.world.sizes import DAY, SECOND
from exporter.demo.workspace.world.world import World

LISTED = 30 * DAY
READABLE = 60 * DAY
CORES, MEMORY_MB = 4, 16_384


def listing(world: World, request: Request) -> Document:
    """GET clusters/list: those that live, and those that ended within 30 days, job clusters too; filtered and sorted."""
    states = set(request.query.get("filter_by.cluster_states", ()))
    sources = set(request.query.get("filter_by.cluster_sources", ()))
    pinned, policy = request.boolean("filter_by.is_pinned"), request.text("filter_by.policy_id")
    # Of thousands that ended, few live: who asks for those alone need not wait for the others.
    ids = world.alive if states and not states & {"TERMINATED", "UNKNOWN", "ERROR"} else world.clusters
    found = [
        cluster
        for cluster in map(world.clusters.__getitem__, ids)
        if (not states or cluster.state in states)
        and (not sources or cluster.source in sources)
        and (not cluster.terminated or cluster.terminated > world.now_ms - LISTED)
        and not policy
        and (not pinned or _pinned(cluster))
    ]
    field, direction = request.text("sort_by.field"), request.text("sort_by.direction")
    order = _by_name if field == "CLUSTER_NAME" else _by_life
    limit = request.limit("page_size", 20, 100)
    return pages.listed(request, "clusters", found, order, lambda one: _cluster(world, one), limit, falling=direction == "DESC")


def one(world: World, request: Request) -> Document:
    """GET clusters/get: readable until 60 days after its end."""
    return _cluster(world, _found(world, request.text("cluster_id")))


def events(world: World, request: Request) -> Document:
    """POST clusters/events: with `page_size` or `page_token` in pages by token, else by the older `limit` and `offset`."""
    body = request.body
    cluster = _found(world, body.get("cluster_id"))
    since, until = _integer(body, "start_time", 0), _integer(body, "end_time", world.now_ms)
    types, order = set(body.get("event_types") or ()), body.get("order", "DESC")
    if order not in {"ASC", "DESC"}:
        raise invalid(f"Invalid order: {order}")
    kept = [
        event
        for event in world.cluster_events[cluster.cluster_id]
        if since <= event.at <= until and (not types or event.type in types) and _kept(world, cluster)
    ]
    numbered = list(enumerate(kept))
    if order == "DESC":
        numbered.reverse()
    if "page_size" in body or "page_token" in body:
        return _new_page(request, cluster, numbered)
    limit, offset = _integer(body, "limit", 50), _integer(body, "offset", 0)
    if not 0 <= limit <= 500:  # noqa: PLR2004
        raise invalid(f"Invalid limit {limit} - it has to be no more than 500")
    taken = [_event(cluster, event) for _, event in numbered[offset : offset + limit]]
    more = offset + limit < len(numbered)
    following = {**body, "offset": offset + limit, "limit": limit, "order": order}
    return given({"events": taken, "total_count": len(numbered), "next_page": following if more else None})


def versions() -> Document:
    """GET clusters/spark-versions: the newer runtimes; the oldest clusters run on one that is no longer here."""
    return {"versions": [{"key": key, "name": f"Runtime {key}"} for key in RUNTIMES[:3]]}


def _new_page(request: Request, cluster: Cluster, numbered: list[tuple[int, Event]]) -> Document:
    size = _integer(request.body, "page_size", 50)
    if not 0 <= size <= 500:  # noqa: PLR2004
        raise invalid(f"Invalid page_size {size} - it has to be no more than 500")
    asked = request.body.get("page_token")
    rest = pages.behind(request, numbered, lambda pair: [pair[0]], asked)
    taken, following = pages.cut(request, rest, size or 50, asked)
    return pages.paged({"events": [_event(cluster, event) for _, event in taken]}, following)


def _by_life(cluster: Cluster) -> list[Any]:
    return [cluster.state == "TERMINATED", -cluster.created, cluster.cluster_id]


def _by_name(cluster: Cluster) -> list[Any]:
    return [cluster.name, cluster.cluster_id]


def _integer(body: Document, name: str, default: int) -> int:
    try:
        return int(body.get(name, default))
    except (TypeError, ValueError):
        raise invalid(f"Parameter {name} is no integer: {body[name]}") from None


def _found(world: World, cluster_id: Any) -> Cluster:
    cluster = world.clusters.get(str(cluster_id))
    if cluster is None or (cluster.terminated and cluster.terminated < world.now_ms - READABLE):
        raise invalid(f"Cluster {cluster_id} does not exist.")
    return cluster


def _kept(world: World, cluster: Cluster) -> bool:
    return not cluster.terminated or cluster.terminated > world.now_ms - LISTED


def _pinned(cluster: Cluster) -> bool:
    return cluster.source == "UI"


def _cluster(world: World, cluster: Cluster) -> Document:
    nodes = cluster.workers if cluster.alive else 0
    scaling = cluster.most > cluster.least
    run = cluster.run
    tags = {
        "Vendor": "Databricks",
        "Creator": "someone@example.com",
        "ClusterName": cluster.name,
        "ClusterId": cluster.cluster_id,
    }
    tags |= {"JobId": str(run.job.job_id), "RunName": run.job.name} if run else {}
    return given(
        {
            "cluster_id": cluster.cluster_id,
            "cluster_name": cluster.name,
            "cluster_source": cluster.source,
            "creator_user_name": "someone@example.com",
            "spark_version": cluster.runtime,
            "effective_spark_version": cluster.runtime,
            "spark_context_id": spark_context(cluster) if cluster.starts else None,
            "runtime_engine": "PHOTON" if "photon" in cluster.runtime else "STANDARD",
            "state": cluster.state,
            "state_message": cluster.reason.code if cluster.reason else "",
            "autoscale": {"min_workers": cluster.least, "max_workers": cluster.most} if scaling else None,
            "num_workers": None if scaling else cluster.least,
            "cluster_cores": float((nodes + 1) * CORES) if cluster.alive else None,
            "cluster_memory_mb": (nodes + 1) * MEMORY_MB if cluster.alive else None,
            "driver": _node(cluster, 0) if cluster.alive else None,
            "executors": [_node(cluster, number) for number in range(1, nodes + 1)] if cluster.alive else None,
            "driver_healthy": cluster.driver_healthy if cluster.alive else None,
            "node_type_id": "m5d.xlarge",
            "driver_node_type_id": "m5d.xlarge",
            "instance_pool_id": cluster.pool_id,
            "aws_attributes": {"availability": "SPOT_WITH_FALLBACK" if cluster.spot else "ON_DEMAND", "first_on_demand": 1},
            "autotermination_minutes": 0 if run else 60,
            "data_security_mode": "SINGLE_USER",
            "default_tags": tags,
            "custom_tags": run.job.tags or None if run else {"team": "core"},
            "spark_conf": {"spark.secret.password": "{{secrets/scope/key}}"},
            "cluster_log_conf": {"dbfs": {"destination": "dbfs:/cluster-logs"}} if cluster.logs else None,
            "cluster_log_status": _log_status(world, cluster) if cluster.logs and cluster.alive else None,
            "pinned_by_user_name": "someone@example.com" if _pinned(cluster) else None,
            "start_time": cluster.created,
            "last_restarted_time": cluster.started,
            "last_state_loss_time": cluster.state_lost,
            "last_activity_time": cluster.started or None,
            "terminated_time": cluster.terminated or None,
            "termination_reason": _reason(cluster.reason) if cluster.reason else None,
        }
    )


def _node(cluster: Cluster, number: int) -> Document:
    return {
        "node_id": f"{cluster.cluster_id}-{number}",
        "instance_id": f"i-{number:08x}",
        "private_ip": f"10.0.0.{number + 4}",
        "start_timestamp": cluster.started,
        "node_aws_attributes": {"is_spot": cluster.spot and number > 0},
    }


def _log_status(world: World, cluster: Cluster) -> Document:
    broken = "AccessDenied" if cluster.least == 1 else None
    return given({"last_attempted": world.now_ms - 90 * SECOND, "last_exception": broken})


def _reason(reason: Reason) -> Document:
    return {"type": reason.type, "code": reason.code, "parameters": reason.parameters}


def _event(cluster: Cluster, event: Event) -> Document:
    sized = event.type in {"RESIZING", "RUNNING", "UPSIZE_COMPLETED", "NODES_LOST"}
    scaling = cluster.most > cluster.least
    size = (
        {"autoscale": {"min_workers": cluster.least, "max_workers": cluster.most}}
        if scaling
        else {"num_workers": cluster.least}
    )
    driver = event.type.startswith("DRIVER")
    details = given(
        {
            "cause": event.cause,
            "current_num_workers": event.workers if sized else None,
            "target_num_workers": event.target if sized else None,
            "reason": _reason(event.reason) if event.reason else None,
            "driver_state_message": event.message if driver else None,
            "user": event.message if event.type == "STARTING" else None,
            "cluster_size": size if event.type in {"CREATING", "STARTING"} else None,
            "job_run_name": cluster.name if cluster.run and event.type == "CREATING" else None,
        }
    )
    return {"cluster_id": cluster.cluster_id, "timestamp": event.at, "type": event.type, "details": details}
