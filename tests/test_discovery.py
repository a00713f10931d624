"""exporter/discovery.py; the list of probes over a real socket, too."""

from __future__ import annotations

import json

import pytest

from exporter.answer import Answer
from exporter.collectors.databricks import clusters
from exporter.databricks.clusters import Cluster, Clusters
from exporter.discovery import DRIVER_PORT, MAX_DRIVERS, Discovery, Group, drivers, probes
from exporter.negotiation import Wanted
from exporter.snapshot import Outcome, Snapshot, Store, View, place
from tests.peers import fronted, said, status

NOW = 1_800_000_000.0
DRIVERS = Wanted(parameters=(("kind", "drivers"),))
IPS = {"c1": "10.0.0.1", "c2": "10.0.0.2", "c3": "fd00::3", "c4": ""}


def ip(cluster: Cluster) -> str:
    return IPS.get(cluster.cluster_id, "")


def view(**records: tuple[Cluster, ...]) -> View:
    """What a store holds of these workspaces, each looked at."""
    store = Store()
    for workspace, found in records.items():
        snapshot = Snapshot(Clusters(workspace, found), (clusters.POLLED.collector,), NOW + 60)
        store.put(place(workspace, "clusters"), snapshot, {("clusters", workspace): Outcome(succeeded=True)})
    return store.view()


def discovery(found: View, *workspaces: str) -> Discovery:
    return Discovery(workspaces, lambda: found, lambda: NOW, ip)


def listed(answer: Answer | None) -> object:
    assert answer is not None
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


def test_probes() -> None:
    """Each workspace is a target of this exporter, as the client calls it, under an instance of its own; in order of names."""
    found = discovery(View({}, {}, ready=False), "test", "prod").kept(Wanted(host="exporter:10071"))

    assert listed(found) == [
        {
            "targets": ["exporter:10071"],
            "labels": {"__metrics_path__": "/probe", "__param_target": "prod", "instance": "prod"},
        },
        {
            "targets": ["exporter:10071"],
            "labels": {"__metrics_path__": "/probe", "__param_target": "test", "instance": "test"},
        },
    ]


def test_no_workspaces() -> None:
    """Without workspaces both lists are empty lists."""
    none = discovery(View({}, {}, ready=True))

    assert listed(none.kept(Wanted(host="x"))) == []
    assert listed(none.made(DRIVERS)) == []
    assert probes((), "x") == []


def test_no_host() -> None:
    """Who does not say what we are called can't be told where to find us."""
    assert discovery(View({}, {}, ready=True), "prod").kept(Wanted()) == Answer(
        400, "text/plain; charset=utf-8", b"a host is expected\n"
    )


@pytest.mark.parametrize("kinds", [("workers",), ("",), ("drivers", "drivers")])
def test_kinds(kinds: tuple[str, ...]) -> None:
    """A kind that there is not, or two of them, is refused."""
    wanted = Wanted(parameters=tuple(("kind", kind) for kind in kinds), host="x")

    assert discovery(View({}, {}, ready=True)).kept(wanted) == Answer(
        400, "text/plain; charset=utf-8", b"kind is drivers, or left out\n"
    )


def test_drivers() -> None:
    """Drivers of running clusters are targets by their private address, people's own first; those without one are left out."""
    found = view(
        prod=(
            Cluster("c1", "running", name="etl"),
            Cluster("c2", "resizing", source="job", job_id="7"),
            Cluster("c4", "running"),
        ),
        test=(Cluster("c3", "running", name="lab"), Cluster("c1", "pending", name="etl")),
    )
    asked = discovery(found, "test", "prod")

    assert asked.kept(DRIVERS) is None
    assert listed(asked.made(DRIVERS)) == [
        {"targets": ["10.0.0.1:10071"], "labels": {"workspace": "prod", "cluster_id": "c1", "cluster_name": "etl"}},
        {"targets": ["[fd00::3]:10071"], "labels": {"workspace": "test", "cluster_id": "c3", "cluster_name": "lab"}},
        {"targets": ["10.0.0.2:10071"], "labels": {"workspace": "prod", "cluster_id": "c2", "job_id": "7"}},
    ]


@pytest.mark.parametrize("told", ["host.example.com", "10.0.0.1:80", "10.0.0", "fd00::1%eth0/", "10.0.0.1, 10.0.0.2"])
def test_no_address(told: str) -> None:
    """What is no address is no target, whoever told it."""
    found = view(prod=(Cluster("c1", "running"),))

    assert drivers(["prod"], found, NOW, lambda _: told, DRIVER_PORT) == []


def test_port() -> None:
    """Drivers are asked at the port that is given."""
    found = view(prod=(Cluster("c1", "running"),))

    assert drivers(["prod"], found, NOW, ip, 9100) == [
        Group(("10.0.0.1:9100",), {"workspace": "prod", "cluster_id": "c1"}),
    ]


def test_most_drivers() -> None:
    """However many clusters run, the list has an end, and those that come and go the most are beyond it."""
    jobs = tuple(Cluster(f"j{number}", "running", source="job") for number in range(MAX_DRIVERS))
    found = view(prod=jobs, test=(Cluster("c1", "running"),))
    listed = drivers(["prod", "test"], found, NOW, lambda _: "10.0.0.1", DRIVER_PORT)

    assert [len(listed), listed[0].labels["cluster_id"], listed[-1].labels["cluster_id"]] == [
        MAX_DRIVERS,
        "c1",
        f"j{MAX_DRIVERS - 2}",
    ]


def test_not_ready() -> None:
    """Before every workspace was asked there is no list, which would have Prometheus forget the targets that it has."""
    found = view(prod=(Cluster("c1", "running"),))

    assert discovery(found, "prod", "test").made(DRIVERS) == Answer(503, "text/plain; charset=utf-8", b"not ready\n")


def test_failed_workspace() -> None:
    """A workspace that does not answer keeps nobody else's drivers from being found; its own go when its record expires."""
    found = view(prod=(Cluster("c1", "running"),), test=(Cluster("c2", "running"),))
    expired = {**found.snapshots, place("test", "clusters"): Snapshot(Clusters("test", (Cluster("c3", "running"),)), (), NOW)}
    silent = View(expired, {**found.outcomes, ("clusters", "test"): Outcome(failures={"timeout": 1})}, ready=True)

    assert listed(discovery(silent, "prod", "test").made(DRIVERS)) == [
        {"targets": ["10.0.0.1:10071"], "labels": {"workspace": "prod", "cluster_id": "c1"}},
    ]


def test_served() -> None:
    """Over a socket the list bears the host that was asked for, and a host of strange characters is told to nobody."""
    one = discovery(View({}, {}, ready=True), "prod")
    with fronted({"/sd": one}) as front:
        answers = [
            said(front.port, f"GET /sd HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            for host in ("exporter.example.com", "[::1]:10071", "exporter;x", "exporter'x")
        ]

    assert [status(answer) for answer in answers] == [200, 200, 400, 400]
    assert b'"targets":["exporter.example.com"]' in answers[0]
    assert b'"targets":["[::1]:10071"]' in answers[1]
    assert answers[2].endswith(b"\r\n\r\na host is expected\n")
