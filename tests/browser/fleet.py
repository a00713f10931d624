"""Drivers that say what a test has them say, followed by the real follower into a real Store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.config import Config
from exporter.errors import Reason
from exporter.poller import Follower
from exporter.snapshot import Store
from exporter.streaming.observation import Observation
from tests.streaming.rings import BEGINNING, Ring, iso, looked, query_id, refused

NOW = BEGINNING + 3600


class Fleet:
    """A source of drivers, and the Store that is filled from it; `now` is everybody's clock."""

    def __init__(self, config: Config | None = None) -> None:
        self.now = BEGINNING
        self.store = Store()
        self.config = config or Config()
        self.silent: dict[str, Reason] = {}
        self.ended: set[str] = set()
        self.rings: list[Ring] = []
        self._follower = Follower(self, self.store, None, lambda: self.config, self.clock, self.clock)
        self.now = NOW

    def clock(self) -> float:
        return self.now

    def driver(self, app: str, **databricks: str) -> Ring:
        ring = Ring(epoch=f"{len(self.rings):032x}", app=app, started=NOW - 1800)
        ring.app_id = f"app-20261122-{len(self.rings):04}"
        ring.facts = {"app": {"id": ring.app_id, "name": app}, "spark": {"version": "4.2.0"}, "databricks": databricks or None}
        self.rings.append(ring)
        return ring

    def look(self) -> None:
        self._follower.step()

    def observe(self, positions: Mapping[str, int], ended: frozenset[str], patience: float) -> Observation:  # noqa: ARG002 -- a source's
        outcomes = [
            refused(ring, self.now, self.silent[ring.app])
            if ring.app in self.silent
            else ring.answer(positions.get(ring.epoch, 0), final=ring.app in self.ended)
            for ring in self.rings
        ]
        return looked(self.now, *outcomes, present=tuple(self.rings))

    def close(self) -> None:
        pass


def kafka(topic: str, behind: int, rows: int = 10) -> list[dict[str, Any]]:
    """A source that tells how many rows it is behind."""
    offsets = {
        "startOffset": {topic: {"0": 0}},
        "endOffset": {topic: {"0": rows}},
        "latestOffset": {topic: {"0": rows + behind}},
    }
    return [{"description": f"KafkaV2[Subscribe[{topic}]]", "numInputRows": rows, **offsets}]


def stream(
    ring: Ring, name: str, *, ago: float = 3, batch: int = 900, rows: int = 1200, seconds: float = 1.4, **more: Any
) -> None:
    """A query that started with its driver, and whose last batch ended `ago` seconds ago."""
    run = f"run-{name}"
    ring.now = NOW - 1790
    ring.started_query(name, run=run, trigger="ProcessingTimeTrigger(10000)")
    ring.now = NOW - ago
    ring.progress(
        name,
        batch,
        rows,
        run,
        timestamp=iso(NOW - ago - seconds),
        durationMs={"addBatch": seconds * 800, "triggerExecution": seconds * 1000},
        **more,
    )
    running = [
        *ring.facts.get("queries", []),
        {"id": query_id(name), "runId": run, "name": name, "message": "Processing new data"},
    ]
    ring.facts["queries"] = running


def healthy(fleet: Fleet, quiet: float = 0) -> dict[str, Ring]:
    """Three applications and all their streams as one wants them; of one of them, `quiet` seconds ago."""
    orders = fleet.driver(
        "orders-etl",
        **{
            "workspaceUrl": "dbc-4a1f.cloud.databricks.com",
            "clusterUsageTags.orgId": "7405612345",
            "job.id": "88123",
            "job.runId": "551902",
        },
    )
    stream(orders, "orders_bronze", rows=8400, seconds=2.1, sources=kafka("orders", 1250, 8400))
    stream(orders, "orders_silver", ago=5, batch=897, rows=8100, seconds=3.3, eventTime={"watermark": iso(NOW - 95)})
    stream(orders, "orders_by_region", ago=8, batch=412, rows=640, seconds=4.9, eventTime={"watermark": iso(NOW - 310)})
    stream(orders, "dead_letters", ago=9, batch=61, rows=3, seconds=0.4)
    clicks = fleet.driver("clickstream")
    stream(clicks, "clicks_raw", ago=1, batch=5120, rows=182_000, seconds=6.2, sources=kafka("clicks", 40_800, 182_000))
    stream(clicks, "sessions", ago=4, batch=5090, rows=91_000, seconds=7.7, eventTime={"watermark": iso(NOW - 620)})
    stream(clicks, "bot_filter", ago=2, batch=5118, rows=182_000, seconds=5.1, sources=kafka("clicks", 0, 182_000))
    billing = fleet.driver("billing")
    stream(billing, "invoices", ago=6 + quiet, batch=233, rows=75, seconds=1.1)
    stream(billing, "payments", ago=3 + quiet, batch=240, rows=410, seconds=0.9, sources=kafka("payments", 12, 410))
    for ring in (orders, clicks, billing):
        ring.now = NOW
    fleet.look()
    return {"orders": orders, "clicks": clicks, "billing": billing}


def broken(fleet: Fleet) -> dict[str, Ring]:
    """The same, after a night in which each kind of problem came up once."""
    fleet.now = NOW - 95
    rings = healthy(fleet, quiet=95)
    orders, clicks = rings["orders"], rings["clicks"]
    orders.now = NOW - 140
    _end(orders, "orders_silver", "java.lang.OutOfMemoryError: Java heap space")
    orders.now = NOW - 65
    _end(orders, "orders_by_region", "[CANNOT_LOAD_STATE_STORE.UNCATEGORIZED] of 4711", "CANNOT_LOAD_STATE_STORE.UNCATEGORIZED")
    orders.started_query("orders_by_region", run="run-again", trigger="ProcessingTimeTrigger(10000)")
    orders.facts["queries"].append(
        {
            "id": query_id("orders_by_region"),
            "runId": "run-again",
            "name": "orders_by_region",
            "message": "Getting offsets from x",
        }
    )
    orders.lose(3)
    late = fleet.driver("fraud-detection")
    stream(late, "card_events", ago=1260, batch=18, rows=52_000, seconds=48.0, sources=kafka("cards", 2_310_000, 52_000))
    stream(late, "scores", ago=2, batch=377, rows=960, seconds=1.2, eventTime={"watermark": iso(NOW + 5400)})
    stock = fleet.driver("stock-sync")
    stream(stock, "stock_levels", ago=200, batch=77, rows=310, seconds=1.9)
    for ring in (orders, clicks, late, stock):
        ring.now = NOW
    fleet.now = NOW - 42
    fleet.look()
    fleet.silent = {"stock-sync": Reason.REFUSED, "billing": Reason.TIMEOUT}
    for fleet.now in (NOW - 41, NOW - 40, NOW):
        fleet.look()
    return {**rings, "late": late, "stock": stock}


def _end(ring: Ring, name: str, exception: str, condition: str | None = None) -> None:
    run = f"run-{name}"
    event = {"id": query_id(name), "runId": run, "exception": exception, "errorClassOnException": condition}
    ring.say("terminated", event)
    ring.facts["queries"] = [one for one in ring.facts["queries"] if one["runId"] != run]
