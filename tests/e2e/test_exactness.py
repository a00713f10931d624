"""Rows counted are rows produced, whatever is killed; the ledger is the producer's own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.exporter_process import Exporter
from tests.e2e.feed import Feed
from tests.e2e.prometheus import Prometheus
from tests.e2e.spark import Driver, Line, committed
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually, let_run

ROWS = "spark_streaming_input_rows_total"
UNOBSERVED = "spark_streaming_batches_unobserved_total"
LOST = "spark_streaming_events_lost_total"
KILLS = 20
SEED = 20261122


@dataclass(frozen=True)
class Load:
    """A stream that reads what the feed writes, the exporter beside it, and Prometheus that scrapes the exporter."""

    feed: Feed
    driver: Driver
    checkpoint: Path
    exporter: Exporter
    prometheus: Prometheus


def read_files(driver: Driver, feed: Feed) -> Path:
    return driver.start_query("orders", format="text", path=str(feed.folder), options={"maxFilesPerTrigger": "1"})


def counted(exporter: Exporter) -> float:
    return exporter.total(ROWS, query="orders") or 0


@pytest.fixture(scope="module")
def load(shared_stage: Stage, line: Line) -> Iterator[Load]:
    """The load after it has run through 20 kills of the exporter, at moments that were drawn and never waited for."""
    stage = shared_stage
    exporter = stage.exporter(storage=True).started()
    prometheus = stage.prometheus(exporter)
    feed = Feed(stage.folder / "orders", seed=SEED, rows_per_file=(1, 50), pause=0.3).start()
    driver = stage.driver(line)
    checkpoint = read_files(driver, feed)
    # The load runs from here on: its first batches are under way, and none of them needs to have been counted.
    eventually(lambda: committed(checkpoint), "the first batch is committed", within=90)

    moments = random.Random(SEED)
    for _ in range(KILLS):
        let_run(moments.uniform(0.0, 2.5))
        exporter.kill()
        exporter.start()

    feed.stop()
    eventually(lambda: committed(checkpoint) == feed.files, "the stream has read every file", within=120)
    yield Load(feed, driver, checkpoint, exporter, prometheus)
    feed.stop()


def test_every_row_is_counted_once_though_the_exporter_was_killed_20_times(load: Load) -> None:
    """Killed by kill -9 at 20 moments of a running load, with storage, it counts what the producer wrote: no more, no less."""
    eventually(lambda: counted(load.exporter) >= load.feed.rows, f"{load.feed.rows} rows are counted", within=30)

    assert load.exporter.total(ROWS, query="orders") == load.feed.rows
    assert load.exporter.total(UNOBSERVED, query="orders") == 0
    assert load.exporter.total(LOST) == 0


def test_no_counter_that_prometheus_scraped_ever_decreases(load: Load) -> None:
    """What a real Prometheus kept of each counter of streams, over all those kills, only ever grows."""
    page = eventually(load.exporter.page, "a page", within=30)
    names = sorted(name for name in page.counters if name.startswith("spark_"))
    kept = {name: load.prometheus.samples(name) for name in names}

    decreasing = {
        series: values
        for of_name in kept.values()
        for series, values in of_name.items()
        if any(later < earlier for earlier, later in itertools.pairwise(values))
    }
    assert decreasing == {}
    # It did scrape while the counter moved, and so the kills did hit a count that was under way.
    assert [len(set(values)) > KILLS / 4 for values in kept[ROWS].values()] == [True]


def test_nothing_is_missing_after_a_clean_end_that_the_exporter_slept_through(load: Load) -> None:
    """Events that come while the exporter is frozen, up to the driver's exit, are counted from the driver's last words."""
    load.exporter.freeze()
    for rows in (11, 22, 33):
        load.feed.write(rows)
    eventually(lambda: committed(load.checkpoint) == load.feed.files, "the stream has read the last files", within=60)
    code = load.driver.end()
    load.exporter.thaw()
    eventually(lambda: counted(load.exporter) >= load.feed.rows, f"{load.feed.rows} rows are counted", within=30)

    assert code == 0
    assert load.exporter.total(ROWS, query="orders") == load.feed.rows
    assert load.exporter.total(LOST) == 0


def test_rows_of_a_killed_driver_are_counted_or_reported_as_unobserved(stage: Stage, line: Line) -> None:
    """The driver is killed twice, once while nobody reads its events: rows counted and rows of unobserved batches are all."""
    rows = 7
    exporter = stage.exporter(storage=True).started()
    feed = Feed(stage.folder / "orders", seed=SEED, rows_per_file=(rows, rows), pause=0.2).start()
    driver = stage.driver(line)
    checkpoint = read_files(driver, feed)
    eventually(lambda: counted(exporter) >= 5 * rows, "rows are counted", within=90)
    let_run(random.Random(SEED).uniform(0.0, 2.0))
    driver.kill()

    driver = stage.driver(line)
    before = counted(exporter)
    read_files(driver, feed)
    eventually(lambda: counted(exporter) > before, "rows of the second driver are counted", within=90)
    exporter.freeze()
    batches = committed(checkpoint)
    eventually(lambda: committed(checkpoint) >= batches + 3, "batches are committed that nobody hears of", within=60)
    driver.kill()
    exporter.thaw()

    feed.stop()
    driver = stage.driver(line)
    feed.write(rows)
    read_files(driver, feed)
    eventually(lambda: committed(checkpoint) == feed.files, "the stream has read every file", within=120)
    eventually(
        lambda: counted(exporter) + rows * (exporter.total(UNOBSERVED, query="orders") or 0) >= feed.rows,
        f"{feed.rows} rows are accounted for",
        within=30,
    )

    unobserved = exporter.total(UNOBSERVED, query="orders")
    assert unobserved is not None
    assert unobserved >= 3
    assert counted(exporter) + rows * unobserved == feed.rows
