"""A simple reader of the simulated workspace, and a check of documents against the fields that Databricks documents."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world.sizes import Sizes
from exporter.demo.workspace.world.world import World

FIELDS = json.loads((Path(__file__).parents[1] / "records" / "databricks" / "fields.json").read_text())
SMALL = Sizes(cron_jobs=12, continuous_jobs=3, submitted_runs_a_day=48, history_hours=2)
QUIET = Sizes(2, 60, 0, 0, 0, 0, 130, 0, 0, 0, 0, 0.0)
BEARER = {"authorization": "Bearer dapi-simulated"}
RUNS, RUN, OUTPUT = "/api/2.2/jobs/runs/list", "/api/2.2/jobs/runs/get", "/api/2.2/jobs/runs/get-output"
JOBS, JOB = "/api/2.2/jobs/list", "/api/2.2/jobs/get"
CLUSTERS, CLUSTER, EVENTS = "/api/2.1/clusters/list", "/api/2.1/clusters/get", "/api/2.1/clusters/events"
PIPELINES, WAREHOUSES, POOLS = "/api/2.0/pipelines", "/api/2.0/sql/warehouses", "/api/2.0/instance-pools/list"
ME = "/api/2.0/preview/scim/v2/Me"

# What Databricks sends and its SDK does not have: section 0 of the reference. The user is spelled as SCIM spells it, and
# a job's page of tasks has a token of its own.
EXTRAS = {
    "compute.ClusterDetails": {"last_activity_time", "driver_healthy", "effective_spark_version", "pinned_by_user_name"},
    "jobs.BaseRun": {"parent_run_id", "format", "task_key"},
    "jobs.Run": {"parent_run_id", "format", "task_key"},
    "jobs.BaseJob": {"next_page_token"},
    "pipelines.PipelineEvent": {"details"},
}


def workspace(seed: int = 1, sizes: Sizes = SMALL) -> Workspace:
    """One without a server, whose time moves by hand."""
    return Workspace(World(seed, sizes), 0.0, lambda: 0.0, "http://127.0.0.1:1")


def asked(one: Workspace, path: str, /, **query: Any) -> tuple[int, Any]:
    """Status and document of a GET."""
    reply = one.reply("GET", f"{path}?{urlencode(query, doseq=True)}", BEARER, b"")
    return reply.status, json.loads(reply.body)


def told(one: Workspace, path: str, /, **query: Any) -> Any:
    """The document of a GET that is answered."""
    status, document = asked(one, path, **query)
    assert status == 200, document
    return document


def posted(one: Workspace, path: str, body: Any) -> tuple[int, Any]:
    """Status and document of a POST."""
    reply = one.reply("POST", path, BEARER, json.dumps(body).encode())
    return reply.status, json.loads(reply.body)


def pages(one: Workspace, path: str, /, **query: Any) -> Iterator[Any]:
    """Each page, until one has no token."""
    document = told(one, path, **query)
    yield document
    while token := document.get("next_page_token"):
        document = told(one, path, **query, page_token=token)
        yield document


def listed(one: Workspace, path: str, name: str, /, **query: Any) -> list[Any]:
    """The items of all pages."""
    return [item for page in pages(one, path, **query) for item in page.get(name, [])]


def strangers(document: Any, kind: str, place: str = "") -> Iterator[str]:
    """Each place where a document is not what the table of fields says of this type."""
    if inner := re.fullmatch(r"List\[(.*)\]", kind):
        items = document if isinstance(document, list) else [f"no list: {document!r}"]
        for number, item in enumerate(items):
            yield from strangers(item, inner[1], f"{place}[{number}]")
    elif fields := FIELDS["dataclasses"].get(kind):
        for name, value in document.items():
            if name in fields:
                yield from strangers(value, fields[name], f"{place}.{name}")
            elif name not in EXTRAS.get(kind, ()):
                yield f"{place}.{name}: {kind} has no such field"
    elif not _plain(document, kind):
        yield f"{place}: {document!r} is no {kind}"


def _plain(value: Any, kind: str) -> bool:
    """Whether a value is of this plain type or enum; the fields of some types are in no table, and any value is of those."""
    if kind in FIELDS["enums"]:
        return value in FIELDS["enums"][kind]
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"str": str, "bool": bool, "float": float, "Dict[str, str]": dict}.get(kind, object))


def unpacked(body: bytes, most: int) -> bytes:
    """What gzip holds, up to a number of bytes."""
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(body, most)


@contextmanager
def by(one: Workspace, *faults: Any) -> Iterator[None]:
    """With these faults while the block runs."""
    one.faults(*faults)
    yield
    one.faults()
