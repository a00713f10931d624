"""Whole pages of recorded streams: every kind of query of two Sparks, Kafka and Delta, Databricks, a silent driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter import catalogue, collectors, exposition
from exporter.streaming.fold import fold
from exporter.streaming.state import State
from exporter.streaming.view import STALE_SECONDS, views
from tests.streaming.rings import BEGINNING, Ring, looked

RECORDS = Path(__file__).parent.parent / "records"
NOW = BEGINNING + 100

FACTS: dict[str, Any] = {
    "app": {"id": "local-1795326775735", "name": "recorded", "configuredName": None},
    "spark": {"version": "4.3.0", "scala": "2.13", "master": "local[2]", "shufflePartitions": 2, "schedulerMode": "FIFO"},
    "jvm": {
        "version": "17.0.15",
        "startMs": 1795326770000,
        "heapUsedBytes": 104857600,
        "heapCommittedBytes": 268435456,
        "heapMaxBytes": 1073741824,
        "nonHeapUsedBytes": 52428800,
        "nonHeapCommittedBytes": 62914560,
        "threads": 103,
        "cpuNanos": 16130000000,
        "processors": 2,
        "gc": [
            {"name": "G1 Young Generation", "count": 12, "millis": 88},
            {"name": "G1 Old Generation", "count": 0, "millis": 0},
        ],
    },
    "bus": [{"queue": "shared", "size": 3, "dropped": 0}, {"queue": "streams", "size": 0, "dropped": 7}],
    "databricks": None,
    "capabilities": {"own_queue": True, "all_sessions": True, "bus_metrics": True, "status": False},
    "listener": {
        "version": "0.1.0",
        "events": 12,
        "queueDropped": 0,
        "ringDropped": 1,
        "failed": 0,
        "cpuNanos": 62593782,
        "worstCallbackNanos": 10902174,
        "ringEvents": 11,
        "ringBytes": 9000,
    },
}


def page(state: State, now: float) -> str:
    samples = [
        sample
        for view in views(state, now, keep_ended=600).values()
        for collector in collectors.APPLICATION
        for sample in collector.samples(view)
    ]
    return exposition.text(exposition.families(samples, catalogue.METRICS)).decode()


def read(*parts: str) -> Any:
    return json.loads(RECORDS.joinpath(*parts).read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", ["3.5.9", "4.3.0"])
def test_every_kind_of_query(version: str, golden: Callable[[str, str], None]) -> None:
    """One batch, or one end, of each of some forty kinds of query."""
    ring = Ring(app="recorded")
    ring.facts = {**FACTS, "spark": {**FACTS["spark"], "version": version}}
    folder = RECORDS / "progress" / version
    for started in sorted(folder.glob("*.started.json")):
        name = started.name.removesuffix(".started.json")
        ring.say("started", read("progress", version, started.name), trigger="ProcessingTimeTrigger(1000)")
        for suffix, kind in ((".json", "progress"), (".idle.json", "idle"), (".terminated.json", "terminated")):
            if (folder / f"{name}{suffix}").exists():
                ring.say(kind, read("progress", version, f"{name}{suffix}"))

    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))

    golden(f"kinds-spark-{version}.prom", page(state, NOW))


def test_kafka_and_delta(golden: Callable[[str, str], None]) -> None:
    """A Kafka stream that is held back tells its backlog, one without a limit and an open source Delta one do not."""
    ring = Ring(app="recorded")
    for run, parts in (
        ("kafka", ("kafka", "4.2.0", "limited.json")),
        ("idle", ("kafka", "4.2.0", "idle.json")),
        ("delta", ("delta", "4.2.0", "tail.json")),
    ):
        for progress in as_list(read(*parts)):
            ring.say("progress", {**progress, "name": run})

    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))

    golden("kafka-delta.prom", page(state, NOW))


def test_databricks(golden: Callable[[str, str], None]) -> None:
    """On Databricks an application goes by its job's name, and its queries by the ids to join with."""
    ring = Ring(app="Databricks Shell")
    tags = [
        {"key": "JobId", "value": "620"},
        {"key": "RunName", "value": "orders-ingest"},
        {"key": "ClusterName", "value": "job-620-run-9"},
    ]
    ring.facts["databricks"] = {
        "clusterUsageTags.clusterId": "1122-061234-abcdefgh",
        "clusterUsageTags.clusterName": "job-620-run-9",
        "clusterUsageTags.clusterOwnerOrgId": "7405605",
        "clusterUsageTags.clusterAllTags": json.dumps(tags),
        "job.runId": "99",
    }
    ring.started_query("orders", trigger="AvailableNowTrigger")
    ring.running(("orders", "run-1"))

    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))

    golden("databricks.prom", page(state, NOW))


def test_long_silent(golden: Callable[[str, str], None]) -> None:
    """Of a driver that has not answered for a minute only times are told, and that it can't be reached."""
    ring = Ring(app="recorded")
    ring.facts = {**ring.facts, **FACTS, "app": ring.facts["app"]}
    ring.started_query("orders")
    ring.progress("orders", 0)

    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))

    golden("long-silent.prom", page(state, NOW + STALE_SECONDS))


def test_replay_of_whole_runs() -> None:
    """Whole recorded runs, failures and restarts among them, count as many ends and batches as there were."""
    for version in ("3.5.9", "4.3.0"):
        ring = Ring(room=10_000)
        events = read("sequences", version + ".json")
        for event in events:
            ring.say(event["k"], event.get("p") or {**event, "errorClassOnException": event.get("errorClass")})

        state = fold(State(since=BEGINNING), looked(NOW, ring.answer(at_most=10_000)))

        counted = dict.fromkeys(("spark_streaming_batches_total", "spark_streaming_query_terminations_total"), 0.0)
        for query in state.queries.values():
            for key, value in query.counters.items():
                if key[0] in counted:
                    counted[key[0]] += value
        kinds = [event["k"] for event in events]
        assert list(counted.values()) == [kinds.count("progress"), kinds.count("terminated")]


def as_list(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]
