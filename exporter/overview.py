"""Everything that a person without a dashboard wants to know at one moment, as values and as JSON; pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Literal

import msgspec

from exporter import __version__
from exporter.collectors.spark import streaming
from exporter.problems import Problem, has_failed, is_lost, is_missing, is_overdue, is_stalled, last_failure, problems
from exporter.snapshot import View
from exporter.streaming import descriptions, driver, metrics
from exporter.streaming.expected import Inventory
from exporter.streaming.fold import DRIVER_LOST, FINISHED, UNTOLD
from exporter.streaming.state import Failure, Query
from exporter.streaming.view import AppView, History

MAX_FAILURES = 20

StreamState = Literal["failed", "lost", "missing", "stalled", "unknown", "untold", "running", "stopped", "finished"]

_BACKLOGS = {
    metrics.BACKLOG_ROWS.name: "rows",
    metrics.BACKLOG_BYTES.name: "bytes",
    metrics.BACKLOG_FILES.name: "files",
    metrics.BACKLOG_SECONDS.name: "seconds",
}


class Backlog(msgspec.Struct, frozen=True):
    """What is not read yet, over all sources of a query, by unit; `known` where every source tells how far it is behind."""

    known: bool
    rows: float | None = None
    bytes: float | None = None
    files: float | None = None
    seconds: float | None = None


class Batch(msgspec.Struct, frozen=True):
    """The last batch that was told; `rows_per_second` is over its own duration, without the wait for the next trigger."""

    id: int
    age_seconds: float | None = None
    rows: int | None = None
    seconds: float | None = None
    rows_per_second: float | None = None


class Stream(msgspec.Struct, frozen=True):
    """One query. `phase` is what it does now, where the driver tells; ages and delays are seconds before `at`.

    `state` is `unknown` while the driver does not answer: what ran when it last did may run no more. `untold` has ended,
    and the event that tells how was lost. `missing` is expected, and nothing else is told of it: its ids are empty.
    """

    app: str
    query: str
    query_id: str
    run_id: str
    state: StreamState
    active: bool
    phase: str
    trigger: str
    failures: int
    last_failure: str | None = None
    last_failure_at: float | None = None
    last_signal_age_seconds: float | None = None
    last_batch: Batch | None = None
    backlog: Backlog | None = None
    watermark_delay_seconds: float | None = None
    run_page: str = ""


class DriverRow(msgspec.Struct, frozen=True):
    """One application's newest driver."""

    app: str
    app_id: str
    state: Literal["lost", "unreachable", "reachable", "ended"]
    reachable: bool
    last_contact: float
    spark_version: str
    streams: int
    events_lost: int
    run_page: str = ""


class CollectorRow(msgspec.Struct, frozen=True):
    """How a collector's looks at a target went; an empty target is the collector as a whole."""

    name: str
    target: str
    succeeded: bool
    last_success: float | None
    failures: dict[str, int]


class FailureRow(msgspec.Struct, frozen=True):
    """One end by a failure; an empty query is a driver that was lost. `batch_id` is of the last batch told before it.

    `message` is the exception's first line, redacted; empty but where it was chosen to be shown.
    """

    name: str = msgspec.field(name="class")
    at: float
    app: str
    query: str
    batch_id: int | None
    condition: str | None
    run_page: str
    message: str


class Overview(msgspec.Struct, frozen=True):
    """Everything at `at`, seconds since 1970 by the exporter's clock; `ready` once the first look is over."""

    at: float
    version: str
    ready: bool
    problems: tuple[Problem, ...]
    streams: tuple[Stream, ...]
    drivers: tuple[DriverRow, ...]
    collectors: tuple[CollectorRow, ...]
    failures: tuple[FailureRow, ...]


def overview(view: View, now: float) -> Overview:
    """What `view` tells at `now`; snapshots that have expired tell nothing, as on the page."""
    records = [snapshot.record for snapshot in view.snapshots.values() if now < snapshot.expires]
    apps = [record for record in records if isinstance(record, AppView)]
    inventories = [record for record in records if isinstance(record, Inventory)]
    past = [failure for record in records if isinstance(record, History) for failure in record.failures]
    streams = [stream for app in apps for stream in _streams(app, now)]
    newest = sorted(past, key=lambda failure: failure.at, reverse=True)[:MAX_FAILURES]
    return Overview(
        at=now,
        version=__version__,
        ready=view.ready,
        problems=problems(apps, view.outcomes, now, inventories),
        streams=(*streams, *_missing(inventories, {(stream.app, stream.query) for stream in streams}, now)),
        drivers=tuple(_driver(app) for app in apps),
        collectors=tuple(
            CollectorRow(name, target, outcome.succeeded, outcome.last_success, dict(outcome.failures))
            for (name, target), outcome in sorted(view.outcomes.items())
        ),
        failures=tuple(_failure(failure) for failure in newest),
    )


def as_json(overview: Overview) -> bytes:
    """The answer of `/api/v1/streams`."""
    return msgspec.json.encode(overview)


def _streams(view: AppView, now: float) -> Iterator[Stream]:
    phases = {one.run_id: streaming.state(one.message) for one in view.driver.facts.queries or () if one.message}
    page = driver.run_page(view.driver.facts)
    for query in view.queries:
        failure, failed_at = last_failure(query) or (None, None)
        # Of a driver that has long been silent only times are told.
        watermark = query.gauges.get((metrics.WATERMARK.name,)) if view.fresh else None
        yield Stream(
            app=query.app,
            query=query.label,
            query_id=query.query_id,
            run_id=query.run_id,
            state=_state(query, view, now),
            active=query.active,
            phase=phases.get(query.run_id, "") if query.active and view.fresh and view.driver.reachable else "",
            trigger=descriptions.trigger(query.trigger).label,
            failures=int(query.counters.get((metrics.FAILURES.name,), 0.0)),
            last_failure=failure,
            last_failure_at=failed_at,
            last_signal_age_seconds=None if query.last_signal is None else now - query.last_signal,
            last_batch=_batch(query, now),
            backlog=_backlog(query) if view.fresh else None,
            watermark_delay_seconds=None if watermark is None else now - watermark,
            run_page=page if query.epoch == view.driver.epoch else "",
        )


def _missing(inventories: Iterable[Inventory], shown: Container[tuple[str, str]], now: float) -> Iterator[Stream]:
    """A row for each expected query that is missed, and of which there is none."""
    for query in (query for inventory in inventories for query in inventory.queries):
        if (query.app, query.query) not in shown and (is_missing(query, now) or is_overdue(query, now)):
            yield Stream(
                app=query.app,
                query=query.query,
                query_id="",
                run_id="",
                state="missing",
                active=False,
                phase="",
                trigger="",
                failures=0,
                last_signal_age_seconds=None if query.last_signal is None else now - query.last_signal,
            )


def _state(query: Query, view: AppView, now: float) -> StreamState:
    if query.active:
        if not (view.fresh and view.driver.reachable):
            return "unknown"
        return "stalled" if is_stalled(query, view, now) else "running"
    if has_failed(query):
        return "lost" if query.ended_class == DRIVER_LOST else "failed"
    return "untold" if query.ended_class == UNTOLD else "finished" if query.ended_class == FINISHED else "stopped"


def _batch(query: Query, now: float) -> Batch | None:
    if query.last_batch_id is None:
        return None
    ended = query.gauges.get((metrics.LAST_BATCH.name,))
    rows, seconds = query.last_batch_rows, query.last_batch_seconds
    rate = rows / seconds if rows is not None and seconds else None
    return Batch(query.last_batch_id, None if ended is None else now - ended, rows, seconds, rate)


def _backlog(query: Query) -> Backlog | None:
    """Sums over sources, which are honest only where no source is silent: that is what `known` says."""
    known = [value for (name, *_), value in query.gauges.items() if name == metrics.BACKLOG_KNOWN.name]
    if not known:
        return None
    sums: dict[str, float] = {}
    for (name, *_), value in query.gauges.items():
        unit = _BACKLOGS.get(name)
        if unit is not None:
            # The slowest source's delay is the query's; amounts add up.
            sums[unit] = max(sums.get(unit, 0.0), value) if unit == "seconds" else sums.get(unit, 0.0) + value
    return Backlog(all(known), **sums)


def _driver(view: AppView) -> DriverRow:
    known = view.driver
    ended: Literal["lost", "ended"] = "lost" if is_lost(known) else "ended"
    alive: Literal["reachable", "unreachable"] = "reachable" if known.reachable else "unreachable"
    return DriverRow(
        app=view.app,
        app_id=known.app_id,
        state=alive if known.ended_at is None else ended,
        reachable=known.reachable,
        last_contact=known.last_contact,
        spark_version=(known.facts.spark.version if known.facts.spark else None) or "",
        streams=sum(query.active for query in view.queries),
        events_lost=int(view.counters.get((driver.EVENTS_LOST.name,), 0.0)),
        run_page=driver.run_page(known.facts),
    )


def _failure(failure: Failure) -> FailureRow:
    return FailureRow(
        failure.name,
        failure.at,
        failure.app,
        failure.query,
        failure.batch_id,
        failure.condition,
        failure.run_page,
        failure.message,
    )
