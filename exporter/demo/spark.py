"""Which Spark the demo runs, and the words it is started with; looks at files, starts nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from exporter import jars
from exporter.errors import DemoError

LISTENER = "lakehouse.listener.LakehouseListener"
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
SCRIPT = Path(__file__).with_name("streams.py")


def home(environ: Mapping[str, str]) -> Path:
    """The Spark to run; raises DemoError where it, or the Java for it, is missing."""
    found = next((home for home in jars.spark_homes(environ) if (home / "bin" / "spark-submit").is_file()), None)
    if found is None:
        raise DemoError("no Spark is found: `pip install pyspark`, or set SPARK_HOME")
    java = Path(environ["JAVA_HOME"], "bin", "java") if environ.get("JAVA_HOME") else None
    if not (java.is_file() if java else shutil.which("java", path=environ.get("PATH"))):
        raise DemoError(f"{java or 'java'} is missing: install a Java 17 (Debian: openjdk-17-jre-headless), or set JAVA_HOME")
    return found


def jar(home: Path) -> Path:
    """The listener's jar for this Spark; raises DemoError where it is missing."""
    line = jars.scala_line({"SPARK_HOME": str(home)})
    if line not in jars.LINES:
        raise DemoError(f"{home} is of Scala {line}; there is a listener for {' and '.join(jars.LINES)}")
    found = jars.path(line)
    if not found.is_file():
        raise DemoError(f"{found} is missing: install the wheel, or run `make jars` in a checkout")
    return found


def submission(home: Path, jar: Path, folder: Path) -> list[str]:
    """`spark-submit` of the streams with the listener: small, quiet, and nothing written outside of `folder`."""
    scratch = folder / "scratch"
    conf = {
        # All that a user has to set.
        "spark.extraListeners": LISTENER,
        # The rest keeps the demo to itself.
        "spark.lakehouse.listener.dir": folder / "drivers",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={scratch} -XX:+UseSerialGC -XX:-UsePerfData",
        "spark.local.dir": scratch,
        "spark.log.level": "WARN",
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
        "spark.sql.warehouse.dir": scratch / "warehouse",
        "spark.ui.enabled": "false",
    }
    settings = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    place = ["--master", "local[2]", "--name", "demo", "--driver-memory", "1g", "--jars", str(jar)]
    return [str(home / "bin" / "spark-submit"), *place, *settings, str(SCRIPT), str(folder)]


def environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """What Spark is started with; its Python is ours, and a SPARK_CONF_DIR of the user's does not reach a demo."""
    kept = {name: value for name, value in environ.items() if name not in ("SPARK_CONF_DIR", "PYSPARK_DRIVER_PYTHON")}
    path = os.pathsep.join(filter(None, (str(home.parent) if home.name == "pyspark" else "", environ.get("PYTHONPATH"))))
    return {
        **kept,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        **({"PYTHONPATH": path} if path else {}),
    }
