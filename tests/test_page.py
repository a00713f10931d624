"""exporter/page.py, exporter/health.py and exporter/catalogue.py"""

import dataclasses
import gzip
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
import structlog
from prometheus_client.metrics_core import Metric as ClientFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter import __version__, catalogue, collectors, health, probe_health
from exporter.answer import Answer
from exporter.collector import Collector
from exporter.errors import Reason
from exporter.metric import Buckets, Sample, gauge
from exporter.negotiation import Wanted
from exporter.page import Own, Page, page
from exporter.snapshot import Outcome, Snapshot, View
from exporter.streaming import driver
from exporter.streaming.driver import EVENTS_LOST
from exporter.streaming.metrics import BATCH_DURATION

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

    assert families[:8] == [
        REACHABLE.name,
        "lakehouse_exporter_build_info",
        "lakehouse_exporter_snapshots_dropped",
        "lakehouse_exporter_page_renders_total",
        "lakehouse_exporter_page_bytes",
        "lakehouse_exporter_page_series",
        "lakehouse_exporter_config_last_reload_successful",
        "lakehouse_exporter_web_config_failures_total",
    ]
    assert families[8].startswith(("process_", "python_"))
    assert [name for name, count in Counter(families).items() if count > 1] == []


def told(outcomes: dict[tuple[str, str], Outcome], rendering: health.Rendering, *life: health.Life) -> list[str]:
    view = View({}, outcomes, ready=True)
    samples = health.samples(view, rendering, *(life or (health.Life(),)))
    return [f"{sample.metric.name} {' '.join(sample.labels)} {sample.value}" for sample in samples][1:]


def test_health() -> None:
    """A collector's success, duration, last success and failures are told for each target, and every reason from 0 on."""
    failed = {"timeout": 2, "internal": 1}
    outcomes = {
        ("drivers", "b"): Outcome(),
        ("drivers", ""): Outcome(succeeded=True, duration=0.5, last_success=NOW, failures=failed),
    }
    reasons = [reason.value for reason in Reason]

    assert told(outcomes, health.Rendering({"spark_b": 2, "spark_a": 1}, 3, 7, 500, 1000)) == [
        "lakehouse_exporter_collector_success drivers  1",
        "lakehouse_exporter_collector_duration_seconds drivers  0.5",
        f"lakehouse_exporter_collector_last_success_timestamp_seconds drivers  {NOW}",
        *(f"lakehouse_exporter_collector_failures_total drivers  {each} {failed.get(each, 0)}" for each in reasons),
        "lakehouse_exporter_collector_success drivers b 0",
        *(f"lakehouse_exporter_collector_failures_total drivers b {each} 0" for each in reasons),
        "lakehouse_exporter_series_dropped spark_a 1",
        "lakehouse_exporter_series_dropped spark_b 2",
        "lakehouse_exporter_snapshots_dropped  3",
        "lakehouse_exporter_page_renders_total  7",
        "lakehouse_exporter_page_bytes  1000",
        "lakehouse_exporter_page_series  500",
        "lakehouse_exporter_config_last_reload_successful  1",
        "lakehouse_exporter_web_config_failures_total  0",
    ]


def test_life() -> None:
    """Connections shed, and how reading its configurations went, are told of the exporter; bytes only of a page."""
    life = health.Life({"slow": 2, "full": 0}, config_loaded=False, config_loaded_at=NOW, web_config_failures=3)

    assert told({}, health.Rendering({}, 0, 1, 0, None), life) == [
        "lakehouse_exporter_snapshots_dropped  0",
        "lakehouse_exporter_page_renders_total  1",
        "lakehouse_exporter_page_series  0",
        "lakehouse_exporter_connections_shed_total full 0",
        "lakehouse_exporter_connections_shed_total slow 2",
        "lakehouse_exporter_config_last_reload_successful  0",
        f"lakehouse_exporter_config_last_reload_success_timestamp_seconds  {NOW}",
        "lakehouse_exporter_web_config_failures_total  3",
    ]


def test_build_info() -> None:
    """The exporter's version stands in its build info."""
    first = next(health.samples(View({}, {}, ready=True), health.Rendering({}, 0, 1, 0, 0), health.Life()))

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
    declared = (
        [metric for collector in collectors.ALL for metric in collector.metrics]
        + list(health.METRICS)
        + list(probe_health.METRICS)
    )

    assert list(catalogue.METRICS) == declared
    assert len({metric.name for metric in declared}) == len(declared)


def test_prefixes() -> None:
    """Every name on the page begins with spark_, databricks_ or lakehouse_exporter_."""
    prefixes = ("spark_", "databricks_", "lakehouse_exporter_")

    assert [metric.name for metric in catalogue.METRICS if not metric.name.startswith(prefixes)] == []


class Told:
    """A Store's view and a clock, both moved by the test, and how often samples were made."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[str] = []
        self.fail = False
        self.show("a", "b")

    def samples(self, record: str) -> Iterator[Sample]:
        self.asked.append(record)
        if self.fail:
            raise RuntimeError("a fault of ours")
        yield REACHABLE(1, app=record)

    def show(self, *records: str, expires: float = NOW + 60) -> None:
        collector = Collector("test", (REACHABLE,), self.samples)
        self.view = View(
            {f"drivers/{i}": Snapshot(one, (collector,), expires) for i, one in enumerate(records)}, {}, ready=True
        )


@pytest.fixture
def source() -> Told:
    return Told()


@pytest.fixture
def kept(source: Told) -> Page:
    return Page(lambda: source.view, lambda: source.now)


def shown(answer: Answer | None) -> set[bytes]:
    assert answer is not None
    body = gzip.decompress(answer.body) if dict(answer.headers).get("Content-Encoding") == "gzip" else answer.body
    return set(re.findall(rb'spark_driver_reachable{app="(\w+)"}', body))


def test_made_once(source: Told, kept: Page) -> None:
    """A change is rendered by the first who asks, once; who asks again is given the same bytes, without a question."""
    assert kept.kept(Wanted()) is None

    first = kept.made(Wanted())

    assert source.asked == ["a", "b"]
    assert kept.kept(Wanted()) is first
    assert kept.made(Wanted()) is first
    assert source.asked == ["a", "b"]


def test_one_changed_target(source: Told, kept: Page) -> None:
    """Of targets of which one changed only that one is rendered again."""
    kept.made(Wanted())
    source.show("a", "c")

    assert kept.kept(Wanted()) is None
    assert shown(kept.made(Wanted())) == {b"a", b"c"}
    assert source.asked == ["a", "b", "c"]


def test_changed_collectors(source: Told, kept: Page) -> None:
    """A target that other collectors read is rendered again, though its record is the same."""
    kept.made(Wanted())
    first, second = source.view.snapshots.values()
    source.view = View({"drivers/0": dataclasses.replace(first, collectors=()), "drivers/1": second}, {}, ready=True)

    assert shown(kept.made(Wanted())) == {b"b"}
    assert source.asked == ["a", "b"]


def test_kept_until_it_expires(source: Told, kept: Page) -> None:
    """Kept bytes do not outlive the snapshots that they are of."""
    source.show("a", expires=NOW + 5)
    kept.made(Wanted())
    source.now = NOW + 4.9
    before = kept.kept(Wanted())
    source.now = NOW + 5

    assert shown(before) == {b"a"}
    assert kept.kept(Wanted()) is None
    assert shown(kept.made(Wanted())) == set()


def test_hosts_and_parameters(source: Told, kept: Page) -> None:
    """A page is the same for every host and every parameter: one making serves all of them."""
    first = kept.made(Wanted(host="a", parameters=(("target", "x"),)))

    assert kept.kept(Wanted()) is first
    assert kept.made(Wanted(host="b", parameters=(("kind", "y"),))) is first
    assert source.asked == ["a", "b"]


def test_own(source: Told) -> None:
    """What a page tells beside the targets can be another's to say; OpenMetrics ends in its last line without a process, too."""

    def samples(view: View, rendering: health.Rendering, life: health.Life) -> Iterator[Sample]:
        yield health.UNRENDERED(len(view.snapshots) + rendering.failed + life.web_config_failures)

    source.show("a")
    mine = Page(lambda: source.view, lambda: NOW, own=Own(samples, (health.UNRENDERED,), process=False))

    assert mine.made(Wanted(openmetrics=True)).body.decode() == (
        f"# HELP spark_driver_reachable {REACHABLE.help}\n"
        "# TYPE spark_driver_reachable gauge\n"
        'spark_driver_reachable{app="a"} 1\n'
        f"# HELP lakehouse_exporter_snapshots_dropped {health.UNRENDERED.help}\n"
        "# TYPE lakehouse_exporter_snapshots_dropped gauge\n"
        "lakehouse_exporter_snapshots_dropped 1\n"
        "# EOF\n"
    )
    assert mine.made(Wanted(names=("none",))).body == b""


def test_last_good_bytes(source: Told, kept: Page) -> None:
    """A target that can't be rendered any more stands as it was before, and is counted."""
    kept.made(Wanted())
    source.fail = True
    source.show("a", "c")
    with structlog.testing.capture_logs() as logged:
        page_now = kept.made(Wanted())

    assert shown(page_now) == {b"a", b"b"}
    assert b"lakehouse_exporter_snapshots_dropped 1\n" in page_now.body
    assert [line["target"] for line in logged] == ["drivers/1"]


def test_not_ready(source: Told, kept: Page) -> None:
    """Before the first look there is no page, and its absence is not kept."""
    source.view = View({}, {}, ready=False)

    assert kept.made(Wanted()) == Answer(503, "text/plain; charset=utf-8", b"not ready\n")
    assert kept.kept(Wanted()) is None


def test_forms(source: Told, kept: Page) -> None:
    """One rendering serves text and OpenMetrics, plain and compressed; each is parsed to the same samples."""
    pages = {wanted: kept.made(wanted) for wanted in (Wanted(om, packed) for om in (False, True) for packed in (False, True))}
    plain = own(text_string_to_metric_families(pages[Wanted()].body.decode()))
    packed = own(text_string_to_metric_families(gzip.decompress(pages[Wanted(False, True)].body).decode()))
    openmetrics = openmetrics_families(gzip.decompress(pages[Wanted(True, True)].body).decode())  # type: ignore[no-untyped-call]

    assert source.asked == ["a", "b"]
    assert {answer.content_type for wanted, answer in pages.items() if wanted.openmetrics} == {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
    assert ("spark_driver_reachable", ("a",), 1.0) in plain
    assert plain == packed == own(openmetrics)


def own(families: Iterable[ClientFamily]) -> list[tuple[str, tuple[str, ...], float]]:
    samples = (sample for family in families for sample in family.samples)
    found = [(sample.name, tuple(sample.labels.values()), sample.value) for sample in samples]
    return sorted(one for one in found if one[0].startswith(("spark_", "lakehouse_")) and "page_bytes" not in one[0])


def test_openmetrics_in_full(source: Told, kept: Page) -> None:
    """OpenMetrics names a counter without _total and an info without _info, tells units, and ends in its last line."""
    body = kept.made(Wanted(openmetrics=True)).body.decode()

    assert "# TYPE lakehouse_exporter_page_renders counter\nlakehouse_exporter_page_renders_total 1\n" in body
    assert "# TYPE lakehouse_exporter_build info\nlakehouse_exporter_build_info{" in body
    assert "# TYPE lakehouse_exporter_page_bytes gauge\n# UNIT lakehouse_exporter_page_bytes bytes\n" in body
    assert body.endswith("# EOF\n")


def test_chosen_names(source: Told, kept: Page) -> None:
    """Of a page that is asked for by names only those families are given."""
    body = kept.made(Wanted(names=("python_info", "spark_driver_reachable"))).body.decode()

    assert [line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")] == [
        "spark_driver_reachable",
        "python_info",
    ]


def test_most_forms_kept(kept: Page) -> None:
    """However many forms are asked for, few are kept."""
    for number in range(100):
        kept.made(Wanted(names=(f"name_{number}",)))

    assert kept._made is not None
    assert len(kept._made.answers) <= 16


def test_single_flight(source: Told, kept: Page) -> None:
    """Many who ask at once for a page that has changed are given one rendering."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(kept.made(Wanted()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len({id(answer) for answer in answers}) == 1
    assert source.asked == ["a", "b"]


def test_caps_over_targets() -> None:
    """A family that is full over all targets keeps its first series, and tells how many it left out."""

    def many(record: str) -> Iterator[Sample]:
        for i in range(15_000):
            yield REACHABLE(1, app=f"{record}{i}")

    snapshots = {"drivers/a": snapshot("a", many), "drivers/b": snapshot("b", many)}
    shown = values(snapshots, REACHABLE.name)

    assert (len(shown), ("b4999",) in shown, ("b5000",) in shown) == (20_000, True, False)
    assert values(snapshots, "lakehouse_exporter_series_dropped") == {(REACHABLE.name,): 10_000}
    assert values(snapshots, "lakehouse_exporter_page_series") == {(): 20_000}


def test_page_series() -> None:
    """What a page says of its size is what a scraper counts, the exporter's own and its process' series aside."""

    def both(record: str) -> Iterator[Sample]:
        yield REACHABLE(1, app=record)
        yield BATCH_DURATION(Buckets((0,) * (len(BATCH_DURATION.buckets) + 1), 0), app=record, query="q")

    body = page(View({"drivers/a": snapshot("a", both)}, {}, ready=True), NOW).decode()
    series = [line for line in body.splitlines() if line.startswith("spark_")]

    assert f"lakehouse_exporter_page_series {len(series)}\n" in body


def test_created(source: Told) -> None:
    """Where it is asked for, OpenMetrics tells since when each target counts, and since when the page does; text never does."""

    def counting(record: str) -> Iterator[Sample]:
        yield EVENTS_LOST(1, app=record)

    collector = Collector("test", (EVENTS_LOST,), counting)
    view = View(
        {
            "drivers/a": Snapshot("a", (collector,), NOW + 60, since=NOW - 100),
            "drivers/b": Snapshot("b", (collector,), NOW + 60),
        },
        {},
        ready=True,
    )
    made = Page(lambda: view, lambda: source.now, created=True)
    source.now += 5
    body = made.made(Wanted(openmetrics=True)).body.decode()

    assert [line for line in body.splitlines() if "_created" in line] == [
        'spark_streaming_events_lost_created{app="a"} 1799999900',
        "lakehouse_exporter_page_renders_created 1800000000",
        "lakehouse_exporter_web_config_failures_created 1800000000",
    ]
    assert list(openmetrics_families(body))  # type: ignore[no-untyped-call]
    assert b"_created" not in made.made(Wanted()).body
    assert b"_created" not in Page(lambda: view, lambda: NOW).made(Wanted(openmetrics=True)).body
