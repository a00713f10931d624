"""Which queries are expected to run, held against what is known of them; pure, and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exporter.streaming.state import State


class Expected(msgspec.Struct, frozen=True):
    """One query that somebody counts on, by the names under which it is shown.

    `interval` is the longest time in seconds between two signs of life; None for a query that must run always.
    """

    app: str
    query: str
    interval: float | None = None


class Watched(msgspec.Struct, frozen=True):
    """One expected query and what is known of it.

    `last_signal` is that of its newest run, however long ended, None where it was never seen; `since` is when watching
    began, `ended_at` when its end was learned of. All are seconds since 1970.
    """

    app: str
    query: str
    interval: float | None
    active: bool
    last_signal: float | None
    since: float
    ended_at: float | None = None


class Inventory(msgspec.Struct, frozen=True):
    """All queries that are expected, in the order in which they were named."""

    queries: tuple[Watched, ...]


def with_watched(state: State, named: Iterable[tuple[str, str]], now: float) -> State:
    """`state` with since when each of the `named` (app, query) is watched: what is named first at `now`, since then."""
    since = {key: state.watched_since.get(key, now) for key in named}
    return state if since == state.watched_since else msgspec.structs.replace(state, watched_since=since)


def watched(expected: Iterable[Expected], state: State) -> Inventory:
    """What `state` knows of each of `expected`; a stream that it does not watch yet is watched from the state's birth on."""
    return Inventory(tuple(_watched(one, state) for one in expected))


def _watched(one: Expected, state: State) -> Watched:
    query = state.queries.get((one.app, one.query))
    since = state.watched_since.get((one.app, one.query), state.since)
    if query is None:
        return Watched(one.app, one.query, one.interval, active=False, last_signal=None, since=since)
    # A query that is known has been seen, even where none of its events told a time.
    seen = query.last_signal or query.ended_at or query.started_at
    return Watched(one.app, one.query, one.interval, query.active, seen, since, query.ended_at)
