"""What the exporter burns: a minute of life beside 100 streams, and pages of 100,000 series against prometheus_client.

Run it as `python -m benchmarks.exporter`, after `make setup`; it prints figures and ratios of one run, and exits with 1 where a
goal is missed. The driver is a socket that speaks like the bridge, so that its own cost is not in the figures.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from exporter import catalogue
from exporter.collector import Collector
from exporter.metric import Sample, gauge
from exporter.negotiation import Wanted
from exporter.page import Page
from exporter.snapshot import Snapshot, View
from tests.e2e.processes import free_port
from tests.e2e.waiting import eventually
from tests.sources.bridge import TOKEN, Bridge, says
from tests.streaming.rings import Ring, query_id

RECORDS = Path(__file__).parents[1] / "tests" / "records" / "progress" / "4.3.0"
STREAMS = 100
SECONDS = 60
SCRAPES = 4
MOST_CPU_SECONDS = 1.5
MOST_LIFE_MIB = 60
TARGETS, FAMILIES, QUERIES = 50, 20, 100
MOST_RENDER_MS = 200
MOST_PAGE_MIB = 200


def main() -> int:
    """Runs all of it; the exit code says whether every goal was met."""
    goals = [*minute_of_life(), *large_pages()]
    for name, measured, most, unit in goals:
        print(f"{name:58}{measured:10.2f} {unit:4}at most {most:g}{'' if measured <= most else '   MISSED'}")
    return int(any(measured > most for _, measured, most, _ in goals))


def minute_of_life() -> Iterator[tuple[str, float, float, str]]:
    """100 streams of a batch a second, polled each second and scraped each 15: CPU seconds and MiB of the exporter."""
    progress = json.loads((RECORDS / "agg_watermark_rocksdb.json").read_text())
    ring = Ring(started=time.time() + 1, room=20 * STREAMS)
    names = [f"q{number:05d}" for number in range(STREAMS)]
    for name in names:
        ring.started_query(name, run=f"run-{name}", trigger="ProcessingTimeTrigger(1000)")
    ring.running(*((name, f"run-{name}") for name in names))
    over = threading.Event()

    def live() -> None:
        for batch in itertools.count():
            ring.now = time.time()
            for name in names:
                ids = {"id": query_id(name), "runId": f"run-{name}", "name": name, "batchId": batch}
                ring.say("progress", {**progress, **ids})
            if over.wait(1.0):
                return

    def answer(connection: Any, call: list[str]) -> None:
        after = int(next(part[1:] for part in call if part[:1] in "iL" and part[1:].isdigit()))
        says(ring.text(after, at_most=20 * STREAMS))(connection, call)

    with tempfile.TemporaryDirectory() as scratch, Bridge(*[answer] * 10_000) as bridge:
        drivers = Path(scratch)
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": ring.app_id, "epoch": ring.epoch}
        (drivers / "app.json").write_text(json.dumps(content))
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "exporter", f"--web.listen-address={address}", f"--drivers.dir={drivers}"]
        exporter = subprocess.Popen([*command, "--log.level=error", f"--storage.path={scratch}/state"])
        thread = threading.Thread(target=live)
        thread.start()
        try:
            eventually(lambda: _series(address) > STREAMS, "the streams are shown", within=30)
            before = _cpu(exporter.pid)
            for _ in range(SCRAPES):
                time.sleep(SECONDS / SCRAPES)
                _series(address)
            yield (
                f"CPU of a minute, {STREAMS} stateful streams, {SCRAPES} scrapes",
                _cpu(exporter.pid) - before,
                MOST_CPU_SECONDS,
                "s",
            )
            yield "memory after it", _rss(exporter.pid), MOST_LIFE_MIB, "MiB"
        finally:
            over.set()
            thread.join()
            exporter.kill()
            exporter.wait()


def large_pages() -> Iterator[tuple[str, float, float, str]]:
    """100,000 series of 50 targets: CPU of the first scrape after a change of all or one, and of prometheus_client."""
    families = [gauge(f"bench_{number}_rows", "Made up (benchmark).", ("app", "query", "source")) for number in range(FAMILIES)]
    catalogue.METRICS = (*catalogue.METRICS, *families)

    def samples(record: tuple[int, float]) -> Iterator[Sample]:
        for family in families:
            for query in range(QUERIES):
                yield Sample(family, (f"app{record[0]}", f"query{query}", "0"), record[1] + query)

    collector = Collector("bench", tuple(families), samples)

    def view(values: Iterable[float]) -> View:
        records = enumerate(values)
        return View(
            {f"bench/{target}": Snapshot((target, value), (collector,), 9e18) for target, value in records}, {}, ready=True
        )

    values = [0.5] * TARGETS
    current = view(values)
    page = Page(lambda: current, time.time)
    page.made(Wanted())
    all_changed, one_changed, kept = [], [], []
    for _ in range(5):
        values = [value + 1 for value in values]
        current = view(values)
        all_changed.append(_cpu_ms(lambda: page.made(Wanted())))
        values[3] += 1
        current = view(values)
        one_changed.append(_cpu_ms(lambda: page.made(Wanted())))
        kept.append(_cpu_ms(lambda: page.kept(Wanted())))
    series = TARGETS * FAMILIES * QUERIES
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peer = min(_cpu_ms(lambda: generate_latest(_Peer(families, values))) for _ in range(3))
    print(f"{'prometheus_client, the same samples':58}{peer:10.2f} ms")
    print(
        f"{'  against ours: all targets changed, one changed':58}{peer / min(all_changed):9.0f}x{peer / min(one_changed):5.0f}x"
    )
    yield f"{series} series, all of {TARGETS} targets changed", min(all_changed), MOST_RENDER_MS, "ms"
    yield f"{series} series, one of {TARGETS} targets changed", min(one_changed), MOST_RENDER_MS / 4, "ms"
    yield f"{series} series, nothing changed", min(kept), 1, "ms"
    yield "memory with all of it, this program's own included", memory, MOST_PAGE_MIB, "MiB"


class _Peer(CollectorRegistry):  # generate_latest asks a registry
    def __init__(self, families: list[Any], values: list[float]) -> None:
        super().__init__()
        self._families, self._values = families, values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for metric in self._families:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for target, value in enumerate(self._values):
                for query in range(QUERIES):
                    family.add_metric((f"app{target}", f"query{query}", "0"), value + query)
            yield family


def _series(address: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return sum(line.startswith(b"spark_streaming") for line in answer.read().splitlines())
    except OSError:
        return 0


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
