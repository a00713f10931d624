"""The same plain application, with us in every wrong way, ends exactly as without us: exit code, output, no hang."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.spark import APPS, LINES, LISTENER, SPARK_3, SPARK_4, Line, configuration

TOO_OLD = Line("3.4.4", "2.12", SPARK_3.file_manager)
WITHIN = 180.0

# PySpark 4 logs failures on standard output, with the time and with object ids in them.
PYSPARKS_LOG = '{"ts": '

# An application without py4j, and without a word to Spark that it is done: its JVM has to find the end by itself.
JAVA_APP = """
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;

public final class PlainApp {
    public static void main(String[] arguments) throws Exception {
        SparkSession spark = SparkSession.builder().appName("plain").getOrCreate();
        StreamingQuery query = spark.readStream().format("rate-micro-batch").option("rowsPerBatch", 10).load()
            .writeStream().queryName("plain").format("noop").option("checkpointLocation", arguments[0]).start();
        query.awaitTermination(3000);
        System.out.println("active " + query.isActive());
        query.stop();
        System.out.println("stopped " + query.exception().isDefined());
    }
}
"""


@dataclass(frozen=True)
class Ending:
    """How an application ended, as its user sees it."""

    code: int
    output: str


@dataclass(frozen=True)
class Ran:
    """One run: its ending, what we said in the log, and what we left in the folder of drivers."""

    ending: Ending
    warnings: list[str]
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """Where the runs of this file happen."""

    folder: Path
    file_system: Path

    def run(
        self,
        line: Line,
        *application: str,
        jar: Path | None = None,
        conf: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> Ran:
        """`spark-submit application`; with `jar` our listener is on the driver's class path and configured."""
        here = self.folder / f"run-{len(list(self.folder.iterdir()))}"
        here.mkdir()
        drivers = here / "drivers"
        settings = configuration(line, drivers, here, self.file_system)
        if jar is None:
            del settings["spark.extraListeners"]
        settings["spark.driver.extraClassPath"] = ":".join(str(path) for path in (self.file_system, jar) if path)
        settings.update(conf or {})
        spark = home or line.home
        done = subprocess.run(
            [
                spark / "bin" / "spark-submit",
                *(part for key, value in settings.items() for part in ("--conf", f"{key}={value}")),
                *(part.format(checkpoint=here / "checkpoint") for part in application),
            ],
            env={
                **os.environ,
                "SPARK_HOME": str(spark),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "PYSPARK_PYTHON": sys.executable,
                "PYTHONPATH": str(line.home.parent),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        (here / "stderr").write_text(done.stderr)
        return Ran(
            Ending(
                done.returncode,
                "".join(text for text in done.stdout.splitlines(keepends=True) if not text.startswith(PYSPARKS_LOG)),
            ),
            [text for text in done.stderr.splitlines() if " WARN " in text and "lakehouse" in text],
            {file.name: file.read_text() for file in drivers.iterdir()} if drivers.is_dir() else {},
        )


PYTHON_APP = (str(APPS / "plain_stream.py"), "ends", "{checkpoint}")
FAILING_APP = (str(APPS / "plain_stream.py"), "fails", "{checkpoint}")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, file_system: Path) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"), file_system)


@pytest.fixture(scope="module")
def without_us(ground: Ground) -> Callable[..., Ending]:
    """How an application ends without us; each is run once."""
    known: dict[tuple[object, ...], Ending] = {}

    def ending(line: Line, *application: str, home: Path | None = None) -> Ending:
        key = (line, application)
        if key not in known:
            known[key] = ground.run(line, *application, home=home).ending
        return known[key]

    return ending


def other(line: Line) -> Line:
    return SPARK_3 if line == SPARK_4 else SPARK_4


def told(ran: Ran) -> list[str]:
    """Kinds of the events in the last words, the only file that may be there."""
    ((name, text),) = ran.files.items()
    assert name.endswith(".final.json")
    return [event["kind"] for event in json.loads(text)["events"]]


@pytest.mark.parametrize("setting", ["spark.extraListeners", "spark.plugins"])
def test_with_the_right_jar_only_the_last_words_are_left(
    ground: Ground, without_us: Callable[..., Ending], line: Line, setting: str
) -> None:
    name = {"spark.extraListeners": LISTENER, "spark.plugins": "lakehouse.listener.LakehousePlugin"}[setting]
    ran = ground.run(line, *PYTHON_APP, jar=line.listener, conf={"spark.extraListeners": "", setting: name})

    assert ran.ending == without_us(line, *PYTHON_APP)
    assert ran.ending.code == 0
    assert ran.warnings == []
    kinds = told(ran)
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("started", "terminated", {"progress"})


def test_an_application_that_fails_fails_the_same_way(ground: Ground, without_us: Callable[..., Ending], line: Line) -> None:
    ran = ground.run(line, *FAILING_APP, jar=line.listener)

    assert ran.ending == without_us(line, *FAILING_APP)
    assert ran.ending.code == 3
    assert told(ran)[-1] == "terminated"


def test_a_jar_of_the_other_scala_line_steps_aside(ground: Ground, without_us: Callable[..., Ending], line: Line) -> None:
    ran = ground.run(line, *PYTHON_APP, jar=other(line).listener)

    assert ran.ending == without_us(line, *PYTHON_APP)
    (warning,) = ran.warnings
    assert f"put lakehouse-listener_{line.scala} in its place" in warning
    assert ran.files == {}


@pytest.mark.parametrize("jar", [line.listener for line in LINES], ids=lambda jar: jar.stem)
def test_on_spark_3_4_it_steps_aside(ground: Ground, without_us: Callable[..., Ending], jar: Path) -> None:
    ran = ground.run(TOO_OLD, *PYTHON_APP, jar=jar)

    assert ran.ending == without_us(TOO_OLD, *PYTHON_APP)
    (warning,) = ran.warnings
    assert "it needs Spark 3.5 or newer, this is 3.4.4" in warning
    assert ran.files == {}


def test_a_taken_port_costs_the_bridge_alone(ground: Ground, without_us: Callable[..., Ending], line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = {"spark.lakehouse.listener.port": str(holder.getsockname()[1])}
        ran = ground.run(line, *PYTHON_APP, jar=line.listener, conf=taken)

    assert ran.ending == without_us(line, *PYTHON_APP)
    (warning,) = ran.warnings
    assert "can't be read in this driver" in warning
    assert told(ran)[-1] == "terminated"


def test_a_folder_that_cannot_be_made_costs_the_files_alone(
    ground: Ground, without_us: Callable[..., Ending], line: Line, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ran = ground.run(
        line, *PYTHON_APP, jar=line.listener, conf={"spark.lakehouse.listener.dir": str(tmp_path / "file" / "drivers")}
    )

    assert ran.ending == without_us(line, *PYTHON_APP)
    assert len(ran.warnings) == 1
    assert str(tmp_path / "file" / "drivers") in ran.warnings[0]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with not a byte left; to mount one takes root."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], check=True)
    try:
        with pytest.raises(OSError, match="No space left"):
            (folder / "filling").write_bytes(bytes(32 * 1024))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_costs_the_files_alone(
    ground: Ground, without_us: Callable[..., Ending], line: Line, full_disk: Path
) -> None:
    ran = ground.run(line, *PYTHON_APP, jar=line.listener, conf={"spark.lakehouse.listener.dir": str(full_disk)})

    assert ran.ending == without_us(line, *PYTHON_APP)
    assert len(ran.warnings) == 1
    assert "No space left on device" in ran.warnings[0]


def test_executors_without_the_jar_are_not_touched(ground: Ground, without_us: Callable[..., Ending], line: Line) -> None:
    cluster = {"spark.master": "local-cluster[2,1,1024]", "spark.executor.memory": "512m"}
    ran = ground.run(line, *PYTHON_APP, jar=line.listener, conf=cluster)

    assert ran.ending == without_us(line, *PYTHON_APP)
    assert ran.warnings == []
    assert told(ran)[-1] == "terminated"


@pytest.fixture(scope="module")
def java_app(ground: Ground, line: Line) -> Path:
    """A jar with the application without py4j."""
    folder = ground.folder / f"java-{line.version}"
    folder.mkdir()
    (folder / "PlainApp.java").write_text(JAVA_APP)
    subprocess.run(["javac", "-nowarn", "-cp", f"{line.home}/jars/*", "PlainApp.java"], cwd=folder, check=True)
    subprocess.run(["jar", "cf", "app.jar", "PlainApp.class"], cwd=folder, check=True)
    return folder / "app.jar"


def home_without_py4j(line: Line, folder: Path) -> Path:
    home = folder / "home"
    (home / "jars").mkdir(parents=True)
    (home / "bin").symlink_to(line.home / "bin")
    for jar in (line.home / "jars").iterdir():
        if not jar.name.startswith("py4j"):
            (home / "jars" / jar.name).symlink_to(jar)
    return home


def test_without_py4j_it_steps_aside(
    ground: Ground, without_us: Callable[..., Ending], java_app: Path, line: Line, tmp_path: Path
) -> None:
    application = ("--class", "PlainApp", str(java_app), "{checkpoint}")
    home = home_without_py4j(line, tmp_path)
    ran = ground.run(line, *application, jar=line.listener, home=home)

    assert ran.ending == without_us(line, *application, home=home)
    assert ran.ending == Ending(0, "active true\nstopped false\n")
    (warning,) = ran.warnings
    assert "py4j is not on the driver's class path" in warning
    assert ran.files == {}


def test_a_driver_that_nobody_stops_ends_by_itself(ground: Ground, java_app: Path, line: Line) -> None:
    ran = ground.run(line, "--class", "PlainApp", str(java_app), "{checkpoint}", jar=line.listener)

    assert ran.ending == Ending(0, "active true\nstopped false\n")
    assert ran.warnings == []
    assert told(ran)[-1] == "terminated"
