"""A real Prometheus that scrapes its targets every second, and its HTTP API for what it has kept."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import Child, free_port, spawn
from tests.e2e.waiting import eventually

EVERY_SECOND = {"scrape_interval": "1s", "scrape_timeout": "1s"}


@dataclass(frozen=True)
class Prometheus:
    child: Child
    address: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=20) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def samples(self, name: str, *, minutes: int = 15) -> dict[str, list[float]]:
        """Every sample kept of each series of this name, oldest first."""
        return {
            json.dumps(series["metric"], sort_keys=True): [float(value) for _, value in series["values"]]
            for series in self.query(f"{name}[{minutes}m]")
        }

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2):
                return True
        except OSError:
            return False


def started(targets: Mapping[str, str], folder: Path, log: Path) -> Prometheus:
    """A Prometheus with its data in `folder`, ready to be asked; `targets` are addresses by the name of their job."""
    jobs = [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()]
    return configured(jobs, folder, log)


def configured(jobs: Sequence[Mapping[str, Any]], folder: Path, log: Path) -> Prometheus:
    """The same with the scrape configurations of these jobs."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(json.dumps({"global": EVERY_SECOND, "scrape_configs": jobs}))
    address = f"127.0.0.1:{free_port()}"
    child = spawn(
        [
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ],
        log,
    )
    prometheus = Prometheus(child, address)
    eventually(lambda: prometheus.ready, f"Prometheus is ready, see {log}", within=30)
    return prometheus
