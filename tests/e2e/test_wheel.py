"""The wheel that `make wheel` built is all that a user needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.spark import APPS, LINES, ROOT, Line
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

ROWS = "spark_streaming_input_rows_total"
TERMINATIONS = "spark_streaming_query_terminations_total"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh Python environment into which the wheel was installed, and with it what it requires."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=60)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", str(wheel)], check=True, timeout=180)
    return folder


@pytest.fixture(scope="module")
def command(environment: Path) -> Path:
    return environment / "bin" / "lakehouse-exporter"


def jar(command: Path, *options: str, **environ: str) -> Path:
    """What `lakehouse-exporter jar` prints, with nothing of this checkout in reach."""
    printed = subprocess.run(
        [str(command), "jar", *options], check=True, timeout=60, capture_output=True, text=True, cwd=command.parent, env=environ
    )
    return Path(printed.stdout.strip())


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.version)
def test_the_wheel_brings_the_jar_for_each_line_of_spark(environment: Path, command: Path, line: Line) -> None:
    """`jar` prints the path of a jar of the installation that holds the listener; by SPARK_HOME it takes the right one."""
    printed = jar(command, "--scala", line.scala)

    assert printed.is_relative_to(environment)
    assert "lakehouse/listener/LakehouseListener.class" in zipfile.ZipFile(printed).namelist()
    assert jar(command, SPARK_HOME=str(line.home)) == printed


def test_installing_the_wheel_is_enough(stage: Stage, command: Path, line: Line) -> None:
    """The installed command serves, `spark-submit --jars $(lakehouse-exporter jar)` runs a plain script: its stream is shown."""
    exporter = stage.exporter(command=command).started()
    child = stage.submit(
        line, APPS / "plain_stream.py", "ends", stage.folder / "checkpoint", jars=[jar(command, SPARK_HOME=str(line.home))]
    )

    assert child.exit_code(within=120) == 0
    eventually(lambda: exporter.total(TERMINATIONS, query="plain") == 1, "the stream's end is shown", within=30)
    assert exporter.value(TERMINATIONS, query="plain", **{"class": "stopped"}) == 1
    # At least the three batches of ten rows that the script waits for.
    assert (exporter.total(ROWS, app="plain", query="plain") or 0) >= 30
