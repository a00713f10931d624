"""What is remembered of drivers and their queries from look to look; values only: exporter/streaming/fold.py makes them."""

from __future__ import annotations

import msgspec

from exporter.errors import StorageError
from exporter.streaming.facts import Facts
from exporter.streaming.signals import Key

VERSION = 2


class Query(msgspec.Struct, frozen=True):
    """One (app, query): its newest run, and what was counted over all its runs.

    Times are seconds since 1970. `ended_at` is when the exporter learned of the end, so that it is shown long enough.
    `durations` are counts by bucket, not cumulated; `duration_sum` is in seconds.
    """

    app: str
    label: str
    query_id: str
    run_id: str
    epoch: str
    name: str | None = None
    trigger: str | None = None
    sink: str = ""
    active: bool = True
    started_at: float | None = None
    ended_at: float | None = None
    ended_class: str = ""
    last_signal: float | None = None
    last_batch_id: int | None = None
    last_batch_rows: int | None = None
    last_batch_seconds: float | None = None
    missing_since: float | None = None
    behind: frozenset[str] = frozenset()
    last_failures: dict[str, float] = {}
    counters: dict[Key, float] = {}
    gauges: dict[Key, float] = {}
    durations: tuple[int, ...] = ()
    duration_sum: float = 0.0


class Driver(msgspec.Struct, frozen=True):
    """One ring: a driver's one listener. `position` is the newest sequence number that was read.

    Events up to `baseline` were there before the exporter knew the ring: they set gauges and add nothing to counters.
    """

    epoch: str
    app: str
    app_id: str
    started_at: float
    baseline: int = 0
    position: int = 0
    last_contact: float = 0.0
    reachable: bool = True
    refusals: int = 0
    ended_at: float | None = None
    facts: Facts = Facts()
    raw_totals: dict[Key, float] = {}


class App(msgspec.Struct, frozen=True):
    """What was counted of an application over all its drivers."""

    counters: dict[Key, float] = {}
    seen_at: float = 0.0


class Failure(msgspec.Struct, frozen=True):
    """One end by a failure: its class, when, after which batch, and as which error condition.

    `query` is empty where it was the driver that was lost, with all that ran in it. `run_page` is the Databricks run's address.
    `message` is the exception's first line, redacted; empty but where it was chosen to be kept, for it may quote data.
    """

    app: str
    query: str
    name: str
    at: float
    batch_id: int | None = None
    condition: str | None = None
    run_page: str = ""
    message: str = ""


class State(msgspec.Struct, frozen=True):
    """Everything. `since` is when this state was born: rings that began later are counted from their first event.

    `failures` counts failed looks by application (empty where it never told its name) and reason.
    `last_failures` are the newest ends by a failure, oldest first. `watched_since` is when each expected query was named.
    """

    since: float
    drivers: dict[str, Driver] = {}
    queries: dict[tuple[str, str], Query] = {}
    apps: dict[str, App] = {}
    failures: dict[tuple[str, str], int] = {}
    last_failures: tuple[Failure, ...] = ()
    watched_since: dict[tuple[str, str], float] = {}
    version: int = VERSION


def encoded(state: State) -> bytes:
    """`state` as bytes for a file; raises StorageError where it holds what no file can."""
    try:
        return msgspec.msgpack.encode(state)
    except (OverflowError, ValueError, TypeError) as error:
        raise StorageError(f"state that can't be written: {error}") from error


def decoded(stored: bytes) -> State:
    """The state in `stored`; raises ValueError where it is none, or of another version."""
    try:
        version = msgspec.msgpack.decode(stored, type=_Version).version
        if version != VERSION:
            raise ValueError(f"state of version {version}, {VERSION} is understood")
        return msgspec.msgpack.decode(stored, type=State)
    except msgspec.DecodeError as error:
        raise ValueError(f"no state: {error}") from error


def positions(state: State) -> dict[str, int]:
    """How far each known ring was read."""
    return {epoch: driver.position for epoch, driver in state.drivers.items()}


def ended(state: State) -> frozenset[str]:
    """The rings whose drivers are known to have ended."""
    return frozenset(epoch for epoch, driver in state.drivers.items() if driver.ended_at is not None)


class _Version(msgspec.Struct):
    version: int
