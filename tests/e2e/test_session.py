"""`exporter.attach(spark)` follows a classic session through its JVM, and a Spark Connect session through a listener in Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.page import fetched
from tests.e2e.processes import Child, spawn
from tests.e2e.spark import APPS, LINES, ROOT, SPARK_4, TOOLS, Line, configuration, submitted
from tests.e2e.waiting import eventually

APP = APPS / "attached.py"


def classic(line: Line, folder: Path, log: Path, file_system: Path) -> Child:
    """Under spark-submit, with our jar and without a word of it in Spark's configuration."""
    conf = configuration(line, folder / "drivers", folder, file_system)
    del conf["spark.extraListeners"]
    return submitted(line, APP, folder, log=log, conf={**conf, "spark.executorEnv.PYTHONPATH": str(ROOT)})


def connect(line: Line, folder: Path, log: Path, _: Path) -> Child:
    """As a client of Spark Connect, without our jar."""
    path = os.pathsep.join(str(part) for part in (line.home.parent, TOOLS / "spark-connect", ROOT))
    environ = {"SPARK_HOME": str(line.home), "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": path, "SPARK_LOCAL_DIRS": str(folder)}
    return spawn([sys.executable, APP, folder, "remote"], log, environ=environ)


@pytest.mark.parametrize(
    ("start", "line"),
    [*((classic, line) for line in LINES), (connect, SPARK_4)],
    ids=[*(f"classic-{line.version}" for line in LINES), f"connect-{SPARK_4.version}"],
)
def test_attached_session_is_followed(
    start: Callable[[Line, Path, Path, Path], Child], line: Line, tmp_path: Path, logs: Path, file_system: Path
) -> None:
    """Its stream is counted while it runs, its end is told, and the session ends as without us."""
    child = start(line, tmp_path, logs / f"{start.__name__}-{line.version}.log", file_system)
    port = tmp_path / "port"
    eventually(port.exists, f"the session is attached, see {child.log}", within=120)

    def value(name: str, **labels: str) -> float | None:
        page = fetched(f"http://127.0.0.1:{port.read_text()}/metrics")
        return page.value(name, app="notebook", query="cell", **labels) if page else None

    eventually(lambda: (value("spark_streaming_input_rows_total", source="0") or 0) >= 10, "rows are counted", within=60)

    assert value("spark_streaming_query_active") == 1
    assert value("spark_streaming_query_starts_total") == 1

    (tmp_path / "stop").touch()
    eventually(lambda: value("spark_streaming_query_active") == 0, "the end is told", within=30)

    assert value("spark_streaming_query_terminations_total", **{"class": "stopped"}) == 1

    (tmp_path / "end").touch()

    assert child.exit_code(within=60) == 0
    assert "ended" in child.log.read_text()
