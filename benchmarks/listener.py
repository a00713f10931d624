"""What the listener costs a driver with 40 streams, a reader polling every second, on both lines of Spark.

CPU time of all the listener's own threads (callbacks, serialising, bridge) divided by the events it took, over a window;
exits with 1 where that is more than 0.4 ms on any line. `python -m benchmarks.listener` runs it alone, after `make setup jars`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway

from benchmarks import report
from benchmarks.report import Figure, Part
from tests.e2e.spark import LINES, Line, compiled_file_system
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

STREAMS = 40
MOST_MS = 0.4
EVERY_S = 1.0


@dataclass(frozen=True)
class Window:
    """What the listener said at two moments, and what was read in between."""

    before: dict[str, Any]
    after: dict[str, Any]
    seconds: float
    read: int

    @property
    def events(self) -> int:
        return int(self.after["events"] - self.before["events"])

    @property
    def cpu_ms(self) -> float:
        return float(self.after["cpuNanos"] - self.before["cpuNanos"]) / 1e6

    @property
    def cost_ms(self) -> float:
        return self.cpu_ms / self.events


def measured(line: Line, folder: Path, file_system: Path, *, warm: float, seconds: float) -> Window:
    """Runs the streams and polls as an exporter does: first to warm the driver up, then for the window."""
    with ExitStack() as ends:
        stage = Stage(f"cost-{line.version}", folder, folder, file_system, ends)
        # The JVM's own choice of compiler and collector, as a user's driver has them.
        driver = stage.driver(
            line, conf={"spark.driver.memory": "2g", "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={folder}"}
        )
        rate = {"rowsPerSecond": 10, "numPartitions": 1}
        for number in range(STREAMS):
            driver.start_query(f"stream-{number}", format="rate", options=rate, every="1 second")
        file = eventually(lambda: next(stage.drivers.glob("[!.]*.json"), None), "a connection file is there", within=60)
        told = json.loads(file.read_text())
        parameters = GatewayParameters(address="127.0.0.1", port=told["port"], auth_token=told["token"], read_timeout=30)
        gateway = JavaGateway(gateway_parameters=parameters)
        ends.callback(gateway.close)

        def poll(after: int) -> Any:
            return json.loads(gateway.entry_point.poll(told["epoch"], after, 4 << 20))

        def follow(after: int, until: float) -> tuple[Any, int]:
            """Polls every second until then; the last answer, and how many events came."""
            read = 0
            while True:
                page = poll(after)
                after, read = page["lastSeq"], read + len(page["events"])
                if time.monotonic() >= until:
                    return page, read
                time.sleep(EVERY_S)

        eventually(lambda: len(poll(0)["facts"]["queries"] or ()) == STREAMS, f"{STREAMS} streams run", within=180)
        first, _ = follow(poll(0)["lastSeq"], time.monotonic() + warm)
        began = time.monotonic()
        last, read = follow(first["lastSeq"], began + seconds)
        return Window(first["facts"]["listener"], last["facts"]["listener"], time.monotonic() - began, read)


def measure(lines: Sequence[Line] = LINES, *, warm: float = 30, seconds: float = 60) -> Iterator[Figure]:
    """On each line of Spark: ms of CPU an event, and what it was divided from."""
    for line in lines:
        # Checkpoints in memory: a disk's pace is not what is measured.
        with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
            folder = Path(scratch)
            classes = folder / "classes"
            classes.mkdir()
            window = measured(line, folder, compiled_file_system(classes), warm=warm, seconds=seconds)
        what = f"Spark {line.version}"
        yield Figure(f"{what}: CPU an event", window.cost_ms, "ms", MOST_MS)
        yield Figure(f"{what}: CPU of {seconds:g} seconds", window.cpu_ms, "ms")
        yield Figure(f"{what}: events taken in them", window.events)
        yield Figure(f"{what}: events read in them", window.read)
        yield Figure(f"{what}: events a second", window.events / window.seconds)
        yield Figure(f"{what}: worst callback since the driver's start", window.after["worstCallbackNanos"] / 1e6, "ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="length of the window")
    parser.add_argument("--warm", type=float, default=30, help="seconds before it, for the JVM to compile")
    parser.add_argument("--line", choices=[line.version for line in LINES], help="one line of Spark alone")
    options = parser.parse_args()
    lines = [line for line in LINES if options.line in (None, line.version)]
    missed = False
    for figure in measure(lines, warm=options.warm, seconds=options.seconds):
        print(report.line(figure), flush=True)
        missed = missed or figure.missed
    return int(missed)


PART = Part(
    "listener",
    "The listener in the driver",
    f"A driver with {STREAMS} streams that each end a batch a second, read each second as an exporter does. CPU of all threads"
    " of the listener (callbacks, serialising, bridge) divided by the events it took in a minute, after the JVM has warmed up.",
    measure,
)

if __name__ == "__main__":
    sys.exit(main())
