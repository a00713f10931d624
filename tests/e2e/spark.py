"""A real Spark driver: spark-submit of one line of Spark with our jar, and an application that does what files tell it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import Child, spawn
from tests.e2e.waiting import eventually

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
APPS = Path(__file__).parent / "apps"
LISTENER = "lakehouse.listener.LakehouseListener"


@dataclass(frozen=True)
class Line:
    """A line of Spark as pip installs it, with the jars that fit it."""

    version: str
    scala: str
    file_manager: str

    @property
    def home(self) -> Path:
        return TOOLS / f"spark-{self.version}" / "pyspark"

    @property
    def listener(self) -> Path:
        return ROOT / "exporter" / "jars" / f"lakehouse-listener_{self.scala}.jar"

    @property
    def connectors(self) -> tuple[Path, ...]:
        """Kafka's and Delta's."""
        return tuple(sorted((TOOLS / f"connectors-{self.version}").glob("*.jar")))


SPARK_4 = Line("4.2.0", "2.13", "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager")
SPARK_3 = Line("3.5.7", "2.12", "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager")
LINES = (SPARK_4, SPARK_3)

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
}


def compiled_file_system(folder: Path) -> Path:
    """A class path with QuietFileSystem on it, good for every line."""
    hadoop = ":".join(str(jar) for jar in (SPARK_3.home / "jars").glob("hadoop-client-*.jar"))
    source = Path(__file__).parent / "java" / "QuietFileSystem.java"
    subprocess.run(["javac", "--release", "17", "-nowarn", "-cp", hadoop, "-d", folder, source], check=True, timeout=60)
    return folder


def configuration(line: Line, drivers: Path, scratch: Path, file_system: Path) -> dict[str, str]:
    """What every driver of these tests is started with: small, quiet, on loopback, nothing outside `scratch`."""
    return {
        "spark.master": "local[2]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "800m",
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir={scratch}",
        "spark.driver.extraClassPath": str(file_system),
        "spark.hadoop.fs.file.impl": "lakehouse.tests.QuietFileSystem",
        "spark.sql.streaming.checkpointFileManagerClass": line.file_manager,
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.log.level": "WARN",
        "spark.ui.enabled": "false",
        "spark.extraListeners": LISTENER,
        "spark.lakehouse.listener.dir": str(drivers),
    }


def submitted(
    line: Line,
    app: Path,
    *arguments: str | Path,
    log: Path,
    conf: Mapping[str, str],
    name: str = "app",
    jars: Sequence[Path] | None = None,
) -> Child:
    """`spark-submit app` as a user types it; `jars` are the listener's alone where none are named."""
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    listed = ",".join(str(jar) for jar in ([line.listener] if jars is None else jars))
    return spawn(
        [
            line.home / "bin" / "spark-submit",
            "--name",
            name,
            *settings,
            *(["--jars", listed] if listed else []),
            app,
            *arguments,
        ],
        log,
        environ={
            "SPARK_HOME": str(line.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.fspath(line.home.parent),
        },
    )


@dataclass(frozen=True)
class Driver:
    """A driver that runs apps/told.py: queries are started and stopped by files in its folder."""

    child: Child
    folder: Path

    def start_query(self, name: str, **query: Any) -> Path:
        """Starts a query, or starts it again on the same checkpoint; gives the checkpoint back."""
        checkpoint = self.folder / "checkpoints" / name
        self._say(f"{name}.json", json.dumps({"checkpoint": str(checkpoint), **query}))
        return checkpoint

    def stop_query(self, name: str) -> None:
        self._say(f"{name}.stop", "")
        eventually(lambda: not (self.folder / f"{name}.stop").exists(), f"{name} is stopped, see {self.child.log}", within=60)

    def end(self, *, within: float = 60) -> int:
        """Has the application stop its session with its queries still running, as most do; gives the exit code."""
        self._say("end", "")
        return self.child.exit_code(within=within)

    def kill(self) -> None:
        self.child.kill()

    def _say(self, name: str, text: str) -> None:
        aside = self.folder / f".{name}"
        aside.write_text(text)
        aside.rename(self.folder / name)


def committed(checkpoint: Path) -> int:
    """How many batches the checkpoint holds as committed."""
    return max((int(file.name) + 1 for file in (checkpoint / "commits").glob("[0-9]*")), default=0)


def offsets(checkpoint: Path, batch: int) -> Any:
    """Where a batch of a query with one source ends, as its checkpoint says."""
    return json.loads((checkpoint / "offsets" / str(batch)).read_text().splitlines()[-1])
