"""Answers of a bridge, as docs/bridge.md spells them, for tests; what they say of Spark is the least there can be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

STAMP = "2026-11-22T10:00:00.000Z"


def started(seq: int, query: str = "orders", run: str = "r1") -> dict[str, Any]:
    event = {"id": f"id-of-{query}", "runId": run, "name": query, "timestamp": STAMP}
    return {"seq": seq, "atMs": 1_800_000_000_000, "kind": "started", "trigger": None, "event": event}


def progress(seq: int, batch: int, rows: int = 10, query: str = "orders", run: str = "r1") -> dict[str, Any]:
    event = {
        "id": f"id-of-{query}",
        "runId": run,
        "name": query,
        "timestamp": STAMP,
        "batchId": batch,
        "numInputRows": rows,
        "durationMs": {"triggerExecution": 500},
        "sources": [{"description": "RateStreamV2[]", "numInputRows": rows}],
        "sink": {"description": "noop"},
    }
    return {"seq": seq, "atMs": 1_800_000_000_000, "kind": "progress", "event": event}


def terminated(seq: int, query: str = "orders", run: str = "r1") -> dict[str, Any]:
    return {"seq": seq, "atMs": 1_800_000_000_000, "kind": "terminated", "event": {"id": f"id-of-{query}", "runId": run}}


def answer(
    events: Iterable[dict[str, Any]] = (),
    *,
    epoch: str = "e1",
    app: str = "shop",
    started_ms: int = 1_800_000_000_000,
    last_seq: int | None = None,
    final: bool = False,
    more: bool = False,
) -> str:
    """One answer of the application `app` with id `<app>-id`."""
    told = list(events)
    return json.dumps(
        {
            "version": 1,
            "final": final,
            "epoch": epoch,
            "startedMs": started_ms,
            "nowMs": started_ms + 1000,
            "appId": f"{app}-id",
            "firstSeq": 1,
            "lastSeq": (told[-1]["seq"] if told else 0) if last_seq is None else last_seq,
            "more": more,
            "facts": {"app": {"id": f"{app}-id", "name": app}},
            "events": told,
        }
    )
