"""The wheel that `make wheel` built is all that a user needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.spark import LINES, ROOT, Line


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel alone, in a folder of its own; what it requires is there already."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.version)
def test_the_wheel_brings_the_jar_for_each_line_of_spark(installed: Path, line: Line) -> None:
    """`lakehouse-exporter jar` of the installed wheel prints the path of a jar in it that holds the listener."""
    printed = subprocess.run(
        [sys.executable, "-m", "exporter", "jar", "--scala", line.scala],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
        cwd=installed,
        env={"PYTHONPATH": str(installed)},
    )
    jar = Path(printed.stdout.strip())

    assert jar.is_relative_to(installed)
    assert "lakehouse/listener/LakehouseListener.class" in zipfile.ZipFile(jar).namelist()
