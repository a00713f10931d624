"""exporter/probe.py and exporter/probe_health.py; and how long the front has a probe wait, over real sockets."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from exporter import collectors
from exporter.answer import Answer, Later
from exporter.collector import Collector
from exporter.collectors.databricks.clusters import UNTOLD
from exporter.config import Config, WorkspaceSettings
from exporter.connection import Limits
from exporter.errors import Reason, SourceError
from exporter.metric import Sample
from exporter.negotiation import Wanted
from exporter.page import Page
from exporter.polled import Asked, Polled
from exporter.polling import Poller
from exporter.probe import Probe, elsewhere
from exporter.request import Refusal, parsed
from exporter.snapshot import Outcome, Snapshot, Store, place
from exporter.sources.databricks import Usage
from exporter.streaming.driver import REACHABLE
from tests.e2e.waiting import eventually
from tests.peers import connected, fronted, one_answer, rest, said, status

NOW = 1_800_000_000.0
GOOD = Outcome(succeeded=True, duration=0.5, last_success=NOW)
REASONS = [reason.value for reason in Reason]


def clusters(record: str) -> Iterator[Sample]:
    yield UNTOLD(len(record), workspace=record)


def drivers(record: str) -> Iterator[Sample]:
    yield REACHABLE(1, app=record)


CLUSTERS = Collector("clusters", (UNTOLD,), clusters)
DRIVERS = Collector("driver", (REACHABLE,), drivers)


class Stage:
    """A store of two workspaces and a driver whose application is called like one of them; clusters and jobs are looked at."""

    def __init__(self) -> None:
        self.store = Store()
        self.now = NOW
        self.enabled = {"clusters", "jobs"}
        snapshot = Snapshot("prod", (DRIVERS,), NOW + 60)
        self.store.replace("drivers", {"epoch": snapshot}, {("drivers", ""): GOOD, ("drivers", "prod"): GOOD})
        self.probe = Probe(["prod", "test"], self.store.view, lambda: self.now, self.enabled.__contains__)

    def look(self, workspace: str, collector: str, outcome: Outcome = GOOD) -> None:
        snapshot = Snapshot(workspace, (CLUSTERS,) if collector == "clusters" else (), NOW + 60)
        self.store.put(place(workspace, collector), snapshot if outcome.succeeded else None, {(collector, workspace): outcome})

    def look_all(self) -> None:
        for workspace in ("prod", "test"):
            for collector in self.enabled:
                self.look(workspace, collector)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def of(*targets: str, **form: Any) -> Wanted:
    return Wanted(parameters=tuple(("target", target) for target in targets), **form)


def samples(answer: Answer) -> list[str]:
    """The lines of a page but for comments and the many failures that did not happen."""
    lines = answer.body.decode().splitlines()
    return [line for line in lines if not line.startswith("#") and not ("failures_total" in line and line.endswith(" 0"))]


def test_page(stage: Stage) -> None:
    """A probe tells of the workspace's snapshots and looks, and whether all is well; not of others, the exporter, the process."""
    stage.look_all()

    assert samples(stage.probe.made(of("prod"))) == [
        'databricks_cluster_terminations_untold_total{workspace="prod"} 4',
        "lakehouse_exporter_probe_success 1",
        'lakehouse_exporter_collector_success{collector="clusters",target="prod"} 1',
        'lakehouse_exporter_collector_success{collector="jobs",target="prod"} 1',
        'lakehouse_exporter_collector_duration_seconds{collector="clusters",target="prod"} 0.5',
        'lakehouse_exporter_collector_duration_seconds{collector="jobs",target="prod"} 0.5',
        'lakehouse_exporter_collector_last_success_timestamp_seconds{collector="clusters",target="prod"} 1800000000',
        'lakehouse_exporter_collector_last_success_timestamp_seconds{collector="jobs",target="prod"} 1800000000',
        "lakehouse_exporter_snapshots_dropped 0",
    ]
    body = stage.probe.made(of("prod")).body.decode()
    assert [body.count(f'target="prod",reason="{reason}"}} 0\n') for reason in REASONS] == [2] * len(REASONS)


def test_elsewhere(stage: Stage) -> None:
    """Without the workspaces a page tells of the rest, a driver's application called like one of them among it."""
    stage.look_all()
    page = Page(elsewhere(stage.store.view), lambda: NOW).made(Wanted()).body.decode()

    assert [line for line in page.splitlines() if line.startswith("databricks_")] == []
    assert 'spark_driver_reachable{app="prod"} 1\n' in page
    assert [line for line in page.splitlines() if line.startswith("lakehouse_exporter_collector_success")] == [
        'lakehouse_exporter_collector_success{collector="drivers",target=""} 1',
        'lakehouse_exporter_collector_success{collector="drivers",target="prod"} 1',
    ]


def test_elsewhere_not_ready() -> None:
    """What is left is ready when the drivers were looked for, though none was found; a look at a workspace is not that."""
    store = Store()
    rest = elsewhere(store.view)
    store.put(place("prod", "clusters"), None, {("clusters", "prod"): GOOD})
    before = rest().ready
    store.replace("drivers", {}, {})

    assert (before, rest().ready) == (False, True)


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        (of(), 400, b"one target is expected\n"),
        (of("prod", "test"), 400, b"one target is expected\n"),
        (of("prod", "prod"), 400, b"one target is expected\n"),
        (of(""), 404, b"no such workspace\n"),
        (of("https://prod"), 404, b"no such workspace\n"),
        (of("PROD"), 404, b"no such workspace\n"),
        (Wanted(parameters=(("target", "prod"), ("cluster_id", "c1"))), 404, b"drivers are not probed\n"),
    ],
)
def test_targets(stage: Stage, wanted: Wanted, status: int, words: bytes) -> None:
    """One configured name is a target; all else is refused at once, without a word of what is configured."""
    refused = Answer(status, "text/plain; charset=utf-8", words)

    assert (stage.probe.kept(wanted), stage.probe.made(wanted)) == (refused, refused)


@pytest.mark.parametrize(
    ("outcomes", "success"),
    [
        ({"clusters": GOOD, "jobs": GOOD}, 1),
        ({"clusters": GOOD, "jobs": Outcome(failures={"timeout": 1})}, 0),
        ({"clusters": GOOD}, 0),
        ({"clusters": GOOD, "jobs": GOOD, "warehouses": Outcome()}, 0),
    ],
)
def test_success(stage: Stage, outcomes: dict[str, Outcome], success: int) -> None:
    """A probe is a success where every collector has looked, and its last look succeeded."""
    for collector, outcome in outcomes.items():
        stage.look("prod", collector, outcome)

    assert f"lakehouse_exporter_probe_success {success}\n" in stage.probe.made(of("prod")).body.decode()


def test_success_needs_a_whole_page(stage: Stage) -> None:
    """Where a snapshot could not be shown the probe is no success."""
    stage.look_all()
    stage.store.put(place("prod", "clusters"), Snapshot(None, (CLUSTERS,), NOW + 60))
    body = stage.probe.made(of("prod")).body.decode()

    assert "lakehouse_exporter_probe_success 0\n" in body
    assert "lakehouse_exporter_snapshots_dropped 1\n" in body


def test_first_look(stage: Stage) -> None:
    """Until each collector that is switched on has looked once a probe is for later; what must be said now is what there is."""
    steps = [(stage.probe.kept(of("prod")), stage.probe.made(of("prod")).status)]
    stage.look("prod", "clusters")
    steps.append((stage.probe.kept(of("prod")), stage.probe.made(of("prod")).status))
    stage.enabled.remove("jobs")

    assert steps == [(Later.LATER, 503), (Later.LATER, 200)]
    assert stage.probe.kept(of("prod")) is stage.probe.made(of("prod"))
    assert stage.probe.made(of("test")) == Answer(503, "text/plain; charset=utf-8", b"not ready\n")


def test_failed_first_look(stage: Stage) -> None:
    """A look that failed is over, too: a probe of a workspace that is down says so at once."""
    for collector in stage.enabled:
        stage.look("prod", collector, Outcome(failures={"timeout": 1}))

    assert stage.probe.kept(of("prod")) is None
    assert samples(stage.probe.made(of("prod"))) == [
        "lakehouse_exporter_probe_success 0",
        'lakehouse_exporter_collector_success{collector="clusters",target="prod"} 0',
        'lakehouse_exporter_collector_success{collector="jobs",target="prod"} 0',
        'lakehouse_exporter_collector_failures_total{collector="clusters",target="prod",reason="timeout"} 1',
        'lakehouse_exporter_collector_failures_total{collector="jobs",target="prod",reason="timeout"} 1',
        "lakehouse_exporter_snapshots_dropped 0",
    ]


def test_kept(stage: Stage) -> None:
    """A page is kept while its workspace has not changed, whatever else has; then it is made anew."""
    stage.look_all()
    first = stage.probe.made(of("prod", host="a"))
    stage.look("test", "clusters")
    stage.store.grade("drivers", {("drivers", ""): Outcome()})
    kept = stage.probe.kept(of("prod"))
    stage.look("prod", "clusters")

    assert kept is first
    assert stage.probe.kept(of("prod")) is None
    assert stage.probe.made(of("prod")) is not first


def test_outcome_alone(stage: Stage) -> None:
    """A look that failed makes a page anew, though no snapshot is."""
    stage.look_all()
    stage.probe.made(of("prod"))
    stage.look("prod", "clusters", Outcome(failures={"timeout": 1}))

    assert stage.probe.kept(of("prod")) is None
    assert "lakehouse_exporter_probe_success 0\n" in stage.probe.made(of("prod")).body.decode()


def test_expired(stage: Stage) -> None:
    """A snapshot that no longer holds leaves the page, and the looks are still told."""
    stage.look_all()
    stage.now = NOW + 60

    assert samples(stage.probe.made(of("prod")))[0] == "lakehouse_exporter_probe_success 1"


def test_forms(stage: Stage) -> None:
    """A probe has the forms that /metrics has: OpenMetrics, gzip, and names to filter by."""
    stage.look_all()
    packed = stage.probe.made(of("prod", openmetrics=True, gzip=True, names=("lakehouse_exporter_probe_success",)))

    assert packed.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert gzip.decompress(packed.body).decode() == (
        "# HELP lakehouse_exporter_probe_success Whether every collector has looked at the probed workspace, and its last look"
        " succeeded (exporter).\n"
        "# TYPE lakehouse_exporter_probe_success gauge\n"
        "lakehouse_exporter_probe_success 1\n"
        "# EOF\n"
    )


def test_poller() -> None:
    """What a poller puts into the store is what the probe of its workspace shows."""

    def broken(_: Asked) -> Any:
        raise SourceError(Reason.TIMEOUT, "prod: no answer")

    store = Store()
    polled = [Polled(CLUSTERS, 60.0, lambda asked: asked.settings.name), Polled(Collector("jobs", (), drivers), 60.0, broken)]
    workspace: Any = _Unasked()
    settings = WorkspaceSettings("prod", "https://x")
    Poller(workspace, settings, polled, store, None, Config, lambda: NOW, lambda: 1000.0).step()
    shown = samples(Probe(["prod"], store.view, lambda: NOW, {"clusters", "jobs"}.__contains__).made(of("prod")))

    assert [line for line in shown if line.startswith(("databricks_cluster_term", "lakehouse_exporter_collector_success"))] == [
        'databricks_cluster_terminations_untold_total{workspace="prod"} 4',
        'lakehouse_exporter_collector_success{collector="clusters",target="prod"} 1',
        'lakehouse_exporter_collector_success{collector="jobs",target="prod"} 0',
    ]
    assert list(elsewhere(store.view)().snapshots) == []
    assert {"clusters", "jobs"} <= {one.collector.name for one in collectors.WORKSPACE}


# How long the front has a probe wait


def scrape(target: str = "prod", timeout: str = "20") -> bytes:
    return (
        f"GET /probe?target={target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"X-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
    ).encode()


def test_waits(stage: Stage) -> None:
    """A scrape before the first look waits for it, and is answered with the page; others are served meanwhile."""
    with fronted({"/probe": stage.probe}) as one, closing(connected(one.port)) as first, closing(connected(one.port)) as second:
        for peer in (first, second):
            peer.sendall(scrape())
        eventually(lambda: sum(each.penalised for each in one._connections) == 2, "both wait", within=10)
        healthy = status(said(one.port, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        stage.look_all()
        answers = [rest(first), rest(second)]

    assert healthy == 200
    assert [status(answer) for answer in answers] == [200, 200]
    assert all(b"lakehouse_exporter_probe_success 1\n" in answer for answer in answers)


def test_waits_no_longer_than_the_scrape(stage: Stage) -> None:
    """Half a second before the scrape would give up it is told that nothing is ready."""
    with fronted({"/probe": stage.probe}) as one:
        began = time.monotonic()
        answer = said(one.port, scrape(timeout="1.2"))
        took = time.monotonic() - began

    assert (status(answer), answer.endswith(b"not ready\n")) == (503, True)
    assert 0.7 <= took < 1.2


def test_ending(stage: Stage) -> None:
    """When the front ends, who waits is answered with what there is, and does not hold it up."""
    with fronted({"/probe": stage.probe}) as one, closing(connected(one.port)) as peer:
        peer.sendall(scrape(timeout="50"))
        eventually(lambda: any(each.penalised for each in one._connections), "it waits", within=10)
        closing_down = threading.Thread(target=one.close, args=(5.0,))
        closing_down.start()
        answer = rest(peer)
        closing_down.join(10)

        assert (status(answer), closing_down.is_alive()) == (503, False)


def test_no_room(stage: Stage) -> None:
    """Who waits is the first to go where there is no room for another."""
    with fronted({"/probe": stage.probe}, limits=Limits(connections=1)) as one, closing(connected(one.port)) as peer:
        peer.sendall(scrape(timeout="50"))
        eventually(lambda: any(each.penalised for each in one._connections), "it waits", within=10)

        assert status(said(one.port, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200
        assert rest(peer) == b""
        assert one.counts()["evicted"] == 1


def test_fault_while_waiting() -> None:
    """A fault of ours while somebody waits ends that connection, and is counted."""

    class Faulty:
        times = 0

        def kept(self, wanted: Wanted) -> Later:  # noqa: ARG002 -- a resource's signature
            self.times += 1
            if self.times > 1:
                raise RuntimeError("a fault of ours")
            return Later.LATER

        def made(self, wanted: Wanted) -> Answer:
            raise NotImplementedError

    with fronted({"/probe": Faulty()}) as one:
        answer = said(one.port, scrape())

        assert (answer, one.counts()["fault"]) == (b"", 1)


def test_kept_connection(stage: Stage) -> None:
    """A connection that waited is asked again as any other."""
    with fronted({"/probe": stage.probe}) as one, closing(connected(one.port)) as peer:
        asking = scrape(timeout="0.6").replace(b"Connection: close\r\n", b"")
        peer.sendall(asking)
        first = one_answer(peer)
        stage.look_all()
        peer.sendall(asking)

        assert [status(first), status(one_answer(peer))] == [503, 200]


@pytest.mark.parametrize(
    ("timeout", "patience"),
    [
        ("10", 9.5),
        ("2.5", 2.0),
        ("0.2", 0.1),
        ("0", 0.1),
        ("600", 50.0),
        ("999999999", 50.0),
        ("", 9.5),
        ("nan", 9.5),
        ("-1", 9.5),
        ("1e3", 9.5),
        ("1, 2", 9.5),
        ("٣", 9.5),
    ],
)
def test_patience(timeout: str, patience: float) -> None:
    """A scrape's timeout leaves half a second for the way; one that can't be read is Prometheus' own default."""
    head = f"GET / HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n".encode()
    request = parsed(head)

    assert not isinstance(request, Refusal)
    assert request.patience == patience


class _Unasked:
    """A workspace's client that nobody asks anything but how much it was asked."""

    def usage(self) -> Usage:
        return Usage({}, {}, 0.0, 0.0, 10.0, 0.0)
