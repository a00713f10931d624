"""exporter/jars.py"""

from pathlib import Path

import pytest

from exporter import jars
from exporter.jars import scala_line


def spark(folder: Path, *libraries: str) -> Path:
    (folder / "jars").mkdir(parents=True)
    for library in libraries:
        (folder / "jars" / library).touch()
    return folder


def test_path() -> None:
    """The jar of a Scala line lies in the package's folder jars."""
    assert jars.path("2.13") == Path(jars.__file__).parent / "jars" / "lakehouse-listener_2.13.jar"


@pytest.mark.parametrize(("library", "line"), [("scala-library-2.12.18.jar", "2.12"), ("scala-library-2.13.16.jar", "2.13")])
def test_spark_home(library: str, line: str, tmp_path: Path) -> None:
    """The line is that of Scala's library in SPARK_HOME."""
    assert scala_line({"SPARK_HOME": str(spark(tmp_path, library))}) == line


@pytest.mark.parametrize("libraries", [(), ("scala-library-x.jar",), ("spark-core_2.13-4.0.0.jar",)])
def test_no_library(libraries: tuple[str, ...], tmp_path: Path) -> None:
    """A SPARK_HOME without Scala's library, or without jars at all, tells no line."""
    assert scala_line({"SPARK_HOME": str(spark(tmp_path, *libraries))}) is None
    assert scala_line({"SPARK_HOME": str(tmp_path / "no")}) is None


def test_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SPARK_HOME the pyspark package that Python finds tells the line."""
    spark(tmp_path / "pyspark", "scala-library-2.13.16.jar")
    (tmp_path / "pyspark" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert scala_line({"SPARK_HOME": "", "PATH": ""}) == "2.13"


def test_submit(tmp_path: Path) -> None:
    """Without either the Spark behind `spark-submit` on PATH tells the line, also through a link."""
    submit = spark(tmp_path / "spark", "scala-library-2.12.18.jar") / "bin" / "spark-submit"
    submit.parent.mkdir()
    submit.write_text("#!/bin/sh\n")
    submit.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spark-submit").symlink_to(submit)

    assert scala_line({"PATH": str(tmp_path / "bin")}) == "2.12"


def test_nothing() -> None:
    """Where there is no Spark no line is told."""
    assert scala_line({"PATH": ""}) is None
