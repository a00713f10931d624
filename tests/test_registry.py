"""exporter/registry.py; our own page is the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import Metric as ClientFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter import catalogue, collectors
from exporter.collector import Collector
from exporter.metric import Sample
from exporter.page import page
from exporter.registry import CustomCollector
from exporter.snapshot import Outcome, Snapshot, View
from exporter.streaming.driver import REACHABLE
from exporter.streaming.fold import fold
from exporter.streaming.state import State
from exporter.streaming.view import STALE_SECONDS, views
from tests.streaming.recorded import every_kind
from tests.streaming.rings import BEGINNING, Ring, looked

NOW = BEGINNING + 100
# Of the page alone: a registry's text is not ours to measure.
NOT_TOLD = ("process_", "python_", "lakehouse_exporter_page_bytes")

Read = list[tuple[str, str, str, float]]


def registered(view: View, now: float = NOW) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(CustomCollector(lambda: view, lambda: now))
    return registry


def read(families: Iterable[ClientFamily]) -> Read:
    """Type, name, labels and value of every sample, in the page's order; that of labels means nothing."""
    return [
        (family.type, one.name, str(dict(sorted(one.labels.items()))), one.value)
        for family in families
        for one in family.samples
    ]


def shown(document: bytes) -> Read:
    return [one for one in read(text_string_to_metric_families(document.decode())) if not one[1].startswith(NOT_TOLD)]


def types(document: bytes) -> list[str]:
    lines = document.decode().splitlines()
    return [line for line in lines if line.startswith("# TYPE ") and not line.split()[2].startswith(NOT_TOLD)]


def one(record: str) -> Iterator[Sample]:
    yield REACHABLE(1, app=record)


def failing(record: str) -> Iterator[Sample]:
    yield REACHABLE(1, app=record)
    raise RuntimeError("a fault of ours")


def unfit(record: str) -> Iterator[Sample]:
    yield Sample(REACHABLE, (record + "\ud800",), 1)


def no_number(record: str) -> Iterator[Sample]:
    yield Sample(REACHABLE, (record,), None)  # type: ignore[arg-type] # the fault that is tested


def same(_: str) -> Iterator[Sample]:
    yield REACHABLE(1, app="a")


def snapshot(record: str, samples: Any = one, expires: float = NOW + 60) -> Snapshot:
    return Snapshot(record, (Collector("test", (REACHABLE,), samples),), expires)


@pytest.mark.parametrize("version", ["3.5.9", "4.3.0"])
def test_same_as_our_page(version: str) -> None:
    """A registry tells every recorded query, of two applications, as our own page does, sample by sample, family by family."""
    other = Ring(epoch="b" * 32, app="other")
    other.started_query("orders")
    other.progress("orders", 3)
    state = fold(State(since=BEGINNING), looked(NOW, every_kind(version).answer(), other.answer()))
    view = View(
        {
            f"drivers/{app}": Snapshot(record, collectors.APPLICATION, NOW + STALE_SECONDS)
            for app, record in views(state, NOW, 600).items()
        },
        {("drivers", ""): Outcome(True, 0.5, NOW, {"timeout": 2})},
        ready=True,
    )
    written = generate_latest(registered(view))

    # The client writes a histogram's count before its sum.
    assert sorted(shown(written)) == sorted(shown(page(view, NOW)))
    assert types(written) == types(page(view, NOW))
    assert len(shown(written)) > 2_000


def test_openmetrics() -> None:
    """As OpenMetrics the same registry is read without a complaint."""
    state = fold(State(since=BEGINNING), looked(NOW, every_kind("4.3.0").answer()))
    records = views(state, NOW, 600)
    view = View({"drivers/": Snapshot(records["recorded"], collectors.APPLICATION, NOW + 60)}, {}, ready=True)
    document = generate_openmetrics(registered(view)).decode()  # type: ignore[no-untyped-call]

    assert len(read(openmetrics_families(document))) == len(shown(page(view, NOW)))  # type: ignore[no-untyped-call]


def test_registering_asks_nothing() -> None:
    """To register looks at no snapshot, and names every metric there is."""

    def never() -> View:
        raise AssertionError("asked")

    adapter = CustomCollector(never, lambda: NOW)
    CollectorRegistry().register(adapter)
    described = adapter.describe()

    assert [family.name for family in described] == [
        metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name for metric in catalogue.METRICS
    ]
    assert [family.samples for family in described if family.samples] == []


def test_names_that_are_taken() -> None:
    """An application's metric of one of our names, before us or after us, is refused by its registry."""
    registry = registered(View({}, {}, ready=True))

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Gauge("spark_driver_reachable", "Mine.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(CustomCollector(lambda: View({}, {}, ready=True), lambda: NOW))  # it is one


@pytest.mark.parametrize("fault", [failing, unfit, no_number, same])
def test_fault(fault: object) -> None:
    """A fault in one target, early or late, costs that target alone; it is counted and logged with its target."""
    snapshots = {"drivers/a": snapshot("a"), "drivers/bad": snapshot("bad", fault), "drivers/c": snapshot("c")}
    with structlog.testing.capture_logs() as logged:
        written = shown(generate_latest(registered(View(snapshots, {}, ready=True))))

    assert [one for one in written if one[1] == REACHABLE.name] == [
        ("gauge", REACHABLE.name, "{'app': 'a'}", 1),
        ("gauge", REACHABLE.name, "{'app': 'c'}", 1),
    ]
    assert ("gauge", "lakehouse_exporter_snapshots_dropped", "{}", 1) in written
    assert logged == [{"event": "snapshot not rendered", "log_level": "error", "target": "drivers/bad", "exc_info": True}]


def test_expired() -> None:
    """A snapshot is told until the second in which it expires."""
    view = View({"drivers/a": snapshot("a", expires=NOW), "drivers/b": snapshot("b", expires=NOW + 0.001)}, {}, ready=True)
    written = shown(generate_latest(registered(view)))

    assert [one[2] for one in written if one[1] == REACHABLE.name] == ["{'app': 'b'}"]


def test_caps() -> None:
    """A family that is full over all targets keeps the series that our page keeps, and tells how many it left out."""

    def many(record: str) -> Iterator[Sample]:
        for i in range(15_000):
            yield REACHABLE(1, app=f"{record}{i}")

    view = View({"drivers/a": snapshot("a", many), "drivers/b": snapshot("b", many)}, {}, ready=True)
    written = shown(generate_latest(registered(view)))

    assert written == shown(page(view, NOW))
    assert ("gauge", "lakehouse_exporter_series_dropped", f"{{'family': '{REACHABLE.name}'}}", 10_000) in written


def test_every_collection_is_of_its_moment() -> None:
    """What a registry tells follows the view: nothing is kept from one collection to the next but their number."""
    view = View({"drivers/a": snapshot("a")}, {}, ready=True)
    registry = CollectorRegistry()
    registry.register(CustomCollector(lambda: view, lambda: NOW))
    first = shown(generate_latest(registry))
    view = View({"drivers/b": snapshot("b")}, {}, ready=True)
    second = shown(generate_latest(registry))

    assert sorted(set(first) ^ set(second)) == [
        ("counter", "lakehouse_exporter_page_renders_total", "{}", 1),
        ("counter", "lakehouse_exporter_page_renders_total", "{}", 2),
        ("gauge", REACHABLE.name, "{'app': 'a'}", 1),
        ("gauge", REACHABLE.name, "{'app': 'b'}", 1),
    ]
