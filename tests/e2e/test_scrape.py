"""What a real Prometheus reads from a real exporter, in each of the two formats that it can ask for."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from exporter.negotiation import OPENMETRICS, TEXT
from tests.e2e import prometheus
from tests.e2e.exporter_process import Exporter
from tests.e2e.prometheus import Prometheus
from tests.e2e.waiting import eventually
from tests.sources.bridge import TOKEN, Bridge, says
from tests.streaming.recorded import every_kind

SCRAPES = 5
COUNTS = ("scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "up")


class Relay(ThreadingHTTPServer):
    """Hands scrapes on to an exporter, with another Accept where one is given; `types` are those of the answers."""

    def __init__(self, exporter: str, accept: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.exporter = exporter
        self.accept = accept
        self.types: set[str] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request, and the answer as it came."""

    server: Relay

    def do_GET(self) -> None:
        accept = self.server.accept or self.headers["Accept"]
        request = urllib.request.Request(f"http://{self.server.exporter}{self.path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=5) as answer:
            kind, body = answer.headers["Content-Type"], answer.read()
        self.server.types.add(kind)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What goes through is in Prometheus' own log."""


def test_same_samples_in_both_formats(tmp_path: Path, logs: Path) -> None:
    """Prometheus takes as many samples from the text as from OpenMetrics, all of the page, and drops none."""
    ring = every_kind("4.3.0")
    ring.now = ring.started = time.time() + 1
    drivers = tmp_path / "drivers"
    drivers.mkdir()
    with Bridge(says(ring.text(at_most=len(ring.held)))) as bridge:
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": ring.app_id, "epoch": ring.epoch}
        (drivers / "app.json").write_text(json.dumps(content))
        exporter = Exporter(drivers, logs / "scrape-exporter.log")
        try:
            exporter.started()
            eventually(lambda: exporter.value("spark_driver_reachable", app="recorded"), "the driver is shown", within=10)
            with relayed(exporter.address, "text/plain;version=0.0.4") as text, relayed(exporter.address) as openmetrics:
                kept = scraped({"text": text.address, "openmetrics": openmetrics.address}, tmp_path, logs)
            with urllib.request.urlopen(f"http://{exporter.address}/metrics", timeout=5) as answer:
                on_page = sum(not line.startswith(b"#") for line in answer.read().splitlines())
        finally:
            exporter.kill()

    assert (text.types, openmetrics.types) == ({TEXT}, {OPENMETRICS})
    assert kept == {
        (name, job): [1.0 if name == "up" else float(on_page)] * SCRAPES for name in COUNTS for job in ("openmetrics", "text")
    }
    assert on_page > 2_000


@contextmanager
def relayed(exporter: str, accept: str | None = None) -> Iterator[Relay]:
    with Relay(exporter, accept) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()


def scraped(targets: dict[str, str], folder: Path, logs: Path) -> dict[tuple[str, str], list[float]]:
    """What Prometheus tells of its first scrapes of each target, by name and job."""
    started: Prometheus = prometheus.started(targets, folder, logs / "scrape-prometheus.log")
    try:
        eventually(
            lambda: len(whole := first(started)) == len(COUNTS) * len(targets) and min(map(len, whole.values())) == SCRAPES,
            "each target is scraped often enough",
            within=60,
        )
        return first(started)
    finally:
        started.child.kill()


def first(started: Prometheus) -> dict[tuple[str, str], list[float]]:
    return {
        (name, json.loads(series)["job"]): values[:SCRAPES]
        for name in COUNTS
        for series, values in started.samples(name).items()
    }
