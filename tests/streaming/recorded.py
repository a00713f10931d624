"""What was recorded of real Sparks (tests/records/README.md), said again by a ring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.streaming.rings import Ring

RECORDS = Path(__file__).parent.parent / "records"

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


def read(*parts: str) -> Any:
    return json.loads(RECORDS.joinpath(*parts).read_text(encoding="utf-8"))


def every_kind(version: str) -> Ring:
    """One batch, or one end, of each of some forty kinds of query of one Spark."""
    ring = Ring(app="recorded")
    ring.facts = {**FACTS, "spark": {**FACTS["spark"], "version": version}}
    folder = RECORDS / "progress" / version
    for started in sorted(folder.glob("*.started.json")):
        name = started.name.removesuffix(".started.json")
        ring.say("started", read("progress", version, started.name), trigger="ProcessingTimeTrigger(1000)")
        for suffix, kind in ((".json", "progress"), (".idle.json", "idle"), (".terminated.json", "terminated")):
            if (folder / f"{name}{suffix}").exists():
                ring.say(kind, read("progress", version, f"{name}{suffix}"))
    return ring
