"""A user's application that does what files in a folder say: NAME.json starts a query, NAME.stop stops it, end ends all."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def start(spark: Any, name: str, query: dict[str, Any]) -> Any:
    reader = spark.readStream.format(query["format"]).options(**query.get("options", {}))
    rows = reader.load(query["path"]) if "path" in query else reader.load()
    if "select" in query:
        rows = rows.selectExpr(*query["select"])
    writer = rows.writeStream.queryName(name).format(query.get("sink", "noop")).options(**query.get("sink_options", {}))
    if "every" in query:
        writer = writer.trigger(processingTime=query["every"])
    return writer.option("checkpointLocation", query["checkpoint"]).start()


def main(folder: Path) -> None:
    spark = SparkSession.builder.getOrCreate()
    queries = {}
    while not (folder / "end").exists():
        for file in sorted(folder.glob("[!.]*.json")):
            queries[file.stem] = start(spark, file.stem, json.loads(file.read_text()))
            file.unlink()
        for file in sorted(folder.glob("[!.]*.stop")):
            queries[file.stem].stop()
            file.unlink()
        time.sleep(0.05)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
