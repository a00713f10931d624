"""What pipelines' logs of events say, each event counted once; pure.

A number in an event is what came since the flow's last one: Databricks' own queries add them up.
https://docs.databricks.com/ldp/monitor-event-log-schema
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from exporter import lenient_json
from exporter.databricks.pipelines import AT_REST, ENDS, UPDATE_STATES, Pipeline, Pipelines
from exporter.databricks.words import OTHER, known

LEVELS = ("info", "warn", "error", "metrics")
# No event of theirs follows in the same update.
FLOW_ENDS = ("completed", "failed", "skipped", "stopped", "excluded")
FLOW_STATES = ("queued", "starting", "running", "idle", *FLOW_ENDS, OTHER)

OVERLAP_MS = 120_000
"""How far a log is read again, for events that are written late; so long the log of a pipeline at rest is read on, too."""
FIRST_MS = 900_000
"""How far before the beginning of counting a log is read for the first time, for what flows do now."""
MAX_RECENT = 20_000
MAX_FLOWS_OF_PIPELINE = 200
MAX_FLOWS = 2_000
MAX_EXPECTATIONS_OF_PIPELINE = 500
MAX_EXPECTATIONS = 5_000
REMEMBERED_SECONDS = 30 * 86_400.0
MAX_GONE = 1_000

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# A dataset's name, and an expectation's.
Subject: TypeAlias = tuple[str, str]


class Origin(msgspec.Struct, frozen=True):
    update_id: str | None = None
    flow_name: str | None = None
    dataset_name: str | None = None


class Event(msgspec.Struct, frozen=True):
    """An event as pipelines/events tells it; `details` may be of a wrong shape, and cost no more than themselves."""

    id: str
    timestamp: datetime
    level: str | None = None
    origin: Origin | None = None
    details: msgspec.Raw = msgspec.Raw(b"null")


class Metrics(msgspec.Struct, frozen=True):
    num_output_rows: Count | None = None
    num_upserted_rows: Count | None = None
    num_deleted_rows: Count | None = None
    backlog_bytes: Count | None = None
    backlog_records: Count | None = None
    backlog_files: Count | None = None


class Expectation(msgspec.Struct, frozen=True):
    name: str
    dataset: str | None = None
    passed_records: Count | None = None
    failed_records: Count | None = None


class DataQuality(msgspec.Struct, frozen=True):
    dropped_records: Count | None = None
    expectations: tuple[Expectation, ...] | None = None


class FlowProgress(msgspec.Struct, frozen=True):
    status: str | None = None
    metrics: Metrics | None = None
    data_quality: DataQuality | None = None


class UpdateProgress(msgspec.Struct, frozen=True):
    state: str | None = None


class Details(msgspec.Struct, frozen=True):
    """What is read of an event's details; those of other types of events are none of ours."""

    flow_progress: FlowProgress | None = None
    update_progress: UpdateProgress | None = None


class Flow(msgspec.Struct, frozen=True):
    """A flow as its newest event left it, at `at` in seconds since 1970; a backlog is None where it is not told.

    `state` is empty where it is not known. The rest is counted.
    """

    at: float
    update_id: str = ""
    state: str = ""
    backlog_bytes: int | None = None
    backlog_records: int | None = None
    backlog_files: int | None = None
    output_rows: float = 0.0
    upserted_rows: float = 0.0
    deleted_rows: float = 0.0
    dropped_records: float = 0.0


class Checked(msgspec.Struct, frozen=True):
    """How many records met an expectation and how many did not, last told at `at` in seconds since 1970."""

    at: float
    passed: float = 0.0
    failed: float = 0.0


class Log(msgspec.Struct, frozen=True):
    """One pipeline's log: what is counted since `since`, and how far it was read.

    The pipeline was last `seen` at that time, as `told`: its state, its newest update and that one's state, which last
    `changed` then; its log was last `asked` for then. Times are seconds since 1970, `newest` and `floor` milliseconds: what
    is older than `floor` is not read any more. `recent` are the events, with their timestamps, that will be told again,
    `more` says that the log was not read to its end.
    """

    since: float
    seen: float
    told: tuple[str, str, str]
    changed: float
    asked: float
    newest: int
    floor: int
    listed: bool = True
    more: bool = False
    recent: dict[str, int] = {}
    levels: dict[str, int] = {}
    flows: dict[str, Flow] = {}
    expectations: dict[Subject, Checked] = {}


class PipelineEvents(msgspec.Struct, frozen=True):
    """The record at `at`, seconds since 1970; the logs go by pipeline's id.

    `unreadable` counts events whose details can't be read, `dropped` what flows and expectations told that are too many.
    """

    workspace: str
    at: float
    logs: dict[str, Log] = {}
    unreadable: int = 0
    dropped: int = 0


class Told(NamedTuple):
    """What a log told, in order of time, from `start` on; `more` says that there is more of it."""

    events: Sequence[Event]
    more: bool = False


def due(before: PipelineEvents, pipelines: Sequence[Pipeline], now: float) -> tuple[str, ...]:
    """Ids of the pipelines to ask, those first that were asked the longest ago: what runs, or did a moment ago."""
    logs = {one.pipeline_id: _seen(before.logs.get(one.pipeline_id), one, before.at, now) for one in pipelines}
    asked = {pipeline_id: log.asked for pipeline_id, log in logs.items() if _is_due(log)}
    return tuple(sorted(asked, key=asked.__getitem__))


def start(before: PipelineEvents, pipeline_id: str) -> datetime:
    """The time from which a pipeline's log is to be read."""
    log = before.logs.get(pipeline_id)
    begin = int(before.at * 1000) - FIRST_MS if log is None else _start(log)
    return _EPOCH + timedelta(milliseconds=begin)


def folded(before: PipelineEvents, listed: Pipelines, told: Mapping[str, Told | None], now: float) -> PipelineEvents:
    """The next record, at `now` in seconds since 1970.

    `told` are the logs of those that were asked; None of one that would not tell.
    """
    logs = {pipeline_id: msgspec.structs.replace(log, listed=False) for pipeline_id, log in before.logs.items()}
    for one in listed.pipelines:
        logs[one.pipeline_id] = _seen(before.logs.get(one.pipeline_id), one, before.at, now)
    unreadable, dropped = before.unreadable, before.dropped
    flows = MAX_FLOWS - sum(len(log.flows) for log in logs.values())
    expectations = MAX_EXPECTATIONS - sum(len(log.expectations) for log in logs.values())
    for pipeline_id, answer in told.items():
        log = msgspec.structs.replace(logs[pipeline_id], asked=now)
        if answer is not None:
            flows, expectations = flows + len(log.flows), expectations + len(log.expectations)
            reading = _Reading(log, now, min(flows, MAX_FLOWS_OF_PIPELINE), min(expectations, MAX_EXPECTATIONS_OF_PIPELINE))
            log = reading.read(answer)
            flows, expectations = flows - len(log.flows), expectations - len(log.expectations)
            unreadable, dropped = unreadable + reading.unreadable, dropped + reading.dropped
        logs[pipeline_id] = log
    gone = [one for one, log in logs.items() if not log.listed and now - log.seen < REMEMBERED_SECONDS]
    kept = set(sorted(gone, key=lambda one: logs[one].seen)[-MAX_GONE:])
    return PipelineEvents(
        workspace=before.workspace,
        at=now,
        logs={one: log for one, log in sorted(logs.items()) if log.listed or one in kept},
        unreadable=unreadable,
        dropped=dropped,
    )


def encoded(record: PipelineEvents) -> bytes:
    """A record as bytes, for a storage."""
    return msgspec.msgpack.encode(record)


def decoded(stored: bytes) -> PipelineEvents:
    """The record that was stored; raises ValueError for what is none."""
    return msgspec.msgpack.decode(stored, type=PipelineEvents)


class _Reading:
    """One log being read: what is known of its flows and expectations, which `read` alone changes; for a single use."""

    def __init__(self, log: Log, now: float, max_flows: int, max_expectations: int) -> None:
        self.unreadable = 0
        self.dropped = 0
        self._log = log
        self._now = now
        self._levels = dict(log.levels)
        # Of a pipeline that is changed often the flows of old are not to stand in the place of the new ones.
        self._flows = {name: flow for name, flow in log.flows.items() if now - flow.at < REMEMBERED_SECONDS}
        self._expectations = {one: kept for one, kept in log.expectations.items() if now - kept.at < REMEMBERED_SECONDS}
        self._max_flows = max_flows
        self._max_expectations = max_expectations

    def read(self, told: Told) -> Log:
        """The log with all that was not read before."""
        log = self._log
        at = {event.id: _milliseconds(event.timestamp) for event in told.events}
        new = {event.id: event for event in told.events if event.id not in log.recent and at[event.id] >= log.floor}
        for event in sorted(new.values(), key=lambda one: at[one.id]):
            self._take(event, at[event.id])
        # A clock that is wrong once may not lead past all that is told later.
        newest = max(log.newest, min(max(at.values(), default=0), int(self._now * 1000)))
        recent = {one: time for one, time in {**log.recent, **at}.items() if time >= newest - OVERLAP_MS}
        floor = log.floor
        if len(recent) > MAX_RECENT:
            times = sorted(recent.values())
            floor = max(floor, times[-MAX_RECENT - 1] + 1)
            recent = {one: time for one, time in recent.items() if time >= floor}
        return msgspec.structs.replace(
            log,
            newest=newest,
            floor=floor,
            more=told.more,
            recent=recent,
            levels=self._levels,
            flows=self._flows,
            expectations=self._expectations,
        )

    def _take(self, event: Event, at: int) -> None:
        counts = at >= self._log.since * 1000
        if counts:
            level = known(event.level, LEVELS) or OTHER
            self._levels[level] = self._levels.get(level, 0) + 1
        origin = event.origin or Origin()
        try:
            details = lenient_json.decode(_DETAILS, bytes(event.details)) or Details()
        except lenient_json.UNREADABLE:
            self.unreadable += 1
            return
        if details.update_progress and known(details.update_progress.state, UPDATE_STATES) in ENDS:
            self._end(origin.update_id)
        if progress := details.flow_progress:
            if name := origin.flow_name or origin.dataset_name:
                self._progress(name, origin, progress, at / 1000, counts=counts)
            else:
                self.unreadable += 1

    def _end(self, update_id: str | None) -> None:
        """Where an update is over nothing of it goes on, though its flows may not say so."""
        for name, flow in self._flows.items():
            if flow.update_id == update_id and flow.state not in FLOW_ENDS:
                self._flows[name] = msgspec.structs.replace(
                    flow, state="", backlog_bytes=None, backlog_records=None, backlog_files=None
                )

    def _progress(self, name: str, origin: Origin, progress: FlowProgress, at: float, *, counts: bool) -> None:
        quality = progress.data_quality or DataQuality()
        if name in self._flows or len(self._flows) < self._max_flows:
            flow = _moved(self._flows.get(name) or Flow(at), origin.update_id or "", progress, at)
            self._flows[name] = _added(flow, progress.metrics or Metrics(), quality) if counts else flow
        else:
            self.dropped += 1
        for one in quality.expectations or ():
            subject = (one.dataset or origin.dataset_name or name, one.name)
            if subject not in self._expectations and len(self._expectations) >= self._max_expectations:
                self.dropped += 1
                continue
            kept = self._expectations.get(subject, Checked(at))
            passed, failed = ((one.passed_records or 0), (one.failed_records or 0)) if counts else (0, 0)
            self._expectations[subject] = Checked(max(at, kept.at), kept.passed + passed, kept.failed + failed)


def _moved(flow: Flow, update_id: str, progress: FlowProgress, at: float) -> Flow:
    """A flow as this event leaves it, where it is not a late one; a backlog lasts until another is told, or the flow ends."""
    if at < flow.at:
        return flow
    metrics = progress.metrics or Metrics()
    state = known(progress.status, FLOW_STATES)
    last = Flow(at) if flow.update_id != update_id or state in FLOW_ENDS else flow
    return msgspec.structs.replace(
        flow,
        at=at,
        update_id=update_id,
        state=state or last.state,
        backlog_bytes=last.backlog_bytes if metrics.backlog_bytes is None else metrics.backlog_bytes,
        backlog_records=last.backlog_records if metrics.backlog_records is None else metrics.backlog_records,
        backlog_files=last.backlog_files if metrics.backlog_files is None else metrics.backlog_files,
    )


def _added(flow: Flow, metrics: Metrics, quality: DataQuality) -> Flow:
    return msgspec.structs.replace(
        flow,
        output_rows=flow.output_rows + (metrics.num_output_rows or 0),
        upserted_rows=flow.upserted_rows + (metrics.num_upserted_rows or 0),
        deleted_rows=flow.deleted_rows + (metrics.num_deleted_rows or 0),
        dropped_records=flow.dropped_records + (quality.dropped_records or 0),
    )


def _seen(log: Log | None, one: Pipeline, last_look: float, now: float) -> Log:
    """The log of a pipeline that is listed; of a new one what happened since the last look is counted."""
    told = (one.state, one.update_id, one.update_state)
    if log is None:
        begin = int(last_look * 1000) - FIRST_MS
        # One that came to rest before it was ever seen has nothing to tell of now.
        resting = one.state in AT_REST and (one.update_started or 0.0) < last_look
        changed, asked = (0.0, last_look) if resting else (now, 0.0)
        return Log(last_look, now, told, changed, asked, newest=begin, floor=begin)
    changed = log.changed if told == log.told else now
    return msgspec.structs.replace(log, seen=now, told=told, changed=changed, listed=True)


def _is_due(log: Log) -> bool:
    return log.told[0] not in AT_REST or log.more or log.asked < log.changed + OVERLAP_MS / 1000


def _start(log: Log) -> int:
    # Where a log is longer than a look, it is read on and not again.
    return max(log.floor, log.newest if log.more else log.newest - OVERLAP_MS)


def _milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down: a log that is read from there on holds the moment."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)) - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DETAILS = msgspec.json.Decoder(Details | None, strict=False)
