"""What one test plays on: a folder of drivers, the programs started for it, and the end of all of them when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import prometheus, spark
from tests.e2e.exporter_process import COMMAND, Exporter
from tests.e2e.processes import Child
from tests.e2e.prometheus import Prometheus
from tests.e2e.spark import Driver, Line


@dataclass(frozen=True)
class Stage:
    """What it starts is ended by `ends`; each program's log is in `logs`, named after the stage."""

    name: str
    folder: Path
    logs: Path
    file_system: Path
    ends: ExitStack

    @property
    def drivers(self) -> Path:
        """The folder that drivers and exporter agree on."""
        return self.folder / "drivers"

    def log(self, program: str) -> Path:
        return self.logs / f"{self.name}-{program}.log"

    def exporter(self, *options: str, storage: bool = False, command: Path = COMMAND) -> Exporter:
        """An exporter that is not started yet; `command` is the one of this checkout where none is named."""
        folder = self.folder / "storage" if storage else None
        exporter = Exporter(self.drivers, self.log("exporter"), *options, storage=folder, command=command)
        self.ends.callback(exporter.kill)
        return exporter

    def prometheus(self, exporter: Exporter) -> Prometheus:
        """A Prometheus that scrapes this exporter from now on."""
        folder = self.folder / "prometheus"
        folder.mkdir()
        started = prometheus.started({"exporter": exporter.address}, folder, self.log("prometheus"))
        self.ends.callback(started.child.kill)
        return started

    def submit(
        self,
        line: Line,
        app: Path,
        *arguments: str | Path,
        name: str = "app",
        conf: Mapping[str, str] | None = None,
        jars: Sequence[Path] | None = None,
    ) -> Child:
        """`spark-submit app` with our listener, unless `conf` and `jars` say otherwise; an empty value unsets a setting."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        settings = {**spark.configuration(line, self.drivers, scratch, self.file_system), **(conf or {})}
        child = spark.submitted(
            line,
            app,
            *arguments,
            log=self.log(f"spark-{line.version}-{name}"),
            conf={key: value for key, value in settings.items() if value},
            name=name,
            jars=jars,
        )
        self.ends.callback(child.kill)
        return child

    def driver(
        self, line: Line, *, name: str = "app", conf: Mapping[str, str] | None = None, jars: Sequence[Path] | None = None
    ) -> Driver:
        """A driver that does what it is told; one of the same name is started again in the same folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Driver(self.submit(line, spark.APPS / "told.py", folder, name=name, conf=conf, jars=jars), folder)
