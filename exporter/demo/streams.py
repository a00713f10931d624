"""Streams that each show something, as a user's application: run by spark-submit, knows nothing of exporter or listener."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

ORDERS_A_FILE = 10
SECONDS_A_FILE = 0.5
# A reader that is too slow for ever must not fill the disk: the writer waits for it here.
MOST_FILES = 300


def healthy(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Keeps up with its source, and its batches with their trigger."""
    return _clicks(spark, 20).writeStream.format("noop").trigger(processingTime="2 seconds")


def windowed_counts(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Holds state in RocksDB until the watermark passes; one row in a hundred comes too late for it."""
    at = "CASE WHEN value % 100 = 99 THEN timestamp - INTERVAL 5 MINUTES ELSE timestamp END AS at"
    clicks = _clicks(spark, 20).selectExpr(at, "value % 7 AS page").withWatermark("at", "5 seconds")
    counts = clicks.selectExpr("page", "window(at, '5 seconds') AS window").groupBy("page", "window").count()
    return counts.writeStream.outputMode("update").format("noop").trigger(processingTime="3 seconds")


def overrunning(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Its batches take about three times as long as its trigger gives them."""

    def write(batch: DataFrame, number: int) -> None:
        _write(batch)
        time.sleep(2.5)

    return _clicks(spark, 5).writeStream.foreachBatch(write).trigger(processingTime="1 second")


def idle(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Has read the one file that there is, and waits for another."""
    incoming = folder / "quiet"
    if not incoming.exists():
        _write_orders(incoming, 0)
    return _orders(spark, incoming).writeStream.format("noop").trigger(processingTime="2 seconds")


def failing(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Fails on the fourth batch of each run."""
    batches = itertools.count(1)

    def write(batch: DataFrame, number: int) -> None:
        if next(batches) > 3:
            raise ValueError(f"no price for the orders of batch {number}")
        _write(batch)

    return _clicks(spark, 5).writeStream.foreachBatch(write).trigger(processingTime="2 seconds")


def behind(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Reads a file every two seconds, while four are written: what it reads is older from batch to batch."""
    orders = _orders(spark, folder / "orders", maxFilesPerTrigger=1, cleanSource="delete").withWatermark("at", "10 seconds")
    return orders.writeStream.format("noop").trigger(processingTime="2 seconds")


def each_batch(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Hands each batch to a function of the user's."""

    def write(batch: DataFrame, number: int) -> None:
        _write(batch.groupBy("value").count())

    return _clicks(spark, 10).writeStream.foreachBatch(write).trigger(processingTime="3 seconds")


def nightly(spark: SparkSession, folder: Path) -> DataStreamWriter:
    """Reads what is there and finishes, as a scheduled job does."""
    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1000).load()
    return rows.writeStream.format("noop").trigger(availableNow=True)


class Stream(NamedTuple):
    """A query yet to be started, and how long after its end it is started again."""

    writer: Callable[[SparkSession, Path], DataStreamWriter]
    pause_seconds: float = 5


STREAMS = {
    "healthy": Stream(healthy),
    "windowed_counts": Stream(windowed_counts),
    "overrunning": Stream(overrunning),
    "idle": Stream(idle),
    "failing": Stream(failing),
    "behind": Stream(behind),
    "each_batch": Stream(each_batch),
    "nightly": Stream(nightly, pause_seconds=30),
}


def main(folder: Path) -> None:
    """Starts every stream on a checkpoint in `folder`, and again whenever it ends."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    threading.Thread(target=_take_orders, args=(folder / "orders",), daemon=True).start()
    queries: dict[str, StreamingQuery] = {}
    due = dict.fromkeys(STREAMS, 0.0)
    while True:
        for name, stream in STREAMS.items():
            if name in queries and queries[name].isActive:
                due[name] = time.monotonic() + stream.pause_seconds
            elif time.monotonic() >= due[name]:
                writer = stream.writer(spark, folder).queryName(name)
                queries[name] = writer.option("checkpointLocation", str(folder / "checkpoints" / name)).start()
        time.sleep(0.5)


def _clicks(spark: SparkSession, rows_a_second: int) -> DataFrame:
    return spark.readStream.format("rate").option("rowsPerSecond", rows_a_second).option("numPartitions", 1).load()


def _orders(spark: SparkSession, incoming: Path, **options: object) -> DataFrame:
    incoming.mkdir(parents=True, exist_ok=True)
    return spark.readStream.schema("at TIMESTAMP, number BIGINT").options(**options).json(str(incoming))


def _write(batch: DataFrame) -> None:
    batch.write.format("noop").mode("overwrite").save()


def _take_orders(incoming: Path) -> None:
    incoming.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        while sum(1 for _ in incoming.iterdir()) >= MOST_FILES:
            time.sleep(SECONDS_A_FILE)
        _write_orders(incoming, number)
        time.sleep(SECONDS_A_FILE)


def _write_orders(incoming: Path, file: int) -> None:
    incoming.mkdir(parents=True, exist_ok=True)
    at = datetime.now(timezone.utc).isoformat()
    lines = (json.dumps({"at": at, "number": file * ORDERS_A_FILE + line}) for line in range(ORDERS_A_FILE))
    # Under a name that Spark does not read until the file is whole.
    aside = incoming / f".{file:09}"
    aside.write_text("\n".join(lines) + "\n")
    aside.rename(incoming / f"{file:09}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
