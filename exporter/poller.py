"""Runs what has to be done again and again, one thread a source: look, fold, store, publish; no fault of a step ends it."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from exporter import collectors
from exporter.config import Config
from exporter.errors import Reason, StorageError
from exporter.metric import label_value
from exporter.snapshot import Outcome, Snapshot, Store
from exporter.storage import Storage
from exporter.streaming import state as states
from exporter.streaming.expected import Expected, watched, with_watched
from exporter.streaming.fold import fold
from exporter.streaming.observation import Answered, Failed, Observation
from exporter.streaming.state import State
from exporter.streaming.view import STALE_SECONDS, History, views, with_counters_of

SOURCE, EXPECTED = "drivers", "expected"
# The first look waits for slow drivers, so that the first page is whole; later ones take what is there.
FIRST_PATIENCE = 5.0
PATIENCE = 0.5
MAX_TROUBLES = 1_000
LEAST_PAUSE, LONGEST_WAIT = 0.05, 1.0

_REASONS = tuple(reason.value for reason in Reason)
Clock = Callable[[], float]
log = structlog.get_logger()


class Source(Protocol):
    """Where drivers are found: exporter.sources.drivers.Drivers, or a live session."""

    def observe(self, positions: Mapping[str, int], ended: frozenset[str], patience: float) -> Observation: ...

    def close(self) -> None: ...


class Follower:
    """Follows the drivers of one source; every step leaves a whole page in the Store."""

    def __init__(
        self,
        source: Source,
        store: Store,
        storage: Storage | None,
        config: Callable[[], Config],
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        self._source = source
        self._store = store
        self._storage = storage
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._state = _loaded(storage, clock())
        self._stored = self._state
        self._outcome = Outcome()
        self._troubles: dict[str, str] = {}
        self._patience = FIRST_PATIENCE

    def step(self) -> None:
        """One look at the drivers, folded, stored, and then published; never raises."""
        began = self._monotonic()
        try:
            config = self._config()
            reason = self._look(config)
            now = self._clock()
            snapshots, expected = self._snapshots(config, now), self._expected(config)
        except Exception:  # the thread must outlive any fault of ours: it is told in log and metric, and old values go stale
            log.exception("look failed", source=SOURCE)
            self._grade(self._monotonic() - began, Reason.INTERNAL)
            self._store.grade(SOURCE, self._outcomes())
        else:
            self._grade(self._monotonic() - began, reason)
            self._store.replace(SOURCE, snapshots, self._outcomes(), {f"{EXPECTED}/": expected})

    def _look(self, config: Config) -> Reason | None:
        observation = self._source.observe(states.positions(self._state), states.ended(self._state), self._patience)
        self._patience = PATIENCE
        self._tell_troubles(observation)
        before = self._state
        after = fold(before, observation, exceptions=config.web.show_exceptions)
        self._state = with_watched(after, ((one.app, one.query) for one in _named(config)), self._clock())
        _tell_changes(before, self._state)
        unlisted = next((each.reason for each in _failures(observation) if not each.app_id and not each.epoch), None)
        return self._save() or unlisted

    def _tell_troubles(self, observation: Observation) -> None:
        """Logs a trouble when it begins and when it changes; a driver that stays away is not told again at every look."""
        for outcome in observation.outcomes:
            if isinstance(outcome, Answered):
                self._troubles.pop(outcome.answer.epoch, None)
        for failed in _failures(observation):
            if failed.epoch not in states.ended(self._state) and self._troubles.get(failed.epoch) != failed.message:
                log.warning("driver not read", driver=failed.app_id, reason=failed.reason.value, detail=failed.message)
                self._troubles[failed.epoch] = failed.message
        self._troubles = dict(list(self._troubles.items())[-MAX_TROUBLES:])

    def _save(self) -> Reason | None:
        if self._storage is None or self._state == self._stored:
            self._stored = self._state
            return None
        try:
            self._storage.save(states.encoded(self._state))
        except StorageError as error:
            if self._outcome.succeeded:  # once, and not at every look
                log.error("state not stored; counters stand still until it is", detail=str(error))
            return Reason.STORAGE
        self._stored = self._state
        return None

    def _grade(self, duration: float, reason: Reason | None) -> None:
        failures = dict(self._outcome.failures)
        if reason is not None:
            failures[reason.value] = failures.get(reason.value, 0) + 1
        last_success = self._clock() if reason is None else self._outcome.last_success
        self._outcome = Outcome(reason is None, duration, last_success, failures)

    def _snapshots(self, config: Config, now: float) -> dict[str, Snapshot]:
        shown = self._state if self._stored is self._state else with_counters_of(self._state, self._stored)
        wanted = tuple(one for one in collectors.APPLICATION if getattr(config.collector, one.name))
        applications = {
            app: Snapshot(view, wanted, now + STALE_SECONDS, shown.since)
            for app, view in views(shown, now, config.streaming.keep_ended).items()
        }
        # Of the source as a whole, as in the outcomes; what is past does not go stale.
        return {**applications, "": Snapshot(History(shown.last_failures), (), math.inf)}

    def _expected(self, config: Config) -> Snapshot | None:
        """The streams that somebody counts on, whatever has become of their drivers; None where nobody does."""
        if not config.expected:
            return None
        wanted = (collectors.EXPECTED,) if config.collector.expected else ()
        return Snapshot(watched(_named(config), self._state), wanted, math.inf)

    def _outcomes(self) -> dict[tuple[str, str], Outcome]:
        """How the source as a whole went, and each driver that runs; what never told its name counts for the whole."""
        failures = self._state.failures
        own = {reason: self._outcome.failures.get(reason, 0) + failures.get(("", reason), 0) for reason in _REASONS}
        outcomes = {(SOURCE, ""): dataclasses.replace(self._outcome, failures={r: n for r, n in own.items() if n})}
        for driver in self._state.drivers.values():
            if driver.ended_at is None:
                of_app = {reason: count for (app, reason), count in failures.items() if app == driver.app}
                outcomes[SOURCE, driver.app] = Outcome(driver.reachable, None, driver.last_contact, of_app)
        return outcomes


def follow(follower: Follower, config: Callable[[], Config], stop: threading.Event, monotonic: Clock) -> None:
    """Steps until `stop`, `drivers.every` from beginning to beginning; a step that takes longer delays the next one only.

    Settings that are read anew are looked at within a second, however long the old ones say to wait.
    """
    while not stop.is_set():
        began, settings = monotonic(), config()
        follower.step()
        end = max(began + settings.drivers.every, monotonic() + LEAST_PAUSE)
        while config() is settings and not stop.wait(min(max(0.0, end - monotonic()), LONGEST_WAIT)) and monotonic() < end:
            pass


def _named(config: Config) -> list[Expected]:
    return [Expected(label_value(one.app), label_value(one.query), one.schedule) for one in config.expected]


def _failures(observation: Observation) -> list[Failed]:
    return [outcome for outcome in observation.outcomes if isinstance(outcome, Failed)]


def _loaded(storage: Storage | None, now: float) -> State:
    """The stored state; one that can't be used is set aside, for streams unwatched are worse than counters that begin anew."""
    stored = storage.load() if storage is not None else None
    if storage is None or stored is None:
        return State(since=now)
    try:
        return states.decoded(stored)
    except ValueError as error:
        log.error("stored state not used; counters begin anew", detail=str(error), kept_as=str(storage.set_aside()))
        return State(since=now)


def _tell_changes(before: State, after: State) -> None:
    """Logs what a person wants to read at 3 am: drivers and queries that came and went."""
    for epoch, driver in after.drivers.items():
        known = before.drivers.get(epoch)
        if known is None:
            log.info("driver found", app=driver.app, app_id=driver.app_id)
        elif driver.ended_at is not None and known.ended_at is None:
            log.info("driver ended", app=driver.app, app_id=driver.app_id)
    for key, query in after.queries.items():
        last = before.queries.get(key)
        if last is query:
            continue
        if query.active and (last is None or last.run_id != query.run_id):
            log.info("query started", app=query.app, query=query.label, run_id=query.run_id)
        elif not query.active and (last is None or last.active or last.run_id != query.run_id):
            log.info("query ended", app=query.app, query=query.label, run_id=query.run_id, outcome=query.ended_class)
