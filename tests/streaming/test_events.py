"""Claims on how the listener's answer and Spark's events are read."""

import contextlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.streaming.events import (
    BadAnswer,
    BadEvent,
    Event,
    EventTime,
    Found,
    Idle,
    Progress,
    Sink,
    Source,
    Started,
    StateOperator,
    Terminated,
    last_seq,
    read_answer,
    read_event,
)
from exporter.streaming.facts import BusQueue, Collector

RECORDS = Path(__file__).parent.parent / "records"

QUERY = {"id": "i", "runId": "r"}
PROGRESS = {**QUERY, "timestamp": "1970-01-01T00:00:01.500Z", "batchId": 7}
ANSWER: dict[str, Any] = {
    "version": 1,
    "final": False,
    "epoch": "e",
    "startedMs": 1,
    "nowMs": 2,
    "appId": "a",
    "firstSeq": 1,
    "lastSeq": 2,
    "more": False,
    "facts": {},
    "events": [],
}


def envelope(kind: str, event: Any, **besides: Any) -> bytes:
    return json.dumps({"seq": 7, "atMs": 1500, "kind": kind, "event": event, **besides}).encode()


def progress(**members: Any) -> Progress:
    body = read_event(envelope("progress", {**PROGRESS, **members})).body
    assert isinstance(body, Progress)
    return body


def recorded() -> list[tuple[str, str, dict[str, Any]]]:
    """Every recorded event: where it is from, its kind, its body."""
    events = []
    for file in sorted(RECORDS.glob("progress/*/*.json")) + sorted(RECORDS.glob("*/*/*.terminated.json")):
        kind = file.stem.partition(".")[2] or "progress"
        events.append((str(file.relative_to(RECORDS)), kind, json.loads(file.read_bytes())))
    for file in sorted([*RECORDS.glob("kafka/*/*.json"), *RECORDS.glob("delta/*/*.json")]):
        if not file.stem.endswith("terminated"):
            name = str(file.relative_to(RECORDS))
            events += [(name, "progress", body) for body in json.loads(file.read_bytes())]
    for file in sorted(RECORDS.glob("sequences/*.json")):
        name = str(file.relative_to(RECORDS))
        events += [(name, event["k"], event.get("p", event)) for event in json.loads(file.read_bytes())]
    return events


RECORDED = recorded()


def test_the_recordings_are_of_every_kind_and_of_both_lines() -> None:
    kinds = {(kind, where.split("/")[1][0]) for where, kind, _ in RECORDED}

    assert kinds == {(kind, line) for kind in ("started", "progress", "idle", "terminated") for line in "34"}


@pytest.mark.parametrize(("where", "kind", "body"), RECORDED, ids=[f"{where}-{kind}" for where, kind, _ in RECORDED])
def test_every_recorded_event_is_read(where: str, kind: str, body: dict[str, Any]) -> None:
    event = read_event(envelope(kind, body))

    assert (event.seq, event.at, event.kind, event.body.id, event.body.run_id) == (
        7,
        1.5,
        kind,
        body["id"],
        body["runId"],
    )
    if isinstance(event.body, Progress):
        assert event.body.batch_id == body["batchId"]
        assert event.body.num_input_rows == body["numInputRows"]
        assert event.body.duration_ms == body["durationMs"]
        assert [source.num_input_rows for source in event.body.sources] == [s["numInputRows"] for s in body["sources"]]
        assert [operator.num_rows_total for operator in event.body.state_operators] == [
            operator["numRowsTotal"] for operator in body["stateOperators"]
        ]


def test_a_recorded_progress_is_read_whole() -> None:
    body = json.loads((RECORDS / "progress/4.3.0/agg_watermark_hdfs.json").read_bytes())

    assert read_event(envelope("progress", body)).body == Progress(
        id="a710160c-db82-4b78-b129-44aeb2b50738",
        run_id="9cb03049-abcb-4f1a-b6e5-171d1f85a85d",
        name="agg_watermark_hdfs",
        timestamp=1795328329.0,
        batch_id=10,
        num_input_rows=20,
        duration_ms={
            "addBatch": 298,
            "commitOffsets": 59,
            "getBatch": 0,
            "latestOffset": 0,
            "queryPlanning": 26,
            "triggerExecution": 438,
            "walCommit": 54,
        },
        event_time=EventTime(max=1795328328.887, min=1795328327.937, watermark=1795328325.887),
        state_operators=(
            StateOperator(
                operator_name="stateStoreSave",
                num_rows_total=9,
                num_rows_updated=5,
                num_rows_removed=0,
                num_rows_dropped_by_watermark=0,
                commit_time_ms=134,
                memory_used_bytes=3568,
                num_shuffle_partitions=2,
                num_state_store_instances=2,
                custom_metrics={
                    "SnapshotLastUploaded.partition_0_default": -1,
                    "SnapshotLastUploaded.partition_1_default": -1,
                    "forceSnapshotCount": 0,
                    "loadedMapCacheHitCount": 40,
                    "loadedMapCacheMissCount": 0,
                    "numSnapshotsAutoRepaired": 0,
                    "stateOnCurrentVersionSizeBytes": 2416,
                },
            ),
        ),
        sources=(
            Source(
                description="RateStreamV2[rowsPerSecond=20, rampUpTimeSeconds=0, numPartitions=default",
                start_offset=9,
                end_offset=10,
                latest_offset=10,
                num_input_rows=20,
                metrics={},
            ),
        ),
        sink=Sink("NoopTable", 0),
        observed_metrics={},
    )


def test_each_other_kind_is_read_whole() -> None:
    moment = {**QUERY, "name": "n", "timestamp": "1970-01-01T00:01:00Z"}
    ended = {**QUERY, "exception": "boom", "errorClassOnException": "DIVIDE_BY_ZERO"}

    assert read_event(envelope("started", moment, trigger="OneTimeTrigger")) == Event(
        7, 1.5, "started", Started("i", "r", "n", 60.0, "OneTimeTrigger")
    )
    assert read_event(envelope("idle", moment)).body == Idle("i", "r", 60.0)
    assert read_event(envelope("terminated", ended)).body == Terminated("i", "r", "boom", "DIVIDE_BY_ZERO")
    assert read_event(envelope("found", QUERY, progress=None)).body == Found("i", "r", None, None, None)
    assert read_event(envelope("found", {**QUERY, "name": "n"}, trigger="T", progress=PROGRESS)).body == Found(
        "i", "r", "n", "T", progress()
    )


def test_a_query_that_ended_without_a_failure_has_no_exception_however_that_is_written() -> None:
    for exception in (None, ""):
        assert read_event(envelope("terminated", {**QUERY, "exception": exception})).body == Terminated("i", "r", None, None)


BARE = Progress(
    id="i",
    run_id="r",
    name=None,
    timestamp=1.5,
    batch_id=7,
    num_input_rows=0,
    duration_ms={},
    event_time=EventTime(),
    state_operators=(),
    sources=(),
    sink=Sink("", None),
    observed_metrics={},
)
OPTIONAL = (
    "name",
    "numInputRows",
    "durationMs",
    "eventTime",
    "stateOperators",
    "sources",
    "sink",
    "observedMetrics",
)


def test_what_is_missing_or_null_is_absent() -> None:
    assert progress() == BARE
    assert progress(**dict.fromkeys(OPTIONAL)) == BARE


def test_a_source_a_sink_and_an_operator_of_which_spark_says_nothing_are_read() -> None:
    read = progress(sources=[{}, {"metrics": None}], sink={}, stateOperators=[{"customMetrics": None}])

    assert read.sources == (Source("", None, None, None, 0, {}),) * 2
    assert read.sink == Sink("", None)
    assert read.state_operators == (StateOperator("", None, 0, 0, 0, 0, None, None, None, {}),)


def test_minus_one_is_not_a_number_of_anything() -> None:
    read = progress(
        numInputRows=-1,
        sink={"numOutputRows": -1},
        stateOperators=[{"numRowsTotal": -1, "numRowsUpdated": -1, "numShufflePartitions": -1}],
    )

    assert read.num_input_rows == 0
    assert read.sink.num_output_rows is None
    assert read.state_operators == (StateOperator("", None, 0, 0, 0, 0, None, None, None, {}),)


def test_numbers_may_be_written_as_text() -> None:
    read = progress(batchId="9223372036854775807", numInputRows="12", durationMs={"addBatch": "5", "odd": "soon"})

    assert (read.batch_id, read.num_input_rows, read.duration_ms) == (9223372036854775807, 12, {"addBatch": 5})


def test_only_finite_numbers_are_metrics() -> None:
    text = json.dumps({"a": "1308", "b": "0.5", "c": "NaN", "d": "Infinity", "e": None, "f": True, "g": [1], "h": "x", "i": 2})
    huge = text[:-1] + ', "j": 1' + "0" * 400 + "}"
    document = envelope("progress", {**PROGRESS, "sources": [{"metrics": 0}]}).replace(
        b'"metrics": 0', b'"metrics": ' + huge.encode()
    )
    body = read_event(document).body

    assert isinstance(body, Progress)
    assert body.sources[0].metrics == {"a": 1308, "b": 0.5, "i": 2}


def test_only_finite_numbers_are_observed() -> None:
    observed = {"m": {"rows": 3, "share": 0.5, "ok": True, "day": "2026-11-22", "text": "7", "none": None, "row": {"a": 1}}}

    assert progress(observedMetrics={**observed, "empty": None}).observed_metrics == {"m": {"rows": 3, "share": 0.5}}


def test_no_number_that_is_not_read_can_do_harm() -> None:
    document = envelope("progress", {**PROGRESS, "inputRowsPerSecond": 0})

    for rate in (b"1e400", b"NaN", b"-Infinity", b'"Infinity"'):
        assert read_event(document.replace(b'"inputRowsPerSecond": 0', b'"inputRowsPerSecond": ' + rate)).body == BARE


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        (4, 4),
        ({"t": {"0": 1}}, {"t": {"0": 1}}),
        ([{"shard": 1}], [{"shard": 1}]),
        ('{"t": {"0": 1}}', {"t": {"0": 1}}),
        ("4", 4),
        ("null", None),
        ("earliest", "earliest"),
        ("", ""),
    ],
)
def test_an_offset_is_a_json_value_or_its_text(written: Any, read: Any) -> None:
    source = progress(sources=[{"startOffset": written, "endOffset": written, "latestOffset": written}]).sources[0]

    assert (source.start_offset, source.end_offset, source.latest_offset) == (read, read, read)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T05:50:50.501Z", 1795326650.501),
        ("2026-11-22T05:50:50Z", 1795326650.0),
        ("1969-12-31T23:59:59.000Z", -1.0),
        ("9999-12-31T23:59:59.999Z", 253402300799.999),
        ("10000-01-01T00:00:00.000Z", 253402300800.0),
        ("292278994-08-17T07:12:55.807Z", 9223372036854775.807),
        ("2026-02-30T00:00:00.000Z", None),
        ("2026-11-22 05:50:50", None),
        ("", None),
    ],
)
def test_a_time_is_read_to_the_end_of_javas_calendar(text: str, seconds: float | None) -> None:
    assert progress(eventTime={"max": text}).event_time.max == seconds


def test_there_is_no_watermark_in_1970() -> None:
    zero = "1970-01-01T00:00:00.000Z"

    assert progress(eventTime={"watermark": zero, "max": zero, "min": None}).event_time == EventTime(max=0.0)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_survives_being_written(moment: datetime) -> None:
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    assert progress(timestamp=text).timestamp == pytest.approx(moment.timestamp(), abs=1e-5)


def test_half_a_surrogate_pair_costs_nothing_but_itself() -> None:
    document = envelope("progress", {**PROGRESS, "name": "a\ud800b", "observedMetrics": {"\udfff": {"x": 1}}})
    answer = read_answer(json.dumps({**ANSWER, "appId": "\ud800", "events": [json.loads(document)]}))

    assert answer.app_id == "?"
    assert read_answer(json.dumps({**ANSWER, "appId": "\ud800"}, ensure_ascii=False)).app_id == "?"
    for raw in (document, answer.events[0]):
        body = read_event(raw).body
        assert isinstance(body, Progress)
        assert (body.name, body.observed_metrics) == ("a?b", {"?": {"x": 1}})


def test_bytes_that_are_no_utf8_cost_nothing_but_themselves() -> None:
    body = read_event(envelope("progress", {**PROGRESS, "name": "Q"}).replace(b'"Q"', b'"\xff"')).body

    assert isinstance(body, Progress)
    assert body.name == "�"


def test_a_number_that_no_double_holds_is_null_where_a_document_must_be_mended() -> None:
    document = envelope("progress", {**PROGRESS, "numInputRows": 1, "name": "\ud800", "durationMs": {"a": 2}})
    body = read_event(document.replace(b'"numInputRows": 1', b'"numInputRows": 1e400').replace(b"2}", b"2.5}")).body

    assert isinstance(body, Progress)
    assert (body.num_input_rows, body.duration_ms) == (0, {"a": 2.5})


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("document", "seq", "says"),
    [
        (envelope("progress", {**PROGRESS, "batchId": "secret"}), 7, "`$.batchId`"),
        (envelope("progress", {**PROGRESS, "batchId": 1.5}), 7, "`$.batchId`"),
        (envelope("progress", {**PROGRESS, "batchId": None}), 7, "`$.batchId`"),
        (envelope("progress", PROGRESS).replace(b'"batchId": 7', b'"batchId": 1e400'), 7, "`$.batchId`"),
        (
            envelope("progress", {**PROGRESS, "sources": [{}, {"numInputRows": "secret"}]}),
            7,
            "`$.sources[1].numInputRows`",
        ),
        (envelope("progress", {**PROGRESS, "sources": [None]}), 7, "`$.sources[0]`"),
        (envelope("progress", {**PROGRESS, "timestamp": "secret"}), 7, "`$.timestamp`"),
        (envelope("progress", QUERY), 7, "timestamp"),
        (envelope("started", {"id": "secret"}), 7, "runId"),
        (envelope("terminated", {**QUERY, "exception": ["secret"]}), 7, "`$.exception`"),
        (envelope("idle", None), 7, "object"),
        (envelope("found", QUERY, progress={**PROGRESS, "durationMs": "secret"}), 7, "`$.durationMs`"),
        (envelope("secret", QUERY), 7, "started, progress, idle, terminated, found - at `$.kind`"),
        (b'{"seq": 7, "atMs": 1, "kind": "idle"}', 7, "event"),
        (b'{"seq": 7, "atMs": "secret", "kind": "idle", "event": {}}', 7, "`$.atMs`"),
        (b'{"seq": "secret", "atMs": 1, "kind": "idle", "event": {}}', None, "`$.seq`"),
        (b'"secret"', None, "object"),
        (b'{"seq": 7, secret}', None, "JSONDecodeError"),
        (b"", None, "JSONDecodeError"),
        (
            envelope("progress", {**PROGRESS, "sources": [{"endOffset": 0}]}).replace(
                b'"endOffset": 0', b'"endOffset": ' + DEEP
            ),
            None,
            "RecursionError",
        ),
    ],
)
def test_a_bad_event_says_its_number_and_the_field_and_nothing_that_it_held(
    document: bytes, seq: int | None, says: str
) -> None:
    with pytest.raises(BadEvent) as bad:
        read_event(document)

    assert bad.value.seq == seq
    assert says in str(bad.value)
    assert str(bad.value).startswith("event 7: " if seq else "event without a number: ")
    assert "secret" not in str(bad.value)


def test_one_bad_event_costs_one_event() -> None:
    events = [
        envelope("idle", {**QUERY, "timestamp": "1970-01-01T00:00:01Z"}),
        envelope("idle", 5),
        envelope("terminated", QUERY),
    ]
    answer = read_answer(json.dumps({**ANSWER, "events": [json.loads(event) for event in events]}))

    assert read_event(answer.events[0]).body == Idle("i", "r", 1.0)
    with pytest.raises(BadEvent):
        read_event(answer.events[1])
    assert read_event(answer.events[2]).body == Terminated("i", "r", None, None)


@given(
    st.dictionaries(
        st.sampled_from([*PROGRESS, *OPTIONAL]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "12", "NaN"]),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_no_event_whatever_it_holds_raises_anything_but_bad_event(members: dict[str, Any]) -> None:
    with contextlib.suppress(BadEvent):
        assert msgspec.json.encode(read_event(envelope("progress", {**PROGRESS, **members})).body)


@given(st.binary())
def test_no_bytes_raise_anything_but_our_own(document: bytes) -> None:
    with pytest.raises(BadEvent):
        read_event(document)
    with pytest.raises(BadAnswer):
        read_answer(document)


def test_an_answer_is_read_from_text_and_from_bytes_with_all_its_facts() -> None:
    facts = {
        "app": {"id": "local-1", "name": "n", "configuredName": "c"},
        "spark": {"version": "4.2.0", "shufflePartitions": 200, "schedulerMode": "FIFO", "news": 1},
        "jvm": {"heapMaxBytes": None, "nonHeapUsedBytes": 5, "gc": [{"name": "G1", "count": 12, "millis": 88}]},
        "bus": [{"queue": "shared", "size": 0, "dropped": 3}],
        "queries": [{"id": "i", "runId": "r", "name": None, "message": "Waiting", "dataAvailable": True}],
        "databricks": {"workspaceUrl": "w"},
        "capabilities": {"own_queue": True, "status": None},
        "listener": {"worstCallbackNanos": 9, "queueDropped": 1},
    }
    text = json.dumps({**ANSWER, "final": True, "endedMs": 3, "facts": facts, "events": [1, 2], "news": 1})
    answer = read_answer(text)

    assert (answer.final, answer.epoch, answer.started_ms, answer.now_ms, answer.ended_ms) == (True, "e", 1, 2, 3)
    assert (answer.app_id, answer.first_seq, answer.last_seq, answer.more) == ("a", 1, 2, False)
    assert [bytes(event) for event in answer.events] == [b"1", b"2"]
    read = answer.facts
    assert read.app
    assert read.spark
    assert read.jvm
    assert read.queries
    assert read.listener
    assert (read.app.configured_name, read.spark.shuffle_partitions, read.spark.scheduler_mode) == ("c", 200, "FIFO")
    assert (read.jvm.heap_max_bytes, read.jvm.non_heap_used_bytes, read.jvm.gc) == (None, 5, (Collector("G1", 12, 88),))
    assert read.bus == (BusQueue("shared", 0, 3),)
    assert (read.queries[0].run_id, read.queries[0].data_available, read.queries[0].trigger_active) == ("r", True, None)
    assert (read.databricks, read.capabilities) == ({"workspaceUrl": "w"}, {"own_queue": True, "status": None})
    assert (read.listener.worst_callback_nanos, read.listener.queue_dropped) == (9, 1)
    assert read_answer(text.encode()).facts == read


def test_every_fact_may_be_null() -> None:
    names = ("app", "spark", "jvm", "bus", "queries", "databricks", "capabilities", "listener")

    assert read_answer(json.dumps({**ANSWER, "facts": dict.fromkeys(names)})).facts == read_answer(json.dumps(ANSWER)).facts


def test_an_answer_s_last_number_is_its_last_event_s() -> None:
    def last(*events: Any) -> int | None:
        return last_seq(read_answer(json.dumps({**ANSWER, "lastSeq": 9, "events": events})))

    assert last({"seq": 1}, {"seq": 2, "kind": 5}) == 2
    assert last({"seq": 1}, {"seq": None}) is None
    assert last() is None


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({**ANSWER, "version": 2}, "the listener speaks version 2, this exporter version 1: use this exporter's jar"),
        ({"version": 2}, "the listener speaks version 2, this exporter version 1: use this exporter's jar"),
        (
            {name: value for name, value in ANSWER.items() if name != "version"},
            "Object missing required field `version`",
        ),
        ({name: value for name, value in ANSWER.items() if name != "epoch"}, "Object missing required field `epoch`"),
        ({**ANSWER, "lastSeq": "secret"}, "Expected `int`, got `str` - at `$.lastSeq`"),
        (
            {**ANSWER, "facts": {"jvm": {"threads": "secret"}}},
            "Expected `int | null`, got `str` - at `$.facts.jvm.threads`",
        ),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_a_bad_answer_says_why(document: Any, says: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        read_answer(json.dumps(document))

    assert str(bad.value) == says


def test_text_that_is_cut_is_a_bad_answer() -> None:
    with pytest.raises(BadAnswer, match=r"^JSONDecodeError$"):
        read_answer(json.dumps(ANSWER)[:-5])
