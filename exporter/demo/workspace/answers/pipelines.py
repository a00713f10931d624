"""Pipelines, their updates and their events as documents, and the endpoints below /api/2.0/pipelines."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, timezone

from exporter.demo.workspace.answers import pages
from exporter.demo.workspace.answers.requests import Document, RefusedError, Request, given, invalid
from exporter.demo.workspace.world.pipelines import Log, PipelineEvent, Update
from exporter.demo.workspace.world.sizes import SECOND
from exporter.demo.workspace.world.world import World

LATEST_UPDATES = 5
_STATES = {"RUNNING": "RUNNING", "STOPPING": "STOPPING", "RESETTING": "RESETTING", "COMPLETED": "IDLE", "CANCELED": "IDLE"}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


def listing(world: World, request: Request) -> Document:
    """GET pipelines: `filter` is by name or by notebook, not both."""
    found = list(world.pipelines.values())
    if text := request.text("filter"):
        like = re.fullmatch(r"\s*name\s+LIKE\s+'(.*)'\s*", text, re.IGNORECASE)
        if not like and not re.fullmatch(r"\s*notebook\s*=\s*'.*'\s*", text):
            raise invalid(f"Invalid filter: {text}")
        pattern = ".*".join(map(re.escape, like[1].split("%"))) if like else None
        found = [log for log in found if pattern is not None and re.fullmatch(pattern, log.pipeline.name)]
    order = request.text("order_by")
    if order not in {None, "name asc", "name desc", "id asc", "id desc"}:
        raise invalid(f"Invalid order_by: {order}")
    by_name, falling = (order or "").startswith("name"), (order or "").endswith("desc")

    def place(log: Log) -> list[str]:
        return [log.pipeline.name if by_name else "", log.pipeline.pipeline_id]

    limit = request.limit("max_results", 25, 100)
    return pages.listed(request, "statuses", found, place, _pipeline, limit, falling=falling)


def one(world: World, pipeline_id: str) -> Document:
    """GET pipelines/{id}."""
    log = _found(world, pipeline_id)
    pipeline = log.pipeline
    spec = {
        "id": pipeline.pipeline_id,
        "name": pipeline.name,
        "continuous": pipeline.continuous,
        "serverless": False,
        "development": False,
        "edition": "ADVANCED",
        "catalog": "main",
        "schema": "sales",
        "clusters": [{"label": "default", "num_workers": 2}],
    }
    return {
        **_pipeline(log),
        "spec": spec,
        "last_modified": pipeline.created,
        "effective_publishing_mode": "DEFAULT_PUBLISHING_MODE",
    }


def updates(world: World, request: Request, pipeline_id: str) -> Document:
    """GET pipelines/{id}/updates: the newest first, down to `until_update_id` where it is given."""
    log = _found(world, pipeline_id)
    found = log.updates
    if until := request.text("until_update_id"):
        ids = [update.update_id for update in found]
        if until not in ids:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"The update {until} was not found.")
        found = found[ids.index(until) :]

    def place(update: Update) -> list[object]:
        return [update.created, update.update_id]

    limit = request.limit("max_results", 25, 100)
    return pages.listed(request, "updates", found, place, lambda one: _update(log, one), limit, falling=True)


def update(world: World, pipeline_id: str, update_id: str) -> Document:
    """GET pipelines/{id}/updates/{update_id}."""
    log = _found(world, pipeline_id)
    for one in log.updates:
        if one.update_id == update_id:
            return {"update": _update(log, one)}
    raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"The update {update_id} was not found.")


def events(world: World, request: Request, pipeline_id: str) -> Document:
    """GET pipelines/{id}/events: a token carries filter and order along, and can't be sent together with them."""
    log = _found(world, pipeline_id)
    asked = request.text("page_token")
    if asked and set(request.query) - {"page_token", "max_results"}:
        raise invalid("page_token cannot be combined with any parameter but max_results.")
    text, order = request.text("filter") or "", request.text("order_by") or "timestamp desc"
    last = pages.position(asked)
    if last:
        text, order = str(last[1]), str(last[2])
    if order not in {"timestamp asc", "timestamp desc"}:
        raise invalid(f"Invalid order_by: {order}")
    matches = _matching(text)
    found = [(number, event) for number, event in enumerate(log.events) if matches(event)]
    if order == "timestamp desc":
        found.reverse()
    rest = pages.behind(request, found, lambda pair: [pair[0], text, order], asked)
    taken, following = pages.cut(request, rest, request.limit("max_results", 25, 1000), asked)
    return pages.paged({"events": [_event(log, number, event) for number, event in taken]}, following)


def _found(world: World, pipeline_id: str) -> Log:
    if pipeline_id not in world.pipelines:
        raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"The specified pipeline {pipeline_id} was not found.")
    return world.pipelines[pipeline_id]


def _matching(text: str) -> Callable[[PipelineEvent], bool]:
    """The filter as a question to an event: levels, times and ids, joined by AND."""
    parts = re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else []
    checks = [_check(part) for part in parts]
    return lambda event: all(check(event) for check in checks)


def _check(part: str) -> Callable[[PipelineEvent], bool]:
    if found := re.fullmatch(r"level\s+in\s*\((.*)\)", part, re.IGNORECASE):
        levels = re.findall(r"'(\w+)'", found[1])
        return lambda event: event.level in levels
    if found := re.fullmatch(r"level\s*=\s*'([^']*)'", part):
        level = found[1]
        return lambda event: event.level == level
    if found := re.fullmatch(r"id\s*=\s*'([^']*)'", part):
        event_id = found[1]
        return lambda event: event.id == event_id
    if found := re.fullmatch(r"timestamp\s*(>=|<=|>|<|=)\s*'([^']*)'", part):
        compare, at = _COMPARISONS[found[1]], _milliseconds(found[2])
        return lambda event: compare(event.at, at)
    raise invalid(f"Invalid filter: {part}")


def _milliseconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * SECOND
    except ValueError:
        raise invalid(f"Invalid timestamp: {text}") from None


def timestamp(at: int) -> str:
    """RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(at / SECOND, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pipeline(log: Log) -> Document:
    pipeline = log.pipeline
    newest = log.updates[-1].state if log.updates else "COMPLETED"
    state = ("FAILED" if pipeline.continuous else "IDLE") if newest == "FAILED" else _STATES.get(newest, "STARTING")
    return given(
        {
            "pipeline_id": pipeline.pipeline_id,
            "name": pipeline.name,
            "state": state,
            "health": "UNHEALTHY" if newest == "FAILED" else "HEALTHY",
            "cluster_id": _cluster_id(log) if state == "RUNNING" else None,
            "creator_user_name": "someone@example.com",
            "run_as_user_name": "someone@example.com",
            "latest_updates": [
                {"update_id": update.update_id, "state": update.state, "creation_time": timestamp(update.created)}
                for update in log.updates[: -LATEST_UPDATES - 1 : -1]
            ],
        }
    )


def _cluster_id(log: Log) -> str:
    return f"0105-000000-{log.pipeline.pipeline_id[:8]}"


def _update(log: Log, update: Update) -> Document:
    return {
        "pipeline_id": log.pipeline.pipeline_id,
        "update_id": update.update_id,
        "state": update.state,
        "cause": update.cause,
        "cluster_id": _cluster_id(log),
        "creation_time": update.created,
        "full_refresh": False,
        "validate_only": False,
        "mode": "CONTINUOUS" if log.pipeline.continuous else "DEFAULT",
    }


def _event(log: Log, number: int, event: PipelineEvent) -> Document:
    origin = {
        "pipeline_id": log.pipeline.pipeline_id,
        "pipeline_name": log.pipeline.name,
        "update_id": event.update_id,
        "flow_name": event.flow,
        "dataset_name": event.flow,
        "cloud": "AWS",
        "region": "eu-central-1",
    }
    exceptions = [{"class_name": "org.apache.spark.sql.AnalysisException", "message": event.error}]
    return given(
        {
            "id": event.id,
            "sequence": {"control_plane_seq_no": number + 1},
            "origin": given(origin),
            "timestamp": timestamp(event.at),
            "level": event.level,
            "event_type": event.type,
            "maturity_level": "STABLE",
            "message": event.message,
            "error": {"fatal": True, "exceptions": exceptions} if event.error else None,
            "details": event.details,
        }
    )
