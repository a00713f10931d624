"""`/sd`: what Prometheus is to scrape, as its HTTP service discovery reads it; knows what is told, and asks nobody.

https://prometheus.io/docs/prometheus/latest/http_sd/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from exporter import probe
from exporter.answer import Answer, text
from exporter.collectors.databricks import clusters
from exporter.databricks.clusters import Cluster, Clusters
from exporter.negotiation import Wanted
from exporter.snapshot import View, place

PATH = "/sd"
KIND, DRIVERS = "kind", "drivers"
DRIVER_PORT = 10071
MAX_DRIVERS = 10_000

# While a cluster resizes its driver works on.
_RUNNING = ("running", "resizing")
_COLLECTOR = clusters.POLLED.collector.name


class Group(msgspec.Struct, frozen=True):
    """Targets, each `host:port`, and the labels of all of them."""

    targets: tuple[str, ...]
    labels: Mapping[str, str]


class Discovery:
    """Answers `/sd` with the workspaces as targets of `/probe`, and `/sd?kind=drivers` with the drivers of their clusters.

    `driver_ip` tells the private address of a cluster's driver, empty where it is not known; an exporter listens there on
    `driver_port`. A list is whole or it is not answered: Prometheus keeps the one that it has.
    """

    def __init__(
        self,
        workspaces: Iterable[str],
        view: Callable[[], View],
        clock: Callable[[], float],
        driver_ip: Callable[[Cluster], str],
        driver_port: int = DRIVER_PORT,
    ) -> None:
        self._workspaces = tuple(sorted(workspaces))
        self._view = view
        self._clock = clock
        self._driver_ip = driver_ip
        self._driver_port = driver_port

    def kept(self, wanted: Wanted) -> Answer | None:
        """The list of workspaces, or why there is none; None for drivers, of which there may be thousands."""
        kinds = wanted.values(KIND)
        if kinds == (DRIVERS,):
            return None
        if kinds:
            return text(400, f"{KIND} is {DRIVERS}, or left out")
        # The client's own word for us: a name that leads here from where it is. It alone is told so.
        return _json(probes(self._workspaces, wanted.host)) if wanted.host else text(400, "a host is expected")

    def made(self, wanted: Wanted) -> Answer:  # noqa: ARG002 -- the other list is kept
        """The list of drivers; 503 before every workspace was asked for its clusters."""
        view = self._view()
        if any((_COLLECTOR, name) not in view.outcomes for name in self._workspaces):
            return text(503, "not ready")
        return _json(drivers(self._workspaces, view, self._clock(), self._driver_ip, self._driver_port))


def probes(workspaces: Iterable[str], host: str) -> list[Group]:
    """Each workspace as a target of the exporter at `host`.

    It is the target's instance: a label `workspace` would rename the one that every series has.
    """
    return [
        Group((host,), {"__metrics_path__": probe.PATH, f"__param_{probe.TARGET}": name, "instance": name})
        for name in workspaces
    ]


def drivers(workspaces: Iterable[str], view: View, now: float, driver_ip: Callable[[Cluster], str], port: int) -> list[Group]:
    """The drivers of running clusters whose address is known, at most MAX_DRIVERS: those of people's own clusters first."""
    found = [
        (cluster.generated, name, cluster, address)
        for name, cluster in _clusters(workspaces, view, now)
        if cluster.state in _RUNNING and (address := _address(driver_ip(cluster), port))
    ]
    found.sort(key=lambda one: one[0])
    return [Group((address,), _labels(name, cluster)) for _, name, cluster, address in found[:MAX_DRIVERS]]


def _clusters(workspaces: Iterable[str], view: View, now: float) -> Iterator[tuple[str, Cluster]]:
    for name in workspaces:
        snapshot = view.snapshots.get(place(name, _COLLECTOR))
        if snapshot is not None and now < snapshot.expires:
            record: Clusters = snapshot.record
            yield from ((name, cluster) for cluster in record.clusters)


def _address(ip: str, port: int) -> str:
    """`ip:port`; empty for what is no address."""
    try:
        found = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return f"[{found}]:{port}" if found.version == 6 else f"{found}:{port}"  # noqa: PLR2004 -- the name of a protocol


def _labels(workspace: str, cluster: Cluster) -> dict[str, str]:
    labels = {
        "workspace": workspace,
        "cluster_id": cluster.cluster_id,
        "cluster_name": cluster.name,
        "job_id": cluster.job_id,
    }
    return {name: value for name, value in labels.items() if value}


def _json(groups: list[Group]) -> Answer:
    return Answer(200, "application/json", msgspec.json.encode(groups))
