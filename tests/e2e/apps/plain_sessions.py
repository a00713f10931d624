"""A user's application that attaches the listener by hand, late, in a driver that has it already or has it not."""

import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def started(spark: Any, name: str, folder: Path) -> Any:
    return (
        spark.readStream.format("rate-micro-batch")
        .option("rowsPerBatch", 10)
        .load()
        .writeStream.queryName(name)
        .format("noop")
        .trigger(processingTime="200 milliseconds")
        .option("checkpointLocation", str(folder / name))
        .start()
    )


def has_batches(query: Any, batch: int) -> None:
    deadline = time.monotonic() + 60
    while query.lastProgress is None or query.lastProgress["batchId"] < batch:
        if time.monotonic() > deadline:
            sys.exit(f"{query.name} makes no batches")
        time.sleep(0.05)


def main(folder: Path) -> None:
    spark = SparkSession.builder.appName("first").getOrCreate()
    early = started(spark, "early", folder)
    has_batches(early, 1)
    # PySpark's own addListener takes listeners written in Python alone.
    spark._jsparkSession.streams().addListener(spark._jvm.lakehouse.listener.StreamListener())
    late = started(spark.newSession(), "late", folder)
    has_batches(late, 2)
    has_batches(early, early.lastProgress["batchId"] + 2)
    for query in (late, early):
        query.stop()
    spark.stop()

    again = SparkSession.builder.appName("second").getOrCreate()
    has_batches(started(again, "again", folder), 1)
    again.stop()


main(Path(sys.argv[1]))
