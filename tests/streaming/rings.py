"""A ring as docs/bridge.md describes it: numbers events, forgets what it has no room for, answers like the bridge."""

from __future__ import annotations

import json
from typing import Any

from exporter.errors import Reason
from exporter.streaming.events import Answer, read_answer
from exporter.streaming.observation import Answered, Failed, Observation

BEGINNING = 1_795_000_000.0


def query_id(name: str) -> str:
    """An id that is the same for a name, as it is for a checkpoint."""
    return f"{name:0<8.8}-0000-4000-8000-000000000000"


class Ring:
    """One driver's ring; `now` is the driver's clock, seconds since 1970."""

    def __init__(self, epoch: str = "a" * 32, app: str = "etl", started: float = BEGINNING + 1, room: int = 1000) -> None:
        self.epoch = epoch
        self.app = app
        self.app_id = f"app-{epoch}"[:12]
        self.started = started
        self.now = started
        self.last_seq = 0
        self.room = room
        self.held: list[tuple[int, str]] = []
        self.facts: dict[str, Any] = {"app": {"id": self.app_id, "name": app}}

    def say(self, kind: str, event: dict[str, Any], **besides: Any) -> None:
        self.last_seq += 1
        line = {"seq": self.last_seq, "atMs": round(self.now * 1000), "kind": kind, "event": event, **besides}
        self.held = [*self.held, (self.last_seq, json.dumps(line))][-self.room :]

    def say_text(self, text: str) -> None:
        self.last_seq += 1
        self.held.append((self.last_seq, text))

    def lose(self, events: int = 1) -> None:
        self.last_seq += events

    def started_query(self, name: str | None, run: str = "run-1", trigger: str | None = None, of: str | None = None) -> None:
        event = {"id": of or query_id(name or ""), "runId": run, "name": name, "timestamp": iso(self.now)}
        self.say("started", event, trigger=trigger)

    def progress(
        self, name: str | None, batch: int, rows: int = 10, run: str = "run-1", of: str | None = None, **more: Any
    ) -> None:
        event = {
            "id": of or query_id(name or ""),
            "runId": run,
            "name": name,
            "timestamp": iso(self.now),
            "batchId": batch,
            "numInputRows": rows,
            "durationMs": {"addBatch": 300, "walCommit": 50, "triggerExecution": 400},
            "sources": [{"description": "FileStreamSource[file:/data]", "numInputRows": rows}],
            "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
            **more,
        }
        self.say("progress", event)

    def idle(self, name: str, run: str = "run-1") -> None:
        self.say("idle", {"id": query_id(name), "runId": run, "timestamp": iso(self.now)})

    def terminated(self, name: str, run: str = "run-1", exception: str | None = None, of: str | None = None) -> None:
        event = {"id": of or query_id(name), "runId": run, "exception": exception, "errorClassOnException": None}
        self.say("terminated", event)

    def running(self, *queries: tuple[str, str]) -> None:
        """Which queries the driver lists: (name, run)."""
        self.facts["queries"] = [
            {"id": query_id(name), "runId": run, "name": name, "message": "Waiting for next trigger"} for name, run in queries
        ]

    def answer(self, after: int = 0, *, at_most: int = 1000, final: bool = False) -> Answer:
        return read_answer(self.text(after, at_most=at_most, final=final))

    def text(self, after: int = 0, *, at_most: int = 1000, final: bool = False) -> str:
        events = [line for seq, line in self.held if seq > after]
        document = {
            "version": 1,
            "final": final,
            "epoch": self.epoch,
            "startedMs": round(self.started * 1000),
            "nowMs": round(self.now * 1000),
            "appId": self.app_id,
            "firstSeq": self.held[0][0] if self.held else self.last_seq + 1,
            "lastSeq": self.last_seq,
            "more": len(events) > at_most,
            "facts": self.facts,
            "endedMs": round(self.now * 1000) if final else None,
        }
        return json.dumps(document)[:-1] + ', "events": [' + ",".join(events[:at_most]) + "]}"


def looked(at: float, *outcomes: Answer | Failed, present: tuple[Ring, ...] = ()) -> Observation:
    """One look at the drivers."""
    answered = tuple(Answered(outcome, at) if isinstance(outcome, Answer) else outcome for outcome in outcomes)
    epochs = {outcome.answer.epoch for outcome in answered if isinstance(outcome, Answered)} | {ring.epoch for ring in present}
    return Observation(answered, frozenset(epochs), at)


def refused(ring: Ring, at: float, reason: Reason = Reason.REFUSED) -> Failed:
    """What a look finds where a driver does not answer."""
    return Failed(ring.epoch, ring.app_id, reason, reason.value, at)


def iso(seconds: float) -> str:
    """Spark's form of a time."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
