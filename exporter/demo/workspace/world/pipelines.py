"""Declarative pipelines: their updates, and the scripts of their event logs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.sizes import HOUR, MINUTE, SECOND, Sizes

STATES_OF_A_START = ("CREATED", "WAITING_FOR_RESOURCES", "INITIALIZING", "SETTING_UP_TABLES", "RUNNING")
EXPECTATIONS = (("valid_id", "DROP"), ("price_is_positive", "ALLOW"))


@dataclass(frozen=True)
class Pipeline:
    """A continuous one, or one that is triggered on a schedule of its own."""

    pipeline_id: str
    name: str
    continuous: bool
    bad_share: float
    tables: tuple[str, ...]
    created: int


@dataclass(frozen=True)
class PipelineEvent:
    """One line of a pipeline's event log; `state` is the update's state from then on, where the event tells one."""

    at: int
    id: str
    update_id: str
    level: str
    type: str
    message: str
    details: dict[str, Any]
    flow: str | None = None
    state: str | None = None
    cause: str | None = None
    error: str | None = None


@dataclass
class Update:
    """One update as its newest event left it."""

    update_id: str
    created: int
    cause: str
    state: str = "QUEUED"


@dataclass
class Log:
    """What has happened to a pipeline so far, oldest first."""

    pipeline: Pipeline
    updates: list[Update] = field(default_factory=list)
    events: list[PipelineEvent] = field(default_factory=list)

    def take(self, event: PipelineEvent) -> None:
        """The next event of the pipeline's script."""
        self.events.append(event)
        if event.type == "create_update":
            self.updates.append(Update(event.update_id, event.at, event.cause or "API_CALL"))
        if event.state:
            self.updates[-1].state = event.state


def drawn(seed: int, sizes: Sizes, now_ms: int) -> list[Pipeline]:
    """The pipelines of a workspace, every second one continuous."""
    draw = random.Random(f"{seed}/pipelines")
    names = ("bronze", "silver", "gold")
    return [
        Pipeline(
            ids.uuid4(draw),
            f"{draw.choice(('sales', 'web', 'iot'))} pipeline {number + 1}",
            number % 2 == 0,
            draw.choice((0.05, 0.3)),
            names[: draw.randrange(2, 4)],
            now_ms - draw.randrange(10, 200) * 24 * HOUR,
        )
        for number in range(sizes.pipelines)
    ]


def life(draw: random.Random, pipeline: Pipeline, at: int) -> Iterator[PipelineEvent]:
    """Without end: one update after the other, each with the events that it writes."""
    cause = "API_CALL"
    while True:
        update = ids.uuid4(draw)
        for event in _update(draw, pipeline, update, at, cause):
            at = event.at
            failed = event.state == "FAILED"
            yield event
        cause = "RETRY_ON_FAILURE" if failed else draw.choice(("API_CALL", "JOB_TASK", "USER_ACTION"))
        at += draw.randrange(20, 60) * SECOND if failed or pipeline.continuous else 30 * MINUTE


def _update(draw: random.Random, pipeline: Pipeline, update: str, at: int, cause: str) -> Iterator[PipelineEvent]:
    yield _said(draw, update, at, "create_update", f"Update {update[:6]} started by {cause}.", {"cause": cause}, cause=cause)
    for state in STATES_OF_A_START:
        at += draw.randrange(2, 40) * SECOND
        yield _told(draw, update, at, state)
    for table in pipeline.tables:
        yield _said(draw, update, at, "flow_definition", f"Flow {table} is defined.", {"output_dataset": table}, flow=table)
        yield _flow(draw, update, at, table, "STARTING")
    for _ in range(draw.randrange(20, 600) if pipeline.continuous else draw.randrange(2, 6)):
        at += draw.randrange(50, 70) * SECOND
        for table in pipeline.tables:
            yield _flow(draw, update, at, table, "RUNNING", **_progress(draw, table))
    at += draw.randrange(5, 60) * SECOND
    yield from _ended(draw, pipeline, update, at)


def _ended(draw: random.Random, pipeline: Pipeline, update: str, at: int) -> Iterator[PipelineEvent]:
    if chance(draw, pipeline.bad_share):
        yield _flow(draw, update, at, pipeline.tables[-1], "FAILED")
        error = "[DELTA_SCHEMA_CHANGED] The schema of the source changed. SQLSTATE: KD007"
        yield _told(draw, update, at, "FAILED", level="ERROR", error=error)
    elif pipeline.continuous:
        yield _told(draw, update, at, "CANCELED")
    else:
        for table in pipeline.tables:
            yield _flow(draw, update, at, table, "COMPLETED", **_progress(draw, table))
        yield _told(draw, update, at, "COMPLETED")


def _told(draw: random.Random, update: str, at: int, state: str, **more: Any) -> PipelineEvent:
    message = f"Update {update[:6]} is {state}."
    return _said(draw, update, at, "update_progress", message, {"state": state}, state=state, **more)


def _flow(draw: random.Random, update: str, at: int, table: str, status: str, **details: Any) -> PipelineEvent:
    level = {"RUNNING": "METRICS", "FAILED": "ERROR"}.get(status, "INFO")
    told = {"status": status, **details}
    return _said(draw, update, at, "flow_progress", f"Flow {table} is {status}.", told, level=level, flow=table)


def _said(
    draw: random.Random,
    update: str,
    at: int,
    type: str,
    message: str,
    details: dict[str, Any],
    *,
    level: str = "INFO",
    **more: Any,
) -> PipelineEvent:
    return PipelineEvent(at, ids.uuid4(draw), update, level, type, message, {type: details}, **more)


def _progress(draw: random.Random, table: str) -> dict[str, Any]:
    rows, bad = draw.randrange(1000, 90_000), draw.randrange(0, 40)
    return {
        "metrics": {"num_output_rows": rows, "backlog_bytes": draw.randrange(10**9), "backlog_records": draw.randrange(10**6)},
        "data_quality": {
            "dropped_records": bad,
            "expectations": [
                {"name": name, "dataset": table, "passed_records": rows - bad, "failed_records": bad, "action": action}
                for name, action in EXPECTATIONS
            ],
        },
    }
