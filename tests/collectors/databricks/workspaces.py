"""A simulated workspace on loopback that collectors really ask, one look after the other, its time moved by hand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter import exposition
from exporter.config import WorkspaceSettings
from exporter.demo.workspace import workspace as demo
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.world.sizes import Sizes
from exporter.metric import Metric, Sample
from exporter.polled import Asked
from exporter.secret import Secret
from exporter.sources.databricks import Workspace
from exporter.sources.databricks_endpoints import ENDPOINTS
from exporter.sources.http import Headers, Http

NAME = "prod"
SETTINGS = WorkspaceSettings(name=NAME, host="https://workspace.example.com")
SECONDS = 30.0


class Token:
    """A token that every simulated workspace takes."""

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:  # noqa: ARG002 -- Credentials's
        return {"Authorization": Secret("Bearer dapi-simulated")}


@dataclass
class Looking:
    """Who asks: what is over there, and the newest record of each collector that looked."""

    there: demo.Workspace
    workspace: Workspace
    records: dict[str, Any] = field(default_factory=dict)
    settings: WorkspaceSettings = SETTINGS

    def look(self, name: str, fetch: Callable[[Asked], Any], seconds: float = 0.0, **others: Any) -> Any:
        """One look of the collector `name`, after so many seconds have passed over there."""
        self.there.advance(seconds)
        asked = Asked(
            self.workspace,
            self.settings,
            self.records.get(name),
            {**self.records, **others},
            self.there.now(),
            time.monotonic() + SECONDS,
        )
        self.records[name] = fetch(asked)
        return self.records[name]

    def asked(self, path: str) -> int:
        """How often an address was asked for so far."""
        return sum(one.target.partition("?")[0] == path for one in self.there.requests)


def client(address: str) -> Workspace:
    """One that no budget slows down."""
    return Workspace(Http(f"workspace {NAME}", address, ENDPOINTS), Token(), threading.Event(), rate=1000.0, burst=1000.0)


@contextlib.contextmanager
def looking(seed: int = 1, sizes: Sizes | None = None) -> Iterator[Looking]:
    """A workspace of this seed and size, and who asks it."""
    with simulated(seed, sizes) as there, contextlib.closing(client(there.url)) as workspace:
        yield Looking(there, workspace)


def page(metrics: Iterable[Metric], samples: Iterable[Sample]) -> str:
    """The page of these samples, after it was read by Prometheus' own reader in both formats."""
    order = tuple(metrics)
    parts, dropped = exposition.bounded([exposition.families(samples, order)], order)
    text = exposition.text(parts).decode()

    assert not dropped
    assert list(text_string_to_metric_families(text))
    assert list(openmetrics_families(f"{exposition.text(parts, openmetrics=True).decode()}# EOF\n"))  # type: ignore[no-untyped-call]
    return text


def values(samples: Iterable[Sample], metric: Metric) -> Mapping[tuple[str, ...], Any]:
    """The values of one metric by its labels' values but the workspace's."""
    return {sample.labels[1:]: sample.value for sample in samples if sample.metric is metric}
