"""exporter/demo/spark.py"""

import os
import sys
from pathlib import Path

import pytest

from exporter import jars
from exporter.demo import spark
from exporter.errors import DemoError


def installed(folder: Path, library: str = "scala-library-2.13.17.jar") -> Path:
    """A folder that looks like Spark."""
    for file in (f"jars/{library}", "bin/spark-submit", "jdk/bin/java"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def test_home(tmp_path: Path) -> None:
    """Spark and Java are found where the environment says."""
    home = installed(tmp_path)

    assert spark.home({"SPARK_HOME": str(home), "JAVA_HOME": str(home / "jdk")}) == home


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SPARK_HOME": "{}/no"}, "no Spark is found: `pip install pyspark`, or set SPARK_HOME"),
        (
            {"SPARK_HOME": "{}", "PATH": ""},
            "java is missing: install a Java 17 (Debian: openjdk-17-jre-headless), or set JAVA_HOME",
        ),
        (
            {"SPARK_HOME": "{}", "JAVA_HOME": "/no"},
            "/no/bin/java is missing: install a Java 17 (Debian: openjdk-17-jre-headless), or set JAVA_HOME",
        ),
    ],
)
def test_missing(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    """What is missing is told with what to install."""
    home = installed(tmp_path)
    with pytest.raises(DemoError) as caught:
        spark.home({name: value.format(home) for name, value in environ.items()})

    assert str(caught.value) == message


def test_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jar is the one of the Scala line of this Spark; where it is missing one line says what to do."""
    monkeypatch.setattr(jars, "__file__", str(tmp_path / "jars.py"))
    home = installed(tmp_path / "spark")
    with pytest.raises(DemoError, match=r"lakehouse-listener_2\.13\.jar is missing: install the wheel"):
        spark.jar(home)
    (tmp_path / "jars").mkdir()
    jar = tmp_path / "jars" / "lakehouse-listener_2.13.jar"
    jar.touch()

    assert spark.jar(home) == jar


def test_other_scala(tmp_path: Path) -> None:
    """A Spark for which there is no listener is told."""
    home = installed(tmp_path, "scala-library-2.11.12.jar")
    with pytest.raises(DemoError, match=r"is of Scala 2\.11; there is a listener for 2\.12 and 2\.13"):
        spark.jar(home)


def test_submission() -> None:
    """The user's part is a jar and a listener; all that is written lies in the demo's folder."""
    command = spark.submission(Path("/spark"), Path("/our.jar"), Path("/demo"))

    assert command[0] == "/spark/bin/spark-submit"
    assert command[command.index("--jars") + 1] == "/our.jar"
    assert "spark.extraListeners=lakehouse.listener.LakehouseListener" in command
    assert "spark.lakehouse.listener.dir=/demo/drivers" in command
    assert command[-2:] == [str(spark.SCRIPT), "/demo"]
    assert spark.SCRIPT.is_file()


def test_environment() -> None:
    """Spark runs with our Python and none of the user's configuration, and finds the package that it lies in."""
    environ = {"HOME": "/root", "SPARK_CONF_DIR": "/etc/spark", "PYTHONPATH": "/mine"}

    assert spark.environment(environ, Path("/opt/spark")) == {
        "HOME": "/root",
        "SPARK_HOME": "/opt/spark",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": "/mine",
    }
    assert spark.environment({}, Path("/lib/pyspark"))["PYTHONPATH"] == "/lib"
    assert spark.environment(environ, Path("/lib/pyspark"))["PYTHONPATH"] == os.pathsep.join(("/lib", "/mine"))
    assert "PYTHONPATH" not in spark.environment({}, Path("/opt/spark"))
