"""What a collector is that asks a workspace itself: how often, how it asks, and what of it outlives a restart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from exporter.collector import Collector
from exporter.config import WorkspaceSettings
from exporter.sources.databricks import Workspace


class Asked(NamedTuple):
    """What a look is given.

    `before` is the record of the last look that succeeded, None at the first; `others` are the newest records of the
    workspace's other collectors, by collector's name. `now` is seconds since 1970, `deadline` a moment of the monotonic clock
    until which the whole look must be over.
    """

    workspace: Workspace
    settings: WorkspaceSettings
    before: Any
    others: Mapping[str, Any]
    now: float
    deadline: float


@dataclasses.dataclass(frozen=True)
class Polled:
    """A collector whose record is made by `fetch`, every `every` seconds; `fetch` raises SourceError and nothing else.

    A record is frozen, and names its workspace. Where `encoded` and `decoded` are there it outlives a restart: it is stored
    before a page shows it, and is the first look's `before`. `decoded` raises ValueError for what it can't read. `also` are
    other collectors that read the same record.
    """

    collector: Collector
    every: float
    fetch: Callable[[Asked], Any]
    encoded: Callable[[Any], bytes] | None = None
    decoded: Callable[[bytes], Any] | None = None
    also: tuple[Collector, ...] = ()
