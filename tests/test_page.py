"""exporter/page.py, exporter/health.py and exporter/catalogue.py"""

from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from exporter import __version__, catalogue, collectors, health
from exporter.collector import Collector
from exporter.errors import Reason
from exporter.metric import Sample, gauge
from exporter.page import page
from exporter.snapshot import Outcome, Snapshot, View
from exporter.streaming import driver

REACHABLE = driver.REACHABLE
NOW = 1_800_000_000.0


def one(record: str) -> Iterator[Sample]:
    yield REACHABLE(1, app=record)


def failing(record: str) -> Iterator[Sample]:
    yield REACHABLE(1, app=record)
    raise RuntimeError("a fault of ours")


def undeclared(record: str) -> Iterator[Sample]:
    yield gauge("lake_other_rows", "Other (origin).", ("app",))(1, app=record)


def unfit(record: str) -> Iterator[Sample]:
    yield Sample(REACHABLE, (record + "\ud800",), 1)


def no_number(record: str) -> Iterator[Sample]:
    yield Sample(REACHABLE, (record,), None)  # type: ignore[arg-type] # the fault that is tested


def snapshot(record: str, samples: object = one, expires: float = NOW + 60) -> Snapshot:
    return Snapshot(record, (Collector("test", (REACHABLE,), samples),), expires)  # type: ignore[arg-type] # any of the above


def values(snapshots: dict[str, Snapshot], name: str, now: float = NOW) -> dict[tuple[str, ...], float]:
    """The series of one metric on the page of these snapshots, by label values."""
    found = {}
    for family in text_string_to_metric_families(page(View(snapshots, {}, ready=True), now).decode()):
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sample.labels.values())] = sample.value
    return found


def test_expired() -> None:
    """A snapshot is shown until the second in which it expires, and is gone from then on."""
    snapshots = {"drivers/a": snapshot("a", expires=NOW), "drivers/b": snapshot("b", expires=NOW + 0.001)}

    assert values(snapshots, REACHABLE.name) == {("b",): 1}
    assert values(snapshots, "lakehouse_exporter_snapshots_dropped") == {(): 0}


@pytest.mark.parametrize("fault", [failing, undeclared, unfit, no_number])
def test_fault(fault: object) -> None:
    """A fault in one snapshot's samples, early or late, costs that snapshot alone; it is counted and logged with its target."""
    snapshots = {"drivers/a": snapshot("a"), "drivers/bad": snapshot("bad", fault), "drivers/c": snapshot("c")}
    with structlog.testing.capture_logs() as logged:
        shown = values(snapshots, REACHABLE.name)

    assert shown == {("a",): 1, ("c",): 1}
    assert values(snapshots, "lakehouse_exporter_snapshots_dropped") == {(): 1}
    assert logged == [{"event": "snapshot not rendered", "log_level": "error", "target": "drivers/bad", "exc_info": True}]


def test_same_series_twice() -> None:
    """A snapshot that tells a series of another's is left out whole, and the first stands."""
    snapshots = {"drivers/a": snapshot("a"), "session/a": snapshot("a")}

    assert values(snapshots, REACHABLE.name) == {("a",): 1}
    assert values(snapshots, "lakehouse_exporter_snapshots_dropped") == {(): 1}


def test_order() -> None:
    """The page begins with what was observed, then the exporter's own, then the process'; each family stands once."""
    written = page(View({"drivers/a": snapshot("a")}, {}, ready=True), NOW).decode()
    families = [line.split()[2] for line in written.splitlines() if line.startswith("# TYPE ")]

    assert families[:3] == [REACHABLE.name, "lakehouse_exporter_build_info", "lakehouse_exporter_snapshots_dropped"]
    assert families[3].startswith(("process_", "python_"))
    assert [name for name, count in Counter(families).items() if count > 1] == []


def told(outcomes: dict[tuple[str, str], Outcome], dropped: dict[str, int], unrendered: int = 0) -> list[str]:
    view = View({}, outcomes, ready=True)
    return [
        f"{sample.metric.name} {' '.join(sample.labels)} {sample.value}" for sample in health.samples(view, dropped, unrendered)
    ][1:]


def test_health() -> None:
    """A collector's success, duration, last success and failures are told for each target, and every reason from 0 on."""
    outcomes = {
        ("drivers", "b"): Outcome(),
        ("drivers", ""): Outcome(succeeded=True, duration=0.5, last_success=NOW, failures={"timeout": 2, "internal": 1}),
    }

    assert told(outcomes, {"spark_b": 2, "spark_a": 1}, 3) == [
        "lakehouse_exporter_collector_success drivers  1",
        "lakehouse_exporter_collector_duration_seconds drivers  0.5",
        f"lakehouse_exporter_collector_last_success_timestamp_seconds drivers  {NOW}",
        "lakehouse_exporter_collector_failures_total drivers  refused 0",
        "lakehouse_exporter_collector_failures_total drivers  timeout 2",
        "lakehouse_exporter_collector_failures_total drivers  unauthorized 0",
        "lakehouse_exporter_collector_failures_total drivers  disconnected 0",
        "lakehouse_exporter_collector_failures_total drivers  bad_answer 0",
        "lakehouse_exporter_collector_failures_total drivers  unreadable 0",
        "lakehouse_exporter_collector_failures_total drivers  storage 0",
        "lakehouse_exporter_collector_failures_total drivers  internal 1",
        "lakehouse_exporter_collector_success drivers b 0",
        "lakehouse_exporter_collector_duration_seconds drivers b 0.0",
        *(f"lakehouse_exporter_collector_failures_total drivers b {reason.value} 0" for reason in Reason),
        "lakehouse_exporter_series_dropped spark_a 1",
        "lakehouse_exporter_series_dropped spark_b 2",
        "lakehouse_exporter_snapshots_dropped  3",
    ]


def test_build_info() -> None:
    """The exporter's version stands in its build info."""
    first = next(health.samples(View({}, {}, ready=True), {}, 0))

    assert (first.metric, first.labels[0], first.value) == (health.BUILD_INFO, __version__, 1)


def test_dropped_series() -> None:
    """Series over a family's cap are missing on the page, and counted there."""

    def many(record: str) -> Iterator[Sample]:
        for i in range(20_003):
            yield REACHABLE(1, app=f"{record}{i}")

    snapshots = {"drivers/a": snapshot("a", many)}
    shown = values(snapshots, REACHABLE.name)

    assert (len(shown), ("a19999",) in shown, ("a20000",) in shown) == (20_000, True, False)
    assert values(snapshots, "lakehouse_exporter_series_dropped") == {(REACHABLE.name,): 3}


def test_catalogue() -> None:
    """Every declaration of a collector and of the exporter itself is in the catalogue, once, under a name of its own."""
    declared = [metric for collector in collectors.ALL for metric in collector.metrics] + list(health.METRICS)

    assert list(catalogue.METRICS) == declared
    assert len({metric.name for metric in declared}) == len(declared)


def test_prefixes() -> None:
    """Every name on the page begins with spark_, databricks_ or lakehouse_exporter_."""
    prefixes = ("spark_", "databricks_", "lakehouse_exporter_")

    assert [metric.name for metric in catalogue.METRICS if not metric.name.startswith(prefixes)] == []
