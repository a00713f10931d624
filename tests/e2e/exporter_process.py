"""The exporter as a user runs it: a process that can be killed, frozen and started again on the same port and storage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.page import Page, fetched
from tests.e2e.processes import Child, free_port, spawn
from tests.e2e.waiting import eventually

COMMAND = Path(sys.prefix) / "bin" / "lakehouse-exporter"


class Exporter:
    """At most one process at a time; `start` after `kill` is the restart that an orchestrator does."""

    def __init__(
        self, drivers: Path, log: Path, *options: str, storage: Path | None = None, command: Path | Sequence[str] = COMMAND
    ) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._arguments = [
            *((command,) if isinstance(command, Path) else command),
            "serve",
            f"--web.listen-address={self.address}",
            f"--drivers.dir={drivers}",
            *([f"--storage.path={storage}"] if storage else []),
            *options,
        ]
        self._log = log
        self.child: Child | None = None

    def start(self) -> Exporter:
        self.child = spawn(self._arguments, self._log)
        return self

    def started(self) -> Exporter:
        """Starts, and waits for the first page."""
        self.start()
        eventually(self.page, f"the exporter serves a page, see {self._log}", within=30)
        return self

    def kill(self) -> None:
        if self.child:
            self.child.kill()

    def freeze(self) -> None:
        assert self.child
        self.child.freeze()

    def thaw(self) -> None:
        assert self.child
        self.child.thaw()

    def page(self) -> Page | None:
        """What it serves now; None while it serves nothing."""
        return fetched(f"http://{self.address}/metrics")

    def value(self, name: str, **labels: str) -> float | None:
        page = self.page()
        return page.value(name, **labels) if page else None

    def total(self, name: str, **labels: str) -> float | None:
        page = self.page()
        return page.total(name, **labels) if page else None
