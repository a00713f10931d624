"""What the landing page's JSON says, from real folds of what drivers say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from exporter import __version__, config
from exporter.errors import Reason
from exporter.landing import API, CONTENT_SECURITY_POLICY, resources
from exporter.overview import as_json, overview
from exporter.snapshot import View
from tests.browser.fleet import NOW, Fleet, broken, kafka, stream
from tests.streaming.rings import iso, query_id


def said(fleet: Fleet) -> dict[str, Any]:
    """The overview as a reader of the JSON gets it."""
    told: dict[str, Any] = json.loads(as_json(overview(fleet.store.view(), fleet.now)))
    return told


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_before_the_first_look(fleet: Fleet) -> None:
    """Before the first look there is nothing, and it says so."""
    empty: dict[str, object] = {"problems": [], "streams": [], "drivers": [], "collectors": [], "failures": []}

    assert said(fleet) == {"at": NOW, "version": __version__, "ready": False, **empty}


def test_a_stream(fleet: Fleet) -> None:
    """All that is told of a stream that runs, and of its driver."""
    ring = fleet.driver(
        "etl", **{"workspaceUrl": "dbc.example.net", "clusterUsageTags.orgId": "7", "job.id": "8", "job.runId": "9"}
    )
    watermark = {"watermark": iso(NOW - 60)}
    stream(ring, "orders", ago=4, batch=7, rows=30, seconds=1.5, sources=kafka("orders", 25), eventTime=watermark)
    fleet.look()
    told = said(fleet)

    assert told["problems"] == []
    assert told["streams"] == [
        {
            "app": "etl",
            "query": "orders",
            "query_id": query_id("orders"),
            "run_id": "run-orders",
            "state": "running",
            "active": True,
            "phase": "processing",
            "trigger": "processing_time 10s",
            "failures": 0,
            "last_failure": None,
            "last_failure_at": None,
            "last_signal_age_seconds": 4.0,
            "last_batch": {"id": 7, "age_seconds": 4.0, "rows": 30, "seconds": 1.5, "rows_per_second": 20.0},
            "backlog": {"known": True, "rows": 25.0, "bytes": None, "files": None, "seconds": None},
            "watermark_delay_seconds": 60.0,
            "run_page": "https://dbc.example.net/?o=7#job/8/run/9",
        }
    ]
    assert told["drivers"] == [
        {
            "app": "etl",
            "app_id": "app-20261122-0000",
            "state": "reachable",
            "reachable": True,
            "last_contact": NOW,
            "spark_version": "4.2.0",
            "streams": 1,
            "events_lost": 0,
            "run_page": "https://dbc.example.net/?o=7#job/8/run/9",
        }
    ]
    assert told["collectors"] == [
        {"name": "drivers", "target": "", "succeeded": True, "last_success": NOW, "failures": {}},
        {"name": "drivers", "target": "etl", "succeeded": True, "last_success": NOW, "failures": {}},
    ]


def test_backlog_over_sources(fleet: Fleet) -> None:
    """A backlog is the sum over sources, and known only where each of them tells."""
    ring = fleet.driver("etl")
    silent = {"description": "FileStreamSource[file:/data]", "numInputRows": 1}
    lagging = {**silent, "description": "KinesisV2[x]", "metrics": {"avgMsBehindLatest": "1"}}
    stream(ring, "both", sources=[*kafka("a", 5), *kafka("b", 7)])
    stream(ring, "one", sources=[*kafka("a", 5), silent])
    stream(ring, "none", sources=[silent, lagging])
    stream(ring, "no_sources", sources=[])
    fleet.look()

    assert {
        one["query"]: one["backlog"] and (one["backlog"]["known"], one["backlog"]["rows"]) for one in said(fleet)["streams"]
    } == {
        "both": (True, 12.0),
        "one": (False, 5.0),
        "none": (False, None),
        "no_sources": None,
    }


@pytest.mark.parametrize(("seconds", "rate"), [(0.0, None), (2.0, 600.0)])
def test_no_rate_is_made_up(fleet: Fleet, seconds: float, rate: float | None) -> None:
    """A batch that took no time has no rate."""
    stream(fleet.driver("etl"), "orders", seconds=seconds)
    fleet.look()

    assert said(fleet)["streams"][0]["last_batch"]["rows_per_second"] == rate


def test_before_the_first_batch(fleet: Fleet) -> None:
    """A stream that has started and told no batch has none."""
    ring = fleet.driver("etl")
    ring.now = NOW - 5
    ring.started_query("orders")
    fleet.look()
    told = said(fleet)["streams"][0]

    assert (told["state"], told["phase"], told["trigger"], told["last_batch"], told["backlog"]) == (
        "running",
        "",
        "",
        None,
        None,
    )


def test_a_broken_night(fleet: Fleet) -> None:
    """Every kind of trouble is found: states, problems by gravity, failures newest first with their condition and run."""
    broken(fleet)
    told = said(fleet)

    assert {one["query"]: one["state"] for one in told["streams"] if one["state"] != "running"} == {
        "orders_silver": "failed",
        "stock_levels": "lost",
        "card_events": "stalled",
        "invoices": "unknown",
        "payments": "unknown",
    }
    assert [(one["severity"], one["kind"], one["query"] or one["app"]) for one in told["problems"]] == [
        ("critical", "driver_lost", "stock-sync"),
        ("critical", "driver_unreachable", "billing"),
        ("critical", "stream_failed", "orders_silver"),
        ("critical", "stream_stalled", "card_events"),
        ("warning", "stream_failed_recently", "orders_by_region"),
        ("warning", "watermark_in_future", "scores"),
        ("note", "events_lost", "orders-etl"),
    ]
    run = "https://dbc-4a1f.cloud.databricks.com/?o=7405612345#job/88123/run/551902"
    condition = "CANNOT_LOAD_STATE_STORE.UNCATEGORIZED"
    rows = [("driver_lost", "", None, None, ""), ("state_store", "orders_by_region", 412, condition, run)]

    assert [
        tuple(one[name] for name in ("class", "query", "batch_id", "condition", "run_page")) for one in told["failures"]
    ] == [
        *rows,
        ("oom", "orders_silver", 897, None, run),
    ]
    assert {one["app"]: one["state"] for one in told["drivers"]} == {
        "billing": "unreachable",
        "clickstream": "reachable",
        "fraud-detection": "reachable",
        "orders-etl": "reachable",
        "stock-sync": "lost",
    }
    assert [one["failures"] for one in told["collectors"] if one["target"] == "billing"] == [{"timeout": 3}]


def test_a_long_silence(fleet: Fleet) -> None:
    """Of a driver that has long been silent times are told, and nothing that claims to be so now."""
    stream(fleet.driver("etl"), "orders", sources=kafka("orders", 25), eventTime={"watermark": iso(NOW)})
    fleet.look()
    fleet.silent = {"etl": Reason.TIMEOUT}
    fleet.now += 61
    fleet.look()
    told = said(fleet)["streams"][0]

    assert (told["state"], told["phase"], told["backlog"], told["watermark_delay_seconds"]) == ("unknown", "", None, None)
    assert (told["last_signal_age_seconds"], told["last_batch"]["age_seconds"]) == (64.0, 64.0)


def test_ends_that_are_no_failures(fleet: Fleet) -> None:
    """A query that was stopped is stopped, one that had read all there was is finished; a failure outlives its application."""
    ring = fleet.driver("etl")
    ring.now = NOW - 9
    for name, trigger, exception in (
        ("a", None, None),
        ("b", "AvailableNowTrigger", None),
        ("c", None, "java.lang.OutOfMemoryError"),
    ):
        ring.started_query(name, run=name, trigger=trigger)
        ring.terminated(name, run=name, exception=exception)
    fleet.look()
    states = {one["query"]: one["state"] for one in said(fleet)["streams"]}
    fleet.ended = {"etl"}
    fleet.look()
    drivers = [one["state"] for one in said(fleet)["drivers"]]
    fleet.now += 601
    fleet.look()
    told = said(fleet)

    assert (states, drivers) == ({"a": "stopped", "b": "finished", "c": "failed"}, ["ended"])
    assert (told["streams"], told["drivers"], [one["class"] for one in told["failures"]]) == ([], [], ["oom"])


def test_an_end_that_nobody_told(fleet: Fleet) -> None:
    """A query that its driver lists no more, and whose end was lost, has ended untold."""
    ring = fleet.driver("etl")
    stream(ring, "orders")
    fleet.look()
    ring.running()
    for fleet.now in (NOW + 1, NOW + 31):
        fleet.look()

    assert said(fleet)["streams"][0]["state"] == "untold"


def test_an_expected_stream_that_is_missing(fleet: Fleet) -> None:
    """An expected stream of which nothing else is told has a row of its own; one that is shown has one row alone."""
    fleet.config = config.Config(
        expected=(
            config.Expected("etl", "late", None),
            config.Expected("etl", "orders", 1.0),
            config.Expected("etl", "gone", None),
        )
    )
    ring = fleet.driver("etl")
    stream(ring, "orders")
    stream(ring, "gone")
    fleet.look()
    ring.terminated("gone", run="run-gone")
    ring.running(("orders", "run-orders"))
    fleet.look()
    fleet.now += 601
    fleet.look()
    told = said(fleet)

    assert [(one["query"], one["state"], one["last_signal_age_seconds"]) for one in told["streams"]] == [
        ("orders", "stalled", 604.0),
        ("late", "missing", None),
        ("gone", "missing", 604.0),
    ]
    assert sorted((one["kind"], one["query"]) for one in told["problems"]) == [
        ("stream_missing", "gone"),
        ("stream_missing", "late"),
        ("stream_overdue", "orders"),
        ("stream_stalled", "orders"),
    ]


def test_exceptions_by_choice(fleet: Fleet) -> None:
    """The first line of a failure's exception is told where that was chosen, and nowhere else."""
    ring = fleet.driver("etl")
    ring.now = NOW - 9
    ring.started_query("a")
    ring.terminated("a", exception="java.lang.OutOfMemoryError: Java heap space\n\tat a.b.C")
    fleet.look()
    quiet = [one["message"] for one in said(fleet)["failures"]]
    chosen = Fleet(config.Config(web=config.Web(show_exceptions=True)))
    chosen.rings = fleet.rings
    chosen.look()

    assert quiet == [""]
    assert [one["message"] for one in said(chosen)["failures"]] == ["java.lang.OutOfMemoryError: Java heap space"]


def test_what_has_expired(fleet: Fleet) -> None:
    """When nobody has looked for a minute, what was known is told no more, and that is a problem."""
    stream(fleet.driver("etl"), "orders")
    fleet.look()
    fleet.now += 61
    told = said(fleet)

    assert (told["streams"], told["drivers"], [one["kind"] for one in told["problems"]]) == ([], [], ["collector_failing"])


def test_resources(fleet: Fleet) -> None:
    """Each path answers with its type, and nothing but what this server sends may run or load."""
    found = {path: resource() for path, resource in resources(fleet.store, fleet.clock, '/own"metrics').items()}

    assert {path: (status, content_type) for path, (status, content_type, _, _) in found.items()} == {
        "/": (200, "text/html; charset=utf-8"),
        "/landing.css": (200, "text/css; charset=utf-8"),
        "/landing.js": (200, "text/javascript; charset=utf-8"),
        API: (200, "application/json"),
    }
    assert {headers[0] for _, _, _, headers in found.values()} == {("Content-Security-Policy", CONTENT_SECURITY_POLICY)}
    assert msgspec.json.decode(found[API][2]) == said(fleet)
    assert b'href="./own&quot;metrics"' in found["/"][2]
    assert not any(word in body for _, _, body, _ in found.values() for word in (b"innerHTML", b"http://", b"eval("))


def test_an_empty_view() -> None:
    """A Store that nobody has written to is an overview too."""
    assert overview(View({}, {}, ready=False), NOW).streams == ()
