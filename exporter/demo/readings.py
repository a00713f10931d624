"""What a page says of each stream, and how it moved since an earlier one; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from exporter.demo.page import Page
from exporter.streaming import metrics

RATE_SECONDS = 10.0
# Which of its waits a query is in changes several times a second.
_STATES = {"getting_offsets": "processing", "waiting_for_data": "waiting", "waiting_for_trigger": "waiting"}


@dataclasses.dataclass(frozen=True)
class Reading:
    """One stream on one page; times are seconds since 1970, None where the page has no such series."""

    stream: str
    state: str
    batches: float = 0
    rows: float = 0
    idle_signals: float = 0
    last_signal: float | None = None
    event_time: float | None = None
    backlog_rows: float | None = None
    overruns: float = 0
    state_rows: float | None = None
    late_rows: float = 0
    runs_finished: float = 0
    failures: float = 0
    failure: str = ""


Readings = dict[str, Reading]
Moment = tuple[float, Readings]


def readings(page: Page) -> Readings:
    """Every stream of the page, by name, in the order in which the streams appeared."""
    return {one.labels["query"]: _reading(page, one.labels["query"]) for one in page.find(metrics.ACTIVE.name)}


def rows_per_second(moments: Sequence[Moment], stream: str) -> float | None:
    """Rows that the stream read between the oldest and the newest moment, by second; None until there are two to compare."""
    seen = [(at, readings[stream].rows) for at, readings in moments if stream in readings]
    if not seen or seen[-1][0] <= seen[0][0]:
        return None
    (began, before), (now, rows) = seen[0], seen[-1]
    return (rows - before) / (now - began)


def recent(moments: Sequence[Moment], newest: Moment) -> tuple[Moment, ...]:
    """`moments` with the newest one, as far back as a rate looks."""
    return (*(moment for moment in moments if newest[0] - moment[0] <= RATE_SECONDS), newest)


def _reading(page: Page, stream: str) -> Reading:
    last = max(page.find(metrics.LAST_FAILURE.name, query=stream), key=lambda one: one.value, default=None)
    state_rows = [one.value for one in page.find(metrics.STATE_ROWS.name, query=stream)]
    return Reading(
        stream,
        _state(page, stream),
        batches=page.total(metrics.BATCHES.name, query=stream),
        rows=page.total(metrics.INPUT_ROWS.name, query=stream),
        idle_signals=page.total(metrics.IDLE_SIGNALS.name, query=stream),
        last_signal=page.value(metrics.LAST_SIGNAL.name, query=stream),
        event_time=page.value(metrics.EVENT_TIME_MAX.name, query=stream),
        backlog_rows=page.value(metrics.BACKLOG_ROWS.name, query=stream),
        overruns=page.total(metrics.OVERRUNS.name, query=stream),
        state_rows=sum(state_rows) if state_rows else None,
        late_rows=page.total(metrics.DROPPED_ROWS.name, query=stream),
        runs_finished=page.total(metrics.TERMINATIONS.name, query=stream, **{"class": "finished"}),
        failures=page.total(metrics.FAILURES.name, query=stream),
        failure=last.labels["class"] if last else "",
    )


def _state(page: Page, stream: str) -> str:
    """What the stream does now, else how its newest run ended."""
    if page.value(metrics.ACTIVE.name, query=stream):
        states = page.find(metrics.STATUS.name, query=stream)
        return next((_STATES.get(one.labels["state"], one.labels["state"]) for one in states if one.value), "active")
    started = page.value(metrics.START.name, query=stream) or 0.0
    if any(one.value >= started for one in page.find(metrics.LAST_FAILURE.name, query=stream)):
        return "failed"
    return "finished" if page.total(metrics.TERMINATIONS.name, query=stream, **{"class": "finished"}) else "stopped"
