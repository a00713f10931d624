"""Whole pages of recorded streams: every kind of query of two Sparks, Kafka and Delta, Databricks, a silent driver; and more.

What no record here tells is made up: sources that Databricks and AWS alone have, the settings, and the exporter's own state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric as ClientFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter import catalogue, collectors, exposition, health, probe_health
from exporter.collectors.databricks import jobs, pipeline_events, schedules
from exporter.databricks.endings import State as RunsState
from exporter.databricks.job_runs import JobRuns
from exporter.databricks.jobs import Job, Jobs, Schedule, Settings
from exporter.databricks.pipeline_events import Flow, Log, PipelineEvents
from exporter.metric import Sample
from exporter.snapshot import Outcome, View
from exporter.streaming.expected import Expected, watched
from exporter.streaming.fold import fold
from exporter.streaming.signals import MAX_OBSERVED
from exporter.streaming.state import State
from exporter.streaming.view import STALE_SECONDS, views
from tests.streaming.recorded import FACTS, every_kind, read
from tests.streaming.rings import BEGINNING, Ring, looked

GOLDEN = Path(__file__).parent.parent / "golden"
NOW = BEGINNING + 100
RENDERING = health.Rendering({"spark_streaming_input_rows_total": 12}, 1, 40, 20_000, 1_234_567)


def page(state: State, now: float) -> str:
    return written(
        sample
        for view in views(state, now, keep_ended=600).values()
        for collector in collectors.APPLICATION
        for sample in collector.samples(view)
    )


def written(samples: Iterable[Sample]) -> str:
    """A page of `samples` in the text format; as OpenMetrics, with all that it may tell besides, it has the same samples."""
    parts, _ = exposition.bounded([exposition.families(samples, catalogue.METRICS, since=BEGINNING)], catalogue.METRICS)
    text = exposition.text(parts).decode()
    openmetrics = f"{exposition.text(parts, openmetrics=True, created=True).decode()}# EOF\n"
    read_back = found(openmetrics_families(openmetrics))  # type: ignore[no-untyped-call]

    assert [one for one in read_back if not one[0].endswith("_created")] == found(text_string_to_metric_families(text))
    return text


def found(families: Iterable[ClientFamily]) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


@pytest.mark.parametrize("version", ["3.5.9", "4.3.0"])
def test_every_kind_of_query(version: str, golden: Callable[[str, str], None]) -> None:
    """One batch, or one end, of each of some forty kinds of query."""
    state = fold(State(since=BEGINNING), looked(NOW, every_kind(version).answer()))

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


def test_sources_of_others(golden: Callable[[str, str], None]) -> None:
    """Sources that tell files, bytes or seconds of backlog, and an observation of more columns than are shown."""
    ring = Ring(app="recorded")
    columns = {f"column_{i:03}": i for i in range(MAX_OBSERVED + 1)}
    files = {"numFilesOutstanding": "3", "numBytesOutstanding": "4096"}
    stream = {"maxMsBehindLatest": "1500", "totalPrefetchedBytes": "2048"}
    for name, more in (
        ("files", {"sources": [{"description": "CloudFilesSource[/landing]", "numInputRows": 10, "metrics": files}]}),
        ("stream", {"sources": [{"description": "KinesisV2[clicks]", "numInputRows": 10, "metrics": stream}]}),
        ("observed", {"observedMetrics": {"quality": columns}}),
    ):
        ring.started_query(name, run=name)
        ring.progress(name, 0, run=name, **more)

    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))

    golden("sources-of-others.prom", page(state, NOW))


def test_expected(golden: Callable[[str, str], None]) -> None:
    """Streams that somebody counts on: one that runs, one that runs now and then, and one that was never seen."""
    ring = Ring(app="recorded")
    ring.started_query("orders")
    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))
    expected = (Expected("recorded", "orders"), Expected("recorded", "nightly", 86_400.0), Expected("other", "payments"))

    golden("expected.prom", written(collectors.EXPECTED.samples(watched(expected, state))))


def test_own(golden: Callable[[str, str], None]) -> None:
    """What the exporter tells of itself, with a driver that failed, a full family and a configuration that can't be read."""
    outcomes = {
        ("drivers", ""): Outcome(True, 0.025, NOW, {}),
        ("drivers", "recorded"): Outcome(False, None, NOW - 7, {"timeout": 2}),
    }
    life = health.Life({"idle": 3, "full": 0}, config_loaded=False, config_loaded_at=NOW - 3600, web_config_failures=1)
    samples = health.samples(View({}, outcomes, ready=True), RENDERING, life)
    # The page must not differ from one Python to the next.
    named = (Sample(one.metric, ("1.2.3", "3.12.1"), 1) if one.metric is health.BUILD_INFO else one for one in samples)

    golden("own.prom", written(named))


def test_rare(golden: Callable[[str, str], None]) -> None:
    """What the simulated workspace does not show: a job with a tag and a schedule that can't be read, a backlog of files."""
    job = Job(7, settings=Settings(name="orders", tags={"team": "data"}, schedule=Schedule("every noon", "UTC")))
    listed = Jobs("prod", NOW, {7: job}, tags=("team",))
    due = schedules.next_record(schedules.Schedules("prod"), listed, JobRuns("prod", RunsState(since=NOW, last_look=NOW)))
    log = Log(
        NOW, NOW, ("running", "u1", "running"), NOW, NOW, 0, 0, flows={"bronze": Flow(NOW, "u1", "running", backlog_files=3)}
    )
    samples = (
        *jobs.samples(listed),
        *schedules.samples(due),
        *pipeline_events.samples(PipelineEvents("prod", NOW, {"p1": log})),
        *(
            one
            for one in probe_health.samples(View({}, {}, ready=True), RENDERING, looked=True)
            if one.metric in probe_health.METRICS
        ),
    )

    golden("databricks-rare.prom", written(samples))


def test_every_metric() -> None:
    """Every metric of the catalogue stands with a sample on a golden page, and nothing else does."""
    pages = (page.read_text(encoding="utf-8") for page in GOLDEN.glob("*.prom"))
    samples = {name for page in pages for name, _, _ in found(text_string_to_metric_families(page))}
    declared = [
        {metric.name + suffix for suffix in ("_bucket", "_sum", "_count")} if metric.buckets else {metric.name}
        for metric in catalogue.METRICS
    ]

    assert samples == set().union(*declared)


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
