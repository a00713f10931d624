"""The listener's answer and Spark's events as frozen values: the only module that knows how they are spelled in JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from exporter.lenient_json import UNREADABLE, decode, reason
from exporter.streaming.facts import Facts, Int64

VERSION = 1
"""The listener's wire version that is understood here."""


class BadAnswer(ValueError):  # noqa: N818 -- it says what is wrong with what; "Error" would add nothing
    """An answer of the listener that can't be read at all."""


class BadEvent(ValueError):  # noqa: N818 -- the same
    """One event that can't be read; the others of its answer can.

    `seq` is its number, or None where even that can't be read. The message names fields, never what they hold.
    """

    def __init__(self, seq: int | None, message: str) -> None:
        super().__init__(f"event {'without a number' if seq is None else seq}: {message}")
        self.seq = seq


# --- The answer: docs/bridge.md, "The one call" and "Facts" ---------------------------------------------------------


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """One answer to `poll`, or a driver's last words. Its events are still raw: each is read, and may fail, by itself."""

    version: Int64
    final: bool
    epoch: str
    started_ms: Int64
    now_ms: Int64
    app_id: str
    first_seq: Int64
    last_seq: Int64
    more: bool
    facts: Facts
    events: list[msgspec.Raw]
    ended_ms: Int64 | None = None


# --- Spark's events: org.apache.spark.sql.streaming.StreamingQueryListener ------------------------------------------


class Source(msgspec.Struct, frozen=True):
    """SourceProgress. Offsets are the JSON values that the source wrote, whatever their shape; None where there is none.

    `metrics` holds those that are finite numbers (Spark writes all of them as strings).
    """

    description: str
    start_offset: Any
    end_offset: Any
    latest_offset: Any
    num_input_rows: int
    metrics: dict[str, int | float]


class Sink(msgspec.Struct, frozen=True):
    """SinkProgress. `num_output_rows` is None where the sink doesn't know it (Spark writes -1)."""

    description: str
    num_output_rows: int | None


class EventTime(msgspec.Struct, frozen=True):
    """Event time of a batch's rows, and the watermark it ran with, in seconds since 1970.

    None where the batch had no row, where there is no watermark operator, and for the watermark until it first moves.
    """

    max: float | None = None
    min: float | None = None
    watermark: float | None = None


class StateOperator(msgspec.Struct, frozen=True):
    """StateOperatorProgress. What a batch did is 0 where Spark doesn't say; what stands after it is None."""

    operator_name: str
    num_rows_total: int | None
    num_rows_updated: int
    num_rows_removed: int
    num_rows_dropped_by_watermark: int
    commit_time_ms: int
    memory_used_bytes: int | None
    num_shuffle_partitions: int | None
    num_state_store_instances: int | None
    custom_metrics: dict[str, int | float]


class Progress(msgspec.Struct, frozen=True):
    """StreamingQueryProgress of one batch. `timestamp` is the batch's start, in seconds since 1970.

    `duration_ms` and each operator's `custom_metrics` hold finite numbers only; `observed_metrics` too, by observation
    and column, so that what `observe()` found in text, dates and booleans is left out.
    """

    id: str
    run_id: str
    name: str | None
    timestamp: float
    batch_id: int
    num_input_rows: int
    duration_ms: dict[str, int | float]
    event_time: EventTime
    state_operators: tuple[StateOperator, ...]
    sources: tuple[Source, ...]
    sink: Sink
    observed_metrics: dict[str, dict[str, int | float]]


class Started(msgspec.Struct, frozen=True):
    """QueryStartedEvent. `trigger` is the text of the query's Trigger, None where the driver does not tell it."""

    id: str
    run_id: str
    name: str | None
    timestamp: float
    trigger: str | None


class Idle(msgspec.Struct, frozen=True):
    """QueryIdleEvent: a trigger that found nothing to do."""

    id: str
    run_id: str
    timestamp: float


class Terminated(msgspec.Struct, frozen=True):
    """QueryTerminatedEvent. `exception` is the failure's stack trace; None where the query ended without one."""

    id: str
    run_id: str
    exception: str | None
    error_class: str | None


class Found(msgspec.Struct, frozen=True):
    """A query that already ran when the listener was attached, with its last progress."""

    id: str
    run_id: str
    name: str | None
    trigger: str | None
    progress: Progress | None


Body = Started | Progress | Idle | Terminated | Found


class Event(msgspec.Struct, frozen=True):
    """One numbered event; `at` is the driver's clock when Spark handed it over, in seconds since 1970."""

    seq: int
    at: float
    kind: str
    body: Body


# --- How Spark spells them ------------------------------------------------------------------------------------------
# Any member may be missing or null but those without a default: an event that doesn't say whose it is, or when, is bad.


class _Version(msgspec.Struct):
    version: Int64


class _Numbered(msgspec.Struct):
    seq: Int64


class _Event(msgspec.Struct, rename="camel", kw_only=True):
    seq: Int64
    at_ms: Int64
    kind: str
    event: msgspec.Raw
    trigger: str | None = None
    progress: msgspec.Raw = msgspec.Raw(b"null")


class _Query(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    run_id: str
    name: str | None = None


class _Moment(_Query, kw_only=True):
    timestamp: str


class _Terminated(_Query, kw_only=True):
    exception: str | None = None
    error_class_on_exception: str | None = None


class _Source(msgspec.Struct, rename="camel", kw_only=True):
    description: str | None = None
    start_offset: Any = None
    end_offset: Any = None
    latest_offset: Any = None
    num_input_rows: Int64 | None = None
    metrics: dict[str, Any] | None = None


class _Sink(msgspec.Struct, rename="camel", kw_only=True):
    description: str | None = None
    num_output_rows: Int64 | None = None


class _StateOperator(msgspec.Struct, rename="camel", kw_only=True):
    operator_name: str | None = None
    num_rows_total: Int64 | None = None
    num_rows_updated: Int64 | None = None
    num_rows_removed: Int64 | None = None
    num_rows_dropped_by_watermark: Int64 | None = None
    commit_time_ms: Int64 | None = None
    memory_used_bytes: Int64 | None = None
    num_shuffle_partitions: Int64 | None = None
    num_state_store_instances: Int64 | None = None
    custom_metrics: dict[str, Any] | None = None


class _Progress(_Moment, kw_only=True):
    batch_id: Int64
    num_input_rows: Int64 | None = None
    duration_ms: dict[str, Any] | None = None
    event_time: dict[str, str | None] | None = None
    state_operators: tuple[_StateOperator, ...] | None = None
    sources: tuple[_Source, ...] | None = None
    sink: _Sink | None = None
    observed_metrics: dict[str, dict[str, Any] | None] | None = None


# --- Reading --------------------------------------------------------------------------------------------------------


def read_answer(text: bytes | str) -> Answer:
    """Read what `poll` answered, or a file of last words (docs/bridge.md).

    Raises BadAnswer where it is no JSON object of version 1, or a member is missing or of another type.
    """
    document = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        version = decode(_VERSION, document).version
        if version == VERSION:
            return decode(_ANSWER, document)
    except UNREADABLE as error:
        raise BadAnswer(reason(error)) from None
    raise BadAnswer(f"the listener speaks version {version}, this exporter version {VERSION}: use this exporter's jar")


def last_seq(answer: Answer) -> int | None:
    """The number of the newest event that the answer holds; None where it holds none, or that one has no number."""
    return _seq(bytes(answer.events[-1])) if answer.events else None


def read_event(raw: msgspec.Raw | bytes) -> Event:
    """Read one of an answer's events. Numbers may come as text, and a member that Spark left out or set to null is absent.

    Raises BadEvent where the event, or a kind of event, is not understood.
    """
    document = bytes(raw)
    try:
        event = decode(_EVENT, document)
        return Event(seq=event.seq, at=event.at_ms / 1000, kind=event.kind, body=_body(event))
    except UNREADABLE as error:
        raise BadEvent(_seq(document), reason(error)) from None


def _body(event: _Event) -> Body:
    read = _BODIES.get(event.kind)
    if read is None:
        raise msgspec.ValidationError(f"Expected one of {', '.join(_BODIES)} - at `$.kind`")
    return read(event)


def _started(event: _Event) -> Started:
    body = decode(_MOMENT, bytes(event.event))
    return Started(body.id, body.run_id, body.name, _seconds(body.timestamp), event.trigger)


def _idle(event: _Event) -> Idle:
    body = decode(_MOMENT, bytes(event.event))
    return Idle(body.id, body.run_id, _seconds(body.timestamp))


def _terminated(event: _Event) -> Terminated:
    body = decode(_TERMINATED, bytes(event.event))
    return Terminated(body.id, body.run_id, body.exception or None, body.error_class_on_exception or None)


def _found(event: _Event) -> Found:
    body = decode(_QUERY, bytes(event.event))
    last = bytes(event.progress)
    return Found(body.id, body.run_id, body.name, event.trigger, None if last == b"null" else _progress(last))


def _progress(document: bytes) -> Progress:
    body = decode(_PROGRESS, document)
    sink = body.sink or _Sink()
    return Progress(
        id=body.id,
        run_id=body.run_id,
        name=body.name,
        timestamp=_seconds(body.timestamp),
        batch_id=body.batch_id,
        num_input_rows=_count(body.num_input_rows),
        duration_ms=_numbers(body.duration_ms),
        event_time=_event_time(body.event_time or {}),
        state_operators=tuple(map(_state_operator, body.state_operators or ())),
        sources=tuple(map(_source, body.sources or ())),
        sink=Sink(sink.description or "", _size(sink.num_output_rows)),
        observed_metrics={
            name: _finite(columns) for name, columns in (body.observed_metrics or {}).items() if columns is not None
        },
    )


def _event_time(stats: dict[str, str | None]) -> EventTime:
    seconds = {name: _instant(text) for name, text in stats.items() if text is not None}
    # 1970-01-01 is Spark's word for "no watermark yet": as a value it would be a lag of half a century.
    return EventTime(seconds.get("max"), seconds.get("min"), seconds.get("watermark") or None)


def _state_operator(operator: _StateOperator) -> StateOperator:
    return StateOperator(
        operator_name=operator.operator_name or "",
        num_rows_total=_size(operator.num_rows_total),
        num_rows_updated=_count(operator.num_rows_updated),
        num_rows_removed=_count(operator.num_rows_removed),
        num_rows_dropped_by_watermark=_count(operator.num_rows_dropped_by_watermark),
        commit_time_ms=_count(operator.commit_time_ms),
        memory_used_bytes=_size(operator.memory_used_bytes),
        num_shuffle_partitions=_size(operator.num_shuffle_partitions),
        num_state_store_instances=_size(operator.num_state_store_instances),
        custom_metrics=_numbers(operator.custom_metrics),
    )


def _source(source: _Source) -> Source:
    return Source(
        description=source.description or "",
        start_offset=_offset(source.start_offset),
        end_offset=_offset(source.end_offset),
        latest_offset=_offset(source.latest_offset),
        num_input_rows=_count(source.num_input_rows),
        metrics=_numbers(source.metrics),
    )


def _count(number: int | None) -> int:
    """How much a batch did, never negative: what is added to a counter must not take from it."""
    return max(0, number or 0)


def _size(number: int | None) -> int | None:
    """How much there is; Spark's -1 means that it does not know."""
    return None if number is None or number < 0 else number


def _numbers(values: dict[str, Any] | None) -> dict[str, int | float]:
    """The finite numbers among the values, those written as text too."""
    values = values or {}
    texts = {name: _number(value) for name, value in values.items() if type(value) is str}
    return _finite({**values, **texts} if texts else values)


def _finite(values: dict[str, Any]) -> dict[str, int | float]:
    """The finite numbers among the values; a boolean is none, nor is an integer that no double can hold."""
    # Read from JSON a number's type is one of these two; isinstance would take a boolean for one.
    return {name: value for name, value in values.items() if type(value) in _NUMBERS and abs(value) <= _LARGEST}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _offset(value: Any) -> Any:
    """An offset as a JSON value. The getters of Spark's Java and Python APIs give it as JSON text inside a string."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except ValueError:
        return value  # a source of somebody's own, whose offsets are plain text


def _seconds(text: str) -> float:
    """Seconds since 1970 of an event's own time, without which the event says nothing."""
    seconds = _instant(text)
    if seconds is None:
        raise msgspec.ValidationError("Expected an ISO 8601 time in UTC - at `$.timestamp`")
    return seconds


def _instant(text: str) -> float | None:
    """Seconds since 1970 of ProgressReporter.formatTimestamp's text, with or without a fraction; None where it is none.

    Java writes years after 9999 too: one row with a broken clock is enough, and its watermark has to be seen.
    """
    parts = _TIMESTAMP.fullmatch(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second = map(int, parts.groups()[:6])
    try:
        moment = datetime(2000 + year % 400, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    return moment.timestamp() + (year // 400 - 5) * _SECONDS_OF_400_YEARS + float(parts[7] or 0)


def _seq(document: bytes) -> int | None:
    try:
        return decode(_NUMBERED, document).seq
    except UNREADABLE:
        return None


_TIMESTAMP = re.compile(r"([0-9]{4,9})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?Z")
_SECONDS_OF_400_YEARS = 146_097 * 86_400
_LARGEST = sys.float_info.max
_NUMBERS = (int, float)

_VERSION = msgspec.json.Decoder(_Version)
_ANSWER = msgspec.json.Decoder(Answer)
_NUMBERED = msgspec.json.Decoder(_Numbered)
_EVENT = msgspec.json.Decoder(_Event)
_QUERY = msgspec.json.Decoder(_Query)
_MOMENT = msgspec.json.Decoder(_Moment)
_TERMINATED = msgspec.json.Decoder(_Terminated)
_PROGRESS = msgspec.json.Decoder(_Progress, strict=False)

_BODIES: dict[str, Callable[[_Event], Body]] = {
    "started": _started,
    "progress": lambda event: _progress(bytes(event.event)),
    "idle": _idle,
    "terminated": _terminated,
    "found": _found,
}
