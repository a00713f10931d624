"""The life of the demo: starts Spark and the exporter, shows a person what there is to see, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from exporter import config
from exporter.demo import address, progress, spark, table
from exporter.demo.address import Address
from exporter.demo.page import Page, parsed
from exporter.demo.processes import Child, running
from exporter.demo.progress import Progress
from exporter.demo.screen import Screen
from exporter.demo.streams import STREAMS
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import DemoError
from exporter.stopping import signals

FAILED = 1
REFRESH_SECONDS = 1.0
FETCH_SECONDS = 2.0
LOG_LINES = 20
SEED = 1
SETTINGS = """\
workspaces:
  - {{name: simulated, host: "{host}", token_file: "{token}"}}
every: {{clusters: 10s, job_runs: 10s, schedules: 10s, warehouses: 10s, instance_pools: 10s}}
"""


class BrokenOffError(DemoError):
    """A program of the demo ended, or did not come as far as it should; the log of `child` says why."""

    def __init__(self, child: Child, message: str) -> None:
        super().__init__(message)
        self.child = child


@dataclass(frozen=True)
class Plan:
    """What to run: Spark's command, given the demo's folder, the exporter's address, and the streams to wait for."""

    submission: Callable[[Path], Sequence[str]]
    environ: Mapping[str, str]
    address: Address
    streams: Collection[str] = tuple(STREAMS)
    seconds: float | None = None


def main(seconds: float | None, environ: Mapping[str, str]) -> int:
    """Runs until `seconds` after all streams are there, or until interrupted; the exit code is 0, or 1 with a reason told."""
    try:
        home = spark.home(environ)
        jar = spark.jar(home)
        place = address.chosen(environ)
    except DemoError as error:
        print(f"lakehouse-exporter demo: {error}", file=sys.stderr)
        return FAILED
    plan = Plan(lambda folder: spark.submission(home, jar, folder), spark.environment(environ, home), place, seconds=seconds)
    stop = threading.Event()
    try:
        with signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as told:
            threading.Thread(target=_pass_on, args=(told, stop), name="signals", daemon=True).start()
            return run(plan, Screen(sys.stdout, environ), stop)
    except BrokenPipeError:  # nobody reads on; without this Python would complain once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(plan: Plan, screen: Screen, stop: threading.Event) -> int:
    """Carries the plan out until it is over or `stop` is set; nothing of it is left when this returns."""
    screen.say(
        f"{len(plan.streams)} Spark streams that each show something, a simulated Databricks workspace, and the exporter:"
    )
    screen.say(f"  metrics       {plan.address.url}/metrics")
    screen.say(f"  landing page  {plan.address.url}/")
    environ = without_settings(plan.environ)
    with tempfile.TemporaryDirectory(prefix="lakehouse-exporter-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "drivers").mkdir()
        (folder / "scratch").mkdir()
        try:
            with (
                simulated(SEED, Sizes(every_minutes=1), begin=time.time(), speed=1.0) as workspace,
                running(serving(plan.address, folder, workspace.url), environ, folder / "exporter.log") as exporter,
                running(plan.submission(folder), environ, folder / "spark.log") as driver,
            ):
                _watch(plan, screen, stop, exporter, driver)
        except BrokenOffError as broken:
            _tell(broken)
            return FAILED
    return 0


def serving(place: Address, folder: Path, workspace: str) -> list[str]:
    """The exporter as a user starts it, for the driver and the workspace of this demo alone."""
    (folder / "token").write_text("dapi-simulated\n")
    (folder / "settings.yaml").write_text(SETTINGS.format(host=workspace, token=folder / "token"))
    options = [f"--config.file={folder / 'settings.yaml'}", f"--web.listen-address={place.flag}"]
    options.append(f"--drivers.dir={folder / 'drivers'}")
    return [sys.executable, "-m", "exporter", "serve", *options]


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the exporter's settings: a demo must not touch the storage or the workspace of a real one."""
    return {name: value for name, value in environ.items() if not name.startswith((config.ENVIRONMENT_PREFIX, "DATABRICKS_"))}


def _watch(plan: Plan, screen: Screen, stop: threading.Event, exporter: Child, driver: Child) -> None:
    """Shows what there is until it is over; raises BrokenOffError where a program ends before, or streams do not come."""
    began = time.monotonic()
    now = Progress(plan.streams, plan.seconds, began, began)
    if not screen.live:
        screen.say("starting Spark …")
    while not stop.is_set() and not now.over:
        before, now = now, progress.step(now, _fetched(plan.address), time.monotonic(), time.time())
        for child, name in ((exporter, "the exporter"), (driver, "Spark")):
            if not child.running:
                raise BrokenOffError(child, f"{name} ended with exit code {child.process.returncode}")
        if screen.live:
            screen.show(progress.frame(now, screen.width, screen.paint))
        else:
            for line in progress.news(before, now):
                screen.say(line)
        stop.wait(REFRESH_SECONDS)
    last = table.lines(now.moments, screen.width, screen.paint) if now.newest else []
    screen.show([])
    for line in last:
        screen.say(line)
    if now.missing and not stop.is_set():
        raise BrokenOffError(driver, f"not seen in {table.span(now.now - began)}: {', '.join(now.missing)}")


def _fetched(place: Address) -> Page | None:
    """The page that is served now; None while there is none."""
    connection = http.client.HTTPConnection(place.near, place.port, timeout=FETCH_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return parsed(answer.read().decode()) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _pass_on(told: SimpleQueue[int], stop: threading.Event) -> None:
    told.get()
    stop.set()


def _tell(broken: BrokenOffError) -> None:
    """Says what went wrong, shows the end of the log, and keeps the log where the demo's folder does not."""
    handle, kept = tempfile.mkstemp(prefix="lakehouse-exporter-demo-", suffix=".log")
    os.close(handle)
    shutil.copyfile(broken.child.log, kept)
    for line in broken.child.last_words(LOG_LINES):
        print(f"  {line}", file=sys.stderr)
    print(f"lakehouse-exporter demo: {broken}; its log: {kept}", file=sys.stderr)
