"""What the list of a workspace's pipelines says of them, and of their updates that ended, each counted once; pure.

The list tells the newest updates of every pipeline, so that none is asked for by itself. It does not tell when one ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

import msgspec

from exporter.databricks.words import OTHER, known

STATES = (
    "deleted",
    "deploying",
    "failed",
    "idle",
    "recovering",
    "resetting",
    "running",
    "starting",
    "stopping",
    OTHER,
)
# In these nothing goes on.
AT_REST = ("deleted", "failed", "idle")
ENDS = ("completed", "failed", "canceled")
UPDATE_STATES = (
    "created",
    "queued",
    "waiting_for_resources",
    "initializing",
    "resetting",
    "setting_up_tables",
    "running",
    "stopping",
    *ENDS,
    OTHER,
)
HEALTHY, UNHEALTHY = "healthy", "unhealthy"

# The list holds some five of a pipeline; those that left it are not told again.
KEPT_UPDATES = 25
REMEMBERED_SECONDS = 30 * 86_400.0
# Of pipelines that are gone; a workspace may have 12,000: https://docs.databricks.com/resources/limits.html
MAX_GONE = 1_000


class UpdateAnswer(msgspec.Struct, frozen=True):
    """An update as pipelines/list tells it; the time is a text here, and milliseconds since 1970 elsewhere."""

    update_id: str
    state: str | None = None
    creation_time: str | int | None = None


class Answer(msgspec.Struct, frozen=True):
    """A pipeline as pipelines/list tells it, the newest update first; it has names of users too, which nobody is to read."""

    pipeline_id: str
    name: str | None = None
    state: str | None = None
    health: str | None = None
    cluster_id: str | None = None
    latest_updates: tuple[UpdateAnswer, ...] | None = None


class Pipeline(msgspec.Struct, frozen=True):
    """A pipeline that can be seen; words in small letters, empty where nothing is told.

    `healthy` is None where that is not told. `update_id` is the newest update's, `update_started` is seconds since 1970.
    """

    pipeline_id: str
    state: str
    name: str = ""
    cluster_id: str = ""
    healthy: bool | None = None
    update_id: str = ""
    update_state: str = ""
    update_started: float | None = None


class Ended(msgspec.Struct, frozen=True):
    """What is counted of one pipeline, last seen at the time `seen`: updates by how they ended, and when each last did.

    `updates` are the ids of those that count no more. Times are seconds since 1970.
    """

    seen: float
    counts: dict[str, int] = {}
    last: dict[str, float] = {}
    updates: tuple[str, ...] = ()


class Pipelines(msgspec.Struct, frozen=True):
    """The pipelines of a workspace that could be seen at `at`, seconds since 1970, by id; `ended` goes by pipeline's id."""

    workspace: str
    at: float
    pipelines: tuple[Pipeline, ...] = ()
    ended: dict[str, Ended] = {}

    @property
    def visible(self) -> int:
        """How many can be seen."""
        return len(self.pipelines)


def folded(before: Pipelines | None, workspace: str, listed: Mapping[str, Answer], now: float) -> Pipelines:
    """The next record, at `now` in seconds since 1970; `listed` is the whole list by id, `before` None at the first look."""
    ended = dict(before.ended) if before else {}
    # Of a pipeline that is new here, what was begun after the last look was never seen open.
    since = before.at if before else now
    for pipeline_id, answer in listed.items():
        ended[pipeline_id] = _ended(ended.get(pipeline_id), answer.latest_updates or (), since, now)
    gone = [one for one, kept in ended.items() if one not in listed and now - kept.seen < REMEMBERED_SECONDS]
    kept = set(sorted(gone, key=lambda one: ended[one].seen)[-MAX_GONE:])
    return Pipelines(
        workspace,
        now,
        tuple(pipeline(listed[one]) for one in sorted(listed)),
        {one: counted for one, counted in ended.items() if one in listed or one in kept},
    )


def pipeline(answer: Answer) -> Pipeline:
    """What an answer says of a pipeline and its newest update."""
    newest = answer.latest_updates[0] if answer.latest_updates else None
    health = known(answer.health, (HEALTHY, UNHEALTHY))
    return Pipeline(
        pipeline_id=answer.pipeline_id,
        state=known(answer.state, STATES) or OTHER,
        name=answer.name or "",
        cluster_id=answer.cluster_id or "",
        healthy=health == HEALTHY if health in (HEALTHY, UNHEALTHY) else None,
        update_id=newest.update_id if newest else "",
        update_state=known(newest.state, UPDATE_STATES) or OTHER if newest else "",
        update_started=seconds(newest.creation_time) if newest else None,
    )


def seconds(time: str | int | None) -> float | None:
    """A time of Databricks, as RFC 3339 or as milliseconds since 1970, in seconds since 1970; None for what is none."""
    if isinstance(time, str) and time.isascii() and time.isdigit():
        # Longer than any time is: no number is to be made of it.
        time = int(time[:20])
    if isinstance(time, int):
        return time / 1000 if 0 < time < 2**63 else None
    try:
        moment = msgspec.convert(time, datetime)
    except msgspec.ValidationError:
        return None
    stamp = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return stamp if stamp > 0 else None


def encoded(record: Pipelines) -> bytes:
    """A record as bytes, for a storage."""
    return msgspec.msgpack.encode(record)


def decoded(stored: bytes) -> Pipelines:
    """The record that was stored; raises ValueError for what is none."""
    return msgspec.msgpack.decode(stored, type=Pipelines)


def _ended(before: Ended | None, updates: Sequence[UpdateAnswer], since: float, now: float) -> Ended:
    counts, last = (dict(before.counts), dict(before.last)) if before else ({}, {})
    told = list(_ends(updates, now))
    for update_id, state, started, latest in told:
        if before and update_id in before.updates:
            continue
        new = before is not None or (started is not None and started >= since)
        if new:
            counts[state] = counts.get(state, 0) + 1
        # Of one that ended before it was ever seen no more than its beginning is known.
        at = latest if new else started
        if at is not None:
            last[state] = max(at, last.get(state, 0.0))
    ids = dict.fromkeys((*(one[0] for one in told), *(before.updates if before else ())))
    return Ended(now, counts, last, tuple(ids)[: max(KEPT_UPDATES, len(told))])


def _ends(updates: Sequence[UpdateAnswer], now: float) -> Iterator[tuple[str, str, float | None, float]]:
    """Of the updates that ended: id, how, when it began if that is told, and when it was over at the latest."""
    latest = now
    for update in updates:
        state, started = known(update.state, UPDATE_STATES), seconds(update.creation_time)
        if state in ENDS:
            yield update.update_id, state, started, latest
        # A pipeline has one update at a time.
        latest = started if started is not None else latest
