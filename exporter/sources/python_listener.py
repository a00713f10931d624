"""A listener in Python, for sessions without a JVM to call: fills a ring that answers like the driver's own."""

from __future__ import annotations

import json
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from exporter.errors import Reason, SourceError

CONFIGURED_NAME = "spark.lakehouse.listener.app"
# What of a Databricks runtime's configuration tells where it is: docs/bridge.md. Of clusterAllTags, these keys.
DATABRICKS = "spark.databricks."
DATABRICKS_KEYS = (
    "clusterUsageTags.clusterId",
    "clusterUsageTags.clusterName",
    "clusterUsageTags.clusterOwnerOrgId",
    "clusterUsageTags.orgId",
    "clusterUsageTags.sparkVersion",
    "workspaceUrl",
    "job.id",
    "job.runId",
    "job.parentRunId",
)
ALL_TAGS = "clusterUsageTags.clusterAllTags"
TAGS = ("ClusterId", "ClusterName", "JobId", "RunName")
MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
SELF_TEST_SECONDS = 60.0

Clock = Callable[[], float]


class Ring:
    """A ring of events in Python, numbered and bounded, that answers as docs/bridge.md says; safe to use from any thread."""

    def __init__(self, spark: Any, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._epoch = uuid.uuid4().hex
        self._started_ms = round(clock() * 1000)
        self._app_id = str(uuid.uuid4())
        self._facts = {
            "app": {"name": _setting(spark.conf, "spark.app.name"), "configuredName": _setting(spark.conf, CONFIGURED_NAME)},
            "spark": {"version": spark.version},
            "databricks": _databricks(spark.conf),
        }
        self._held: deque[tuple[int, str]] = deque()
        self._held_bytes = 0
        self._last_seq = 0

    def take(self, kind: str, event: str) -> None:
        """Appends one event, given as Spark's own JSON; the oldest is pushed out when the ring is full."""
        with self._lock:
            self._last_seq += 1
            line = f'{{"seq": {self._last_seq}, "atMs": {round(self._clock() * 1000)}, "kind": "{kind}", "event": {event}}}'
            self._held.append((self._last_seq, line))
            self._held_bytes += len(line)
            while len(self._held) > MAX_EVENTS or self._held_bytes > MAX_BYTES:
                self._held_bytes -= len(self._held.popleft()[1])

    def poll(self, epoch: str, after: int, max_bytes: int) -> str:
        """The answer to `poll` (docs/bridge.md)."""
        with self._lock:
            held = [line for seq, line in self._held if seq > (after if epoch == self._epoch else 0)]
            page: list[str] = []
            room = max_bytes
            for line in held:
                room -= len(line)
                if page and room < 0:
                    break
                page.append(line)
            answer = {
                "version": 1,
                "final": False,
                "epoch": self._epoch,
                "startedMs": self._started_ms,
                "nowMs": round(self._clock() * 1000),
                "appId": self._app_id,
                "firstSeq": self._held[0][0] if self._held else self._last_seq + 1,
                "lastSeq": self._last_seq,
                "more": len(page) < len(held),
                "facts": self._facts,
            }
            return json.dumps(answer)[:-1] + ', "events": [' + ", ".join(page) + "]}"


def _databricks(conf: Any) -> dict[str, str]:
    """What of the session's configuration tells where on Databricks it is, without its prefix and what it denies."""
    found = {key: value for key in DATABRICKS_KEYS if (value := _setting(conf, DATABRICKS + key))}
    try:
        tags = [tag for tag in json.loads(_setting(conf, DATABRICKS + ALL_TAGS) or "[]") if tag["key"] in TAGS]
    except (ValueError, TypeError, KeyError):
        tags = []
    return {**found, ALL_TAGS: json.dumps(tags)} if tags else found


def _setting(conf: Any, key: str) -> str | None:
    try:
        value = conf.get(key, None)
    except Exception:  # noqa: BLE001 - the session may deny a key, with an error class of its own
        return None
    return value if isinstance(value, str) else None


def attached(spark: Any, clock: Clock) -> tuple[Ring, Callable[[], None]]:
    """A ring that takes the events of the streams of `spark`, and the function that ends that.

    Raises SourceError where they don't arrive in this process, as with Spark Connect 3.5, which sends the listener away.
    """
    ring = Ring(spark, clock)
    tested = threading.Event()
    test = f"lakehouse-exporter-self-test-{uuid.uuid4().hex}"
    try:
        listener = _listener(ring, test, tested)
        spark.streams.addListener(listener)
    except Exception as error:
        raise SourceError(Reason.UNREADABLE, f"the session takes no listener ({type(error).__name__})") from error

    def detach() -> None:
        spark.streams.removeListener(listener)

    try:
        _self_test(spark, test, tested)
    except SourceError:
        detach()
        raise
    return ring, detach


def _listener(ring: Ring, test: str, tested: threading.Event) -> Any:
    """A StreamingQueryListener that hands every event on, but those of the query named `test`, which set `tested`."""
    from pyspark.sql.streaming.listener import StreamingQueryListener

    tests: set[str] = set()

    class Listener(StreamingQueryListener):  # type: ignore[misc] # the only way in that PySpark has; untyped
        def onQueryStarted(self, event: Any) -> None:  # noqa: N802 - PySpark's name
            if event.name == test:
                tests.add(str(event.runId))
                tested.set()
                return
            body = {"id": str(event.id), "runId": str(event.runId), "name": event.name, "timestamp": event.timestamp}
            ring.take("started", json.dumps(body))

        def onQueryProgress(self, event: Any) -> None:  # noqa: N802 - PySpark's name
            if str(event.progress.runId) not in tests:
                ring.take("progress", event.progress.json)

        def onQueryIdle(self, event: Any) -> None:  # noqa: N802 - PySpark's name
            if str(event.runId) not in tests:
                ring.take("idle", json.dumps({"id": str(event.id), "runId": str(event.runId), "timestamp": event.timestamp}))

        def onQueryTerminated(self, event: Any) -> None:  # noqa: N802 - PySpark's name
            if str(event.runId) in tests:
                return
            body = {
                "id": str(event.id),
                "runId": str(event.runId),
                "exception": event.exception,
                "errorClassOnException": event.errorClassOnException,
            }
            ring.take("terminated", json.dumps(body))

    return Listener()


def _self_test(spark: Any, test: str, tested: threading.Event) -> None:
    """Starts a query of no rows and waits for its first event to come back here."""
    try:
        rows = spark.readStream.format("rate").option("rowsPerSecond", 1).load().where("value < 0")
        query = rows.writeStream.format("noop").queryName(test).trigger(availableNow=True).start()
        arrived = tested.wait(SELF_TEST_SECONDS)
        query.stop()
    except Exception as error:
        raise SourceError(Reason.UNREADABLE, f"the session runs no streaming query ({type(error).__name__})") from error
    if not arrived:
        raise SourceError(Reason.TIMEOUT, "the session's events don't arrive in this process")
