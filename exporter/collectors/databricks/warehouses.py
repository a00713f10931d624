"""SQL warehouses, from the Warehouses API; a warehouse that is stopped stays so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from exporter.collector import Collector
from exporter.databricks.runs import Int64
from exporter.databricks.words import OTHER, known
from exporter.metric import Sample, gauge, info, stateset
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import WAREHOUSES

EVERY = 60.0
STATES = ("starting", "running", "stopping", "stopped", "deleting", "deleted", OTHER)
HEALTHS = ("healthy", "degraded", "failed", OTHER)
TYPES = ("classic", "pro", "realtime")

_WAREHOUSE = ("workspace", "warehouse_id")

INFO = info(
    "databricks_warehouse_info",
    "A SQL warehouse, with its name and what it is made of (warehouses/list).",
    (*_WAREHOUSE, "name", "size", "type", "serverless"),
)
STATE = stateset(
    "databricks_warehouse_state", "How far a warehouse is, 1 for the present state (warehouses/list, state).", _WAREHOUSE
)
HEALTH = stateset(
    "databricks_warehouse_health",
    "How well a warehouse is, 1 for the present state; absent where it does not tell (warehouses/list, health.status).",
    _WAREHOUSE,
)
CLUSTERS = gauge(
    "databricks_warehouse_clusters", "Clusters that a warehouse has (warehouses/list, num_clusters).", _WAREHOUSE, unit=""
)
MIN_CLUSTERS = gauge(
    "databricks_warehouse_min_clusters",
    "Fewest clusters of a warehouse that runs (warehouses/list, min_num_clusters).",
    _WAREHOUSE,
    unit="",
)
MAX_CLUSTERS = gauge(
    "databricks_warehouse_max_clusters",
    "Most clusters that a warehouse may have (warehouses/list, max_num_clusters).",
    _WAREHOUSE,
    unit="",
)
SESSIONS = gauge(
    "databricks_warehouse_sessions",
    "Sessions that are open on a warehouse; some workspaces always tell 0 (warehouses/list, num_active_sessions).",
    _WAREHOUSE,
    unit="",
)
METRICS = (INFO, STATE, HEALTH, CLUSTERS, MIN_CLUSTERS, MAX_CLUSTERS, SESSIONS)


class Health(msgspec.Struct, frozen=True):
    status: str | None = None


class Warehouse(msgspec.Struct, frozen=True):
    """A warehouse as warehouses/list tells it; it has addresses to connect to as well, which nobody is to read here."""

    id: str
    name: str | None = None
    state: str | None = None
    health: Health | None = None
    cluster_size: str | None = None
    warehouse_type: str | None = None
    enable_serverless_compute: bool | None = None
    num_clusters: Int64 | None = None
    min_num_clusters: Int64 | None = None
    max_num_clusters: Int64 | None = None
    num_active_sessions: Int64 | None = None


class Warehouses(NamedTuple):
    """The warehouses of a workspace that can be seen, by id."""

    workspace: str
    warehouses: tuple[Warehouse, ...]

    @property
    def visible(self) -> int:
        """How many can be seen."""
        return len(self.warehouses)


def fetch(asked: Asked) -> Warehouses:
    """All warehouses; raises SourceError."""
    pages = asked.workspace.pages(WAREHOUSES, Warehouse, "warehouses", asked.deadline, parameters={"page_size": 100})
    found = {one.id: one for page in pages for one in page.items}
    return Warehouses(asked.settings.name, tuple(found[key] for key in sorted(found)))


def samples(record: Warehouses) -> Iterator[Sample]:
    """All that is to be seen of each warehouse."""
    for one in record.warehouses:
        labels = {"workspace": record.workspace, "warehouse_id": one.id}
        yield INFO(
            1,
            **labels,
            name=one.name or "",
            size=one.cluster_size or "",
            type=known(one.warehouse_type, TYPES),
            serverless="true" if one.enable_serverless_compute else "false",
        )
        present = known(one.state, STATES) or OTHER
        for state in STATES:
            yield STATE(int(state == present), **labels, state=state)
        if health := known(one.health.status if one.health else None, HEALTHS):
            for state in HEALTHS:
                yield HEALTH(int(state == health), **labels, state=state)
        for metric, value in (
            (CLUSTERS, one.num_clusters),
            (MIN_CLUSTERS, one.min_num_clusters),
            (MAX_CLUSTERS, one.max_num_clusters),
            (SESSIONS, one.num_active_sessions),
        ):
            if value is not None:
                yield metric(value, **labels)


POLLED = Polled(Collector("warehouses", METRICS, samples), EVERY, fetch)
