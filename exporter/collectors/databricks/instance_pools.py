"""Instance pools and what their machines do, from the Instance Pools API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from exporter.collector import Collector
from exporter.databricks.runs import Int64
from exporter.databricks.words import OTHER, known
from exporter.metric import Sample, gauge, info, stateset
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import INSTANCE_POOLS

EVERY = 60.0
STATES = ("active", "stopped", "deleted", OTHER)

_POOL = ("workspace", "instance_pool_id")

INFO = info(
    "databricks_instance_pool_info",
    "An instance pool, with its name and the type of its machines (instance-pools/list).",
    (*_POOL, "name", "node_type"),
)
STATE = stateset(
    "databricks_instance_pool_state", "How far a pool is, 1 for the present state (instance-pools/list, state).", _POOL
)
INSTANCES = gauge(
    "databricks_instance_pool_instances",
    "Machines of a pool by use: used, idle, pending_used or pending_idle (instance-pools/list, stats).",
    (*_POOL, "use"),
    unit="",
)
MIN_IDLE = gauge(
    "databricks_instance_pool_min_idle_instances",
    "Idle machines that a pool keeps at least (instance-pools/list, min_idle_instances).",
    _POOL,
    unit="",
)
MAX_CAPACITY = gauge(
    "databricks_instance_pool_max_capacity_instances",
    "Machines that a pool may have at most, used and idle; absent without a limit (instance-pools/list, max_capacity).",
    _POOL,
    unit="",
)
PENDING_ERRORS = gauge(
    "databricks_instance_pool_pending_instance_errors",
    "Machines that a pool can't get at present (instance-pools/list, status.pending_instance_errors).",
    _POOL,
    unit="",
)
METRICS = (INFO, STATE, INSTANCES, MIN_IDLE, MAX_CAPACITY, PENDING_ERRORS)


class Stats(msgspec.Struct, frozen=True):
    used_count: Int64 = 0
    idle_count: Int64 = 0
    pending_used_count: Int64 = 0
    pending_idle_count: Int64 = 0


class PendingError(msgspec.Struct, frozen=True):
    """Why a machine can't be had, of which nothing is read: it is counted."""


class Status(msgspec.Struct, frozen=True):
    pending_instance_errors: tuple[PendingError, ...] | None = None


class Pool(msgspec.Struct, frozen=True):
    """A pool as instance-pools/list tells it."""

    instance_pool_id: str
    instance_pool_name: str | None = None
    node_type_id: str | None = None
    state: str | None = None
    min_idle_instances: Int64 | None = None
    max_capacity: Int64 | None = None
    stats: Stats | None = None
    status: Status | None = None


class InstancePools(NamedTuple):
    """The pools of a workspace that can be seen, by id."""

    workspace: str
    pools: tuple[Pool, ...]

    @property
    def visible(self) -> int:
        """How many can be seen."""
        return len(self.pools)


def fetch(asked: Asked) -> InstancePools:
    """All pools; raises SourceError."""
    pages = asked.workspace.pages(INSTANCE_POOLS, Pool, "instance_pools", asked.deadline)
    found = {one.instance_pool_id: one for page in pages for one in page.items}
    return InstancePools(asked.settings.name, tuple(found[key] for key in sorted(found)))


def samples(record: InstancePools) -> Iterator[Sample]:
    """All that is to be seen of each pool."""
    for one in record.pools:
        labels = {"workspace": record.workspace, "instance_pool_id": one.instance_pool_id}
        yield INFO(1, **labels, name=one.instance_pool_name or "", node_type=one.node_type_id or "")
        present = known(one.state, STATES) or OTHER
        for state in STATES:
            yield STATE(int(state == present), **labels, state=state)
        if one.stats:
            yield INSTANCES(one.stats.used_count, **labels, use="used")
            yield INSTANCES(one.stats.idle_count, **labels, use="idle")
            yield INSTANCES(one.stats.pending_used_count, **labels, use="pending_used")
            yield INSTANCES(one.stats.pending_idle_count, **labels, use="pending_idle")
        if one.min_idle_instances is not None:
            yield MIN_IDLE(one.min_idle_instances, **labels)
        if one.max_capacity is not None:
            yield MAX_CAPACITY(one.max_capacity, **labels)
        if one.status:
            yield PENDING_ERRORS(len(one.status.pending_instance_errors or ()), **labels)


POLLED = Polled(Collector("instance_pools", METRICS, samples), EVERY, fetch)
