"""Who we are in a workspace, and how much of it we see: what may not be seen is missing from every list without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from exporter.collector import Collector
from exporter.databricks.words import OTHER, known
from exporter.errors import SourceError
from exporter.metric import Sample, gauge, info
from exporter.polled import Asked, Polled
from exporter.sources.databricks_endpoints import ME, WORKSPACE

EVERY = 600.0
# What is counted, by the names of the collectors that list it.
KINDS = ("clusters", "jobs", "pipelines", "warehouses", "instance_pools")
CLOUDS = ("aws", "azure", "gcp")

IDENTITY = info(
    "databricks_identity_info",
    "Who the exporter is for a workspace: a user or a service_principal (scim/me, userName).",
    ("workspace", "kind"),
)
PLACE = info(
    "databricks_workspace_info",
    "A workspace's id and cloud; streams on its clusters name it by this id (.well-known/databricks-config).",
    ("workspace", "workspace_id", "cloud"),
)
VISIBLE = gauge(
    "databricks_objects_visible",
    "Objects that the exporter may see; it falls when a permission is lost (the listings, what they hold).",
    ("workspace", "kind"),
    unit="",
)
METRICS = (IDENTITY, PLACE, VISIBLE)

# A service principal is named by its application's id, a user by an address.
_APPLICATION_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Me(msgspec.Struct, frozen=True, rename="camel"):
    """Of scim/me only the name, and of that only what kind it is: it is a person's address."""

    user_name: str = ""


class Place(msgspec.Struct, frozen=True):
    """What a workspace's host tells of itself; the document is no promise of Databricks' yet."""

    workspace_id: str = ""
    cloud: str = ""


class Identity(NamedTuple):
    """Who we are in a workspace, where that is, and how many objects of each kind we see."""

    workspace: str
    kind: str
    place: Place
    visible: Mapping[str, int]


def fetch(asked: Asked) -> Identity:
    """Who we are now, and the sizes of the other collectors' newest records; raises SourceError."""
    me = asked.workspace.get(ME, Me, asked.deadline)
    return Identity(asked.settings.name, kind(me.user_name), _place(asked), visible(asked.others))


def samples(record: Identity) -> Iterator[Sample]:
    """Identity, place, and what is visible of all that was listed."""
    yield IDENTITY(1, workspace=record.workspace, kind=record.kind)
    if record.place.workspace_id:
        cloud = known(record.place.cloud, CLOUDS)
        yield PLACE(1, workspace=record.workspace, workspace_id=record.place.workspace_id, cloud=cloud)
    for kind_of_object, count in record.visible.items():
        yield VISIBLE(count, workspace=record.workspace, kind=kind_of_object)


def kind(user_name: str) -> str:
    """What a user's name says of who it is: `user`, `service_principal`, or OTHER."""
    if _APPLICATION_ID.fullmatch(user_name):
        return "service_principal"
    return "user" if "@" in user_name else OTHER


def visible(others: Mapping[str, Any]) -> dict[str, int]:
    """How many objects the records of other collectors hold, by kind; nothing of what is not listed yet, or not counted."""
    return {name: others[name].visible for name in KINDS if hasattr(others.get(name), "visible")}


def _place(asked: Asked) -> Place:
    """What the host tells of itself, else what it told before: not all tell, and who we are does not hang on it."""
    try:
        return asked.workspace.get(WORKSPACE, Place, asked.deadline)
    except SourceError:
        return asked.before.place if asked.before else Place()


POLLED = Polled(Collector("identity", METRICS, samples), EVERY, fetch)
