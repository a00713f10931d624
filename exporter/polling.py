"""Asks one workspace again and again: which collector is due, how its look went, what of it is shown; no fault ends it."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from exporter import collectors
from exporter.collectors.databricks.requests import RequestsRecord
from exporter.config import Config, WorkspaceSettings
from exporter.errors import Reason, SourceError, StorageError
from exporter.polled import Asked, Polled
from exporter.snapshot import Outcome, Snapshot, Store, place
from exporter.sources.databricks import Workspace
from exporter.storage import Storage

# What one look may take at most; the collectors of a workspace look one after the other.
LOOK_SECONDS = 60.0
# After a failure a look is tried again soon, and at the latest so much later, however rarely it is due.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
# What a look found is shown for three times as long as until the next one, at least for this long.
STALE_LOOKS, LEAST_STALE = 3, 300.0
# So often it is looked at whether the settings have changed.
LONGEST_WAIT = 5.0

Clock = Callable[[], float]
log = structlog.get_logger()


@dataclasses.dataclass
class _Turn:
    """One collector's turn: when it is due, by the monotonic clock, and how it stands."""

    polled: Polled
    storage: Storage | None
    due: float = 0.0
    failures: int = 0
    record: Any = None
    outcome: Outcome = dataclasses.field(default_factory=Outcome)
    told: str = ""

    @property
    def name(self) -> str:
        return self.polled.collector.name


class Poller:
    """One workspace's looks; used by one thread. Beside `storage` each collector that has a state keeps it."""

    def __init__(
        self,
        workspace: Workspace,
        settings: WorkspaceSettings,
        polled: Iterable[Polled],
        store: Store,
        storage: Storage | None,
        config: Callable[[], Config],
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        self._workspace = workspace
        self._settings = settings
        self._store = store
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._turns = [
            _Turn(one, storage.beside(f"{settings.name}.{one.collector.name}") if storage and one.encoded else None)
            for one in polled
        ]
        for turn in self._turns:
            turn.record = _loaded(turn)

    def step(self) -> float:
        """Has every collector look that is due, and says after how many seconds it wants to be called again; never raises."""
        for turn in self._turns:
            if not getattr(self._config().collector, turn.name):
                self._store.remove(self._place(turn.name), self._key(turn))
            elif self._monotonic() >= turn.due:
                self._look(turn)
        account = RequestsRecord(self._settings.name, self._workspace.usage())
        self._store.put(self._place(collectors.REQUESTS.name), Snapshot(account, (collectors.REQUESTS,), math.inf))
        now = self._monotonic()
        return min((max(0.0, turn.due - now) for turn in self._turns), default=LONGEST_WAIT)

    def _look(self, turn: _Turn) -> None:
        began = self._monotonic()
        reason, detail = None, ""
        try:
            record = turn.polled.fetch(self._asked(turn, began))
            if turn.storage is not None and turn.polled.encoded is not None:
                turn.storage.save(turn.polled.encoded(record))
        except SourceError as error:
            reason, detail = error.reason, str(error)
        except StorageError as error:
            reason, detail = Reason.STORAGE, str(error)
        except Exception as error:  # the thread must outlive any fault of ours: it is told in log and metric
            if turn.told != Reason.INTERNAL.value:
                log.exception("look failed", collector=turn.name, workspace=self._settings.name)
            reason, detail = Reason.INTERNAL, type(error).__name__
        else:
            turn.record = record
        self._tell(turn, reason, detail)
        self._settle(turn, reason, began)

    def _asked(self, turn: _Turn, began: float) -> Asked:
        others = {other.name: other.record for other in self._turns if other is not turn and other.record is not None}
        return Asked(self._workspace, self._settings, turn.record, others, self._clock(), began + LOOK_SECONDS)

    def _settle(self, turn: _Turn, reason: Reason | None, began: float) -> None:
        now, every = self._monotonic(), getattr(self._config().every, turn.name)
        failures = dict(turn.outcome.failures)
        if reason is None:
            turn.failures = 0
            turn.due = began + every
            last_success: float | None = self._clock()
            expires = self._clock() + max(STALE_LOOKS * every, LEAST_STALE)
            switches = self._config().collector
            also = tuple(one for one in turn.polled.also if getattr(switches, one.name))
            snapshot = Snapshot(turn.record, (turn.polled.collector, *also), expires)
        else:
            failures[reason.value] = failures.get(reason.value, 0) + 1
            turn.due = now + min(FIRST_PAUSE * 2**turn.failures, every, LONGEST_PAUSE)
            turn.failures = min(turn.failures + 1, 10)
            last_success, snapshot = turn.outcome.last_success, None
        turn.outcome = Outcome(reason is None, now - began, last_success, failures)
        self._store.put(self._place(turn.name), snapshot, {self._key(turn): turn.outcome})

    def _tell(self, turn: _Turn, reason: Reason | None, detail: str) -> None:
        """Logs a trouble when it begins and when it changes, and its end."""
        if reason is None:
            if turn.told:
                log.info("collector looks again", collector=turn.name, workspace=self._settings.name)
            turn.told = ""
        elif turn.told != reason.value:
            log.warning(
                "collector failed", collector=turn.name, workspace=self._settings.name, reason=reason.value, detail=detail
            )
            turn.told = reason.value

    def _place(self, name: str) -> str:
        return place(self._settings.name, name)

    def _key(self, turn: _Turn) -> tuple[str, str]:
        return turn.name, self._settings.name


def poll(poller: Poller, stop: threading.Event) -> None:
    """Steps until `stop`."""
    while not stop.is_set():
        stop.wait(min(poller.step(), LONGEST_WAIT))


def _loaded(turn: _Turn) -> Any:
    """The stored record; one that can't be used is set aside: a workspace unwatched is worse than counters that begin anew."""
    if turn.storage is None or turn.polled.decoded is None:
        return None
    stored = turn.storage.load()
    if stored is None:
        return None
    try:
        return turn.polled.decoded(stored)
    except ValueError as error:
        kept = str(turn.storage.set_aside())
        log.error("stored state not used; counters begin anew", collector=turn.name, detail=str(error), kept_as=kept)
        return None
