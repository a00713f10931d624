"""Claims on what offsets, metrics and descriptions say; the recorded ones first."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.streaming.descriptions import Trigger, sink_label, trigger, type_name
from exporter.streaming.events import Progress, Source, read_event
from exporter.streaming.offsets import KINDS, NOTHING_TOLD, Backlog, backlog, is_behind, kind, known, moved

RECORDS = Path(__file__).parent.parent / "records"

KAFKA = "KafkaV2[Subscribe[orders]]"
RATE = "RateStreamV2[rowsPerSecond=50, rampUpTimeSeconds=0, numPartitions=default"


def source(description: str, start: Any = None, end: Any = None, latest: Any = None, **metrics: float) -> Source:
    return Source(description, start, end, latest, 0, metrics)


def recorded(name: str) -> list[Progress]:
    """The progresses of one recorded file, in order."""
    document = json.loads((RECORDS / name).read_bytes())
    bodies = document if isinstance(document, list) else [document]
    events = [read_event(json.dumps({"seq": 1, "atMs": 1, "kind": "progress", "event": body}).encode()) for body in bodies]
    return [event.body for event in events if isinstance(event.body, Progress)]


@pytest.mark.parametrize("version", ["3.5.7", "3.5.9", "4.2.0", "4.3.0"])
def test_a_kafka_stream_held_back_tells_its_backlog_and_is_known_at_once(version: str) -> None:
    for progress in recorded(f"kafka/{version}/limited.json"):
        read = progress.sources[0]
        told = backlog(read)

        # Kafka's own metrics: the worst partition, and the mean over two.
        assert told.max_partition_rows == read.metrics["maxOffsetsBehindLatest"]
        assert told.rows == read.metrics["avgOffsetsBehindLatest"] * 2
        assert (told.bytes, told.files, told.seconds) == (None, None, None)
        assert moved(read) == progress.num_input_rows == 49
        assert is_behind(read)
        assert known(read, seen_behind=False)


def test_a_kafka_stream_caught_up_has_no_backlog_and_is_known_only_if_it_was_behind_before() -> None:
    read = recorded("kafka/4.2.0/idle.json")[0].sources[0]

    assert backlog(read) == Backlog(rows=0, max_partition_rows=0)
    assert moved(read) == 0
    assert not is_behind(read)
    assert not known(read, seen_behind=False)
    assert known(read, seen_behind=True)


@pytest.mark.parametrize("version", ["3.5.7", "4.2.0"])
@pytest.mark.parametrize("phase", ["snapshot", "tail"])
def test_open_source_delta_tells_nothing_and_nothing_is_made_up(version: str, phase: str) -> None:
    for progress in recorded(f"delta/{version}/{phase}.json"):
        read = progress.sources[0]

        assert kind(read.description) == "delta"
        assert backlog(read) == NOTHING_TOLD
        assert not known(read, seen_behind=True)
        assert moved(read) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3.5.9/rate_noop", "rate"),
        ("4.3.0/rate_noop", "rate"),
        ("4.3.0/ratemicrobatch_noop", "rate_micro_batch"),
        ("4.3.0/file_noop", "file"),
        ("4.3.0/python_datasource", "python"),
    ],
)
def test_the_kind_of_a_recorded_source(name: str, expected: str) -> None:
    assert kind(recorded(f"progress/{name}.json")[0].sources[0].description) == expected


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("KafkaV2[SubscribePattern[a.*]]", "kafka"),
        ('KafkaV2[Assign[{"t":[0]}]]', "kafka"),
        ("KafkaSourceV1[Subscribe[t]]", "kafka"),
        ("KinesisV2[stream]", "kinesis"),
        ("org.apache.spark.sql.eventhubs.EventHubsSource@3f2a", "event_hubs"),
        ("DeltaSource[s3://bucket/KafkaV2[x]]", "delta"),
        ("CloudFilesSource[/Volumes/x]", "cloud_files"),
        ("FileStreamSource[file:/x]", "file"),
        ("PubSubSource[x]", "pubsub"),
        ("org.apache.spark.sql.pulsar.PulsarMicroBatchStream@1", "pulsar"),
        ("org.apache.iceberg.spark.source.SparkMicroBatchStream@1", "iceberg"),
        ("TextSocketV2[host: localhost, port: 9999]", "socket"),
        ("MemoryStream[value#1]", "memory"),
        ("com.example.MySource@1f", "other"),
        ("", "other"),
        ("[KafkaV2[", "other"),
        ("MyDeltaSource[x]", "other"),
        ("DeltaSourceOfMine[x]", "other"),
    ],
)
def test_the_kind_is_told_by_the_type_a_description_starts_with(description: str, expected: str) -> None:
    assert kind(description) == expected


@given(st.text())
def test_the_kind_is_one_of_a_closed_set(description: str) -> None:
    assert kind(description) in KINDS


def test_the_closed_set_names_each_kind_once() -> None:
    assert len(set(KINDS)) == len(KINDS) == 15


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (None, {"t": {"0": 5}}, None),
        ({"t": {"0": 5}}, None, None),
        ({"t": {"0": 5}}, {"t": {"0": 9}}, 4),
        ({"t": {"0": 5}}, {"t": {"0": 9, "1": 100}}, 4),
        ({"t": {"0": 5, "1": 100}}, {"t": {"0": 9, "1": 3}}, 4),
        ({"t": {"0": 5}}, {"u": {"0": 9}}, None),
        ({"t": {"0": 5}}, {"t": {"0": 9}, "u": {"0": 9}}, None),
        ({"t": {"0": 5}, "u": {"0": 1}}, {"t": {"0": 9}, "u": {"0": 2}}, 5),
        ({"t": {"0": "5"}}, {"t": {"0": 9}}, None),
        ({"t": {"0": True}}, {"t": {"0": 9}}, None),
        ({"t": 5}, {"t": 9}, None),
        (5, 9, None),
        ([5], [9], None),
        ("earliest", {"t": {"0": 9}}, None),
    ],
)
def test_rows_moved_are_counted_by_partition_where_start_and_end_are_of_the_same_topics(
    start: Any, end: Any, rows: int | None
) -> None:
    assert moved(source(KAFKA, start, end)) == rows


def test_only_kafka_s_offsets_are_rows() -> None:
    assert moved(source("DeltaSource[/x]", {"t": {"0": 5}}, {"t": {"0": 9}})) is None
    assert not is_behind(source(RATE, None, {"t": {"0": 5}}, {"t": {"0": 9}}))


@pytest.mark.parametrize(
    ("end", "latest", "rows", "worst"),
    [
        ({"t": {"0": 5, "1": 5}}, {"t": {"0": 9, "1": 6}}, 5, 4),
        ({"t": {"0": 5}}, {"t": {"0": 9, "1": 1000}}, 4, 4),
        ({"t": {"0": 9, "1": 5}}, {"t": {"0": 5, "1": 6}}, 1, 1),
        ({}, {}, 0, 0),
        ({"t": {"0": 5}}, {"u": {"0": 9}}, None, None),
        ({"t": {"0": 5}}, None, None, None),
        (None, {"t": {"0": 9}}, None, None),
        ({"t": {"0": 5}}, "9", None, None),
        ({"t": {"0": 5, "1": 5}}, {"t": {"0": 9, "1": "earliest"}}, None, None),
    ],
)
def test_kafka_s_backlog_is_what_lies_between_end_and_latest(
    end: Any, latest: Any, rows: int | None, worst: int | None
) -> None:
    assert backlog(source(KAFKA, None, end, latest)) == Backlog(rows=rows, max_partition_rows=worst)


def test_a_kafka_source_without_a_latest_offset_is_neither_behind_nor_known() -> None:
    read = source(KAFKA, None, {"t": {"0": 5}})

    assert not is_behind(read)
    assert not known(read, seen_behind=True)


POSITIONS = st.dictionaries(
    st.sampled_from("tu"), st.dictionaries(st.sampled_from("012"), st.integers(0, 2**63 - 1), min_size=1), max_size=2
)


@given(POSITIONS, POSITIONS, POSITIONS)
def test_kafka_s_numbers_are_never_negative_and_the_worst_partition_is_one_of_the_sum(
    start: Any, end: Any, latest: Any
) -> None:
    read = source(KAFKA, start, end, latest)
    told = backlog(read)

    assert (moved(read) or 0) >= 0
    assert 0 <= (told.max_partition_rows or 0) <= (told.rows or 0)
    assert is_behind(read) == (end != latest)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (source(KAFKA, None, {"t": {"0": 5}}, None, estimatedTotalBytesBehindLatest=7), Backlog(bytes=7)),
        (
            source(KAFKA, None, {"t": {"0": 5}}, {"t": {"0": 6}}, estimatedTotalBytesBehindLatest=7),
            Backlog(rows=1, max_partition_rows=1, bytes=7),
        ),
        (source(RATE, 0, 4, 6), Backlog(rows=100)),
        (source(RATE, 0, 6, 4), Backlog(rows=0)),
        (source(RATE, 0, 4, 4), Backlog(rows=0)),
        (source(RATE, 0, 4, None), NOTHING_TOLD),
        (source(RATE, 0, None, 4), NOTHING_TOLD),
        (source("RateStreamV2[", 0, 4, 6), NOTHING_TOLD),
        (source("DeltaSource[/x]", numFilesOutstanding=3, numBytesOutstanding=9), Backlog(files=3, bytes=9)),
        (source("CloudFilesSource[/x]", numFilesOutstanding=3), Backlog(files=3)),
        (source("CloudFilesSource[/x]", approximateQueueSize=3), NOTHING_TOLD),
        (source("KinesisV2[x]", maxMsBehindLatest=1500, totalPrefetchedBytes=9), Backlog(seconds=1.5, bytes=9)),
        (source("KinesisV2[x]"), NOTHING_TOLD),
        (source("PubSub[x]", numRecordsReadyToProcess=3, sizeOfRecordsReadyToProcess=9), Backlog(rows=3, bytes=9)),
        (source("FileStreamSource[/x]", None, {"logOffset": 1}, {"logOffset": 4}, numFilesOutstanding=3), NOTHING_TOLD),
        (source("com.example.MySource@1", None, 4, 6), NOTHING_TOLD),
    ],
)
def test_each_kind_s_backlog_comes_from_its_own_offsets_or_metrics(read: Source, expected: Backlog) -> None:
    assert backlog(read) == expected
    assert known(read, seen_behind=True) == (expected != NOTHING_TOLD)


@pytest.mark.parametrize(
    ("description", "label"),
    [
        ("DeltaSink[/path/x]", "DeltaSink"),
        ("FileSink[file:/data/out-pq]", "FileSink"),
        ("ForeachBatchSink", "ForeachBatchSink"),
        ("MemorySink", "MemorySink"),
        ("NoopTable", "NoopTable"),
        ("NoopTable$@4f37", "NoopTable"),
        ("org.apache.spark.sql.execution.datasources.noop.NoopTable$@4f372234", "NoopTable"),
        ("org.apache.spark.sql.execution.streaming.ConsoleTable$@44316c10", "ConsoleTable"),
        ("org.apache.spark.sql.kafka010.KafkaSourceProvider$KafkaTable@e04b100", "KafkaTable"),
        ("ForeachWriterTable(com.example.W@1,Left(x))", "ForeachWriterTable"),
        ("com.example.App$$anon$1@3f", "anon"),
        ("com.example.App$$Lambda$12/0x00@3f", "other"),
        ("/some/path", "other"),
        ("s3://bucket/x", "other"),
        ("data/x", "other"),
        ("", "other"),
        ("$", "other"),
        ("é", "other"),
        ("A" * 65, "other"),
        ("A" * 64, "A" * 64),
        ("a." * 10_000, "a"),
    ],
)
def test_a_sink_is_labelled_by_its_type_alone(description: str, label: str) -> None:
    assert sink_label(description) == type_name(description) == label


@given(st.text())
def test_a_label_is_a_short_java_name(description: str) -> None:
    label = sink_label(description)

    assert label.isascii()
    assert label.isidentifier()
    assert len(label) <= 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ProcessingTimeTrigger(2000)", Trigger("processing_time", 2.0, "processing_time 2s")),
        ("ProcessingTimeTrigger(0)", Trigger("processing_time", 0.0, "processing_time 0s")),
        ("ProcessingTimeTrigger(1500)", Trigger("processing_time", 1.5, "processing_time 1.5s")),
        ("ProcessingTimeTrigger(86400000)", Trigger("processing_time", 86400.0, "processing_time 86400s")),
        ("AvailableNowTrigger", Trigger("available_now", None, "available_now")),
        ("OneTimeTrigger", Trigger("once", None, "once")),
        ("ContinuousTrigger(1000)", Trigger("continuous", 1.0, "continuous 1s")),
        ("RealTimeTrigger(300000)", Trigger("real_time", 300.0, "real_time 300s")),
        ("ProcessingTimeTrigger(-5)", Trigger("other", None, "other")),
        ("MyTrigger(5)", Trigger("other", None, "other")),
        ("ProcessingTimeTrigger(5) and more", Trigger("other", None, "other")),
        ("", Trigger("other", None, "other")),
        (None, Trigger("other", None, "")),
    ],
)
def test_a_trigger_is_read_from_its_text(text: str | None, expected: Trigger) -> None:
    assert trigger(text) == expected
