"""The exporter's poller of a simulated workspace as a process of its own, whose clock is the workspace's: for kill -9.

Arguments: the workspace's address, the folder of the state, and the three numbers of the workspace's clock (its first time, the
wall clock's then, and how fast it runs). It ends when it is killed.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from exporter import collectors
from exporter.config import Config, Every, WorkspaceSettings
from exporter.polling import Poller, poll
from exporter.secret import Secret
from exporter.snapshot import Store
from exporter.sources.databricks import Workspace
from exporter.sources.databricks_auth import GivenToken
from exporter.sources.databricks_endpoints import ENDPOINTS
from exporter.sources.http import Http
from exporter.storage import opened

LOOKS = Every(jobs=1.0, job_runs=0.1)


def main(url: str, folder: str, begin: str, wall: str, speed: str) -> None:
    stop = threading.Event()
    client = Workspace(Http("workspace prod", url, ENDPOINTS), GivenToken(Secret("dapi-simulated")), stop, rate=1e6, burst=1e6)
    polled = [one for one in collectors.WORKSPACE if one.collector.name in ("jobs", "job_runs")]
    config = Config(every=LOOKS)

    def clock() -> float:
        return float(begin) + (time.time() - float(wall)) * float(speed)

    with opened(Path(folder)) as storage:
        settings = WorkspaceSettings("prod", url)
        poll(Poller(client, settings, polled, Store(), storage, lambda: config, clock, time.monotonic), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
