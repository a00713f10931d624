"""A user's application that goes down with its query: what it awaits fails on the third batch."""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
query = (
    rows.selectExpr("1 / (value - 25) AS never")
    .writeStream.queryName("doomed")
    .format("noop")
    .option("checkpointLocation", sys.argv[1])
    .start()
)
query.awaitTermination()
