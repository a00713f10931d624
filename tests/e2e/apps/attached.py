"""A notebook, as a script: follows its own session, says on which port, and runs one stream until it is told to end.

Usage: attached.py FOLDER [remote]
"""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

import exporter

folder = Path(sys.argv[1])
builder = SparkSession.builder.appName("notebook")
spark = (builder.remote("local[2]") if "remote" in sys.argv else builder).getOrCreate()
with exporter.attach(spark, "127.0.0.1:0") as attached:
    rows = spark.readStream.format("rate").option("rowsPerSecond", 5).load()
    query = rows.writeStream.queryName("cell").format("noop").trigger(processingTime="1 second").start()
    (folder / "port.aside").write_text(str(attached.port))
    (folder / "port.aside").rename(folder / "port")
    while not (folder / "stop").exists():
        time.sleep(0.05)
    query.stop()
    while not (folder / "end").exists():
        time.sleep(0.05)
spark.stop()
print("ended")
