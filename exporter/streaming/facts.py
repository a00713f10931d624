"""What a driver is like, as its listener tells it: frozen values, every field of which a driver may leave out."""

from __future__ import annotations

from typing import Annotated

import msgspec

# What Spark, Java's `long` behind it, can mean; a larger number is a fault, and could not be stored.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class App(msgspec.Struct, frozen=True, rename="camel"):
    id: str | None = None
    name: str | None = None
    configured_name: str | None = None


class Spark(msgspec.Struct, frozen=True, rename="camel"):
    version: str | None = None
    scala: str | None = None
    master: str | None = None
    shuffle_partitions: Int64 | None = None
    scheduler_mode: str | None = None


class Collector(msgspec.Struct, frozen=True, rename="camel"):
    """One garbage collector of the driver: java.lang.management.GarbageCollectorMXBean."""

    name: str | None = None
    count: Int64 | None = None
    millis: Int64 | None = None


class Jvm(msgspec.Struct, frozen=True, rename="camel"):
    version: str | None = None
    start_ms: Int64 | None = None
    heap_used_bytes: Int64 | None = None
    heap_committed_bytes: Int64 | None = None
    heap_max_bytes: Int64 | None = None
    non_heap_used_bytes: Int64 | None = None
    non_heap_committed_bytes: Int64 | None = None
    threads: Int64 | None = None
    cpu_nanos: Int64 | None = None
    processors: Int64 | None = None
    gc: tuple[Collector, ...] | None = None


class BusQueue(msgspec.Struct, frozen=True, rename="camel"):
    """One queue of Spark's LiveListenerBus."""

    queue: str | None = None
    size: Int64 | None = None
    dropped: Int64 | None = None


class ActiveQuery(msgspec.Struct, frozen=True, rename="camel"):
    """A query that runs now, with its StreamingQuery.status."""

    id: str | None = None
    run_id: str | None = None
    name: str | None = None
    trigger: str | None = None
    message: str | None = None
    data_available: bool | None = None
    trigger_active: bool | None = None


class Listener(msgspec.Struct, frozen=True, rename="camel"):
    """The listener's own cost and losses."""

    version: str | None = None
    events: Int64 | None = None
    queue_dropped: Int64 | None = None
    ring_dropped: Int64 | None = None
    failed: Int64 | None = None
    cpu_nanos: Int64 | None = None
    worst_callback_nanos: Int64 | None = None
    ring_events: Int64 | None = None
    ring_bytes: Int64 | None = None


class Facts(msgspec.Struct, frozen=True, rename="camel"):
    """What the driver is like now; None wherever it does not let the listener know."""

    app: App | None = None
    spark: Spark | None = None
    jvm: Jvm | None = None
    bus: tuple[BusQueue, ...] | None = None
    queries: tuple[ActiveQuery, ...] | None = None
    databricks: dict[str, str | None] | None = None
    capabilities: dict[str, bool | None] | None = None
    listener: Listener | None = None
