"""A real Prometheus that scrapes one target every second, and its HTTP API for what it has kept."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import Child, free_port, spawn
from tests.e2e.waiting import eventually

CONFIGURATION = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: exporter, static_configs: [{{targets: ['{target}']}}]}}]
"""


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


def started(target: str, folder: Path, log: Path) -> Prometheus:
    """A Prometheus with its data in `folder`, ready to be asked."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(target=target))
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
