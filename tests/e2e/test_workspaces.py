"""Databricks workspaces as a user has them watched: a real exporter beside simulated workspaces, and a real Prometheus.

SEED, which stands in the test's name, chooses the pairs of faults; FAULTS=all has those tried, too, that take a minute each.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.tokens import Credentials
from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world.sizes import Sizes
from tests.e2e import prometheus
from tests.e2e.exporter_process import Exporter
from tests.e2e.page import Page
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CANARY = "dapi0canary0canary0canary0canary00"
SMALL = Sizes(
    cron_jobs=6, continuous_jobs=1, clusters=3, pipelines=2, warehouses=2, pools=1, wide_job_tasks=10, history_hours=1
)
EVERY = ("clusters", "cluster_events", "jobs", "job_runs", "schedules", "pipelines", "warehouses", "instance_pools", "identity")
# What keeps a collector from succeeding, and by which reason it says so.
BREAKING = {
    Fault(Kind.STATUS, "500"): {"server_error"},
    Fault(Kind.STATUS, "503"): {"throttled", "server_error"},
    Fault(Kind.STATUS, "403"): {"forbidden"},
    Fault(Kind.THROTTLED, "2"): {"throttled"},
    Fault(Kind.THROTTLED): {"throttled"},
    Fault(Kind.LOGIN_PAGE): {"bad_answer"},
    Fault(Kind.TRUNCATED): {"bad_answer"},
    Fault(Kind.BOMB): {"bad_answer"},
    Fault(Kind.SILENT): {"timeout"},
    Fault(Kind.DRIP): {"timeout"},
    Fault(Kind.RESET): {"disconnected"},
}
# What a collector has to live with.
HARMLESS = tuple(
    Fault(kind)
    for kind in (
        *(Kind.ORDER_BY_END, Kind.SMALL_PAGES, Kind.EMPTY_TOKEN, Kind.VANISHING, Kind.SHIFTING, Kind.STRINGS),
        *(Kind.UNKNOWN_VALUES, Kind.UNKNOWN_FIELDS, Kind.MISSING_ARRAYS, Kind.BROKEN_ITEMS),
    )
)
# These are tried again until a look's deadline, a minute: left out unless FAULTS says that all are wanted.
SLOW = (Fault(Kind.STATUS, "503"), Fault(Kind.THROTTLED, "2"), Fault(Kind.THROTTLED), Fault(Kind.DRIP))
ALL = "FAULTS" in os.environ
ONLY_CLUSTERS = ("/api/2.1/clusters/list",)


def settings(folder: Path, **workspaces: str) -> str:
    """A file of settings that names these workspaces, with a canary for a token, and looks every second."""
    (folder / "token").write_text(CANARY)
    content = {
        "workspaces": [
            {"name": name, "host": url, "token_file": str(folder / "token"), "requests_per_second": 500, "burst": 500}
            for name, url in workspaces.items()
        ],
        "every": dict.fromkeys(EVERY, "1s"),
    }
    (folder / "settings.yaml").write_text(json.dumps(content))
    return f"--config.file={folder / 'settings.yaml'}"


@contextmanager
def watched(folder: Path, *options: str) -> Iterator[Exporter]:
    exporter = Exporter(folder / "drivers", folder / "exporter.log", *options)
    try:
        yield exporter.started()
    finally:
        exporter.kill()


def failing(page: Page) -> set[str]:
    """The collectors whose last look at the workspace failed."""
    looked = page.find("lakehouse_exporter_collector_success", target="prod")
    return {labels["collector"] for labels, value in looked if not value}


def reasons(page: Page, before: Page) -> set[str]:
    """The reasons of the failures since `before`."""
    name = "lakehouse_exporter_collector_failures_total"
    return {
        labels["reason"]
        for labels, value in page.find(name, target="prod", collector="clusters")
        if value > (before.value(name, **labels) or 0.0)
    }


def now(exporter: Exporter) -> Page:
    return eventually(exporter.page, "a page", within=10)


class Scraped(NamedTuple):
    """What a scraper saw; `times` are in seconds."""

    times: list[float]
    page: str


@contextmanager
def scraping(url: str) -> Iterator[Callable[[], Scraped]]:
    """Scrapes again and again while the block runs; what it yields ends that, and says how it went."""
    command = [sys.executable, "-m", "tests.e2e.scraping_process", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as scraper:
        yield lambda: Scraped(**json.loads(scraper.communicate(timeout=30)[0]))


def last_success(exporter: Exporter, collector: str) -> float:
    name = "lakehouse_exporter_collector_last_success_timestamp_seconds"
    return now(exporter).value(name, collector=collector) or 0.0


@contextmanager
def workspace() -> Iterator[Workspace]:
    with simulated(1, SMALL, begin=time.time(), speed=1.0) as there:
        there.accept(Credentials(token=CANARY))
        yield there


@pytest.mark.parametrize("seed", [SEED])
def test_faults(seed: int, tmp_path: Path) -> None:
    """Each fault alone, and in pairs: every page comes at once, the collector says why, the others stay, all is back soon."""
    draw = random.Random(seed)
    breaking = {fault: expected for fault, expected in BREAKING.items() if ALL or fault not in SLOW}
    pairs = [draw.sample([*breaking, *HARMLESS], 2) for _ in range(10 if ALL else 3)]
    with workspace() as there, watched(tmp_path, settings(tmp_path, prod=there.url)) as exporter:
        success = "lakehouse_exporter_collector_success"
        eventually(lambda: len(list(now(exporter).find(success, target="prod"))) == len(EVERY), "all have looked", within=30)
        assert failing(now(exporter)) == set()
        with scraping(f"http://{exporter.address}/metrics") as ended:
            for fault, expected in breaking.items():
                before = now(exporter)
                there.faults(Fault(fault.kind, fault.value, ONLY_CLUSTERS))
                eventually(lambda: failing(now(exporter)) == {"clusters"}, f"{fault} is told", within=90)
                assert reasons(now(exporter), before) & expected
                assert list(now(exporter).find("databricks_cluster_info"))
                there.faults()
                eventually(lambda: not failing(now(exporter)), f"all is back after {fault}", within=90)
            for fault in HARMLESS:
                there.faults(fault)
                seen = last_success(exporter, "job_runs")
                eventually(lambda: last_success(exporter, "job_runs") > seen + 2, f"looks go on with {fault}", within=60)  # noqa: B023
                assert failing(now(exporter)) == set()
            for pair in pairs:
                there.faults(*pair)
                time.sleep(draw.uniform(1.0, 3.0))  # how long trouble lasts is what is random here
                there.faults()
                eventually(lambda: not failing(now(exporter)), f"all is back after {pair}", within=90)
            scraped = ended()
        # While gzip bombs are packed beside it, two processors are not enough for every single page.
        assert len(scraped.times) > 100
        assert statistics.quantiles(scraped.times, n=20)[-1] < 0.1
        assert max(scraped.times) < 1.0
        assert CANARY not in scraped.page
    assert CANARY not in (tmp_path / "exporter.log").read_text()


def test_token_is_rotated(tmp_path: Path) -> None:
    """A token that is refused is told, and a new one in the same file is taken up, without a restart."""
    with workspace() as there, watched(tmp_path, settings(tmp_path, prod=there.url)) as exporter:
        eventually(lambda: list(now(exporter).find("databricks_cluster_info")), "it looks", within=30)
        there.accept(Credentials(token=f"{CANARY}2"))
        eventually(lambda: "clusters" in failing(now(exporter)), "it is refused", within=30)
        (tmp_path / "token").write_text(f"{CANARY}2")
        eventually(lambda: not failing(now(exporter)), "it has the new one", within=90)
    assert CANARY not in (tmp_path / "exporter.log").read_text()


def test_page_is_sound(tmp_path: Path) -> None:
    """A page with all of a workspace on it has nothing that promtool finds fault with."""
    with workspace() as there, watched(tmp_path, settings(tmp_path, prod=there.url), "--collector.pipeline-events") as exporter:
        eventually(lambda: list(now(exporter).find("databricks_schedule_due_total")), "it looks", within=30)
        with urllib.request.urlopen(f"http://{exporter.address}/metrics", timeout=10) as answer:
            page = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    for family in ("cluster_info", "job_info", "job_runs_total", "pipeline_info", "warehouse_info", "instance_pool_info"):
        assert f"\ndatabricks_{family}{{".encode() in page


def test_shards(tmp_path: Path) -> None:
    """Two Prometheus servers share three workspaces by hashmod over what /sd lists: each is scraped by exactly one."""
    names = ("alpha", "beta", "gamma")
    with ExitStack() as stack:
        urls = {}
        for name in names:
            there = stack.enter_context(simulated(1, SMALL, begin=time.time(), speed=1.0))
            there.accept(Credentials(token=CANARY))
            urls[name] = there.url
        exporter = stack.enter_context(watched(tmp_path, settings(tmp_path, **urls), "--web.probe"))
        shards = []
        for shard in range(2):
            folder = tmp_path / f"shard{shard}"
            folder.mkdir()
            job = {
                "job_name": "databricks",
                "http_sd_configs": [{"url": f"http://{exporter.address}/sd", "refresh_interval": "1s"}],
                "relabel_configs": [
                    {"source_labels": ["__param_target"], "modulus": 2, "target_label": "__tmp_hash", "action": "hashmod"},
                    {"source_labels": ["__tmp_hash"], "regex": str(shard), "action": "keep"},
                ],
            }
            one = prometheus.configured([job], folder, folder / "log")
            stack.callback(one.child.kill)
            shards.append(one)

        def scraped() -> list[list[str]]:
            query = "count by (workspace) (databricks_cluster_info) and on () (min(up) == 1)"
            return [sorted(one["metric"]["workspace"] for one in shard.query(query)) for shard in shards]

        eventually(lambda: len(list(itertools.chain(*scraped()))) == len(names), "each is scraped", within=60)
        assert sorted(itertools.chain(*scraped())) == sorted(names)
        page = now(exporter)

    assert not list(page.find("databricks_cluster_info")), "a probed workspace leaves the common page"
    with suppress(FileNotFoundError):
        assert CANARY not in (tmp_path / "exporter.log").read_text()
