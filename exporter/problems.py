"""What a person should look at first, judged from what is seen of drivers and their queries; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from exporter.snapshot import Outcome
from exporter.streaming import descriptions, driver, metrics
from exporter.streaming.expected import Inventory, Watched
from exporter.streaming.fold import DRIVER_LOST, FINISHED, STOPPED, UNTOLD
from exporter.streaming.state import Driver, Query
from exporter.streaming.view import STALE_SECONDS, AppView

# A stream stands still when it gave no sign of life for this many of its trigger's intervals, and this long.
STALLED_INTERVALS = 5
STALLED_SECONDS = 300.0
# Clocks differ a little; a watermark further ahead of now than this drops rows that are on time.
FUTURE_SECONDS = 300.0
# A stream that failed and runs again is worth a word for this long.
RECENT_SECONDS = 900.0
# An expected stream is missed when it has been watched, or has ended, for this long: a restart takes its time.
GRACE_SECONDS = 60.0

# The source whose targets are applications; those of the others are workspaces.
DRIVERS = "drivers"

Severity = Literal["critical", "warning", "note"]
_ORDER: tuple[Severity, ...] = ("critical", "warning", "note")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with an application, one of its queries, or (both empty) the exporter itself."""

    severity: Severity
    kind: str
    app: str
    query: str
    text: str
    since: float | None = None


def problems(
    apps: Iterable[AppView], outcomes: Mapping[tuple[str, str], Outcome], now: float, inventories: Iterable[Inventory] = ()
) -> tuple[Problem, ...]:
    """All of them, the gravest first, and of those the newest."""
    apps = tuple(apps)
    found = [*_of_collectors(outcomes, now)]
    for inventory in inventories:
        found += _of_expected(inventory, apps, now)
    for view in apps:
        found += _of_driver(view)
        for query in view.queries:
            found += _of_query(query, view, now)
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.severity), -(one.since or 0.0), one.app, one.query)))


def allowed_silence(query: Query) -> float:
    """How many seconds the query may give no sign of life before it is said to stand still."""
    return max(STALLED_INTERVALS * (descriptions.trigger(query.trigger).interval or 0.0), STALLED_SECONDS)


def is_stalled(query: Query, view: AppView, now: float) -> bool:
    """Whether the query stands still; of a driver that does not answer, nobody can say so."""
    seen = _last_sign(query)
    return query.active and view.driver.reachable and seen is not None and now - seen > allowed_silence(query)


def has_failed(query: Query) -> bool:
    """Whether the query's newest run ended by a failure."""
    return not query.active and query.ended_class not in (STOPPED, FINISHED, UNTOLD)


def is_missing(query: Watched, now: float) -> bool:
    """Whether a query that must run always does not."""
    return query.interval is None and not query.active and _was_waited_for(query, now)


def is_overdue(query: Watched, now: float) -> bool:
    """Whether a query that must run so often has given no sign of life for longer."""
    return query.interval is not None and now - _seen(query) > query.interval and _was_waited_for(query, now)


def is_lost(known: Driver) -> bool:
    """Whether the driver ended without a word: its port refused, and no last words have come since."""
    return known.ended_at is not None and known.refusals > 0


def last_failure(query: Query) -> tuple[str, float] | None:
    """Class and time of the query's newest end by a failure."""
    return max(query.last_failures.items(), key=lambda one: one[1], default=None)


def _of_query(query: Query, view: AppView, now: float) -> Iterator[Problem]:
    failed = last_failure(query)
    if is_stalled(query, view, now):
        text = f"No start, progress or idle event; {allowed_silence(query):.0f} seconds without one are allowed."
        yield Problem("critical", "stream_stalled", query.app, query.label, text, _last_sign(query))
    if has_failed(query):
        # Queries that were lost with a driver are told with that driver, until another one is there without them.
        if query.ended_class != DRIVER_LOST:
            text = f"Its newest run ended as {query.ended_class}, and it was not started again."
            yield Problem("critical", "stream_failed", query.app, query.label, text, failed[1] if failed else query.ended_at)
        elif query.epoch != view.driver.epoch:
            text = "It ended with its driver, and was not started again in the next one."
            yield Problem("critical", "stream_lost", query.app, query.label, text, query.ended_at)
    elif not query.active and query.ended_class == UNTOLD:
        text = "Its driver lists it no more, and how it ended was not told."
        yield Problem("warning", "stream_ended_untold", query.app, query.label, text, query.ended_at)
    elif query.active and failed and failed[0] != DRIVER_LOST and now - failed[1] < RECENT_SECONDS:
        text = f"A run ended as {failed[0]}; it runs again."
        yield Problem("warning", "stream_failed_recently", query.app, query.label, text, failed[1])
    watermark = query.gauges.get((metrics.WATERMARK.name,))
    if query.active and view.fresh and watermark is not None and watermark - now > FUTURE_SECONDS:
        text = f"It is {watermark - now:.0f} seconds ahead of now: rows that are on time are dropped as late."
        yield Problem("warning", "watermark_in_future", query.app, query.label, text)


def _of_expected(inventory: Inventory, apps: Iterable[AppView], now: float) -> Iterator[Problem]:
    shown = {(query.app, query.label): query for view in apps for query in view.queries}
    running = {view.app for view in apps if not view.ended}
    for query in inventory.queries:
        seen = "" if query.last_signal is not None else " It was never seen."
        app = "" if query.app in running else " No driver of its application is there."
        known = shown.get((query.app, query.query))
        # How it ended is told already.
        told = known is not None and (has_failed(known) or known.ended_class == UNTOLD)
        if is_missing(query, now) and not told:
            text = f"Expected, and not running.{seen}{app}"
            yield Problem("critical", "stream_missing", query.app, query.query, text, _seen(query))
        elif is_overdue(query, now):
            text = f"No sign of life; one is expected at least every {query.interval:.0f} seconds.{seen}{app}"
            yield Problem("critical", "stream_overdue", query.app, query.query, text, _seen(query))


def _of_driver(view: AppView) -> Iterator[Problem]:
    known = view.driver
    if is_lost(known):
        streams = sum(query.epoch == known.epoch and query.ended_class == DRIVER_LOST for query in view.queries)
        text = f"It is gone without a word, and {streams} of its streams with it."
        yield Problem("critical", "driver_lost", view.app, "", text, known.ended_at)
    elif known.ended_at is None and not known.reachable:
        text = "What is shown of its streams is what was last known."
        yield Problem("critical", "driver_unreachable", view.app, "", text, known.last_contact)
    lost = view.counters.get((driver.EVENTS_LOST.name,), 0.0)
    if lost:
        yield Problem("note", "events_lost", view.app, "", f"{lost:.0f} events of its streams never reached the exporter.")


def _of_collectors(outcomes: Mapping[tuple[str, str], Outcome], now: float) -> Iterator[Problem]:
    for (name, target), outcome in outcomes.items():
        if target and name == DRIVERS:
            continue  # told with its application
        of = f" of the workspace {target}" if target else ""
        if not outcome.succeeded:
            reasons = ", ".join(sorted(reason for reason, count in outcome.failures.items() if count)) or "reason unknown"
            text = f"The collector {name}{of} fails ({reasons})."
            yield Problem("critical", "collector_failing", "", "", text, outcome.last_success)
        elif not target and outcome.last_success is not None and now - outcome.last_success > STALE_SECONDS:
            text = f"The collector {name} has not looked: what is shown is old."
            yield Problem("critical", "collector_failing", "", "", text, outcome.last_success)


def _seen(query: Watched) -> float:
    return query.since if query.last_signal is None else query.last_signal


def _was_waited_for(query: Watched, now: float) -> bool:
    return now - max(query.since, query.ended_at or 0.0) >= GRACE_SECONDS


def _last_sign(query: Query) -> float | None:
    return query.started_at if query.last_signal is None else query.last_signal
