"""Why a query failed, as one of a closed set of classes: the only module that reads the text of an exception.

RULES is data: runbooks are written from it. What it matches is Spark's and Delta's own: error conditions
(error-conditions.json, delta-error-classes.json, kafka-error-conditions.json), SQLSTATEs, exception classes, messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Literal, NamedTuple

from exporter.secret import redacted


class Rule(NamedTuple):
    """One class of failures, how it is told, what to do first, and whether a restart helps by itself.

    `conditions` are patterns of whole error conditions without their subclass, or with it where the pattern has a dot;
    `exceptions` patterns of simple names of exception classes that settle the class alone; `messages` patterns found
    anywhere in what was said, frames left out. `sqlstates` are prefixes.
    """

    name: str
    remedy: str
    restart_helps: Literal["yes", "no", "maybe"]
    conditions: tuple[str, ...] = ()
    sqlstates: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


# The order is the priority: of two rules that both match, the upper one is closer to the cause.
RULES: tuple[Rule, ...] = (
    Rule(
        "expected_restart",
        "None: the stream has taken over a new schema and goes on after its restart.",
        "yes",
        conditions=("UNKNOWN_FIELD_EXCEPTION", "DELTA_STREAMING_METADATA_EVOLUTION"),
        exceptions=("UnknownFieldException",),
    ),
    Rule(
        "schema_change",
        "Compare the schema of the source with the one the stream started with; use a schema location or a new checkpoint.",
        "no",
        conditions=(
            r"DELTA_SCHEMA_CHANGED\w*",
            r"DELTA_STREAMING_\w*SCHEMA\w*",
            "DELTA_METADATA_CHANGED",
            "DELTA_PROTOCOL_CHANGED",
            r"STATE_STORE_\w*SCHEMA\w*",
            "STATE_STORE_INVALID_VARIABLE_TYPE_CHANGE",
            r"INCOMPATIBLE_\w+_CHANGES?\w*",
        ),
        exceptions=("MetadataChangedException", "ProtocolChangedException", r"StateSchema\w*Exception"),
    ),
    Rule(
        "data_loss",
        "Find what the source no longer holds; lengthen its retention, and decide whether to skip (failOnDataLoss=false).",
        "no",
        conditions=(
            "KAFKA_DATA_LOSS",
            "DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE",
            "DELTA_VERSIONS_NOT_CONTIGUOUS",
            r"\w*MISSING_CHANGE_DATA",
        ),
        exceptions=("OffsetOutOfRangeException", "NoOffsetForPartitionException"),
        messages=("failOnDataLoss", "Some data may have been (?:lost|missed)"),
    ),
    Rule(
        "source_mutation",
        "Rows of the source table were changed or deleted: set skipChangeCommits, or begin again with a new checkpoint.",
        "no",
        conditions=(
            "DELTA_SOURCE_IGNORE_DELETE",
            "DELTA_SOURCE_TABLE_IGNORE_CHANGES",
            "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE",
        ),
    ),
    Rule(
        "concurrent_query",
        "A second run of the same query uses this checkpoint: find it and stop one of them.",
        "no",
        conditions=("CONCURRENT_STREAM_LOG_UPDATE", "CONCURRENT_QUERY"),
        messages=("Multiple streaming queries are concurrently using", "another query with same id is already active"),
    ),
    Rule(
        "write_conflict",
        "Another writer changed the same files: separate the writers by partition, or retry the commit in foreachBatch.",
        "yes",
        conditions=(r"DELTA_CONCURRENT_\w+",),
        sqlstates=("2D521", "40001"),
        exceptions=(
            r"Concurrent(?:Append|DeleteRead|DeleteDelete|Write|Transaction)Exception",
            "CommitFailedException",
        ),
    ),
    Rule(
        "state_store",
        "Look at the state folder of the checkpoint: a delta or snapshot file is missing, damaged, or of another operator.",
        "maybe",
        conditions=(
            "CANNOT_LOAD_STATE_STORE",
            "CANNOT_WRITE_STATE_STORE",
            r"\w*STATE_STORE_\w+",
            r"STDS_\w+",
            "STREAM_STREAM_JOIN_INCONSISTENT_STATE",
        ),
        exceptions=("RocksDBException", r"StateStore\w*Exception"),
        messages=("Error reading (?:delta|snapshot) file", "Error reading streaming state file"),
    ),
    Rule(
        "checkpoint",
        "Compare the query with its checkpoint: sources and operators must be the same; restore the folder, or use a new one.",
        "no",
        conditions=(
            r"STREAMING_CHECKPOINT_\w+",
            r"STREAMING_STATEFUL_OPERATOR_\w+",
            "STREAMING_QUERY_EVOLUTION_ERROR",
            "STREAMING_UNFINISHED_REPARTITION_DETECTED",
            r"STATE_(?:REPARTITION|REWRITER)_\w+",
            r"CHECKPOINT_\w+",
            "BATCH_METADATA_NOT_FOUND",
            "INVALID_LOG_VERSION",
            "MALFORMED_LOG_FILE",
            "FAILED_RENAME_TEMP_FILE",
            "CANNOT_LOAD_CHECKPOINT_FILE_MANAGER",
            r"KAFKA_(?:START|TIMESTAMP)_OFFSET_DOES_NOT_MATCH_ASSIGNED",
        ),
        messages=("in the checkpoint offsets", "Incomplete log file", "Offsets? log", "batch metadata log"),
    ),
    Rule(
        "oom",
        "Find which process ran out of memory; give it more, or make batches smaller (limits of the source, partitions).",
        "maybe",
        conditions=(r"\w*OUT_OF_MEMORY\w*", "UNABLE_TO_ACQUIRE_MEMORY", "INTERNAL_ERROR_MEMORY"),
        sqlstates=("53200", "82"),
        exceptions=(r"\w*OutOfMemoryError",),
        messages=(
            "OutOfMemoryError",
            "GC overhead limit exceeded",
            "Java heap space",
            "exceed(?:ing|ed) (?:physical |virtual )?memory limits?",
            "[Ee]xit(?:ed with)?(?: exit)? (?:code|status):? (?:137|52)(?![0-9])",
            "OOMKilled",
            "spark.driver.maxResultSize",
        ),
    ),
    Rule(
        "driver",
        "Look at the driver: too many streams for it, long collections of garbage, or the application was ending.",
        "yes",
        conditions=(r"DRIVER_(?:ERROR|UNAVAILABLE|NOT_RESPONDING|UNREACHABLE|\w*RESTART\w*)",),
        messages=(
            "SparkContext was shut ?down",
            "on a stopped SparkContext",
            "[Dd]river is up but is not responsive",
            "[Dd]river has stopped unexpectedly",
            "Chauffeur",
        ),
    ),
    Rule(
        "executor_loss",
        "Executors went away (spot, decommissioning, disk, network): look at the cluster's events; a storm needs other nodes.",
        "yes",
        conditions=("NODES_LOST", r"SPOT_\w+"),
        exceptions=("FetchFailedException", "MetadataFetchFailedException", "BlockNotFoundException"),
        messages=(
            "ExecutorLostFailure",
            "FetchFailed",
            "[Ee]xecutor (?:heartbeat timed out|decommission)",
            "RPC client disassociated",
        ),
    ),
    Rule(
        "auth",
        "Renew or grant: a token ran out, a key was rotated, or a right on the source, sink or checkpoint is missing.",
        "no",
        conditions=(
            r"\w*UNAUTHORIZED\w*",
            r"\w*PERMISSION_DENIED\w*",
            r"\w*ACCESS_DENIED\w*",
            r"INSUFFICIENT_PERMISSIONS\w*",
        ),
        sqlstates=("28", "42501"),
        exceptions=(
            r"\w*Authentication(?:Failed)?Exception",
            r"\w*Authorization(?:Failed)?Exception",
            r"Access(?:Denied|Control)Exception",
            r"\w*(?:SecurityTokenService|KMS|Kms)\w*Exception",
            r"ExpiredToken\w*",
        ),
        messages=(
            "Access ?Denied",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "SASL authentication",
            "(?:[Ss]tatus [Cc]ode:? |HTTP )(?:401|403)(?![0-9])",
        ),
    ),
    Rule(
        "throttling",
        "The service asks for fewer requests: spread the load, lengthen triggers, raise its limit.",
        "yes",
        conditions=(r"(?:\w+_)?(?:REQUEST|RATE|RUN)_LIMIT_EXCEEDED",),
        exceptions=(
            "ProvisionedThroughputExceededException",
            r"Throttl\w*Exception",
            r"TooManyRequests\w*",
            "SlowDownException",
        ),
        messages=("SlowDown", "Too Many Requests", "ThrottlingException", "(?:[Ss]tatus [Cc]ode:? |HTTP )429(?![0-9])"),
    ),
    Rule(
        "library",
        "A class or module is missing or of the wrong version: compare the installed packages with Spark's and Scala's line.",
        "no",
        conditions=(
            "LIBRARY_INSTALLATION_ERROR",
            "DATA_SOURCE_NOT_FOUND",
            "INCOMPATIBLE_DATASOURCE_REGISTER",
            "CANNOT_LOAD_FUNCTION_CLASS",
            "PYTHON_VERSION_MISMATCH",
        ),
        exceptions=(
            "ClassNotFoundException",
            "NoClassDefFoundError",
            "NoSuch(?:Method|Field)(?:Error|Exception)",
            "AbstractMethodError",
            "UnsatisfiedLinkError",
            "UnsupportedClassVersionError",
            "IncompatibleClassChangeError",
        ),
        messages=("ModuleNotFoundError", "ImportError:", "Python in worker has different version"),
    ),
    Rule(
        "data_quality",
        "A row can't be computed: every restart meets it again; filter it out, or use try_ functions.",
        "no",
        conditions=(
            r"\w*DIVIDED?_BY_ZERO",
            "REMAINDER_BY_ZERO",
            r"CAST_(?:INVALID_INPUT|OVERFLOW)\w*",
            r"\w*OUT_OF_(?:SUPPORTED_)?RANGE",
            r"\w*ARITHMETIC_OVERFLOW",
            "DATETIME_OVERFLOW",
            r"MALFORMED_(?:RECORD|CSV|PROTOBUF|VARIANT|CHARACTER)\w*",
            r"CANNOT_PARSE_\w+",
            r"\w*CONSTRAINT\w*_VIOLATION|DELTA_VIOLATE_CONSTRAINT\w*|DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
            r"NOT_NULL_ASSERT_VIOLATION|NULL_MAP_KEY|DUPLICATED?_(?:MAP_)?KEY|MERGE_CARDINALITY_VIOLATION",
            r"INVALID_ARRAY_INDEX\w*",
            "KAFKA_NULL_TOPIC_IN_DATA",
            "EXPECTATION_VIOLATION",
        ),
        sqlstates=("21000", "22", "23"),
        exceptions=(
            "SparkArithmeticException",
            "SparkDateTimeException",
            "SparkNumberFormatException",
            "SparkArrayIndexOutOfBoundsException",
            r"\w*InvariantViolationException",
            "BadRecordException",
            "MalformedInputException",
            "NumberFormatException",
            "DateTimeParseException",
        ),
    ),
    Rule(
        "canceled",
        "Somebody or something stopped the work: look who, and start the query again.",
        "yes",
        conditions=("OPERATION_CANCELED", "SPARK_JOB_CANCELLED", r"USER_CANCELL?ED"),
        sqlstates=("HY008", "XXKDA"),
        exceptions=("InterruptedException", "ClosedByInterruptException"),
        messages=("Job [0-9]+ cancelled",),
    ),
    Rule(
        "quota",
        "A quota or budget is used up: raise it, or move the work.",
        "no",
        conditions=(r"\w*QUOTA\w*", r"\w*BUDGET\w*", r"\w*SUBNET_EXHAUSTED\w*"),
        messages=("[Qq]uota ?[Ee]xceeded", "No space left on device", "Disk quota"),
    ),
    Rule(
        "cloud",
        "The cloud has no capacity or a fault: another zone or machine type, or wait.",
        "yes",
        conditions=(r"CLOUD_\w*FAILURE", r"\w*STOCKOUT\w*", r"\w*INSUFFICIENT_\w*CAPACITY\w*"),
    ),
    Rule(
        "not_found",
        "Something the query names is gone: the topic, table, path or bucket; make it again or correct the name.",
        "no",
        conditions=(
            r"(?:TABLE_OR_VIEW|VIEW|SCHEMA|CATALOG|RESOURCE|(?:\w+_)?PATH|PARTITIONS|INDEX)_NOT_FOUND",
            r"DELTA_(?:TABLE|PATH|FILE|SCHEMA)\w*_(?:NOT_FOUND|DOES_NOT_EXIST)\w*",
            r"FAILED_READ_FILE\.FILE_NOT_EXIST",
        ),
        sqlstates=("42P01",),
        exceptions=(
            "UnknownTopicOrPartitionException",
            "UnknownTopicIdException",
            r"NoSuch(?:File|Table|Namespace|Database|Bucket|Key)Exception",
            "ResourceNotFoundException",
        ),
        messages=(
            "FileNotFoundException",
            "Path does not exist",
            "Option 'basePath' (?:not found|must be a directory)",
            "NoSuchBucket",
        ),
    ),
    Rule(
        "timeout",
        "Something did not answer in time: look at the service it waited for before raising the limit.",
        "maybe",
        conditions=(r"\w*_TIMEOUT\w*", r"\w*TIMED_?OUT\w*"),
        exceptions=(r"\w*TimeoutException",),
    ),
    Rule(
        "network",
        "Look at names, routes and certificates between the cluster and what it connects to.",
        "yes",
        conditions=("INTERNAL_ERROR_NETWORK",),
        sqlstates=("08",),
        exceptions=(
            r"UnknownHost(?:Error)?Exception",
            r"(?:Http)?Connect(?:ion|Timeout)?(?:Pool|Closed|Refused)?Exception",
            "NoRouteToHostException",
            r"SSL\w*Exception",
            "SocketException",
            "DisconnectException",
            "NetworkException",
            "NoBrokersAvailable",
        ),
        messages=(
            "[Cc]onnection (?:refused|reset)",
            "Failed to resolve",
            "No resolvable bootstrap urls",
            "[Nn]ame resolution",
        ),
    ),
    Rule(
        "config",
        "A setting is wrong or can't be changed on this checkpoint: the message names it.",
        "no",
        conditions=(
            "INVALID_CONF_VALUE",
            r"CANNOT_MODIFY_(?:STATIC_)?CONFIG",
            r"INVALID_(?:DRIVER|EXECUTOR)_MEMORY|INVALID_KRYO_SERIALIZER_BUFFER_SIZE|KRYO_BUFFER_OVERFLOW",
            r"\w*STREAMING_REAL_TIME_MODE\w*",
        ),
        sqlstates=("F0000", "46110"),
        exceptions=("ConfigException",),
    ),
    Rule(
        "analysis",
        "The plan does not fit the data any more: a column, type or operation; correct the query.",
        "no",
        conditions=(
            r"UNRESOLVED_\w+",
            r"(?:DELTA_)?UNSUPPORTED_\w+",
            r"DATATYPE_MISMATCH",
            r"\w*_NOT_SUPPORTED\w*",
            r"\w*COLUMN_\w*MISMATCH",
            r"INCOMPATIBLE_DATA_FOR_TABLE",
        ),
        sqlstates=("42", "0A", "07", "21", "51", "54"),
        exceptions=(
            r"(?:Extended)?AnalysisException",
            "ParseException",
            r"Spark(?:SQLFeatureNot|Unsupported)\w*Exception",
        ),
    ),
    Rule(
        "user_code",
        "The query's own function raised: its traceback is in the driver's log; correct it and restart.",
        "no",
        conditions=("USER_RAISED_EXCEPTION", r"PYTHON_\w*DATA_SOURCE_\w*ERROR"),
        sqlstates=("P0001",),
        messages=(
            "PYTHON_EXCEPTION",
            "_USER_FUNCTION_ERROR",
            "FAILED_EXECUTE_UDF",
            "SQLSTATE: 3[89]",
            r"Traceback \(most recent call last\)",
            "raised by the Python Proxy",
        ),
    ),
    Rule(
        "internal",
        "A fault in Spark or a connector: look for the message among its known bugs; a newer patch version may have it mended.",
        "maybe",
        conditions=(r"INTERNAL_ERROR\w*", r"MISMATCHED_TOPIC_PARTITIONS_\w+", r"\w+_WITH_TRIGGER_AVAILABLENOW"),
        sqlstates=("XX000",),
        # As messages, below all other rules: these are also the wrapping of failures whose message says more.
        messages=(
            "(?:NullPointer|ClassCast|IndexOutOfBounds)Exception",
            "StackOverflowError",
            "AssertionError",
            "MatchError",
            "not safe for multi-threaded access",
        ),
    ),
    Rule(
        "unknown",
        "Read the exception in the driver's log, and report the message that should have been known.",
        "maybe",
    ),
)

MAX_LINE = 300

CLASSES = tuple(rule.name for rule in RULES)
"""Every class of failures, a closed set; how a query ends without one (stopped, finished, driver_lost) is not among them."""


def classify(exception: str | None, error_class: str | None) -> str:
    """The class, one of CLASSES, of a QueryTerminatedEvent's `exception` (a stack trace) and `errorClassOnException`.

    The first kind of evidence that a rule knows decides: error conditions, the event's own before those in the text;
    SQLSTATEs, which Spark 4 writes; exception classes of the trace's head and causes; messages. What only wraps another
    failure (STREAM_FAILED, FOREACH_BATCH_USER_FUNCTION_ERROR, SparkException) is in no rule but, as a message, in
    `user_code`: it decides when nothing inside it does. The time it takes grows linearly with the text.
    """
    lines = _spoken(exception or "")
    said = "\n".join([error_class or "", *lines])
    classes = chain(
        (_class(_CONDITIONS, condition) for condition in _conditions(said, error_class or "")),
        (_class(_SQLSTATES, state) for state in _first(_SQLSTATE.finditer(said))),
        (_class(_EXCEPTIONS, "\n".join(islice(_exceptions(lines), _MOST_WORDS))),),
        (_class(_MESSAGES, said),),
    )
    return next((name for name in classes if name is not None), "unknown")


def condition(error_class: str | None) -> str | None:
    """A QueryTerminatedEvent's `errorClassOnException` where it has the form of an error condition, else None.

    Whatever else may stand there is text, and text may quote data.
    """
    found = _CONDITION.search(f"[{error_class or ''}]")
    return found[0] if found is not None and found[0] == error_class else None


def first_line(exception: str | None) -> str:
    """The first line of a QueryTerminatedEvent's `exception` that says something, redacted; at most 300 characters, printable.

    What Spark and py4j put before the failure itself says that a query, a job or a function failed, and no more: such
    words are left out, and a line that holds nothing else (`Job aborted.`, the head of a Python traceback) is passed over.
    Empty where no line is left.
    """
    lines = islice(_spoken(exception or ""), _MOST_LINES)
    said = (_unwrapped(line).strip() for line in lines)
    line = next((line for line in said if not _EMPTY.fullmatch(line)), "")
    # Redacted before it is cut: half a secret would no longer look like one.
    line = redacted(" ".join("".join(each if each.isprintable() else " " for each in line).split()))
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def _unwrapped(line: str) -> str:
    """The line from where the last wrapping ends: they stand in one another."""
    return line[max((wrapping.end() for wrapping in _WRAPPING.finditer(line)), default=0) :]


def _spoken(trace: str) -> list[str]:
    """The trace's lines without frames, Java's and Python's: their names of packages and files say nothing of the failure."""
    return [line for line in trace.splitlines() if not line.startswith(_FRAME)]


def _conditions(said: str, error_class: str) -> Iterator[str]:
    """Error conditions, the event's own first, then those in the text: in brackets, and a few that are told without."""
    return chain(_first(_CONDITION.finditer(f"[{error_class}]")), _first(_CONDITION.finditer(said)))


def _exceptions(lines: list[str]) -> Iterator[str]:
    """Simple names of the exception classes at the trace's head, which quotes those of tasks, and of its causes."""
    for number, line in enumerate(lines):
        if number == 0 or _CAUSE.match(line):
            names = (name.rpartition(".")[2] for name in _QUALIFIED.findall(line))
            yield from (name[-_LONGEST:] for name in names if name.endswith(("Exception", "Error")))


def _first(matches: Iterator[re.Match[str]]) -> Iterator[str]:
    """The first matches. A text may be made of nothing else; those far down decide nothing."""
    return (match[0] for match in islice(matches, _MOST_WORDS))


def _class(table: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str | None:
    return next((name for name, pattern in table if pattern.search(text)), None)


def _table(patterns: Callable[[Rule], tuple[str, ...]], form: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """One compiled pattern for each rule that has any of this kind, in the rules' order."""
    return tuple((rule.name, re.compile(form % "|".join(patterns(rule)))) for rule in RULES if patterns(rule))


_CONDITIONS = _table(lambda rule: rule.conditions, r"^(?:%s)(?:\.\w+)?$")
_SQLSTATES = _table(lambda rule: rule.sqlstates, "^(?:%s)")
_EXCEPTIONS = _table(lambda rule: rule.exceptions, "(?m)^(?:%s)$")
_MESSAGES = _table(lambda rule: rule.messages, "%s")

# Bounds, so that no text, however made, costs more than its length.
_LONGEST = 128
_MOST_WORDS = 32
_MOST_LINES = 100

# What comes before a failure. A task's host and executor end what Spark says of its attempts.
_WRAPPING = re.compile(r"^Caused by: |terminated with exception: |Return Message: |Python worker: | executor \w{1,64}\): ")
_EMPTY = re.compile(
    r"(?:(?:[\w.$]+: )?(?:(?:Writing j|J)ob aborted\.?|Traceback \(most recent call last\):)|Driver stacktrace:)?"
)

_FRAME = ("\t", "    ", '  File "')
_CAUSE = re.compile(r"(?:Caused by|): |[A-Za-z_][\w$]*[.][\w$.]*(?::|$)")
_QUALIFIED = re.compile(r"(?<![\w$.])[A-Za-z_][\w$]*[.][\w$.]*")
_CONDITION = re.compile(
    r"(?<=\[)[A-Z][A-Z0-9_]{2,127}(?:\.[A-Z0-9_]{1,127})?(?=\])"
    r"|\b(?:DELTA_[A-Z0-9_]{1,127}|KAFKA_DATA_LOSS)(?:\.[A-Z0-9_]{1,127})?"
)
_SQLSTATE = re.compile(r"(?<=SQLSTATE: )[0-9A-Z]{5}\b")
