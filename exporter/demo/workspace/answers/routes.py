"""From method and path to the answer."""

from __future__ import annotations

import re
from collections.abc import Callable

from exporter.demo.workspace.answers import clusters, identity, jobs, pipelines, runs, warehouses
from exporter.demo.workspace.answers.requests import Document, RefusedError, Request
from exporter.demo.workspace.world.world import World

_ID = r"([0-9a-z-]+)"
ROUTES: tuple[tuple[str, str, Callable[..., Document]], ...] = (
    ("GET", r"/api/2\.[012]/jobs/list", jobs.listing),
    ("GET", r"/api/2\.[012]/jobs/get", jobs.one),
    ("GET", r"/api/2\.[012]/jobs/runs/list", runs.listing),
    ("GET", r"/api/2\.[012]/jobs/runs/get", runs.one),
    ("GET", r"/api/2\.[012]/jobs/runs/get-output", runs.output),
    ("GET", r"/api/2\.[01]/clusters/list", clusters.listing),
    ("GET", r"/api/2\.[01]/clusters/get", clusters.one),
    ("POST", r"/api/2\.[01]/clusters/events", clusters.events),
    ("GET", r"/api/2\.[01]/clusters/spark-versions", lambda *_: clusters.versions()),
    ("GET", r"/api/2\.0/pipelines/?", pipelines.listing),
    ("GET", rf"/api/2\.0/pipelines/{_ID}", lambda world, _, pipeline: pipelines.one(world, pipeline)),
    ("GET", rf"/api/2\.0/pipelines/{_ID}/updates", pipelines.updates),
    ("GET", rf"/api/2\.0/pipelines/{_ID}/updates/{_ID}", lambda world, _, *ids: pipelines.update(world, *ids)),
    ("GET", rf"/api/2\.0/pipelines/{_ID}/events", pipelines.events),
    ("GET", r"/api/2\.0/sql/warehouses", warehouses.warehouses),
    ("GET", r"/api/2\.0/instance-pools/list", lambda world, _: warehouses.pools(world)),
    ("GET", r"/api/2\.0/preview/scim/v2/Me", lambda *_: identity.me()),
)


def answer(world: World, request: Request) -> Document:
    """The document for a request of someone who may ask; raises RefusedError with what Databricks says instead."""
    for method, pattern, told in ROUTES:
        if method == request.method and (found := re.fullmatch(pattern, request.path)):
            return told(world, request, *found.groups())
    raise RefusedError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.path}'")
