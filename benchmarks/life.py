"""What a minute beside 100 streams costs the exporter; the driver is a socket that speaks like the bridge."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.report import Figure, Part
from tests.e2e.processes import free_port
from tests.e2e.waiting import eventually
from tests.sources.bridge import TOKEN, Bridge, says
from tests.streaming.rings import Ring, query_id

RECORDS = Path(__file__).parents[1] / "tests" / "records" / "progress" / "4.3.0"
STREAMS = 100
SCRAPES = 4
MOST_CPU_SECONDS = 1.5
MOST_MIB = 60


def measure(seconds: float = 60) -> Iterator[Figure]:
    """Streams that each end a batch a second, polled each second and scraped four times: CPU seconds, and MiB after it."""
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
        drivers = Path(scratch) / "drivers"
        drivers.mkdir()
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": ring.app_id, "epoch": ring.epoch}
        (drivers / "app.json").write_text(json.dumps(content))
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "exporter", f"--web.listen-address={address}", f"--drivers.dir={drivers}"]
        thread = threading.Thread(target=live)
        with processes.running([*command, "--log.level=error", f"--storage.path={scratch}/state"]) as exporter:
            thread.start()
            try:
                eventually(lambda: _series(address) > STREAMS, "the streams are shown", within=30)
                before = processes.cpu_seconds(exporter.pid)
                for _ in range(SCRAPES):
                    time.sleep(seconds / SCRAPES)
                    shown = _series(address)
                burnt = processes.cpu_seconds(exporter.pid) - before
                yield Figure(f"CPU of {seconds:g} seconds", burnt, "s", MOST_CPU_SECONDS)
                yield Figure("memory after it", processes.resident_mib(exporter.pid), "MiB", MOST_MIB)
                yield Figure("series of the streams", shown)
            finally:
                over.set()
                thread.join()


def _series(address: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return sum(line.startswith(b"spark_streaming") for line in answer.read().splitlines())
    except OSError:
        return 0


PART = Part(
    "life",
    f"A minute beside {STREAMS} streams",
    f"{STREAMS} stateful streams, each with a batch a second; the exporter polls their driver each second, writes its state"
    f" to disk, and is scraped {SCRAPES} times.",
    measure,
)
