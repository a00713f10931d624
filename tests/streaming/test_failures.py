"""Claims on how a failure's class is told: the recorded failures first, then those that no recording has."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.streaming.failures import CLASSES, RULES, classify, condition, first_line

RECORDS = Path(__file__).parent.parent / "records"

RECORDED = {
    "progress/*/fail_ansi_div0": "data_quality",
    "progress/*/fail_files_removed": "not_found",
    "progress/*/fail_foreachBatch": "user_code",
    "progress/*/fail_udf": "user_code",
    "kafka/*/records_aged_out_while_running": "data_loss",
    "kafka/*/restart_after_records_aged_out": "data_loss",
    "kafka/*/restart_after_topic_recreated_fewer_partitions": "data_loss",
    "kafka/*/restart_after_topic_recreated_smaller": "data_loss",
    # The topic is gone, and nothing says that rows were lost with it: make it again, and the stream goes on.
    "kafka/*/restart_topic_absent": "not_found",
    "kafka/*/topic_deleted_while_running": "not_found",
}


@pytest.mark.parametrize("pattern", RECORDED)
def test_the_recorded_failures_of_both_lines_with_their_error_class_and_without(pattern: str) -> None:
    files = sorted(RECORDS.glob(f"{pattern}.terminated.json"))
    events = [json.loads(file.read_bytes()) for file in files]

    assert len(events) == 2
    for event in events:
        assert classify(event["exception"], event["errorClassOnException"]) == RECORDED[pattern]
        assert classify(event["exception"], None) == RECORDED[pattern]


def test_every_recorded_failure_is_expected_here() -> None:
    files = RECORDS.glob("*/*/*.terminated.json")
    failed = {file for file in files if json.loads(file.read_bytes())["exception"]}

    assert failed == {file for pattern in RECORDED for file in RECORDS.glob(f"{pattern}.terminated.json")}


def test_the_failures_within_recorded_sequences() -> None:
    events = [event for file in sorted(RECORDS.glob("sequences/*.json")) for event in json.loads(file.read_bytes())]
    failures = [event for event in events if event["k"] == "terminated" and event["exception"]]
    classes = [classify(event["exception"], event["errorClass"]) for event in failures]

    assert classes == ["user_code", "data_quality"] * 2


ABORTED = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent"
    " failure: Lost task 0.3 in stage 1.0 (TID 7) (10.0.0.5 executor 3): "
)
IN_FOREACH_BATCH = (
    "py4j.Py4JException: An exception was raised by the Python Proxy. Return Message: Traceback (most recent call last):\n"
    '  File "/app/TimeoutException.py", line 1, in OutOfMemoryError\n'
    "    raise ModuleNotFoundError\n"
)

CASES = [
    ("data_quality", "anything", "CAST_INVALID_INPUT"),
    ("data_quality", "org.X: [SOMETHING_NEW] odd. SQLSTATE: 22ZZZ", "SOMETHING_NEW"),
    ("analysis", "org.X: [SOMETHING_NEW] odd. SQLSTATE: 42ZZZ", "SOMETHING_NEW"),
    ("unknown", "org.X: [SOMETHING_NEW] odd.", "SOMETHING_NEW"),
    ("state_store", "x", "CANNOT_LOAD_STATE_STORE.CANNOT_READ_DELTA_FILE_NOT_EXISTS"),
    ("schema_change", "x", "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE"),
    ("not_found", "x", "FAILED_READ_FILE.FILE_NOT_EXIST"),
    ("unknown", "x", "FAILED_READ_FILE.NO_HINT"),
    (
        "write_conflict",
        "[STREAM_FAILED] Query [id = a] terminated: [DELTA_CONCURRENT_APPEND.WITH_PARTITION_HINT] Files",
        "STREAM_FAILED",
    ),
    ("write_conflict", "io.delta.exceptions.ConcurrentAppendException: Files were added by a concurrent update.", None),
    ("write_conflict", "x.Y: DELTA_CONCURRENT_WRITE while committing", None),
    ("expected_restart", "x.Y: [UNKNOWN_FIELD_EXCEPTION.NEW_FIELDS_IN_FILE] new fields", None),
    ("source_mutation", "x.Y: [DELTA_SOURCE_TABLE_IGNORE_CHANGES] Detected a data update", None),
    ("concurrent_query", "x.Y: Multiple streaming queries are concurrently using file:/ck", None),
    (
        "concurrent_query",
        "java.util.ConcurrentModificationException: Multiple streaming queries are concurrently using x",
        None,
    ),
    (
        "checkpoint",
        "java.lang.AssertionError: assertion failed: There are [1] sources in the checkpoint offsets and now there are [2]",
        None,
    ),
    ("oom", ABORTED + "java.lang.OutOfMemoryError: Java heap space", None),
    (
        "oom",
        "java.lang.IllegalStateException: x\nCaused by: org.apache.spark.memory.SparkOutOfMemoryError: no page",
        None,
    ),
    ("oom", ABORTED + "ExecutorLostFailure (executor 3 exited) Reason: Command exited with code 137", None),
    (
        "oom",
        ABORTED + "ExecutorLostFailure (executor 3 exited) Reason: Container killed by YARN for exceeding memory limits.",
        None,
    ),
    ("oom", ABORTED + "ExecutorLostFailure (executor 3 exited): exit code 52(JVM OOM)", None),
    ("executor_loss", ABORTED + "ExecutorLostFailure (executor 3 exited) Reason: Command exited with code 1375", None),
    ("executor_loss", ABORTED + "ExecutorLostFailure (executor 3 exited) Reason: worker lost", None),
    ("executor_loss", "org.apache.spark.SparkException: Job aborted: FetchFailed(BlockManagerId(1))", None),
    ("driver", "org.apache.spark.SparkException: Job 3 cancelled because SparkContext was shut down", None),
    ("canceled", "org.apache.spark.SparkException: Job 3 cancelled part of cancelled job group", None),
    (
        "auth",
        "java.lang.RuntimeException: x\nCaused by: org.apache.kafka.common.errors.SaslAuthenticationException: no",
        None,
    ),
    ("auth", "x.Y: Forbidden (Service: Amazon S3; Status Code: 403; Error Code: X)", None),
    ("throttling", "com.amazonaws.services.kinesis.model.ProvisionedThroughputExceededException: Rate exceeded", None),
    ("throttling", "x.Y: Please reduce your request rate. (Status Code: 503; Error Code: SlowDown)", None),
    ("library", "java.lang.NoClassDefFoundError: org/apache/kafka/Foo", None),
    ("timeout", "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment", None),
    ("network", "java.io.IOException: x\nCaused by: java.net.UnknownHostException: broker", None),
    ("network", "java.io.IOException: Connection reset by peer", None),
    ("quota", "java.io.IOException: No space left on device", None),
    ("cloud", "x", "AWS_INSUFFICIENT_INSTANCE_CAPACITY"),
    ("cloud", "x", "CLOUD_PROVIDER_FAILURE"),
    ("config", "org.apache.kafka.common.config.ConfigException: Missing required configuration", None),
    ("analysis", "org.apache.spark.sql.AnalysisException: cannot resolve x", None),
    ("internal", "java.lang.NullPointerException", None),
    ("internal", "x", "INTERNAL_ERROR_BROADCAST"),
    ("user_code", "org.apache.spark.SparkException: [FAILED_EXECUTE_UDF] User defined function failed", None),
    ("user_code", "java.lang.IllegalStateException: boom", "FOREACH_BATCH_USER_FUNCTION_ERROR"),
    ("user_code", "x.Y: odd. SQLSTATE: 39000", None),
    ("user_code", IN_FOREACH_BATCH + "ValueError: boom", None),
    ("library", IN_FOREACH_BATCH + "ModuleNotFoundError: No module named 'x'", None),
    (
        "write_conflict",
        IN_FOREACH_BATCH
        + "py4j.protocol.Py4JJavaError: An error occurred while calling o1.save.\n"
        + ": io.delta.exceptions.ConcurrentAppendException: Files were added\n\tat x",
        "FOREACH_BATCH_USER_FUNCTION_ERROR",
    ),
    ("write_conflict", IN_FOREACH_BATCH + "delta.exceptions.ConcurrentWriteException: x", None),
    (
        "analysis",
        IN_FOREACH_BATCH + "pyspark.errors.exceptions.captured.AnalysisException: [UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] x",
        None,
    ),
    (
        "unknown",
        "java.lang.RuntimeException: boom\n\tat org.apache.kafka.SaslTimeoutException.OutOfMemoryError(X.java:1)",
        None,
    ),
    ("unknown", "java.lang.RuntimeException: [ERROR] [info] [A] boom", "not a condition"),
    ("unknown", "com.example.MyConfigException: boom", None),
    ("unknown", "", ""),
    ("unknown", None, None),
]


@pytest.mark.parametrize(("expected", "exception", "error_class"), CASES)
def test_a_failure_s_class(expected: str, exception: str | None, error_class: str | None) -> None:
    assert classify(exception, error_class) == expected


def test_every_class_is_told_by_some_failure_here() -> None:
    assert {expected for expected, _, _ in CASES} | set(RECORDED.values()) == set(CLASSES)


def test_the_set_of_classes_is_closed_small_and_holds_no_ending_that_is_no_failure() -> None:
    assert len(set(CLASSES)) == len(CLASSES) <= 30
    assert CLASSES[-1] == "unknown"
    assert not {"stopped", "finished", "driver_lost", "none"} & set(CLASSES)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in CLASSES)


def test_every_rule_says_what_to_do_in_one_line() -> None:
    for rule in RULES:
        assert rule.remedy.endswith(".")
        assert "\n" not in rule.remedy


FRAGMENTS = [
    "A",
    "a.",
    "$",
    "[",
    "]",
    "_",
    "\n",
    ": ",
    "\t",
    "DELTA_",
    "[A_",
    "SQLSTATE: ",
    "Caused by: ",
    "X.Exception ",
    "exit code ",
]


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_no_text_of_the_listener_s_greatest_length_takes_long(fragment: str) -> None:
    text = (fragment * 16_384)[:16_384]
    began = time.process_time()

    assert classify(text, text) in CLASSES
    assert time.process_time() - began < 0.25


@given(st.lists(st.sampled_from([*FRAGMENTS, "TIMEOUT", "OutOfMemoryError", "x.TimeoutException", "CONSTRAINT_VIOLATION"])))
def test_whatever_is_said_the_class_is_one_of_the_closed_set(fragments: list[str]) -> None:
    text = "".join(fragments)

    assert classify(text, None) in CLASSES
    assert classify(None, text) in CLASSES


@pytest.mark.parametrize(
    ("error_class", "told"),
    [
        ("CANNOT_LOAD_STATE_STORE", "CANNOT_LOAD_STATE_STORE"),
        ("CANNOT_LOAD_STATE_STORE.UNCATEGORIZED", "CANNOT_LOAD_STATE_STORE.UNCATEGORIZED"),
        (None, None),
        ("", None),
        ("card 4111 1111 1111 1111 refused", None),
        ("DELTA_X of customer 4711", None),
        ("A_CONDITION] and [ANOTHER_ONE", None),
        ("A" * 1000, None),
    ],
)
def test_a_condition_is_told_and_no_text_that_stands_in_its_place(error_class: str | None, told: str | None) -> None:
    assert condition(error_class) == told


DIVISION = (
    "org.apache.spark.SparkArithmeticException: [DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and"
    ' return NULL instead. If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error.'
)
LINES = {
    "progress/3.5.9/fail_ansi_div0": DIVISION,
    "progress/4.3.0/fail_ansi_div0": f"{DIVISION} SQLSTATE: 22012",
    "progress/3.5.9/fail_files_removed": "java.lang.IllegalArgumentException: Option 'basePath' must be a directory",
    "progress/3.5.9/fail_foreachBatch": "ValueError: boom line1",
    "progress/4.3.0/fail_foreachBatch": "ValueError: boom line1",
    "progress/3.5.9/fail_udf": "RuntimeError: udf failed",
    "progress/4.3.0/fail_udf": "RuntimeError: udf failed",
    "kafka/3.5.7/topic_deleted_while_running": "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors."
    "UnknownTopicOrPartitionException: This server does not host this topic-partition.",
    "kafka/3.5.7/records_aged_out_while_running": "java.lang.IllegalStateException: Cannot fetch offset 82 (GroupId:"
    " spark-kafka-source-2225da52-d6a0-4cfa-8083-122565e06f86-253981692-executor, TopicPartition: l357run2-1).",
}


@pytest.mark.parametrize("name", LINES)
def test_the_first_line_of_recorded_failures_is_the_failure_itself(name: str) -> None:
    event = json.loads(RECORDS.joinpath(f"{name}.terminated.json").read_bytes())

    assert first_line(event["exception"]) == LINES[name]


FIRST_LINES = [
    (None, ""),
    ("", ""),
    ("\n \n\tat a.b.C.d(E.java:1)", ""),
    ("org.apache.spark.SparkException: Job aborted.", ""),
    (
        "Writing job aborted\n\nDriver stacktrace:\n\tat a.b.C\nCaused by: java.io.IOException: full",
        "java.io.IOException: full",
    ),
    (
        f"org.apache.spark.SparkException: Job aborted.\n\tat a.b.C\nCaused by: {ABORTED}java.io.IOException: disk full",
        "java.io.IOException: disk full",
    ),
    (
        (
            "org.apache.spark.sql.streaming.StreamingQueryException: [STREAM_FAILED] Query [id = a, runId = b] terminated with"
            f" exception: {ABORTED}ExecutorLostFailure (executor 3 exited)"
        ),
        "ExecutorLostFailure (executor 3 exited)",
    ),
    (f"{IN_FOREACH_BATCH}KeyError: 'a'", "KeyError: 'a'"),
    ("java.io.IOException: one\x1b[31m\u202e two \ud800", "java.io.IOException: one [31m two"),
    ("x" * 301, "x" * 299 + "…"),
    ("x" * 300, "x" * 300),
    # Redacted before it is cut, so that no half of a secret is left at the end.
    ("x " * 145 + "dapi" + "0" * 32, "x " * 145 + "***"),
]


@pytest.mark.parametrize(("exception", "line"), FIRST_LINES)
def test_the_first_line_without_what_wraps_it_on_one_printable_line_of_300(exception: str | None, line: str) -> None:
    assert first_line(exception) == line


@pytest.mark.parametrize(
    "text", ["a.", " executor ", "Job aborted.", "terminated with exception: ", "(a executor b", " \t", "x: "]
)
def test_the_first_line_takes_time_that_grows_with_the_text_alone(text: str) -> None:
    began = time.process_time()
    first_line(text * (1_000_000 // len(text)))

    assert time.process_time() - began < 5
