"""A user's application that knows nothing of us: one stream, three batches, then its end, the good or the bad one."""

import sys
import time

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

how, checkpoint = sys.argv[1:]
spark = SparkSession.builder.appName("plain").config("spark.sql.ansi.enabled", "true").getOrCreate()
rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
divisor = "value - 25" if how == "fails" else "value + 1"
query = (
    rows.selectExpr(f"1 / ({divisor}) AS part")
    .writeStream.queryName("plain")
    .format("noop")
    .trigger(processingTime="200 milliseconds")
    .option("checkpointLocation", checkpoint)
    .start()
)
if how == "fails":
    try:
        query.awaitTermination(120)
    except StreamingQueryException:
        print("failed")
        sys.exit(3)
deadline = time.monotonic() + 120
while query.isActive and (query.lastProgress is None or query.lastProgress["batchId"] < 2) and time.monotonic() < deadline:
    time.sleep(0.05)
print("active", query.isActive)
query.stop()
print("stopped", query.exception())
