"""A live session is followed through its JVM, or through a listener in Python whose events are known to arrive."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from py4j.protocol import Py4JNetworkError

from exporter.errors import Reason, SourceError
from exporter.sources import python_listener, session
from exporter.streaming.events import read_answer, read_event
from exporter.streaming.observation import Answered, Failed
from tests.streaming.rings import Ring

NOW = 1_795_000_500.0


def clock() -> float:
    return NOW


class Conf:
    """The configuration of a Databricks session that denies one key."""

    def get(self, key: str, default: str | None = None) -> str | None:
        if key == "spark.databricks.job.id":
            raise PermissionError(key)
        tags = [{"key": "JobId", "value": "620"}, {"key": "RunName", "value": "ingest"}, {"key": "Owner", "value": "somebody"}]
        known = {
            "spark.app.name": "notebook",
            "spark.databricks.clusterUsageTags.clusterId": "1122-061234-abcdefgh",
            "spark.databricks.clusterUsageTags.clusterAllTags": json.dumps(tags),
        }
        return known.get(key, default)


class Jvm:
    """A session's JVM with our jar, whose listener answers from a ring."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.failure: Exception | None = None
        self.lakehouse = types.SimpleNamespace(listener=types.SimpleNamespace(StreamListener=lambda: self))

    def poll(self, epoch: str, after: int, _: int) -> str:
        if self.failure is not None:
            raise self.failure
        return self.ring.text(after if epoch == self.ring.epoch else 0)


@pytest.fixture
def ring() -> Ring:
    ring = Ring()
    ring.started_query("orders")
    ring.progress("orders", 0)
    return ring


def test_through_the_jvm(ring: Ring) -> None:
    """A classic session is read like a driver's bridge, from where it was last read."""
    source = session.of(types.SimpleNamespace(_jvm=Jvm(ring)), clock)

    (answered,) = source.observe({ring.epoch: 1}, frozenset(), 0).outcomes

    assert isinstance(answered, Answered)
    assert [read_event(raw).seq for raw in answered.answer.events] == [2]
    assert answered.at == NOW
    source.close()


def test_without_the_jar() -> None:
    """A driver without our jar is told what is missing."""

    def missing() -> None:
        raise TypeError("'JavaPackage' object is not callable")

    jvm = types.SimpleNamespace(lakehouse=types.SimpleNamespace(listener=types.SimpleNamespace(StreamListener=missing)))

    with pytest.raises(SourceError, match="the listener's jar is not on the driver's class path") as error:
        session.of(types.SimpleNamespace(_jvm=jvm), clock)

    assert error.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize("failure", [Py4JNetworkError("gone"), ConnectionResetError()])
def test_jvm_gone(ring: Ring, failure: Exception) -> None:
    """A JVM that is gone is a driver that refuses."""
    jvm = Jvm(ring)
    source = session.of(types.SimpleNamespace(_jvm=jvm), clock)
    source.observe({}, frozenset(), 0)
    jvm.failure = failure

    observation = source.observe({}, frozenset(), 0)

    assert observation.outcomes == (Failed(ring.epoch, ring.app_id, Reason.REFUSED, "the session's JVM is gone", NOW),)
    assert observation.present == {ring.epoch}


def test_another_application(ring: Ring) -> None:
    """When the application is stopped and another one started in the same process, the new one is followed."""
    jvm = Jvm(ring)
    source = session.of(types.SimpleNamespace(_jvm=jvm), clock)
    source.observe({}, frozenset(), 0)
    jvm.ring = Ring(epoch="b" * 32)
    jvm.ring.started_query("orders", run="run-2")

    gone, answered = source.observe({ring.epoch: 2}, frozenset(), 0).outcomes

    assert gone == Failed(ring.epoch, ring.app_id, Reason.REFUSED, "another application runs", NOW)
    assert isinstance(answered, Answered)
    assert answered.answer.epoch == "b" * 32


def test_bad_first_answer() -> None:
    """An answer of another shape is told, and asked for again."""
    ring = Ring()
    jvm = Jvm(ring)
    source = session.of(types.SimpleNamespace(_jvm=jvm), clock)
    jvm.poll = lambda *_: "[]"  # type: ignore[method-assign]

    (failed,) = source.observe({}, frozenset(), 0).outcomes

    assert isinstance(failed, Failed)
    assert failed.reason is Reason.BAD_ANSWER


# Without a JVM


class Connected:
    """A session of Spark Connect: no `_jvm`, and events that arrive where the listener lives."""

    version = "4.2.0"

    def __init__(self, *, arrive: bool = True, takes: bool = True, streams: bool = True) -> None:
        self.conf = Conf()
        self.streams = self
        self.listeners: list[Any] = []
        self.arrive = arrive
        self.takes = takes
        self.runs_streams = streams
        self.removed = 0

    @property
    def _jvm(self) -> Any:
        raise NotImplementedError("JVM_ATTRIBUTE_NOT_SUPPORTED")

    def addListener(self, listener: Any) -> None:  # noqa: N802 - PySpark's name
        if not self.takes:
            raise ValueError("can't pickle this")
        self.listeners.append(listener)

    def removeListener(self, listener: Any) -> None:  # noqa: N802 - PySpark's name
        self.listeners.remove(listener)
        self.removed += 1

    # The self-test's query, from readStream to stop().
    def __getattr__(self, name: str) -> Any:
        if name in ("readStream", "writeStream"):
            return self
        if name in ("format", "option", "load", "where", "trigger"):
            return lambda *_, **__: self
        raise AttributeError(name)

    def queryName(self, name: str) -> Connected:  # noqa: N802 - PySpark's name
        self.test = name
        return self

    def start(self) -> Connected:
        if not self.runs_streams:
            raise RuntimeError("streaming is not supported")
        if self.arrive:
            self.say("Started", name=self.test, runId="test", id="test", timestamp="2026-11-22T00:00:00.000Z")
        return self

    def stop(self) -> None:
        if self.arrive:
            self.say("Progress", progress=types.SimpleNamespace(runId="test", json="{}"))
            self.say("Idle", runId="test")
            self.say("Terminated", runId="test")

    def say(self, kind: str, **event: Any) -> None:
        for listener in self.listeners:
            getattr(listener, f"onQuery{kind}")(types.SimpleNamespace(**event))


@pytest.fixture(autouse=True)
def pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    """PySpark's listener class, of which nothing but its being a class is used."""
    module = types.ModuleType("pyspark.sql.streaming.listener")
    module.StreamingQueryListener = object  # type: ignore[attr-defined]
    for name in ("pyspark", "pyspark.sql", "pyspark.sql.streaming"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(python_listener, "SELF_TEST_SECONDS", 0.01)


def test_through_a_listener(ring: Ring) -> None:
    """Without a JVM a listener in Python brings every event, and none of the self-test's."""
    spark = Connected()
    source = session.of(spark, clock)
    ids = {"id": "q", "runId": "r"}
    spark.say("Started", **ids, name=None, timestamp="2026-11-22T00:00:00.000Z")
    progress = {**ids, "name": None, "timestamp": "2026-11-22T00:00:01.000Z", "batchId": 0}
    spark.say("Progress", progress=types.SimpleNamespace(runId="r", json=json.dumps(progress)))
    spark.say("Idle", **ids, timestamp="2026-11-22T00:00:02.000Z")
    spark.say("Terminated", **ids, exception="boom", errorClassOnException=None)

    (answered,) = source.observe({}, frozenset(), 0).outcomes

    assert isinstance(answered, Answered)
    assert [read_event(raw).kind for raw in answered.answer.events] == ["started", "progress", "idle", "terminated"]
    assert answered.answer.facts.app is not None
    assert answered.answer.facts.app.name == "notebook"
    assert answered.answer.facts.databricks == {
        "clusterUsageTags.clusterId": "1122-061234-abcdefgh",
        "clusterUsageTags.clusterAllTags": '[{"key": "JobId", "value": "620"}, {"key": "RunName", "value": "ingest"}]',
    }

    source.close()

    assert spark.listeners == []


@pytest.mark.parametrize(
    ("spark", "message", "reason", "removed"),
    [
        (lambda: Connected(arrive=False), "the session's events don't arrive in this process", Reason.TIMEOUT, 1),
        (lambda: Connected(takes=False), r"the session takes no listener \(ValueError\)", Reason.UNREADABLE, 0),
        (lambda: Connected(streams=False), r"the session runs no streaming query \(RuntimeError\)", Reason.UNREADABLE, 1),
    ],
)
def test_refused(spark: Callable[[], Connected], message: str, reason: Reason, removed: int) -> None:
    """A session whose events would not arrive here is refused, and nothing of ours is left in it."""
    session_object = spark()

    with pytest.raises(SourceError, match=message) as error:
        session.of(session_object, clock)

    assert error.value.reason is reason
    assert session_object.removed == removed


def test_python_ring_pages_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring in Python answers as the driver's does: pages by size, one event at least, old ones pushed out."""
    monkeypatch.setattr(python_listener, "MAX_EVENTS", 3)
    ring = python_listener.Ring(Connected(), clock)
    for batch in range(5):
        ring.take("idle", json.dumps({"id": "q", "runId": str(batch), "timestamp": "2026-11-22T00:00:00.000Z"}))
    epoch = read_answer(ring.poll("", 0, 0)).epoch

    answer = read_answer(ring.poll(epoch, 3, 1))

    assert (answer.first_seq, answer.last_seq, answer.more) == (3, 5, True)
    assert [read_event(raw).seq for raw in answer.events] == [4]
    assert [read_event(raw).seq for raw in read_answer(ring.poll("another", 4, 10_000)).events] == [3, 4, 5]


def test_python_ring_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large events push old ones out though they are few."""
    monkeypatch.setattr(python_listener, "MAX_BYTES", 1100)
    ring = python_listener.Ring(Connected(), clock)
    for _ in range(5):
        ring.take("idle", json.dumps({"id": "q" * 400, "runId": "r", "timestamp": "2026-11-22T00:00:00.000Z"}))

    answer = read_answer(ring.poll("", 0, 10_000))

    assert (answer.first_seq, answer.last_seq) == (4, 5)


def test_tags_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags of another shape are left out, and nothing else with them."""
    monkeypatch.setattr(Conf, "get", lambda _, key, default: "[7]" if key.endswith("AllTags") else default)

    assert read_answer(python_listener.Ring(Connected(), clock).poll("", 0, 0)).facts.databricks == {}
