"""Backlog against the broker's own word, the ways a Kafka stream loses its data, and Delta, whose backlog nobody tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.exporter_process import Exporter
from tests.e2e.kafka import Broker
from tests.e2e.page import Page
from tests.e2e.spark import DELTA, Driver, Line, committed, offsets
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

ACTIVE = "spark_streaming_query_active"
BATCH = "spark_streaming_batch_id"
INPUT = "spark_streaming_input_rows_total"
BACKLOG = "spark_streaming_source_backlog_rows"
WORST = "spark_streaming_source_partition_backlog_max_rows"
KNOWN = "spark_streaming_source_backlog_known"
TERMINATIONS = "spark_streaming_query_terminations_total"


@dataclass(frozen=True)
class Running:
    """One driver and its exporter, which all tests of a line of Spark use, each with queries of its own."""

    broker: Broker
    driver: Driver
    exporter: Exporter
    # Topics are named after it: the broker is shared by both lines.
    version: str

    def topic(self, name: str, rows: dict[int, int]) -> str:
        """A topic of two partitions that holds so many rows in each."""
        topic = f"{name}-{self.version}"
        self.broker.create(topic, partitions=2)
        self.broker.produce(topic, rows)
        return topic

    def source(self, topic: str, **options: str) -> dict[str, object]:
        known = {"kafka.bootstrap.servers": self.broker.address, "subscribe": topic, "startingOffsets": "earliest"}
        return {"format": "kafka", "options": {**known, **options}}

    def ends(self, query: str) -> dict[str, float]:
        page = self.exporter.page()
        found = page.find(TERMINATIONS, query=query) if page else ()
        return {labels["class"]: count for labels, count in found if count and labels["class"] != "stopped"}


@pytest.fixture(scope="module")
def running(shared_stage: Stage, line: Line, broker: Broker) -> Iterator[Running]:
    exporter = shared_stage.exporter().started()
    driver = shared_stage.driver(line, conf=DELTA, jars=[line.listener, *line.connectors])
    yield Running(broker, driver, exporter, line.version)
    driver.kill()
    exporter.kill()


def test_backlog_is_what_the_broker_holds_and_the_stream_has_not_read(running: Running) -> None:
    """Held back by maxOffsetsPerTrigger: at every batch, sum and worst partition are end less read; 0 when caught up."""
    topic = running.topic("orders", {0: 90, 1: 30})
    checkpoint = running.driver.start_query("held", every="1 second", **running.source(topic, maxOffsetsPerTrigger="20"))
    end = running.broker.end_offsets(topic, partitions=2)
    expected, shown = {}, {}

    def caught_up(page: Page | None) -> bool:
        batch = page.value(BATCH, query="held") if page else None
        if page is None or batch is None or page.value(BACKLOG, query="held") is None:
            return False
        read = offsets(checkpoint, int(batch))[topic]
        left = [end[partition] - read[str(partition)] for partition in end]
        expected[batch] = (sum(left), max(left))
        shown[batch] = (page.value(BACKLOG, query="held"), page.value(WORST, query="held"))
        return not any(left)

    eventually(lambda: caught_up(running.exporter.page()), "the stream has caught up", within=120)

    assert end == {0: 90, 1: 30}
    assert shown == expected
    assert len(shown) > 2
    assert running.exporter.value(KNOWN, query="held") == 1
    assert running.exporter.total(INPUT, query="held") == 120


def test_backlog_is_not_known_without_a_limit(running: Running) -> None:
    """Spark reads the end of the topic as it plans a batch up to it: the 0 it would say is no knowledge."""
    topic = running.topic("free", {0: 50, 1: 50})
    running.driver.start_query("free", every="1 second", **running.source(topic))
    eventually(lambda: running.exporter.total(INPUT, query="free") == 100, "all rows are read", within=60)

    assert running.exporter.value(KNOWN, query="free") == 0
    assert running.exporter.value(BACKLOG, query="free") is None


def test_a_deleted_topic_ends_the_query_as_not_found(running: Running) -> None:
    """The topic goes while the query runs: the class says that something is missing, on Spark 3.5 without an error class."""
    topic = running.topic("deleted", {0: 5, 1: 5})
    running.driver.start_query("deleted", every="1 second", **running.source(topic))
    eventually(lambda: running.exporter.total(INPUT, query="deleted") == 10, "all rows are read", within=60)
    running.broker.delete(topic)
    ends = eventually(lambda: running.ends("deleted"), "the query has ended", within=90)

    assert ends == {"not_found": 1}
    assert running.exporter.value(ACTIVE, query="deleted") == 0


def test_offsets_that_aged_out_end_the_query_as_data_loss(running: Running) -> None:
    """The topic's retention went past what the stopped query had read: started again, it ends with class data_loss."""
    topic = running.topic("aged", {0: 20, 1: 20})
    checkpoint = running.driver.start_query("aged", **running.source(topic))
    eventually(lambda: committed(checkpoint) == 1, "the first batch is committed", within=60)
    running.driver.stop_query("aged")
    running.broker.produce(topic, {0: 30, 1: 30})
    running.broker.age_out(topic, {0: 40, 1: 40})
    running.driver.start_query("aged", **running.source(topic))
    ends = eventually(lambda: running.ends("aged"), "the query has ended", within=90)

    assert ends == {"data_loss": 1}
    assert running.exporter.value(ACTIVE, query="aged") == 0


def test_backlog_of_a_delta_stream_is_not_known(running: Running) -> None:
    """Delta's events say nothing of what is left to read: the stream is behind, known is 0, and no number is made up."""
    table = str(running.driver.folder / "table")
    rows = {"format": "rate-micro-batch", "options": {"rowsPerBatch": "10"}}
    written = running.driver.start_query("writes", every="1 second", sink="delta", sink_options={"path": table}, **rows)
    eventually(lambda: committed(written) >= 3, "the table has some versions", within=90)
    running.driver.start_query("reads", every="1 second", format="delta", path=table, options={"maxFilesPerTrigger": "1"})
    eventually(lambda: (running.exporter.total(INPUT, query="reads") or 0) >= 10, "rows are read", within=90)
    page = eventually(running.exporter.page, "a page", within=10)

    assert page.value(KNOWN, query="reads") == 0
    assert [name for name, labels, _ in page.series if "backlog_" in name and labels.get("query") == "reads"] == [KNOWN]
