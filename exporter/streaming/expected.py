"""Which queries are expected to run, held against what is known of them; pure, and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from exporter.streaming.state import Query, State


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
    began. Both are seconds since 1970.
    """

    app: str
    query: str
    interval: float | None
    active: bool
    last_signal: float | None
    since: float


class Inventory(msgspec.Struct, frozen=True):
    """All queries that are expected, in the order in which they were named."""

    queries: tuple[Watched, ...]


def watched(expected: Iterable[Expected], state: State, since: Mapping[tuple[str, str], float]) -> Inventory:
    """What `state` knows of each of `expected`, watched `since` then, by (app, query)."""
    return Inventory(
        tuple(_watched(one, state.queries.get((one.app, one.query)), since[one.app, one.query]) for one in expected)
    )


def _watched(one: Expected, query: Query | None, since: float) -> Watched:
    if query is None:
        return Watched(one.app, one.query, one.interval, active=False, last_signal=None, since=since)
    # A query that is known has been seen, even where none of its events told a time.
    seen = query.last_signal or query.ended_at or query.started_at
    return Watched(one.app, one.query, one.interval, active=query.active, last_signal=seen, since=since)
