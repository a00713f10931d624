"""State and what was observed to the next state: every counter is counted here, once an event, and nowhere else; pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from exporter.errors import Reason
from exporter.metric import label_value
from exporter.streaming import descriptions, driver, metrics
from exporter.streaming.events import (
    Answer,
    BadEvent,
    Event,
    Found,
    Idle,
    Progress,
    Started,
    Terminated,
    read_event,
)
from exporter.streaming.facts import Facts
from exporter.streaming.failures import classify, condition, first_line
from exporter.streaming.observation import Answered, Failed, Observation
from exporter.streaming.signals import Key, Signals, of_progress
from exporter.streaming.state import App, Driver, Failure, Query, State

MAX_DRIVERS = 200
MAX_QUERIES = 2_000
BACKLOGS = frozenset(metric.name for metric in metrics.BACKLOGS)
MAX_APPS = 1_000
MAX_LAST_FAILURES = 20
# A driver whose port refuses twice in a row, a second apart or more, is dead: on loopback nothing else refuses.
REFUSALS_OF_THE_DEAD = 2
# An end whose event was lost is believed when the query has been missing from the driver's list for this long.
MISSING_SECONDS = 30.0

# Triggers whose queries end by themselves when all that there was is read.
ENDING_TRIGGERS = ("available_now", "once")

_Name = TypeVar("_Name")

STOPPED, FINISHED, DRIVER_LOST, UNTOLD = "stopped", "finished", "driver_lost", "untold"
# Ends that nobody told: a sign of life takes them back.
BELIEVED = (DRIVER_LOST, UNTOLD)


def fold(state: State, observation: Observation, *, exceptions: bool = False) -> State:
    """The state after `observation`; with `exceptions`, failures keep the first line of theirs, and else none has one.

    Failures come first, so that a dead driver's name is free for the one that follows it; then answers, older rings first.
    """
    work = _Work(state, observation.at, exceptions=exceptions)
    failed = [outcome for outcome in observation.outcomes if isinstance(outcome, Failed)]
    answered = [outcome for outcome in observation.outcomes if isinstance(outcome, Answered)]
    for failure in failed:
        work.failure(failure)
    for outcome in sorted(answered, key=lambda outcome: outcome.answer.started_ms):
        work.answer(outcome.answer, outcome.at)
    work.forget(observation.present)
    return work.state()


class _Work:
    """The next state while it is made; copies what it changes, so that the state it began with stays as it was."""

    def __init__(self, state: State, now: float, *, exceptions: bool) -> None:
        self._before = state
        self._now = now
        self._drivers = dict(state.drivers)
        self._queries = dict(state.queries)
        self._apps = dict(state.apps)
        self._failures = dict(state.failures)
        self._exceptions = exceptions
        self._folded = 0
        self._last_failures = state.last_failures if exceptions else _without_messages(state.last_failures)
        self._by_run = {query.run_id: key for key, query in state.queries.items()}

    def state(self) -> State:
        return msgspec.structs.replace(
            self._before,
            drivers=self._drivers,
            queries=self._queries,
            apps=self._apps,
            failures=self._failures,
            last_failures=self._last_failures,
        )

    def failure(self, failed: Failed) -> None:
        known = self._drivers.get(failed.epoch)
        if known is None and not failed.app_id:
            return  # the source itself: whoever looked grades that
        if known is None or known.ended_at is None:
            # What never told its name counts for the source: an application's id is no target.
            key = (known.app if known is not None else "", failed.reason.value)
            self._failures[key] = self._failures.get(key, 0) + 1
        if known is None or known.ended_at is not None:
            return
        refusals = known.refusals + 1 if failed.reason is Reason.REFUSED else 0
        self._drivers[known.epoch] = msgspec.structs.replace(known, reachable=False, refusals=refusals)
        if refusals >= REFUSALS_OF_THE_DEAD:
            self._end_driver(known.epoch, DRIVER_LOST, self._now, counts=True)

    def answer(self, answer: Answer, at: float) -> None:
        known = self._drivers.get(answer.epoch)
        if known is None:
            known = self._new_driver(answer)
        self._drivers[answer.epoch] = msgspec.structs.replace(
            known,
            facts=answer.facts,
            last_contact=at,
            reachable=not answer.final,
            refusals=0,
            ended_at=known.ended_at if answer.final else None,
        )
        if not answer.final:
            self._revive(answer.epoch, known, answer.facts)
        self._totals(answer.epoch, answer.facts)
        position = known.position
        # An answer may hold thousands of events: they are counted at its end, all at once.
        self._folded = 0
        for raw in answer.events:
            position = self._event(answer.epoch, raw, position)
        self._count_for_app(answer.epoch, (driver.EVENTS_FOLDED.name,), self._folded)
        if not answer.more:
            self._lost(answer.epoch, answer.last_seq - position)
            position = max(position, answer.last_seq)
            self._missing(answer.epoch, answer.facts)
        self._drivers[answer.epoch] = msgspec.structs.replace(self._drivers[answer.epoch], position=position)
        if answer.final and not answer.more:
            before_our_time = known.baseline > 0 and known.epoch not in self._before.drivers
            ended_at = answer.ended_ms / 1000 if before_our_time and answer.ended_ms is not None else self._now
            self._end_driver(answer.epoch, STOPPED, ended_at, counts=not before_our_time)

    def forget(self, present: frozenset[str]) -> None:
        """Drops what is over the caps, the longest ended first, and of drivers only those whose files can't be read again."""
        gone = {epoch: known.ended_at for epoch, known in self._drivers.items() if epoch not in present}
        idle = {key: query.ended_at for key, query in self._queries.items() if not query.active}
        alive = {known.app for known in self._drivers.values() if known.ended_at is None}
        unseen = {name: app.seen_at for name, app in self._apps.items() if name not in alive}
        for epoch in _over(gone, len(self._drivers) - MAX_DRIVERS):
            del self._drivers[epoch]
        for key in _over(idle, len(self._queries) - MAX_QUERIES):
            del self._queries[key]
        for name in _over(unseen, len(self._apps) - MAX_APPS):
            del self._apps[name]
        self._failures = {key: count for key, count in self._failures.items() if not key[0] or key[0] in self._apps}

    # Drivers

    def _new_driver(self, answer: Answer) -> Driver:
        started_at = answer.started_ms / 1000
        name = label_value(driver.app_name(answer.facts, answer.app_id))
        holders = [known for known in self._drivers.values() if known.app == name and known.ended_at is None]
        for holder in holders:
            if holder.refusals:
                self._end_driver(holder.epoch, DRIVER_LOST, self._now, counts=True)
        if any(self._drivers[holder.epoch].ended_at is None for holder in holders):
            name = label_value(f"{name}@{answer.app_id[-8:]}")
        counted = started_at >= self._before.since
        # What a ring from before our time has pushed out was never ours to count, and so is not lost.
        position = 0 if counted else max(0, answer.first_seq - 1)
        app = self._apps.get(name, App())
        born = {key: app.counters.get(key, 0.0) for key in driver.BORN_AT_ZERO}
        self._apps[name] = msgspec.structs.replace(app, counters={**app.counters, **born})
        return Driver(
            epoch=answer.epoch,
            app=name,
            app_id=answer.app_id,
            started_at=started_at,
            baseline=0 if counted else answer.last_seq,
            position=position,
            raw_totals={} if counted else driver.totals(answer.facts),
        )

    def _end_driver(self, epoch: str, how: str, at: float, *, counts: bool) -> None:
        """Marks a driver as ended, and the queries that still ran in it as ended with it."""
        known = self._drivers[epoch]
        if known.ended_at is None:
            self._drivers[epoch] = msgspec.structs.replace(known, ended_at=at, reachable=False)
            if how == DRIVER_LOST:
                self._remember(Failure(known.app, "", DRIVER_LOST, at, run_page=driver.run_page(known.facts)))
        for query in [query for query in self._queries.values() if query.active and query.epoch == epoch]:
            self._end_query(query, how, at, counts=counts)

    def _revive(self, epoch: str, known: Driver, facts: Facts) -> None:
        """Takes back the end of a driver that was believed dead and answers: its queries run after all."""
        if known.ended_at is None:
            return
        believed = (known.app, "", known.ended_at)
        self._last_failures = tuple(one for one in self._last_failures if (one.app, one.query, one.at) != believed)
        running = {active.run_id for active in facts.queries or ()}
        for key, query in self._queries.items():
            if query.epoch == epoch and query.ended_class == DRIVER_LOST and query.run_id in running:
                self._queries[key] = msgspec.structs.replace(query, active=True, ended_at=None, ended_class="")

    def _totals(self, epoch: str, facts: Facts) -> None:
        """Adds what the JVM counted since the last look; a JVM that began anew is added from its zero."""
        known = self._drivers[epoch]
        app = self._apps.get(known.app, App())
        totals = driver.totals(facts)
        counters = dict(app.counters)
        for key, value in totals.items():
            before = known.raw_totals.get(key, 0.0)
            counters[key] = counters.get(key, 0.0) + (value - before if value >= before else value)
        self._apps[known.app] = msgspec.structs.replace(app, counters=counters, seen_at=self._now)
        self._drivers[epoch] = msgspec.structs.replace(known, raw_totals={**known.raw_totals, **totals})

    def _count_for_app(self, epoch: str, key: Key, amount: float) -> None:
        name = self._drivers[epoch].app
        app = self._apps[name]
        counters = {**app.counters, key: app.counters.get(key, 0.0) + amount}
        self._apps[name] = msgspec.structs.replace(app, counters=counters)

    def _lost(self, epoch: str, events: int) -> None:
        if events > 0:
            self._count_for_app(epoch, (driver.EVENTS_LOST.name,), events)

    # Events

    def _event(self, epoch: str, raw: msgspec.Raw, position: int) -> int:
        """Folds one event that is new, and answers the newest number that was read."""
        try:
            event = read_event(raw)
        except BadEvent as bad:
            if bad.seq is None or bad.seq > position:
                self._count_for_app(epoch, (driver.EVENTS_UNREADABLE.name,), 1)
            if bad.seq is None:
                return position
            self._lost(epoch, bad.seq - position - 1)
            return max(position, bad.seq)
        if event.seq <= position:
            return position
        self._lost(epoch, event.seq - position - 1)
        counts = event.seq > self._drivers[epoch].baseline
        try:
            self._apply(epoch, event, counts=counts)
            self._folded += counts
        except Exception:  # noqa: BLE001 - numbers that no double holds, or a fault of ours: one event must not cost the others
            self._count_for_app(epoch, (driver.EVENTS_UNREADABLE.name,), 1)
        return event.seq

    def _apply(self, epoch: str, event: Event, *, counts: bool) -> None:
        body = event.body
        if isinstance(body, Started):
            query = self._run(epoch, body.id, body.run_id, name=body.name, trigger=body.trigger, started_at=body.timestamp)
            self._put(query, event.at, adds={(metrics.STARTS.name,): 1} if counts else {})
        elif isinstance(body, Found):
            query = self._run(epoch, body.id, body.run_id, name=body.name, trigger=body.trigger)
            self._put(query, event.at)
            if body.progress is not None:
                self._progress(epoch, body.progress, event.at, counts=False)
        elif isinstance(body, Progress):
            self._progress(epoch, body, event.at, counts=counts)
        elif isinstance(body, Idle):
            query = self._run(epoch, body.id, body.run_id)
            self._put(query, event.at, adds={(metrics.IDLE_SIGNALS.name,): 1} if counts else {})
        else:
            self._terminated(epoch, body, event.at, counts=counts)

    def _progress(self, epoch: str, progress: Progress, at: float, *, counts: bool) -> None:
        query = self._run(epoch, progress.id, progress.run_id, name=progress.name)
        signals = of_progress(progress, descriptions.trigger(query.trigger).interval, query.behind)
        adds = dict(signals.adds)
        if query.last_batch_id is not None:
            adds[(metrics.UNOBSERVED.name,)] = max(0, progress.batch_id - query.last_batch_id - 1)
        query = msgspec.structs.replace(
            query,
            sink=descriptions.sink_label(progress.sink.description),
            last_batch_id=progress.batch_id,
            last_batch_rows=progress.num_input_rows,
            last_batch_seconds=signals.duration,
            behind=signals.behind,
            gauges={key: float(value) for key, value in signals.sets.items()},
        )
        if counts:
            self._put(_timed(query, signals), at, adds)
        else:
            self._put(query, at, dict.fromkeys(signals.adds, 0.0))

    def _terminated(self, epoch: str, body: Terminated, at: float, *, counts: bool) -> None:
        newer = self._newer_run(epoch, body)
        if newer is not None:
            # The end of an older run counts like any other, and ends nothing that runs.
            self._put(newer, None, _ending(self._how(newer, body)) if counts else {})
            return
        query = self._run(epoch, body.id, body.run_id)
        if not query.active and query.ended_class != UNTOLD:
            return  # its end is told already, as lost with its driver
        message = first_line(body.exception) if self._exceptions else ""
        error = condition(body.error_class)
        self._end_query(query, self._how(query, body), at, counts=counts, error=error, message=message)

    def _how(self, query: Query, body: Terminated) -> str:
        if body.exception is not None or body.error_class is not None:
            return classify(body.exception, body.error_class)
        return FINISHED if descriptions.trigger(query.trigger).kind in ENDING_TRIGGERS else STOPPED

    def _newer_run(self, epoch: str, body: Terminated) -> Query | None:
        """The query whose newer run goes on while an older one's end is told: two ways lead an event to the listener."""
        if body.run_id in self._by_run:
            return None
        app = self._drivers[epoch].app
        same = (one for one in self._queries.values() if one.app == app and one.query_id == body.id)
        return next((one for one in same if one.active and one.epoch == epoch), None)

    def _end_query(
        self, query: Query, how: str, at: float, *, counts: bool, error: str | None = None, message: str = ""
    ) -> None:
        failures = query.last_failures if how in (STOPPED, FINISHED, UNTOLD) else {**query.last_failures, how: at}
        adds = _ending(how)
        if (metrics.FAILURES.name,) in adds:
            known = self._drivers.get(query.epoch)
            page = driver.run_page(known.facts) if known is not None else ""
            self._remember(Failure(query.app, query.label, how, at, query.last_batch_id, error, page, message))
        ended = msgspec.structs.replace(
            query,
            active=False,
            ended_at=self._now if counts else at,
            ended_class=how,
            last_failures=failures,
            missing_since=None,
        )
        self._put(ended, None, adds if counts else dict.fromkeys(adds, 0.0))

    def _remember(self, failure: Failure) -> None:
        # By time, not by when it was learned: a ring from before our time may tell of old ones.
        self._last_failures = tuple(sorted((*self._last_failures, failure), key=lambda one: one.at)[-MAX_LAST_FAILURES:])

    # Queries

    def _run(
        self,
        epoch: str,
        query_id: str,
        run_id: str,
        *,
        name: str | None = None,
        trigger: str | None = None,
        started_at: float | None = None,
    ) -> Query:
        """The query that an event speaks of, with this run as its newest; made where it is not known."""
        app = self._drivers[epoch].app
        active = next((one for one in self._drivers[epoch].facts.queries or () if one.run_id == run_id), None)
        if active is not None:
            name, trigger = name or active.name, trigger or active.trigger
        if run_id in self._by_run:
            query = self._queries[self._by_run[run_id]]
            return msgspec.structs.replace(query, trigger=query.trigger or trigger, started_at=query.started_at or started_at)
        if name is None:
            name = next((one.name for one in self._queries.values() if one.app == app and one.query_id == query_id), None)
        label = self._label(app, query_id, name)
        query = self._queries.get((app, label)) or Query(
            app, label, query_id, run_id, epoch, counters=dict.fromkeys(metrics.BORN_AT_ZERO, 0.0)
        )
        return msgspec.structs.replace(
            query,
            query_id=query_id,
            run_id=run_id,
            epoch=epoch,
            name=name,
            trigger=trigger,
            active=True,
            started_at=started_at,
            ended_at=None,
            ended_class="",
            missing_since=None,
            last_batch_id=query.last_batch_id if query.query_id == query_id else None,
            behind=frozenset(),
            gauges={key: value for key, value in query.gauges.items() if key[0] not in BACKLOGS},
        )

    def _label(self, app: str, query_id: str, name: str | None) -> str:
        """The query's name, else 8 characters of its id; while another query holds that, with 8 characters of its id."""
        plain = label_value(name or query_id[:8])
        own = label_value(f"{plain}@{query_id[:8]}")
        holder = self._queries.get((app, plain))
        taken = holder is not None and holder.active and holder.query_id != query_id
        return own if taken or ((app, own) in self._queries and self._queries[app, own].query_id == query_id) else plain

    def _put(self, query: Query, signal_at: float | None, adds: Mapping[Key, float] | None = None) -> None:
        if signal_at is not None:
            if query.ended_class in BELIEVED and self._drivers[query.epoch].ended_at is None:  # it runs after all
                query = msgspec.structs.replace(query, active=True, ended_at=None, ended_class="")
            last_signal = max(signal_at, query.last_signal or 0.0)
            query = msgspec.structs.replace(query, last_signal=last_signal, missing_since=None)
        if adds:
            query = msgspec.structs.replace(query, counters=_added(query.counters, adds.items()))
        before = self._queries.get((query.app, query.label))
        if before is not None and before.run_id != query.run_id:
            self._by_run.pop(before.run_id, None)
        self._by_run[query.run_id] = (query.app, query.label)
        self._queries[query.app, query.label] = query

    def _missing(self, epoch: str, facts: Facts) -> None:
        """Ends queries that the driver no longer lists, and whose end it has not told: that event was lost."""
        if facts.queries is None:
            return
        running = {active.run_id for active in facts.queries}
        for key, query in list(self._queries.items()):
            if query.epoch != epoch or not (query.active or query.ended_class == UNTOLD):
                continue
            if query.run_id in running:
                self._queries[key] = msgspec.structs.replace(
                    query, active=True, ended_at=None, ended_class="", missing_since=None
                )
            elif not query.active:
                continue
            elif query.missing_since is None:
                self._queries[key] = msgspec.structs.replace(query, missing_since=self._now)
            elif self._now - query.missing_since >= MISSING_SECONDS:
                self._end_query(query, UNTOLD, self._now, counts=True)


def _without_messages(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """The same failures, without what an earlier life was allowed to keep of their exceptions."""
    if not any(failure.message for failure in failures):
        return failures
    return tuple(msgspec.structs.replace(failure, message="") for failure in failures)


def _over(ended: Mapping[_Name, float | None], excess: int) -> list[_Name]:
    """The `excess` names that ended first; those that have not ended are not among them."""
    if excess <= 0:
        return []
    return sorted((name for name, at in ended.items() if at is not None), key=lambda name: ended[name] or 0.0)[:excess]


def _ending(how: str) -> dict[Key, float]:
    """What an end adds: one by its class, and one to the failures where it is one."""
    failed = how not in (STOPPED, FINISHED, DRIVER_LOST, UNTOLD)
    return {(metrics.TERMINATIONS.name, how): 1, **({(metrics.FAILURES.name,): 1} if failed else {})}


def _added(counters: Mapping[Key, float], adds: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    # Never less: a source that reports a negative number must not take from a counter.
    total = dict(counters)
    for key, amount in adds:
        if amount > 0:
            total[key] = total.get(key, 0.0) + amount
        else:
            total.setdefault(key, 0.0)
    return total


def _timed(query: Query, signals: Signals) -> Query:
    if signals.duration is None:
        return query
    bounds = metrics.BATCH_DURATION.buckets
    counts = list(query.durations or (0,) * (len(bounds) + 1))
    counts[bisect.bisect_left(bounds, signals.duration)] += 1
    return msgspec.structs.replace(query, durations=tuple(counts), duration_sum=query.duration_sum + signals.duration)
