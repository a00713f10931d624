"""What of the state is to be seen now: one record an application, by the table of docs/architecture.md; pure."""

from __future__ import annotations

import msgspec

from exporter.streaming.signals import Key
from exporter.streaming.state import App, Driver, Failure, Query, State

# How long the values of a driver that does not answer still stand.
STALE_SECONDS = 60.0


class AppView(msgspec.Struct, frozen=True):
    """One application: its newest driver, what was counted of it, and those of its queries that are still shown.

    `fresh` is false where the driver has not answered for so long that only times may be told; `ended` says that it has ended.
    """

    app: str
    driver: Driver
    counters: dict[Key, float]
    queries: tuple[Query, ...]
    fresh: bool
    ended: bool


class History(msgspec.Struct, frozen=True):
    """What is told of the past whatever has become of the application since: the newest failures, oldest first."""

    failures: tuple[Failure, ...]


def views(state: State, now: float, keep_ended: float) -> dict[str, AppView]:
    """The applications to be seen at `now`, by name; ended queries and drivers for `keep_ended` seconds."""
    newest: dict[str, Driver] = {}
    for driver in sorted(state.drivers.values(), key=lambda driver: (driver.ended_at is None, driver.started_at)):
        newest[driver.app] = driver
    shown: dict[str, AppView] = {}
    for app, driver in sorted(newest.items()):
        ended = driver.ended_at is not None
        queries = tuple(query for query in state.queries.values() if query.app == app and _shown(query, now, keep_ended))
        if ended and not queries and now - (driver.ended_at or 0.0) >= keep_ended:
            continue
        fresh = ended or now - driver.last_contact < STALE_SECONDS
        shown[app] = AppView(app, driver, state.apps.get(app, App()).counters, queries, fresh, ended)
    return shown


def with_counters_of(state: State, stored: State) -> State:
    """`state` with the counters of `stored`: what may be shown while `state` itself can't be stored.

    A page must not show a count that the end of this process could take back.
    """
    queries = {}
    for key, query in state.queries.items():
        before = stored.queries.get(key)
        queries[key] = msgspec.structs.replace(
            query,
            counters=before.counters if before else {},
            durations=before.durations if before else (),
            duration_sum=before.duration_sum if before else 0.0,
        )
    return msgspec.structs.replace(state, queries=queries, apps=stored.apps)


def _shown(query: Query, now: float, keep_ended: float) -> bool:
    return query.active or now - (query.ended_at or 0.0) < keep_ended
