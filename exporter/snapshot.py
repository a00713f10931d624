"""What was learned and when: the frozen snapshot of a target, and the Store, the one mutable thing that pages are made of."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from exporter.collector import Collector

# What the names of all snapshots of workspaces begin with.
WORKSPACE = "workspace "


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One target's newest record, the collectors that can read it, and the second after which it no longer holds.

    `since` is when its counting began, in seconds since 1970; 0 where nobody knows.
    """

    record: Any
    collectors: tuple[Collector, ...]
    expires: float
    since: float = 0.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a collector's attempts on a target went; `duration` in seconds where it is known, `last_success` since 1970."""

    succeeded: bool = False
    duration: float | None = None
    last_success: float | None = None
    failures: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class View:
    """Everything the Store holds at one moment."""

    snapshots: Mapping[str, Snapshot]
    outcomes: Mapping[tuple[str, str], Outcome]
    ready: bool


def place(workspace: str, collector: str) -> str:
    """The name of the snapshot that a collector made of a workspace."""
    return f"{WORKSPACE}{workspace}/{collector}"


class Store:
    """Newest snapshots by target, newest outcomes by collector and target; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._view = View({}, {}, ready=False)

    def replace(
        self,
        source: str,
        snapshots: Mapping[str, Snapshot],
        outcomes: Mapping[tuple[str, str], Outcome],
        besides: Mapping[str, Snapshot | None] = {},
    ) -> None:
        """All that `source` has to say, in one step: what it no longer names is gone; other sources' entries stay.

        `besides` are snapshots by their whole names, None for one that is to go.
        """
        prefix = f"{source}/"
        with self._lock:
            old = self._view
            others = {name: kept for name, kept in old.snapshots.items() if not name.startswith(prefix)}
            other_outcomes = {key: kept for key, kept in old.outcomes.items() if key[0] != source}
            mine = {prefix + name: snapshot for name, snapshot in snapshots.items()}
            others = {name: kept for name, kept in {**others, **besides}.items() if kept is not None}
            self._view = View({**others, **mine}, {**other_outcomes, **outcomes}, ready=True)

    def put(
        self, name: str, snapshot: Snapshot | None, outcomes: Mapping[tuple[str, str], Outcome] = MappingProxyType({})
    ) -> None:
        """One target's newest snapshot, where there is a new one, and how looks at it went."""
        with self._lock:
            old = self._view
            snapshots = old.snapshots if snapshot is None else {**old.snapshots, name: snapshot}
            self._view = View(snapshots, {**old.outcomes, **outcomes}, old.ready)

    def remove(self, name: str, key: tuple[str, str]) -> None:
        """Nothing more of one target."""
        with self._lock:
            old = self._view
            if name in old.snapshots or key in old.outcomes:
                snapshots = {other: kept for other, kept in old.snapshots.items() if other != name}
                self._view = View(snapshots, {other: kept for other, kept in old.outcomes.items() if other != key}, old.ready)

    def grade(self, source: str, outcomes: Mapping[tuple[str, str], Outcome]) -> None:
        """How `source` went, and nothing new from it: its snapshots stand until they expire."""
        with self._lock:
            others = {key: kept for key, kept in self._view.outcomes.items() if key[0] != source}
            self._view = View(self._view.snapshots, {**others, **outcomes}, ready=True)

    def view(self) -> View:
        """What holds now; frozen, so that a page is of one moment."""
        with self._lock:
            return self._view
